import { createSocket, type Socket, type SocketOptions } from 'node:dgram'
import { describe, expect, test } from 'vitest'
import type { CreateSocket } from '../../../../shells/node/udp/dgram/sockets.ts'
import {
  backend,
  connectClient,
  ListenerFixture,
  type Peer,
  startEcho,
  startListener,
  until,
} from './dgram-fixture.ts'

/** Real sockets, except that `change` may have its way with all after the listening one. */
const upstreamsChanged = (
  change: (socket: Socket, options: SocketOptions) => void,
): CreateSocket => {
  let made = 0
  return (options) => {
    const socket = createSocket(options)
    made += 1
    if (made > 1) change(socket, options)
    return socket
  }
}

const failing = (code: string): Error => Object.assign(new Error(code), { code })

describe('what this machine lacks', () => {
  test.each(['EMFILE', 'ENFILE', 'EADDRINUSE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM'])(
    'proxy W28 udp W19: %s ends the flow, is reported, and the next client is served',
    async (code) => {
      const echo = await startEcho()
      let isShort = true
      const createSocket = upstreamsChanged((socket) => {
        const bind = socket.bind.bind(socket)
        socket.bind = (...args: unknown[]) => {
          if (isShort) socket.emit('error', failing(code))
          else bind(...(args as []))
          return socket
        }
      })
      const { fixture, port } = await startListener({
        backends: [backend('a', echo.port)],
        host: { createSocket },
      })
      const client = await connectClient(port)
      client.send('hi')
      await until(async () => (await fixture.counters()).machine.closed['host-limit'] === 1)
      expect(fixture.hostFailures.length).toBe(1)
      expect(fixture.said('backend-failed')).toEqual([]) // it is not the backend's fault
      isShort = false
      await client.exchange('hi', 'hi')
    },
  )

  test('a socket that cannot even be made', async () => {
    const echo = await startEcho()
    const createSocket = upstreamsChanged(() => {
      throw failing('EMFILE')
    })
    const { fixture, port } = await startListener({
      backends: [backend('a', echo.port)],
      host: { createSocket },
    })
    const client = await connectClient(port)
    client.send('hi')
    await until(async () => (await fixture.counters()).machine.closed['host-limit'] === 1)
    expect(fixture.hostFailures).toEqual(['out of file descriptors (limit of this process)'])
  })

  test('a backend there is no way to is the backend`s fault', async () => {
    const createSocket = upstreamsChanged((socket) => {
      socket.connect = () => void socket.emit('error', failing('ENETUNREACH'))
    })
    const { fixture, port } = await startListener({
      backends: [backend('a', 9)],
      host: { createSocket },
    })
    const client = await connectClient(port)
    client.send('hi')
    await until(() => fixture.said('backend-failed').length === 1)
    expect(fixture.said('backend-failed')[0]?.reason).toBe('network unreachable')
  })
})

describe('errors while a flow is open', () => {
  /** A listener whose upstream sockets the test holds, one client served. */
  const startWithUpstream = async (): Promise<{
    fixture: ListenerFixture
    client: Peer
    upstreams: Socket[]
  }> => {
    const echo = await startEcho()
    const upstreams: Socket[] = []
    const { fixture, port } = await startListener({
      backends: [backend('a', echo.port)],
      host: { createSocket: upstreamsChanged((socket) => upstreams.push(socket)) },
    })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    return { fixture, client, upstreams }
  }

  test.each(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENONET'])(
    'the answer to a send that says %s is the backend`s failure',
    async (code) => {
      const { fixture, client, upstreams } = await startWithUpstream()
      const [upstream] = upstreams
      upstream!.send = (_: unknown, sent: unknown) =>
        process.nextTick(sent as () => void, failing(code))
      client.send('hi')
      await until(() => fixture.said('backend-failed').length === 1)
      expect((await fixture.counters()).sendErrors).toBe(1)
      expect((await fixture.counters()).flowsLive).toBe(0)
    },
  )

  test('any other refusal to send costs the datagram, not the flow', async () => {
    const { fixture, client, upstreams } = await startWithUpstream()
    const [upstream] = upstreams
    const send = upstream!.send
    upstream!.send = (_: unknown, sent: unknown) => {
      upstream!.send = send
      process.nextTick(sent as () => void, failing('EPERM'))
    }
    client.send('lost')
    await until(async () => (await fixture.counters()).sendErrors === 1)
    await client.exchange('not lost', 'not lost')
    expect((await fixture.counters()).machine.created).toBe(1)
    expect(fixture.said('backend-failed')).toEqual([])
  })

  test('errors that come late, or twice, are nobody`s', async () => {
    const { fixture, client, upstreams } = await startWithUpstream()
    const [upstream] = upstreams
    upstream!.emit('error', failing('ECONNREFUSED'))
    upstream!.emit('error', failing('ECONNREFUSED'))
    expect((await fixture.counters()).flowsLive).toBe(0)
    expect((await fixture.counters()).machine.closed['backend-failed']).toBe(1)
    upstream!.emit('error', failing('ENOBUFS'))
    expect(fixture.hostFailures).toEqual([])
    await client.exchange('again', 'again')
  })
})

describe('queues', () => {
  /** Sockets of flows that take everything and send nothing. */
  const stuck = upstreamsChanged((socket) => {
    socket.send = () => {}
  })

  test('udp W21: a flow has at most 256 KiB waiting, what comes then is dropped', async () => {
    const { fixture, port } = await startListener({
      backends: [backend('a', 9)],
      host: { createSocket: stuck },
    })
    const client = await connectClient(port)
    const payload = Buffer.alloc(60_000)
    await client.ask(payload, async () => (await fixture.counters()).queueFull >= 2)
    const { machine, queueFull, sendErrors } = await fixture.counters()
    expect(machine.datagramsUp - queueFull).toBe(4) // four of them are less than 256 KiB
    expect(sendErrors).toBe(0)
  })

  test('udp W21: all flows together have a budget, and it comes back with the flows', async () => {
    let isStuck = true
    const createSocket = upstreamsChanged((socket) => {
      if (isStuck) socket.send = () => {}
    })
    const { fixture, port } = await startListener({
      backends: [backend('a', 9)],
      host: { createSocket, waitingBytesMax: 100_000 },
    })
    const clients = await Promise.all([1, 2, 3].map(() => connectClient(port)))
    const queueFull = async () => (await fixture.counters()).queueFull
    for (const client of clients) client.send(Buffer.alloc(40_000))
    await until(async () => (await fixture.counters()).machine.datagramsUp === 3)
    expect(await queueFull()).toBe(1)
    // With another backend the sockets go, and what waited with them.
    isStuck = false
    const echo = await startEcho()
    fixture.apply([backend('b', echo.port)])
    fixture.listener.cutBackend('a')
    for (const client of clients) {
      await client.ask(Buffer.alloc(40_000), () => client.received.length > 0)
    }
    expect(await queueFull()).toBe(1)
  })

  test('udp W21: an address has at most 4 MiB of answers waiting', async () => {
    const echo = await startEcho()
    let isFirst = true
    const fixture = new ListenerFixture({
      backends: [backend('a', echo.port)],
      host: {
        createSocket: (options) => {
          const socket = createSocket(options)
          if (isFirst) socket.send = () => {}
          isFirst = false
          return socket
        },
      },
    })
    const port = await fixture.listen()
    const client = await connectClient(port)
    const payload = Buffer.alloc(60_000)
    await client.ask(payload, () => echo.received.length > 0)
    const upstream = echo.received[0]!.from
    while ((await fixture.counters()).queueFull === 0) {
      echo.socket.send(payload, upstream.port, upstream.address)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const { machine, queueFull } = await fixture.counters()
    const waiting = machine.datagramsDown - queueFull
    expect(waiting).toBe(Math.floor((4 * 1024 * 1024) / (60_000 + 256)))
  })

  test('a client whose port is 0 cannot be answered, and is not listened to', async () => {
    const echo = await startEcho()
    const sockets: Socket[] = []
    const { fixture } = await startListener({
      backends: [backend('a', echo.port)],
      host: {
        createSocket: (options) => {
          const socket = createSocket(options)
          sockets.push(socket)
          return socket
        },
      },
    })
    const from = { address: '127.0.0.1', family: 'IPv4', port: 0, size: 2 }
    sockets[0]!.emit('message', Buffer.from('hi'), from)
    const { machine } = await fixture.counters()
    expect([machine.created, machine.dropped.invalid]).toEqual([0, 1])
    // Nor can one from an interface there is not.
    sockets[0]!.emit('message', Buffer.from('hi'), { ...from, address: 'fe80::1%gone', port: 9 })
    expect(fixture.hostFailures).toEqual(['no way to answer fe80::1%gone'])
  })
})
