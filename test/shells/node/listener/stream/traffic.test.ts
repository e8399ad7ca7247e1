import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { backend, Client, HOST, LISTENER, startFixture, startUpstream, until } from '../fixture.ts'
import { shown } from '../tls.ts'

/** What both ends of a connection do, known to both from its number. */
interface Script {
  readonly id: number
  readonly clientBytes: number
  readonly upstreamBytes: number
  /** After how many received bytes an end stops to read for a while; 0 = never. */
  readonly clientStallsAt: number
  readonly upstreamStallsAt: number
  /** Who breaks the connection after half of its bytes. */
  readonly breaks: 'nobody' | 'client' | 'upstream'
  /** The upstream answers only after it got everything and its end, as in HTTP/1.0. */
  readonly answersLast: boolean
}

const CONNECTIONS = { off: 200, terminate: 100 } as const
const HEADER_BYTES = 4

function scriptOf(id: number): Script {
  const random = randomOf(id + 1)
  const breaks = random() < 0.2 ? (random() < 0.5 ? 'client' : 'upstream') : 'nobody'
  return {
    id,
    clientBytes: Math.floor(random() * 200_000),
    upstreamBytes: Math.floor(random() * 200_000),
    clientStallsAt: random() < 0.3 ? 1 + Math.floor(random() * 50_000) : 0,
    upstreamStallsAt: random() < 0.3 ? 1 + Math.floor(random() * 50_000) : 0,
    breaks,
    answersLast: breaks === 'nobody' && random() < 0.3,
  }
}

/** Mulberry32: the same numbers for a number in every run. */
function randomOf(seed: number): () => number {
  let state = seed * 0x9e3779b9
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Different in every connection and direction, at every place. */
const byteAt = (stream: number, offset: number): number =>
  (stream * 131 + offset * 7 + (offset >> 8) * 13) & 255

function* chunksOf(stream: number, bytes: number): Generator<Buffer> {
  const random = randomOf(stream)
  for (let offset = 0; offset < bytes; ) {
    const length = Math.min(bytes - offset, 1 + Math.floor(random() * 20_000))
    const chunk = Buffer.alloc(length)
    for (let index = 0; index < length; index++) chunk[index] = byteAt(stream, offset + index)
    yield chunk
    offset += length
  }
}

/** One end: sends its stream, checks what it gets, and says how it ended. */
class End {
  received = 0
  wrong = 0
  outcome: 'ended' | 'broken' | undefined
  readonly #socket: Socket
  readonly #carrier: Socket
  readonly #expects: number
  readonly #stallsAt: number

  /** `carrier`: the TCP socket, if there is TLS on it. */
  constructor(socket: Socket, expects: number, stallsAt: number, carrier = socket) {
    this.#socket = socket
    this.#carrier = carrier
    this.#expects = expects
    this.#stallsAt = stallsAt
    socket.on('end', () => {
      this.outcome ??= 'ended'
    })
    socket.on('error', () => {
      this.outcome = 'broken'
    })
  }

  take(chunk: Buffer): void {
    for (const byte of chunk) {
      if (byte !== byteAt(this.#expects, this.received)) this.wrong += 1
      this.received += 1
    }
    const stalls = this.#stallsAt > 0 && this.received >= this.#stallsAt
    if (!stalls || this.received - chunk.byteLength >= this.#stallsAt) return
    this.#socket.pause()
    setTimeout(() => this.#socket.resume(), 20)
  }

  async send(stream: number, bytes: number, breaks: boolean): Promise<void> {
    let sent = 0
    for (const chunk of chunksOf(stream, bytes)) {
      if (breaks && sent > bytes / 2) break
      if (this.#socket.destroyed) return
      sent += chunk.byteLength
      if (!this.#socket.write(chunk))
        await Promise.race([drained(this.#socket), gone(this.#socket)])
    }
    if (breaks) {
      this.outcome = 'broken'
      this.#carrier.resetAndDestroy()
    } else this.#socket.end()
  }
}

const drained = (socket: Socket): Promise<unknown> => once(socket, 'drain').catch(() => {})
const gone = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()))

const clientStream = (id: number): number => 2 * id
const upstreamStream = (id: number): number => 2 * id + 1

function serveScript(ends: Map<number, End>): (socket: Socket) => void {
  return (socket) => {
    socket.on('error', () => {}) // may break before its header came
    let header = Buffer.alloc(0)
    const onHeader = (chunk: Buffer): void => {
      header = Buffer.concat([header, chunk])
      if (header.byteLength < HEADER_BYTES) return
      socket.off('data', onHeader)
      const script = scriptOf(header.readUInt32BE())
      const { id } = script
      const end = new End(socket, clientStream(id), script.upstreamStallsAt)
      ends.set(id, end)
      socket.on('data', (bytes) => end.take(bytes))
      end.take(header.subarray(HEADER_BYTES))
      const answer = (): void =>
        void end.send(upstreamStream(id), script.upstreamBytes, script.breaks === 'upstream')
      if (script.answersLast) socket.once('end', answer)
      else answer()
    }
    socket.on('data', onHeader)
  }
}

async function runClient(port: number, script: Script, isSecure: boolean): Promise<End> {
  const tcp = connect({ port, host: HOST, allowHalfOpen: true })
  const socket = isSecure ? tls.connect({ socket: tcp, rejectUnauthorized: false }) : tcp
  const end = new End(socket, upstreamStream(script.id), script.clientStallsAt, tcp)
  socket.on('data', (bytes) => end.take(bytes))
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(script.id)
  socket.write(header)
  const closed = gone(socket)
  await end.send(clientStream(script.id), script.clientBytes, script.breaks === 'client')
  await closed
  return end
}

function check(
  scripts: readonly Script[],
  clients: readonly End[],
  ends: Map<number, End>,
  isSecure: boolean,
): void {
  for (const [id, client] of clients.entries()) {
    const script = scripts[id]!
    const server = ends.get(id)
    expect([client.wrong, server?.wrong ?? 0], `connection ${id}`).toEqual([0, 0])
    const { clientBytes, upstreamBytes, breaks } = script
    if (breaks === 'nobody') {
      expect([client.outcome, client.received], `client ${id}`).toEqual(['ended', upstreamBytes])
      expect([server?.outcome, server?.received], `up ${id}`).toEqual(['ended', clientBytes])
    } else if (breaks === 'client') {
      // The upstream must not take half a stream for a whole one; Node may hide a reset from TLS.
      const outcomes = isSecure ? ['broken', 'ended'] : ['broken']
      expect(outcomes, `upstream of ${id}`).toContain(server?.outcome ?? 'broken')
    } else {
      expect(client.outcome, `client ${id}`).toBe('broken')
    }
  }
}

describe('bytes', () => {
  for (const through of ['off', 'terminate'] as const) {
    test(`TLS ${through}: half-closes, resets and stalled readers: identical both ways`, async () => {
      const node = await startFixture({ certificates: shown('default') })
      const ends = new Map<number, End>()
      const upstream = await startUpstream(serveScript(ends))
      node.openDoor()
      await node.applyBackends([backend(1, upstream.port)])
      const { port } = await node.bind({ routes: [{ listener: LISTENER, tls: through }] })
      const scripts = Array.from({ length: CONNECTIONS[through] }, (_, id) => scriptOf(id))
      const isSecure = through === 'terminate'
      const clients = await Promise.all(scripts.map((script) => runClient(port, script, isSecure)))
      await until(() => upstream.sockets.size === 0)
      check(scripts, clients, ends, isSecure)
    })
  }

  test('a reader that stalls holds its sender back; memory does not grow', async () => {
    const node = await startFixture()
    const page = Buffer.alloc(1 << 16, 'x')
    let poured = 0
    const upstream = await startUpstream((socket) => {
      socket.on('error', () => {})
      const pour = (): void => {
        let more = true
        while (more && poured < 256 * 1024 * 1024) {
          poured += page.byteLength
          more = socket.write(page)
        }
        if (more) socket.end()
      }
      socket.on('drain', pour)
      pour()
    })
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const before = process.memoryUsage().arrayBuffers
    const socket = connect({ port, host: HOST })
    onTestFinished(() => void socket.destroy())
    socket.pause()
    // It pours until the kernels between are full, and no further.
    let last = -1
    for (let still = 0; still < 20; still = poured === last ? still + 1 : 0) {
      last = poured
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(poured).toBeGreaterThan(0)
    expect(poured).toBeLessThan(64 * 1024 * 1024)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
    let got = 0
    socket.on('data', (chunk) => {
      got += chunk.byteLength
    })
    socket.resume()
    await once(socket, 'end')
    expect(got).toBe(poured)
  })

  test('an upstream that ends first still gets all that the client sends', async () => {
    const node = await startFixture()
    let got = ''
    const upstream = await startUpstream((socket) => {
      socket.on('data', (bytes) => {
        got += bytes
      })
      socket.end('greeting')
    })
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const client = new Client(port)
    await until(() => client.ended)
    expect(client.text).toBe('greeting')
    client.socket.write('first,')
    await until(() => got === 'first,')
    client.socket.end('last')
    await client.closed
    await until(() => got === 'first,last' && upstream.sockets.size === 0)
  })

  test('a client that ends first still gets the whole answer', async () => {
    const node = await startFixture()
    const upstream = await startUpstream((socket) => {
      socket.resume()
      socket.on('end', () => socket.end('answer'))
    })
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const client = new Client(port)
    client.socket.end('question')
    await client.closed
    expect([client.text, client.error]).toEqual(['answer', undefined])
  })

  test('a reset of either end reaches the other as a reset', async () => {
    const node = await startFixture()
    const errors: string[] = []
    const upstream = await startUpstream((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
      socket.on('data', (bytes) => {
        if (bytes.toString() === 'break') socket.resetAndDestroy()
        else socket.write(bytes)
      })
    })
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const client = new Client(port)
    await client.exchange('hi', 'hi')
    client.socket.resetAndDestroy()
    await until(() => errors.length > 0)
    const other = new Client(port)
    other.socket.write('break')
    await other.closed
    expect([...errors, other.error?.code]).toEqual(['ECONNRESET', 'ECONNRESET'])
  })
})
