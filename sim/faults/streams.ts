/**
 * The connections of one listener: clients on one side, programs on the other. Each client sends a
 * request, the program thinks and answers, and both compare every byte with what was sent.
 */

import { type Instant, unreachable } from '../../core/machine.ts'
import type { ReplicaId } from '../../core/services/identity.ts'
import type { CloseReason, StreamListenerCommand } from '../../core/stream/commands.ts'
import type { Peers } from '../../core/stream/entrance/events.ts'
import type { ConnectionId, Side } from '../../core/stream/events.ts'
import type { StreamConfig } from '../../core/stream/state.ts'
import type { Ratio } from '../prng.ts'
import type { ClientFate } from '../trace.ts'
import type { Via } from '../workloads/clients.ts'
import { type Greeting, v2Header } from '../workloads/greetings.ts'
import type { World } from '../world.ts'
import type { FrontDoor, ListenerFaults } from './listeners.ts'
import type { Group } from './runtime.ts'

/** What is ordered for one connection. */
export type ConnectionCommand = Extract<
  StreamListenerCommand,
  { readonly connection: ConnectionId }
>

/** What a client wants; drawn when it arrives. */
export interface ClientPlan {
  readonly requestBytes: number
  readonly responseBytes: number
  readonly thinkMs: number
  /** Says that its request is over before it has the answer. */
  readonly halfCloses: boolean
  /** Leaves then, finished or not. */
  readonly leavesAfterMs: number | undefined
  /** Somebody speaks for it whom the listener trusts. */
  readonly throughProxy: boolean
  /** What it says first. */
  readonly greeting: Greeting
}

/** One that was let in. */
export interface Admitted {
  readonly client: number
  readonly plan: ClientPlan
  /** All that its program is to get of it. */
  readonly wire: Uint8Array
  /** The first bytes of it, which were read on the way in. */
  readonly pushedBack: Uint8Array
  readonly peers: Peers
  readonly leavesAfterMs: number | undefined
  readonly via: Via
}

/** One connection, in truth. */
export interface Stream extends Pick<Admitted, 'client' | 'plan' | 'wire' | 'peers' | 'via'> {
  readonly id: ConnectionId
  /** Of the listener, when it came. */
  readonly config: StreamConfig
  /** What its program is told first about who it is. */
  readonly header: Uint8Array
  pushedBack: Uint8Array
  /** Backends the machine tried, in order. */
  readonly tried: ReplicaId[]
  attempt: number
  group: Group | undefined
  joined: boolean
  /** Since when it waits for a backend, on the node's clock. */
  heldAt: Instant | undefined
  open: boolean
  /** What the client sends. */
  readonly request: Source
  /** What the program sends. */
  readonly answer: Source
  /** Why it may end before it is done. */
  excuse: string | undefined
}

interface Source {
  /** Bytes it has to send by now. */
  ready: number
  sent: number
  /** Bytes that reached the other side. */
  delivered: number
  /** It sends its end once all is sent. */
  wantsEnd: boolean
  ended: boolean
  /** Its end reached the other side. */
  endDelivered: boolean
  paused: boolean
  /** An event of it is on its way. */
  busy: boolean
}

export class Streams {
  readonly live = new Map<ConnectionId, Stream>()
  private readonly world: World
  private readonly faults: ListenerFaults
  private lastId = 0

  constructor(world: World, faults: ListenerFaults) {
    this.world = world
    this.faults = faults
  }

  arrive(door: FrontDoor, admitted: Admitted): void {
    const { world } = this
    const { client, plan, wire, pushedBack, peers, leavesAfterMs, via } = admitted
    const { config } = door
    this.lastId += 1
    const stream: Stream = {
      id: this.lastId as ConnectionId,
      client,
      plan,
      wire,
      peers,
      via,
      config,
      header: config.proxyProtocol && !config.upstreamTls ? headerOf(peers) : NO_BYTES,
      pushedBack,
      tried: [],
      attempt: 0,
      group: undefined,
      joined: false,
      heldAt: undefined,
      open: true,
      request: newSource(wire.length, plan.halfCloses),
      answer: newSource(0, false),
      excuse: undefined,
    }
    this.live.set(stream.id, stream)
    world.change({ type: 'client-arrived', client, listener: door.id })
    if (leavesAfterMs !== undefined) {
      world.inNode(leavesAfterMs, () => this.leave(door, stream))
    }
    const { id: connection } = stream
    world.listeners.step(door, { type: 'accepted', connection, peers })
  }

  obey(door: FrontDoor, command: ConnectionCommand): void {
    const { world } = this
    const stream = this.live.get(command.connection)
    if (stream === undefined) return this.checkStale(door, command)
    switch (command.type) {
      case 'connect-upstream':
        return this.connect(door, stream, command)
      case 'abandon-upstream':
        if (stream.attempt === command.attempt) stream.attempt = 0
        return
      case 'hold':
        stream.heldAt = world.nodeNow()
        return world.trace.mark('client held')
      case 'join':
        if (stream.group === undefined || stream.heldAt !== undefined) {
          world.fail('listeners', `client ${stream.client} is read, and has no backend`)
        }
        stream.joined = true
        this.pump(door, stream, 'client')
        return this.pump(door, stream, 'upstream')
      case 'write':
        return this.write(door, stream, command.to, command.bytes)
      case 'pause':
        sourceOf(stream, command.side).paused = true
        return
      case 'resume':
        sourceOf(stream, command.side).paused = false
        return this.pump(door, stream, command.side)
      case 'end':
        return this.end(door, stream, command.to)
      case 'close':
        return this.close(door, stream, command.reason, command.reset)
      default:
        return unreachable(command)
    }
  }

  connectionsOn(replica: ReplicaId): number {
    let count = 0
    for (const stream of this.live.values()) {
      // Whom the machine chose: a port that programs choose by themselves may be another one's by now.
      if (stream.joined && stream.tried.at(-1) === replica) count += 1
    }
    return count
  }

  /** Those being connected included. */
  attachedTo(replica: ReplicaId): number {
    let count = 0
    for (const stream of this.live.values()) if (stream.tried.at(-1) === replica) count += 1
    return count
  }

  processEnded(door: FrontDoor, group: Group): void {
    for (const stream of this.live.values()) {
      if (stream.group !== group || stream.answer.ended) continue
      stream.excuse ??= 'its program ended'
      stream.answer.ended = true
      const { id: connection } = stream
      this.tell(stream, 1, () => {
        this.world.listeners.step(door, { type: 'errored', connection, side: 'upstream' })
      })
    }
  }

  /** From now on these connections may end before they are done. */
  excuse(why: string, backend?: ReplicaId): void {
    for (const stream of this.live.values()) {
      if (backend === undefined || stream.group?.replica === backend) stream.excuse ??= why
    }
  }

  nodeDown(): void {
    for (const stream of this.live.values()) stream.open = false
    this.live.clear()
  }

  // A connection's life, in order -------------------------------------------------------------

  private connect(
    door: FrontDoor,
    stream: Stream,
    command: Extract<ConnectionCommand, { type: 'connect-upstream' }>,
  ): void {
    const { world, faults } = this
    const { connection, attempt, host, port } = command
    const backend = command.backend as ReplicaId
    stream.attempt = attempt
    stream.heldAt = undefined
    stream.tried.push(backend)
    for (const checker of world.checkers) checker.onConnect?.(door, stream, command, world)
    if (this.happens(faults.connectHangs)) return
    const lacks = this.happens(faults.connectLacks)
    this.tell(stream, world.draws.clients.between(0, 4), () => {
      if (stream.attempt !== attempt) return // abandoned
      const holder = world.ports.at('tcp', host, port)?.holder
      const group = holder?.type === 'group' ? world.runtime.groups.get(holder.pid) : undefined
      if (lacks) stream.excuse ??= 'out of descriptors'
      if (lacks || group === undefined || !group.listening) {
        const blame = lacks ? 'host' : 'backend'
        const reason = lacks ? 'too many open files' : 'connection refused'
        world.listeners.step(door, { type: 'upstream-failed', connection, attempt, blame, reason })
        return
      }
      stream.group = group
      for (const checker of world.checkers) checker.onReached?.(stream.via, group, port, world)
      world.change({
        type: 'client-connected',
        client: stream.client,
        listener: door.id,
        backend: group.replica,
      })
      world.listeners.step(door, { type: 'upstream-connected', connection, attempt })
    })
  }

  /** Sends the next piece of what a side has to say, if the machine reads it. */
  private pump(door: FrontDoor, stream: Stream, side: Side): void {
    const source = sourceOf(stream, side)
    if (!stream.joined || source.busy || source.paused || source.ended) return
    const left = source.ready - source.sent
    if (left === 0 && !source.wantsEnd) return
    source.busy = true
    this.tell(stream, this.world.draws.clients.between(0, 3), () => {
      source.busy = false
      if (source.paused || source.ended) return
      const { id: connection } = stream
      if (source.sent < source.ready) {
        const bytes = nextOf(stream, side)
        source.sent += bytes.length
        this.world.listeners.step(door, { type: 'data', connection, from: side, bytes })
      } else {
        source.ended = true
        this.world.listeners.step(door, { type: 'ended', connection, from: side })
      }
      if (stream.open) this.pump(door, stream, side)
    })
  }

  private write(door: FrontDoor, stream: Stream, to: Side, bytes: Uint8Array): void {
    if (!stream.joined) {
      this.world.fail('listeners', `client ${stream.client} is written before it is read`)
    }
    const from: Side = to === 'client' ? 'upstream' : 'client'
    const source = sourceOf(stream, from)
    for (let index = 0; index < bytes.byteLength; index++) {
      if (bytes[index] === byteOf(stream, from, source.delivered + index)) continue
      const whom = to === 'client' ? `client ${stream.client}` : `${stream.group?.replica}`
      this.world.fail('listeners', `${whom} got bytes that were not sent to it`)
    }
    source.delivered += bytes.byteLength
    if (to === 'upstream') this.received(door, stream)
    if (!this.happens(this.faults.blocks)) return
    const { id: connection } = stream
    this.tell(stream, 0, () => {
      this.world.listeners.step(door, { type: 'blocked', connection, side: to })
      this.tell(stream, this.world.draws.clients.between(1, 2_000), () => {
        this.world.listeners.step(door, { type: 'writable', connection, side: to })
      })
    })
  }

  /** The program has the whole request: it thinks, and answers. */
  private received(door: FrontDoor, stream: Stream): void {
    const { plan, answer } = stream
    if (stream.request.delivered < stream.header.length + stream.wire.length) return
    this.tell(stream, plan.thinkMs, () => {
      answer.ready = plan.responseBytes
      answer.wantsEnd = true
      this.pump(door, stream, 'upstream')
    })
  }

  private end(door: FrontDoor, stream: Stream, to: Side): void {
    const source = sourceOf(stream, to === 'client' ? 'upstream' : 'client')
    this.tell(stream, this.world.draws.clients.between(0, 3), () => {
      source.endDelivered = true
      if (to === 'client') {
        stream.request.wantsEnd = true
        this.pump(door, stream, 'client')
      }
      this.world.listeners.step(door, { type: 'finished', connection: stream.id, side: to })
    })
  }

  private leave(door: FrontDoor, stream: Stream): void {
    if (!stream.open) return
    stream.excuse ??= 'the client left'
    this.world.listeners.step(door, { type: 'errored', connection: stream.id, side: 'client' })
  }

  private close(door: FrontDoor, stream: Stream, reason: CloseReason, reset: boolean): void {
    const { plan, answer } = stream
    stream.open = false
    this.live.delete(stream.id)
    const complete = stream.joined && answer.delivered === plan.responseBytes
    const how: ClientFate =
      stream.excuse === 'the client left'
        ? 'gave-up'
        : complete && (answer.endDelivered || !reset)
          ? 'answered'
          : stream.joined
            ? 'cut'
            : 'refused'
    for (const checker of this.world.checkers) {
      checker.onClientGone?.(door, stream, how, reason, this.world)
    }
    this.world.trace.mark(`client ${how}`)
    this.world.trace.mark(`close ${reason}`)
    this.world.change({ type: 'client-gone', client: stream.client, listener: door.id, how })
    this.world.clients.gone(stream.client, how === 'answered' ? how : `${how} (${reason})`)
  }

  private checkStale(door: FrontDoor, command: ConnectionCommand): void {
    // A late success is given back after its connection closed; nothing else may follow.
    if (command.type === 'abandon-upstream') return
    this.world.fail(
      'listeners',
      `${door.id} orders ${command.type} for closed connection ${command.connection}`,
    )
  }

  private tell(stream: Stream, delayMs: number, run: () => void): void {
    this.world.inNode(delayMs, () => {
      if (stream.open) run()
    })
  }

  private happens(fault: Ratio): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

const newSource = (ready: number, wantsEnd: boolean): Source => ({
  ready,
  sent: 0,
  delivered: 0,
  wantsEnd,
  ended: false,
  endDelivered: false,
  paused: false,
  busy: false,
})

const sourceOf = (stream: Stream, side: Side): Source =>
  side === 'client' ? stream.request : stream.answer

/** The next piece that a side has to say; what was read on the way in comes first, and at once. */
function nextOf(stream: Stream, side: Side): Uint8Array {
  const { client, pushedBack, wire } = stream
  const { sent, ready } = sourceOf(stream, side)
  if (side === 'client' && pushedBack.length > 0) {
    stream.pushedBack = NO_BYTES
    return pushedBack
  }
  const count = Math.min(ready - sent, CHUNK_BYTES)
  return side === 'client' ? wire.slice(sent, sent + count) : bytesOf(client, side, sent, count)
}

/** What the other side is to get at this place. */
function byteOf({ client, header, wire }: Stream, from: Side, at: number): number | undefined {
  if (from === 'upstream') return (saltOf(client, from) + at * 7) & 255
  return at < header.length ? header[at] : wire[at - header.length]
}

/** Every byte says whose it is and where in the stream: one in the wrong place is seen. */
function bytesOf(client: number, side: Side, from: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count)
  const salt = saltOf(client, side)
  for (let index = 0; index < count; index++) bytes[index] = salt + (from + index) * 7
  return bytes
}

const saltOf = (client: number, side: Side): number => client * 31 + (side === 'client' ? 0 : 101)

export const requestBytes = (client: number, from: number, count: number): Uint8Array =>
  bytesOf(client, 'client', from, count)

/** What an upstream is told about a client. */
export const headerOf = ({ source, destination }: Peers): Uint8Array =>
  v2Header(source, destination)

const NO_BYTES = new Uint8Array(0)
const CHUNK_BYTES = 16
