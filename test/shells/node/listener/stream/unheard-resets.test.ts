/** Resets that no read and no write tells of. */
import { readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { SocketRoute } from '../../../../../core/node/commands.ts'
import type { StreamCounters } from '../../../../../core/stream/state.ts'
import {
  backend,
  Client,
  type Fixture,
  HOST,
  LISTENER,
  startFixture,
  startUpstream,
  type Upstream,
  until,
} from '../fixture.ts'
import { SecureClient, shown, startSecureUpstream } from '../tls.ts'

const descriptors = (): number => readdirSync('/proc/self/fd').length

const countersOf = (node: Fixture): { live: number; closed: StreamCounters['closed'] } => {
  const { counters } = node.listeners.streamCounters()[0]!
  return { live: counters.connectionsLive, closed: counters.machine.closed }
}

const PROXY_HEADER = 'PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n'

/** Its tickets meet nobody any more, which looks like the resets below. */
test('a TLS client that says all it has to say and leaves at once is heard to its end', async () => {
  const heard: string[] = []
  const upstream = await startUpstream((socket) => {
    let bytes = 0
    socket.on('error', (error: NodeJS.ErrnoException) => heard.push(String(error.code)))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
    })
    socket.on('end', () => {
      heard.push(`${bytes} and an end`)
      socket.end()
    })
  })
  const node = await startFixture({ certificates: shown('default', 'a.example') })
  node.openDoor()
  await node.applyBackends([backend(1, upstream.port)])
  const { port } = await node.bind({ routes: [{ listener: LISTENER, tls: 'terminate' }] })
  for (let count = 0; count < CLIENTS; count++) {
    const { socket, tcp } = new SecureClient(port)
    socket.once('secureConnect', () => socket.end('x'.repeat(5_000), () => tcp.destroy()))
    await new Promise((resolve) => socket.once('close', resolve))
  }
  await until(() => heard.length === CLIENTS)
  expect(new Set(heard)).toEqual(new Set(['5000 and an end']))
})

/**
 * OpenSSL writes session tickets at the end of the handshake, and keeps to itself that it was told of
 * a reset there. What is read next is an end; what is written after that is never done.
 */
describe('a TLS client that resets right after its handshake', () => {
  test.each([
    ['behind a trusted proxy', [`${HOST}/32`], PROXY_HEADER],
    ['by itself', [], ''],
  ])('%s leaves nothing behind', async (_, acceptProxyProtocol, preface) => {
    const upstream = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.resume()
      socket.on('end', () => void socket.end('bye'))
    })
    const node = await startFixture({ certificates: shown('default', 'a.example') })
    node.openDoor()
    await node.applyBackends([backend(1, upstream.port)])
    const routes = [{ listener: LISTENER, tls: 'terminate' }] as const
    const { port } = await node.bind({ routes, acceptProxyProtocol })
    const before = descriptors()
    for (let count = 0; count < CLIENTS; count++) {
      const client = new SecureClient(port, {}, preface)
      await new Promise((resolve) => client.socket.once('secureConnect', resolve))
      // Some time around the moment that the tickets are written.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
      client.tcp.resetAndDestroy()
    }
    await until(() => countersOf(node).live === 0)
    await until(() => descriptors() <= before)
  })
})

/** Enough for many of them to hit that moment. */
const CLIENTS = 30

/** libuv polls nothing of a socket that is paused and has nothing to send. */
describe('a side that is not read because the other one stalls', () => {
  const PAGE = Buffer.alloc(20_000_000, 'x')
  const stalls = (socket: Socket): void => {
    socket.on('error', () => {})
    socket.pause()
  }
  const pours = (socket: Socket): void => {
    socket.on('error', () => {})
    socket.write(PAGE)
  }

  const plainRoute = { listener: LISTENER, tls: 'off' } as const
  const tlsRoute = { listener: LISTENER, tls: 'terminate' } as const
  type Start = (serve: (socket: Socket) => void) => Promise<Upstream>
  const startTls: Start = (serve) => startSecureUpstream({}, serve)
  const ROWS: readonly [string, SocketRoute, 'off' | 'reoriginate', Start][] = [
    ['plain', plainRoute, 'off', startUpstream],
    ['TLS', tlsRoute, 'reoriginate', startTls],
  ]

  describe.each(ROWS)('%s', (_, route, tls, start) => {
    const connected = (port: number): { socket: Socket; tcp: Socket } => {
      if (route.tls !== 'off') return new SecureClient(port)
      const { socket } = new Client(port)
      return { socket, tcp: socket }
    }
    const open = async (upstreamPort: number): Promise<{ node: Fixture; port: number }> => {
      const node = await startFixture({ certificates: shown('default', 'a.example') })
      node.openDoor({ tls })
      await node.applyBackends([backend(1, upstreamPort)])
      const { port } = await node.bind({ routes: [route] })
      return { node, port }
    }

    test('a client that resets while its backend reads nothing is noticed', async () => {
      const upstream = await start(stalls)
      const { node, port } = await open(upstream.port)
      const clients = Array.from({ length: 5 }, () => connected(port))
      for (const { socket } of clients) socket.write(PAGE)
      await standsStill(() => moved(node))
      for (const { tcp } of clients) tcp.resetAndDestroy()
      await until(() => countersOf(node).live === 0)
      expect(countersOf(node).closed['client-reset']).toBe(5)
    })

    test('a backend that resets while its client reads nothing is noticed', async () => {
      const upstream = await start(pours)
      const { node, port } = await open(upstream.port)
      const clients = Array.from({ length: 5 }, () => connected(port))
      for (const { socket } of clients) socket.pause()
      await standsStill(() => moved(node))
      for (const socket of upstream.sockets) socket.resetAndDestroy()
      await until(() => countersOf(node).live === 0)
      expect(countersOf(node).closed['upstream-reset']).toBe(5)
    })
  })

  test('who only waits is left alone, and so is one that ended with bytes still to be read', async () => {
    // All that is sent to it is more than the kernel takes, and it has said its own last word.
    const served: Socket[] = []
    const upstream = await startUpstream((socket) => {
      socket.pause()
      socket.end('welcome')
      served.push(socket)
    })
    const node = await startFixture()
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const waiting = new Client(port)
    waiting.socket.write(PAGE)
    const ended = new Client(port)
    ended.socket.end(PAGE)
    await standsStill(() => moved(node))
    await until(() => waiting.ended && ended.ended)
    await new Promise((resolve) => setTimeout(resolve, 5_000)) // two looks
    expect(countersOf(node).live).toBe(2)
    const sums = served.map(() => 0)
    for (const [index, socket] of served.entries()) {
      socket.on('data', (bytes) => {
        sums[index]! += bytes.byteLength
      })
      socket.resume()
    }
    await until(() => sums.every((sum) => sum === PAGE.byteLength))
    waiting.socket.end()
    await until(() => countersOf(node).closed.done === 2)
  })

  const moved = (node: Fixture): number => {
    const { machine } = node.listeners.streamCounters()[0]!.counters
    return machine.bytesToUpstream + machine.bytesToClient
  }

  /** More than nothing, and no more of it for a while. */
  async function standsStill(read: () => number): Promise<void> {
    let [last, since] = [0, performance.now()]
    await until(() => {
      const now = read()
      if (now !== last || now === 0) [last, since] = [now, performance.now()]
      return performance.now() - since > 500
    })
  }
})
