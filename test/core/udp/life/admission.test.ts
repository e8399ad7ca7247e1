/** Rows of `client-datagram` that concern a client without a flow. */
import { describe, expect, test } from 'vitest'
import {
  ANSWERED,
  abortFlow,
  address,
  at,
  backend,
  backends,
  benchAfter,
  bytes,
  C1,
  C1B,
  C2,
  C3,
  C4,
  C6,
  configure,
  DRAIN,
  F1,
  F2,
  F3,
  failed,
  flow,
  LOCAL,
  OPEN,
  openCommand,
  prefix,
  query,
  TICK,
  testRows,
  up,
} from '../rows.ts'

describe('a new client', () => {
  testRows([
    {
      name: 'gets a flow and a backend; its datagram waits for the socket',
      given: [backends(1, 'AB')],
      when: query(C1),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'the second gets the next slot and the next backend',
      given: [backends(1, 'AB'), query(C1)],
      when: query(C2),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'another socket of a host that has a flow is another client',
      given: [backends(1, 'AB'), query(C1)],
      when: query(C1B),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'another host at the same port is another client',
      given: [backends(1, 'AB'), query(C1)],
      when: query(address('192.0.2.2:1001')),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'a socket that contacts two of our addresses has a flow at each',
      given: [backends(1, 'AB'), query(C1)],
      when: query(C1, 'q', address('198.51.100.2:53')),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'two ports of one of our addresses are two addresses',
      given: [backends(1, 'AB'), query(C1)],
      when: query(C1, 'q', address('198.51.100.1:54')),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'a local address is known by its value too, if it is not the same object',
      given: OPEN,
      when: query(C1, 'q', { ...LOCAL }),
      then: [up(F1)],
    },
    {
      name: 'of IPv6',
      given: [backends(1, 'A')],
      when: query(C6),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'of IPv6 with the octets of an IPv4 client is another client',
      given: [backends(1, 'AB'), query(address('192.0.2.1:1001'))],
      when: query(address('[::c000:201]:1001')),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'an IPv4 client that a dual-stack socket reports is the same client',
      given: OPEN,
      when: query(address('[::ffff:192.0.2.1]:1001')),
      then: [up(F1)],
    },
    {
      name: 'udp W32: an empty datagram is a datagram',
      given: [backends(1, 'A')],
      when: query(C1, ''),
      then: [openCommand(F1, 'A')],
    },
  ])

  for (const word of [0, 1, 2, 3]) {
    test(`IPv6 clients that differ in the ${word + 1}. word of their address have two flows`, () => {
      const groups = [0x2001, 0xdb8, 1, 2, 3, 4, 5, 6]
      groups[word * 2 + 1]! += 1
      const other = address(`[${groups.map((group) => group.toString(16)).join(':')}]:1001`)
      const bench = benchAfter([backends(1, 'AB'), query(address('[2001:db8:1:2:3:4:5:6]:1001'))])
      expect(bench.run(query(other))).toEqual([openCommand(F2, 'B')])
    })
  }

  test('a slot that was freed last is used first; serials count on', () => {
    const bench = benchAfter([backends(1, 'A'), query(C1), query(C2), query(C3)])
    bench.runAll([abortFlow(F1), abortFlow(F3)])
    expect(bench.run(query(C4))).toEqual([openCommand(flow(2, 4), 'A')])
    expect(bench.run(query(C1))).toEqual([openCommand(flow(0, 5), 'A')])
    expect(bench.run(query(C3))).toEqual([openCommand(flow(3, 6), 'A')])
  })
})

describe('a datagram that goes nowhere', () => {
  const SMALL = { datagramBytesMax: 8 }
  testRows([
    {
      name: 'longer than it may be',
      config: SMALL,
      given: [backends(1, 'A')],
      when: query(C1, '123456789'),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'as long as it may be: it goes somewhere',
      config: SMALL,
      given: [backends(1, 'A')],
      when: query(C1, '12345678'),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'longer than it may be, of a client that has a flow',
      config: SMALL,
      given: OPEN,
      when: query(C1, '123456789'),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'refused by the extractor',
      options: { keyOf: () => undefined },
      given: [backends(1, 'A')],
      when: query(C1),
      then: [],
      drops: { invalid: 1 },
    },
    {
      name: 'of a new client, without any backend',
      when: query(C1),
      then: [],
      drops: { 'no-backend': 1 },
    },
    {
      name: 'of a new client, with every backend down where that is a reason',
      options: { failOpen: false },
      given: [backends(1, 'ab')],
      when: query(C1),
      then: [],
      drops: { 'no-backend': 1 },
    },
    {
      name: 'of a new client, while draining',
      given: [backends(1, 'A'), DRAIN],
      when: query(C1),
      then: [],
      drops: { draining: 1 },
    },
    {
      name: 'of a new client, when the table is full of answered flows',
      config: { flowsMax: 1 },
      given: ANSWERED,
      when: query(C2),
      then: [],
      drops: { shed: 1 },
    },
    {
      name: 'of a new client of a source that has as many flows as it may',
      config: { flowsPerSourceMax: 1 },
      given: ANSWERED,
      when: query(C1B),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'of a new client, 99 ms after this machine had no socket',
      given: [...OPEN, query(C2), at(10, failed(F2, 1, 'host'))],
      when: at(109, query(C3)),
      then: [],
      drops: { 'host-limit': 1 },
    },
    {
      name: 'but not after 100 ms',
      given: [...OPEN, query(C2), at(10, failed(F2, 1, 'host'))],
      when: at(110, query(C3)),
      then: [openCommand(flow(1, 3), 'A')],
    },
    {
      name: 'nor is a client that has a flow refused then',
      given: [...OPEN, query(C2), at(10, failed(F2, 1, 'host'))],
      when: at(11, query(C1)),
      then: [up(F1)],
    },
  ])

  test('a refusal leaves nothing: no flow, no serial, no deadline', () => {
    const bench = benchAfter([backends(1, 'A'), DRAIN])
    bench.run(query(C1))
    expect(bench.table.flowCount).toBe(0)
    expect(bench.table.deadline()).toBeUndefined()
    const full = benchAfter(ANSWERED, { flowsMax: 1 })
    full.runAll([query(C2), query(C3), configure({ flowsMax: 2 })])
    expect(full.run(query(C4))).toEqual([openCommand(F2, 'A')])
  })
})

describe('where several reasons fit, the first one decides', () => {
  const HOST_FAILED = [query(C2), failed(F2, 1, 'host')]
  const PROXY = { trustedProxies: [prefix('192.0.2.0/24')] }
  const BROKEN_HEADER = new Uint8Array([...bytes('\r\n\r\n\0\r\nQUIT\n'), 0x21, 0x12, 0, 12])
  testRows([
    {
      name: 'oversize before a malformed header',
      config: { ...PROXY, datagramBytesMax: 8 },
      when: query(C1, BROKEN_HEADER),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'a malformed header before the extractor',
      config: PROXY,
      options: {
        keyOf: () => {
          throw new Error('not asked')
        },
      },
      when: query(C1, BROKEN_HEADER),
      then: [],
      drops: { invalid: 1 },
    },
    {
      name: 'oversize before the extractor',
      config: { datagramBytesMax: 1 },
      options: { keyOf: () => undefined },
      when: query(C1, '12'),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'the extractor before draining',
      options: { keyOf: () => undefined },
      given: [DRAIN],
      when: query(C1),
      then: [],
      drops: { invalid: 1 },
    },
    {
      name: 'no backend before draining, where each datagram is balanced',
      config: { affinity: 'datagram' },
      given: [DRAIN],
      when: query(C1),
      then: [],
      drops: { 'no-backend': 1 },
    },
    {
      name: 'draining before a lack of sockets',
      given: [backends(1, 'A'), query(C1), query(C2), failed(F2, 1, 'host'), DRAIN],
      when: query(C3),
      then: [],
      drops: { draining: 1 },
    },
    {
      name: 'a lack of sockets before the limit of a source',
      config: { flowsPerSourceMax: 1 },
      given: [...ANSWERED, ...HOST_FAILED],
      when: query(C1B),
      then: [],
      drops: { 'host-limit': 1 },
    },
    {
      name: 'the limit of a source before a full table',
      config: { flowsPerSourceMax: 1, flowsMax: 1 },
      given: ANSWERED,
      when: query(C1B),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'the limit of a source before an eviction',
      config: { flowsPerSourceMax: 1, flowsMax: 1 },
      given: OPEN,
      when: query(C1B),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'a full table before the lack of a backend',
      config: { flowsMax: 1 },
      given: [...ANSWERED, backends(2, '')],
      when: query(C2),
      then: [],
      drops: { shed: 1 },
    },
    {
      name: 'the lack of a backend before an eviction',
      config: { flowsMax: 1 },
      given: [...OPEN, backends(2, '')],
      when: query(C2),
      then: [],
      drops: { 'no-backend': 1 },
    },
  ])
})

describe('backends that may be chosen', () => {
  testRows([
    {
      name: 'one that is down is passed over',
      given: [backends(1, 'aB')],
      when: query(C1),
      then: [openCommand(F1, 'B')],
    },
    {
      name: 'one that is down is used when all are',
      given: [backends(1, 'a')],
      when: query(C1),
      then: [openCommand(F1, 'A')],
    },
    {
      name: 'a backup waits until it is needed',
      given: [
        {
          type: 'apply-backends',
          version: 1,
          backends: [backend('A', { backup: true }), backend('B')],
        },
        query(C1),
      ],
      when: query(C2),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'one that left is not among them',
      given: [backends(1, 'AB'), backends(2, 'B')],
      when: query(C1),
      then: [openCommand(F1, 'B')],
    },
    {
      name: 'a tick between changes nothing',
      given: [backends(1, 'AB'), query(C1), at(100, TICK)],
      when: at(100, query(C2)),
      then: [openCommand(F2, 'B')],
    },
  ])
})
