/**
 * Connections on their way in through one TCP socket: the real entrance reads what they begin with, and
 * says where they go. Clients send it in pieces, stall, leave, or speak something else; handshakes
 * fail, or never end.
 */

import { type Instant, unreachable } from '../../core/machine.ts'
import type { SocketUse } from '../../core/node/commands.ts'
import { entranceConfigOf, HTTP_DOORWAY } from '../../core/node/listener-config.ts'
import type { SocketId } from '../../core/publish/events.ts'
import type { EntranceCommand } from '../../core/stream/entrance/commands.ts'
import type { EntranceConfig } from '../../core/stream/entrance/config.ts'
import type { EntranceEvent, Peers } from '../../core/stream/entrance/events.ts'
import type { ConnectionId } from '../../core/stream/events.ts'
import type { Via } from '../workloads/clients.ts'
import { type HeaderKind, headerBytes, tlsBytes } from '../workloads/greetings.ts'
import type { SimulatedEntrance, World } from '../world.ts'
import type { ListenerFaults } from './listeners.ts'
import { targetsOf } from './sockets.ts'
import { type ClientPlan, requestBytes } from './streams.ts'

export type TcpUse = Extract<SocketUse, { kind: 'tcp' }>

/** A client that comes in, and what it will say. */
export interface Newcomer {
  readonly client: number
  readonly plan: ClientPlan
  readonly via: Via
  /** Who is connected to what, in truth. */
  readonly peers: Peers
  /** Whether the entrance is told; always where there are proxies to be trusted. */
  readonly isTold: boolean
  /** Whom its header announces. */
  readonly announced: Peers
}

export interface Arrival extends Newcomer {
  readonly id: ConnectionId
  /** On the node's clock. */
  readonly acceptedAt: Instant
  /** In force when it came. */
  readonly use: TcpUse
  readonly config: EntranceConfig
  /** Header, ClientHello, request. */
  readonly wire: Uint8Array
  readonly headerEnd: number
  readonly helloEnd: number
  /** Bytes that the entrance was given. */
  read: number
  isReading: boolean
  /** Something of it is on its way to the entrance. */
  isBusy: boolean
  /** It sent its end, or is gone. */
  isOver: boolean
  secure: 'no' | 'asked' | 'done' | 'failed'
  /** The node's clock leapt while it was here. */
  leapt: boolean
}

export class Arrivals {
  readonly live = new Map<ConnectionId, Arrival>()
  readonly socket: SocketId
  readonly entrance: SimulatedEntrance
  /** It was told to let nobody in any more. */
  closed = false
  private readonly world: World
  private readonly faults: ListenerFaults
  private use: TcpUse
  private config: EntranceConfig
  private lastId = 0
  private tickGeneration = 0

  constructor(world: World, faults: ListenerFaults, socket: SocketId, use: TcpUse) {
    this.world = world
    this.faults = faults
    this.socket = socket
    this.use = use
    this.config = configOf(use, world)
    this.entrance = world.breed.enter(this.config)
  }

  /** For those who come from now on. */
  route(use: TcpUse): void {
    this.use = use
    this.config = configOf(use, this.world)
    this.step({ type: 'configure', config: this.config })
  }

  accept(newcomer: Newcomer): void {
    const { world } = this
    const { client, plan, announced, peers } = newcomer
    const isTold = newcomer.isTold || this.config.trustedProxies.length > 0
    this.lastId += 1
    const header = headerBytes(plan.greeting.header, announced)
    const hello = tlsBytes(plan.greeting, world.draws.clients)
    const request = requestBytes(client, 0, plan.requestBytes)
    const arrival: Arrival = {
      ...newcomer,
      isTold,
      id: this.lastId as ConnectionId,
      acceptedAt: world.nodeNow(),
      use: this.use,
      config: this.config,
      wire: Uint8Array.of(...header, ...hello, ...request),
      headerEnd: header.length,
      helloEnd: header.length + hello.length,
      read: 0,
      isReading: false,
      isBusy: false,
      isOver: false,
      secure: 'no',
      leapt: false,
    }
    this.live.set(arrival.id, arrival)
    if (plan.leavesAfterMs !== undefined) {
      world.inNode(plan.leavesAfterMs, () => this.leave(arrival))
    }
    const { id: connection } = arrival
    this.step({ type: 'accepted', connection, ...(isTold ? { peers } : {}) })
  }

  /** The listening socket is closed. */
  close(): void {
    this.closed = true
    this.step({ type: 'close' })
  }

  nodeDown(): void {
    this.closed = true
    this.live.clear()
    this.tickGeneration += 1
  }

  clockLeapt(): void {
    for (const arrival of this.live.values()) arrival.leapt = true
    this.armTick()
  }

  // The way in, in order ----------------------------------------------------------------------

  private step(event: EntranceEvent): void {
    const { world } = this
    const commands: EntranceCommand[] = []
    this.entrance.step(event, world.nodeNow(), commands)
    for (const checker of world.checkers) checker.onEntrance?.(this, event, commands, world)
    for (const command of commands) this.obey(command)
    this.armTick()
  }

  private obey(command: EntranceCommand): void {
    const arrival = this.live.get(command.connection)
    if (arrival === undefined) return // the entrances checker says what is wrong with it
    switch (command.type) {
      case 'read':
        arrival.isReading = true
        return this.pump(arrival)
      case 'hold':
        arrival.isReading = false
        return
      case 'secure':
        arrival.isReading = false
        return this.secure(arrival)
      case 'admit':
        this.live.delete(arrival.id)
        return this.admit(arrival, command)
      case 'refuse':
        this.live.delete(arrival.id)
        this.world.trace.mark(`entrance ${command.reason}`)
        return this.world.clients.turnedAway(arrival.client, command.reason)
      default:
        return unreachable(command)
    }
  }

  /** The next piece of what it has to say. */
  private pump(arrival: Arrival): void {
    const { wire, plan, helloEnd } = arrival
    if (!arrival.isReading || arrival.isBusy || arrival.isOver) return
    const { tls, stallsAfter = wire.length } = plan.greeting
    // Who speaks TLS says no more before it is answered.
    const sayable = tls === 'hello' && arrival.secure !== 'done' ? helloEnd : wire.length
    const end = Math.min(sayable, stallsAfter)
    const isAll = arrival.read >= wire.length
    if (isAll ? !plan.halfCloses : arrival.read >= end) return
    arrival.isBusy = true
    this.later(arrival, this.world.draws.clients.below(3), () => {
      arrival.isBusy = false
      if (!arrival.isReading || arrival.isOver) return
      const { id: connection, read } = arrival
      if (isAll) {
        arrival.isOver = true
        return this.step({ type: 'ended', connection })
      }
      arrival.read = Math.min(end, read + plan.greeting.pieceBytes)
      this.step({ type: 'data', connection, bytes: wire.slice(read, arrival.read) })
      if (this.live.get(connection) === arrival) this.pump(arrival)
    })
  }

  /** A handshake as the server; the rest of the hello is its own affair. */
  private secure(arrival: Arrival): void {
    const { faults, world } = this
    const { id: connection, plan, helloEnd } = arrival
    arrival.secure = 'asked'
    const { tls, stallsAfter = helloEnd, header } = plan.greeting
    if (this.happens(faults.secureHangs) || stallsAfter < helloEnd) return
    const isSpoilt = tls !== 'hello' || (header !== 'none' && !plan.throughProxy)
    const fails = this.happens(faults.secureFails) || isSpoilt
    this.later(arrival, world.draws.clients.below(5), () => {
      if (arrival.isOver) return
      arrival.secure = fails ? 'failed' : 'done'
      if (fails) return this.step({ type: 'secure-failed', connection, reason: 'no common cipher' })
      arrival.read = Math.max(arrival.read, helloEnd)
      this.step({ type: 'secured', connection })
    })
  }

  private admit(arrival: Arrival, command: Extract<EntranceCommand, { type: 'admit' }>): void {
    const { world } = this
    const { request } = arrival.via
    const targets = targetsOf(arrival.use)
    const target = targets.find((each) =>
      command.route === HTTP_DOORWAY ? each.request === request : each.listener === command.route,
    )
    if (target === undefined) return world.clients.turnedAway(arrival.client, 'no-route')
    const door = world.listeners.doors.get(target.listener)
    // It was closed, and the socket does not know yet that it leads elsewhere.
    if (door === undefined) return world.clients.turnedAway(arrival.client, 'no-door')
    const isPassed = target.tls === 'passthrough'
    const { bytes, peers = arrival.peers } = command
    const from = isPassed ? arrival.headerEnd : arrival.helloEnd
    door.streams.arrive(door, {
      client: arrival.client,
      plan: arrival.plan,
      wire: arrival.wire.slice(from),
      pushedBack: bytes,
      peers,
      leavesAfterMs: this.leavesAfterMs(arrival),
      via: arrival.via,
    })
  }

  private leavesAfterMs({ plan, acceptedAt }: Arrival): number | undefined {
    if (plan.leavesAfterMs === undefined) return undefined
    return Math.max(1, acceptedAt + plan.leavesAfterMs - this.world.nodeNow())
  }

  private leave(arrival: Arrival): void {
    if (this.live.get(arrival.id) !== arrival || arrival.isOver) return
    arrival.isOver = true
    this.step({ type: 'errored', connection: arrival.id })
  }

  private armTick(): void {
    const deadline = this.entrance.deadline()
    const generation = ++this.tickGeneration
    if (deadline === undefined) return
    const waitMs = Math.max(0, deadline - this.world.nodeNow())
    this.world.inNode(waitMs, () => {
      if (generation === this.tickGeneration) this.step({ type: 'tick' })
    })
  }

  private later(arrival: Arrival, delayMs: number, run: () => void): void {
    this.world.inNode(delayMs, () => {
      if (this.live.get(arrival.id) === arrival) run()
    })
  }

  private happens(fault: ListenerFaults['secureHangs']): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

/** As the shell makes it of what the node orders. */
function configOf(use: TcpUse, { options }: World): EntranceConfig {
  return { ...entranceConfigOf(use), ...options.entrance }
}

/** Whether a header of this kind names a client. */
export const announces = (kind: HeaderKind): boolean => kind === 'v1' || kind === 'v2'
