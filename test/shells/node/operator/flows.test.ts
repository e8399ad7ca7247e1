import { describe, expect, test } from 'vitest'
import { parseSocketAddress } from '../../../../core/net/address.ts'
import { packAddress } from '../../../../core/net/packed-address.ts'
import { listenerId, replicaId, serviceKey } from '../../../../core/services/identity.ts'
import type { FlowId } from '../../../../core/udp/flow-id.ts'
import type { FlowView } from '../../../../core/udp/view.ts'
import type { ListenerFlows } from '../../../../shells/node/listener/listeners.ts'
import {
  clientProblem,
  FLOW_SORTS,
  type FlowsFilter,
  flowsAnswer,
} from '../../../../shells/node/operator/flows.ts'

const packed = (text: string) => packAddress(parseSocketAddress(text)!)!

const flow = (
  client: string,
  number: number,
  totals: Partial<FlowView['totals']> = {},
  more: Partial<FlowView> = {},
): FlowView => ({
  flow: 1 as FlowId,
  phase: 'open',
  client: packed(client),
  contacted: packed('127.0.0.1:53'),
  backend: replicaId({ deployment: 'hello', service: 'dns', number, incarnation: number + 4 }),
  isAnswered: true,
  expiresInMs: 1_000,
  totals: {
    datagramsUp: 1,
    bytesUp: 10,
    datagramsDown: 1,
    bytesDown: 20,
    durationMs: 500,
    ...totals,
  },
  ...more,
})

const DNS = listenerId(serviceKey('hello', 'dns'), 'dns', 1)
const NTP = listenerId(serviceKey('hello', 'ntp'), 'time', 2)

const LISTS: readonly ListenerFlows[] = [
  {
    listener: DNS,
    flows: [
      flow('10.0.0.10:1', 1, { durationMs: 300, bytesUp: 500 }),
      flow('10.0.0.9:2', 2, { durationMs: 900.4, datagramsDown: 7 }, { expiresInMs: 10 }),
      flow('[2001:db8::1]:53', 1, {}, { isAnswered: false, phase: 'opening' }),
    ],
    total: 3,
  },
  { listener: NTP, flows: [flow('10.0.0.9:3', 9)], total: 5 },
]

const clients = (filter: FlowsFilter, sort: (typeof FLOW_SORTS)[number] = 'client', limit = 100) =>
  flowsAnswer(LISTS, filter, sort, limit).flows.map(({ client }) => client)

test('a flow as it is told', () => {
  const { flows, ...rest } = flowsAnswer(LISTS, { service: 'dns' }, 'age', 1)
  expect(rest).toEqual({ matching: 3, examined: 4, total: 8 })
  expect(flows).toEqual([
    {
      deployment: 'hello',
      service: 'dns',
      endpoint: 'dns',
      phase: 'open',
      client: '10.0.0.9:2',
      contacted: '127.0.0.1:53',
      backend: 'hello/dns/2#6',
      answered: true,
      ageMs: 900,
      expiresInMs: 10,
      datagramsIn: 1,
      bytesIn: 10,
      datagramsOut: 7,
      bytesOut: 20,
    },
  ])
})

describe('which', () => {
  const ALL = ['10.0.0.9:2', '10.0.0.9:3', '10.0.0.10:1', '[2001:db8::1]:53']
  const ROWS: readonly [string, FlowsFilter, readonly string[]][] = [
    ['all', {}, ALL],
    ['of a deployment', { deployment: 'hello' }, ALL],
    ['of another deployment', { deployment: 'other' }, []],
    ['of a service', { service: 'ntp' }, ['10.0.0.9:3']],
    ['of an endpoint', { endpoint: 'time' }, ['10.0.0.9:3']],
    ['of an address', { client: '10.0.0.9' }, ['10.0.0.9:2', '10.0.0.9:3']],
    ['of an address as IPv6 maps it', { client: '::ffff:10.0.0.10' }, ['10.0.0.10:1']],
    ['of an address and port', { client: '10.0.0.9:3' }, ['10.0.0.9:3']],
    ['of an IPv6 address and port', { client: '[2001:db8::1]:53' }, ['[2001:db8::1]:53']],
    ['of a network', { client: '10.0.0.8/31' }, ['10.0.0.9:2', '10.0.0.9:3']],
    ['of an IPv6 network', { client: '2001:db8::/32' }, ['[2001:db8::1]:53']],
    ['to a replica, by number', { backend: '2' }, ['10.0.0.9:2']],
    ['to a replica, by label', { backend: 'dns-1' }, ['10.0.0.10:1', '[2001:db8::1]:53']],
    ['to a replica, by id', { backend: 'hello/dns/2#6' }, ['10.0.0.9:2']],
    ['to one of that label elsewhere', { service: 'ntp', backend: 'dns-1' }, []],
  ]
  for (const [name, filter, found] of ROWS) {
    test(name, () => expect(clients(filter)).toEqual(found))
  }

  test('what is no client', () => {
    expect(['10.0.0.9', '10.0.0.9:3', '::1', '[::1]:2', 'fd00::/8'].map(clientProblem)).toEqual(
      new Array(5).fill(undefined),
    )
    for (const bad of ['', 'dns', '10.0.0.1/8', '10.0.0', '10.0.0.1:70000']) {
      expect(clientProblem(bad)).toContain('must be an address')
    }
  })
})

describe('what comes first', () => {
  const ROWS: Readonly<Record<(typeof FLOW_SORTS)[number], string>> = {
    age: '10.0.0.9:2', // the oldest
    client: '10.0.0.9:2', // by number, not by letter
    backend: '10.0.0.10:1',
    bytes: '10.0.0.10:1', // the most
    datagrams: '10.0.0.9:2', // the most
    expiry: '10.0.0.9:2', // the soonest
  }
  for (const sort of FLOW_SORTS) {
    test(sort, () => expect(clients({}, sort, 1)).toEqual([ROWS[sort]]))
  }

  test('ties go by client', () => {
    expect(clients({ client: '10.0.0.0/24' }, 'expiry')).toEqual([
      '10.0.0.9:2',
      '10.0.0.9:3',
      '10.0.0.10:1',
    ])
  })

  test('none is a list too', () =>
    expect(flowsAnswer([], {}, 'age', 5)).toEqual({
      flows: [],
      matching: 0,
      examined: 0,
      total: 0,
    }))
})
