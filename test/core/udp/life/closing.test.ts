/** How flows are ended from outside, one or all, and how a listener closes. */
import { describe, expect, test } from 'vitest'
import type { CloseReason, FlowCommand } from '../../../../core/udp/commands.ts'
import {
  ABORT_ALL,
  ANSWERED,
  abortFlow,
  answer,
  applied,
  at,
  backends,
  benchAfter,
  C1,
  C2,
  C3,
  CLOSE,
  CLOSE_ALL,
  closed,
  closeUpstream,
  configure,
  cut,
  DRAIN,
  down,
  drained,
  EMPTIED,
  F1,
  F2,
  F3,
  flow,
  LOCAL,
  OPEN,
  openCommand,
  opened,
  query,
  STOP,
  type Step,
  TICK,
  testRows,
  up,
} from '../rows.ts'

/** An answered flow, one that waits for its answer, and one that waits for its socket. */
const THREE: readonly Step[] = [...ANSWERED, query(C2), opened(F2), query(C3, 'q3')]
const threeClosed = (reason: CloseReason, ms = 0): FlowCommand[] => [
  closed(F1, reason, { up: [1, 1], down: [1, 1], ms }),
  closed(F2, reason, { client: C2, up: [1, 1], ms }),
  closed(F3, reason, { client: C3, ms }),
]

describe('abort-flow', () => {
  testRows([
    {
      name: 'an opening flow, and what it holds',
      given: [backends(1, 'A'), query(C1), query(C1)],
      when: at(70, abortFlow(F1)),
      then: [closed(F1, 'aborted', { ms: 70 })],
      drops: { 'held-lost': 2 },
    },
    {
      name: 'an open flow',
      given: ANSWERED,
      when: abortFlow(F1),
      then: [closed(F1, 'aborted', { up: [1, 1], down: [1, 1] })],
    },
    {
      name: 'a flow that takes no more requests',
      config: { requests: 1 },
      given: OPEN,
      when: abortFlow(F1),
      then: [closed(F1, 'aborted', { up: [1, 1] })],
    },
    {
      name: 'leaves the later flow of its client alone',
      config: { requests: 1 },
      given: [...OPEN, query(C1, 'q2'), abortFlow(F1)],
      when: opened(F2),
      then: [up(F2, 'q2')],
    },
    { name: 'twice: once', given: [...OPEN, abortFlow(F1)], when: abortFlow(F1), then: [] },
  ])
})

describe('drain', () => {
  testRows([
    { name: 'says nothing', given: THREE, when: DRAIN, then: [] },
    { name: 'twice neither', given: [...THREE, DRAIN], when: DRAIN, then: [] },
    {
      name: 'flows go on',
      given: [...THREE, DRAIN],
      when: opened(F3),
      then: [up(F3, 'q3')],
    },
    {
      name: 'and go to other backends',
      given: [...THREE, DRAIN, backends(2, 'B')],
      when: query(C1),
      then: [closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
    {
      name: 'the socket stays when the last flow ends',
      given: [...ANSWERED, DRAIN],
      when: abortFlow(F1),
      then: [closed(F1, 'aborted', { up: [1, 1], down: [1, 1] })],
    },
  ])
})

describe('close-all', () => {
  testRows([
    {
      name: 'ends every flow, in the order of their slots',
      given: THREE,
      when: at(33, CLOSE_ALL),
      then: threeClosed('closed', 33),
      drops: { 'held-lost': 1 },
    },
    {
      name: 'of an empty table does nothing',
      given: [backends(1, 'A')],
      when: CLOSE_ALL,
      then: [],
    },
    { name: 'twice: once', given: [...THREE, CLOSE_ALL], when: CLOSE_ALL, then: [] },
    {
      name: 'clients are new ones then',
      given: [...THREE, CLOSE_ALL],
      when: query(C1),
      then: [openCommand(flow(2, 4), 'A')],
    },
    {
      name: 'those that only wait for answers too',
      config: { requests: 1 },
      given: OPEN,
      when: CLOSE_ALL,
      then: [closed(F1, 'closed', { up: [1, 1] })],
    },
    {
      name: 'backends that left are drained with the last that waits',
      given: [...THREE, backends(2, '')],
      when: CLOSE_ALL,
      then: [...threeClosed('closed'), drained('A', 2)],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'ends a listener that waits to be closed',
      given: [...THREE, CLOSE],
      when: CLOSE_ALL,
      then: [...threeClosed('closed'), STOP],
      drops: { 'held-lost': 1 },
    },
  ])
})

describe('close', () => {
  const QUIET: readonly Step[] = [...ANSWERED, query(C2), opened(F2), answer(F2)]
  testRows([
    {
      name: 'a cut ends the waiting: every flow is closed at once',
      given: [...OPEN, at(5, CLOSE)],
      when: at(7, cut('A')),
      then: [closed(F1, 'drained', { up: [1, 1], ms: 7 }), STOP],
    },
    { name: 'an empty listener', given: [backends(1, 'A')], when: CLOSE, then: [STOP] },
    { name: 'without backends either', when: CLOSE, then: [STOP, EMPTIED] },
    {
      name: 'where no flow waits, ends all of them at once',
      given: QUIET,
      when: at(40, CLOSE),
      then: [
        closed(F1, 'drained', { up: [1, 1], down: [1, 1], ms: 40 }),
        closed(F2, 'drained', { client: C2, up: [1, 1], down: [1, 1], ms: 40 }),
        STOP,
      ],
    },
    { name: 'while one waits, waits', given: THREE, when: CLOSE, then: [] },
    {
      name: 'and admits nobody',
      given: [...THREE, CLOSE],
      when: query(C1, 'q', { ...LOCAL, port: 54 }),
      then: [],
      drops: { draining: 1 },
    },
    {
      name: 'not until the last has what it waits for',
      given: [...THREE, CLOSE],
      when: answer(F2),
      then: [down(F2, C2)],
    },
    {
      name: 'and then ends all of them',
      given: [...THREE, CLOSE, opened(F3), answer(F2)],
      when: at(40, answer(F3)),
      then: [
        down(F3, C3),
        closed(F1, 'drained', { up: [1, 1], down: [1, 1], ms: 40 }),
        closed(F2, 'drained', { client: C2, up: [1, 1], down: [1, 1], ms: 40 }),
        closed(F3, 'drained', { client: C3, up: [1, 2], down: [1, 1], ms: 40 }),
        STOP,
      ],
    },
    {
      name: 'the end of the last that waits will do',
      given: [...OPEN, CLOSE],
      when: abortFlow(F1),
      then: [closed(F1, 'aborted', { up: [1, 1] }), STOP],
    },
    {
      name: 'flows go on meanwhile, and may wait again',
      given: [...THREE, CLOSE, query(C1), answer(F2), opened(F3), answer(F3)],
      when: answer(F1),
      then: [
        down(F1, C1),
        closed(F1, 'drained', { up: [2, 2], down: [2, 2] }),
        closed(F2, 'drained', { client: C2, up: [1, 1], down: [1, 1] }),
        closed(F3, 'drained', { client: C3, up: [1, 2], down: [1, 1] }),
        STOP,
      ],
    },
    {
      name: 'a tick just before the end of the wait',
      given: [...OPEN, at(100, CLOSE)],
      when: at(2_099, TICK),
      then: [],
    },
    {
      name: 'a tick at its end',
      given: [...OPEN, at(100, CLOSE)],
      when: at(2_100, TICK),
      then: [closed(F1, 'drained', { up: [1, 1], ms: 2_100 }), STOP],
    },
    {
      name: 'only a tick: another event that late does not end it',
      given: [...OPEN, at(100, CLOSE)],
      when: at(2_100, query(C1)),
      then: [up(F1)],
    },
    {
      name: 'the wait is the one that was configured when it began',
      config: { lingerMs: 300 },
      given: [...OPEN, CLOSE, configure({ lingerMs: 50 })],
      when: at(299, TICK),
      then: [],
    },
    {
      name: 'not at all: at the next tick',
      config: { lingerMs: 0 },
      given: [...OPEN, at(100, CLOSE)],
      when: at(100, TICK),
      then: [closed(F1, 'drained', { up: [1, 1], ms: 100 }), STOP],
    },
    { name: 'twice: the wait goes on', given: [...OPEN, CLOSE], when: at(500, CLOSE), then: [] },
    {
      name: 'twice: and ends when it would have',
      given: [...OPEN, CLOSE, at(500, CLOSE)],
      when: at(2_000, TICK),
      then: [closed(F1, 'drained', { up: [1, 1], ms: 2_000 }), STOP],
    },
    { name: 'after the end: nothing', given: [backends(1, 'A'), CLOSE], when: CLOSE, then: [] },
    {
      name: 'a new client after the end',
      given: [backends(1, 'A'), CLOSE],
      when: query(C1),
      then: [],
      drops: { draining: 1 },
    },
    {
      name: 'the drain before it makes no difference',
      given: [...ANSWERED, DRAIN],
      when: CLOSE,
      then: [closed(F1, 'drained', { up: [1, 1], down: [1, 1] }), STOP],
    },
    {
      name: 'a drain after it neither',
      given: [...OPEN, CLOSE, DRAIN],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'drained', { up: [1, 1], down: [1, 1] }), STOP],
    },
  ])

  test('the table asks for the tick at the very end of the wait', () => {
    const bench = benchAfter([...OPEN, at(101, CLOSE)])
    expect(bench.table.deadline()).toBe(2_101)
  })
})

describe('emptied', () => {
  testRows([
    {
      name: 'when the last backends are taken away after the end',
      given: [backends(1, 'A'), CLOSE],
      when: backends(2, ''),
      then: [applied(2), drained('A', 2), EMPTIED],
    },
    {
      name: 'not while one is left',
      given: [backends(1, 'AB'), CLOSE],
      when: backends(2, 'B'),
      then: [applied(2), drained('A', 2)],
    },
    {
      name: 'not while a flow waits',
      given: [...OPEN, CLOSE],
      when: backends(2, ''),
      then: [applied(2)],
    },
    {
      name: 'but when that is over',
      given: [...OPEN, CLOSE, backends(2, '')],
      when: answer(F1),
      then: [
        down(F1, C1),
        drained('A', 2),
        closed(F1, 'drained', { up: [1, 1], down: [1, 1] }),
        STOP,
        EMPTIED,
      ],
    },
    { name: 'only once', given: [CLOSE], when: backends(1, ''), then: [applied(1)] },
    {
      name: 'not by a drain',
      given: [backends(1, 'A'), DRAIN],
      when: backends(2, ''),
      then: [applied(2), drained('A', 2)],
    },
    { name: 'a close after it', given: [CLOSE], when: CLOSE, then: [] },
    { name: 'an abort after it', given: [CLOSE], when: ABORT_ALL, then: [] },
  ])

  test('the table says whether it is empty', () => {
    const bench = benchAfter([backends(1, 'A'), query(C1)])
    expect(bench.table.isEmpty).toBe(false)
    bench.run(backends(2, ''))
    expect(bench.table.isEmpty).toBe(false)
    bench.run(abortFlow(F1))
    expect(bench.table.isEmpty).toBe(true)
    expect(benchAfter([backends(1, 'A')]).table.isEmpty).toBe(false)
  })
})

describe('abort-all', () => {
  testRows([
    {
      name: 'ends everything; backends are waited for by nobody',
      given: THREE,
      when: at(21, ABORT_ALL),
      then: [...threeClosed('aborted', 21), STOP, EMPTIED],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'an empty listener',
      given: [backends(1, 'A')],
      when: ABORT_ALL,
      then: [STOP, EMPTIED],
    },
    { name: 'without backends either', when: ABORT_ALL, then: [STOP, EMPTIED] },
    {
      name: 'while it waits to be closed',
      given: [...THREE, CLOSE],
      when: ABORT_ALL,
      then: [...threeClosed('aborted'), STOP, EMPTIED],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'after the end, with backends left',
      given: [backends(1, 'A'), CLOSE],
      when: ABORT_ALL,
      then: [EMPTIED],
    },
    { name: 'twice: once', given: [...THREE, ABORT_ALL], when: ABORT_ALL, then: [] },
    {
      name: 'nobody is admitted after it',
      given: [...THREE, ABORT_ALL],
      when: query(C1),
      then: [],
      drops: { draining: 1 },
    },
    {
      name: 'sets are still answered',
      given: [...THREE, ABORT_ALL],
      when: backends(2, ''),
      then: [applied(2), drained('A', 2)],
    },
    { name: 'a close after it', given: [...THREE, ABORT_ALL], when: CLOSE, then: [] },
    {
      name: 'answers that come after it',
      given: [...THREE, ABORT_ALL],
      when: opened(F3),
      then: [],
      stale: 1,
    },
  ])

  test('nothing is to be done then', () => {
    const bench = benchAfter([...THREE, backends(2, 'B'), ABORT_ALL])
    expect(bench.table.deadline()).toBeUndefined()
    expect(bench.table.flowCount).toBe(0)
  })
})
