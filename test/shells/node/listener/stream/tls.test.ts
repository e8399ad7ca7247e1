import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  backend,
  Client,
  Fixture,
  LISTENER,
  startEcho,
  startFixture,
  startUpstream,
  until,
} from '../fixture.ts'
import { SecureClient, shown } from '../tls.ts'

const descriptors = (): number => readdirSync('/proc/self/fd').length
const TERMINATE = [{ listener: LISTENER, tls: 'terminate' }] as const

/** A listener where TLS ends, before one backend. */
async function startSecure(
  upstreamPort: number,
  names: readonly string[] = ['default', 'a.example'],
): Promise<{ node: Fixture; port: number }> {
  const node = await startFixture({ certificates: shown(...names) })
  node.openDoor()
  await node.applyBackends([backend(1, upstreamPort)])
  const { port } = await node.bind({ routes: TERMINATE })
  return { node, port }
}

describe('proxy W30, W40: TLS ends here', () => {
  test('the backend gets what the client sent, in plain', async () => {
    const echo = await startEcho('plain:')
    const { port } = await startSecure(echo.port)
    const client = new SecureClient(port)
    await client.exchange('hello', 'plain:hello')
    expect(client.socket.getProtocol()).toBe('TLSv1.3')
    expect(client.socket.getPeerCertificate().subjectaltname).toBe('DNS:a.example')
  })

  test('in TLS 1.2 as well, and nothing older', async () => {
    const echo = await startEcho()
    const { port } = await startSecure(echo.port)
    const client = new SecureClient(port, { maxVersion: 'TLSv1.2' })
    await client.exchange('hello', 'hello')
    const old = new SecureClient(port, {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL@SECLEVEL=0',
    })
    await old.closed
    expect(old.error?.message).toMatch(/protocol version|unsupported protocol/)
  })

  test('without a server name the default certificate is shown', async () => {
    const echo = await startEcho()
    const { port } = await startSecure(echo.port)
    const client = new SecureClient(port, { servername: '', rejectUnauthorized: false })
    await client.exchange('hello', 'hello')
    expect(client.socket.getPeerCertificate().subjectaltname).toContain('DNS:default.example')
  })

  test('for a name without a certificate: the alert says so', async () => {
    const echo = await startEcho()
    const { node, port } = await startSecure(echo.port, ['a.example'])
    const client = new SecureClient(port, { servername: 'nobody.example' })
    await client.closed
    expect(client.error?.message).toContain('unrecognized name')
    await until(() => counters(node).refused.handshake === 1)
  })

  test('no certificates at all: the handshake fails, nobody else notices', async () => {
    const node = await startFixture()
    node.openDoor()
    const { port } = await node.bind({ routes: TERMINATE })
    const client = new SecureClient(port)
    await client.closed
    expect(client.error).toBeDefined()
    await until(() => counters(node).refused.handshake === 1)
  })

  test('whoever does not speak TLS is refused', async () => {
    const echo = await startEcho()
    const { node, port } = await startSecure(echo.port)
    const client = new Client(port)
    client.socket.write('GET / HTTP/1.1\r\n\r\n')
    await until(() => client.ended || client.error !== undefined)
    await until(() => counters(node).refused.handshake === 1)
    expect(echo.sockets.size).toBe(0)
  })

  test('a session is resumed', async () => {
    const echo = await startEcho()
    const { port } = await startSecure(echo.port)
    const first = new SecureClient(port)
    const session = once(first.socket, 'session')
    await first.exchange('hello', 'hello')
    const [ticket] = (await session) as [Buffer]
    const second = new SecureClient(port, { session: ticket })
    await second.exchange('again', 'again')
    expect(second.socket.isSessionReused()).toBe(true)
  })
})

const counters = (node: Fixture) => node.listeners.streamCounters()[0]!.counters.entrance

describe('ends and resets through TLS', () => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    test(`${maxVersion}: a client that ends first still gets the whole answer`, async () => {
      const upstream = await startUpstream((socket) => {
        socket.resume()
        socket.on('end', () => socket.end('answer'))
      })
      const { port } = await startSecure(upstream.port)
      const client = new SecureClient(port, { maxVersion })
      client.socket.end('question')
      await client.closed
      expect([client.text, client.ended, client.error]).toEqual(['answer', true, undefined])
    })
  }

  test('a client that ends without a word, maybe before its upstream is there', async () => {
    const upstream = await startUpstream((socket) => {
      socket.resume()
      socket.on('end', () => socket.end('answer'))
    })
    const { port } = await startSecure(upstream.port)
    for (let count = 0; count < 10; count++) {
      const client = new SecureClient(port)
      client.socket.once('secureConnect', () => client.socket.end())
      await client.closed
      expect([client.text, client.error]).toEqual(['answer', undefined])
    }
  })

  test('an upstream that ends first still gets all that the client sends', async () => {
    let got = ''
    const upstream = await startUpstream((socket) => {
      socket.on('data', (bytes) => {
        got += bytes
      })
      socket.end('greeting')
    })
    const { port } = await startSecure(upstream.port)
    const client = new SecureClient(port)
    await until(() => client.ended)
    expect(client.text).toBe('greeting')
    client.socket.write('first,')
    await until(() => got === 'first,')
    client.socket.end('last')
    await client.closed
    await until(() => got === 'first,last' && upstream.sockets.size === 0)
  })

  test('a reset of either end reaches the other as a reset', async () => {
    const errors: string[] = []
    const upstream = await startUpstream((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
      socket.on('data', (bytes) => {
        if (bytes.toString() === 'break') socket.resetAndDestroy()
        else socket.write(bytes)
      })
    })
    const { port } = await startSecure(upstream.port)
    const client = new SecureClient(port)
    await client.exchange('hi', 'hi')
    client.tcp.resetAndDestroy()
    await until(() => errors.length > 0)
    const other = new SecureClient(port)
    other.socket.write('break')
    await other.closed
    expect([...errors, other.error?.code]).toEqual(['ECONNRESET', 'ECONNRESET'])
  })

  test('bytes that are no TLS record in the middle of a connection end it, and only it', async () => {
    const errors: string[] = []
    const upstream = await startUpstream((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
      socket.pipe(socket)
    })
    const { port } = await startSecure(upstream.port)
    const client = new SecureClient(port)
    await client.exchange('hi', 'hi')
    client.tcp.write('this is no TLS record at all')
    await until(() => client.error !== undefined && errors.length > 0)
    expect(errors).toEqual(['ECONNRESET'])
    await new SecureClient(port).exchange('still here', 'still here')
  })

  test('a reader that stalls holds its sender back; memory does not grow', async () => {
    const page = Buffer.alloc(1 << 16, 'x')
    let poured = 0
    const upstream = await startUpstream((socket) => {
      socket.on('error', () => {})
      const pour = (): void => {
        let more = true
        while (more && poured < 96 * 1024 * 1024) {
          poured += page.byteLength
          more = socket.write(page)
        }
        if (more) socket.end()
      }
      socket.on('drain', pour)
      pour()
    })
    const { port } = await startSecure(upstream.port)
    const before = process.memoryUsage().arrayBuffers
    const client = new SecureClient(port)
    await once(client.socket, 'secureConnect')
    client.socket.pause()
    client.tcp.pause()
    let last = -1
    for (let still = 0; still < 20; still = poured === last ? still + 1 : 0) {
      last = poured
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(poured).toBeGreaterThan(0)
    expect(poured).toBeLessThan(64 * 1024 * 1024)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
    client.socket.resume()
    await until(() => client.ended)
    const got = client.chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
    expect(got).toBe(poured)
  })
})

describe('nothing of TLS is left behind', () => {
  test('whatever a connection was doing, the end of the scope closes it', async () => {
    const before = descriptors()
    const node = await new Fixture().start({ certificates: shown('default', 'a.example') })
    const echo = await startEcho()
    const pouring = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.end(Buffer.alloc(1 << 22, 'x'))
    })
    node.openDoor()
    await node.applyBackends([backend(1, echo.port), backend(2, pouring.port)])
    const { port } = await node.bind({ routes: TERMINATE })
    const clients: { destroy(): void }[] = []
    for (let count = 0; count < 10; count++) {
      const talking = new SecureClient(port)
      await talking.exchange('hi', 'hi')
      if (count % 2 === 0) talking.socket.end()
      const stalled = new SecureClient(port)
      stalled.socket.pause()
      stalled.tcp.pause()
      const mute = new Client(port) // on its way in
      const partial = new Client(port)
      partial.socket.write(Buffer.of(22, 3, 1))
      clients.push(talking.tcp, stalled.tcp, mute.socket, partial.socket)
    }
    await until(() => counters(node).accepted >= 40)
    await node.stop()
    for (const client of clients) client.destroy()
    await echo.close()
    await pouring.close()
    await until(() => descriptors() <= before)
  })

  test('connections that were reset, failed or left in the handshake are closed', async () => {
    const echo = await startEcho()
    const { node, port } = await startSecure(echo.port)
    const before = descriptors()
    for (let count = 0; count < 10; count++) {
      const reset = new SecureClient(port)
      await reset.exchange('hi', 'hi')
      reset.tcp.resetAndDestroy()
      const gone = new Client(port)
      gone.socket.write(Buffer.of(22, 3, 1))
      await until(() => !gone.socket.connecting)
      if (count % 2 === 0) gone.socket.resetAndDestroy()
      else gone.socket.destroy()
      const plain = new Client(port)
      plain.socket.write('plain text is no TLS')
      await until(() => plain.ended || plain.error !== undefined)
      plain.socket.destroy()
      const unknown = new SecureClient(port, { ca: [] })
      await unknown.closed
    }
    await until(() => descriptors() <= before)
    await until(() => counters(node).accepted === 40)
    const cut = Array.from({ length: 5 }, () => new SecureClient(port))
    await Promise.all(cut.map((client) => client.exchange('hi', 'hi')))
    await node.applyBackends([])
    node.listeners.apply({ type: 'cut-backend', listener: LISTENER, backend: backend(1, 0).id })
    await Promise.all(cut.map(({ closed }) => closed))
    expect(cut.map(({ error }) => error?.code)).toEqual(cut.map(() => 'ECONNRESET'))
    await until(() => descriptors() <= before)
  })
})
