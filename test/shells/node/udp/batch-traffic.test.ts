import { createHash, randomBytes } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { parseCidr } from '../../../../core/net/cidr.ts'
import { formatPacked, packIpv4, packPrefix } from '../../../../core/net/packed-address.ts'
import { proxyHeader, readProxyHeader } from '../../../../core/net/proxy-v2.ts'
import { BatchFixture, describeBatch, startBatch } from './batch-fixture.ts'
import {
  backend,
  connectClient,
  freePort,
  HOST,
  Peer,
  startBackend,
  startEcho,
  until,
} from './dgram-fixture.ts'

describeBatch('datagrams in batches', () => {
  test('udp 8: a payload reaches the backend unchanged, its answer the same client socket', async () => {
    const echo = await startEcho('echo ')
    const { fixture, port } = await startBatch({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hello', 'echo hello')
    expect(echo.texts).toContain('hello')
    expect(fixture.said('backends-applied')).toEqual([{ type: 'backends-applied', version: 1 }])
    const { machine, flowsLive, flowsMax, sendErrors, queueFull } =
      await fixture.listener.counters()
    expect(machine).toMatchObject({ created: 1, bytesUp: 5 * machine.datagramsUp })
    expect([flowsLive, flowsMax, sendErrors, queueFull]).toEqual([1, 10_000, 0, 0])
    expect(fixture.hostFailures).toEqual([])
  })

  test.each([0, 1, 63, 1_472, 1_473, 9_000, 65_506, 65_507])(
    'udp W32: %i bytes arrive unchanged, both ways',
    async (length) => {
      const sent = randomBytes(length)
      const backwards = await startBackend((payload) => [Buffer.from(payload).reverse()])
      const { port } = await startBatch({ backends: [backend('a', backwards.port)] })
      const client = await connectClient(port)
      await client.ask(sent, () => client.received.length > 0)
      expect(backwards.received[0]?.payload.equals(sent)).toBe(true)
      expect(client.received[0]?.payload.equals(Buffer.from(sent).reverse())).toBe(true)
    },
  )

  test('udp 8: a datagram over the limit never arrives, the next small one does', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startBatch({
      config: { datagramBytesMax: 64 },
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    client.send(Buffer.alloc(200, 'x'))
    await client.exchange('small', 'small')
    expect(echo.received.every(({ payload }) => payload.length === 5)).toBe(true)
    expect((await fixture.listener.counters()).machine.dropped.oversize).toBe(1)
  })

  test('a burst of any lengths goes through in order, however it is joined on the way', async () => {
    // Equal ones that join, a shorter one that ends a train, empty ones and long ones that cannot.
    const lengths = [64, 64, 64, 64, 10, 64, 0, 64, 64, 1_452, 1_452, 1_453, 1_453, 9_000, 9_000, 1]
    const payloads = lengths.map((length, at) => Buffer.alloc(length, at + 1))
    const collecting = await startBackend(() => [])
    const { fixture, port } = await startBatch({ backends: [backend('a', collecting.port)] })
    const client = await connectClient(port)
    for (let round = 1; round <= 20; round++) {
      for (const payload of payloads) client.send(payload)
      await until(() => collecting.received.length === round * payloads.length)
    }
    const expected = Array.from({ length: 20 }, () => payloads).flat()
    expect(collecting.received.map(({ payload }) => payload.toString('hex'))).toEqual(
      expected.map((payload) => payload.toString('hex')),
    )
    // And back: the backend sends the same burst to where it came from.
    const { address, port: upstream } = collecting.received[0]!.from
    for (const payload of payloads) collecting.socket.send(payload, upstream, address)
    await until(() => client.received.length === payloads.length)
    expect(client.received.map(({ payload }) => payload.toString('hex'))).toEqual(
      payloads.map((payload) => payload.toString('hex')),
    )
    expect((await fixture.listener.counters()).sendErrors).toBe(0)
  })

  test('a new client whose first burst is longer than what a flow may hold loses nothing', async () => {
    const collecting = await startBackend(() => [])
    const { fixture, port } = await startBatch({
      config: { heldDatagramsMax: 1 },
      backends: [backend('a', collecting.port)],
    })
    const client = await connectClient(port)
    for (let count = 0; count < 40; count++) client.send(`${count}`)
    await until(() => collecting.received.length === 40)
    expect((await fixture.listener.counters()).machine.dropped['held-overflow']).toBe(0)
  })

  test('udp W5: of 300 clients each hears the answers to its own datagrams only', async () => {
    const answer = (text: string): string => createHash('sha1').update(text).digest('hex')
    const hashing = () => startBackend((payload) => [answer(payload.toString())])
    const backends = await Promise.all([hashing(), hashing(), hashing()])
    const { fixture, port } = await startBatch({
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
    expect((await fixture.listener.counters()).machine.created).toBe(300)
  })

  test('an upstream socket hears nobody but its backend', async () => {
    const echo = await startEcho()
    const { port } = await startBatch({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    const stranger = await new Peer().bind()
    stranger.socket.send('forged', echo.received[0]!.from.port, HOST)
    await client.exchange('again', 'again')
    expect(client.texts).not.toContain('forged')
  })

  test('two listeners of one worker keep their clients and backends apart', async () => {
    const [red, blue] = [await startEcho('red '), await startEcho('blue ')]
    const first = await startBatch({ backends: [backend('a', red.port)] })
    const { host } = first.fixture
    const second = await startBatch({ host, backends: [backend('a', blue.port)] })
    const clients = [await connectClient(first.port), await connectClient(second.port)]
    await clients[0]!.exchange('x', 'red x')
    await clients[1]!.exchange('x', 'blue x')
    expect(red.received.length).toBeGreaterThan(0)
  })
})

describeBatch('addresses in batches', () => {
  test('IPv6, and a backend of the other family', async () => {
    const echo = await startEcho('four ')
    const fixture = new BatchFixture({ backends: [backend('a', echo.port)] })
    const address = await fixture.listener.listen('::1', 0)
    expect(address).toMatch(/^\[::1\]:\d+$/)
    const client = await connectClient(Number(address.split(':').at(-1)), '::1')
    await client.exchange('six', 'four six')
    const { flows } = await fixture.listener.flows(1)
    expect(formatPacked(flows[0]!.client)).toBe(`[::1]:${client.port}`)
  })

  test('udp W27: on 0.0.0.0 an answer leaves from the address that was contacted', async () => {
    const echo = await startEcho()
    const fixture = new BatchFixture({ backends: [backend('a', echo.port)] })
    const port = await fixture.listen('0.0.0.0')
    for (const host of ['127.0.0.1', '127.0.0.77', '127.1.2.3']) {
      const client = await connectClient(port, host) // hears from nowhere else
      await client.exchange(host, host)
    }
    const { flows } = await fixture.listener.flows(10)
    expect(flows.map(({ contacted }) => formatPacked(contacted)).toSorted()).toEqual([
      `127.0.0.1:${port}`,
      `127.0.0.77:${port}`,
      `127.1.2.3:${port}`,
    ])
  })

  test('udp W27: likewise on ::, which takes no IPv4', async () => {
    const echo = await startEcho()
    const fixture = new BatchFixture({ backends: [backend('a', echo.port)] })
    const port = await fixture.listen('::')
    const client = await connectClient(port, '::1')
    await client.exchange('six', 'six')
    const { flows } = await fixture.listener.flows(10)
    expect(flows.map(({ contacted }) => formatPacked(contacted))).toEqual([`[::1]:${port}`])
    const four = await new BatchFixture({ host: fixture.host }).listen('0.0.0.0', port)
    expect(four).toBe(port)
  })

  test('a broadcast is answered from an address of this machine', async () => {
    const echo = await startEcho()
    const fixture = new BatchFixture({ backends: [backend('a', echo.port)] })
    const port = await fixture.listen('0.0.0.0')
    const client = await new Peer().bind()
    client.socket.setBroadcast(true)
    client.socket.send('to all', port, '127.255.255.255')
    await until(() => client.received.length > 0)
    expect(client.received[0]!.from.address).toMatch(/^127\.0\.0\.\d+$/)
    expect((await fixture.listener.counters()).sendErrors).toBe(0)
  })

  const linkLocal = Object.entries(networkInterfaces()).flatMap(([name, infos = []]) =>
    infos
      .filter((info) => info.family === 'IPv6' && info.scopeid > 0)
      .map(({ address }) => `${address}%${name}`),
  )[0]

  test.skipIf(linkLocal === undefined).each(['itself', '::'])(
    'link-local addresses keep their interface, on both sides: bound to %s',
    async (bound) => {
      const host = linkLocal!
      const echo = await startEcho('', host)
      const fixture = new BatchFixture({
        config: { proxyProtocol: 'first' },
        backends: [backend('a', echo.port, host)],
      })
      const address = await fixture.listener.listen(bound === '::' ? '::' : host, 0)
      const port = Number(address.split(':').at(-1))
      expect(address).toBe(`[${bound === '::' ? '::' : host}]:${port}`)
      const client = await connectClient(port, host)
      await client.ask('zoned', () => client.received.length > 0)
      const { length, announced } = headerOf(client.received[0]!.payload)
      expect(client.received[0]!.payload.subarray(length).toString()).toBe('zoned')
      expect(formatPacked(announced.source)).toBe(`[${host.split('%')[0]}]:${client.port}`)
    },
  )

  test('a backend by its name, looked up once for many clients', async () => {
    const echo = await startEcho()
    const six = await new Peer('::1').bind('::1', echo.port).catch(() => undefined)
    six?.socket.on('message', (payload, from) => six.socket.send(payload, from.port, from.address))
    const { port } = await startBatch({ backends: [backend('a', echo.port, 'localhost')] })
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectClient(port)))
    await Promise.all(clients.map((client, at) => client.exchange(`${at}`, `${at}`)))
  })
})

describeBatch('PROXY protocol in batches', () => {
  test('udp 8: the backend reads the real client, and the address it contacted', async () => {
    const echo = await startEcho()
    const { port } = await startBatch({
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

  test('in front of each datagram of a burst, and of an empty one', async () => {
    const quiet = await startBackend(() => [])
    const { port } = await startBatch({
      config: { proxyProtocol: 'every' },
      backends: [backend('a', quiet.port)],
    })
    const client = await connectClient(port)
    const texts = ['', 'a', 'bb', 'bb', 'bb', '', 'c']
    for (const text of texts) client.send(text)
    await until(() => quiet.received.length === texts.length)
    expect(
      quiet.received.map(({ payload }) => payload.subarray(headerOf(payload).length).toString()),
    ).toEqual(texts)
  })

  test('a trusted proxy says who the client is; its header goes no further', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startBatch({
      config: { trustedProxies: [packPrefix(parseCidr('127.0.0.0/8')!)] },
      backends: [backend('a', echo.port)],
    })
    const proxy = await connectClient(port)
    const header = proxyHeader(packIpv4(0x0a00_0001, 1234), packIpv4(0x0a00_0002, 53), 'dgram')
    await proxy.ask(Buffer.concat([header, Buffer.from('query')]), () => proxy.received.length > 0)
    expect(proxy.texts[0]).toBe('query')
    const { flows, total } = await fixture.listener.flows(10)
    expect([total, flows.map(({ client }) => formatPacked(client))]).toEqual([1, ['10.0.0.1:1234']])
  })

  test('a payload that no longer fits with its header is lost and counted, the flow goes on', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startBatch({
      config: { proxyProtocol: 'every' },
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    await client.ask('small', () => client.received.length > 0)
    client.send(Buffer.alloc(65_507))
    await until(async () => (await fixture.listener.counters()).sendErrors === 1)
    const before = client.received.length
    await client.ask('small', () => client.received.length > before)
    const { machine, sendErrors } = await fixture.listener.counters()
    expect([machine.created, sendErrors]).toEqual([1, 1])
  })
})

describeBatch('backends that fail, in batches', () => {
  test('udp W16: a client of a dead backend is served by another one', async () => {
    const echo = await startEcho('alive ')
    const { fixture, port } = await startBatch({
      backends: [backend('dead', await freePort()), backend('alive', echo.port)],
    })
    const clients = await Promise.all([connectClient(port), connectClient(port)])
    for (const client of clients) await client.exchange('hi', 'alive hi')
    expect(fixture.said('backend-failed')[0]).toEqual({
      type: 'backend-failed',
      backend: 'dead',
      reason: 'connection refused',
    })
    const { machine } = await fixture.listener.counters()
    expect(machine.created).toBe(2)
    expect(machine.reselected).toBeGreaterThan(0)
    expect(fixture.hostFailures).toEqual([])
  })

  test('a backend that dies under a live flow is left for another one', async () => {
    const [first, second] = [await startEcho('first '), await startEcho('second ')]
    const { fixture, port } = await startBatch({
      backends: [backend('first', first.port), backend('second', second.port)],
    })
    const client = await connectClient(port)
    await client.exchange('hi', 'first hi')
    first.close()
    await client.exchange('hi', 'second hi')
    const { machine } = await fixture.listener.counters()
    expect(machine).toMatchObject({ created: 1, reselected: 1 })
  })

  test('the only backend down: known from one datagram, and served again when it is back', async () => {
    const dead = await freePort()
    const { fixture, port } = await startBatch({ backends: [backend('a', dead)] })
    const client = await connectClient(port)
    const failed = async () => (await fixture.listener.counters()).machine.closed['backend-failed']
    client.send('hi')
    await until(async () => (await failed()) === 1)
    const back = await new Peer().bind(HOST, dead)
    await client.ask('hi again', () => back.received.length > 0)
    expect(client.errors).toEqual([])
  })

  test('a name nobody has, and a port there is not', async () => {
    const { fixture, port } = await startBatch({
      // Too long for a label: it is refused without asking anybody.
      backends: [backend('name', 9, 'x'.repeat(64)), backend('port', 65_536)],
    })
    const client = await connectClient(port)
    client.send('hi')
    const closed = async () => (await fixture.listener.counters()).machine.closed['backend-failed']
    await until(async () => (await closed()) === 1)
    const failed = fixture.said('backend-failed').map(({ backend }) => backend)
    expect(failed.toSorted()).toEqual(['name', 'port'])
    expect(fixture.hostFailures).toEqual([])
  })
})

function headerOf(payload: Uint8Array) {
  const read = readProxyHeader(payload)
  if (typeof read === 'string' || read.announced === undefined) throw new Error('no header')
  return { length: read.length, announced: read.announced }
}
