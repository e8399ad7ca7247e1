/** What people are told of clients that were not let in, and of what was lost. */
import { expect, test } from 'vitest'
import { listenerId, serviceKey } from '../../../../core/services/identity.ts'
import {
  backend,
  Client,
  type Fixture,
  HOST,
  LISTENER,
  refusingPort,
  startEcho,
  startFixture,
  until,
} from './fixture.ts'
import { SecureClient, shown, startSecureUpstream } from './tls.ts'

const OTHER = listenerId(serviceKey('demo', 'db'), 'tcp', 2)
const TERMINATE = [{ listener: LISTENER, tls: 'terminate' }] as const
const BY_NAME = [{ listener: LISTENER, tls: 'terminate', serverName: 'a.example' }] as const

const refusedAt = async (port: number, count: number): Promise<void> => {
  for (let left = count; left > 0; left--) {
    const client = new Client(port)
    await client.closed
    expect(client.error?.code).toBe('ECONNRESET')
  }
}

/** Of so many refused connections it is said once, and what could be done about it. */
const expectNotices = (node: Fixture, ...notices: readonly string[]): void =>
  expect(node.notices).toEqual(notices)

test('max_connections: at once, once, and of each listener by itself', async () => {
  const node = await startFixture()
  const echo = await startEcho()
  const port = await node.open(0, { connectionsMax: 1 })
  const other = await node.open(0, { connectionsMax: 2 }, OTHER)
  await node.applyBackends([backend(1, echo.port)])
  await node.applyBackends([backend(1, echo.port)], OTHER)
  await new Client(port).exchange('a', 'a')
  await new Client(other).exchange('a', 'a')
  await new Client(other).exchange('a', 'a')
  await refusedAt(port, 20)
  await refusedAt(other, 1)
  const said = (count: number): string =>
    `a connection was refused: there are ${count}, as many as max_connections allows`
  expectNotices(node, `${LISTENER}: ${said(1)}`, `${OTHER}: ${said(2)}`)
})

test('max_connections_per_backend', async () => {
  const node = await startFixture()
  const echo = await startEcho()
  const port = await node.open(0, { connectionsPerBackendMax: 1 })
  await node.applyBackends([backend(1, echo.port)])
  await new Client(port).exchange('a', 'a')
  await refusedAt(port, 3)
  const why = 'every replica has 1, as many as max_connections_per_backend allows'
  expectNotices(node, `${LISTENER}: a connection was refused: ${why}`)
})

test('clients on their way in', async () => {
  const node = await startFixture({ certificates: shown('a.example') })
  node.openDoor()
  const tcp = { kind: 'tcp', greetingsMax: 1, acceptProxyProtocol: [] } as const
  const { port, address } = await node.bind({ use: { ...tcp, routes: TERMINATE } })
  const mute = new Client(port)
  await until(async () => (await node.listeners.load())[0]?.connections === 1)
  await refusedAt(port, 3)
  const why =
    '1 are on their way in, as many as the largest max_connections of its endpoints allows'
  expectNotices(node, `${LISTENER}: a connection was refused at ${address}: ${why}`)
  mute.socket.destroy()
})

test('no PROXY header where one is needed', async () => {
  const node = await startFixture()
  node.openDoor()
  const { port, address } = await node.bind({ acceptProxyProtocol: [`${HOST}/32`] })
  for (const text of ['GET / HTTP/1.1\r\n\r\n', 'PROXY nonsense\r\n']) {
    const client = new Client(port)
    client.socket.write(text)
    await client.closed
  }
  const why =
    'a source that accept_proxy_protocol names has to begin with a PROXY header, version 1 or 2'
  expectNotices(node, `${LISTENER}: a connection was refused at ${address}: ${why}`)
})

test('plain bytes where TLS is spoken, looked at or not', async () => {
  const node = await startFixture({ certificates: shown('a.example') })
  node.openDoor()
  const named = await node.bind({ routes: BY_NAME })
  const alone = await node.bind({ routes: TERMINATE })
  for (const { port } of [named, named, alone, alone]) {
    const client = new Client(port)
    client.socket.write('GET / HTTP/1.1\r\n\r\n')
    await until(() => client.ended || client.error !== undefined)
    client.socket.destroy()
  }
  const why = 'TLS is spoken here, and what came is none'
  await until(() => node.notices.length === 2)
  expectNotices(
    node,
    `${LISTENER}: a connection was refused at ${named.address}: ${why}`,
    `${LISTENER}: a TLS handshake failed at ${alone.address}: TLS: http request`,
  )
})

test('a name without a certificate is told, a client that only leaves is not', async () => {
  const node = await startFixture({ certificates: shown('b.example') })
  node.openDoor()
  const { port, address } = await node.bind({ routes: TERMINATE })
  const failed = (): number =>
    node.listeners.streamCounters()[0]!.counters.entrance.refused.handshake
  const gone = new Client(port)
  gone.socket.end()
  await until(() => failed() === 1)
  expectNotices(node)
  const unknown = new SecureClient(port)
  await unknown.closed
  await until(() => failed() === 2)
  const why = 'TLS: no certificate for a.example'
  expectNotices(node, `${LISTENER}: a TLS handshake failed at ${address}: ${why}`)
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'clients that name no server, without a default certificate, over %s',
  async (version) => {
    const node = await startFixture({ certificates: shown('b.example') })
    node.openDoor()
    const { port, address } = await node.bind({ routes: TERMINATE })
    const bounds = { minVersion: version, maxVersion: version }
    const client = new SecureClient(port, { servername: '', ...bounds })
    await client.closed
    await until(() => node.notices.length === 1)
    const why =
      'TLS: no certificate for clients that name no server; add default.crt and default.key'
    expectNotices(node, `${LISTENER}: a TLS handshake failed at ${address}: ${why}`)
  },
)

test('a replica that is not to be spoken to in TLS, with its address', async () => {
  const node = await startFixture()
  const upstream = await startSecureUpstream({}, () => {})
  const backendCa = new URL('fixtures/stranger.crt', import.meta.url).pathname
  const port = await node.open(0, { tls: 'reoriginate', backendCa })
  await node.applyBackends([backend(1, upstream.port)])
  await refusedAt(port, 2)
  const why = 'TLS: unable to verify the first certificate'
  expectNotices(node, `${LISTENER}: a connection to ${HOST}:${upstream.port} failed: ${why}`)
})

test('a replica that refuses, or nobody behind it, is told elsewhere', async () => {
  const node = await startFixture()
  const port = await node.open()
  await refusedAt(port, 1)
  await node.applyBackends([backend(1, await refusingPort())])
  await refusedAt(port, 1)
  expectNotices(node)
})
