/** WebSockets by every way there is to a node, with the `ws` package. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from 'node:http2'
import { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { fixture } from '../../../shells/node/tls/fixtures.ts'

/** Open, and closed with the test it was made in; what comes is kept for {@link next}. */
export class SocketClient {
  readonly socket: WebSocket
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #heard: { readonly data: Buffer; readonly isBinary: boolean }[] = []
  #wake: (() => void) | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer, isBinary) => {
      this.#heard.push({ data, isBinary })
      this.#wake?.()
    })
    socket.on('error', () => {}) // a close follows
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        resolve({ code, reason: String(reason) })
        this.#wake?.()
      })
    })
    onTestFinished(() => socket.terminate())
  }

  static async open(socket: WebSocket): Promise<SocketClient> {
    const client = new SocketClient(socket)
    await once(socket, 'open')
    return client
  }

  /** The next message; rejects when the socket is closed before there is one. */
  async next(): Promise<{ readonly data: Buffer; readonly isBinary: boolean }> {
    for (;;) {
      const message = this.#heard.shift()
      if (message !== undefined) return message
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('closed before a message')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async text(): Promise<string> {
    return String((await this.next()).data)
  }

  async ask(text: string): Promise<string> {
    this.socket.send(text)
    return this.text()
  }
}

/** `ws://127.0.0.1:80/`, `wss://localhost/`. */
export const byHttp1 = (url: string): Promise<SocketClient> =>
  SocketClient.open(new WebSocket(url, { ca: fixture('ca.crt') }))

/** By extended CONNECT (RFC 8441) in a session of HTTP/2, which the first one of a session waits for. */
export async function byHttp2(session: ClientHttp2Session, path: string): Promise<SocketClient> {
  if (session.remoteSettings?.enableConnectProtocol !== true) await once(session, 'remoteSettings')
  const carrier = new ExtendedConnect(session, path)
  // `ws` speaks HTTP/1.1 only: what it says is said anew
  const socket = new WebSocket('ws://localhost/', { createConnection: () => carrier as never })
  return SocketClient.open(socket)
}

export async function http2Session(authority: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(authority, { ca: fixture('ca.crt') })
  onTestFinished(() => session.destroy())
  await once(session, 'connect')
  return session
}

/** Looks like a connection that is upgraded by HTTP/1.1. */
class ExtendedConnect extends Duplex {
  #head = ''
  #stream: ClientHttp2Stream | undefined
  readonly #session: ClientHttp2Session
  readonly #path: string

  constructor(session: ClientHttp2Session, path: string) {
    super({ allowHalfOpen: false })
    this.#session = session
    this.#path = path
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#stream !== undefined) {
      this.#stream.write(bytes, done)
      return
    }
    this.#head += bytes.toString('latin1')
    if (this.#head.includes('\r\n\r\n')) this.#connect()
    done()
  }

  override _final(done: () => void): void {
    this.#stream?.end()
    done()
  }

  override _read(): void {
    this.#stream?.resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#stream?.close()
    done(error)
  }

  #connect(): void {
    const key = /sec-websocket-key: (\S+)/i.exec(this.#head)?.[1] ?? ''
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    const stream = this.#session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': this.#path,
      'sec-websocket-version': '13',
    })
    this.#stream = stream
    stream.on('response', ({ ':status': status }) => {
      const line = status === 200 ? '101 Switching Protocols' : `${status} `
      const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest('base64')}`
      this.push(`HTTP/1.1 ${line}\r\n${fields}\r\n\r\n`)
    })
    stream.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) stream.pause()
    })
    stream.on('end', () => this.push(null))
    stream.on('error', (error) => this.destroy(error))
    stream.on('close', () => this.destroy())
  }
}
