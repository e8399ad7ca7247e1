/** The processes of the stream benchmark: `node processes.ts ROLE [UPSTREAM_PORT [CERTIFICATES]]`. */
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { Effect, Scope } from 'effect'
import { listenerId, replicaId, serviceKey } from '../../../core/services/identity.ts'
import { type ListenersOptions, makeListeners } from '../../../shells/node/listener/listeners.ts'
import { makeCertificates } from '../../../shells/node/tls/certificates.ts'
import { DOWNLOAD, type Done, HOST, REQUEST, type Work, work } from './clients.ts'

export type ProcessRole = 'upstream' | 'bare' | 'weir' | 'clients'

export type ProcessReport =
  // `tls`: the port where TLS ends, of a role that was given certificates
  | { readonly type: 'ready'; readonly plain: number; readonly tls?: number }
  | ({ readonly type: 'done' } & Done)

export interface Question {
  readonly port: number
  readonly work: Work
}

const say = (report: ProcessReport): void => {
  process.send?.(report)
}

function serveUpstream(): Promise<number> {
  const page = Buffer.alloc(1 << 18, 'x')
  return listen(
    createServer({ noDelay: true }, (socket) => {
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
    }),
  )
}

async function serveBare(upstream: number, certificates: string | undefined): Promise<void> {
  const pipe = (client: Socket): void => {
    const server = connect({ host: HOST, port: upstream, noDelay: true })
    client.on('error', () => server.destroy())
    server.on('error', () => client.destroy())
    client.pipe(server)
    server.pipe(client)
  }
  const plain = await listen(createServer({ noDelay: true }, pipe))
  if (certificates === undefined) return say({ type: 'ready', plain })
  const read = (ending: string): Buffer => readFileSync(join(certificates, `default.${ending}`))
  const secure = tls.createServer({ noDelay: true, cert: read('crt'), key: read('key') }, pipe)
  say({ type: 'ready', plain, tls: await listen(secure) })
}

async function serveWeir(upstream: number, certificates: string | undefined): Promise<void> {
  const ports: number[] = []
  const sockets = certificates === undefined ? PLAIN : [...PLAIN, 'terminate' as const]
  const report: ListenersOptions['report'] = (event) => {
    if (event.type === 'socket-failed') throw new Error(event.reason)
    if (event.type !== 'socket-bound') return
    ports[event.socket] = Number(event.address.split(':').at(-1))
    if (Object.keys(ports).length < sockets.length) return
    const [plain = 0, secure] = ports
    say({ type: 'ready', plain, ...(secure === undefined ? {} : { tls: secure }) })
  }
  const shown =
    certificates === undefined
      ? undefined
      : await acquire(
          makeCertificates({ directory: certificates, notice: (_, text) => fail(text) }),
        )
  const listeners = await acquire(
    makeListeners({ report, ...(shown === undefined ? {} : { certificates: shown }) }),
  )
  const service = serviceKey('bench', 'web')
  const listener = listenerId(service, 'tcp', 1)
  const id = replicaId({ deployment: 'bench', service: 'web', number: 1, incarnation: 1 })
  const backends = [{ id, host: HOST, port: upstream }]
  const balance = { strategy: 'round_robin', failOpen: true } as const
  const anybody = { access: [], idleAfterMs: 0 } as const
  listeners.apply({ type: 'open-listener', listener, protocol: 'tcp', balance, stream, ...anybody })
  listeners.apply({ type: 'apply-backends', listener, version: 1, backends, whenEmpty: 'refuse' })
  for (const [socket, tls] of sockets.entries()) {
    const tcp = { kind: 'tcp', greetingsMax: 10_000, acceptProxyProtocol: [] } as const
    const use = { ...tcp, routes: [{ listener, tls }] } as const
    listeners.apply({ type: 'bind-socket', socket, attempt: 1, host: HOST, port: 0, use })
  }
}

/** For as long as this process lives. */
const acquire = <Value, Failure>(
  resource: Effect.Effect<Value, Failure, Scope.Scope>,
): Promise<Value> => Effect.runPromise(Scope.provide(resource, Scope.makeUnsafe()))

const fail = (text: string): never => {
  throw new Error(text)
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve))
  return (server.address() as AddressInfo).port
}

const PLAIN = ['off'] as const
const stream = {
  tls: 'off',
  proxyProtocol: false,
  acceptProxyProtocol: [],
  connectTimeoutMs: 2000,
  idleTimeoutMs: 3_600_000,
  connectionsMax: 10_000,
  connectionsPerBackendMax: 0,
  drainTimeoutMs: 30_000,
  holdTimeoutMs: 30_000,
} as const

process.on('message', ({ port, work: wanted }: Question) => {
  void work(port, wanted).then((done) => say({ type: 'done', ...done }))
})
process.on('disconnect', () => process.exit())

const [role, upstreamPort, certificates] = process.argv.slice(2)
if (role === 'upstream') say({ type: 'ready', plain: await serveUpstream() })
else if (role === 'bare') await serveBare(Number(upstreamPort), certificates)
else if (role === 'weir') await serveWeir(Number(upstreamPort), certificates)
else say({ type: 'ready', plain: 0 })
