/** What else forwards HTTP in Node, each a process: `node node-peers.ts WHICH PORT BACKEND`. */
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import net, { type Socket } from 'node:net'
import { Pool } from 'undici'

export type NodePeer = 'bare' | 'http-proxy' | 'undici'

type Serve = (port: number, backend: number) => void

/**
 * The least there can be: bytes to and fro, on connections that are kept. It takes every read for a
 * whole message, and would mix up everybody's answers at the first that is not.
 */
const bare: Serve = (port, backend) => {
  const idle: Upstream[] = []
  const server = net.createServer({ noDelay: true }, (client) => {
    client.on('error', () => client.destroy())
    client.on('data', (request) => {
      const upstream = idle.pop() ?? new Upstream(backend, idle)
      upstream.ask(client, request)
    })
  })
  server.listen({ port, host: HOST, backlog: BACKLOG })
}

class Upstream {
  readonly #socket: Socket
  #client: Socket | undefined

  constructor(port: number, idle: Upstream[]) {
    this.#socket = net.connect({ host: HOST, port, noDelay: true })
    this.#socket.on('error', () => this.#client?.destroy())
    let missing = 0
    this.#socket.on('data', (bytes) => {
      missing = missing > 0 ? missing - bytes.length : missingOf(bytes)
      const client = this.#client
      if (missing <= 0) {
        this.#client = undefined
        idle.push(this)
      }
      client?.write(bytes)
    })
  }

  ask(client: Socket, request: Buffer): void {
    this.#client = client
    this.#socket.write(request)
  }
}

/** Bytes of the body that are still to come, behind a head that came whole. */
function missingOf(bytes: Buffer): number {
  const headTo = bytes.indexOf('\r\n\r\n') + 4
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.toString('latin1', 0, headTo))
  return headTo + Number(length?.[1] ?? 0) - bytes.length
}

const httpProxy: Serve = (port, backend) => {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX })
  // It has no types.
  const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as {
    createProxyServer(options: object): {
      on(
        event: 'error',
        listener: (...words: [Error, IncomingMessage, ServerResponse]) => void,
      ): void
      web(request: IncomingMessage, response: ServerResponse): void
    }
  }
  const proxy = createProxyServer({ target: `http://${HOST}:${backend}`, agent, xfwd: true })
  proxy.on('error', (_error, _request, response) => void response.destroy())
  listen(port, (request, response) => proxy.web(request, response))
}

const undici: Serve = (port, backend) => {
  const pool = new Pool(`http://${HOST}:${backend}`, { connections: SOCKETS_MAX, pipelining: 1 })
  listen(port, (request, response) => {
    const { method = 'GET', url = '/', headers } = request
    const { connection: _, ...fields } = headers
    const address = request.socket.remoteAddress ?? ''
    const opaque = { response }
    pool.stream(
      {
        path: url,
        method: method as 'GET',
        headers: { ...fields, 'x-forwarded-for': address, 'x-forwarded-proto': 'http' },
        body: method === 'GET' ? null : request,
        opaque,
      },
      ({ statusCode, headers: answered }) => {
        const { connection: __, 'keep-alive': ___, ...kept } = answered
        response.writeHead(statusCode, kept)
        return response
      },
      (error) => {
        if (error) response.destroy()
      },
    )
  })
}

function listen(
  port: number,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): void {
  const server = createServer({ noDelay: true }, answer)
  server.keepAliveTimeout = 60_000
  server.listen({ port, host: HOST, backlog: BACKLOG })
}

const HOST = '127.0.0.1'
const BACKLOG = 4_096
const SOCKETS_MAX = 1_024

const PEERS: Readonly<Record<NodePeer, Serve>> = { bare, 'http-proxy': httpProxy, undici }
const [which, port, backend] = process.argv.slice(2)
PEERS[which as NodePeer](Number(port), Number(backend))
