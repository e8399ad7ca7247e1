import { describe, expect, test } from 'vitest'
import { defaultHttpListenerConfig, defaultIngressConfig } from '../../../core/http/config.ts'
import { parseCidr } from '../../../core/net/cidr.ts'
import { packPrefix } from '../../../core/net/packed-address.ts'
import {
  entranceConfigOf,
  httpListenerConfigOf,
  ingressConfigOf,
  portLimitsOf,
  streamConfigOf,
  udpConfigOf,
} from '../../../core/node/listener-config.ts'
import { listenerId, serviceKey } from '../../../core/services/identity.ts'
import { jsonSchema } from '../../../core/spec/decode.ts'
import { DURATION_PATTERN } from '../../../core/spec/grammar/units.ts'
import { plainHttp, plainStream } from '../../../core/spec/plain-endpoint.ts'
import type { JsonSchema } from '../../../core/spec/schema/shape.ts'
import { defaultStreamConfig } from '../../../core/stream/state.ts'
import { configProblem, defaultUdpConfig } from '../../../core/udp/config.ts'
import { deploymentOf, problemsOf, type Tree, webWith } from '../spec/files.ts'
import { udpOf } from './obedient-shell.ts'

const ACCESS = { sources: ['10.0.0.0/8'], verdict: 'deny' } as const
const LIST = { sources: [packPrefix(parseCidr('10.0.0.0/8')!)], verdict: 'deny' } as const
const COMMON = { access: [ACCESS], idleAfterMs: 6 }

test('the usual block is the usual configuration, with the flows it was dealt', () => {
  const config = udpConfigOf(udpOf(), 716, 30_000)
  expect(config).toEqual({ ...defaultUdpConfig, flowsMax: 716, lingerMs: 5_000 })
  expect(configProblem(config)).toBeUndefined()
  const { access, idleAfterMs } = udpConfigOf(udpOf(), 716, 30_000, COMMON)
  expect({ access, idleAfterMs }).toEqual({ access: [LIST], idleAfterMs: 6 })
})

test('the keys of an http block arrive', () => {
  const block = {
    ...plainHttp,
    stripPrefix: true,
    backend: 'h2c',
    bodyTimeoutMs: 1,
    connectTimeoutMs: 2,
    responseTimeoutMs: 3,
    totalTimeoutMs: 4,
    tunnelIdleTimeoutMs: 5,
    headBytesMax: 7,
    retries: 8,
    holdTimeoutMs: 9,
    requestsPerBackendMax: 10,
    hsts: false,
  } as const
  expect(httpListenerConfigOf(block, COMMON)).toEqual({
    stripPrefix: true,
    backend: 'h2c',
    bodyTimeoutMs: 1,
    connectTimeoutMs: 2,
    responseTimeoutMs: 3,
    totalTimeoutMs: 4,
    tunnelIdleMs: 5,
    headBytesMax: 7,
    retries: 8,
    holdTimeoutMs: 9,
    requestsPerBackendMax: 10,
    hsts: false,
    access: [LIST],
    idleAfterMs: 6,
  })
  const usual = httpListenerConfigOf(plainHttp, { access: [], idleAfterMs: 0 })
  expect(usual).toEqual(defaultHttpListenerConfig)
})

test('the one ingress has the limits of the node, and its ports those of their routes', () => {
  const config = ingressConfigOf({
    trustedProxies: ['10.0.0.0/8'],
    limits: { httpClientsMax: 1, heldRequestsMax: 2, heldBytesMax: 3 },
  })
  const limits = { clientsMax: 1, heldMax: 2, heldBytesMax: 3 }
  expect(config).toEqual({ ...defaultIngressConfig, trustedProxies: LIST.sources, ...limits })
  const doorway = {
    tls: 'off',
    http: [],
    headTimeoutMs: 1,
    headBytesMax: 2,
    idleTimeoutMs: 3,
  } as const
  expect(portLimitsOf(doorway)).toEqual({ headTimeoutMs: 1, headBytesMax: 2, keepAliveMs: 3 })
})

test('each key of the block arrives', () => {
  const block = udpOf({
    affinity: 'datagram',
    responses: 1,
    requests: 2,
    frontTimeoutMs: 3,
    backTimeoutMs: 4,
    halfOpenTimeoutMs: 5,
    lifetimeMaxMs: 6,
    flowsMax: 7,
    flowsPerSourceMax: 8,
    datagramBytesMax: 9,
    proxyProtocol: 'every',
    acceptProxyProtocol: ['10.0.0.0/8', 'fd00::/8'],
  })
  const config = udpConfigOf(block, 7, 700)
  expect(config).toMatchObject({
    affinity: 'datagram',
    responses: 1,
    requests: 2,
    frontTimeoutMs: 3,
    backTimeoutMs: 4,
    halfOpenTimeoutMs: 5,
    lifetimeMaxMs: 6,
    flowsMax: 7,
    flowsPerSourceMax: 8,
    datagramBytesMax: 9,
    lingerMs: 700,
    proxyProtocol: 'every',
  })
  expect(config.trustedProxies.map(({ bits }) => bits)).toEqual([104, 8])
  expect(configProblem(config)).toBeUndefined()
})

describe('udp W37: what the file takes, the table takes', () => {
  const block = (jsonSchema().$defs as { udp: JsonSchema }).udp as {
    readonly properties: Record<string, JsonSchema>
  }
  const fileWith = (udp: Tree): Tree =>
    webWith({ endpoints: [{ name: 'dns', protocol: 'udp', port: 53, udp }] })

  /** How a number is written at a key; undefined at a key that takes none. */
  const writerOf = ({ type, pattern }: JsonSchema) => {
    if (type === 'integer') return (value: number) => value
    return pattern === DURATION_PATTERN.source ? (value: number) => `${value}ms` : undefined
  }

  /** The numbers at the ends of what a key takes. */
  function rangeOf(takes: (value: number) => boolean): readonly [min: number, max: number] {
    const min = [0, 1].find(takes)!
    let [max, beyond] = [min, 2 ** 50]
    expect([min, beyond].map(takes)).toEqual([true, false])
    while (beyond - max > 1) {
      const middle = Math.floor((max + beyond) / 2)
      if (takes(middle)) max = middle
      else beyond = middle
    }
    return [min, max]
  }

  const NUMBERS = Object.entries(block.properties).flatMap(([key, schema]) => {
    const write = writerOf(schema)
    return write === undefined ? [] : [{ key, write }]
  })

  test.each(NUMBERS)('$key', ({ key, write }) => {
    const at = (value: number): Tree => fileWith({ [key]: write(value) })
    for (const end of rangeOf((value) => problemsOf(at(value)).length === 0)) {
      const { udp } = deploymentOf(at(end)).services.web!.endpoints[0]!
      expect(Object.values(udp!)).toContain(end)
      expect(configProblem(udpConfigOf(udp!, udp!.flowsMax, 0))).toBeUndefined()
    }
  })

  test('each number of the block is looked at', () => {
    const numbers = Object.values(udpOf()).filter((value) => typeof value === 'number')
    expect(NUMBERS).toHaveLength(numbers.length)
  })
})

test('the keys of a stream block arrive', () => {
  const block = {
    ...plainStream,
    tls: 'reoriginate',
    proxyProtocol: true,
    connectTimeoutMs: 1,
    idleTimeoutMs: 2,
    connectionsMax: 3,
    connectionsPerBackendMax: 4,
    holdTimeoutMs: 5,
  } as const
  expect(streamConfigOf(block, COMMON)).toEqual({
    connectAttemptsMax: 4,
    connectTimeoutMs: 1,
    idleTimeoutMs: 2,
    connectionsMax: 3,
    connectionsPerBackendMax: 4,
    proxyProtocol: true,
    upstreamTls: true,
    heldMax: 1_000,
    holdTimeoutMs: 5,
    access: [LIST],
    idleAfterMs: 6,
  })
  expect(streamConfigOf(plainStream)).toEqual(defaultStreamConfig)
})

test('an entrance leads to listeners, and believes the proxies that are named', () => {
  const listener = listenerId(serviceKey('hello', 'web'), 'tcp', 1)
  const route = { listener, serverName: 'a.example.com', tls: 'terminate' } as const
  const acceptProxyProtocol = ['10.0.0.0/8']
  const config = entranceConfigOf({
    kind: 'tcp',
    acceptProxyProtocol,
    greetingsMax: 7,
    routes: [route],
  })
  expect(config).toEqual({
    routes: [{ id: listener, serverName: 'a.example.com', tls: 'terminate' }],
    trustedProxies: [packPrefix(parseCidr('10.0.0.0/8')!)],
    greetingTimeoutMs: 10_000,
    greetingsMax: 7,
  })
})
