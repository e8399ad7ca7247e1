/** A node as the tests of the command see it: one deployment, two services, three replicas. */

import type {
  ListenerView,
  NodeView,
  ReplicaView,
  RouteView,
  ServiceView,
} from '../../../core/node/view.ts'
import { PublishLedger } from '../../../core/publish/ledger.ts'
import { type ListenerId, replicaId } from '../../../core/services/identity.ts'
import type { ListenerRow } from '../../../shells/node/operator/api.ts'
import type { BackendRow } from '../../../shells/node/operator/backends.ts'

export const service = (name: string, over: Partial<ServiceView> = {}): ServiceView => ({
  deployment: 'hello',
  service: name,
  state: 'healthy',
  detail: '',
  replicas: { wanted: 1, running: 1, ready: 1 },
  endpoints: [],
  restarts: 0,
  ...over,
})

export const replica = (
  name: string,
  number: number,
  over: Partial<ReplicaView> = {},
): ReplicaView => ({
  id: replicaId({ deployment: 'hello', service: name, number, incarnation: number }),
  deployment: 'hello',
  service: name,
  role: 'default',
  number,
  state: 'ready',
  health: 'healthy',
  pid: 100 + number,
  addresses: { http: `127.0.0.1:${20_000 + number}` },
  restarts: 0,
  ageMs: 65_000,
  detail: '',
  ...over,
})

export const listener = (name: string, over: Partial<ListenerView> = {}): ListenerView => ({
  deployment: 'hello',
  service: name,
  endpoint: 'http',
  protocol: 'http',
  listener: `hello/${name}/${over.endpoint ?? 'http'}` as ListenerId,
  purpose: 'internal',
  tls: false,
  strategy: 'round_robin',
  address: '127.0.0.1:8080',
  state: 'serving',
  backends: 2,
  members: [1, 2].map((number) => ({
    replica: replicaId({ deployment: 'hello', service: name, number, incarnation: number }),
    isUp: true,
  })),
  detail: '',
  ...over,
})

export const routeView = (name: string, over: Partial<RouteView> = {}): RouteView => ({
  deployment: 'hello',
  service: name,
  endpoint: 'http',
  listener: `hello/${name}/http` as ListenerId,
  address: '127.0.0.1:8080',
  port: 8080,
  host: '',
  path: '/',
  tls: false,
  stripPrefix: false,
  backends: 2,
  ready: 2,
  state: 'serving',
  ...over,
})

export const backendRow = (
  name: string,
  number: number,
  over: Partial<BackendRow> = {},
): BackendRow => ({
  deployment: 'hello',
  service: name,
  endpoint: 'http',
  protocol: 'http',
  listener: `hello/${name}/http` as ListenerId,
  strategy: 'round_robin',
  backend: replicaId({ deployment: 'hello', service: name, number, incarnation: number }),
  address: `127.0.0.1:${20_000 + number}`,
  state: 'ready',
  live: 0,
  idle: 0,
  failures: 0,
  ...over,
})

/** As the node lists it. */
export const listenerRow = (name: string, over: Partial<ListenerRow> = {}): ListenerRow => ({
  ...listener(name),
  connections: 0,
  requests: 0,
  flows: 0,
  ...over,
})

export const SAMPLE_VIEW: NodeView = {
  phase: 'running',
  deployments: [{ name: 'hello', state: 'ready' }],
  services: [
    service('db', { state: 'starting', detail: 'waiting for its first check' }),
    service('web', {
      replicas: { wanted: 2, running: 2, ready: 2 },
      endpoints: ['http://127.0.0.1:8080'],
      restarts: 3,
    }),
  ],
  replicas: [
    replica('db', 1, { state: 'checking', health: 'unknown' }),
    replica('web', 1),
    replica('web', 2, { restarts: 3, ageMs: 3_725_000 }),
  ],
  listeners: [listener('web')],
  routes: [],
  node: [],
  ports: new PublishLedger().counters,
}
