/**
 * The ledger in a world that answers late, twice, out of order and after crashes.
 *
 * FC_RUNS=100000 runs so many scripts instead of 500, FC_SEED=N those of one seed.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Script, scripts } from './scripts.ts'
import { World } from './world.ts'

const RUNS = Number(process.env.FC_RUNS ?? 500)
const settings = {
  numRuns: RUNS,
  ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }),
}
const TIMEOUT_MS = 60_000 + 100 * RUNS

function played(script: Script): World {
  const world = new World()
  for (const action of script) world.act(action)
  world.end()
  return world
}

test('proxy W3, W33, W36: whatever happens, a port has one owner, and what is wanted listens in the end', {
  timeout: TIMEOUT_MS,
}, () => {
  fc.assert(
    fc.property(scripts, (script) => void played(script)),
    settings,
  )
})

test('scripts reach every state, every kind of refusal and every kind of late answer', () => {
  const sum = new Map<string, number>()
  for (const script of fc.sample(scripts, { numRuns: 500, seed: 1 })) {
    for (const [mark, count] of played(script).marks) sum.set(mark, (sum.get(mark) ?? 0) + count)
  }
  const marks = [
    ...['waiting', 'binding', 'listening', 'retrying', 'absent', 'releasing'],
    ...['claimed', 'refused', 'refused: leaving', 'refused: route', 'carries', 'shared'],
    ...['stale bound', 'stale bind-failed', 'stale unbound', 'restore kept', 'restore lost'],
  ]
  expect(marks.filter((mark) => (sum.get(mark) ?? 0) < 5)).toEqual([])
}, 60_000)
