/**
 * A node's state as plain JSON and back. Instants die with the process, so a snapshot holds what
 * remains of them: every field whose name ends in `At` is shifted by `now`, on the way out and on
 * the way in. Lists keep the order in which things came to be, because that order decides which
 * command comes first.
 */
import { assert, type Instant } from '../machine.ts'
import type { SocketId } from '../publish/events.ts'
import type { ReplicaPortsSnapshot } from '../publish/host/replica-ports.ts'
import { PublishLedger } from '../publish/ledger.ts'
import type { LedgerSnapshot } from '../publish/snapshot.ts'
import type { EndpointCheckName } from '../services/endpoint-checks.ts'
import { HealthMonitor, type HealthState } from '../services/health.ts'
import type { ReplicaId, ServiceKey } from '../services/identity.ts'
import type { SocketUse } from './commands.ts'
import type { DoorClaim } from './service/doors.ts'
import {
  type DeploymentRecord,
  type Listener,
  type NodeConfig,
  type NodePhase,
  type NodeState,
  newNodeState,
  type Replica,
  type Service,
  type TimerKey,
} from './state.ts'

/** Sets become lists, maps lists of their values. */
type Flat<Record> = {
  [Key in keyof Record]: Record[Key] extends ReadonlyMap<infer _, infer Member>
    ? Member[]
    : Record[Key] extends ReadonlySet<infer Member>
      ? Member[]
      : Record[Key]
}

export interface NodeSnapshot {
  readonly version: 4
  readonly config: NodeConfig
  readonly phase: NodePhase
  readonly counters: {
    readonly attempts: number
    readonly incarnations: number
    readonly generations: number
    readonly reapAttempt: number
  }
  readonly deployments: readonly Flat<DeploymentRecord>[]
  readonly services: readonly Flat<Service>[]
  readonly replicas: readonly (Omit<Replica, 'monitor' | 'checks'> & {
    readonly monitor: HealthState | null
    readonly checks: readonly (readonly [EndpointCheckName, HealthState])[]
  })[]
  readonly listeners: readonly (Omit<Flat<Listener>, 'holding' | 'claims'> & {
    readonly claims: readonly DoorClaim[]
    readonly holding: readonly (readonly [ReplicaId, number])[]
  })[]
  readonly timers: readonly (readonly [TimerKey, remainsMs: number])[]
  readonly ports: ReplicaPortsSnapshot
  readonly ledger: LedgerSnapshot
  readonly uses: readonly (readonly [SocketId, SocketUse])[]
  readonly deferred: readonly ServiceKey[]
  readonly internal: readonly string[]
  readonly shutdownRequests: readonly number[]
  /** 0: no shutdown. */
  readonly drainRemainsMs: number
}

export function snapshotOf(state: NodeState, now: Instant): NodeSnapshot {
  assert(Number.isInteger(now), `instants are whole milliseconds, not ${now}`)
  const { attempts, incarnations, generations, reapAttempt } = state
  const flat = <Value extends object>(record: Value) => shifted(flattened(record), -now)
  return {
    version: 4,
    config: state.config,
    phase: state.phase,
    counters: { attempts, incarnations, generations, reapAttempt },
    deployments: [...state.deployments.values()].map(flat),
    services: [...state.services.values()].map((service) => ({
      ...flat(service),
      slots: [...service.slots.values()].map((each) => shifted(each, -now)),
      dependencies: service.dependencies.map((each) => shifted(each, -now)),
    })),
    replicas: [...state.replicas.values()].map((replica) => ({
      ...shifted(replica, -now),
      monitor: replica.monitor === undefined ? null : shifted(replica.monitor.state, -now),
      checks: [...replica.checks].map(
        ([name, { state: check }]) => [name, shifted(check, -now)] as const,
      ),
    })),
    listeners: [...state.listeners.values()].map((each) => ({
      ...flat(each),
      holding: [...each.holding],
    })),
    timers: state.timers.entries().map(([key, at]) => [key, at - now]),
    ports: state.ports.snapshot(now),
    ledger: state.ledger.snapshot(now),
    uses: [...state.uses],
    deferred: [...state.deferred],
    internal: state.internal,
    shutdownRequests: [...state.shutdownRequests],
    drainRemainsMs: state.phase === 'draining' ? state.drainEndsAt - now : 0,
  }
}

export function restoreState(snapshot: NodeSnapshot, now: Instant): NodeState {
  assert(snapshot.version === 4, `snapshot version ${snapshot.version} is not known here`)
  const state = newNodeState(snapshot.config)
  const { phase, counters } = snapshot
  Object.assign(state, { phase, ...counters })
  for (const each of snapshot.deployments) {
    const { services, removeRequests } = each
    const sets = { services: new Set(services), removeRequests: [...removeRequests] }
    state.deployments.set(each.name, { ...each, ...sets })
  }
  for (const each of snapshot.services) state.services.set(each.key, restoreService(each, now))
  for (const each of snapshot.replicas) {
    const monitor =
      each.monitor === null ? undefined : new HealthMonitor(shifted(each.monitor, now))
    const checks = each.checks.map(
      ([name, check]) => [name, new HealthMonitor(shifted(check, now))] as const,
    )
    state.replicas.set(each.id, { ...shifted(each, now), monitor, checks: new Map(checks) })
  }
  for (const each of snapshot.listeners) {
    const sets = {
      claims: new Map(each.claims.map((claim) => [claim.claim.id, claim])),
      sockets: new Set(each.sockets),
      sent: new Map(each.sent.map((backend) => [backend.id as ReplicaId, backend])),
      down: new Set(each.down),
      holding: new Map(each.holding),
    }
    state.listeners.set(each.id, { ...each, ...sets })
  }
  for (const [key, remainsMs] of snapshot.timers) state.timers.set(key, now + remainsMs)
  state.ports.restore(snapshot.ports, now)
  state.ledger = PublishLedger.restore(snapshot.ledger, now, { sockets: 'kept' })
  for (const [socket, use] of snapshot.uses) state.uses.set(socket, use)
  for (const key of snapshot.deferred) state.deferred.add(key)
  state.internal = snapshot.internal
  state.drainEndsAt = snapshot.phase === 'draining' ? now + snapshot.drainRemainsMs : 0
  state.shutdownRequests.push(...snapshot.shutdownRequests)
  return state
}

const restoreService = (flat: Flat<Service>, now: Instant): Service => ({
  ...shifted(flat, now),
  slots: new Map(flat.slots.map((each) => [each.number, shifted(each, now)])),
  dependencies: flat.dependencies.map((each) => shifted(each, now)),
  listeners: new Set(flat.listeners),
  dependents: new Set(flat.dependents),
  failing: new Set(flat.failing),
})

function flattened<Value extends object>(record: Value): Flat<Value> {
  const entries = Object.entries(record).map(([name, value]) => [
    name,
    value instanceof Set || value instanceof Map ? [...value.values()] : value,
  ])
  return Object.fromEntries(entries) as Flat<Value>
}

/** A copy with its own instants (and lists of them) moved by `byMs`; deeper records are not looked at. */
function shifted<Value extends object>(record: Value, byMs: number): Value {
  const copy = { ...record } as Record<string, unknown>
  for (const [name, value] of Object.entries(record)) {
    if (!name.endsWith('At')) continue
    copy[name] = Array.isArray(value) ? value.map((at) => Number(at) + byMs) : Number(value) + byMs
  }
  return copy as Value
}
