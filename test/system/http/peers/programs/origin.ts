/**
 * A program behind Weir, a replica, at the port of each of its endpoints: HTTP/1.1, or HTTP/2 without
 * TLS for those whose name begins with `h2c`. What it does is the path's to say; WebSockets go anywhere.
 */
import { createHash } from 'node:crypto'
import {
  createServer,
  Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { Server } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type WebSocket, WebSocketServer } from 'ws'

/** What `/who` answers, and whatever path is no other. */
export interface Seen {
  readonly service: string
  readonly replica: string
  readonly pid: number
  readonly method: string
  readonly url: string
  readonly protocol: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** What `/sink` answers: a body was taken to its end. */
export interface Sunk {
  readonly bytes: number
  readonly sha256: string
  readonly trailers: Readonly<Record<string, string>>
}

/** Those of HTTP/2 are made to be used as these are. */
type Way = (asked: IncomingMessage, answered: ServerResponse, query: URLSearchParams) => unknown

const { WEIR_SERVICE: service = '', WEIR_REPLICA: replica = '' } = process.env

const ways: Readonly<Record<string, Way>> = {
  /** The body comes back as it is, with its length if it had one. */
  '/echo': (asked, answered) => {
    const length = asked.headers['content-length']
    if (length !== undefined) answered.setHeader('content-length', length)
    return pipeline(asked, answered)
  },
  '/sink': async (asked, answered) => {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const part of asked) {
      bytes += part.byteLength
      hash.update(part)
    }
    const { trailers } = asked
    tell(answered, { bytes, sha256: hash.digest('hex'), trailers })
  },
  /** Counted, and not looked at. */
  '/discard': async (asked, answered) => {
    let bytes = 0
    for await (const part of asked) bytes += part.byteLength
    tell(answered, { bytes, sha256: '', trailers: {} })
  },
  /** So many bytes, `?bytes=`, chunked unless `?length`. */
  '/bytes': (_asked, answered, query) => {
    const length = Number(query.get('bytes'))
    if (query.has('length')) answered.setHeader('content-length', length)
    answered.setHeader('content-type', 'application/octet-stream')
    return pipeline(Readable.from(bytesOf(length)), answered)
  },
  '/trailers': (_asked, answered) => {
    answered.setHeader('trailer', 'x-checksum')
    answered.write('body')
    answered.addTrailers({ 'x-checksum': '0b0d' })
    answered.end()
  },
  '/range': (asked, answered) => {
    const found = /^bytes=(\d+)-(\d+)$/.exec(asked.headers.range ?? '')
    answered.setHeader('accept-ranges', 'bytes')
    if (found === null) return answered.end(ALPHABET)
    const [first, last] = [Number(found[1]), Number(found[2])]
    answered.statusCode = 206
    answered.setHeader('content-range', `bytes ${first}-${last}/${ALPHABET.length}`)
    return answered.end(ALPHABET.slice(first, last + 1))
  },
  '/page': (_asked, answered) => {
    answered.setHeader('content-type', 'text/html; charset=utf-8')
    return answered.end(PAGE)
  },
  '/empty': (_asked, answered) => {
    answered.statusCode = 204
    return answered.end()
  },
  '/early': (_asked, answered) => {
    answered.writeEarlyHints({ link: '</a.css>; rel=preload' })
    return answered.end('late')
  },
  /** An answer that begins, and never ends. */
  '/endless': (_asked, answered) => void answered.write('begun\n'),
  '/never': () => {},
  '/broken': (asked) => asked.socket.destroy(),
  /** The connection ends with the answer, which says nothing of it. */
  '/parting': (asked, answered) => void answered.end('ok\n', () => asked.socket.end()),
  '/small': (_asked, answered) => answered.end('ok\n'),
}

function tell(answered: ServerResponse, what: unknown): void {
  const text = `${JSON.stringify(what)}\n`
  answered.setHeader('content-type', 'application/json')
  answered.setHeader('content-length', Buffer.byteLength(text))
  answered.end(text)
}

function answer(asked: IncomingMessage, answered: ServerResponse): void {
  const { pathname, searchParams } = new URL(asked.url ?? '/', 'http://origin')
  const way = ways[pathname]
  if (way !== undefined) {
    Promise.resolve(way(asked, answered, searchParams)).catch(() => {}) // whoever asked has left
    return
  }
  const { method = '', url = '', headers, httpVersion: protocol } = asked
  asked.resume()
  tell(answered, { service, replica, pid: process.pid, method, url, protocol, headers })
}

function* bytesOf(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= BLOCK.byteLength) {
    yield left < BLOCK.byteLength ? BLOCK.subarray(0, left) : BLOCK
  }
}

/** What comes goes back; a text that begins with `close` closes, with the code and the words after it. */
function serve(socket: WebSocket): void {
  socket.on('error', () => {})
  socket.send(`here is ${service} ${replica}`)
  socket.on('message', (data: Buffer, isBinary) => {
    const [word, code, ...words] = isBinary ? [] : String(data).split(' ')
    if (word === 'close') socket.close(Number(code), words.join(' '))
    else if (word === 'vanish') socket.terminate()
    else socket.send(data, { binary: isBinary })
  })
  socket.on('close', (code, reason) => {
    if (code !== 1006) console.log(`closed with ${code} ${reason}`)
  })
}

const sockets = new WebSocketServer({ noServer: true })
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz'
const BLOCK = Buffer.alloc(65_536, ALPHABET)
/** Writes what a WebSocket brings into the page. */
const PAGE = `<!doctype html>
<title>page</title>
<p id="socket">nothing yet</p>
<p id="fetched">nothing yet</p>
<script>
  const show = (id, text) => { document.getElementById(id).textContent = text }
  const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/socket')
  socket.onopen = () => socket.send('from the page')
  socket.onmessage = ({ data }) => show('socket', data)
  socket.onclose = ({ code }) => show('socket', 'closed with ' + code)
  fetch('/sink', { method: 'POST', body: 'a body' }).then((answer) => answer.json())
    .then(({ bytes }) => show('fetched', bytes + ' bytes'))
</script>
`

const listening: Server[] = []
const ports = new Map<string, string>() // endpoints of one site have one port
for (const [name, port = ''] of Object.entries(process.env)) {
  if (name.startsWith('PORT_')) ports.set(port, name)
}
for (const [port, name] of ports) {
  const server = name.startsWith('PORT_H2C')
    ? createHttp2Server(answer as never)
    : createHttp1Server()
  listening.push(server.listen(Number(port), '127.0.0.1'))
}

function createHttp1Server(): Server {
  const server = createServer({ requestTimeout: 0 }, answer)
  server.keepAliveTimeout = Number(process.env.KEEP_ALIVE_MS ?? 5_000)
  server.on('upgrade', (asked, socket, head) => sockets.handleUpgrade(asked, socket, head, serve))
  return server
}

process.once('SIGTERM', () => {
  for (const server of listening) {
    server.close()
    if (server instanceof HttpServer) server.closeIdleConnections()
  }
  // what is under way is finished by then
  for (const socket of sockets.clients) socket.close(1001, 'going away')
})
