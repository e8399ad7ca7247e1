import { expect, test } from 'vitest'
import { simulate } from '../../sim/simulate.ts'
import { expectedMarks } from '../../sim/trace.ts'

const SEEDS = 200
const STEPS = 300

test(`${SEEDS} seeds find nothing, and see every event, command, end of a client, a flow and an exchange`, () => {
  const seen = new Set<string>()
  const failures: unknown[] = []
  for (let seed = 0; seed < SEEDS; seed++) {
    const result = simulate(seed, STEPS)
    for (const mark of result.seen.keys()) seen.add(mark)
    if (result.failure !== undefined) failures.push({ seed, ...result.failure })
  }
  expect(failures, `replay with: weir sim --seed N --steps ${STEPS}`).toEqual([])
  const due = expectedMarks().filter((mark) =>
    /^(event|command|client|settled|socket|udp (event|close|drop)|http (event|command|outcome)) /.test(
      mark,
    ),
  )
  expect(due.filter((mark) => !seen.has(mark))).toEqual([])
}, 120_000)

test('the same seed gives the same trace, another seed another one', () => {
  const hashes = new Set<string>()
  for (let seed = 0; seed < 25; seed++) {
    const { hash, steps } = simulate(seed, STEPS)
    expect(simulate(seed, STEPS)).toMatchObject({ hash, steps })
    hashes.add(hash)
  }
  expect(hashes.size).toBe(25)
})
