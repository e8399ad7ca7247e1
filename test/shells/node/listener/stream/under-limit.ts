/**
 * Listens before the upstream port it is given and prints where, then its notices and failures; a process of its own, so that it
 * can run out of descriptors.
 */
import { Effect, Scope } from 'effect'
import { listenerId, replicaId, serviceKey } from '../../../../../core/services/identity.ts'
import { makeListeners } from '../../../../../shells/node/listener/listeners.ts'

const host = '127.0.0.1'
const listener = listenerId(serviceKey('demo', 'web'), 'tcp', 1)
const id = replicaId({ deployment: 'demo', service: 'web', number: 1, incarnation: 1 })
const stream = {
  tls: 'off',
  proxyProtocol: false,
  acceptProxyProtocol: [],
  connectTimeoutMs: 5000,
  idleTimeoutMs: 600_000,
  connectionsMax: 10_000,
  connectionsPerBackendMax: 0,
  drainTimeoutMs: 30_000,
  holdTimeoutMs: 30_000,
} as const

const listeners = await Effect.runPromise(
  Scope.provide(
    makeListeners({
      report: (event) => {
        if (event.type === 'socket-bound') console.log(event.address.split(':').at(-1))
        if (event.type === 'backend-failed') console.log(event.type)
      },
      notice: (text) => console.log(text),
    }),
    Scope.makeUnsafe(),
  ),
)
const backends = [{ id, host, port: Number(process.argv[2]) }]
const balance = { strategy: 'round_robin', failOpen: true } as const
const anybody = { access: [], idleAfterMs: 0 } as const
const tcp = { kind: 'tcp', greetingsMax: 10_000, acceptProxyProtocol: [] } as const
const use = { ...tcp, routes: [{ listener, tls: 'off' }] } as const
listeners.apply({ type: 'open-listener', listener, protocol: 'tcp', balance, stream, ...anybody })
listeners.apply({ type: 'apply-backends', listener, version: 1, backends, whenEmpty: 'refuse' })
listeners.apply({ type: 'bind-socket', socket: 1, attempt: 1, host, port: 0, use })
