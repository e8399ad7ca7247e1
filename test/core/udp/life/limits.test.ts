/** Caps, and work that is too much for one step. */
import { describe, expect, test } from 'vitest'
import type { CloseReason, FlowCommand } from '../../../../core/udp/commands.ts'
import { type FlowId, slotOf } from '../../../../core/udp/flow-id.ts'
import {
  ABORT_ALL,
  ANSWERED,
  abortFlow,
  address,
  answer,
  at,
  type Bench,
  backends,
  benchAfter,
  C1,
  C1B,
  C2,
  C3,
  C6,
  CLOSE,
  CLOSE_ALL,
  closed,
  configure,
  crowd,
  down,
  EMPTIED,
  F1,
  F2,
  F3,
  flow,
  OPEN,
  openCommand,
  opened,
  query,
  STOP,
  TICK,
  testRows,
} from '../rows.ts'

describe('flows of one source', () => {
  const TWO = { flowsPerSourceMax: 2 }
  const C1C = address('192.0.2.1:3001')
  testRows([
    {
      name: 'as many as may be',
      config: TWO,
      given: [backends(1, 'A'), query(C1)],
      when: query(C1B),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'not one more',
      config: TWO,
      given: [backends(1, 'A'), query(C1), query(C1B)],
      when: query(C1C),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'another source',
      config: TWO,
      given: [backends(1, 'A'), query(C1), query(C1B)],
      when: query(C2),
      then: [openCommand(F3, 'A')],
    },
    {
      name: 'what they have goes on',
      config: TWO,
      given: [backends(1, 'A'), query(C1), query(C1B)],
      when: query(C1),
      then: [],
    },
    {
      name: 'again one more when one ended',
      config: TWO,
      given: [backends(1, 'A'), query(C1), query(C1B), abortFlow(F1)],
      when: query(C1C),
      then: [openCommand(flow(0, 3), 'A')],
    },
    {
      name: 'when one was evicted',
      config: { flowsPerSourceMax: 1, flowsMax: 1 },
      given: [backends(1, 'A'), query(C1), query(C2)],
      when: query(C1B),
      then: [closed(flow(0, 2), 'evicted', { client: C2 }), openCommand(flow(0, 3), 'A')],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'those that only wait for their answers count too',
      config: { flowsPerSourceMax: 1, requests: 1 },
      given: OPEN,
      when: query(C1),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'of IPv6: the whole address',
      config: { flowsPerSourceMax: 1 },
      given: [backends(1, 'A'), query(C6)],
      when: query(address('[2001:db8::2]:1001')),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'of IPv6: whatever the port',
      config: { flowsPerSourceMax: 1 },
      given: [backends(1, 'A'), query(C6)],
      when: query(address('[2001:db8::1]:9')),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'the limit of now counts',
      config: { flowsPerSourceMax: 1 },
      given: [...ANSWERED, configure(TWO)],
      when: query(C1B),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'lowering it ends nothing',
      config: TWO,
      given: [backends(1, 'A'), query(C1), query(C1B)],
      when: configure({ flowsPerSourceMax: 1 }),
      then: [],
    },
    {
      name: 'flows admitted while nobody counted are not counted',
      given: [...ANSWERED, configure({ flowsPerSourceMax: 1 })],
      when: query(C1B),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'any number',
      given: [backends(1, 'A'), query(C1), query(C1B)],
      when: query(C1C),
      then: [openCommand(F3, 'A')],
    },
  ])
})

describe('flows of the table', () => {
  test('up to the cap and no further, answered ones', () => {
    const bench = benchAfter([backends(1, 'A')], { flowsMax: 5 })
    for (const [i, client] of crowd(5).entries()) {
      expect(bench.run(query(client))).toHaveLength(1)
      bench.runAll([opened(flow(i, i + 1)), answer(flow(i, i + 1))])
    }
    expect(bench.run(query(C1))).toEqual([])
    expect(bench.table.counters.dropped.shed).toBe(1)
    bench.run(abortFlow(flow(3, 4)))
    expect(bench.run(query(C1))).toEqual([openCommand(flow(3, 6), 'A')])
    expect(bench.table.flowCount).toBe(5)
  })

  test('of 4,096 addresses of ours and no more, until one of those has none', () => {
    const bench = benchAfter([backends(1, 'A')])
    const contacted = crowd(4_097)
    bench.runMany(contacted.slice(0, 4_096).map((to) => query(C1, 'q', to)))
    expect(bench.table.flowCount).toBe(4_096)
    expect(bench.run(query(C1, 'q', contacted[4_096]))).toEqual([])
    expect(bench.table.counters.dropped.shed).toBe(1)
    expect(bench.run(query(C2, 'q', contacted[4_095]))).toHaveLength(1)
    bench.run(abortFlow(flow(7, 8)))
    const again = flow(7, 4_098)
    expect(bench.run(query(C1, 'q', contacted[4_096]))).toEqual([openCommand(again, 'A')])
    bench.run(opened(again))
    expect(bench.run(answer(again))).toEqual([down(again, C1, 'a', contacted[4_096])])
    expect(bench.run(query(C1, 'q', contacted[7]))).toEqual([])
    expect(bench.table.counters.dropped.shed).toBe(2)
  })

  test('what is told of them: those with the lowest slots', () => {
    const bench = benchAfter([...ANSWERED, query(C2), at(5, query(C3)), abortFlow(F2)])
    const first = {
      flow: F1,
      phase: 'open',
      client: C1,
      contacted: expect.anything(),
      backend: 'A',
      isAnswered: true,
      expiresInMs: 29_995,
      totals: { datagramsUp: 1, bytesUp: 1, datagramsDown: 1, bytesDown: 1, durationMs: 5 },
    }
    const second = { flow: F3, phase: 'opening', client: C3, isAnswered: false, expiresInMs: 5_003 }
    expect(bench.table.flows(5, 10)).toEqual([first, expect.objectContaining(second)])
    expect(bench.table.flows(5, 1)).toEqual([first])
    expect(bench.table.flows(5, 0)).toEqual([])
    expect(bench.table.flow(F1, 5)).toEqual(first)
    expect(bench.table.flow(F2, 5)).toBeUndefined()
    expect(bench.table.flow(flow(0, 7), 5)).toBeUndefined()
    expect(bench.table.flow(F1, 40_000)).toMatchObject({ expiresInMs: 0 })
  })

  test('a flow that takes no more requests says so', () => {
    expect(benchAfter(OPEN, { requests: 1 }).table.flow(F1, 0)).toMatchObject({
      phase: 'answering',
      isAnswered: false,
    })
  })
})

describe('udp W2: at most 1,024 flows are closed in one step', () => {
  const LARGE = { flowsMax: 5_000, halfOpenTimeoutMs: 16 }
  const full = (count: number, config: object = LARGE): Bench => {
    const bench = benchAfter([backends(1, 'A')], config)
    bench.runMany(crowd(count).map((client) => query(client)))
    return bench
  }
  /** The slots of the flows that were closed, all for one reason, and what else was said. */
  const closes = (commands: readonly FlowCommand[], reason: CloseReason) => {
    const flows: FlowId[] = []
    const others: FlowCommand[] = []
    for (const command of commands) {
      if (command.type !== 'close-flow') others.push(command)
      else {
        expect(command.reason).toBe(reason)
        flows.push(command.flow)
      }
    }
    const slots = flows.map(slotOf)
    expect(slots).toEqual(slots.toSorted((one, other) => one - other))
    return { flows, others }
  }

  test('a tick: 1,024 are done in one step', () => {
    const bench = full(1_024)
    expect(closes(bench.run(at(16, TICK)), 'half-open').flows).toHaveLength(1_024)
    expect(bench.table.deadline()).toBeUndefined()
  })

  test('a tick: one more takes a second step, a millisecond later', () => {
    const bench = full(1_025)
    const first = closes(bench.run(at(16, TICK)), 'half-open').flows
    expect(first).toHaveLength(1_024)
    expect(bench.table.deadline()).toBe(17)
    const second = closes(bench.run(at(17, TICK)), 'half-open').flows
    expect(second).toHaveLength(1)
    expect(new Set([...first, ...second]).size).toBe(1_025)
    expect(bench.table.counters.closed['half-open']).toBe(1_025)
    expect(bench.table.deadline()).toBeUndefined()
  })

  test('close-all: those that come meanwhile stay', () => {
    const bench = full(2_500)
    const ended = [closes(bench.run(at(5, CLOSE_ALL)), 'closed').flows]
    expect(bench.table.deadline()).toBe(6)
    const newcomers = crowd(300, 10_000)
    bench.runMany(newcomers.map((client) => query(client)))
    ended.push(closes(bench.run(at(6, TICK)), 'closed').flows)
    expect(bench.table.deadline()).toBe(7)
    bench.runMany(crowd(300, 20_000).map((client) => query(client)))
    ended.push(closes(bench.run(at(7, TICK)), 'closed').flows)
    expect(ended.map((flows) => flows.length)).toEqual([1_024, 1_024, 452])
    expect(new Set(ended.flat()).size).toBe(2_500)
    expect(bench.table.flowCount).toBe(600)
    expect(bench.table.deadline()).toBeGreaterThan(7)
    expect(bench.table.counters.closed.closed).toBe(2_500)
  })

  test('close-all: exactly as many as a step takes leave nothing to do', () => {
    const bench = full(1_024)
    expect(closes(bench.run(CLOSE_ALL), 'closed').flows).toHaveLength(1_024)
    expect(bench.table.deadline()).toBeUndefined()
  })

  test('what is due goes first, and takes its share of the step', () => {
    const bench = full(2_500, { ...LARGE, halfOpenTimeoutMs: 32 })
    bench.run(CLOSE_ALL)
    bench.run(configure({ ...LARGE, halfOpenTimeoutMs: 1 }))
    bench.runMany(crowd(600, 10_000).map((client) => query(client)))
    const reasons = (commands: readonly FlowCommand[]) => {
      const all = commands.map((command) => (command.type === 'close-flow' ? command.reason : ''))
      return [
        all.filter((reason) => reason === 'half-open').length,
        all.filter((reason) => reason === 'closed').length,
      ]
    }
    expect(reasons(bench.run(at(16, TICK)))).toEqual([600, 424])
    expect(reasons(bench.run(at(17, TICK)))).toEqual([0, 1_024])
    expect(reasons(bench.run(at(18, TICK)))).toEqual([0, 28])
    expect(bench.table.deadline()).toBeUndefined()
  })

  test('close: the socket goes with the last flow', () => {
    const bench = full(1_500, { ...LARGE, heldBytesMax: 0 })
    const ids = Array.from({ length: 1_500 }, (_, i) => flow(i, i + 1))
    bench.runMany(ids.map((id) => opened(id)))
    const first = closes(bench.run(at(3, CLOSE)), 'drained')
    expect(first.flows).toHaveLength(1_024)
    expect(first.others).toEqual([])
    expect(bench.run(query(C1))).toEqual([])
    expect(bench.table.counters.dropped.draining).toBe(1)
    expect(bench.table.deadline()).toBe(4)
    const second = closes(bench.run(at(4, TICK)), 'drained')
    expect(second.flows).toHaveLength(476)
    expect(second.others).toEqual([STOP])
    expect(bench.table.deadline()).toBeUndefined()
  })

  test('close, when its wait is over and flows are due: no more in one step either', () => {
    const bench = full(1_100, { ...LARGE, halfOpenTimeoutMs: 2_000, lingerMs: 2_000 })
    bench.run(at(0, CLOSE))
    const steps = bench.tickUntil(10_000)
    const counts = steps.map(({ commands }) => commands.filter(isClose).length)
    expect(counts).toEqual([1_024, 76])
    expect(steps.map((step) => step.at)).toEqual([2_000, 2_001])
    expect(steps[1]?.commands.at(-1)).toEqual(STOP)
  })

  test('abort-all: the socket goes with the last flow', () => {
    const bench = full(1_025)
    const first = closes(bench.run(ABORT_ALL), 'aborted')
    expect(first.flows).toHaveLength(1_024)
    expect(first.others).toEqual([])
    const second = closes(bench.run(at(1, TICK)), 'aborted')
    expect(second.flows).toHaveLength(1)
    expect(second.others).toEqual([STOP, EMPTIED])
  })

  test('flows that are put off are not closed, however many there are', () => {
    const bench = full(3_000)
    bench.now = 15
    bench.runMany(Array.from({ length: 3_000 }, (_, i) => opened(flow(i, i + 1))))
    expect(bench.tickUntil(31)).toEqual([])
    const ended = bench.tickUntil(100)
    expect(ended.map(({ commands }) => commands.length)).toEqual([1_024, 1_024, 952])
    expect(ended.map((step) => step.at)).toEqual([32, 33, 34])
  })

  const isClose = ({ type }: FlowCommand): boolean => type === 'close-flow'
})
