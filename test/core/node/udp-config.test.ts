import { expect, test } from 'vitest'
import { udpConfigOf } from '../../../core/node/udp-config.ts'
import { configProblem, defaultUdpConfig } from '../../../core/udp/config.ts'
import { udpOf } from './obedient-shell.ts'

test('the usual block is the usual configuration, with the flows it was dealt', () => {
  const config = udpConfigOf(udpOf(), 716)
  expect(config).toEqual({ ...defaultUdpConfig, flowsMax: 716 })
  expect(configProblem(config)).toBeUndefined()
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
  const config = udpConfigOf(block, 7)
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
    proxyProtocol: 'every',
  })
  expect(config.trustedProxies.map(({ bits }) => bits)).toEqual([104, 8])
  expect(configProblem(config)).toBeUndefined()
})
