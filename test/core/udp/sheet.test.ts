/**
 * What the tests of the reference pin of its core and its PROXY builder, row by row, in terms of
 * this machine. Where it differs on purpose the title says so; `docs/udp.md` lists why.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { proxyHeader } from '../../../core/net/proxy-v2.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import {
  ABORT_ALL,
  ANSWERED,
  abortFlow,
  address,
  answer,
  at,
  backends,
  benchAfter,
  bytes,
  C1,
  C2,
  C3,
  CLOSE_ALL,
  checkRow,
  closed,
  configure,
  crowd,
  DRAIN,
  down,
  F1,
  F2,
  flow,
  OPEN,
  openCommand,
  opened,
  query,
  type Row,
  type Step,
  TICK,
  up,
} from './rows.ts'

const row = (name: string, ...rows: readonly Omit<Row, 'name'>[]): void => {
  test(`udp 8: ${name}`, () => {
    for (const each of rows) checkRow({ name, ...each })
  })
}

const ten = { frontTimeoutMs: 10_000, backTimeoutMs: 10_000, halfOpenTimeoutMs: 10_000 }

describe('admission', () => {
  row('no backend at all: any datagram is dropped, and leaves no flow', {
    when: query(C1),
    then: [],
    drops: { 'no-backend': 1 },
  })
  row(
    'an empty datagram is carried like any other (the reference refuses it)',
    { given: [backends(1, 'A')], when: query(C1, ''), then: [openCommand(F1, 'A')] },
    { given: [backends(1, 'A'), query(C1, '')], when: opened(F1), then: [up(F1, '')] },
    { given: OPEN, when: query(C1, ''), then: [up(F1, '')] },
  )
  row('seven octets where four may be: dropped, and no flow', {
    config: { datagramBytesMax: 4 },
    given: [backends(1, 'A')],
    when: query(C1, '1234567'),
    then: [],
    drops: { oversize: 1 },
  })
  row(
    'the first datagram: one flow, nothing sent; the same octets once there is a socket (nobody is asked for a backend)',
    { given: [backends(1, 'A')], when: query(C1, 'abc'), then: [openCommand(F1, 'A')] },
    { given: [backends(1, 'A'), query(C1, 'abc')], when: opened(F1), then: [up(F1, 'abc')] },
  )
  row('the second datagram of an open flow is sent at once', {
    given: OPEN,
    when: query(C1, 'second'),
    then: [up(F1, 'second')],
  })
  row('a cap of one and a second source: shed, where the first was answered', {
    config: { flowsMax: 1 },
    given: ANSWERED,
    when: query(C2),
    then: [],
    drops: { shed: 1 },
  })
  row('a cap of one and a second source: the first gives way, where it was never answered', {
    config: { flowsMax: 1 },
    given: OPEN,
    when: query(C2),
    then: [closed(F1, 'evicted', { up: [1, 1] }), openCommand(flow(0, 2), 'A')],
  })
})

describe('teardown', () => {
  row('responses 1: one answer, returned and the end', {
    config: { responses: 1 },
    given: OPEN,
    when: answer(F1),
    then: [down(F1, C1), closed(F1, 'responses', { up: [1, 1], down: [1, 1] })],
  })
  row(
    'requests 2: the second forward is not the end, its answer is (the reference loses it)',
    { config: { requests: 2 }, given: OPEN, when: query(C1), then: [up(F1)] },
    {
      config: { requests: 2 },
      given: [...ANSWERED, query(C1)],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'requests', { up: [2, 2], down: [2, 2] })],
    },
  )
  test('udp 8: idle for 10 s: asked for not before; closed at 11 s; then nothing is armed', () => {
    const bench = benchAfter(OPEN, ten)
    expect(bench.table.deadline()).toBe(10_000)
    expect(bench.run(at(11_000, TICK))).toEqual([
      closed(F1, 'half-open', { up: [1, 1], ms: 11_000 }),
    ])
    expect(bench.table.deadline()).toBeUndefined()
  })
  test('udp 8: refreshed at 5 s of 10: the tick at 10 s keeps it, that at 16 s ends it', () => {
    const bench = benchAfter([...OPEN, at(5_000, query(C1))], ten)
    expect(bench.run(at(10_000, TICK))).toEqual([])
    expect(bench.run(at(16_000, TICK))).toEqual([
      closed(F1, 'half-open', { up: [2, 2], ms: 16_000 }),
    ])
  })
  row(
    'drain: the flow there is stays, a new source is dropped (as draining, not as shed)',
    { given: [...OPEN, DRAIN], when: query(C1), then: [up(F1)] },
    { given: [...OPEN, DRAIN], when: query(C2), then: [], drops: { draining: 1 } },
  )
  row('responses set to 1 later: an answer does not end the flow of before', {
    given: [...OPEN, configure({ responses: 1 })],
    when: answer(F1),
    then: [down(F1, C1)],
  })
  test('udp 8: ten flows idle out together: ten closes, none left, nothing armed', () => {
    const clients = crowd(10)
    const bench = benchAfter([backends(1, 'A'), ...clients.map((client) => query(client))], ten)
    expect(bench.run(at(10_000, TICK))).toEqual(
      clients.map((client, i) => closed(flow(i, i + 1), 'half-open', { client, ms: 10_000 })),
    )
    expect(bench.table.flowCount).toBe(0)
    expect(bench.table.deadline()).toBeUndefined()
  })
  test('udp 8: close-all over 4 open and 2 opening: exactly 6 closes, none left, nothing armed', () => {
    const clients = crowd(6)
    const bench = benchAfter([backends(1, 'A'), ...clients.map((client) => query(client))])
    bench.runAll([0, 1, 2, 3].map((i) => opened(flow(i, i + 1))))
    expect(bench.run(CLOSE_ALL)).toEqual(
      clients.map((client, i) =>
        closed(flow(i, i + 1), 'closed', { client, up: i < 4 ? [1, 1] : [0, 0] }),
      ),
    )
    expect(bench.table.flowCount).toBe(0)
    expect(bench.table.deadline()).toBeUndefined()
  })
  row(
    'close-all of an empty table, or twice, says nothing the extra time',
    { given: [backends(1, 'A')], when: CLOSE_ALL, then: [] },
    { given: [...OPEN, CLOSE_ALL], when: CLOSE_ALL, then: [] },
  )
  row(
    'abort of an open flow is one close; again is nothing',
    { given: OPEN, when: abortFlow(F1), then: [closed(F1, 'aborted', { up: [1, 1] })] },
    { given: [...OPEN, abortFlow(F1)], when: abortFlow(F1), then: [] },
  )
  test('udp 8: abort of an opening flow frees its slot; nothing is armed; its source may come again', () => {
    const bench = benchAfter([backends(1, 'A'), query(C1), abortFlow(F1)])
    expect(bench.table.deadline()).toBeUndefined()
    expect(bench.run(query(C1))).toEqual([openCommand(flow(0, 2), 'A')])
  })
  row('abort of a flow that never was is nothing', {
    given: OPEN,
    when: abortFlow(flow(999, 1)),
    then: [],
  })
  row(
    'requests 2 and four datagrams before the socket: none counts yet; all four are forwarded, then no more are taken (the reference forwards the last)',
    {
      config: { requests: 2 },
      given: [backends(1, 'A'), query(C1, '1'), query(C1, '2'), query(C1, '3')],
      when: query(C1, '4'),
      then: [],
    },
    {
      config: { requests: 2 },
      given: [backends(1, 'A'), ...['1', '2', '3', '4'].map((payload) => query(C1, payload))],
      when: opened(F1),
      then: [up(F1, '1'), up(F1, '2'), up(F1, '3'), up(F1, '4')],
    },
    {
      config: { requests: 2 },
      given: [
        backends(1, 'A'),
        ...['1', '2', '3', '4'].map((payload) => query(C1, payload)),
        opened(F1),
      ],
      when: query(C1, '5'),
      then: [openCommand(F2, 'A')],
    },
  )
})

describe('properties', () => {
  test('udp 8: eight sources, a cap of four, idle after 10 s: never more than four, in the end none', () => {
    const events = fc.array(fc.record({ source: fc.nat(7), at: fc.nat(39_000) }))
    fc.assert(
      fc.property(events, (unsorted) => {
        const sources = crowd(8)
        const bench = benchAfter([backends(1, 'A')], { ...ten, flowsMax: 4 })
        for (const event of unsorted.toSorted((one, other) => one.at - other.at)) {
          bench.run(at(event.at, TICK))
          bench.run(query(sources[event.source]!))
          expect(bench.table.flowCount).toBeLessThanOrEqual(4)
        }
        bench.run(at(bench.now + 60_000, TICK))
        const { created, closed: ends } = bench.table.counters
        expect(bench.table.flowCount).toBe(0)
        expect(created).toBe(ends['half-open'] + ends.evicted)
      }),
    )
  })

  test('udp 8: a timeout of 20 s refreshed between 1 and 19 s: there at 20 s, gone 21 s later', () => {
    const twenty = { frontTimeoutMs: 20_000, backTimeoutMs: 20_000, halfOpenTimeoutMs: 20_000 }
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 19_000 }), fc.boolean(), (refresh, byAnswer) => {
        const refreshed: Step = at(refresh, byAnswer ? answer(F1) : query(C1))
        const bench = benchAfter([...OPEN, refreshed], twenty)
        expect(bench.run(at(20_000, TICK))).toEqual([])
        const ends = bench.run(at(refresh + 21_000, TICK))
        expect(ends.map(({ type }: FlowCommand) => type)).toEqual(['close-flow'])
      }),
    )
  })
})

describe('PROXY protocol', () => {
  const hex = (header: Uint8Array): string => Buffer.from(header).toString('hex')
  const SIGNATURE = '0d0a0d0a000d0a515549540a'

  test('udp 8: IPv4, octet by octet: 28', () => {
    const header = proxyHeader(address('125.25.10.1:8080'), address('10.4.5.8:4200'), 'dgram')
    expect(hex(header)).toBe(`${SIGNATURE}2112000c7d190a010a0405081f901068`)
    expect(header).toHaveLength(28)
  })

  test('udp 8: IPv6, octet by octet: 52', () => {
    const header = proxyHeader(address('[::1]:8080'), address('[::1]:4200'), 'dgram')
    const loopback = `${'0'.repeat(31)}1`
    expect(hex(header)).toBe(`${SIGNATURE}21220024${loopback}${loopback}1f901068`)
    expect(header).toHaveLength(52)
  })

  test('udp 8: before a payload: 28 octets that end where the payload begins (they are sent as two parts)', () => {
    const bench = benchAfter([backends(1, 'A'), query(C1, '8 octets')], { proxyProtocol: 'first' })
    const [command] = bench.run(opened(F1))
    if (command?.type !== 'send-upstream') throw new Error('nothing is sent')
    expect(hex(command.header!).slice(0, 28)).toBe(`${SIGNATURE}2112`)
    expect(command.header).toHaveLength(28)
    expect(command.payload).toEqual(bytes('8 octets'))
  })

  test('udp 8: only the first datagram has one', () => {
    const bench = benchAfter([...OPEN.slice(0, 2)], { proxyProtocol: 'first' })
    const headers = [...bench.run(opened(F1)), ...bench.run(query(C1, 'second'))]
    expect(headers).toEqual([
      up(F1, 'q', { header: proxyHeader(C1, address('198.51.100.1:53'), 'dgram') }),
      up(F1, 'second'),
    ])
  })

  test('udp 8: mixed families lose nobody: both as IPv6 (the reference sends an empty header)', () => {
    const header = proxyHeader(address('1.2.3.4:1'), address('[::1]:2'), 'dgram')
    const mapped = `${'0'.repeat(20)}ffff01020304`
    expect(hex(header)).toBe(`${SIGNATURE}21220024${mapped}${'0'.repeat(31)}100010002`)
  })
})

test('udp 8: whatever ends a listener, every flow that was created is closed once', () => {
  for (const end of [CLOSE_ALL, ABORT_ALL]) {
    const bench = benchAfter([...ANSWERED, query(C2), query(C3), end])
    const { created, closed: ends } = bench.table.counters
    expect(Object.values(ends).reduce((sum, each) => sum + each)).toBe(created)
    expect(bench.table.flowCount).toBe(0)
  }
})
