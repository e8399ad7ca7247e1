/** The listeners of a node with so many routes: `node routes-process.ts PORT BACKEND ROUTES`. */
import { Effect, Scope } from 'effect'
import { listenerId, replicaId, serviceKey } from '../../../core/services/identity.ts'
import { plainHttp } from '../../../core/spec/plain-endpoint.ts'
import { makeListeners } from '../../../shells/node/listener/listeners.ts'

const [port = 0, backendPort = 0, count = 1] = process.argv.slice(2).map(Number)
const host = '127.0.0.1'

const listeners = await Effect.runPromise(
  Scope.provide(
    makeListeners({
      report: (event) => {
        if (event.type === 'socket-failed') throw new Error(event.reason)
      },
    }),
    Scope.makeUnsafe(), // for as long as this process lives
  ),
)
const listener = listenerId(serviceKey('bench', 'web'), 'http', 1)
const id = replicaId({ deployment: 'bench', service: 'web', number: 1, incarnation: 1 })
const balance = { strategy: 'round_robin', failOpen: true } as const
const backends = [{ id, host, port: backendPort }]
listeners.apply({
  type: 'open-listener',
  listener,
  protocol: 'http',
  balance,
  http: plainHttp,
  access: [],
  idleAfterMs: 0,
})
listeners.apply({ type: 'apply-backends', listener, version: 1, backends, whenEmpty: 'refuse' })
// Half of them by host, half by path, the asked for last: `last.example/some/path`.
const http = Array.from({ length: count }, (_, n) =>
  n === 0
    ? { listener, host: 'last.example', path: '/some/path' }
    : n % 2 === 0
      ? { listener, host: `site-${n}.example`, path: '/' }
      : { listener, host: 'last.example', path: `/part-${n}` },
)
const use = {
  kind: 'tcp',
  greetingsMax: 10_000,
  acceptProxyProtocol: [],
  routes: [
    { tls: 'off', http, headTimeoutMs: 10_000, headBytesMax: 32_768, idleTimeoutMs: 75_000 },
  ],
} as const
listeners.apply({ type: 'bind-socket', socket: 1, attempt: 1, host, port, use })
