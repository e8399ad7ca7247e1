/** Metrics over HTTP, for who scrapes them: `GET /metrics`, and the same at `/`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { messageOf } from '../../journal/format.ts'
import { EXPOSITION_TYPE } from '../../metrics/exposition.ts'
import { reasonOf } from '../../socket-errors.ts'
import { afterClosing, type HostSocket, listenOn } from './host-socket.ts'

export interface MetricsSocketOptions {
  /** In Prometheus' text format. */
  readonly read: () => Promise<string>
  /** For people: they could not be read, or nobody could be let in. */
  readonly failed: (reason: string) => void
}

export class MetricsSocket implements HostSocket {
  readonly #options: MetricsSocketOptions
  readonly #server: Server

  constructor(options: MetricsSocketOptions) {
    this.#options = options
    this.#server = createServer(
      {
        headersTimeout: TIMEOUT_MS,
        requestTimeout: TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_MS,
      },
      (request, response) => this.#answer(request, response),
    )
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.setTimeout(IDLE_MS)
  }

  async listen(host: string, port: number): Promise<string> {
    const address = await listenOn(this.#server, host, port)
    this.#server.on('error', (error) => this.#options.failed(reasonOf(error)))
    return address
  }

  route(): void {} // there is one way to serve them

  async close(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await afterClosing()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {}) // the client left
    request.resume() // a body there may be is nothing to us
    const [path] = (request.url ?? '').split('?', 1)
    if (path !== '/metrics' && path !== '/') return say(response, 404, 'metrics are at /metrics\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD')
      return say(response, 405, 'metrics are only read\n')
    }
    this.#options.read().then(
      (text) => say(response, 200, text, EXPOSITION_TYPE),
      (error: unknown) => {
        this.#options.failed(messageOf(error))
        say(response, 500, 'the metrics cannot be read now\n')
      },
    )
  }
}

function say(response: ServerResponse, status: number, text: string, type = PLAIN): void {
  const length = Buffer.byteLength(text)
  response.writeHead(status, { 'content-type': type, 'content-length': length })
  response.end(text)
}

const PLAIN = 'text/plain; charset=utf-8'
const TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 75_000
/** Between two looks for those that are too slow. */
const CHECK_MS = 5_000
/** Whoever takes longer to read an answer has lost it. */
const IDLE_MS = 120_000
const CONNECTIONS_MAX = 64
