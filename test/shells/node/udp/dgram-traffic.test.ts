import { createHash, randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { parseCidr } from '../../../../core/net/cidr.ts'
import { formatPacked, packIpv4, packPrefix } from '../../../../core/net/packed-address.ts'
import { proxyHeader, readProxyHeader } from '../../../../core/net/proxy-v2.ts'
import {
  backend,
  connectClient,
  freePort,
  HOST,
  ListenerFixture,
  Peer,
  startBackend,
  startEcho,
  startListener,
  until,
} from './dgram-fixture.ts'

describe('datagrams', () => {
  test('udp 8: a payload reaches the backend unchanged, its answer the same client socket', async () => {
    const echo = await startEcho('echo ')
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hello', 'echo hello')
    expect(echo.texts).toContain('hello')
    expect(fixture.said('backends-applied')).toEqual([{ type: 'backends-applied', version: 1 }])
    const { machine, flowsLive, flowsMax, sendErrors, queueFull } = await fixture.counters()
    expect(machine).toMatchObject({ created: 1, bytesUp: 5 * machine.datagramsUp })
    expect({ flowsLive, flowsMax, sendErrors, queueFull }).toEqual({
      flowsLive: 1,
      flowsMax: 10_000,
      sendErrors: 0,
      queueFull: 0,
    })
  })

  test.each([0, 1, 63, 1_472, 1_473, 9_000, 65_506, 65_507])(
    'udp W32: %i bytes arrive unchanged, both ways',
    async (length) => {
      const sent = randomBytes(length)
      const reversed = Buffer.from(sent).reverse()
      const backwards = await startBackend((payload) => [Buffer.from(payload).reverse()])
      const { port } = await startListener({ backends: [backend('a', backwards.port)] })
      const client = await connectClient(port)
      await client.ask(sent, () => client.received.length > 0)
      expect(backwards.received[0]?.payload.equals(sent)).toBe(true)
      expect(client.received[0]?.payload.equals(reversed)).toBe(true)
    },
  )

  test('udp W5: of 300 clients each hears the answers to its own datagrams only', async () => {
    const answer = (text: string): string => createHash('sha1').update(text).digest('hex')
    const hashing = () => startBackend((payload) => [answer(payload.toString())])
    const backends = await Promise.all([hashing(), hashing(), hashing()])
    const { fixture, port } = await startListener({
      strategy: 'hrw',
      backends: backends.map((peer, at) => backend(`b${at}`, peer.port)),
    })
    const clients = await Promise.all(Array.from({ length: 300 }, () => connectClient(port)))
    await Promise.all(
      clients.map(async (client, number) => {
        for (let count = 0; count < 5; count++) {
          await client.exchange(`${number} ${count}`, answer(`${number} ${count}`))
        }
      }),
    )
    for (const [number, client] of clients.entries()) {
      const expected = [0, 1, 2, 3, 4].map((count) => answer(`${number} ${count}`))
      expect(new Set(client.texts)).toEqual(new Set(expected))
    }
    // Each flow has a socket, each socket a backend: a client's datagrams met one backend.
    const met = backends.flatMap((peer, at) =>
      [...new Set(peer.texts.map((text) => text.split(' ')[0]))].map((client) => ({ client, at })),
    )
    expect(met.length).toBe(clients.length)
    expect(new Set(met.map(({ at }) => at)).size).toBe(3)
    expect((await fixture.counters()).machine.created).toBe(300)
  })

  test('many answers to one datagram, and answers nobody asked for, reach the client', async () => {
    const chatty = await startBackend((_, count) => (count === 1 ? ['1', '2', '3'] : []))
    const { port } = await startListener({ backends: [backend('a', chatty.port)] })
    const client = await connectClient(port)
    await client.ask('subscribe', () => client.received.length >= 3)
    const upstream = chatty.received[0]!.from
    chatty.socket.send('later', upstream.port, upstream.address)
    await until(() => client.texts.includes('later'))
  })

  test('an upstream socket hears nobody but its backend', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    const upstream = echo.received[0]!.from
    const stranger = await new Peer().bind()
    stranger.socket.send('forged', upstream.port, HOST)
    await client.exchange('again', 'again')
    expect(client.texts).not.toContain('forged')
    expect((await fixture.counters()).machine.dropped['unknown-flow']).toBe(0)
  })

  test('IPv6', async () => {
    const echo = await startEcho('', '::1')
    const fixture = new ListenerFixture({ backends: [backend('a', echo.port, '::1')] })
    const address = await fixture.listener.listen('::1', 0)
    expect(address).toMatch(/^\[::1\]:\d+$/)
    const client = await connectClient(Number(address.split(':').at(-1)), '::1')
    await client.exchange('six', 'six')
  })

  test('a backend of the other family', async () => {
    const echo = await startEcho('', '::1')
    const { port } = await startListener({ backends: [backend('a', echo.port, '::1')] })
    const client = await connectClient(port)
    await client.exchange('mixed', 'mixed')
  })

  test('a backend by its name', async () => {
    const { address } = await lookup('localhost')
    const echo = await startEcho('', address)
    const { port } = await startListener({ backends: [backend('a', echo.port, 'localhost')] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
  })

  const linkLocal = Object.entries(networkInterfaces()).flatMap(([name, infos = []]) =>
    infos
      .filter((info) => info.family === 'IPv6' && info.scopeid > 0)
      .map(({ address }) => `${address}%${name}`),
  )[0]

  test.skipIf(linkLocal === undefined)(
    'link-local addresses keep their interface, on both sides',
    async () => {
      const host = linkLocal!
      const echo = await startEcho('', host)
      const fixture = new ListenerFixture({
        config: { proxyProtocol: 'first' },
        backends: [backend('a', echo.port, host)],
      })
      const address = await fixture.listener.listen(host, 0)
      expect(address).toBe(`[${host}]:${address.split(':').at(-1)}`)
      const client = await connectClient(Number(address.split(':').at(-1)), host)
      await client.ask('zoned', () => client.received.length > 0)
      // The backend sent the header back with the rest; there is no interface in it.
      const { length, announced } = headerOf(client.received[0]!.payload)
      expect(client.received[0]!.payload.subarray(length).toString()).toBe('zoned')
      expect(formatPacked(announced.source)).toBe(`[${host.split('%')[0]}]:${client.port}`)
    },
  )
})

describe('PROXY protocol', () => {
  test('udp 8: the backend reads the real client, and the address it contacted', async () => {
    const echo = await startEcho()
    const { port } = await startListener({
      config: { proxyProtocol: 'first' },
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    await client.ask('one', () => client.received.length > 0)
    await client.exchange('two', 'two')
    const first = echo.received[0]!.payload
    const { length, announced } = headerOf(first)
    expect(first.subarray(length).toString()).toBe('one')
    expect(formatPacked(announced.source)).toBe(`127.0.0.1:${client.port}`)
    expect(formatPacked(announced.destination)).toBe(`127.0.0.1:${port}`)
    expect(echo.texts).toContain('two')
  })

  test('in front of each datagram, and of an empty one', async () => {
    const quiet = await startBackend(() => [])
    const { port } = await startListener({
      config: { proxyProtocol: 'every' },
      backends: [backend('a', quiet.port)],
    })
    const client = await connectClient(port)
    await client.ask('', () => quiet.received.length >= 2)
    expect(quiet.received.map(({ payload }) => payload.length - headerOf(payload).length)).toEqual(
      quiet.received.map(() => 0),
    )
  })

  test('a trusted proxy says who the client is; its header goes no further', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({
      config: { trustedProxies: [packPrefix(parseCidr('127.0.0.0/8')!)] },
      backends: [backend('a', echo.port)],
    })
    const proxy = await connectClient(port)
    const announced = packIpv4(0x0a00_0001, 1234)
    const header = proxyHeader(announced, packIpv4(0x0a00_0002, 53), 'dgram')
    await proxy.ask(Buffer.concat([header, Buffer.from('query')]), () => proxy.received.length > 0)
    expect(proxy.texts[0]).toBe('query')
    const { flows, total } = await fixture.listener.flows(10)
    expect([total, flows.map(({ client }) => formatPacked(client))]).toEqual([1, ['10.0.0.1:1234']])
  })

  test('no bytes end the listener, also from a trusted proxy', async () => {
    const echo = await startEcho()
    const { port } = await startListener({
      config: { trustedProxies: [packPrefix(parseCidr('127.0.0.0/8')!)], proxyProtocol: 'every' },
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    const header = proxyHeader(packIpv4(1, 1), packIpv4(2, 2), 'dgram')
    for (let length = 0; length <= header.length; length++) {
      client.send(header.subarray(0, length))
      client.send(Buffer.concat([header.subarray(0, length), randomBytes(length)]))
      client.send(randomBytes(length))
    }
    await client.ask('still there', () =>
      client.received.some(({ payload }) => payload.toString().endsWith('still there')),
    )
  })

  test('a payload that no longer fits with its header is lost and counted, the flow goes on', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startListener({
      config: { proxyProtocol: 'every' },
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    await client.ask('small', () => client.received.length > 0)
    client.send(Buffer.alloc(65_507))
    await until(async () => (await fixture.counters()).sendErrors === 1)
    const before = client.received.length
    await client.ask('small', () => client.received.length > before)
    const { machine, sendErrors } = await fixture.counters()
    expect([machine.created, sendErrors]).toEqual([1, 1])
    expect(echo.received.every(({ payload }) => payload.length < 100)).toBe(true)
  })
})

describe('backends that fail', () => {
  test('udp W16: a client of a dead backend is served by another one', async () => {
    const echo = await startEcho('alive ')
    const dead = await freePort()
    const { fixture, port } = await startListener({
      backends: [backend('dead', dead), backend('alive', echo.port)],
    })
    const clients = await Promise.all([connectClient(port), connectClient(port)])
    for (const client of clients) await client.exchange('hi', 'alive hi')
    expect(fixture.said('backend-failed')[0]).toEqual({
      type: 'backend-failed',
      backend: 'dead',
      reason: 'connection refused',
    })
    const { machine } = await fixture.counters()
    expect(machine.created).toBe(2)
    expect(machine.reselected).toBeGreaterThan(0)
    expect(fixture.hostFailures).toEqual([])
  })

  test('a backend that dies under a live flow is left for another one', async () => {
    const [first, second] = [await startEcho('first '), await startEcho('second ')]
    const { fixture, port } = await startListener({
      backends: [backend('first', first.port), backend('second', second.port)],
    })
    const client = await connectClient(port)
    await client.exchange('hi', 'first hi')
    first.close()
    await client.exchange('hi', 'second hi')
    expect((await fixture.counters()).machine).toMatchObject({ created: 1, reselected: 1 })
  })

  test('the only backend down: its flows end, and it is served again when it is back', async () => {
    const dead = await freePort()
    const { fixture, port } = await startListener({ backends: [backend('a', dead)] })
    const client = await connectClient(port)
    const failed = async () => (await fixture.counters()).machine.closed['backend-failed']
    client.send('hi')
    await until(async () => (await failed()) === 1)
    const back = await new Peer().bind(HOST, dead)
    await client.ask('hi again', () => back.received.length > 0)
    expect(client.errors).toEqual([])
  })

  test('a name nobody has, and a port there is not', async () => {
    const { fixture, port } = await startListener({
      // Too long for a label: it is refused without asking anybody.
      backends: [backend('name', 9, 'x'.repeat(64)), backend('port', 65_536)],
    })
    const client = await connectClient(port)
    client.send('hi')
    await until(async () => (await fixture.counters()).machine.closed['backend-failed'] === 1)
    const failed = fixture.said('backend-failed').map(({ backend }) => backend)
    expect(failed.sort()).toEqual(['name', 'port'])
    expect(fixture.hostFailures).toEqual([])
  })
})

function headerOf(payload: Uint8Array) {
  const read = readProxyHeader(payload)
  if (typeof read === 'string' || read.announced === undefined) throw new Error('no header')
  return { length: read.length, announced: read.announced }
}
