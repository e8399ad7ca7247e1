/** An HTTP port of real listeners, servers behind it, and what was said of exchanges. */
import { once } from 'node:events'
import { type Agent, createServer, type RequestListener, request, type Server } from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { ExchangeRecord } from '../../../../core/http/commands.ts'
import type { Backend, HttpDoorway, HttpRouteUse } from '../../../../core/node/commands.ts'
import type { CommonSettings } from '../../../../core/node/listener-config.ts'
import type { SocketId } from '../../../../core/publish/events.ts'
import { listenerId, serviceKey } from '../../../../core/services/identity.ts'
import type { HttpSpec } from '../../../../core/spec/deployment.ts'
import { plainHttp } from '../../../../core/spec/plain-endpoint.ts'
import type { ListenersOptions } from '../../../../shells/node/listener/listeners.ts'
import { BALANCE, backend, type Fixture, HOST, startFixture } from '../listener/fixture.ts'

export const WEB = listenerId(serviceKey('demo', 'web'), 'http', 1)
export const API = listenerId(serviceKey('demo', 'api'), 'http', 2)

export interface Served {
  readonly node: Fixture
  readonly port: number
  readonly socket: SocketId
  /** In the order they ended. */
  readonly exchanges: ExchangeRecord[]
}

export interface Wish {
  readonly http?: Partial<HttpSpec>
  readonly common?: Partial<CommonSettings>
  readonly tls?: HttpDoorway['tls']
  readonly routes?: readonly HttpRouteUse[]
  readonly limits?: Partial<Omit<HttpDoorway, 'tls' | 'http'>>
  readonly acceptProxyProtocol?: readonly string[]
  readonly options?: Partial<ListenersOptions>
}

export const doorwayOf = ({ tls = 'off', routes, limits }: Wish = {}): HttpDoorway => ({
  tls,
  http: routes ?? [{ listener: WEB, path: '/' }],
  headTimeoutMs: 10_000,
  headBytesMax: 32_768,
  idleTimeoutMs: 75_000,
  ...limits,
})

/** One listener, and a port whose routes lead to it; `backends`: ports at {@link HOST}. */
export async function serve(backends: readonly number[], wish: Wish = {}): Promise<Served> {
  const exchanges: ExchangeRecord[] = []
  const exchanged = (exchange: ExchangeRecord): void => void exchanges.push(exchange)
  const node = await startFixture({ exchanged, ...wish.options })
  openDoor(node, WEB, wish)
  await node.applyBackends(
    backends.map((port, index) => backend(index + 1, port)),
    WEB,
  )
  const { port, socket } = await node.bind({
    use: {
      kind: 'tcp',
      greetingsMax: 10_000,
      acceptProxyProtocol: wish.acceptProxyProtocol ?? [],
      routes: [doorwayOf(wish)],
    },
  })
  return { node, port, socket, exchanges }
}

export function openDoor(node: Fixture, listener = WEB, { http, common }: Wish = {}): void {
  node.listeners.apply({
    type: 'open-listener',
    listener,
    protocol: 'http',
    http: { ...plainHttp, ...http },
    balance: BALANCE,
    access: [],
    idleAfterMs: 0,
    ...common,
  })
}

export const applyBackends = (node: Fixture, backends: readonly Backend[]): Promise<number> =>
  node.applyBackends(backends, WEB)

export interface Listening {
  readonly port: number
  /** Connections there are now. */
  readonly sockets: Set<Socket>
  /** All there were. */
  readonly connections: number
}

/** A server of this test, closed with it. */
export async function startHttp(
  answer: RequestListener,
): Promise<Listening & { readonly server: Server }> {
  const server = createServer(answer)
  server.keepAliveTimeout = 60_000
  return Object.assign(await listening(server), { server })
}

/** The same of HTTP/2 in the clear. */
export async function startH2c(
  answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: http2.ServerOptions = {},
): Promise<Listening & { readonly server: http2.Http2Server }> {
  const server = http2.createServer(options)
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    answer(stream, headers)
  })
  server.on('sessionError', () => {})
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  onTestFinished(() => {
    for (const session of sessions) session.destroy()
  })
  return Object.assign(await listening(server), { server })
}

async function listening(server: Server | http2.Http2Server): Promise<Listening> {
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    get connections() {
      return connections
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly trailers: NodeJS.Dict<string>
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly agent?: Agent
}

/** Rejects when there is no complete answer. */
export function ask(port: number, path = '/', wish: Ask = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, agent } = wish
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: HOST, port, path, method, headers, agent: agent ?? false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode: status = 0, headers, trailers } = response
          resolve({ status, headers, trailers, body: Buffer.concat(chunks).toString() })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** Writes for ever, as fast as it is taken; counts what was. */
export function flood(stream: NodeJS.WritableStream): () => number {
  const piece = Buffer.alloc(65_536, 'abcdefgh')
  let sent = 0
  const pump = (): void => {
    for (;;) {
      sent += piece.length
      if (!stream.write(piece)) return
    }
  }
  stream.on('drain', pump)
  pump()
  return () => sent
}
