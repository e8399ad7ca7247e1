/** What operators see of a node: plain, sorted, ready to print or to send as JSON. */
import type { Instant } from '../machine.ts'
import type { ReplicaId } from '../services/identity.ts'
import { isLeaving, isRunning } from '../services/replica-life.ts'
import type { EndpointSpec } from '../spec/deployment.ts'
import { checkProblem, failsCheck, isSound } from './service/checks.ts'
import { detailOf } from './service/standing.ts'
import type { Listener, NodeState, Replica, Service } from './state.ts'

export interface NodeView {
  readonly phase: 'reaping' | 'running' | 'draining' | 'stopped'
  readonly deployments: readonly DeploymentView[]
  readonly services: readonly ServiceView[]
  readonly replicas: readonly ReplicaView[]
  readonly listeners: readonly ListenerView[]
}

export interface DeploymentView {
  readonly name: string
  readonly state: 'converging' | 'ready' | 'failed' | 'removing'
}

export interface ServiceView {
  readonly deployment: string
  readonly service: string
  readonly state: ServiceState
  /** Why it is not (yet) healthy, for people; empty when there is nothing to say. */
  readonly detail: string
  readonly replicas: { readonly wanted: number; readonly running: number; readonly ready: number }
  /** `http://127.0.0.1:8080` in file order. */
  readonly endpoints: readonly string[]
  /** Times a replica was started again after it ended by itself. */
  readonly restarts: number
}

export type ServiceState =
  | 'waiting' // for its dependencies
  | 'starting'
  | 'updating' // enough are ready, but not yet all of the newest version
  | 'healthy' // as many replicas are ready as are wanted, all of the newest version
  | 'degraded' // some are
  | 'unhealthy' // none is
  | 'idle' // none is wanted
  | 'failed' // gave up until the next deploy or restart
  | 'stopping'

export interface ReplicaView {
  /** Incarnation 0: its slot is empty for now. */
  readonly id: ReplicaId
  readonly deployment: string
  readonly service: string
  readonly role: string
  readonly number: number
  /** One of its life's states, or `waiting` to be started again, or `isolated`. */
  readonly state: string
  readonly health: 'unknown' | 'healthy' | 'unhealthy'
  readonly pid?: number
  /** `127.0.0.1:20001` for each endpoint. */
  readonly addresses: Readonly<Record<string, string>>
  readonly restarts: number
  /** Milliseconds since it was started, when it runs. */
  readonly ageMs?: number
  /** Milliseconds until it is made to leave the state it is in, when that state has a limit. */
  readonly limitMs?: number
  readonly detail: string
}

export interface ListenerView {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly protocol: string
  readonly address: string
  readonly state: 'opening' | 'listening' | 'retrying' | 'closing'
  /** Replicas in its set. */
  readonly backends: number
  /** Which they are, and whether each takes traffic or fails a check. */
  readonly members: readonly { readonly replica: ReplicaId; readonly isUp: boolean }[]
  readonly detail: string
}

/** O(everything): for people and tools that ask, never on the way of an event. */
export function viewOf(state: NodeState, now: Instant): NodeView {
  const services = [...state.services.values()]
  const replicas = [...state.replicas.values()]
  const listeners = [...state.listeners.values()].filter((each) => each.state !== 'closed')
  return {
    phase: state.phase === 'new' ? 'reaping' : state.phase,
    deployments: [...state.deployments.values()]
      .map(({ name, outcome }) => ({ name, state: outcome }))
      .sort((a, b) => compare(a.name, b.name)),
    services: services.map((each) => viewService(state, each)).sort(byService),
    replicas: replicas
      .map((each) => viewReplica(state, each, now))
      .concat(services.flatMap((each) => viewEmptySlots(each, now)))
      .sort((a, b) => byService(a, b) || a.number - b.number || compare(a.id, b.id)),
    listeners: listeners
      .map((each) => viewListener(state, each))
      .sort((a, b) => byService(a, b) || compare(a.endpoint, b.endpoint)),
  }
}

function viewService(state: NodeState, service: Service): ServiceView {
  const pending = service.dependencies.filter((each) => each.state === 'pending')
  const waits = pending.map(({ spec }) => `${spec.service} (${spec.condition})`).join(', ')
  const isIdleKind = service.spec.rtype !== 'service'
  const detail =
    service.stage === 'held'
      ? 'leftovers of an earlier run are being ended'
      : service.stage === 'waiting'
        ? `waits for ${waits}`
        : isIdleKind
          ? `${service.spec.rtype}: registered, not run`
          : detailOf({ state }, service)
  return {
    deployment: service.deployment,
    service: service.name,
    state: service.state,
    detail,
    replicas: { wanted: service.wanted, running: service.running, ready: service.ready },
    endpoints: isIdleKind ? [] : service.spec.endpoints.map(endpointUrl),
    restarts: service.restarts,
  }
}

const endpointUrl = ({ protocol, expose, port }: EndpointSpec): string =>
  `${SCHEMES[protocol]}://${expose === 'public' ? '0.0.0.0' : '127.0.0.1'}:${port}`

const SCHEMES: Readonly<Record<EndpointSpec['protocol'], string>> = {
  http: 'http',
  https: 'https',
  websocket: 'ws',
  tcp: 'tcp',
  udp: 'udp',
}

function viewReplica(state: NodeState, replica: Replica, now: Instant): ReplicaView {
  const service = state.services.get(replica.service)
  const slot = service?.slots.get(replica.number)
  const health = replica.monitor?.state
  const addresses: Record<string, string> = {}
  for (const [endpoint, port] of Object.entries(replica.ports)) {
    addresses[endpoint] = `${replica.host || '127.0.0.1'}:${port}`
  }
  const runs = isRunning(replica.state)
  const endsAt = isLeaving(replica.state) ? state.timers.at(`replica ${replica.id}`) : undefined
  return {
    id: replica.id,
    deployment: service?.deployment ?? '',
    service: service?.name ?? '',
    role: replica.role,
    number: replica.number,
    state: replica.state,
    health: healthOf(replica),
    ...(runs && replica.pid > 0 ? { pid: replica.pid, ageMs: now - replica.startedAt } : {}),
    addresses,
    restarts: slot?.restarts ?? 0,
    ...(endsAt === undefined ? {} : { limitMs: Math.max(0, endsAt - now) }),
    detail: replica.failure || replica.leaving || health?.reason || checkProblem(replica),
  }
}

/** Unhealthy when any check fails, its endpoints' included; healthy when all have passed. */
function healthOf(replica: Replica): ReplicaView['health'] {
  const main = replica.monitor?.state.verdict
  if (main === 'unhealthy' || failsCheck(replica)) return 'unhealthy'
  const isWell = (main ?? 'healthy') === 'healthy' && isSound(replica)
  return isWell && (main !== undefined || replica.state === 'ready') ? 'healthy' : 'unknown'
}

/** Replicas that ended and are to come again, or are kept out: they must not vanish from sight. */
function viewEmptySlots(service: Service, now: Instant): ReplicaView[] {
  if (service.stage !== 'running') return []
  const empty = [...service.slots.values()].filter((slot) => slot.replica === '')
  return empty.map((slot) => ({
    id: `${service.key}/${slot.number}#0` as ReplicaId,
    deployment: service.deployment,
    service: service.name,
    role: slot.role,
    number: slot.number,
    state: slot.isolated ? 'isolated' : 'waiting',
    health: 'unknown',
    addresses: {},
    restarts: slot.restarts,
    ...(slot.isolated ? {} : { limitMs: Math.max(0, slot.startAt - now) }),
    detail: slot.lastEnd,
  }))
}

function viewListener(state: NodeState, listener: Listener): ListenerView {
  const service = state.services.get(listener.service)
  return {
    deployment: service?.deployment ?? '',
    service: service?.name ?? '',
    endpoint: listener.endpoint.name,
    protocol: listener.endpoint.protocol,
    address: listener.address || `${listener.host}:${listener.endpoint.port}`,
    state: VIEW_STATES[listener.state],
    backends: listener.sent.size,
    members: [...listener.sent].map((replica) => ({
      replica,
      isUp: !listener.down.has(replica),
    })),
    detail: listener.state === 'blocked' ? 'waits until its port is let go of' : listener.reason,
  }
}

const VIEW_STATES: Readonly<Record<Listener['state'], ListenerView['state']>> = {
  blocked: 'opening',
  opening: 'opening',
  listening: 'listening',
  retrying: 'retrying',
  closing: 'closing',
  closed: 'closing',
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const byService = (
  a: { deployment: string; service: string },
  b: { deployment: string; service: string },
): number => compare(a.deployment, b.deployment) || compare(a.service, b.service)
