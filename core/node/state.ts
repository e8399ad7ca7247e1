/**
 * What a node knows. Plain records, so that a snapshot is a copy; every field that holds an
 * instant ends in `At`, which is how a snapshot finds them.
 */
import type { Attempt, Instant } from '../machine.ts'
import type { NetworkPolicy } from '../policy/policy.ts'
import type { Purpose } from '../publish/bindings.ts'
import type { ClaimId, PortConflict, PublishedBackend } from '../publish/claim.ts'
import type { SocketId } from '../publish/events.ts'
import { type PortRange, REPLICA_PORTS, ReplicaPorts } from '../publish/host/replica-ports.ts'
import { PublishLedger } from '../publish/ledger.ts'
import type { EndpointCheckName } from '../services/endpoint-checks.ts'
import type { HealthMonitor } from '../services/health.ts'
import type { ListenerId, ReplicaId, ServiceKey } from '../services/identity.ts'
import type { MappingTarget, OwnPort } from '../services/port-mappings.ts'
import type { ReplicaState } from '../services/replica-life.ts'
import type { DependencySpec, EndpointSpec, ServiceSpec } from '../spec/deployment.ts'
import { DeadlineQueue } from '../time/deadline-queue.ts'
import type { NodeCommand, SocketUse } from './commands.ts'
import type { RequestId } from './events.ts'
import type { DoorClaim } from './service/doors.ts'
import type { ServiceState } from './view.ts'

export interface NodeConfig {
  /** Spreads the ports of nodes that share a machine. */
  readonly seed: number
  /** Ports for replicas; both ends inclusive. */
  readonly replicaPorts: PortRange
  /** How long leftovers of an earlier life get to stop before they are killed. */
  readonly leftoverGraceMs: number
  /** Most services on this node; a deployment that would exceed it is refused. */
  readonly servicesMax: number
  /** Most replicas of one service. */
  readonly replicasMax: number
  /** How long a shutdown waits for old work before it is cut. */
  readonly drainTimeoutMs: number
  /** Where metrics are served; null: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | null
  /** Where challenges of ACME are answered (RFC 8555, 8.3), on all addresses; null: nowhere. */
  readonly challengePort: number | null
  /** Who may reach what. */
  readonly policies: readonly NetworkPolicy[]
}

export const defaultNodeConfig = (seed: number): NodeConfig => ({
  seed,
  replicaPorts: REPLICA_PORTS,
  leftoverGraceMs: 5_000,
  servicesMax: 10_000,
  replicasMax: 10_000,
  drainTimeoutMs: 30_000,
  metrics: null,
  challengePort: null,
  policies: [],
})

export type NodePhase = 'new' | 'reaping' | 'running' | 'draining' | 'stopped'

export interface NodeState {
  readonly config: NodeConfig
  phase: NodePhase
  /** The last token, incarnation and listener generation given out. */
  attempts: Attempt
  incarnations: number
  generations: number
  /** The question about leftovers that is not answered yet; 0 is none. */
  reapAttempt: Attempt
  readonly deployments: Map<string, DeploymentRecord>
  readonly services: Map<ServiceKey, Service>
  readonly replicas: Map<ReplicaId, Replica>
  readonly listeners: Map<ListenerId, Listener>
  readonly timers: DeadlineQueue<TimerKey>
  readonly ports: ReplicaPorts
  ledger: PublishLedger
  /** What was last said of each socket; until it is freed. */
  readonly uses: Map<SocketId, SocketUse>
  /** Services that were not granted all they ask for: tried again whenever a port is let go of. */
  readonly deferred: Set<ServiceKey>
  /** This node's addresses in the internal network. */
  internal: readonly string[]
  readonly shutdownRequests: RequestId[]
  /** When a shutdown cuts what is left. */
  drainEndsAt: Instant
  /** To plan, to judge and to send before the step ends. */
  readonly toPlan: Set<ServiceKey>
  readonly toJudge: Set<ServiceKey>
  readonly toApply: Set<ListenerId>
  /** Deployments to judge once all of their services are. */
  readonly toSettle: Set<string>
}

/**
 * Whose timer it is: a replica's state, its health, one of its endpoints' checks, a service's plan
 * or wait, a listener's drain, a service's refusing after a wake-up that failed, its sleep, the ledger, the end of a shutdown's patience.
 */
export type TimerKey =
  | `replica ${ReplicaId}`
  | `health ${ReplicaId}`
  | `check ${ReplicaId} ${EndpointCheckName}`
  | `plan ${ServiceKey}`
  | `wait ${ServiceKey}`
  | `listener ${ListenerId}`
  | `wake ${ServiceKey}`
  | `sleep ${ServiceKey}`
  | 'ledger'
  | 'shutdown'

export interface DeploymentRecord {
  readonly name: string
  outcome: 'converging' | 'ready' | 'failed' | 'removing'
  readonly services: Set<ServiceKey>
  /** Requests to remove it, answered when all of it is gone. */
  readonly removeRequests: RequestId[]
}

export interface Service {
  readonly key: ServiceKey
  readonly deployment: string
  readonly name: string
  spec: ServiceSpec
  directory: string
  /** Rises when replicas that run must be replaced. */
  revision: number
  wanted: number
  stage: ServiceStage
  /** Why it was halted. */
  haltReason: string
  dependencies: Dependency[]
  readonly slots: Map<number, Slot>
  readonly listeners: Set<ListenerId>
  /** What it asked the ledger for and was not granted. */
  conflicts: readonly PortConflict[]
  /** Services of the same deployment that depend on it: they are stopped before it is. */
  dependents: Set<ServiceKey>
  state: ServiceState
  /** What dependents and the deployment see of it; when it changes they are looked at. */
  standing: string
  /** It sleeps no more: woken because somebody wants it, and nothing of it took part yet. */
  isWaking: boolean
  /** In a row, and why the last one failed; empty when it did not. */
  wakeFailures: number
  wakeFailure: string
  /** Times it went to sleep: who waits for it says so anew after each. */
  naps: number
  /** Since when any of it is wanted; of one that sleeps, of its last time awake. */
  wokenAt: Instant
  /** People said how many: it does not go to sleep by itself until the next deploy. */
  isPinned: boolean
  /** Replicas that are to be replaced, or stand-ins for them, were there at the last plan. */
  updating: boolean
  /** Replicas by what they count as; kept by `enter` in `service/replicas.ts`. */
  running: number
  ready: number
  /** Ready ones that pass every check of their endpoints. */
  sound: number
  /** Sound ones of the current revision in the slots 1..wanted: what the file asks for. */
  current: number
  /** Ready ones of an older revision: they still take traffic. */
  outdated: number
  /** Numbers of slots whose last replica failed, or whose replica fails a check. */
  readonly failing: Set<number>
  restarts: number
}

export type ServiceStage =
  | 'held' // leftovers are being cleared away
  | 'waiting' // for its dependencies
  | 'running'
  | 'halted' // gave up until the next deploy or restart
  | 'leaving' // to be stopped for good, dependents first

export interface Dependency {
  readonly spec: DependencySpec
  readonly on: ServiceKey
  readonly giveUpAt: Instant
  state: 'pending' | 'met' | 'given-up'
}

/** The place of a replica in its service; it outlives the replica. */
export interface Slot {
  readonly number: number
  role: string
  /** The replica in it; empty when there is none. */
  replica: ReplicaId | ''
  /** Ends by itself that still matter, oldest first. */
  crashesAt: Instant[]
  /** Not to be started again before. */
  startAt: Instant
  isolated: boolean
  /** It was filled above what is wanted, to stand in during an update. */
  standsIn: boolean
  restarts: number
  /** How its last replica ended; empty before the first. */
  lastEnd: string
}

export interface Replica {
  readonly id: ReplicaId
  readonly service: ServiceKey
  readonly number: number
  readonly role: string
  readonly revision: number
  state: ReplicaState
  /** Since when it is in this state. */
  enteredAt: Instant
  startedAt: Instant
  /** The question that is not answered yet; 0 is none. */
  attempt: Attempt
  readonly ports: Readonly<Record<string, number>>
  /** Those that the program chose itself, by the file it was started with. */
  readonly ownPorts: readonly OwnPort[]
  host: string
  /** 0 before the start. */
  pid: number
  monitor: HealthMonitor | undefined
  /** Checks of its endpoints, while it is watched. */
  readonly checks: Map<EndpointCheckName, HealthMonitor>
  /** The highest attempt of a check that is there no more: the next begins after it. */
  checkAttempts: Attempt
  /** Why it was asked to leave; empty while it is wanted. */
  leaving: string
  /** Why it failed; set once. */
  failure: string
  exited: boolean
}

export interface Listener {
  readonly id: ListenerId
  readonly service: ServiceKey
  /** What makes it another listener when it differs. */
  readonly door: string
  /** A mapping behaves as one, too. */
  endpoint: EndpointSpec
  /** As they were sent, in canonical JSON. */
  settings: string
  /** Where replicas take what comes. */
  target: MappingTarget
  /** Of the first place it was to be reached at. */
  readonly purpose: Purpose
  /** What it asks the ledger for; none once it is closing. */
  claims: ReadonlyMap<ClaimId, DoorClaim>
  /** `closing`: sockets lead to it still. `closed`: what came in goes on. */
  state: 'open' | 'closing' | 'closed'
  /** What was said last: what becomes of those who come while nobody is behind it. */
  whenEmpty: 'refuse' | 'hold'
  /** Of its service, when that was said. */
  naps: number
  /** Nothing goes through it, as it said last. */
  isIdle: boolean
  /** Another one took its place: what is on it is never cut for that. */
  isReplaced: boolean
  /** Those that lead to it. */
  readonly sockets: Set<SocketId>
  /** The set sent last, and the one known to hold. A set is sent when the one before it holds. */
  sentVersion: number
  appliedVersion: number
  sent: Map<ReplicaId, PublishedBackend>
  /** Those of the set that are down: they run, and fail a check. */
  down: Set<ReplicaId>
  /**
   * Backends the listener may still have connections to, each with the version of the set it is
   * missing in; 0 while it is in.
   */
  readonly holding: Map<ReplicaId, number>
}

/** One step: the state, the time, and where commands go. */
export interface Step {
  readonly state: NodeState
  readonly now: Instant
  readonly out: NodeCommand[]
}

export const newNodeState = (config: NodeConfig): NodeState => ({
  config,
  phase: 'new',
  attempts: 0,
  incarnations: 0,
  generations: 0,
  reapAttempt: 0,
  deployments: new Map(),
  services: new Map(),
  replicas: new Map(),
  listeners: new Map(),
  timers: new DeadlineQueue<TimerKey>(),
  ports: new ReplicaPorts(config.replicaPorts, config.seed),
  ledger: new PublishLedger(),
  uses: new Map(),
  deferred: new Set(),
  internal: [],
  shutdownRequests: [],
  drainEndsAt: 0,
  toPlan: new Set(),
  toJudge: new Set(),
  toApply: new Set(),
  toSettle: new Set(),
})

/** The replica in a slot, if there is one. */
export const replicaOf = ({ replicas }: NodeState, slot: Slot): Replica | undefined =>
  slot.replica === '' ? undefined : replicas.get(slot.replica)

export function nextAttempt(state: NodeState): Attempt {
  state.attempts += 1
  return state.attempts
}
