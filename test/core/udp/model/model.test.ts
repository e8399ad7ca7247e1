/**
 * The flow table against the model of its page (`sim/udp/model`): the same commands, counters,
 * flows and deadlines after every step of any script, and from any table restored on the way.
 *
 * FC_RUNS=100000 runs so many scripts instead of a thousand or two, FC_SEED=N those of one seed.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type UdpCounters, zeroCounters } from '../../../../core/udp/counters.ts'
import { type Mass, MassRun } from './mass-run.ts'
import { runScript } from './script-run.ts'
import { scripts } from './scripts.ts'

const RUNS = Number(process.env.FC_RUNS ?? 1_500)
const settings = {
  numRuns: RUNS,
  ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }),
}
const TIMEOUT_MS = 60_000 + 100 * RUNS

test('udp W38: a table does what the model does, whatever happens to it', {
  timeout: TIMEOUT_MS,
}, () => {
  fc.assert(
    fc.property(scripts, (script) => {
      expect(runScript(script).problem).toBeUndefined()
    }),
    settings,
  )
})

test('scripts reach every way to end and every reason to drop', () => {
  const sum = zeroCounters()
  for (const script of fc.sample(scripts, { numRuns: 500, seed: 1 })) {
    const { counters } = runScript(script).table
    add(sum.closed, counters.closed)
    add(sum.dropped, counters.dropped)
    sum.reselected += counters.reselected
    sum.staleAnswers += counters.staleAnswers
  }
  const { closed, dropped, reselected, staleAnswers } = sum
  const all = Object.entries({ ...closed, ...dropped, reselected, staleAnswers })
  expect(all.filter(([, count]) => count < 5)).toEqual([])
})

function add(sum: Record<string, number>, counts: UdpCounters['closed' | 'dropped']): void {
  for (const [reason, count] of Object.entries(counts)) sum[reason] = (sum[reason] ?? 0) + count
}

const masses: fc.Arbitrary<Mass> = fc.record({
  flows: fc.oneof(
    fc.integer({ min: 1, max: 3_500 }),
    fc.constantFrom(1_023, 1_024, 1_025, 2_047, 2_048, 2_049),
  ),
  answeredPercent: fc.constantFrom(0, 50, 100),
  how: fc.constantFrom('close-all', 'close', 'abort-all', 'idle'),
  lateMs: fc.array(fc.constantFrom(-1, 0, 1, 5, 400), { minLength: 1, maxLength: 6 }),
  newcomers: fc.integer({ min: 0, max: 3 }),
  restores: fc.boolean(),
})

test('many flows are closed in parts: at most 1,024 a step, each exactly once', {
  timeout: TIMEOUT_MS,
}, () => {
  fc.assert(
    fc.property(masses, (mass) => new MassRun(mass).run()),
    { ...settings, numRuns: Math.ceil(RUNS / 50) },
  )
})
