/**
 * What this life of the node was told and has ordered, thing by thing. It is bookkeeping of the
 * conversation, taken from the events and commands themselves; the checkers share it.
 */
import type { Attempt, Instant } from '../../core/machine.ts'
import type { NodeCommand, OpenListener, Program, SocketUse } from '../../core/node/commands.ts'
import type { NodeEvent, SocketEvent } from '../../core/node/events.ts'
import type { SocketId } from '../../core/publish/events.ts'
import type { ListenerId, ReplicaId, ServiceKey } from '../../core/services/identity.ts'
import { parseReplicaId, serviceKey } from '../../core/services/identity.ts'
import type { ServiceSpec } from '../../core/spec/deployment.ts'
import type { Place } from '../faults/host-ports.ts'
import { listenersOf, placeOf } from '../faults/sockets.ts'
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
  readonly protocol: OpenListener['protocol']
  closed: boolean
  /** A UDP one whose socket is being closed admits nobody any more, for ever. */
  spent: boolean
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

export interface SocketTold {
  readonly id: SocketId
  readonly place: Place
  attempt: Attempt
  /** `failed`: there is none, and it may be tried again; `freed`: closed for sure, and for ever. */
  state: 'binding' | 'bound' | 'failed' | 'unbinding' | 'freed'
  /** As it was answered; 0 before. */
  port: number
  use: SocketUse
  /** When it was first ordered, on the world's clock. */
  readonly since: number
}

export class Told implements Checker {
  readonly name = 'universal'
  readonly replicas = new Map<ReplicaId, ReplicaTold>()
  readonly listeners = new Map<ListenerId, ListenerTold>()
  /** Those that were ever ordered in this life. */
  readonly sockets = new Map<SocketId, SocketTold>()
  aborting = false
  /** When the first shutdown was asked for, on the node's clock. */
  stoppingSince: Instant | undefined
  reaped = false

  onChange(change: Change): void {
    if (change.type !== 'node-booted') return
    this.replicas.clear()
    this.listeners.clear()
    this.sockets.clear()
    this.aborting = false
    this.stoppingSince = undefined
    this.reaped = false
  }

  onEvent(event: NodeEvent, world: World): void {
    switch (event.type) {
      case 'shutdown':
        this.aborting ||= event.mode === 'abort'
        this.stoppingSince ??= world.nodeNow()
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
      case 'socket-bound':
      case 'socket-failed':
      case 'socket-unbound': {
        const socket = this.sockets.get(event.socket)
        if (socket === undefined || socket.attempt !== event.attempt) return
        socket.state = SOCKET_STATES[event.type]
        if (event.type === 'socket-bound') socket.port = portOf(event.address)
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
        if (listener !== undefined) listener.closed = true
        return
      }
      case 'bind-socket':
        return this.bind(command, world)
      case 'route-socket':
      case 'unbind-socket':
        return this.noteSocket(command)
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

  /** Those that are there, or may be. */
  openSockets(): SocketTold[] {
    return [...this.sockets.values()].filter(({ state }) => state !== 'failed' && state !== 'freed')
  }

  /** Whether a socket brings clients to it, or is to. */
  leadingTo(listener: ListenerId): boolean {
    for (const { state, use } of this.sockets.values()) {
      const isThere = state === 'binding' || state === 'bound'
      if (isThere && listenersOf(use).includes(listener)) return true
    }
    return false
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

  private addListener({ listener: id, protocol }: OpenListener): void {
    this.listeners.set(id, {
      id,
      service: serviceOfListener(id),
      protocol,
      closed: false,
      spent: false,
      version: 0,
      applied: 0,
      sentAt: 0,
      sent: new Set(),
      leftAt: new Map(),
      holding: new Set(),
      cut: new Set(),
    })
  }

  private bind(command: Extract<NodeCommand, { type: 'bind-socket' }>, world: World): void {
    const { socket: id, attempt, use } = command
    const place = placeOf(command)
    const since = this.sockets.get(id)?.since ?? world.now
    this.sockets.set(id, { id, place, attempt, state: 'binding', port: 0, use, since })
  }

  private noteSocket(
    command: Extract<NodeCommand, { type: 'route-socket' | 'unbind-socket' }>,
  ): void {
    const socket = this.sockets.get(command.socket)
    if (socket === undefined) return
    if (command.type === 'route-socket') {
      socket.use = command.use
      return
    }
    socket.attempt = command.attempt
    socket.state = 'unbinding'
    if (socket.use.kind !== 'udp') return
    const listener = this.listeners.get(socket.use.listener)
    if (listener !== undefined) listener.spent = true
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

const SOCKET_STATES: Readonly<Record<SocketEvent['type'], SocketTold['state']>> = {
  'socket-bound': 'bound',
  'socket-failed': 'failed',
  'socket-unbound': 'freed',
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1))

/** `shop/web` of `shop/web/e0#3`. */
export function serviceOfListener(id: ListenerId): ServiceKey {
  const [deployment = '', service = ''] = id.split('/')
  return serviceKey(deployment, service)
}
