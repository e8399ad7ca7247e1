/** Tables in the middle of things, for snapshots of them. */
import { proxyHeader } from '../../../../core/net/proxy-v2.ts'
import type { UdpConfig } from '../../../../core/udp/config.ts'
import type { FlowTableOptions } from '../../../../core/udp/table.ts'
import {
  ABORT_ALL,
  ANSWERED,
  abortFlow,
  address,
  answer,
  at,
  backends,
  C1,
  C2,
  C3,
  C4,
  C6,
  CLOSE,
  configure,
  DRAIN,
  F1,
  F2,
  F3,
  failed,
  flow,
  OPEN,
  opened,
  prefix,
  query,
  type Step,
  TICK,
} from '../rows.ts'

export interface Life {
  readonly name: string
  readonly config?: Partial<UdpConfig>
  readonly options?: FlowTableOptions
  readonly given: readonly Step[]
}

export const PROXY = address('10.1.0.1:4000')
const TRUST = { trustedProxies: [prefix('10.1.0.0/16')] }
export const announced = (client: typeof C1): Uint8Array =>
  new Uint8Array([...proxyHeader(client, address('203.0.113.1:53'), 'dgram'), 0x71])

export const LIVES: readonly Life[] = [
  { name: 'nothing at all', given: [] },
  { name: 'backends, and whose turn it is', given: [backends(1, 'ABC'), query(C1), abortFlow(F1)] },
  {
    name: 'a flow that opens, and what it holds',
    given: [backends(1, 'AB'), query(C1), query(C1, 'q2'), query(C1, '')],
  },
  { name: 'a flow that waits for an answer', given: [...OPEN, query(C1)] },
  {
    name: 'a flow that was answered, its timer put off',
    given: [...ANSWERED, at(1_003.25, query(C1)), answer(F1)],
  },
  {
    name: 'a flow that takes no more requests',
    config: { requests: 1 },
    given: [...OPEN, query(C1)],
  },
  { name: 'a request of two', config: { requests: 2 }, given: OPEN },
  {
    name: 'answers that are owed',
    config: { responses: 3 },
    given: [...OPEN, query(C1), answer(F1)],
  },
  {
    name: 'several flows, in the middle of things',
    given: [
      backends(1, 'AB'),
      query(C1),
      at(20, query(C2)),
      opened(F1),
      at(70, query(C3)),
      answer(F1),
      at(90, opened(F3)),
    ],
  },
  {
    name: 'free slots, in their order',
    given: [
      backends(1, 'A'),
      query(C1),
      query(C2),
      query(C3),
      query(C4),
      abortFlow(F2),
      abortFlow(flow(3, 4)),
      abortFlow(F1),
    ],
  },
  {
    name: 'timers of one bucket, in their order',
    config: { flowsMax: 4 },
    given: [backends(1, 'A'), query(C1), query(C2), query(C3), query(C4), abortFlow(F2)],
  },
  {
    name: 'two failures in a row',
    given: [backends(1, 'ABCD'), query(C1), failed(F1), at(10, failed(F1, 2))],
  },
  {
    name: 'a backend that left and owes',
    given: [...OPEN, at(100, backends(2, 'B')), at(150, TICK)],
  },
  {
    name: 'two that left, one after the other',
    given: [
      backends(1, 'ABC'),
      query(C1),
      query(C2),
      at(50, backends(2, 'AC')),
      at(60, backends(3, 'C')),
    ],
  },
  {
    name: 'a backend that left and was drained, with a quiet flow',
    given: [...ANSWERED, backends(2, 'B')],
  },
  {
    name: 'a backend that left, was drained and came back',
    given: [...ANSWERED, backends(2, ''), backends(3, 'AB')],
  },
  {
    name: 'backends that are down',
    options: { failOpen: false },
    given: [...ANSWERED, backends(2, 'ab')],
  },
  {
    name: 'settings of before',
    config: { frontTimeoutMs: 7_000, responses: 1, proxyProtocol: 'every' },
    given: [
      ...OPEN,
      configure({ affinity: 'source-ip' }),
      query(C2),
      opened(F2),
      configure({ requests: 1 }),
      query(C3),
    ],
  },
  {
    name: 'settings of before, forgotten',
    given: [
      ...OPEN,
      configure({ requests: 2 }),
      query(C2),
      abortFlow(F1),
      configure({ requests: 1 }),
    ],
  },
  {
    name: 'sources and their backends',
    config: { affinity: 'source-ip', flowsPerSourceMax: 2 },
    given: [backends(1, 'ABC'), query(C1), query(C2), query(C6), failed(F1)],
  },
  {
    name: 'a source whose backend is gone',
    config: { affinity: 'source-ip' },
    given: [backends(1, 'AB'), query(C1), opened(F1), answer(F1), backends(2, 'B')],
  },
  {
    name: 'datagrams balanced one by one',
    config: { affinity: 'datagram' },
    given: [backends(1, 'ABC'), query(C1), query(C1), opened(F1), opened(F2)],
  },
  {
    name: 'a header that is due, and one that is not',
    config: { proxyProtocol: 'first' },
    given: [backends(1, 'AB'), query(C1), query(C2), opened(F2)],
  },
  {
    name: 'announced clients',
    config: { ...TRUST, proxyProtocol: 'every' },
    given: [backends(1, 'AB'), query(PROXY, announced(C1)), query(C2), opened(F1)],
  },
  {
    name: "a caller's keys",
    options: { keyOf: ({ d }) => new Uint8Array([d, d >> 8, d >> 16]) },
    given: [backends(1, 'AB'), query(C1), opened(F1), query(C6)],
  },
  {
    name: 'a flow that counts for another host than its client is of now',
    config: { flowsPerSourceMax: 1 },
    options: { keyOf: (_from, payload) => payload.slice(0, 1) },
    given: [backends(1, 'AB'), query(C1, 'x'), query(C2, 'x'), query(C3, 'y')],
  },
  {
    name: 'several addresses contacted',
    given: [
      backends(1, 'A'),
      query(C1),
      query(C1, 'q', address('203.0.113.5:53')),
      query(C6, 'q', address('[2001:db8::53]:53')),
      opened(F2),
    ],
  },
  {
    name: 'no socket a moment ago',
    given: [...OPEN, query(C2), at(40, failed(F2, 1, 'host')), at(90, TICK)],
  },
  {
    name: 'failures that were reported',
    given: [backends(1, 'AB'), query(C1), query(C2), query(C3), at(300, failed(F1)), at(800, TICK)],
  },
  {
    name: 'a lifetime',
    config: { lifetimeMaxMs: 6_000 },
    given: [...ANSWERED, at(5_000, query(C1))],
  },
  {
    name: 'limits of bytes',
    config: { heldBytesMax: 4, flowsMax: 2, datagramBytesMax: 3 },
    given: [backends(1, 'A'), query(C1, 'abc'), query(C2, 'd')],
  },
  { name: 'draining', given: [...ANSWERED, DRAIN] },
  { name: 'closing', given: [...ANSWERED, query(C2), at(500, CLOSE), at(900, TICK)] },
  { name: 'closed', given: [backends(1, 'A'), CLOSE] },
  { name: 'emptied', given: [CLOSE] },
  { name: 'aborted', given: [...OPEN, ABORT_ALL] },
  { name: 'a tick long ago', given: [...ANSWERED, at(70_000, query(C1)), at(99_000, query(C2))] },
]
