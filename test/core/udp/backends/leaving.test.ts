/** Sets of backends: who leaves, and who is waited for. */
import { describe, expect, test } from 'vitest'
import {
  ANSWERED,
  abortFlow,
  answer,
  applied,
  at,
  backends,
  benchAfter,
  C1,
  C2,
  closed,
  closeUpstream,
  cut,
  down,
  drained,
  F1,
  F2,
  LEFT,
  LEFT_QUIET,
  OPEN,
  openCommand,
  opened,
  query,
  TICK,
  testRows,
  up,
} from '../rows.ts'

describe('a set', () => {
  testRows([
    { name: 'is answered', when: backends(1, 'AB'), then: [applied(1)] },
    { name: 'may be empty', when: backends(1, ''), then: [applied(1)] },
    {
      name: 'of an earlier version changes nothing, and is answered with the one in force',
      given: [backends(5, 'A')],
      when: backends(4, 'B'),
      then: [applied(5)],
    },
    {
      name: 'of the version in force changes nothing either',
      given: [backends(5, 'A')],
      when: backends(5, 'B'),
      then: [applied(5)],
    },
    {
      name: 'and did not: A is still there',
      given: [backends(5, 'A'), backends(5, 'B')],
      when: query(C1),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'may have another address for a backend; new flows go there',
      given: [
        backends(1, 'A'),
        {
          type: 'apply-backends',
          version: 2,
          backends: [{ id: 'A', host: '10.9.9.9', port: 9 }],
        },
      ],
      when: query(C1),
      then: [
        {
          type: 'open-upstream',
          flow: F1,
          attempt: 1,
          backend: 'A',
          host: '10.9.9.9',
          port: 9,
        },
      ],
    },
  ])
})

describe('a backend that leaves', () => {
  testRows([
    {
      name: 'with nothing on it is drained',
      given: [backends(1, 'AB')],
      when: backends(2, 'B'),
      then: [applied(2), drained('A', 2)],
    },
    {
      name: 'several in the order of the set before',
      given: [backends(1, 'CAB')],
      when: backends(2, ''),
      then: [applied(2), drained('C', 2), drained('A', 2), drained('B', 2)],
    },
    {
      name: 'with flows that wait for nothing is drained too',
      given: ANSWERED,
      when: backends(2, ''),
      then: [applied(2), drained('A', 2)],
    },
    {
      name: 'while a socket to it opens is not drained yet',
      given: [backends(1, 'A'), query(C1)],
      when: backends(2, ''),
      then: [applied(2)],
    },
    {
      name: 'while it owes an answer is not drained yet',
      given: OPEN,
      when: backends(2, ''),
      then: [applied(2)],
    },
    {
      name: 'that owes is drained after the one that does not',
      given: [backends(1, 'AB'), query(C1), opened(F1), query(C2), opened(F2), answer(F2)],
      when: backends(2, ''),
      then: [applied(2), drained('B', 2)],
    },
    {
      name: 'is drained by the last answer',
      given: LEFT,
      when: answer(F1),
      then: [down(F1, C1), drained('A', 2)],
    },
    {
      name: 'not by the first of two',
      given: [...OPEN, query(C1), backends(2, 'B')],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'nor by that of one flow while another waits',
      given: [backends(1, 'A'), query(C1), opened(F1), query(C2), opened(F2), backends(2, 'B')],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'but by that of the other',
      given: [
        backends(1, 'A'),
        query(C1),
        opened(F1),
        query(C2),
        opened(F2),
        backends(2, 'B'),
        answer(F1),
      ],
      when: answer(F2),
      then: [down(F2, C2), drained('A', 2)],
    },
    {
      name: 'is drained by an answer that ends its flow, after the end',
      config: { responses: 1 },
      given: LEFT,
      when: at(150, answer(F1)),
      then: [
        down(F1, C1),
        closed(F1, 'responses', { up: [1, 1], down: [1, 1], ms: 150 }),
        drained('A', 2),
      ],
    },
    {
      name: 'is drained by the end of the last flow that waits',
      given: LEFT,
      when: at(150, abortFlow(F1)),
      then: [closed(F1, 'aborted', { up: [1, 1], ms: 150 }), drained('A', 2)],
    },
    {
      name: 'the version is the one in force then',
      given: [...LEFT, backends(3, 'BC')],
      when: answer(F1),
      then: [down(F1, C1), drained('A', 3)],
    },
    {
      name: 'is drained once only',
      given: [...LEFT, answer(F1), query(C1), opened(F1, 2), answer(F1, 'a', 2)],
      when: abortFlow(F1),
      then: [
        closed(F1, 'aborted', {
          backend: 'B',
          attempt: 2,
          up: [2, 2],
          down: [2, 2],
          ms: 100,
        }),
      ],
    },
    {
      name: 'a later answer of its quiet flow is returned all the same',
      given: LEFT_QUIET,
      when: answer(F1, 'more'),
      then: [down(F1, C1, 'more')],
    },
    {
      name: 'one that comes back before it is drained is not reported',
      given: [...LEFT, backends(3, 'AB')],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'nor later',
      given: [...LEFT, backends(3, 'AB')],
      when: at(10_000, TICK),
      then: [closed(F1, 'half-open', { up: [1, 1], ms: 10_000 })],
    },
    {
      name: 'and its flow goes on there',
      given: [...LEFT, backends(3, 'AB')],
      when: at(2_100, query(C1)),
      then: [up(F1)],
    },
    {
      name: 'one that comes back when it is drained is another one to its old flow',
      given: [...LEFT_QUIET, backends(3, 'A')],
      when: query(C1),
      then: [closeUpstream(F1), openCommand(F1, 'A', 2)],
    },
  ])
})

describe('how long answers of a backend that left are waited for', () => {
  testRows([
    {
      name: 'a tick before the end of it',
      given: LEFT,
      when: at(2_099, TICK),
      then: [],
    },
    {
      name: 'a tick at its end',
      given: LEFT,
      when: at(2_100, TICK),
      then: [drained('A', 2)],
    },
    {
      name: 'as the configuration says',
      config: { lingerMs: 300 },
      given: LEFT,
      when: at(400, TICK),
      then: [drained('A', 2)],
    },
    {
      name: 'not at all',
      config: { lingerMs: 0 },
      given: LEFT,
      when: at(100, TICK),
      then: [drained('A', 2)],
    },
    {
      name: 'the answer that comes after that is returned; it drains nothing',
      given: [...LEFT, at(2_100, TICK)],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'from when it left last',
      given: [...LEFT, at(1_000, backends(3, 'AB')), at(1_500, backends(4, 'B'))],
      when: at(3_499, TICK),
      then: [],
    },
    {
      name: 'several, those that left first first',
      config: { lingerMs: 300 },
      given: [
        backends(1, 'AB'),
        query(C1),
        query(C2),
        at(10, backends(2, 'A')),
        at(20, backends(3, '')),
      ],
      when: at(400, TICK),
      then: [drained('B', 3), drained('A', 3)],
    },
    {
      name: 'flows that are due come before it',
      config: { lingerMs: 300, halfOpenTimeoutMs: 32 },
      given: [backends(1, 'A'), query(C1), backends(2, '')],
      when: at(300, TICK),
      then: [closed(F1, 'half-open', { ms: 300 }), drained('A', 2)],
      drops: { 'held-lost': 1 },
    },
  ])

  test('the table asks for the tick at that very instant', () => {
    expect(benchAfter(LEFT).table.deadline()).toBe(2_100)
    expect(benchAfter([...LEFT, answer(F1)]).tickUntil(2_200)).toEqual([])
  })
})

describe('cut', () => {
  testRows([
    {
      name: 'a backend that left: it is drained',
      given: LEFT,
      when: cut('A'),
      then: [drained('A', 2)],
    },
    { name: 'twice: once', given: [...LEFT, cut('A')], when: cut('A'), then: [] },
    { name: 'a backend that drained', given: LEFT_QUIET, when: cut('A'), then: [] },
    { name: 'a backend of the set', given: OPEN, when: cut('A'), then: [] },
    { name: 'a backend that never was', given: OPEN, when: cut('Z'), then: [] },
    {
      name: 'its linger ends with it',
      given: [...LEFT, cut('A')],
      when: at(2_100, TICK),
      then: [],
    },
    {
      name: 'the next datagram goes to another one',
      given: [...LEFT, cut('A')],
      when: query(C1),
      then: [closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'the answer is still returned, where it comes before that',
      given: [...LEFT, cut('A')],
      when: answer(F1),
      then: [down(F1, C1)],
    },
  ])
})
