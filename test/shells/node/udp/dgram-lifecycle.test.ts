import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { describe, expect, test } from 'vitest'
import { formatPacked } from '../../../../core/net/packed-address.ts'
import { defaultUdpConfig } from '../../../../core/udp/config.ts'
import type { CreateSocket } from '../../../../shells/node/udp/dgram/sockets.ts'
import { DgramHost } from '../../../../shells/node/udp/dgram-host.ts'
import {
  backend,
  connectClient,
  descriptors,
  freePort,
  HOST,
  ListenerFixture,
  Peer,
  startBackend,
  startEcho,
  startListener,
  until,
} from './dgram-fixture.ts'

/** Real sockets, which the test knows. */
const keeping =
  (sockets: Socket[]): CreateSocket =>
  (options) => {
    const socket = createSocket(options)
    sockets.push(socket)
    return socket
  }
const remote = (port: number) => ({ address: HOST, family: 'IPv4', port, size: 1 })

const inUse = { code: 'EADDRINUSE' }

describe('listen', () => {
  test('resolves to the bound address; the port is ours alone', async () => {
    const fixture = new ListenerFixture()
    const address = await fixture.listener.listen(HOST, 0)
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/)
    await expect(new Peer().bind(HOST, Number(address.split(':')[1]))).rejects.toMatchObject(inUse)
    await expect(new Peer().bind('0.0.0.0', Number(address.split(':')[1]))).rejects.toMatchObject(
      inUse,
    )
  })

  test('rejects with the system`s error, and may be called again', async () => {
    const other = await new Peer().bind()
    const echo = await startEcho()
    const fixture = new ListenerFixture({ backends: [backend('a', echo.port)] })
    for (const host of [HOST, '0.0.0.0']) {
      await expect(fixture.listener.listen(host, other.port)).rejects.toMatchObject(inUse)
    }
    await expect(fixture.listener.listen('192.0.2.77', 0)).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    })
    const { port } = other
    other.close()
    expect(await fixture.listen(HOST, port)).toBe(port)
    const client = await connectClient(port)
    await client.exchange('hi', 'hi') // with the backends it was given before
  })

  test('a name is resolved', async () => {
    const fixture = new ListenerFixture()
    expect(await fixture.listener.listen('localhost', 0)).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/)
  })

  test('only once', async () => {
    const fixture = new ListenerFixture()
    const first = fixture.listen()
    await expect(fixture.listen()).rejects.toThrow('binding already')
    await first
    await expect(fixture.listen()).rejects.toThrow('listening already')
    await fixture.listener.close()
    await expect(fixture.listen()).rejects.toThrow('stopped already')
  })

  test('IPv4 and IPv6 have their own ports', async () => {
    const four = new ListenerFixture()
    const port = await four.listen('0.0.0.0')
    const six = new ListenerFixture()
    expect(await six.listener.listen('::', port)).toBe(`[::]:${port}`)
  })
})

describe('the port is free again', () => {
  test('udp W24: after close', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    await fixture.listener.close()
    await new Peer().bind(HOST, port)
    expect(fixture.said('emptied')).toEqual([]) // somebody still has to take the backends away
    fixture.apply([])
    expect(fixture.facts.slice(1)).toEqual([
      { type: 'backends-applied', version: 2 },
      { type: 'backend-drained', backend: 'a', version: 2 },
      { type: 'emptied' },
    ])
  })

  test('after close, for a listener that is given the port at once', async () => {
    const echo = await startEcho()
    const backends = [backend('a', echo.port)]
    const { fixture, port } = await startListener({ backends })
    const next = new ListenerFixture({ backends })
    await fixture.listener.close()
    await next.listen(HOST, port)
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    expect((await next.counters()).machine.created).toBe(1)
  })

  test('after abort', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    fixture.listener.abort()
    await new Peer().bind(HOST, port)
    expect(fixture.said('emptied').length).toBe(1)
    expect((await fixture.counters()).machine.closed.aborted).toBe(1)
  })

  test('after close or abort in the middle of listen', async () => {
    for (const end of ['close', 'abort'] as const) {
      const fixture = new ListenerFixture()
      const port = await freePort()
      const listening = fixture.listen('0.0.0.0', port)
      const ended = fixture.listener[end]()
      await expect(listening).rejects.toThrow('closed')
      await ended
      await new Peer().bind(HOST, port)
      expect(fixture.facts).toEqual([{ type: 'emptied' }])
    }
  })

  test('after close between the binds of a wildcard', async () => {
    let sockets = 0
    const fixture: ListenerFixture = new ListenerFixture({
      host: {
        createSocket: (options) => {
          sockets += 1
          if (sockets === 2) void fixture.listener.close()
          return createSocket(options)
        },
      },
    })
    const port = await freePort()
    await expect(fixture.listen('0.0.0.0', port)).rejects.toThrow('closed')
    expect(sockets).toBeGreaterThan(1)
    await new Peer().bind('0.0.0.0', port)
  })

  test('after stop, whatever the listeners were doing, and with it every descriptor', async () => {
    const before = descriptors()
    const host = new DgramHost()
    const echo = await startEcho()
    const options = {
      config: defaultUdpConfig,
      balance: { strategy: 'hrw', failOpen: true },
      fact: () => {},
      hostFailed: () => {},
    } as const
    const [busy, closing, binding] = [host.open(options), host.open(options), host.open(options)]
    host.open(options) // never listens
    const clients: Peer[] = []
    for (const listener of [busy, closing]) {
      // The second name is still being looked up when the end comes.
      listener.applyBackends(1, [backend('a', echo.port), backend('b', echo.port, 'localhost')])
      const port = Number((await listener.listen(HOST, 0)).split(':')[1])
      for (let count = 0; count < 20; count++) clients.push(await connectClient(port))
    }
    for (const client of clients) client.send('hi')
    await until(async () => (await busy.counters()).machine.created > 0)
    void closing.close()
    const listening = binding.listen('0.0.0.0', 0).catch(() => 'closed')
    await host.stop()
    await listening
    for (const peer of [...clients, echo]) peer.close()
    await until(() => descriptors() <= before)
  })

  test('a flow that ends while the name of its backend is looked up opens no socket', async () => {
    const sockets: Socket[] = []
    const fixture = new ListenerFixture({
      backends: [backend('a', 9, 'localhost')],
      host: { createSocket: keeping(sockets) },
    })
    await fixture.listen()
    sockets[0]!.emit('message', Buffer.from('hi'), remote(1))
    fixture.listener.abort()
    expect((await fixture.counters()).machine.closed.aborted).toBe(1)
    await lookup('localhost') // asked later, answered later
    await new Promise((resolve) => setImmediate(resolve))
    expect(sockets.length).toBe(1)
  })

  test('stop ends more flows than one step does', async () => {
    const sockets: Socket[] = []
    const fixture = new ListenerFixture({
      backends: [backend('a', 9)],
      host: {
        createSocket: (options) => {
          const socket = keeping(sockets)(options)
          if (sockets.length > 1) socket.bind = () => socket // never bound, and no descriptor
          return socket
        },
      },
    })
    await fixture.listen()
    for (let port = 1; port <= 3_000; port++)
      sockets[0]!.emit('message', Buffer.of(1), remote(port))
    expect((await fixture.counters()).flowsLive).toBe(3_000)
    await fixture.host.stop()
    expect(fixture.said('emptied').length).toBe(1)
    expect((await fixture.counters()).machine.closed.aborted).toBe(3_000)
  })

  test('a listener that never listened is forgotten', async () => {
    const fixture = new ListenerFixture()
    fixture.listener.dispose()
    await fixture.host.stop()
    expect(fixture.facts).toEqual([])
  })
})

describe('close', () => {
  test('waits for an answer that is owed, and sends it', async () => {
    const slow = await startBackend(() => [])
    const { fixture, port } = await startListener({
      config: { lingerMs: 2 ** 40 },
      backends: [backend('a', slow.port)],
    })
    const client = await connectClient(port)
    await client.ask('question', () => slow.received.length > 0)
    const owed = (await fixture.counters()).machine.datagramsUp
    let isClosed = false
    const closing = fixture.listener.close().then(() => {
      isClosed = true
    })
    const late = await connectClient(port)
    late.send('too late')
    await until(async () => (await fixture.counters()).machine.dropped.draining === 1)
    expect(isClosed).toBe(false)
    const upstream = slow.received[0]!.from
    for (let count = 0; count < owed; count++) {
      slow.socket.send('answer', upstream.port, upstream.address)
    }
    await closing
    await until(() => client.received.length === owed) // also the one sent as the port was let go
    expect(late.received).toEqual([])
    expect(slow.texts).not.toContain('too late')
    expect((await fixture.counters()).machine.closed.drained).toBe(1)
  })

  test('waits for answers the network has not taken yet, a second at most', async () => {
    const sockets: Socket[] = []
    const fixture = new ListenerFixture({ host: { createSocket: keeping(sockets) } })
    const port = await fixture.listen()
    sockets[0]!.getSendQueueCount = () => 1
    await fixture.listener.close()
    await new Peer().bind(HOST, port)
  })

  test('an abort ends the waiting', async () => {
    const quiet = await startBackend(() => [])
    const { fixture, port } = await startListener({
      config: { lingerMs: 2 ** 40 },
      backends: [backend('a', quiet.port)],
    })
    const client = await connectClient(port)
    await client.ask('question', () => quiet.received.length > 0)
    const closing = fixture.listener.close()
    fixture.listener.abort()
    await closing
    await new Peer().bind(HOST, port)
  })
})

describe('what a listener tells', () => {
  test('its flows, those with the lowest slots first', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    const clients = []
    for (let count = 0; count < 3; count++) {
      const client = await connectClient(port)
      await client.exchange('hi', 'hi')
      clients.push(`127.0.0.1:${client.port}`)
    }
    const { flows, total } = await fixture.listener.flows(2)
    expect(total).toBe(3)
    expect(flows.map(({ client }) => formatPacked(client))).toEqual(clients.slice(0, 2))
    expect(flows[0]).toMatchObject({ phase: 'open', backend: 'a', isAnswered: true })
    expect(formatPacked(flows[0]!.contacted)).toBe(`127.0.0.1:${port}`)
  })

  test('idle flows end by themselves, and how long they lasted is counted', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({
      config: { frontTimeoutMs: 1, backTimeoutMs: 1 },
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    await until(async () => (await fixture.counters()).flowsLive === 0)
    const { machine, durations } = await fixture.counters()
    expect(machine.closed.idle + machine.closed['half-open']).toBe(machine.created)
    expect(durations.count).toBe(machine.created)
    expect(durations.upTo.at(-1)).toBe(machine.created)
    expect(durations.sumMs).toBeGreaterThan(0)
  })

  test('a configuration given later holds, and its limit is told', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    fixture.listener.configure({ ...defaultUdpConfig, flowsMax: 0 })
    const client = await connectClient(port)
    client.send('hi')
    await until(async () => (await fixture.counters()).machine.dropped.shed === 1)
    expect((await fixture.counters()).flowsMax).toBe(0)
  })

  test('backends that leave are drained', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    fixture.apply([])
    expect(fixture.facts.slice(1)).toEqual([
      { type: 'backends-applied', version: 2 },
      { type: 'backend-drained', backend: 'a', version: 2 },
    ])
    fixture.listener.cutBackend('a')
  })
})
