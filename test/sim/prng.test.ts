import { expect, test } from 'vitest'
import { drawsOf, NEVER, Prng, ratio } from '../../sim/prng.ts'

const first = (prng: Prng, count: number): number[] =>
  Array.from({ length: count }, () => prng.next())

test('a seed and a name decide all that is drawn', () => {
  expect(first(new Prng(7, 'faults'), 50)).toEqual(first(new Prng(7, 'faults'), 50))
  expect(first(new Prng(7, 'faults'), 4)).not.toEqual(first(new Prng(8, 'faults'), 4))
  expect(first(new Prng(7, 'faults'), 4)).not.toEqual(first(new Prng(7, 'clients'), 4))
})

test('the numbers stay what they are: old seeds keep their meaning', () => {
  expect(first(new Prng(1, 'swarm'), 3)).toEqual(GOLDEN)
})

test('a draw from one stream leaves the others alone', () => {
  const one = drawsOf(3)
  const other = drawsOf(3)
  first(one.faults, 100)
  expect(first(one.workload, 5)).toEqual(first(other.workload, 5))
})

test('draws stay within their limits, ends included', () => {
  const prng = new Prng(1, 'test')
  const seen = new Set<number>()
  for (let i = 0; i < 1_000; i++) seen.add(prng.between(3, 6))
  expect([...seen].sort()).toEqual([3, 4, 5, 6])
  expect(prng.below(0)).toBe(0)
  expect(prng.below(1)).toBe(0)
})

test('a chance comes about as often as its ratio says, and never at 0', () => {
  const prng = new Prng(2, 'test')
  let hits = 0
  for (let i = 0; i < 8_000; i++) hits += Number(prng.chance(ratio(1, 4)))
  expect(hits).toBeGreaterThan(1_800)
  expect(hits).toBeLessThan(2_200)
  const before = new Prng(5, 'test')
  const after = new Prng(5, 'test')
  for (let i = 0; i < 10; i++) expect(after.chance(NEVER)).toBe(false)
  expect(after.next(), 'what never happens draws nothing').toBe(before.next())
})

test('weights decide how often an index comes; 0 never', () => {
  const prng = new Prng(4, 'test')
  const counts = [0, 0, 0]
  for (let i = 0; i < 4_000; i++) counts[prng.weighted([3, 0, 1])]! += 1
  expect(counts[1]).toBe(0)
  expect(counts[0]).toBeGreaterThan(2 * counts[2]!)
  expect(prng.weighted([0, 0])).toBe(-1)
})

const GOLDEN: readonly number[] = [554_757_650, 1_072_716_317, 890_131_949]
