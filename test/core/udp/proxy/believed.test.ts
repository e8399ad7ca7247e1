/** Clients that trusted proxies announce (udp W25). */
import { describe, expect, test } from 'vitest'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import { proxyHeader } from '../../../../core/net/proxy-v2.ts'
import {
  abortFlow,
  address,
  answer,
  at,
  backends,
  benchAfter,
  C1,
  C1B,
  C2,
  C6,
  closed,
  closeUpstream,
  configure,
  down,
  F1,
  F2,
  failed,
  flow,
  LOCAL,
  OPEN,
  openCommand,
  opened,
  prefix,
  query,
  type Step,
  testRows,
  up,
} from '../rows.ts'

const FIRST = { proxyProtocol: 'first' } as const
const EVERY = { proxyProtocol: 'every' } as const

/** A proxy that is believed; behind it are clients of other networks. */
const PROXY = address('10.1.0.1:4000')
const PROXY_B = address('10.1.0.1:4001')
const VIP = address('203.0.113.1:53')
const X1 = address('192.0.2.11:1111')
const X2 = address('192.0.2.12:1212')
const TRUST = { trustedProxies: [prefix('10.2.0.0/16'), prefix('10.1.0.0/16')] }

const announcing = (client: PackedAddress, payload = 'q', contacted = VIP): Uint8Array =>
  new Uint8Array([...proxyHeader(client, contacted, 'dgram'), ...Buffer.from(payload)])
const SIGNATURE = '0d0a0d0a000d0a515549540a'
const raw = (hex: string, payload = ''): Uint8Array =>
  new Uint8Array([...Buffer.from(hex.replaceAll(' ', ''), 'hex'), ...Buffer.from(payload)])

/** The first client behind the proxy, open on A. */
const BEHIND: readonly Step[] = [backends(1, 'A'), query(PROXY, announcing(X1)), opened(F1)]

describe('udp W25: a client that a trusted proxy announces', () => {
  testRows([
    {
      name: 'its payload is what follows the header',
      config: TRUST,
      given: [backends(1, 'A'), query(PROXY, announcing(X1))],
      when: opened(F1),
      then: [up(F1, 'q')],
    },
    {
      name: 'which may be nothing',
      config: TRUST,
      given: [backends(1, 'A'), query(PROXY, announcing(X1, ''))],
      when: opened(F1),
      then: [up(F1, '')],
    },
    {
      name: 'what follows extensions, that is',
      config: TRUST,
      given: [
        backends(1, 'A'),
        query(PROXY, raw(`${SIGNATURE} 21 12 0010 c000020b cb007101 0457 0035 04 0001 ff`, 'q')),
      ],
      when: opened(F1),
      then: [up(F1, 'q')],
    },
    {
      name: 'answers go to the proxy',
      config: TRUST,
      given: BEHIND,
      when: answer(F1),
      then: [down(F1, PROXY)],
    },
    {
      name: 'backends are told the client, and the address it contacted there',
      config: { ...TRUST, ...FIRST },
      given: [backends(1, 'A'), query(PROXY, announcing(X1))],
      when: opened(F1),
      then: [up(F1, 'q', { header: proxyHeader(X1, VIP, 'dgram') })],
    },
    {
      name: 'the end of its flow names the client',
      config: TRUST,
      given: BEHIND,
      when: abortFlow(F1),
      then: [closed(F1, 'aborted', { client: X1, up: [1, 1] })],
    },
    {
      name: 'what went through is counted without the header',
      config: { ...TRUST, ...EVERY },
      given: [...BEHIND, query(PROXY, announcing(X1, '12345'))],
      when: abortFlow(F1),
      then: [closed(F1, 'aborted', { client: X1, up: [2, 6] })],
    },
    {
      name: 'announced again, its flow goes on',
      config: TRUST,
      given: BEHIND,
      when: query(PROXY, announcing(X1, 'q2')),
      then: [up(F1, 'q2')],
    },
    {
      name: 'not announced again, its flow goes on too',
      config: TRUST,
      given: BEHIND,
      when: query(PROXY, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'on another socket of the proxy, it is another flow',
      config: TRUST,
      given: BEHIND,
      when: query(PROXY_B, announcing(X1)),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'announced once, it is known for the other backend too',
      config: { ...TRUST, ...FIRST },
      given: [
        backends(1, 'AB'),
        query(PROXY, announcing(X1)),
        opened(F1),
        failed(F1),
        query(PROXY, 'q2'),
      ],
      when: opened(F1, 2),
      then: [up(F1, 'q2', { attempt: 2, header: proxyHeader(X1, VIP, 'dgram') })],
    },
    {
      name: 'with a payload that makes it too long with its header, it is refused',
      config: { ...TRUST, datagramBytesMax: 28 },
      given: BEHIND,
      when: query(PROXY, announcing(X1, '1')),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'held payloads are without the header',
      config: { ...TRUST, heldBytesMax: 2 },
      given: [backends(1, 'A'), query(PROXY, announcing(X1, 'q1'))],
      when: opened(F1),
      then: [up(F1, 'q1')],
    },
  ])
})

describe('another client is announced on the same socket', () => {
  testRows([
    {
      name: 'the flow is over; the other client gets one',
      config: TRUST,
      given: BEHIND,
      when: at(25, query(PROXY, announcing(X2))),
      then: [
        closed(F1, 'superseded', { client: X1, up: [1, 1], ms: 25 }),
        openCommand(flow(0, 2), 'A'),
      ],
    },
    {
      name: 'also while it opens; what is held is lost',
      config: TRUST,
      given: [backends(1, 'A'), query(PROXY, announcing(X1))],
      when: query(PROXY, announcing(X2)),
      then: [closed(F1, 'superseded', { client: X1 }), openCommand(flow(0, 2), 'A')],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'another port is another client',
      config: TRUST,
      given: BEHIND,
      when: query(PROXY, announcing({ ...X1, port: 1112 })),
      then: [closed(F1, 'superseded', { client: X1, up: [1, 1] }), openCommand(flow(0, 2), 'A')],
    },
    {
      name: 'another address contacted is not',
      config: TRUST,
      given: BEHIND,
      when: query(PROXY, announcing(X1, 'q2', address('203.0.113.2:53'))),
      then: [up(F1, 'q2')],
    },
    {
      name: 'the first that is announced where none was',
      config: TRUST,
      given: [backends(1, 'A'), query(PROXY, 'q'), opened(F1)],
      when: query(PROXY, announcing(X1)),
      then: [closed(F1, 'superseded', { client: PROXY, up: [1, 1] }), openCommand(flow(0, 2), 'A')],
    },
    {
      name: 'is refused, as a new client is',
      config: TRUST,
      given: [...BEHIND, { type: 'drain' }],
      when: query(PROXY, announcing(X2)),
      then: [closed(F1, 'superseded', { client: X1, up: [1, 1] })],
      drops: { draining: 1 },
    },
    {
      name: 'makes room for itself',
      config: { ...TRUST, flowsMax: 1 },
      given: [...BEHIND, answer(F1)],
      when: query(PROXY, announcing(X2)),
      then: [
        closed(F1, 'superseded', { client: X1, up: [1, 1], down: [1, 1] }),
        openCommand(flow(0, 2), 'A'),
      ],
    },
    {
      name: 'a flow that takes no more requests still gets its answer',
      config: { ...TRUST, requests: 1 },
      given: [...BEHIND, query(PROXY, announcing(X2))],
      when: answer(F1),
      then: [down(F1, PROXY), closed(F1, 'requests', { client: X1, up: [1, 1], down: [1, 1] })],
    },
  ])
})

describe('a header that announces nothing', () => {
  const bare = (name: string, header: string) => ({
    name,
    config: { ...TRUST, ...FIRST },
    given: [backends(1, 'A'), query(PROXY, raw(header, 'q'))],
    when: opened(F1),
    then: [up(F1, 'q', { header: proxyHeader(PROXY, LOCAL, 'dgram') })],
  })
  testRows([
    bare('LOCAL', `${SIGNATURE} 20 00 0000`),
    bare('LOCAL with addresses', `${SIGNATURE} 20 12 000c c000020b cb007101 0457 0035`),
    bare('UNSPEC', `${SIGNATURE} 21 00 0000`),
    {
      name: 'leaves a client announced before as it is',
      config: TRUST,
      given: BEHIND,
      when: query(PROXY, raw(`${SIGNATURE} 20 00 0000`, 'q2')),
      then: [up(F1, 'q2')],
    },
  ])
})

describe('a header that is wrong', () => {
  const wrong = (name: string, payload: Uint8Array) => ({
    name,
    config: TRUST,
    given: BEHIND,
    when: query(PROXY, payload),
    then: [],
    drops: { invalid: 1 },
  })
  testRows([
    wrong('only a signature', raw(SIGNATURE)),
    wrong('cut short', announcing(X1, '').subarray(0, 27)),
    wrong('of another version', raw(`${SIGNATURE} 11 12 000c c000020b cb007101 0457 0035`)),
    wrong('for a stream', new Uint8Array(proxyHeader(X1, VIP, 'stream'))),
    wrong('with less than two addresses', raw(`${SIGNATURE} 21 12 000b c000020b cb007101 0457 00`)),
    wrong('of Unix sockets', raw(`${SIGNATURE} 21 32 0000`)),
  ])
})

describe('not believed', () => {
  const PAYLOAD = announcing(X1, 'q')
  testRows([
    {
      name: 'a proxy that is not trusted: the header is payload',
      config: { trustedProxies: [prefix('10.2.0.0/16')] },
      given: [backends(1, 'A'), query(PROXY, PAYLOAD)],
      when: opened(F1),
      then: [up(F1, PAYLOAD)],
    },
    {
      name: 'nobody is trusted: the header is payload',
      given: [backends(1, 'A'), query(PROXY, PAYLOAD)],
      when: opened(F1),
      then: [up(F1, PAYLOAD)],
    },
    {
      name: 'a trusted proxy without a header is a client',
      config: TRUST,
      given: [backends(1, 'A'), query(PROXY, 'q')],
      when: opened(F1),
      then: [up(F1)],
    },
    {
      name: 'who is trusted counts at once: not any more',
      config: TRUST,
      given: [...BEHIND, configure({})],
      when: query(PROXY, PAYLOAD),
      then: [up(F1, PAYLOAD)],
    },
    {
      name: 'who is trusted counts at once: from now on',
      given: [...OPEN, configure({ trustedProxies: [prefix('192.0.2.0/24')] })],
      when: query(C1, announcing(X1, 'q2')),
      then: [closed(F1, 'superseded', { up: [1, 1] }), openCommand(flow(0, 2), 'A')],
    },
    {
      name: 'an IPv6 proxy',
      config: { trustedProxies: [prefix('2001:db8::/64')] },
      given: [backends(1, 'A'), query(C6, announcing(X1, 'q'))],
      when: opened(F1),
      then: [up(F1)],
    },
  ])
})

describe('what counts by client, counts by the announced one', () => {
  testRows([
    {
      name: 'the limit of a source',
      config: { ...TRUST, flowsPerSourceMax: 1 },
      given: BEHIND,
      when: query(PROXY_B, announcing({ ...X1, port: 5 })),
      then: [],
      drops: { 'source-limit': 1 },
    },
    {
      name: 'two clients behind one proxy are two sources',
      config: { ...TRUST, flowsPerSourceMax: 1 },
      given: BEHIND,
      when: query(PROXY_B, announcing(X2)),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'the backend of a source',
      config: { ...TRUST, affinity: 'source-ip' },
      given: [backends(1, 'AB'), query(PROXY, announcing(X1)), query(C2)],
      when: query(PROXY_B, announcing({ ...X1, port: 5 })),
      then: [openCommand(flow(2, 3), 'A')],
    },
    {
      name: 'wherever it comes from',
      config: { ...TRUST, affinity: 'source-ip' },
      given: [backends(1, 'AB'), query(PROXY, announcing(C1)), query(C2)],
      when: query(C1B),
      then: [openCommand(flow(2, 3), 'A')],
    },
    {
      name: 'also when its flow goes to another backend',
      config: { ...TRUST, affinity: 'source-ip' },
      given: [
        backends(1, 'ABC'),
        query(PROXY, announcing(X1)),
        query(PROXY_B, announcing({ ...X1, port: 5 })),
        failed(F1),
      ],
      when: failed(F2),
      then: [closeUpstream(F2), openCommand(F2, 'B', 2)],
    },
  ])

  test('flows that are told of name the announced client, and our own address', () => {
    const bench = benchAfter(BEHIND, TRUST)
    expect(bench.table.flow(F1, 0)).toMatchObject({ client: X1, contacted: LOCAL })
  })
})
