import { describe, expect, test } from 'vitest'
import type { TcpRoute } from '../../../../../core/node/commands.ts'
import { listenerId, serviceKey } from '../../../../../core/services/identity.ts'
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

/** Answers its first bytes, when there are `wanted` of them, in base64, and ends when the client does. */
const startMirror = (wanted: number): Promise<Upstream> =>
  startUpstream((socket) => {
    const got: Buffer[] = []
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      got.push(bytes)
      const all = Buffer.concat(got)
      if (all.byteLength >= wanted) socket.write(all.toString('base64'))
    })
    socket.on('end', () => socket.end())
  })

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

/** A header of version 2 for two IPv4 addresses. */
function headerV2(
  source: readonly number[],
  sourcePort: number,
  to: readonly number[],
  port: number,
): Buffer {
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(sourcePort)
  ports.writeUInt16BE(port, 2)
  const fixed = [0x21, 0x11, 0, 12, ...source, ...to]
  return Buffer.concat([SIGNATURE, Buffer.from(fixed), ports])
}

async function startBehindProxy(
  upstream: Upstream,
  stream: Parameters<Fixture['openDoor']>[0] = {},
  acceptProxyProtocol: readonly string[] = ['127.0.0.0/8'],
): Promise<{ node: Fixture; port: number }> {
  const node = await startFixture()
  node.openDoor(stream)
  await node.applyBackends([backend(1, upstream.port)])
  const { port } = await node.bind({ acceptProxyProtocol })
  return { node, port }
}

const answerTo = async (port: number, ...pieces: readonly (string | Buffer)[]): Promise<Buffer> => {
  const client = new Client(port)
  for (const piece of pieces) {
    client.socket.write(piece)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await until(() => client.text !== '' || client.error !== undefined)
  if (client.error !== undefined) throw client.error
  return Buffer.from(client.text, 'base64')
}

const LINE = 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n'

describe('proxy W30: PROXY headers', () => {
  test('of a trusted proxy: read, taken off, and what follows is passed on', async () => {
    const { port } = await startBehindProxy(await startMirror(5))
    const v2 = headerV2([192, 0, 2, 7], 56_324, [198, 51, 100, 1], 443)
    expect(`${await answerTo(port, `${LINE}hello`)}`).toBe('hello')
    expect(`${await answerTo(port, Buffer.concat([v2, Buffer.from('hello')]))}`).toBe('hello')
  })

  test('in any pieces', async () => {
    const { port } = await startBehindProxy(await startMirror(5))
    expect(
      `${await answerTo(port, 'PRO', 'XY TCP4 192.0.2.7 198.51.100.1 5', '6324 443\r', '\nhel', 'lo')}`,
    ).toBe('hello')
    const v2 = headerV2([192, 0, 2, 7], 56_324, [198, 51, 100, 1], 443)
    expect(`${await answerTo(port, v2.subarray(0, 9), v2.subarray(9), 'hel', 'lo')}`).toBe('hello')
  })

  test('a client that ends right behind its header has ended', async () => {
    let ended = 0
    const upstream = await startUpstream((socket) => {
      socket.resume()
      socket.on('end', () => {
        ended += 1
        socket.end('bye')
      })
    })
    const { port } = await startBehindProxy(upstream)
    for (let count = 0; count < 5; count++) {
      const client = new Client(port)
      client.socket.end(LINE)
      await client.closed
      expect([client.text, client.error]).toEqual(['bye', undefined])
    }
    expect(ended).toBe(5)
  })

  test('a trusted proxy without one is refused, and one that is none', async () => {
    const { node, port } = await startBehindProxy(await startMirror(5))
    await expect(answerTo(port, 'hello')).rejects.toThrow('ECONNRESET')
    await expect(answerTo(port, 'PROXY TCP4 nonsense\r\n')).rejects.toThrow('ECONNRESET')
    const [{ counters } = { counters: undefined }] = node.listeners.streamCounters()
    expect(counters?.entrance.refused['proxy-header']).toBe(2)
  })

  test('of anybody else: they are data', async () => {
    const { port } = await startBehindProxy(await startMirror(LINE.length), {}, ['192.0.2.0/24'])
    expect(`${await answerTo(port, LINE)}`).toBe(LINE)
  })

  test('to upstreams: who the client is, before its first byte', async () => {
    const { port } = await startBehindProxy(await startMirror(28 + 5), { proxyProtocol: true }, [])
    const client = new Client(port)
    client.socket.write('hello')
    await until(() => client.text !== '')
    const expected = headerV2([127, 0, 0, 1], client.socket.localPort!, [127, 0, 0, 1], port)
    expect(Buffer.from(client.text, 'base64')).toEqual(
      Buffer.concat([expected, Buffer.from('hello')]),
    )
  })

  test('through: upstreams are told what the trusted proxy said', async () => {
    const { port } = await startBehindProxy(await startMirror(28 + 5), { proxyProtocol: true })
    expect(await answerTo(port, `${LINE}hello`)).toEqual(
      Buffer.concat([
        headerV2([192, 0, 2, 7], 56_324, [198, 51, 100, 1], 443),
        Buffer.from('hello'),
      ]),
    )
    // It speaks for itself: then it is the client.
    const local = Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0]), Buffer.from('hello')])
    const told = await answerTo(port, local)
    expect([...told.subarray(16, 20)]).toEqual([127, 0, 0, 1])
    expect(`${told.subarray(28)}`).toBe('hello')
  })
})

describe('affinity', () => {
  test('by the address of the client, also behind a trusted proxy', async () => {
    const node = await startFixture()
    const upstreams = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        startUpstream((socket) => {
          socket.on('error', () => {})
          socket.on('data', () => socket.end(Buffer.from(name).toString('base64')))
        }),
      ),
    )
    node.openDoor({}, LISTENER, { strategy: 'hrw', failOpen: true })
    await node.applyBackends(upstreams.map(({ port }, index) => backend(index + 1, port)))
    const { port } = await node.bind({ acceptProxyProtocol: ['127.0.0.0/8'] })
    const backends = new Set<string>()
    for (let client = 1; client <= 12; client++) {
      const line = (from: number): string =>
        `PROXY TCP4 192.0.2.${client} 198.51.100.1 ${from} 1\r\n?`
      const answers = [await answerTo(port, line(1000)), await answerTo(port, line(2000))].map(
        String,
      )
      expect(answers[0]).toBe(answers[1])
      backends.add(answers[0]!)
    }
    expect(backends.size).toBeGreaterThan(1)
  })
})

describe('by server name', () => {
  const listenerOf = (name: string) => listenerId(serviceKey('demo', name), 'tcp', 1)

  async function startNamed(
    routes: readonly (Omit<TcpRoute, 'listener'> & { name: string })[],
  ): Promise<{ node: Fixture; port: number }> {
    const node = await startFixture({ certificates: shown('a.example', 'b.example', 'default') })
    for (const { name, tls } of routes) {
      const serve = (socket: NodeJS.ReadWriteStream): void => {
        socket.on('error', () => {})
        socket.on('data', (bytes) => socket.write(`${name}:${bytes}`))
        socket.on('end', () => socket.end())
      }
      const upstream =
        tls === 'passthrough' ? await startSecureUpstream({}, serve) : await startUpstream(serve)
      node.openDoor({}, listenerOf(name))
      await node.applyBackends([backend(1, upstream.port)], listenerOf(name))
    }
    const { port } = await node.bind({
      routes: routes.map(({ name, ...route }) => ({ listener: listenerOf(name), ...route })),
    })
    return { node, port }
  }

  const ANY = { rejectUnauthorized: false } as const

  test('each name to its own listener; TLS ends here for one and at the backend for another', async () => {
    const { port } = await startNamed([
      { name: 'web', tls: 'terminate', serverName: 'a.example' },
      { name: 'through', tls: 'passthrough', serverName: '*.b.example' },
      { name: 'rest', tls: 'terminate' },
    ])
    await new SecureClient(port).exchange('1', 'web:1')
    const through = new SecureClient(port, { servername: 'x.b.example', ...ANY })
    await through.exchange('2', 'through:2')
    expect(through.socket.getPeerCertificate().subjectaltname).toBe('DNS:a.example')
    const rest = new SecureClient(port, { servername: 'b.example', ...ANY })
    await rest.exchange('3', 'rest:3')
    const unnamed = new SecureClient(port, { servername: '', ...ANY })
    await unnamed.exchange('4', 'rest:4')
    expect(unnamed.socket.getPeerCertificate().subjectaltname).toContain('DNS:default.example')
  })

  test('a hello that comes byte by byte is read, ended and passed on whole', async () => {
    const { port } = await startNamed([
      { name: 'web', tls: 'terminate', serverName: 'a.example' },
      { name: 'through', tls: 'passthrough' },
    ])
    for (const [servername, answer] of [
      ['a.example', 'web:hi'],
      ['c.example', 'through:hi'],
    ]) {
      const front = await startDribble(port)
      const client = new SecureClient(front, { servername: servername!, ...ANY })
      await client.exchange('hi', answer!)
      client.socket.end()
      await client.closed
      expect(client.error).toBeUndefined()
    }
  })

  /** Passes the first hundred bytes on one by one. */
  async function startDribble(port: number): Promise<number> {
    const { connect } = await import('node:net')
    const front = await startUpstream((socket) => {
      const onward = connect({ port, host: HOST, noDelay: true, allowHalfOpen: true })
      let left = 100
      socket.on('data', async (bytes) => {
        socket.pause()
        let at = 0
        for (; at < bytes.byteLength && left > 0; at++, left--) {
          onward.write(bytes.subarray(at, at + 1))
          await new Promise((resolve) => setImmediate(resolve))
        }
        onward.write(bytes.subarray(at))
        socket.resume()
      })
      socket.on('end', () => onward.end())
      socket.on('error', () => onward.destroy())
      onward.on('error', () => socket.destroy())
      onward.pipe(socket)
    })
    return front.port
  }

  test('for a name nobody serves the alert says so', async () => {
    const { node, port } = await startNamed([
      { name: 'web', tls: 'terminate', serverName: 'a.example' },
    ])
    const client = new SecureClient(port, { servername: 'nobody.example', ...ANY })
    await client.closed
    expect(client.error?.message).toContain('unrecognized name')
    const plain = new Client(port)
    plain.socket.write('GET / HTTP/1.1\r\n\r\n')
    await until(() => plain.ended || plain.error !== undefined)
    const [{ counters } = { counters: undefined }] = node.listeners.streamCounters()
    expect(counters?.entrance.refused).toMatchObject({ 'no-route': 1, 'not-tls': 1 })
  })

  test('for a name that is served and has no certificate as well', async () => {
    const { port } = await startNamed([{ name: 'web', tls: 'terminate', serverName: 'c.example' }])
    const client = new SecureClient(port, { servername: 'c.example', ...ANY })
    await client.closed
    expect(client.error?.message).toContain('unrecognized name')
  })

  test('behind a trusted proxy: first its header, then the hello', async () => {
    const upstream = await startMirror(28 + 5)
    const node = await startFixture({ certificates: shown('a.example') })
    node.openDoor({ proxyProtocol: true })
    await node.applyBackends([backend(1, upstream.port)])
    const { port } = await node.bind({
      acceptProxyProtocol: ['127.0.0.1/32'],
      routes: [{ listener: LISTENER, tls: 'terminate', serverName: 'a.example' }],
    })
    const client = new SecureClient(port, {}, LINE)
    client.socket.write('hello')
    await until(() => client.text !== '' || client.error !== undefined)
    expect(Buffer.from(client.text, 'base64')).toEqual(
      Buffer.concat([
        headerV2([192, 0, 2, 7], 56_324, [198, 51, 100, 1], 443),
        Buffer.from('hello'),
      ]),
    )
  })
})
