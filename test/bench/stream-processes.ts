/** The processes of the stream benchmark: `node stream-processes.ts ROLE [UPSTREAM_PORT]`. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Effect, Scope } from 'effect'
import { listenerId, replicaId, serviceKey } from '../../core/services/identity.ts'
import { makeListeners } from '../../shells/node/listener/listeners.ts'

export type ProcessRole = 'upstream' | 'bare' | 'weir' | 'clients'

export interface Work {
  readonly type: 'download' | 'requests' | 'connections'
  readonly connections: number
  readonly durationMs: number
}

export type ProcessReport =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'cpu'; readonly microseconds: number }
  | { readonly type: 'done'; readonly units: number; readonly elapsedMs: number }

type Question = { type: 'cpu' } | { type: 'work'; port: number; work: Work }

const say = (report: ProcessReport): void => {
  process.send?.(report)
}

/** The first byte of a connection says what it wants. */
function serveUpstream(): void {
  const page = Buffer.alloc(1 << 18, 'x')
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', (first) => {
      if (first[0] === DOWNLOAD) {
        const pour = (): void => {
          while (socket.writable && socket.write(page));
        }
        socket.on('drain', pour)
        pour()
      } else if (first[0] === REQUEST) {
        socket.write(first)
        socket.on('data', (request) => socket.write(request))
      } else {
        socket.end(first) // the upstream closes first, as an HTTP/1.0 server would
      }
    })
  })
  listen(server)
}

function serveBare(upstreamPort: number): void {
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: HOST, port: upstreamPort, noDelay: true })
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    client.pipe(upstream)
    upstream.pipe(client)
  })
  listen(server)
}

async function serveWeir(upstreamPort: number): Promise<void> {
  const service = serviceKey('bench', 'web')
  const listener = listenerId(service, 'tcp', 1)
  const id = replicaId({ deployment: 'bench', service: 'web', number: 1, incarnation: 1 })
  const listeners = await Effect.runPromise(
    Scope.provide(
      makeListeners({
        report: (event) => {
          if (event.type === 'listener-failed') throw new Error(event.reason)
          if (event.type !== 'listener-opened') return
          say({ type: 'ready', port: Number(event.address.split(':').at(-1)) })
        },
      }),
      Scope.makeUnsafe(),
    ),
  )
  const backends = [{ id, host: HOST, port: upstreamPort }]
  const balance = { strategy: 'round_robin', failOpen: true } as const
  const open = { type: 'open-listener', protocol: 'tcp', balance, stream } as const
  listeners.apply({ ...open, listener, attempt: 1, host: HOST, port: 0 })
  listeners.apply({ type: 'apply-backends', listener, version: 1, backends })
}

function listen(server: Server): void {
  server.listen(0, HOST, () => say({ type: 'ready', port: (server.address() as AddressInfo).port }))
}

async function work(port: number, { type, connections, durationMs }: Work): Promise<void> {
  const startAt = performance.now()
  const endAt = startAt + durationMs
  const clients = { download, requests, connections: reconnect }[type]
  const units = await Promise.all(Array.from({ length: connections }, () => clients(port, endAt)))
  const elapsedMs = performance.now() - startAt
  say({ type: 'done', units: units.reduce((sum, count) => sum + count, 0), elapsedMs })
}

function download(port: number, endAt: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    // One buffer for all reads: what the client costs is not what is measured.
    const onread = {
      buffer: Buffer.alloc(1 << 18),
      callback: (length: number): boolean => {
        bytes += length
        if (performance.now() < endAt) return true
        socket.destroy()
        resolve(bytes)
        return false
      },
    }
    const socket = connect({ host: HOST, port, onread })
    socket.on('error', reject)
    socket.write(Buffer.of(DOWNLOAD))
  })
}

function requests(port: number, endAt: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let answered = 0
    let got = 0
    const request = Buffer.alloc(REQUEST_BYTES, REQUEST)
    const socket = connect({ host: HOST, port, noDelay: true })
    socket.on('error', reject)
    socket.on('data', (bytes) => {
      got += bytes.byteLength
      if (got < REQUEST_BYTES) return
      got = 0
      answered += 1
      if (performance.now() < endAt) {
        socket.write(request)
        return
      }
      socket.destroy()
      resolve(answered)
    })
    socket.write(request)
  })
}

async function reconnect(port: number, endAt: number): Promise<number> {
  let made = 0
  for (; performance.now() < endAt; made++) await oneConnection(port)
  return made
}

function oneConnection(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: HOST, port, noDelay: true })
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.resume()
    socket.write(HELLO)
  })
}

const HOST = '127.0.0.1'
const [DOWNLOAD, REQUEST, CONNECTION] = [1, 2, 3]
const REQUEST_BYTES = 64
const HELLO = Buffer.alloc(REQUEST_BYTES, CONNECTION)
const stream = {
  tls: 'off',
  proxyProtocol: false,
  acceptProxyProtocol: [],
  connectTimeoutMs: 2000,
  idleTimeoutMs: 3_600_000,
  connectionsMax: 10_000,
  drainTimeoutMs: 30_000,
} as const

process.on('message', (question: Question) => {
  if (question.type === 'work') {
    void work(question.port, question.work)
    return
  }
  const { user, system } = process.cpuUsage()
  say({ type: 'cpu', microseconds: user + system })
})
process.on('disconnect', () => process.exit())

const [role, upstreamPort] = [process.argv[2] as ProcessRole, Number(process.argv[3])]
if (role === 'upstream') serveUpstream()
else if (role === 'bare') serveBare(upstreamPort)
else if (role === 'weir') await serveWeir(upstreamPort)
else say({ type: 'ready', port: 0 })
