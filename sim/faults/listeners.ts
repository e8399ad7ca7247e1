/**
 * The simulated listeners: behind the sockets of each is the real stream machine, with simulated
 * clients and programs. Sets take effect late; what it tells comes twice.
 */
import { strategyNamed } from '../../core/balance/strategies.ts'
import { unreachable } from '../../core/machine.ts'
import type {
  DoorCommand,
  ListenerCommand,
  ListenerSettings,
  OpenListener,
} from '../../core/node/commands.ts'
import type { ListenerEvent } from '../../core/node/events.ts'
import { streamConfigOf } from '../../core/node/listener-config.ts'
import type { ListenerId, ReplicaId } from '../../core/services/identity.ts'
import { plainStream } from '../../core/spec/plain-endpoint.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { StreamListenerEvent, WhenEmpty } from '../../core/stream/events.ts'
import type { StreamConfig } from '../../core/stream/state.ts'
import type { Ratio } from '../prng.ts'
import type { SimulatedListener, World } from '../world.ts'
import { Datagrams } from './datagrams.ts'
import type { Group } from './runtime.ts'
import { SimSockets } from './sockets.ts'
import { Streams } from './streams.ts'

export interface ListenerFaults {
  /** Not permitted, or out of descriptors. */
  readonly bindFails: Ratio
  readonly bindsSlowly: Ratio
  readonly unbindsSlowly: Ratio
  /** A close ends a bind that is under way. */
  readonly unbindOvertakes: Ratio
  readonly routesLate: Ratio
  /** What a socket has to say waits. */
  readonly answersLate: Ratio
  readonly appliesLate: Ratio
  readonly slowMsMax: number
  readonly answersTwice: Ratio
  /** A connection to a backend hangs until the machine gives it up. */
  readonly connectHangs: Ratio
  /** The host runs out of descriptors or ports just then. */
  readonly connectLacks: Ratio
  /** A peer stops reading for a while. */
  readonly blocks: Ratio
  /** A TLS handshake with a client fails, or never ends. */
  readonly secureFails: Ratio
  readonly secureHangs: Ratio
}

/** What is behind sockets; lives on after the last of them until its last connection. */
export interface FrontDoor {
  readonly id: ListenerId
  readonly machine: SimulatedListener
  readonly streams: Streams
  /** The one it was given last. */
  config: StreamConfig
  closed: boolean
  /** The set the machine was given last. */
  inForce: ReadonlySet<ReplicaId>
  /** What that set says of whoever comes while it gives nobody to go to. */
  whenEmpty: WhenEmpty
  tickGeneration: number
  /** What it tells the node keeps its order. */
  busyUntil: number
}

export class SimListeners {
  readonly doors = new Map<ListenerId, FrontDoor>()
  readonly sockets: SimSockets
  /** The UDP ones. */
  readonly datagrams: Datagrams
  private readonly world: World
  private readonly faults: ListenerFaults
  /** Commands for one listener take effect in their order. */
  private busyUntil = new Map<string, number>()

  constructor(world: World, faults: ListenerFaults) {
    this.world = world
    this.faults = faults
    this.sockets = new SimSockets(world, faults)
    this.datagrams = new Datagrams(world, faults, (listener, event) => this.tell(listener, event))
  }

  apply(command: ListenerCommand): void {
    switch (command.type) {
      case 'bind-socket':
      case 'route-socket':
      case 'unbind-socket':
        return this.sockets.apply(command)
      default:
        return this.applyDoor(command)
    }
  }

  private applyDoor(command: DoorCommand): void {
    const { listener } = command
    switch (command.type) {
      case 'open-listener': // at once: a socket may lead to it by the next command
        return this.open(command)
      case 'close-listener':
        return this.effect(listener, this.shortly(), () => {
          const door = this.doors.get(listener)
          if (door === undefined) return this.datagrams.close(listener)
          door.closed = true
          door.whenEmpty = 'refuse'
          this.step(door, { type: 'close' })
        })
      case 'configure-listener':
        return this.effect(listener, this.shortly(), () => {
          const door = this.doors.get(listener)
          if (command.protocol === 'udp') return this.datagrams.configure(listener, command)
          if (door === undefined) return
          door.config = configOf(command)
          this.step(door, { type: 'configure', config: door.config })
          const { strategy, failOpen } = command.balance
          const seed = this.world.options.node.seed
          const balance = { strategy: strategyNamed(strategy, seed), failOpen }
          this.step(door, { type: 'rebalance', balance })
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
      door.closed = true
      door.streams.nodeDown()
    }
    this.doors.clear()
    this.sockets.nodeDown()
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
    this.sockets.clockLeapt()
    this.datagrams.clockLeapt()
  }

  /** Live connections of a replica, over all listeners. */
  connectionsOn(replica: ReplicaId): number {
    let count = 0
    for (const door of this.doors.values()) count += door.streams.connectionsOn(replica)
    return count
  }

  /** After all that was ordered for this listener. */
  inOrder(listener: ListenerId, run: () => void): void {
    this.effect(listener, 0, run)
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

  private open(command: OpenListener): void {
    if (command.protocol === 'udp') return this.datagrams.open(command)
    const { world } = this
    const { listener, balance } = command
    const { strategy, failOpen } = balance
    const config = configOf(command)
    this.doors.set(listener, {
      id: listener,
      machine: world.breed.listen(config, {
        strategy: strategyNamed(strategy, world.options.node.seed),
        failOpen,
      }),
      streams: new Streams(world, this.faults),
      config,
      closed: false,
      inForce: new Set(),
      whenEmpty: 'refuse',
      tickGeneration: 0,
      busyUntil: 0,
    })
  }

  private applyBackends(command: Extract<ListenerCommand, { type: 'apply-backends' }>): void {
    const { listener, version, backends, whenEmpty } = command
    const door = this.doors.get(listener)
    if (door === undefined) return this.datagrams.applyBackends(listener, version, backends)
    const up = backends.filter((each) => each.down !== true)
    // While all are down, all are tried.
    const ids = (up.length > 0 ? up : backends).map((each) => each.id)
    door.inForce = new Set(ids)
    door.whenEmpty = door.closed ? 'refuse' : whenEmpty
    this.world.change({ type: 'backends-in-force', listener, version, backends: ids })
    this.step(door, { type: 'apply-backends', version, backends, whenEmpty })
  }

  private obey(door: FrontDoor, command: StreamListenerCommand): void {
    const { id: listener } = door
    switch (command.type) {
      case 'connect-upstream':
      case 'abandon-upstream':
      case 'hold':
      case 'join':
      case 'write':
      case 'pause':
      case 'resume':
      case 'end':
      case 'close':
        return door.streams.obey(door, command)
      case 'backends-applied':
        return this.tell(listener, { ...command, listener })
      case 'backend-drained':
      case 'backend-failed': {
        const backend = command.backend as ReplicaId
        return this.tell(listener, { ...command, listener, backend })
      }
      case 'wanted':
        return this.tell(listener, { type: 'listener-wanted', listener })
      case 'idle':
        return this.tell(listener, { type: 'listener-idle', listener })
      case 'busy':
        return this.tell(listener, { type: 'listener-busy', listener })
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

  private effect(listener: string, delayMs: number, run: () => void): void {
    const { now } = this.world
    const at = Math.max((this.busyUntil.get(listener) ?? 0) + 1, now + delayMs)
    this.busyUntil.set(listener, at)
    this.world.inNode(at - now, run)
  }

  /** Tells the node, after what it is being told about this listener already. */
  private tell(listener: ListenerId, event: ListenerEvent): void {
    const { world, faults } = this
    this.effect(`${listener} facts`, this.shortly(), () => world.step(event))
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

type StreamSettings = Exclude<Extract<DoorCommand, ListenerSettings>, { protocol: 'udp' }>

/** Few may wait, so that it is seen what becomes of the others. */
const configOf = (command: StreamSettings): StreamConfig => ({
  ...spokenConfigOf(command),
  heldMax: HELD_MAX,
})

/** Here a request is a connection, whatever is said in it. */
const spokenConfigOf = (command: StreamSettings): StreamConfig => {
  if (command.protocol === 'tcp') return streamConfigOf(command.stream, command)
  const { connectTimeoutMs, holdTimeoutMs, requestsPerBackendMax } = command.http
  return streamConfigOf(
    {
      ...plainStream,
      connectTimeoutMs,
      holdTimeoutMs,
      connectionsPerBackendMax: requestsPerBackendMax,
    },
    command,
  )
}

const FAR_MS = 600_000
const HELD_MAX = 2
