/** Who may come over real sockets, and who waits for a backend. */
import { describe, expect, test } from 'vitest'
import type { AccessRule } from '../../../../../core/policy/policy.ts'
import type { StreamCounters } from '../../../../../core/stream/state.ts'
import {
  BALANCE,
  backend,
  Client,
  type Fixture,
  LISTENER,
  settingsOf,
  startEcho,
  startFixture,
  until,
} from '../fixture.ts'
import { SecureClient, shown } from '../tls.ts'

const machineOf = ({ listeners }: Fixture): StreamCounters =>
  listeners.streamCounters()[0]!.counters.machine
const live = ({ listeners }: Fixture): number =>
  listeners.streamCounters()[0]?.counters.connectionsLive ?? 0

const asleep = async (node: Fixture, holdTimeoutMs = 60_000): Promise<number> => {
  const port = await node.open(0, { holdTimeoutMs })
  await node.applyBackends([], LISTENER, 'hold')
  return port
}

describe('proxy W47: a client that comes while there is no replica waits for one', () => {
  test('it is not read meanwhile, and loses nothing', async () => {
    const node = await startFixture()
    const port = await asleep(node)
    const clients = [new Client(port), new Client(port), new Client(port)]
    for (const [number, { socket }] of clients.entries()) socket.write(`early ${number}, `)
    await node.event('listener-wanted')
    await until(() => machineOf(node).held === clients.length)
    expect(node.events.filter(({ type }) => type === 'listener-wanted')).toHaveLength(1)
    const upstream = await startEcho()
    await node.applyBackends([backend(1, upstream.port)], LISTENER, 'hold')
    for (const [number, client] of clients.entries()) {
      await client.exchange('late', `early ${number}, late`)
    }
    expect(machineOf(node).bytesToUpstream).toBe(3 * 'early 0, late'.length)
  })

  test('one that said all it has to say, and its end, is heard', async () => {
    const node = await startFixture()
    const port = await asleep(node)
    const client = new Client(port)
    client.socket.end('all')
    await node.event('listener-wanted')
    const upstream = await startEcho()
    await node.applyBackends([backend(1, upstream.port)])
    await client.closed
    expect(client.text).toBe('all')
  })

  test('so does one of TLS, its handshake done', async () => {
    const node = await startFixture({ certificates: shown('default', 'a.example') })
    node.openDoor()
    await node.applyBackends([], LISTENER, 'hold')
    const { port } = await node.bind({ routes: [{ listener: LISTENER, tls: 'terminate' }] })
    const client = new SecureClient(port)
    const exchanged = client.exchange('hi', 'hi')
    await node.event('listener-wanted')
    const upstream = await startEcho()
    await node.applyBackends([backend(1, upstream.port)])
    await exchanged
  })

  test('one that is reset waits no more, though nothing is read from it', async () => {
    const node = await startFixture()
    const port = await asleep(node)
    const client = new Client(port)
    client.socket.write('never to be read')
    await node.event('listener-wanted')
    client.socket.resetAndDestroy()
    await until(() => live(node) === 0)
    expect(machineOf(node).closed['client-reset']).toBe(1)
  })

  test('when none is to come it is reset, and so is whoever comes then', async () => {
    const node = await startFixture()
    const port = await asleep(node)
    const client = new Client(port)
    await node.event('listener-wanted')
    await node.applyBackends([])
    await client.closed
    expect(client.error?.code).toBe('ECONNRESET')
    const late = new Client(port)
    await late.closed
    const { closed, refused } = machineOf(node)
    expect([closed['hold-refused'], refused['no-backend']]).toEqual([1, 1])
  })

  test('when none comes in time it is reset, and people are told', async () => {
    const node = await startFixture()
    const port = await asleep(node, 20)
    const client = new Client(port)
    await client.closed
    expect(machineOf(node).closed['hold-timeout']).toBe(1)
    expect(node.notices).toEqual([
      `${LISTENER}: a connection was refused: no replica was there within 0.02 s, as long as hold_timeout lets it wait`,
    ])
  })
})

test('a listener tells when nothing goes through it, and when something does again', async () => {
  const node = await startFixture()
  const upstream = await startEcho()
  const port = await node.open(0, {}, LISTENER, BALANCE, { idleAfterMs: 20 })
  await node.applyBackends([backend(1, upstream.port)])
  await node.event('listener-idle')
  const client = new Client(port)
  await client.exchange('hi', 'hi')
  await node.event('listener-busy')
  client.socket.end()
  await client.closed
  await until(() => node.events.filter(({ type }) => type === 'listener-idle').length === 2)
})

describe('proxy W15: network policies hold over tcp, with real sockets', () => {
  const against = (...sources: string[]): readonly AccessRule[] => [{ sources, verdict: 'deny' }]

  test('whom one is against is reset, and told nothing of replicas; others are served', async () => {
    const node = await startFixture()
    const upstream = await startEcho()
    const port = await node.open(0, {}, LISTENER, BALANCE, { access: against('127.0.0.0/8') })
    await node.applyBackends([backend(1, upstream.port)])
    const client = new Client(port)
    await client.closed
    expect(client.error?.code).toBe('ECONNRESET')
    expect(upstream.sockets.size).toBe(0)
    expect(machineOf(node).refused.forbidden).toBe(1)
    expect(node.notices).toEqual([
      `${LISTENER}: a connection was refused: a network policy is against its source`,
    ])
    const elsewhere = settingsOf({}, BALANCE, { access: against('10.0.0.0/8') })
    node.listeners.apply({ type: 'configure-listener', listener: LISTENER, ...elsewhere })
    await new Client(port).exchange('hi', 'hi')
  })

  test('another policy ends nobody who is connected', async () => {
    const node = await startFixture()
    const upstream = await startEcho()
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const client = new Client(port)
    await client.exchange('hi', 'hi')
    const all = settingsOf({}, BALANCE, { access: against('0.0.0.0/0') })
    node.listeners.apply({ type: 'configure-listener', listener: LISTENER, ...all })
    await new Client(port).closed
    await client.exchange('!', 'hi!')
  })

  test('it wakes nobody', async () => {
    const node = await startFixture()
    const port = await node.open(0, {}, LISTENER, BALANCE, { access: against('127.0.0.1/32') })
    await node.applyBackends([], LISTENER, 'hold')
    await new Client(port).closed
    expect(node.events.some(({ type }) => type === 'listener-wanted')).toBe(false)
  })

  test('behind a trusted proxy it is whom that one announces', async () => {
    const node = await startFixture()
    const upstream = await startEcho()
    node.openDoor({}, LISTENER, BALANCE, { access: against('192.0.2.0/24', '127.0.0.0/8') })
    await node.applyBackends([backend(1, upstream.port)])
    const { port } = await node.bind({ acceptProxyProtocol: ['127.0.0.0/8'] })
    const denied = new Client(port)
    denied.socket.write('PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n')
    await denied.closed
    const served = new Client(port)
    await served.exchange('PROXY TCP4 198.51.100.1 192.0.2.2 1111 2222\r\nhi', 'hi')
    expect(machineOf(node).refused.forbidden).toBe(1)
  })
})
