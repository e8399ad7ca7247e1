/** Who gives way to a new client when the table is full. */
import { describe, expect, test } from 'vitest'
import {
  ANSWERED,
  address,
  answer,
  at,
  backends,
  benchAfter,
  C1,
  C2,
  C3,
  C4,
  closed,
  configure,
  crowd,
  drained,
  F1,
  F2,
  flow,
  OPEN,
  openCommand,
  opened,
  query,
  testRows,
} from '../rows.ts'

describe('a new client and a full table: the flow that was never answered gives way', () => {
  testRows([
    {
      name: 'with one flow less than it takes, nobody does',
      config: { flowsMax: 2 },
      given: [backends(1, 'A'), query(C1)],
      when: query(C2),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'the one with the earliest deadline, and what it holds',
      config: { flowsMax: 2 },
      given: [backends(1, 'A'), query(C1), at(32, query(C2)), at(40, query(C1, 'more'))],
      when: at(50, query(C3)),
      then: [closed(F1, 'evicted', { ms: 50 }), openCommand(flow(0, 3), 'A')],
      drops: { 'held-lost': 2 },
    },
    {
      name: 'which is not always the oldest',
      config: { flowsMax: 2 },
      given: [...OPEN, at(500, query(C2)), at(1000, query(C1))],
      when: at(1000, query(C3)),
      then: [closed(F2, 'evicted', { client: C2, ms: 500 }), openCommand(flow(1, 3), 'A')],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'each by the deadline of its own configuration',
      config: { flowsMax: 2, halfOpenTimeoutMs: 5000 },
      given: [
        backends(1, 'A'),
        query(C1),
        configure({ flowsMax: 2, halfOpenTimeoutMs: 1000 }),
        at(100, query(C2)),
      ],
      when: at(200, query(C3)),
      then: [closed(F2, 'evicted', { client: C2, ms: 100 }), openCommand(flow(1, 3), 'A')],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'never one that was answered, however near its end',
      config: { flowsMax: 2, backTimeoutMs: 500 },
      given: [...ANSWERED, at(100, query(C2))],
      when: at(200, query(C3)),
      then: [closed(F2, 'evicted', { client: C2, ms: 100 }), openCommand(flow(1, 3), 'A')],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'also one that takes no more requests',
      config: { flowsMax: 1, requests: 1 },
      given: OPEN,
      when: query(C2),
      then: [closed(F1, 'evicted', { up: [1, 1] }), openCommand(flow(0, 2), 'A')],
    },
    {
      name: 'one only, also when the table has more than it may',
      config: { flowsMax: 3 },
      given: [
        backends(1, 'A'),
        query(C1),
        at(16, query(C2)),
        at(32, query(C3)),
        configure({ flowsMax: 1 }),
      ],
      when: at(48, query(C4)),
      then: [closed(F1, 'evicted', { ms: 48 }), openCommand(flow(0, 4), 'A')],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'none when the table takes nobody',
      config: { flowsMax: 2 },
      given: [...OPEN, configure({ flowsMax: 0 })],
      when: query(C2),
      then: [],
      drops: { shed: 1 },
    },
    {
      name: 'when that was the last to wait for a backend that left, it is drained',
      config: { flowsMax: 1 },
      given: [...OPEN, backends(2, 'B')],
      when: query(C2),
      then: [closed(F1, 'evicted', { up: [1, 1] }), drained('A', 2), openCommand(flow(0, 2), 'B')],
    },
    {
      name: 'its client is a new one then',
      config: { flowsMax: 1 },
      given: [...OPEN, query(C2), opened(flow(0, 2)), answer(flow(0, 2))],
      when: query(C1),
      then: [],
      drops: { shed: 1 },
    },
  ])

  test('many with one deadline: always the same one, and each only once', () => {
    const clients = Array.from({ length: 8 }, (_, i) => address(`203.0.113.${i}:1`))
    const victims = () => {
      const bench = benchAfter([backends(1, 'A'), ...clients.slice(0, 4).map((c) => query(c))], {
        flowsMax: 4,
      })
      return clients.slice(4).map((client) => bench.run(query(client))[0])
    }
    const first = victims()
    expect(new Set(first.map((command) => JSON.stringify(command))).size).toBe(4)
    expect(victims()).toEqual(first)
  })
})

test('udp W17: where more timers were put off than it looks at, the earliest it saw gives way', () => {
  const clients = crowd(100)
  const bench = benchAfter([backends(1, 'A')], { flowsMax: 100 })
  bench.runMany(clients.flatMap((client, i) => [query(client), opened(flow(i, i + 1))]))
  bench.now = 500
  bench.runMany([query(clients[70]!)])
  bench.now = 1_000
  bench.runMany(clients.filter((_, i) => i !== 70).map((client) => query(client)))
  expect(bench.run(query(C1))[0]).toMatchObject({ type: 'close-flow', flow: flow(70, 71) })
})
