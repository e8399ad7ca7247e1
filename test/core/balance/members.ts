/** Members without a group, for strategies; and sets with the addresses the figures are for. */
import type { Backend, Member } from '../../../core/balance/group.ts'
import type { AffinityKey, Strategy } from '../../../core/balance/strategy.ts'

export const memberOf = (backend: Backend, index = 0): Member => ({
  index,
  backend,
  state: 'serving',
  isCandidate: true,
  isFull: false,
  live: 0,
  failureReportedAt: undefined,
})

/** A member for each letter, always the same one for the same letter. */
export function lettered(): (letters: string) => Member[] {
  const members = new Map<string, Member>()
  return (letters) =>
    [...letters].map((id) => {
      const known = members.get(id)
      if (known !== undefined) return known
      const index = id.charCodeAt(0) - 'A'.charCodeAt(0)
      const member = memberOf({ id, host: `127.0.0.${1 + index}`, port: 8000 + index }, index)
      members.set(id, member)
      return member
    })
}

/** 127.0.0.1:8000, 127.0.0.2:8001 and so on, called b0, b1... */
export const numbered = (count: number, weights: readonly (number | undefined)[] = []): Member[] =>
  Array.from({ length: count }, (_, i) => {
    const weight = weights[i]
    const backend = { id: `b${i}`, host: `127.0.0.${1 + i}`, port: 8000 + i }
    return memberOf(weight === undefined ? backend : { ...backend, weight }, i)
  })

export const key = (low: number, high = 0): AffinityKey => ({ high, low })

/** Of each key from 0 the index of the member it gets. */
export const picks = (strategy: Strategy, count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, at) => strategy.choose([], key(from + at))?.index ?? -1)

export function countsOf(indexes: readonly number[], members: number): number[] {
  const counts = new Array<number>(members).fill(0)
  for (const index of indexes) counts[index]! += 1
  return counts
}
