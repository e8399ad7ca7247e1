/** A table restored in a process that has none of its sockets. */
import { describe, expect, test } from 'vitest'
import type { FlowTableSnapshot } from '../../../core/udp/snapshot.ts'
import { FlowTable } from '../../../core/udp/table.ts'
import {
  ANSWERED,
  answer,
  at,
  Bench,
  backends,
  benchAfter,
  C1,
  F1,
  failed,
  OPEN,
  opened,
  query,
  type Step,
} from './rows.ts'

const restored = (given: readonly Step[], at = 0): Bench => {
  const { table, now } = benchAfter(given)
  const snapshot = JSON.parse(JSON.stringify(table.snapshot(now))) as FlowTableSnapshot
  return new Bench(FlowTable.restore(snapshot, at, {}, 'lost'), at)
}

describe.each([
  ['an open flow that is owed an answer', OPEN],
  ['an answered flow', ANSWERED],
])('%s', (_, given) => {
  test('asks for a socket to its backend when its client sends', () => {
    const bench = restored(given)
    const [command, ...more] = bench.run(query(C1))
    expect(more).toEqual([])
    expect(command).toMatchObject({ type: 'open-upstream', flow: F1, attempt: 2 })
    expect(bench.run(opened(F1, 2))).toMatchObject([{ type: 'send-upstream', attempt: 2 }])
    expect(bench.run(query(C1))).toMatchObject([{ type: 'send-upstream', attempt: 2 }])
  })

  test('hears nothing of the socket it had', () => {
    const bench = restored(given)
    bench.run(query(C1))
    expect(bench.run(answer(F1, 'late', 1))).toEqual([])
    expect(bench.run(failed(F1, 1))).toEqual([])
  })

  test('ends as usual when its client stays silent', () => {
    const bench = restored(given)
    const ticks = bench.tickUntil(60_000)
    expect(ticks.flatMap(({ commands }) => commands)).toMatchObject([{ type: 'close-flow' }])
    expect(bench.table.deadline()).toBeUndefined()
  })
})

test('a flow that was opening opens again, with what it held', () => {
  const bench = restored([backends(1, 'A'), query(C1)])
  expect(bench.run(query(C1))).toMatchObject([{ type: 'open-upstream', attempt: 2 }])
  expect(bench.run(opened(F1, 1))).toEqual([])
  expect(bench.run(opened(F1, 2))).toMatchObject([
    { type: 'send-upstream' },
    { type: 'send-upstream' },
  ])
})

test('the clock of the next process may begin anywhere', () => {
  const bench = restored([...ANSWERED, at(5_000, query(C1))], 7)
  expect(bench.table.flows(7, 1)).toMatchObject([{ totals: { durationMs: 5_000 } }])
  expect(bench.run(query(C1))).toMatchObject([{ type: 'open-upstream', attempt: 2 }])
})

test('udp W30: a flow does not go back to a backend that left meanwhile', () => {
  const bench = restored(ANSWERED)
  bench.run(backends(2, 'B'))
  expect(bench.run(query(C1))).toMatchObject([
    { type: 'close-upstream', attempt: 1 },
    { type: 'open-upstream', backend: 'B', attempt: 2 },
  ])
})
