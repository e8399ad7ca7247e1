/** Node's own parser, fed through a stream that is no socket. */
import { createServer, type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'
import type { Message } from './messages.ts'

/** The requests that Node's server takes from a connection that says this and ends. */
export function requestsSeenByNode(text: string): Promise<Message[]> {
  const { promise, resolve } = Promise.withResolvers<Message[]>()
  const seen: Promise<Message | undefined>[] = []
  const server = createServer(
    { maxHeaderSize: 65_536, keepAliveTimeout: 0 },
    (incoming, outgoing) => {
      seen.push(messageOf(incoming))
      incoming.on('end', () => outgoing.end())
    },
  )
  // What it read before the error is on its way.
  server.on('clientError', () => setImmediate(() => setImmediate(settle)))
  const side = new Side()
  server.emit('connection', side)
  side.on('close', () => settle())
  const settle = (): void => {
    side.destroy()
    void Promise.all(seen).then((all) => resolve(all.filter((each) => each !== undefined)))
  }
  side.push(Buffer.from(text, 'latin1'))
  side.push(null)
  return promise
}

/** The first final response, if Node's client takes it. */
export function responseSeenByNode(text: string, method: string): Promise<Message | undefined> {
  const { promise, resolve } = Promise.withResolvers<Message | undefined>()
  const side = new Side()
  const outgoing = request({ method, createConnection: () => side as never, host: 'example.com' })
  outgoing.on('response', (incoming) => void messageOf(incoming).then(resolve))
  outgoing.on('upgrade', () => resolve(undefined))
  outgoing.on('error', () => resolve(undefined))
  outgoing.end()
  side.push(Buffer.from(text, 'latin1'))
  side.push(null)
  return promise
}

/** Undefined when it was cut short. */
function messageOf(incoming: IncomingMessage): Promise<Message | undefined> {
  const { promise, resolve } = Promise.withResolvers<Message | undefined>()
  const data: Buffer[] = []
  incoming.on('data', (bytes: Buffer) => data.push(bytes))
  incoming.on('error', () => resolve(undefined))
  incoming.on('close', () => resolve(undefined))
  incoming.on('end', () => {
    if (!incoming.complete) return resolve(undefined)
    const { method, url, statusCode, statusMessage, httpVersionMinor } = incoming
    resolve({
      start: statusCode ? [String(statusCode), statusMessage!] : [method!, url!],
      minor: httpVersionMinor,
      fields: pairs(incoming.rawHeaders),
      body: Buffer.concat(data).toString('latin1'),
      trailers: pairs(incoming.rawTrailers),
      isLast: false,
    })
  })
  return promise
}

const pairs = (raw: readonly string[]): [string, string][] =>
  Array.from({ length: raw.length / 2 }, (_, n) => [raw[2 * n]!, raw[2 * n + 1]!])

/** What is pushed into it is read; what is written goes nowhere. */
class Side extends Duplex {
  override _read(): void {}

  override _write(_bytes: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}
