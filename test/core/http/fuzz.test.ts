import { expect, test } from 'vitest'
import { fuzz } from './fuzz.ts'

test('broken heads and chunks: the same in pieces, the same as the oracle, and no throw', () => {
  const tally = fuzz(30_000, 7)
  expect(tally.taken).toBeGreaterThan(1000)
  expect(tally.refused).toBeGreaterThan(10_000)
})

test('the same seed makes the same', () => {
  expect(fuzz(2000, 3)).toEqual(fuzz(2000, 3))
})
