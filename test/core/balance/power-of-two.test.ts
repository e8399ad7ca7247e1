import { describe, expect, test } from 'vitest'
import type { Member } from '../../../core/balance/group.ts'
import { PowerOfTwo } from '../../../core/balance/power-of-two.ts'
import { countsOf, numbered } from './members.ts'

const drawsOf = (members: readonly Member[], seed = 1): PowerOfTwo => {
  const two = new PowerOfTwo(seed)
  two.replace(members, members)
  return two
}

const loaded = (live: readonly number[], weights?: readonly number[]): Member[] => {
  const members = numbered(live.length, weights)
  for (const [at, member] of members.entries()) member.live = live[at]!
  return members
}

const shares = (
  two: PowerOfTwo,
  members: number,
  draws: number,
  exclude: Member[] = [],
): number[] =>
  countsOf(
    Array.from({ length: draws }, () => two.choose(exclude)!.index),
    members,
  )

describe('power of two choices', () => {
  test('udp W33: over loads 1, 2, 3, 4, 5 the busiest is never chosen, and less load is chosen more', () => {
    const counts = shares(drawsOf(loaded([1, 2, 3, 4, 5])), 5, 10_000)
    // Of ten pairs the lightest wins in four, the next in three...
    for (const [at, count] of counts.entries()) {
      expect(Math.abs(count - 1000 * (4 - at))).toBeLessThanOrEqual(at === 4 ? 0 : 200)
    }
  })

  test('udp W33: over loads 1, 2, 10 the busiest is never chosen', () => {
    expect(shares(drawsOf(loaded([1, 2, 10])), 3, 1000)[2]).toBe(0)
  })

  test('udp W33: an idle group is chosen from evenly, not always the same pair', () => {
    for (const count of shares(drawsOf(numbered(5)), 5, 10_000)) {
      expect(Math.abs(count - 2000)).toBeLessThan(200)
    }
  })

  test('two different ones are drawn: of two, always the lighter', () => {
    expect(shares(drawsOf(loaded([3, 2])), 2, 200)).toEqual([0, 200])
  })

  test('a weight is how many lives it takes to be as busy', () => {
    expect(shares(drawsOf(loaded([3, 2], [3, 1])), 2, 200)).toEqual([200, 0])
  })

  test('one is chosen without a choice, none of none', () => {
    expect(drawsOf(numbered(1)).choose([])?.index).toBe(0)
    expect(drawsOf([]).choose([])).toBeUndefined()
  })

  test('who is excluded is not drawn', () => {
    const members = loaded([0, 0, 0, 9])
    const counts = shares(drawsOf(members), 4, 300, members.slice(1, 3))
    expect(counts).toEqual([300, 0, 0, 0])
    expect(drawsOf(members).choose(members)).toBeUndefined()
  })

  test('one seed, one sequence; another seed, another one', () => {
    const sequence = (seed: number): string => {
      const two = drawsOf(numbered(9), seed)
      return Array.from({ length: 30 }, () => two.choose([])!.index).join('')
    }
    expect(sequence(7)).toBe(sequence(7))
    const seeds = [0, 1, 2, -1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]
    expect(new Set(seeds.map(sequence)).size).toBe(seeds.length)
    expect(sequence(7)).toBe('813186172107610277350486655412')
  })

  test('lives that come and go stay more even than by chance', () => {
    const members = numbered(20)
    const two = drawsOf(members)
    for (let life = 0; life < 20_000; life++) two.choose([])!.live += 1
    const most = Math.max(...members.map(({ live }) => live))
    // One random choice each would leave the busiest about 80 above the mean.
    expect(most).toBeLessThan(1000 + 6)
  })
})
