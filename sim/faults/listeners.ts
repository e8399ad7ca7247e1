/**
 * The simulated listeners: each real front door is the real stream machine over simulated
 * sockets. Ports are taken by strangers, closing is slow, sets take effect late.
 */
import type { Attempt } from '../../core/machine.ts'
import { unreachable } from '../../core/machine.ts'
import type { ListenerCommand } from '../../core/node/commands.ts'
import type { ListenerEvent } from '../../core/node/events.ts'
import type { ListenerId, ReplicaId } from '../../core/services/identity.ts'
import type { StreamSpec } from '../../core/spec/deployment.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { StreamListenerEvent } from '../../core/stream/events.ts'
import type { StreamConfig } from '../../core/stream/state.ts'
import type { Ratio } from '../prng.ts'
import type { SimulatedListener, World } from '../world.ts'
import { Datagrams } from './datagrams.ts'
import { labelOf } from './host-ports.ts'
import type { Group } from './runtime.ts'
import { Streams } from './streams.ts'

export interface ListenerFaults {
  /** Not permitted, or out of descriptors. */
  readonly openFails: Ratio
  readonly closesSlowly: Ratio
  readonly appliesLate: Ratio
  readonly slowMsMax: number
  readonly answersTwice: Ratio
  /** A connection to a backend hangs until the machine gives it up. */
  readonly connectHangs: Ratio
  /** The host runs out of descriptors or ports just then. */
  readonly connectLacks: Ratio
  /** A peer stops reading for a while. */
  readonly blocks: Ratio
}

/** A listening socket and its machine; lives on after the socket until its last connection. */
export interface FrontDoor {
  readonly id: ListenerId
  readonly port: number
  readonly machine: SimulatedListener
  readonly streams: Streams
  listening: boolean
  /** The set the machine was given last. */
  inForce: ReadonlySet<ReplicaId>
  tickGeneration: number
  /** What it tells the node keeps its order. */
  busyUntil: number
}

export class SimListeners {
  readonly doors = new Map<ListenerId, FrontDoor>()
  private readonly world: World
  private readonly faults: ListenerFaults
  /** Commands for one listener take effect in their order. */
  private busyUntil = new Map<ListenerId, number>()
  /** The UDP ones. */
  readonly datagrams: Datagrams

  constructor(world: World, faults: ListenerFaults) {
    this.world = world
    this.faults = faults
    this.datagrams = new Datagrams(world, faults, (listener, event) => this.tell(listener, event))
  }

  apply(command: ListenerCommand): void {
    const { listener } = command
    switch (command.type) {
      case 'open-listener':
        return this.effect(listener, this.shortly(), () => this.open(command))
      case 'close-listener': {
        const delayMs = this.happens(this.faults.closesSlowly) ? this.slowly() : this.shortly()
        return this.effect(listener, delayMs, () => this.close(listener, command.attempt))
      }
      case 'configure-listener':
        return this.effect(listener, this.shortly(), () => {
          const door = this.doors.get(listener)
          if (command.protocol === 'udp') return this.datagrams.configure(listener, command)
          if (door !== undefined) {
            this.step(door, { type: 'configure', config: configOf(command.stream) })
          }
        })
      case 'apply-backends': {
        const delayMs = this.happens(this.faults.appliesLate) ? this.slowly() : this.shortly()
        return this.effect(listener, delayMs, () => this.applyBackends(command))
      }
      case 'cut-backend':
        return this.effect(listener, 0, () => {
          const door = this.doors.get(listener)
          if (door === undefined) return this.datagrams.cutBackend(listener, command.backend)
          door.streams.excuse('cut by the node', command.backend)
          this.step(door, { type: 'cut-backend', backend: command.backend })
        })
      default:
        return unreachable(command)
    }
  }

  /** The kernel closes every socket of a process that is gone. */
  nodeDown(): void {
    for (const door of this.doors.values()) {
      if (door.listening) this.world.ports.free(door.port)
      door.listening = false
      door.streams.nodeDown()
    }
    this.doors.clear()
    this.datagrams.nodeDown()
    this.busyUntil = new Map()
  }

  processEnded(group: Group): void {
    for (const door of this.doors.values()) door.streams.processEnded(door, group)
  }

  /** Every timer of every connection may be over at once. */
  clockLeapt(): void {
    for (const door of this.doors.values()) {
      door.streams.excuse('the clock leapt')
      this.armTick(door)
    }
    this.datagrams.clockLeapt()
  }

  doorOn(port: number): FrontDoor | undefined {
    for (const door of this.doors.values()) {
      if (door.port === port && door.listening) return door
    }
    return undefined
  }

  /** Live connections of a replica, over all listeners. */
  connectionsOn(replica: ReplicaId): number {
    let count = 0
    for (const door of this.doors.values()) count += door.streams.connectionsOn(replica)
    return count
  }

  /** One event into a stream machine; what it orders is carried out at once. */
  step(door: FrontDoor, event: StreamListenerEvent): void {
    const { world } = this
    const commands: StreamListenerCommand[] = []
    door.machine.step(event, world.nodeNow(), commands)
    for (const command of commands) this.obey(door, command)
    for (const checker of world.checkers) checker.onStream?.(door, event, commands, world)
    this.armTick(door)
  }

  private open(command: Extract<ListenerCommand, { type: 'open-listener' }>): void {
    const { world } = this
    const { listener, attempt, host, port } = command
    if (command.protocol === 'tcp') world.ports.tempt(port, world.draws.faults)
    if (this.happens(this.faults.openFails)) {
      return this.tell(listener, {
        type: 'listener-failed',
        listener,
        attempt,
        reason: 'permission denied',
      })
    }
    if (command.protocol === 'udp') return this.datagrams.open(command)
    const present = world.ports.holder(port)
    if (present !== undefined || !world.ports.take(port, { type: 'listener', listener })) {
      const reason = 'address in use'
      const holder = present === undefined ? {} : { holder: labelOf(present) }
      return this.tell(listener, { type: 'listener-failed', listener, attempt, reason, ...holder })
    }
    this.doors.set(listener, {
      id: listener,
      port,
      machine: world.breed.listen(configOf(command.stream)),
      streams: new Streams(world, this.faults),
      listening: true,
      inForce: new Set(),
      tickGeneration: 0,
      busyUntil: 0,
    })
    const address = `${host}:${port}`
    this.tell(listener, { type: 'listener-opened', listener, attempt, address })
  }

  private close(listener: ListenerId, attempt: Attempt): void {
    if (this.datagrams.doors.has(listener)) return this.datagrams.close(listener, attempt)
    const door = this.doors.get(listener)
    if (door !== undefined) this.step(door, { type: 'close' })
    this.tell(listener, { type: 'listener-closed', listener, attempt })
  }

  private applyBackends(command: Extract<ListenerCommand, { type: 'apply-backends' }>): void {
    const { listener, version, backends } = command
    const door = this.doors.get(listener)
    if (door === undefined) return this.datagrams.applyBackends(listener, version, backends)
    const up = backends.filter((each) => each.down !== true)
    // While all are down, all are tried.
    const ids = (up.length > 0 ? up : backends).map((each) => each.id)
    door.inForce = new Set(ids)
    this.world.change({ type: 'backends-in-force', listener, version, backends: ids })
    this.step(door, { type: 'apply-backends', version, backends })
  }

  private obey(door: FrontDoor, command: StreamListenerCommand): void {
    const { id: listener } = door
    switch (command.type) {
      case 'connect-upstream':
      case 'abandon-upstream':
      case 'join':
      case 'write':
      case 'pause':
      case 'resume':
      case 'end':
      case 'close':
        return door.streams.obey(door, command)
      case 'stop-listening':
        door.listening = false
        return this.world.ports.free(door.port)
      case 'backends-applied':
        return this.tell(listener, { ...command, listener })
      case 'backend-drained':
      case 'backend-failed': {
        const backend = command.backend as ReplicaId
        return this.tell(listener, { ...command, listener, backend })
      }
      case 'emptied':
        this.doors.delete(listener)
        return
      default:
        return unreachable(command)
    }
  }

  private armTick(door: FrontDoor): void {
    const deadline = door.machine.deadline()
    const generation = ++door.tickGeneration
    if (deadline === undefined) return
    const waitMs = Math.max(0, deadline - this.world.nodeNow())
    // Idle time-outs are hours away; only what may come to pass is worth a place in the queue.
    if (waitMs > FAR_MS) return
    this.world.inNode(waitMs, () => {
      if (generation !== door.tickGeneration || !this.doors.has(door.id)) return
      this.step(door, { type: 'tick' })
    })
  }

  // Time and order ----------------------------------------------------------------------------

  private effect(listener: ListenerId, delayMs: number, run: () => void): void {
    const { now } = this.world
    const at = Math.max((this.busyUntil.get(listener) ?? 0) + 1, now + delayMs)
    this.busyUntil.set(listener, at)
    this.world.inNode(at - now, run)
  }

  /** Tells the node, after what it is being told about this listener already. */
  private tell(listener: ListenerId, event: ListenerEvent): void {
    const { world, faults } = this
    const key = `${listener} facts` as ListenerId
    this.effect(key, this.shortly(), () => world.step(event))
    if (this.happens(faults.answersTwice)) {
      // Out of its order: by then it may be about a set, or an attempt, of long ago.
      const againMs = world.draws.faults.between(1, 2 * faults.slowMsMax)
      world.inNode(againMs, () => world.step(event))
    }
  }

  private shortly(): number {
    return this.world.draws.schedule.below(4)
  }

  private slowly(): number {
    return this.world.draws.faults.between(1, this.faults.slowMsMax)
  }

  private happens(fault: Ratio): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

const configOf = (stream: StreamSpec): StreamConfig => ({
  connectTimeoutMs: stream.connectTimeoutMs,
  connectAttemptsMax: 4,
  idleTimeoutMs: stream.idleTimeoutMs,
  connectionsMax: stream.connectionsMax,
})

const FAR_MS = 600_000
