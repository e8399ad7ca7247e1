/** Who may come, by network policies; and whether anybody does. */
import { describe, expect, test } from 'vitest'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import { proxyHeader } from '../../../../core/net/proxy-v2.ts'
import type { AccessList } from '../../../../core/policy/access.ts'
import type { FlowCommand } from '../../../../core/udp/commands.ts'
import { FlowTable } from '../../../../core/udp/table.ts'
import {
  abortFlow,
  address,
  answer,
  at,
  Bench,
  backends,
  benchAfter,
  bytes,
  C1,
  C1B,
  C2,
  CLOSE,
  closed,
  configure,
  crowd,
  DRAIN,
  down,
  drained,
  F1,
  F2,
  LOCAL,
  OPEN,
  openCommand,
  opened,
  prefix,
  query,
  TICK,
  testRows,
  up,
} from '../rows.ts'

const A = backends(1, 'A')
/** The first client's host may not come, its neighbours may. */
const access: AccessList = [
  { sources: [prefix('192.0.2.0/24')], verdict: 'allow' },
  { sources: [prefix('192.0.2.1/32')], verdict: 'deny' },
]
const proxied = (client: PackedAddress): Uint8Array =>
  Uint8Array.from([...proxyHeader(client, LOCAL, 'dgram'), ...bytes('q')])

const forbidden = { forbidden: 1 }
const BUSY: FlowCommand = { type: 'busy' }
const IDLE: FlowCommand = { type: 'idle' }

describe('proxy W15: whom a network policy is against is not carried over udp', () => {
  testRows([
    {
      name: 'a new client is dropped, and nothing is kept',
      config: { access },
      given: [A],
      when: query(C1),
      then: [],
      drops: forbidden,
    },
    {
      name: 'one that a rule allows gets a flow',
      config: { access },
      given: [A],
      when: query(C2),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'and so does one that no policy governs',
      config: { access },
      given: [A],
      when: query(address('[2001:db8::1]:1001')),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'it is told nothing of backends',
      config: { access },
      when: query(C1),
      then: [],
      drops: forbidden,
    },
    {
      name: 'its datagrams give no backend a turn away',
      config: { access, affinity: 'datagram' },
      given: [A],
      when: query(C1),
      then: [],
      drops: forbidden,
    },
    {
      name: 'a flow that is there ends with what its client sends next',
      given: [...OPEN, at(50, configure({ access }))],
      when: at(60, query(C1)),
      then: [closed(F1, 'forbidden', { up: [1, 1], ms: 60 })],
      drops: forbidden,
    },
    {
      name: 'until then its answers are returned',
      given: [...OPEN, configure({ access })],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'another list that has nothing against it ends nothing',
      given: [
        ...OPEN,
        configure({ access: [{ sources: [prefix('192.0.2.2/32')], verdict: 'deny' }] }),
      ],
      when: query(C1),
      then: [up(F1)],
    },
    {
      name: 'behind a trusted proxy whom it announces counts: refused',
      config: { access, trustedProxies: [prefix('192.0.2.2/32')] },
      given: [A],
      when: query(C2, proxied(C1)),
      then: [],
      drops: forbidden,
    },
    {
      name: 'behind a trusted proxy whom it announces counts: admitted',
      config: { access, trustedProxies: [prefix('192.0.2.1/32')] },
      given: [A],
      when: query(C1, proxied(C2)),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'a proxy that announces another client, who may not come, ends the flow it had',
      config: { access, trustedProxies: [prefix('192.0.2.2/32')] },
      given: [A, query(C2, proxied(address('192.0.2.9:1'))), opened(F1)],
      when: query(C2, proxied(C1)),
      then: [closed(F1, 'superseded', { client: address('192.0.2.9:1'), up: [1, 1] })],
      drops: forbidden,
    },
    {
      name: 'a flow is still for whom its proxy announced when it was let in',
      config: { trustedProxies: [prefix('192.0.2.2/32')] },
      given: [
        A,
        query(C2, proxied(C1)),
        opened(F1),
        configure({ access, trustedProxies: [prefix('192.0.2.2/32')] }),
      ],
      when: query(C2),
      then: [closed(F1, 'forbidden', { up: [1, 1] })],
      drops: forbidden,
    },
    {
      name: 'where others share the flow only the datagram is dropped',
      options: { keyOf: () => Uint8Array.of(1) },
      config: { access },
      given: [A, query(C2), opened(F1)],
      when: query(C1),
      then: [],
      drops: forbidden,
    },
  ])

  test('a turn that a refused datagram took is given back', () => {
    const bench = benchAfter([A], { access, affinity: 'datagram' })
    bench.run(query(C1))
    expect(bench.run(backends(2, ''))).toContainEqual(drained('A', 2))
  })

  test('a flood of them costs no slot and no eviction', () => {
    const bench = benchAfter([A, query(C2)], {
      access: [{ sources: [prefix('10.0.0.0/8')], verdict: 'deny' }],
      flowsMax: 1,
    })
    expect(bench.runMany(crowd(1_000).map((from) => query(from)))).toEqual([])
    expect(bench.table.flowCount).toBe(1)
    expect(bench.table.counters.dropped.forbidden).toBe(1_000)
  })
})

describe('a listener says when no flow goes through it', () => {
  const idleAfterMs = 1_000

  test('after a time without one, once, and that there is one again', () => {
    const bench = benchAfter([at(500, A)], { idleAfterMs })
    expect(bench.table.deadline()).toBe(1_500)
    expect(bench.run(at(1_499, TICK))).toEqual([])
    expect(bench.run(at(1_500, TICK))).toEqual([IDLE])
    expect(bench.table.deadline()).toBeUndefined()
    expect(bench.run(at(9_000, query(C1)))).toEqual([openCommand(F1, 'A'), BUSY])
    expect(bench.run(at(9_000, query(C2)))).toEqual([openCommand(F2, 'A')])
    bench.run(at(9_100, abortFlow(F1)))
    bench.run(at(9_200, abortFlow(F2)))
    expect(bench.table.deadline()).toBe(10_200)
    expect(bench.run(at(10_200, TICK))).toEqual([IDLE])
  })

  test('datagrams that go nowhere are no use', () => {
    const bench = benchAfter([backends(1, '')], { idleAfterMs })
    bench.run(at(1_000, TICK))
    expect(bench.run(at(1_001, query(C1)))).toEqual([])
  })

  test('one that makes room for another is no time without', () => {
    const bench = benchAfter([A, query(C1)], { idleAfterMs, flowsMax: 1 })
    bench.run(at(900, query(C2)))
    expect(bench.table.deadline()).toBeGreaterThan(1_900)
  })

  test('from when it is to say so', () => {
    const bench = benchAfter([A])
    expect(bench.table.deadline()).toBeUndefined()
    bench.run(at(5_000, configure({ idleAfterMs })))
    expect(bench.table.deadline()).toBe(6_000)
  })

  test('also one that never had a backend', () => {
    const bench = benchAfter([at(5_000, configure({ idleAfterMs }))])
    expect(bench.table.deadline()).toBe(6_000)
  })

  test('not while it drains or closes', () => {
    for (const end of [DRAIN, CLOSE]) {
      const bench = benchAfter([A, end], { idleAfterMs })
      expect(bench.table.deadline()).toBeUndefined()
      expect(bench.run(at(1_000, TICK))).toEqual([])
    }
  })

  test('a table that is restored goes on counting, and knows what it said', () => {
    const bench = benchAfter([A], { idleAfterMs })
    const again = (now: number): Bench => {
      const snapshot = JSON.parse(JSON.stringify(bench.table.snapshot(bench.now)))
      return new Bench(FlowTable.restore(snapshot, now), now)
    }
    bench.run(at(400, TICK))
    expect(again(10_000).table.deadline()).toBe(10_600)
    bench.run(at(1_000, TICK))
    const restored = again(10_000)
    expect(restored.table.deadline()).toBeUndefined()
    expect(restored.run(query(C1B))).toEqual([openCommand(F1, 'A'), BUSY])
  })

  test('a snapshot of before there were policies is as usual', () => {
    const bench = benchAfter([...OPEN])
    const snapshot = JSON.parse(JSON.stringify(bench.table.snapshot(0)))
    for (const config of snapshot.configs) {
      delete config.access
      delete config.idleAfterMs
    }
    delete snapshot.counters.closed.forbidden
    delete snapshot.counters.dropped.forbidden
    const restored = new Bench(FlowTable.restore(snapshot, 0))
    expect(restored.table.counters).toEqual(bench.table.counters)
    expect(restored.run(query(C1))).toEqual([up(F1)])
  })
})
