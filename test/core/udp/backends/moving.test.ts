/** Where flows go whose backend is not usable. */
import { describe, expect, test } from 'vitest'
import {
  ANSWERED,
  abortFlow,
  answer,
  at,
  backends,
  benchAfter,
  C1,
  C2,
  C3,
  closed,
  closeUpstream,
  down,
  drained,
  F1,
  F2,
  F3,
  failed,
  flow,
  LEFT,
  LEFT_QUIET,
  OPEN,
  openCommand,
  opened,
  query,
  testRows,
  up,
} from '../rows.ts'

describe('udp W16: a flow whose backend is not usable goes to another one', () => {
  testRows([
    {
      name: 'its backend left, and owes nothing',
      given: LEFT_QUIET,
      when: query(C1, 'q2'),
      then: [closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'the datagram waits for the new socket',
      given: [...LEFT_QUIET, query(C1, 'q2'), query(C1, 'q3')],
      when: opened(F1, 2),
      then: [up(F1, 'q2', { attempt: 2 }), up(F1, 'q3', { attempt: 2 })],
    },
    {
      name: 'then it goes on',
      given: [...LEFT_QUIET, query(C1, 'q2'), opened(F1, 2)],
      when: query(C1, 'q3'),
      then: [up(F1, 'q3', { attempt: 2 })],
    },
    {
      name: 'its backend is down, whatever it owes',
      given: [...OPEN, backends(2, 'aB')],
      when: query(C1),
      then: [closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'its backend left and owes: the flow stays while it waits',
      given: LEFT,
      when: at(2_099, query(C1)),
      then: [up(F1)],
    },
    {
      name: 'but not longer than that',
      given: LEFT,
      when: at(2_100, query(C1)),
      then: [closeUpstream(F1), drained('A', 2), openCommand(F1, 'B', 2)],
    },
    {
      name: 'nor when it was the flow of another client that waits',
      given: [
        backends(1, 'A'),
        query(C1),
        opened(F1),
        query(C2),
        opened(F2),
        answer(F1),
        backends(2, 'B'),
      ],
      when: query(C1),
      then: [closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'a new backend owes nothing: the answers of the old one are not waited for',
      config: { responses: 1 },
      given: [...OPEN, query(C1), backends(2, 'aB'), query(C1), opened(F1, 2)],
      when: answer(F1, 'a', 2),
      then: [
        down(F1, C1),
        closed(F1, 'responses', { backend: 'B', attempt: 2, up: [3, 3], down: [1, 1] }),
      ],
    },
    {
      name: 'requests are counted on',
      config: { requests: 2 },
      given: [...ANSWERED, backends(2, 'aB'), query(C1), opened(F1, 2)],
      when: query(C1),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'there is no other: it stays',
      given: [...ANSWERED, backends(2, '')],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'there is no other that is up: it stays',
      options: { failOpen: false },
      given: [...ANSWERED, backends(2, 'a')],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'all are down and used all the same: it stays',
      given: [...ANSWERED, backends(2, 'ab')],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'a failure of the other one brings it back',
      given: [
        backends(1, 'A'),
        query(C1),
        opened(F1),
        backends(2, 'aB'),
        query(C1),
        backends(3, 'AB'),
      ],
      when: failed(F1, 2),
      then: [
        { type: 'backend-failed', backend: 'B', reason: 'refused' },
        closeUpstream(F1, 2),
        openCommand(F1, 'A', 3),
      ],
    },
    {
      name: 'its last socket is the one that is released at the end',
      given: [...LEFT_QUIET, query(C1, 'q2')],
      when: at(164, abortFlow(F1)),
      then: [
        closed(F1, 'aborted', {
          backend: 'B',
          attempt: 2,
          up: [1, 1],
          down: [1, 1],
          ms: 164,
        }),
      ],
      drops: { 'held-lost': 1 },
    },
  ])

  test('opening another socket takes no longer than opening the first', () => {
    const bench = benchAfter([...LEFT_QUIET, at(1_000, query(C1))])
    expect(bench.tickUntil(60_000)).toEqual([
      {
        at: 6_000,
        commands: [
          closed(F1, 'idle', {
            backend: 'B',
            attempt: 2,
            up: [1, 1],
            down: [1, 1],
            ms: 6_000,
          }),
        ],
      },
    ])
  })
})

describe('how much lives on a backend', () => {
  /** Chooses whoever carries least, the first of those. */
  const leastLoaded = () => {
    let candidates: readonly { live: number; backend: { id: string } }[] = []
    return {
      replace: (_: unknown, next: typeof candidates) => {
        candidates = next
      },
      choose: (exclude: readonly unknown[]) =>
        candidates
          .filter((member) => !exclude.includes(member))
          .toSorted((one, other) => one.live - other.live)[0] as never,
    }
  }
  const rows = (affinity: 'source-ip-port' | 'source-ip' | 'datagram') => ({
    config: { affinity },
    options: { strategy: leastLoaded() },
  })
  testRows([
    {
      name: 'a flow counts on its backend',
      ...rows('source-ip-port'),
      given: [backends(1, 'AB'), query(C1)],
      when: query(C2),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'until it ends',
      ...rows('source-ip-port'),
      given: [backends(1, 'AB'), query(C1), query(C2), abortFlow(F1), abortFlow(F2)],
      when: query(C1),
      then: [openCommand(flow(1, 3), 'A')],
    },
    {
      name: 'and moves with it',
      ...rows('source-ip-port'),
      given: [backends(1, 'AB'), query(C1), failed(F1), query(C2)],
      when: query(C3),
      then: [openCommand(F3, 'A')],
    },
    {
      name: 'a refused client counts nowhere',
      ...rows('source-ip-port'),
      given: [backends(1, 'AB'), query(C1), { type: 'drain' }, query(C2)],
      when: failed(F1),
      then: [
        { type: 'backend-failed', backend: 'A', reason: 'refused' },
        closeUpstream(F1),
        openCommand(F1, 'B', 2),
      ],
    },
  ])

  test('every choice that was made is taken back in the end', () => {
    for (const affinity of ['source-ip-port', 'source-ip', 'datagram'] as const) {
      const { config, options } = rows(affinity)
      const bench = benchAfter([backends(1, 'AB')], { ...config, flowsMax: 2 }, options)
      for (let turn = 0; turn < 20; turn++) {
        bench.runAll([query(C1), query(C2), opened(F1), opened(F2), query(C1), query(C2)])
      }
      bench.run({ type: 'drain' })
      bench.runAll([query(C1), query(C2), query(C1), { type: 'close-all' }])
      expect(bench.table.state.group.liveOn('A')).toBe(0)
      expect(bench.table.state.group.liveOn('B')).toBe(0)
    }
  })
})
