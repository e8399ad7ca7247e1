import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listenerId, serviceKey } from '../../../../../core/services/identity.ts'
import {
  backend,
  Client,
  type Fixture,
  HOST,
  LISTENER,
  listen,
  refusingPort,
  replica,
  STREAM,
  startBlackHole,
  startEcho,
  startFixture,
  startUpstream,
  until,
} from '../fixture.ts'
import { SecureClient, shown } from '../tls.ts'

const OTHER = listenerId(serviceKey('demo', 'db'), 'tcp', 2)
const HAS_IPV6 = Object.values(networkInterfaces())
  .flat()
  .some((each) => each?.address === '::1')

/** What a client of this address and port gets for its first word. */
const asked = async (port: number, host = HOST): Promise<string> => {
  const socket = connect({ port, host })
  onTestFinished(() => void socket.destroy())
  socket.write('?')
  return new Promise((resolve) => {
    socket.once('data', (bytes) => resolve(bytes.toString()))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
  })
}

const startNamed = (name: string) =>
  startUpstream((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => socket.write(`${name}${bytes}`))
    socket.on('end', () => socket.end())
  })

describe('sockets and what is behind them', () => {
  test('several sockets lead to one listener, which counts their connections together', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    node.openDoor({ connectionsMax: 3 })
    await node.applyBackends([backend(1, echo.port)])
    const ports = [(await node.bind()).port, (await node.bind({ host: '127.0.0.2' })).port]
    const first = new Client(ports[0]!)
    await first.exchange('one', 'one')
    expect(await asked(ports[1]!, '127.0.0.2')).toBe('?')
    expect(await asked(ports[0]!)).toBe('?')
    expect(await asked(ports[1]!, '127.0.0.2')).toBe('ECONNRESET')
    expect(await node.listeners.load()).toEqual([
      { listener: LISTENER, connections: 3, requests: 0, flows: 0 },
    ])
  })

  test('proxy W1, W4: from a wide address to a narrow one, nobody who is connected notices', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    node.openDoor()
    await node.applyBackends([backend(1, echo.port)])
    const wide = await node.bind({ host: '0.0.0.0' })
    expect(wide.address).toBe(`0.0.0.0:${wide.port}`)
    const client = new Client(wide.port)
    await client.exchange('a', 'a')
    expect(await asked(wide.port, '127.0.0.2')).toBe('?')

    await node.unbind(wide.socket)
    await client.exchange('b', 'ab')
    const narrow = await node.bind({ port: wide.port })
    expect(narrow.port).toBe(wide.port)
    await client.exchange('c', 'abc')
    expect(await asked(wide.port)).toBe('?')
    expect(await asked(wide.port, '127.0.0.2')).toBe('ECONNREFUSED')

    await node.unbind(narrow.socket)
    await node.bind({ host: '0.0.0.0', port: wide.port })
    await client.exchange('d', 'abcd')
    expect(await asked(wide.port, '127.0.0.2')).toBe('?')
    client.socket.end()
    await client.closed
    expect([client.ended, client.error]).toEqual([true, undefined])
  })

  test('led elsewhere: new clients go there, the others stay where they are', async () => {
    const node = await startFixture()
    const [a, b] = await Promise.all(['a', 'b'].map(startNamed))
    node.openDoor()
    node.openDoor({}, OTHER)
    await node.applyBackends([backend(1, a!.port)])
    await node.applyBackends([backend(1, b!.port)], OTHER)
    const { socket, port } = await node.bind()
    const client = new Client(port)
    await client.exchange('1', 'a1')
    node.route(socket, { listener: OTHER })
    expect(await asked(port)).toBe('b?')
    await client.exchange('2', 'a1a2')
    const counted = node.listeners
      .streamCounters()
      .map(({ service, counters }) => [
        service,
        counters.entrance.admitted,
        counters.machine.accepted,
      ])
    expect(counted.sort()).toEqual([
      ['db', 1, 1],
      ['web', 1, 1],
    ])
  })

  test('led to a listener that is gone: reset, and counted as refused at its endpoint', async () => {
    const node = await startFixture()
    const { port } = await node.bind({ listener: OTHER })
    for (let count = 0; count < 3; count++) expect(await asked(port)).toBe('ECONNRESET')
    const [{ service, counters } = { service: '', counters: undefined }] =
      node.listeners.streamCounters()
    expect(service).toBe('db')
    expect(counters).toMatchObject({
      entrance: { accepted: 3, admitted: 3 },
      machine: { accepted: 0, refused: { 'not-accepting': 3 } },
    })
  })

  test.skipIf(!HAS_IPV6)('proxy W32: IPv6 beside IPv4 on one port, each for itself', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    node.openDoor()
    await node.applyBackends([backend(1, echo.port)])
    const six = await node.bind({ host: '::' })
    expect(six.address).toBe(`[::]:${six.port}`)
    expect(await asked(six.port, '::1')).toBe('?')
    expect(await asked(six.port, HOST)).toBe('ECONNREFUSED')
    const four = await node.bind({ host: '0.0.0.0', port: six.port })
    expect(await asked(four.port, HOST)).toBe('?')
    const own = await node.bind({ host: '::1' })
    expect(own.address).toBe(`[::1]:${own.port}`)
    expect(await asked(own.port, '::1')).toBe('?')
  })

  test('proxy W3: many binds of one port at once: one has it, the others are told who', async () => {
    const node = await startFixture()
    const port = await refusingPort()
    node.openDoor()
    const wishes = Array.from({ length: 8 }, () => node.requestBind({ port }))
    const outcomes = await Promise.all(
      wishes.map(async ({ socket }) => {
        await until(() => node.events.some((each) => 'socket' in each && each.socket === socket))
        return node.events.find((each) => 'socket' in each && each.socket === socket)!
      }),
    )
    expect(outcomes.filter(({ type }) => type === 'socket-bound')).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.type !== 'socket-failed') continue
      expect(outcome).toMatchObject({
        reason: 'the address is in use',
        holder: expect.stringContaining(`(pid ${process.pid})`),
      })
    }
  })

  test('proxy W34: a socket that could not be bound is nothing that serves', async () => {
    const node = await startFixture()
    const taken = await startNamed('theirs')
    const { port } = taken
    node.openDoor()
    const { socket } = node.requestBind({ port })
    await node.event('socket-failed')
    expect(await asked(port)).toBe('theirs?')
    await node.unbind(socket) // answered, with nothing to close
    await taken.close()
    const again = { type: 'bind-socket', socket, attempt: 77, host: HOST, port } as const
    const use = {
      kind: 'tcp',
      greetingsMax: 10_000,
      acceptProxyProtocol: [],
      routes: [{ listener: LISTENER, tls: 'off' }],
    } as const
    node.listeners.apply({ ...again, use })
    await node.event('socket-bound', ({ attempt }) => attempt === 77)
  })

  test('proxy W24: a new set in the middle of everything', async () => {
    const node = await startFixture()
    const echoes = await Promise.all([startEcho(), startEcho()])
    const hole = await startBlackHole()
    const port = await node.open(0, { connectTimeoutMs: 100 })
    const sets = [[0], [0, 1], [1], []].map((indexes) => [
      ...indexes.map((index) => backend(index + 1, echoes[index]!.port)),
      backend(3, hole),
    ])
    const clients = Array.from({ length: 60 }, async (_, index) => {
      if (index % 4 === 0) await node.applyBackends(sets[(index / 4) % sets.length]!)
      const client = new Client(port)
      client.socket.write('hi')
      await until(() => client.text === 'hi' || client.error !== undefined)
      client.socket.end()
      await client.closed
    })
    await Promise.all(clients)
    await node.applyBackends([backend(4, echoes[0]!.port)])
    expect(await asked(port)).toBe('?')
    await until(() => drainedIn(node).size === 3)
  })
})

const drainedIn = (node: Fixture): ReadonlySet<string> =>
  new Set(node.events.flatMap((each) => (each.type === 'backend-drained' ? [each.backend] : [])))

describe('unbound while clients are on their way in', () => {
  test('they are refused, those that are through stay, and the port is free', async () => {
    const node = await startFixture({ certificates: shown('a.example') })
    const echo = await startEcho()
    node.openDoor()
    await node.applyBackends([backend(1, echo.port)])
    const { socket, port } = await node.bind({
      routes: [{ listener: LISTENER, tls: 'terminate' }],
    })
    const through = new SecureClient(port)
    await through.exchange('a', 'a')
    const mute = new Client(port)
    const half = new Client(port)
    half.socket.write(Buffer.of(22, 3, 1, 2))
    await until(async () => (await node.listeners.load())[0]?.connections === 3)
    await node.unbind(socket)
    await Promise.all([mute.closed, half.closed])
    expect([mute.error?.code, half.error?.code]).toEqual(['ECONNRESET', 'ECONNRESET'])
    await through.exchange('b', 'ab')
    expect(await node.listeners.load()).toEqual([
      { listener: LISTENER, connections: 1, requests: 0, flows: 0 },
    ])
    const [{ counters } = { counters: undefined }] = node.listeners.streamCounters()
    expect(counters).toMatchObject({
      connectionsLive: 1,
      greetingsLive: 0,
      machine: { accepted: 1 },
      entrance: { accepted: 3, admitted: 1, secured: 1, refused: { closing: 2 } },
    })
    const next = createServer()
    onTestFinished(() => void next.close())
    expect(await listen(next, port)).toBe(port)
  })
})

describe('what is counted', () => {
  test('of an endpoint, whatever becomes of its listeners and sockets', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const read = () =>
      node.listeners.streamCounters().map(({ deployment, service, endpoint, counters }) => ({
        name: `${deployment}/${service}/${endpoint}`,
        accepted: [counters.entrance.accepted, counters.machine.accepted],
        bytes: [counters.machine.bytesToUpstream, counters.machine.bytesToClient],
        live: counters.connectionsLive,
      }))
    const port = await node.open()
    await node.applyBackends([backend(1, echo.port)])
    const client = new Client(port)
    await client.exchange('hello', 'hello')
    const name = 'demo/web/tcp'
    expect(read()).toEqual([{ name, accepted: [1, 1], bytes: [5, 5], live: 1 }])
    await node.close()
    client.socket.end()
    await client.closed
    await node.applyBackends([])
    expect(read()).toEqual([{ name, accepted: [1, 1], bytes: [5, 5], live: 0 }])
    const next = listenerId(serviceKey('demo', 'web'), 'tcp', 9)
    const again = await node.open(0, {}, next)
    await node.applyBackends([backend(2, echo.port)], next)
    await new Client(again).exchange('hey', 'hey')
    expect(read()).toEqual([{ name, accepted: [2, 2], bytes: [8, 8], live: 1 }])
  })

  test('connections to one replica stay under their limit', async () => {
    const node = await startFixture()
    const [a, b] = await Promise.all(['a', 'b'].map(startNamed))
    const port = await node.open(0, { ...STREAM, connectionsPerBackendMax: 1 })
    await node.applyBackends([backend(1, a!.port), backend(2, b!.port)])
    const answers: string[] = []
    for (let count = 0; count < 3; count++) answers.push(await asked(port))
    expect(answers).toEqual(['a?', 'b?', 'ECONNRESET'])
    const [{ counters } = { counters: undefined }] = node.listeners.streamCounters()
    expect(counters?.machine.refused).toMatchObject({ 'backends-full': 1 })
    node.listeners.apply({ type: 'cut-backend', listener: LISTENER, backend: replica(1) })
    expect(await asked(port)).toBe('a?')
  })
})
