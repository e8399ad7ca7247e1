/** TLS on loopback: certificates to show, and clients and backends that speak it. */
import { connect as connectTcp, type Socket } from 'node:net'
import tls from 'node:tls'
import { onTestFinished } from 'vitest'
import type { ListenersOptions } from '../../../../shells/node/listener/listeners.ts'
import { fixture } from '../tls/fixtures.ts'
import { HOST, listen, type Upstream, until } from './fixture.ts'

export const CA = fixture('ca.crt')

export const contextOf = (name: string): tls.SecureContext => {
  const [cert, key] = [fixture(`${name}.crt`), fixture(`${name}.key`)]
  return tls.createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
}

/** Shown for exactly these server names, and `default` for clients that name none. */
export function shown(...names: readonly string[]): NonNullable<ListenersOptions['certificates']> {
  const contexts = new Map(names.map((name) => [name, contextOf(FILES[name] ?? name)]))
  const contextFor = (name = 'default'): tls.SecureContext | undefined => contexts.get(name)
  return {
    contextFor,
    serverOptions: () => ({
      secureContext: contexts.get('default') ?? tls.createSecureContext({}),
      SNICallback: (name, answer) => answer(null, contextFor(name)),
    }),
  }
}

/** Its clients do not look. */
const FILES: Readonly<Record<string, string>> = { 'b.example': 'a.example' }

/** A TLS client that keeps what it got, and is gone with the test. */
export class SecureClient {
  readonly tcp: Socket
  readonly socket: tls.TLSSocket
  readonly chunks: Buffer[] = []
  ended = false
  error: NodeJS.ErrnoException | undefined
  readonly closed: Promise<void>

  /** `preface`: sent before TLS. */
  constructor(port: number, options: tls.ConnectionOptions = {}, preface = '') {
    this.tcp = connectTcp({ port, host: HOST, allowHalfOpen: true })
    if (preface !== '') this.tcp.write(preface)
    this.socket = tls.connect({
      servername: 'a.example',
      ca: CA,
      ...options,
      socket: this.tcp,
    })
    this.socket.on('data', (chunk) => this.chunks.push(chunk))
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('error', (error) => {
      this.error = error
    })
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()))
    onTestFinished(() => void this.tcp.destroy())
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  /** Sends, and waits until all it got is `expected`. */
  async exchange(text: string, expected: string): Promise<void> {
    this.socket.write(text)
    await until(() => this.text === expected || this.socket.destroyed)
    if (this.text !== expected) throw new Error(`got "${this.text}", then ${this.error?.message}`)
  }
}

/** A TLS server of this test, closed with it. */
export async function startSecureUpstream(
  options: tls.TlsOptions,
  serve: (socket: tls.TLSSocket) => void,
): Promise<Upstream> {
  const sockets = new Set<Socket>()
  const certificate = { cert: fixture('a.example.crt'), key: fixture('a.example.key') }
  const server = tls.createServer({ ...certificate, allowHalfOpen: true, ...options }, serve)
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(close)
  return { port: await listen(server), sockets, close }
}
