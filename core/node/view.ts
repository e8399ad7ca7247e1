/** What operators see of a node: plain, sorted, ready to print or to send as JSON. */
import type { Instant } from '../machine.ts'
import type { Purpose } from '../publish/bindings.ts'
import type { Claim, ClaimId, Owner } from '../publish/claim.ts'
import type { SocketId } from '../publish/events.ts'
import { describeConflict } from '../publish/ledger.ts'
import type { LedgerCounters, SocketState, SocketView } from '../publish/view.ts'
import type { ListenerId, ReplicaId } from '../services/identity.ts'
import { namespaceOf } from '../services/port-mappings.ts'
import { isLeaving, isRunning } from '../services/replica-life.ts'
import type { EndpointSpec } from '../spec/deployment.ts'
import type { SocketUse } from './commands.ts'
import { checkProblem, failsCheck, isSound } from './service/checks.ts'
import { doorsOf, tlsOf } from './service/doors.ts'
import { listenersOf } from './service/listeners.ts'
import { addressOf, CHALLENGES_OWNER, METRICS_OWNER } from './service/sockets.ts'
import { detailOf } from './service/standing.ts'
import type { Listener, NodeState, Replica, Service } from './state.ts'

export interface NodeView {
  readonly phase: 'reaping' | 'running' | 'draining' | 'stopped'
  readonly deployments: readonly DeploymentView[]
  readonly services: readonly ServiceView[]
  readonly replicas: readonly ReplicaView[]
  readonly listeners: readonly ListenerView[]
  /** Where requests go, by port, host and path. */
  readonly routes: readonly RouteView[]
  readonly node: readonly NodeSocketView[]
  /** What became of claims and sockets, since the node began. */
  readonly ports: Readonly<LedgerCounters>
  /** While it shuts down: when old work is cut. */
  readonly drain?: { readonly remainsMs: number }
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
  /**
   * `http://127.0.0.1:8080/api` in file order, then mappings: `tcp://0.0.0.0:49153`. One with a host
   * has that for its name: `https://a.example.com:8443`, `tls://a.example.com:5432`.
   */
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
  | 'asleep' // none is wanted until somebody comes
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

/** One for each place a listener is reached at, or is to be. */
export interface ListenerView {
  readonly deployment: string
  readonly service: string
  /** A mapping is `mapping 6379 tcp`. */
  readonly endpoint: string
  readonly protocol: string
  readonly listener: ListenerId
  readonly purpose: Purpose
  /** Clients come by TLS, whoever ends it. */
  readonly tls: boolean
  /** The name they have to ask for; absent: none, or whatever no other listener has. */
  readonly serverName?: string
  /** `127.0.0.1:8080`, `[::1]:8080`; port 0 until the kernel picked one; empty while draining. */
  readonly address: string
  readonly state: ListenerViewState
  /** Replicas in its set. */
  readonly backends: number
  /** Which they are, and whether each takes traffic or fails a check. */
  readonly members: readonly { readonly replica: ReplicaId; readonly isUp: boolean }[]
  /** How one is chosen: `round_robin`. */
  readonly strategy: EndpointSpec['balance']['strategy']
  readonly detail: string
}

export type ListenerViewState =
  | 'idle' // nobody is behind it, so nothing listens
  | 'waiting' // for another one to let go of the port
  | 'opening'
  | 'listening' // nobody is behind it yet
  | 'serving'
  | 'retrying'
  | 'absent' // this machine lacks the address, and nobody minds
  | 'closing'
  | 'draining' // nothing leads to it any more; what came in goes on

/** One for each place requests for a host and path come in at. */
export interface RouteView {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly listener: ListenerId
  /** `0.0.0.0:8080`. */
  readonly address: string
  readonly port: number
  /** Empty: any. */
  readonly host: string
  readonly path: string
  readonly tls: boolean
  /** Requests are sent to https at this port. */
  readonly redirectTo?: number
  readonly stripPrefix: boolean
  /** Replicas in its set, and those of them that are up. */
  readonly backends: number
  readonly ready: number
  readonly state: RouteState
}

export type RouteState =
  | 'serving'
  | 'no-backend' // requests are refused
  | 'asleep' // a request wakes the service
  | 'waking' // requests wait for it

/** What the node itself listens on. */
export interface NodeSocketView {
  readonly purpose: 'metrics' | 'challenges'
  readonly address: string
  readonly state: ListenerViewState
  readonly detail: string
}

/** O(everything): for people and tools that ask, never on the way of an event. */
export function viewOf(state: NodeState, now: Instant): NodeView {
  const services = [...state.services.values()]
  const replicas = [...state.replicas.values()]
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
    listeners: services
      .flatMap((each) => viewListeners(state, each))
      .sort((a, b) => byService(a, b) || compare(a.endpoint, b.endpoint)),
    routes: [...state.uses]
      .flatMap(([socket, use]) => viewRoutes(state, socket, use))
      .sort((a, b) => a.port - b.port || compare(a.host, b.host) || compare(a.path, b.path)),
    node: [
      ...viewOwn(state, METRICS_OWNER, 'metrics'),
      ...viewOwn(state, CHALLENGES_OWNER, 'challenges'),
    ],
    ports: { ...state.ledger.counters },
    ...(state.phase === 'draining'
      ? { drain: { remainsMs: Math.max(0, state.drainEndsAt - now) } }
      : {}),
  }
}

const viewOwn = (
  { ledger }: NodeState,
  owner: Owner,
  purpose: NodeSocketView['purpose'],
): NodeSocketView[] =>
  ledger.socketsOf(owner).map((socket) => ({
    purpose,
    address: addressOf(socket),
    // Who is asked is always there.
    state: socket.state === 'listening' ? 'serving' : viewState(socket),
    detail: socket.reason,
  }))

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
    endpoints: isIdleKind ? [] : urlsOf(state, service),
    restarts: service.restarts,
  }
}

/** Where to reach each: at its first address, which is the one that people type. */
function urlsOf(state: NodeState, service: Service): readonly string[] {
  const sockets = socketsByClaim(state, service)
  const urls = new Map<string, string>()
  for (const { endpoint, claims } of doorsOf(service.spec, state.internal)) {
    const [first] = claims.values()
    if (first === undefined) continue
    const isMapping = first.purpose === 'mapping'
    const key = isMapping ? first.claim.id : endpoint.name
    if (urls.has(key)) continue
    urls.set(key, urlOf(endpoint, isMapping, placeOf(first.claim, sockets.get(first.claim.id))))
  }
  return [...urls.values()]
}

/** One that is asked for by a name is reached by that name alone; a wildcard stands for many. */
function urlOf(
  { protocol, host, stream, path }: EndpointSpec,
  isMapping: boolean,
  place: Pick<Claim, 'host' | 'port'>,
): string {
  const isTls = stream.tls !== 'off'
  const plain = isMapping && protocol !== 'https' ? namespaceOf({ protocol }) : SCHEMES[protocol]
  const scheme = isTls && protocol === 'tcp' ? 'tls' : plain
  const isNamed = host !== undefined && (isTls || protocol !== 'tcp')
  const address = isNamed ? `${host}:${place.port}` : addressOf(place)
  return `${scheme}://${address}${path === '/' ? '' : path}`
}

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

function viewListeners(state: NodeState, service: Service): ListenerView[] {
  const sockets = socketsByClaim(state, service)
  return listenersOf({ state }, service).flatMap((listener): ListenerView[] => {
    const { id, endpoint, sent, down } = listener
    const { deployment, name } = service
    const members = [...sent.keys()].map((replica) => ({ replica, isUp: !down.has(replica) }))
    const { protocol } = endpoint
    const tls = tlsOf(endpoint) !== 'off'
    const asked = tls && endpoint.host !== undefined ? { serverName: endpoint.host } : {}
    const { strategy } = endpoint.balance
    const at = { deployment, service: name, endpoint: endpoint.name }
    const row = { ...at, protocol, listener: id, tls, strategy }
    const rest = { ...asked, backends: sent.size, members }
    const open = [...listener.claims.values()].map(({ claim, purpose }): ListenerView => {
      const socket = sockets.get(claim.id)
      const address = addressOf(placeOf(claim, socket))
      return {
        ...row,
        purpose,
        address,
        ...rest,
        ...standingOf(state, service, claim, socket, sent.size),
      }
    })
    return [...open, ...viewEnding(state, listener, { ...row, ...rest, detail: '' })]
  })
}

function viewRoutes(state: NodeState, id: SocketId, use: SocketUse): RouteView[] {
  const socket = state.ledger.socket(id)
  if (socket?.state !== 'listening' || use.kind !== 'tcp') return []
  return use.routes.flatMap((doorway) => {
    if (!('http' in doorway)) return []
    return doorway.http.flatMap(({ listener: id, host = '', path, redirectTo }): RouteView[] => {
      const listener = state.listeners.get(id)
      const service = listener && state.services.get(listener.service)
      if (listener === undefined || service === undefined) return []
      const { endpoint, sent, down } = listener
      return [
        {
          deployment: service.deployment,
          service: service.name,
          endpoint: endpoint.name,
          listener: id,
          address: addressOf(socket),
          port: socket.port,
          host,
          path,
          tls: doorway.tls !== 'off',
          ...(redirectTo === undefined ? {} : { redirectTo }),
          stripPrefix: endpoint.http?.stripPrefix ?? false,
          backends: sent.size,
          ready: sent.size - down.size,
          state: routeState(service, listener),
        },
      ]
    })
  })
}

function routeState(service: Service, { sent, down, endpoint, whenEmpty }: Listener): RouteState {
  if (sent.size > (endpoint.balance.failOpen ? 0 : down.size)) return 'serving'
  if (service.isWaking) return 'waking'
  return whenEmpty === 'hold' ? 'asleep' : 'no-backend'
}

/** One that no socket is to lead to any more, while there is something of it. */
function viewEnding(
  { ledger }: NodeState,
  { state, purpose, sockets, holding }: Listener,
  row: Omit<ListenerView, 'purpose' | 'address' | 'state'>,
): ListenerView[] {
  if (state === 'closing') {
    return [...sockets].flatMap((id) => {
      const socket = ledger.socket(id)
      if (socket === undefined) return []
      return [{ ...row, purpose, address: addressOf(socket), state: 'closing' }]
    })
  }
  if (state === 'open' || holding.size === 0) return []
  return [{ ...row, purpose, address: '', backends: holding.size, state: 'draining' }]
}

/** Of claims that were granted; undefined for one that nothing listens for now. */
function socketsByClaim(
  { ledger }: NodeState,
  { key }: Service,
): ReadonlyMap<ClaimId, SocketView | undefined> {
  return new Map(
    ledger
      .claimsOf(key)
      .map(({ claim, socket }) => [
        claim.id,
        socket === undefined ? undefined : ledger.socket(socket),
      ]),
  )
}

/** One that rides on a wider socket keeps its own address. */
const placeOf = (claim: Claim, socket: SocketView | undefined): Pick<Claim, 'host' | 'port'> => ({
  host: claim.host,
  port: claim.port === 0 ? (socket?.port ?? 0) : claim.port,
})

function standingOf(
  { phase }: NodeState,
  { conflicts }: Service,
  { namespace, host, port }: Claim,
  socket: SocketView | undefined,
  backends: number,
): Pick<ListenerView, 'state' | 'detail'> {
  if (socket !== undefined) {
    const state = viewState(socket)
    // It may be another one's backend that the port is served by.
    const isEmpty = state === 'serving' && backends === 0
    return { state: isEmpty ? 'listening' : state, detail: socket.reason }
  }
  const conflict = conflicts.find(
    (each) => each.namespace === namespace && each.host === host && each.port === port,
  )
  if (conflict !== undefined) return { state: 'waiting', detail: describeConflict(conflict) }
  const detail = phase === 'draining' ? 'takes nothing new' : ''
  return { state: 'idle', detail }
}

const viewState = ({ state, isServing }: SocketView): ListenerViewState =>
  isServing ? 'serving' : VIEW_STATES[state]

const VIEW_STATES: Readonly<Record<SocketState, ListenerViewState>> = {
  waiting: 'waiting',
  binding: 'opening',
  listening: 'listening',
  retrying: 'retrying',
  absent: 'absent',
  releasing: 'closing',
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const byService = (
  a: { deployment: string; service: string },
  b: { deployment: string; service: string },
): number => compare(a.deployment, b.deployment) || compare(a.service, b.service)
