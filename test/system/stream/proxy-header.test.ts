/** PROXY protocol with haproxy, which wrote the standard, before Weir and behind it. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { connect as connectTls } from 'node:tls'
import { expect, test } from 'vitest'
import { fixture } from '../../shells/node/tls/fixtures.ts'
import { freePorts, missing } from '../running-node.ts'
import { askWitness, startFronts, WITNESS, WITNESS_COMMAND, whoAmI } from './peers/haproxy.ts'
import { LineClient } from './peers/line-client.ts'
import { certificateDirectory, startNode, titleOf } from './peers/nodes.ts'

const noHaproxy = missing('haproxy')
const hasIpv6 = Object.values(networkInterfaces()).some((addresses = []) =>
  addresses.some(({ address }) => address === '::1'),
)

const endpointOf = (name: string, port: number, stream: string): string =>
  `{ name: ${name}, protocol: tcp, port: ${port}, stream: { proxy_protocol: true, ${stream} } }`

const fileOf = (...endpoints: readonly string[]): string => `
version: v1
deployment: seen
services:
  witness:
    command: ${JSON.stringify(WITNESS_COMMAND)}
    scale: { mode: fixed, replicas: 1 }
    endpoints: [ ${endpoints.join(', ')} ]
`

test.skipIf(noHaproxy !== undefined)(
  titleOf('proxy_protocol: haproxy behind Weir sees the address of each client', noHaproxy),
  async () => {
    const [port = 0] = await freePorts(1)
    await startNode({ 'weir.yaml': fileOf(endpointOf('http', port, '')), 'witness.cfg': WITNESS })
    for (const from of ['127.0.0.1', '127.0.0.7']) {
      const { said, localPort } = await whoAmI(port, '127.0.0.1', from)
      expect(said).toBe(`${from} ${localPort} 127.0.0.1 ${port}`)
    }
    if (!hasIpv6) return
    const { said, localPort } = await whoAmI(port, '::1')
    expect(said).toBe(`::1 ${localPort} ::1 ${port}`)
  },
)

test.skipIf(noHaproxy !== undefined)(
  titleOf('accept_proxy_protocol: haproxy before Weir says who the client is', noHaproxy),
  async () => {
    const [port = 0, v1 = 0, v2 = 0, v1six = 0, v2six = 0] = await freePorts(5)
    const endpoint = endpointOf('http', port, 'accept_proxy_protocol: [127.0.0.1/32]')
    await startNode({ 'weir.yaml': fileOf(endpoint), 'witness.cfg': WITNESS })
    const fronts = [
      { host: '127.0.0.1', port: v1, send: 'send-proxy' },
      { host: '127.0.0.1', port: v2, send: 'send-proxy-v2' },
      ...(hasIpv6
        ? ([
            { host: '::1', port: v1six, send: 'send-proxy' },
            { host: '::1', port: v2six, send: 'send-proxy-v2' },
          ] as const)
        : []),
    ] as const
    await startFronts(
      fronts.map((front) => ({
        ...front,
        bind: `${front.host.includes(':') ? `[${front.host}]` : front.host}:${front.port}`,
        weir: port,
      })),
    )
    for (const { host, port: front } of fronts) {
      const { said, localPort } = await whoAmI(front, host)
      expect(said).toBe(`${host} ${localPort} ${host} ${front}`)
    }
    const { said, localPort } = await whoAmI(v1, '127.0.0.1', '127.0.0.8')
    expect(said).toBe(`127.0.0.8 ${localPort} 127.0.0.1 ${v1}`)
    // whoever is not trusted is known by its own address, and a trusted one owes a header
    const untrusted = await whoAmI(port, '127.0.0.1', '127.0.0.9')
    expect(untrusted.said).toBe(`127.0.0.9 ${untrusted.localPort} 127.0.0.1 ${port}`)
    const silent = await whoAmI(port).catch((error: NodeJS.ErrnoException) => error.code)
    expect(silent).not.toMatchObject({ said: expect.stringMatching(/^127/) })
  },
)

test.skipIf(noHaproxy !== undefined)(
  titleOf('a header before TLS that ends here, and one after it', noHaproxy),
  async () => {
    const [port = 0, front = 0] = await freePorts(2)
    const stream = 'tls: terminate, accept_proxy_protocol: [127.0.0.1/32]'
    await startNode({
      'weir.yaml': fileOf(endpointOf('https', port, stream)),
      'witness.cfg': WITNESS,
      'node.yaml': `certificates: ${await certificateDirectory({ default: 'default' })}\n`,
    })
    await startFronts([
      { bind: `127.0.0.1:${front}`, port: front, weir: port, send: 'send-proxy-v2' },
    ])
    const raw = connect({ port: front, host: '127.0.0.1', localAddress: '127.0.0.6' })
    const socket = connectTls({ socket: raw, servername: 'localhost', ca: fixture('ca.crt') })
    await once(socket, 'secureConnect')
    const { localPort } = raw
    expect(await askWitness(socket)).toBe(`127.0.0.6 ${localPort} 127.0.0.1 ${front}`)
  },
)

test('what looks like a header is data when it comes from somebody who is not trusted', async () => {
  const [port = 0] = await freePorts(1)
  await startNode({
    'weir.yaml': `
version: v1
deployment: seen
services:
  lines:
    command: [node, answerer.mjs]
    scale: { mode: fixed, replicas: 1 }
    endpoints:
      - name: lines
        protocol: tcp
        port: ${port}
        stream: { accept_proxy_protocol: [127.0.0.1/32] }
`,
  })
  const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443'
  const untrusted = await LineClient.to(port, '127.0.0.1', '127.0.0.9')
  expect((await untrusted.ask(header)).text).toBe(header)
  const trusted = await LineClient.to(port)
  trusted.socket.write(`${header}\r\n`)
  expect((await trusted.ask('hello')).text).toBe('hello')
  const silent = await LineClient.to(port)
  await expect(silent.ask('no header')).rejects.toThrow(/over before an answer/)
})
