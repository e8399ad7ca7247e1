import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Member } from '../../../core/balance/group.ts'
import { LeastConnections } from '../../../core/balance/least-connections.ts'
import { numbered } from './members.ts'

const leastOf = (members: readonly Member[]): LeastConnections => {
  const least = new LeastConnections()
  least.replace(members, members)
  return least
}

const loaded = (live: readonly number[], weights?: readonly number[]): Member[] => {
  const members = numbered(live.length, weights)
  for (const [at, member] of members.entries()) member.live = live[at]!
  return members
}

/** Chooses, and has what was chosen carry one life more. */
const fill = (least: LeastConnections, count: number): string =>
  Array.from({ length: count }, () => {
    const member = least.choose([])!
    member.live += 1
    return member.index
  }).join('')

describe('least connections', () => {
  test('udp 8: least loaded over 10, 20, 1 connections picks 1', () => {
    expect(leastOf(loaded([10, 20, 1])).choose([])?.live).toBe(1)
  })

  test('udp 8: least loaded over an empty list: none', () => {
    expect(leastOf([]).choose([])).toBeUndefined()
  })

  test('udp W33: an idle group is not always its first member', () => {
    const least = leastOf(numbered(3))
    expect(Array.from({ length: 5 }, () => least.choose([])?.index)).toEqual([0, 1, 2, 0, 1])
  })

  test('udp W33: members that are alike take turns, also where one is busier', () => {
    const least = leastOf(loaded([0, 5, 0]))
    expect(Array.from({ length: 4 }, () => least.choose([])?.index)).toEqual([0, 2, 0, 2])
  })

  test('a weight is how many lives it takes to be as busy', () => {
    expect(fill(leastOf(numbered(2, [1, 3])), 8)).toBe('01110111')
    expect(leastOf(loaded([1, 3, 2], [1, 3, 3])).choose([])?.index).toBe(2)
  })

  test('who is excluded is passed over, and keeps its turn', () => {
    const least = leastOf(numbered(3))
    const [first] = numbered(3)
    expect(least.choose([])?.index).toBe(0)
    const members = loaded([0, 0, 0])
    least.replace(members, members)
    expect(least.choose([members[0]!])?.index).toBe(1)
    expect([least.choose([])?.index, least.choose([])?.index]).toEqual([0, 2])
    expect(least.choose(members)).toBeUndefined()
    expect(first?.live).toBe(0)
  })

  test('who stays keeps the turn in a new set, who is new waits behind', () => {
    const members = numbered(4)
    const least = leastOf(members.slice(0, 3))
    expect(least.choose([])?.index).toBe(0)
    const next = [members[3]!, members[0]!, members[2]!]
    least.replace(next, next)
    expect(Array.from({ length: 3 }, () => least.choose([])?.index)).toEqual([2, 0, 3])
  })

  test('nobody who could be chosen is lighter than the one that is', () => {
    const loads = fc.array(fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 4 })), { maxLength: 6 })
    fc.assert(
      fc.property(loads, fc.nat(63), (all, mask) => {
        const members = loaded(
          all.map(([live]) => live),
          all.map(([, weight]) => weight),
        )
        const exclude = members.filter((_, at) => (mask >> at) & 1)
        const rest = members.filter((member) => !exclude.includes(member))
        const chosen = leastOf(members).choose(exclude)
        if (rest.length === 0) expect(chosen).toBeUndefined()
        else expect(rest).toContain(chosen)
        for (const { live, backend } of rest) {
          const weight = chosen!.backend.weight!
          expect(chosen!.live / weight).toBeLessThanOrEqual(live / backend.weight! + 1e-12)
        }
      }),
    )
  })
})
