/**
 * What this life of the node was told and has ordered, thing by thing. It is bookkeeping of the
 * conversation, taken from the events and commands themselves; the checkers share it.
 */
import type { Attempt, Instant } from '../../core/machine.ts'
import type { NodeCommand, Program } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import type { ListenerId, ReplicaId, ServiceKey } from '../../core/services/identity.ts'
import { parseReplicaId, serviceKey } from '../../core/services/identity.ts'
import type { ServiceSpec } from '../../core/spec/deployment.ts'
import type { Change } from '../trace.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'

export interface ReplicaTold {
  readonly id: ReplicaId
  readonly service: ServiceKey
  readonly number: number
  readonly program: Program
  /** The question asked last; an answer with another token is stale. */
  attempt: Attempt
  /** With nothing to connect to and no check of its own, a program is well while it runs. */
  readonly isChecked: boolean
  created: boolean
  startOrdered: boolean
  started: boolean
  signalled: boolean
  exited: boolean
  removeOrdered: boolean
  removed: boolean
  /** A check has passed since its start. */
  passed: boolean
  /** Failed checks since the last pass. */
  failures: number
  /** The probe that waits for its answer; 0 is none. */
  probe: Attempt
}

export interface ListenerTold {
  readonly id: ListenerId
  readonly service: ServiceKey
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  attempt: Attempt
  state: 'opening' | 'open' | 'closing' | 'shut'
  /** Sets: ordered last, and known to hold. */
  version: number
  applied: number
  sentAt: Instant
  /** When the set before it was known to hold. */
  sent: ReadonlySet<ReplicaId>
  /** Backends that were taken out: since when they may have been leaving. */
  readonly leftAt: Map<ReplicaId, Instant>
  /** Sent once, and not drained since. */
  readonly holding: Set<ReplicaId>
  readonly cut: Set<ReplicaId>
}

export class Told implements Checker {
  readonly name = 'universal'
  readonly replicas = new Map<ReplicaId, ReplicaTold>()
  readonly listeners = new Map<ListenerId, ListenerTold>()
  aborting = false
  reaped = false

  onChange(change: Change): void {
    if (change.type !== 'node-booted') return
    this.replicas.clear()
    this.listeners.clear()
    this.aborting = false
    this.reaped = false
  }

  onEvent(event: NodeEvent): void {
    switch (event.type) {
      case 'shutdown':
        this.aborting ||= event.mode === 'abort'
        return
      case 'leftovers-reaped':
        this.reaped = true
        return
      case 'replica-exited':
        return this.note(event.replica, (replica) => (replica.exited = true))
      case 'replica-created':
      case 'replica-started':
      case 'replica-removed': {
        const replica = this.replicas.get(event.replica)
        if (replica === undefined || replica.attempt !== event.attempt) return
        if (event.type === 'replica-created') replica.created = true
        if (event.type === 'replica-started') replica.started = true
        if (event.type === 'replica-removed') replica.removed = true
        return
      }
      case 'probe-result': {
        const replica = this.replicas.get(event.replica)
        if (replica === undefined || event.check !== 'main') return
        if (replica.probe !== event.attempt) return
        replica.probe = 0
        replica.passed ||= event.ok
        replica.failures = event.ok ? 0 : replica.failures + 1
        return
      }
      case 'listener-opened':
      case 'listener-failed':
      case 'listener-closed': {
        const listener = this.listeners.get(event.listener)
        if (listener === undefined || listener.attempt !== event.attempt) return
        listener.state = event.type === 'listener-opened' ? 'open' : 'shut'
        return
      }
      case 'backends-applied': {
        const listener = this.listeners.get(event.listener)
        if (listener?.version === event.version) listener.applied = event.version
        return
      }
      case 'backend-drained':
        this.listeners.get(event.listener)?.holding.delete(event.backend)
    }
  }

  /** Runs after the other checkers have compared the command with what was true before it. */
  learn(command: NodeCommand, world: World): void {
    switch (command.type) {
      case 'create-replica':
        return this.addReplica(command, world)
      case 'start-replica':
      case 'verify-replica':
      case 'resolve-address':
      case 'remove-replica':
        return this.note(command.replica, (replica) => {
          replica.attempt = command.attempt
          if (command.type === 'start-replica') replica.startOrdered = true
          if (command.type === 'remove-replica') replica.removeOrdered = true
        })
      case 'signal-replica':
        return this.note(command.replica, (replica) => (replica.signalled = true))
      case 'probe':
        if (command.check !== 'main') return
        return this.note(command.replica, (replica) => (replica.probe = command.attempt))
      case 'cancel-probe':
        if (command.check !== 'main') return
        return this.note(command.replica, (replica) => {
          if (replica.probe !== command.attempt) return
          replica.probe = 0
          replica.failures += 1
        })
      case 'open-listener':
        return this.addListener(command)
      case 'close-listener': {
        const listener = this.listeners.get(command.listener)
        if (listener === undefined) return
        listener.attempt = command.attempt
        listener.state = 'closing'
        return
      }
      case 'apply-backends':
        return this.applySet(command, world.nodeNow())
      case 'cut-backend':
        this.listeners.get(command.listener)?.cut.add(command.backend)
    }
  }

  replicasOf(service: ServiceKey): ReplicaTold[] {
    return [...this.replicas.values()].filter((each) => each.service === service)
  }

  listenersOf(service: ServiceKey): ListenerTold[] {
    return [...this.listeners.values()].filter((each) => each.service === service)
  }

  private addReplica(
    { replica: id, attempt, program }: Extract<NodeCommand, { type: 'create-replica' }>,
    world: World,
  ): void {
    const { deployment, service, number } = parseReplicaId(id)
    const key = serviceKey(deployment, service)
    this.replicas.set(id, {
      id,
      service: key,
      number,
      program,
      attempt,
      isChecked: isChecked(world.operator.specOf(key)),
      created: false,
      startOrdered: false,
      started: false,
      signalled: false,
      exited: false,
      removeOrdered: false,
      removed: false,
      passed: false,
      failures: 0,
      probe: 0,
    })
  }

  private addListener(command: Extract<NodeCommand, { type: 'open-listener' }>): void {
    const { listener: id, attempt, protocol, port } = command
    const present = this.listeners.get(id)
    if (present !== undefined) {
      present.attempt = attempt
      present.state = 'opening'
      return
    }
    this.listeners.set(id, {
      id,
      service: serviceOfListener(id),
      protocol,
      port,
      attempt,
      state: 'opening',
      version: 0,
      applied: 0,
      sentAt: 0,
      sent: new Set(),
      leftAt: new Map(),
      holding: new Set(),
      cut: new Set(),
    })
  }

  private applySet(command: Extract<NodeCommand, { type: 'apply-backends' }>, now: Instant): void {
    const listener = this.listeners.get(command.listener)
    if (listener === undefined) return
    const sent = new Set(command.backends.map((each) => each.id))
    for (const id of listener.sent) {
      // It may have begun to leave at any time since the set before was ordered: one set is under
      // way at a time, the next waits for its answer.
      if (!sent.has(id)) listener.leftAt.set(id, listener.sentAt)
    }
    for (const id of sent) {
      listener.leftAt.delete(id)
      listener.holding.add(id)
    }
    listener.sent = sent
    listener.version = command.version
    listener.sentAt = now
  }

  private note(id: ReplicaId, change: (replica: ReplicaTold) => void): void {
    const replica = this.replicas.get(id)
    if (replica !== undefined) change(replica)
  }
}

export const isChecked = (spec: ServiceSpec | undefined): boolean =>
  spec !== undefined &&
  (spec.health !== undefined || spec.endpoints.some((each) => each.protocol !== 'udp'))

/** `shop/web` of `shop/web/e0#3`. */
function serviceOfListener(id: ListenerId): ServiceKey {
  const [deployment = '', service = ''] = id.split('/')
  return serviceKey(deployment, service)
}
