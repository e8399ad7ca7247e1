/** Answers to `open-upstream`, in time and late, and datagrams of sockets that are over. */
import { describe, expect, test } from 'vitest'
import {
  ANSWERED,
  abortFlow,
  answer,
  at,
  backends,
  benchAfter,
  blamed,
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
  OPEN,
  openCommand,
  opened,
  query,
  type Step,
  testRows,
  up,
} from '../rows.ts'

const AB: readonly Step[] = [backends(1, 'AB'), query(C1, 'q1'), query(C1, 'q2')]

describe('a socket that opens', () => {
  testRows([
    { name: 'takes what is held', given: AB, when: opened(F1), then: [up(F1, 'q1'), up(F1, 'q2')] },
    {
      name: 'of a flow that holds nothing says nothing',
      config: { heldBytesMax: 0 },
      given: [backends(1, 'A'), query(C1)],
      when: opened(F1),
      then: [],
    },
    {
      name: 'of a flow that holds nothing, whose backend left: nothing waits for it any more',
      config: { heldBytesMax: 0 },
      given: [backends(1, 'A'), query(C1), backends(2, 'B')],
      when: opened(F1),
      then: [drained('A', 2)],
    },
    {
      name: 'takes what is held also when its backend left meanwhile',
      given: [backends(1, 'A'), query(C1), backends(2, 'B')],
      when: opened(F1),
      then: [up(F1)],
    },
  ])
})

describe('a backend that is unreachable', () => {
  testRows([
    {
      name: 'is reported, and another one is tried; what is held stays held',
      given: AB,
      when: failed(F1),
      then: [blamed('A'), closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'the other one gets it all',
      given: [...AB, failed(F1), query(C1, 'q3')],
      when: opened(F1, 2),
      then: [
        up(F1, 'q1', { attempt: 2 }),
        up(F1, 'q2', { attempt: 2 }),
        up(F1, 'q3', { attempt: 2 }),
      ],
    },
    {
      name: 'without another one, its flow ends',
      given: [backends(1, 'A'), query(C1)],
      when: failed(F1),
      then: [blamed('A'), closed(F1, 'backend-failed', {})],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'one that is down is no other one while another is up',
      given: [backends(1, 'Ab'), query(C1)],
      when: failed(F1),
      then: [blamed('A'), closed(F1, 'backend-failed', {})],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'after the second failure the first one may be tried again',
      given: [...AB, failed(F1)],
      when: failed(F1, 2),
      then: [blamed('B'), closeUpstream(F1, 2), openCommand(F1, 'A', 3)],
    },
    {
      name: 'after the third in a row its flow ends, whoever is left',
      given: [backends(1, 'ABCD'), query(C1), failed(F1), failed(F1, 2)],
      when: failed(F1, 3),
      then: [blamed('C'), closed(F1, 'backend-failed', { backend: 'C', attempt: 3 })],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'an open between starts the count again',
      given: [
        backends(1, 'ABCD'),
        query(C1),
        failed(F1),
        failed(F1, 2),
        opened(F1, 3),
        failed(F1, 3),
      ],
      when: failed(F1, 4),
      then: [blamed('D'), closeUpstream(F1, 4), openCommand(F1, 'A', 5)],
    },
    {
      name: 'and three are three again',
      given: [
        backends(1, 'ABCD'),
        query(C1),
        failed(F1),
        failed(F1, 2),
        opened(F1, 3),
        failed(F1, 3),
        failed(F1, 4),
      ],
      when: at(1000, failed(F1, 5)),
      then: [blamed('A'), closed(F1, 'backend-failed', { attempt: 5, up: [1, 1], ms: 1000 })],
    },
    {
      name: 'udp W16: an open flow goes to another one at once',
      given: [backends(1, 'AB'), query(C1), opened(F1)],
      when: failed(F1),
      then: [blamed('A'), closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'its client goes on there',
      given: [backends(1, 'AB'), query(C1), opened(F1), failed(F1), query(C1, 'again')],
      when: opened(F1, 2),
      then: [up(F1, 'again', { attempt: 2 })],
    },
    {
      name: 'an open flow without another one ends',
      given: ANSWERED,
      when: at(50, failed(F1)),
      then: [blamed('A'), closed(F1, 'backend-failed', { up: [1, 1], down: [1, 1], ms: 50 })],
    },
    {
      name: 'a flow that takes no more requests ends: nobody else would answer',
      config: { requests: 1 },
      given: [backends(1, 'AB'), query(C1), opened(F1)],
      when: failed(F1),
      then: [blamed('A'), closed(F1, 'backend-failed', { up: [1, 1] })],
    },
    {
      name: 'a flow of one datagram balanced by itself ends too',
      config: { affinity: 'datagram' },
      given: [backends(1, 'AB'), query(C1)],
      when: failed(F1),
      then: [blamed('A'), closed(F1, 'backend-failed', {})],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'is reported at most once a second',
      given: [...AB, query(C2), query(C3), failed(F1)],
      when: at(999, failed(F3)),
      then: [closeUpstream(F3), openCommand(F3, 'B', 2)],
    },
    {
      name: 'and again after it',
      given: [...AB, query(C2), query(C3), failed(F1)],
      when: at(1000, failed(F3)),
      then: [blamed('A'), closeUpstream(F3), openCommand(F3, 'B', 2)],
    },
    {
      name: 'another one is reported by itself',
      given: [...AB, query(C2), failed(F1)],
      when: failed(F2),
      then: [blamed('B'), closeUpstream(F2), openCommand(F2, 'A', 2)],
    },
    {
      name: 'that left is drained when the last that waited goes to another one',
      given: [backends(1, 'A'), query(C1), backends(2, 'B')],
      when: failed(F1),
      then: [blamed('A'), closeUpstream(F1), drained('A', 2), openCommand(F1, 'B', 2)],
    },
    {
      name: 'that left is drained when the last that waited ends',
      given: [backends(1, 'A'), query(C1), backends(2, '')],
      when: failed(F1),
      then: [blamed('A'), closed(F1, 'backend-failed', {}), drained('A', 2)],
      drops: { 'held-lost': 1 },
    },
  ])
})

describe('this machine lacks a socket', () => {
  testRows([
    {
      name: 'the flow ends; nobody is blamed and nobody else is tried',
      given: AB,
      when: failed(F1, 1, 'host'),
      then: [closed(F1, 'host-limit', {})],
      drops: { 'held-lost': 2 },
    },
    {
      name: 'also an open one',
      given: ANSWERED,
      when: failed(F1, 1, 'host'),
      then: [closed(F1, 'host-limit', { up: [1, 1], down: [1, 1] })],
    },
    {
      name: 'also one that takes no more requests',
      config: { requests: 1 },
      given: OPEN,
      when: failed(F1, 1, 'host'),
      then: [closed(F1, 'host-limit', { up: [1, 1] })],
    },
    {
      name: 'an answer that is late does not keep anybody out',
      given: [backends(1, 'AB'), query(C1), failed(F1), failed(F1, 1, 'host')],
      when: query(C2),
      then: [openCommand(F2, 'A')],
    },
  ])
})

// Goes red when the attempt of an answer is not compared with the flow's.
describe('late: an answer to an attempt that is over changes nothing', () => {
  /** The flow gave up A for B, and waits for it. */
  const ON_B: readonly Step[] = [...AB, failed(F1)]
  const OPEN_ON_B: readonly Step[] = [...ON_B, opened(F1, 2)]
  testRows([
    { name: 'a success', given: ON_B, when: opened(F1, 1), then: [], stale: 1 },
    {
      name: 'the current attempt still counts after it',
      given: [...ON_B, opened(F1, 1)],
      when: opened(F1, 2),
      then: [up(F1, 'q1', { attempt: 2 }), up(F1, 'q2', { attempt: 2 })],
    },
    { name: 'a failure', given: ON_B, when: failed(F1, 1), then: [], stale: 1 },
    { name: 'a lack of sockets', given: ON_B, when: failed(F1, 1, 'host'), then: [], stale: 1 },
    {
      name: 'a failure, the flow being open',
      given: OPEN_ON_B,
      when: failed(F1, 1),
      then: [],
      stale: 1,
    },
    {
      name: 'a success, the flow being open',
      given: OPEN_ON_B,
      when: opened(F1, 1),
      then: [],
      stale: 1,
    },
    { name: 'a second success', given: OPEN_ON_B, when: opened(F1, 2), then: [], stale: 1 },
    {
      name: 'an answer to an attempt that is yet to come',
      given: AB,
      when: opened(F1, 2),
      then: [],
      stale: 1,
    },
    {
      name: 'a datagram from its socket',
      given: OPEN_ON_B,
      when: answer(F1, 'late', 1),
      then: [],
      drops: { 'unknown-flow': 1 },
    },
    {
      name: 'a datagram from the socket of now is returned',
      given: OPEN_ON_B,
      when: answer(F1, 'a', 2),
      then: [down(F1, C1)],
    },
    {
      name: 'a datagram from its socket, while the other one opens',
      given: ON_B,
      when: answer(F1, 'late', 1),
      then: [],
      drops: { 'unknown-flow': 1 },
    },
    {
      name: 'a datagram from a socket that did not say it is open',
      given: AB,
      when: answer(F1),
      then: [],
      drops: { 'unknown-flow': 1 },
    },
  ])
})

// Goes red when the serial in the flow's id is not compared with the slot's.
describe("udp W11: late for a flow that is over, its slot being another client's", () => {
  const AGAIN = flow(0, 2)
  const RECYCLED: readonly Step[] = [
    backends(1, 'AB'),
    query(C1),
    abortFlow(F1),
    query(C2, 'other'),
  ]
  const RECYCLED_OPEN: readonly Step[] = [...RECYCLED, opened(AGAIN)]
  testRows([
    { name: 'a success', given: RECYCLED, when: opened(F1), then: [], stale: 1 },
    {
      name: 'the success of the other client still counts',
      given: [...RECYCLED, opened(F1)],
      when: opened(AGAIN),
      then: [up(AGAIN, 'other')],
    },
    { name: 'a failure', given: RECYCLED, when: failed(F1), then: [], stale: 1 },
    { name: 'a lack of sockets', given: RECYCLED, when: failed(F1, 1, 'host'), then: [], stale: 1 },
    {
      name: 'a lack of sockets keeps nobody out',
      given: [...RECYCLED, failed(F1, 1, 'host')],
      when: query(C3),
      then: [openCommand(flow(1, 3), 'A')],
    },
    {
      name: 'a datagram',
      given: RECYCLED_OPEN,
      when: answer(F1, 'late'),
      then: [],
      drops: { 'unknown-flow': 1 },
    },
    {
      name: 'a datagram for the other client is returned',
      given: RECYCLED_OPEN,
      when: answer(AGAIN),
      then: [down(AGAIN, C2)],
    },
    { name: 'an abort', given: RECYCLED_OPEN, when: abortFlow(F1), then: [] },
    {
      name: 'an abort of the other flow counts',
      given: RECYCLED_OPEN,
      when: abortFlow(AGAIN),
      then: [closed(AGAIN, 'aborted', { client: C2, backend: 'B', up: [1, 5] })],
    },
  ])
})

describe('late for a flow that is over, or never was', () => {
  const OVER: readonly Step[] = [...OPEN, abortFlow(F1)]
  const NEVER = flow(7_000, 9)
  testRows([
    { name: 'a success', given: OVER, when: opened(F1), then: [], stale: 1 },
    { name: 'a failure', given: OVER, when: failed(F1), then: [], stale: 1 },
    { name: 'a lack of sockets', given: OVER, when: failed(F1, 1, 'host'), then: [], stale: 1 },
    { name: 'a datagram', given: OVER, when: answer(F1), then: [], drops: { 'unknown-flow': 1 } },
    { name: 'an abort', given: OVER, when: abortFlow(F1), then: [] },
    { name: 'a success, never', given: OPEN, when: opened(NEVER), then: [], stale: 1 },
    { name: 'a failure, never', given: OPEN, when: failed(NEVER), then: [], stale: 1 },
    {
      name: 'a datagram, never',
      given: OPEN,
      when: answer(NEVER),
      then: [],
      drops: { 'unknown-flow': 1 },
    },
    { name: 'an abort, never', given: OPEN, when: abortFlow(NEVER), then: [] },
    {
      name: 'a serial that the slot will have',
      given: OVER,
      when: opened(flow(0, 2)),
      then: [],
      stale: 1,
    },
  ])

  test('nothing of it moves a deadline', () => {
    const bench = benchAfter([...OPEN, query(C2)])
    const before = bench.table.deadline()
    bench.runAll([
      at(100, answer(F2, 'x', 2)),
      opened(F1, 3),
      failed(flow(0, 9)),
      answer(F1, 'x', 3),
    ])
    expect(bench.table.deadline()).toBe(before)
    expect(bench.table.flowCount).toBe(2)
  })
})
