/**
 * A world of sockets without sockets, for one listener. It does what any legal shell and any
 * peers could do, in any order, runs the commands, and throws where one is wrong. It judges by
 * what it has seen happen, never by what the machine believes.
 */
import { expect } from 'vitest'
import { localHeader, proxyHeader } from '../../../../core/net/proxy-v2.ts'
import type { CloseReason, StreamListenerCommand } from '../../../../core/stream/commands.ts'
import type { Peers } from '../../../../core/stream/entrance/events.ts'
import type {
  ConnectionId,
  Side,
  StreamListenerEvent,
  WhenEmpty,
} from '../../../../core/stream/events.ts'
import { checkInvariants } from '../../../../core/stream/invariants.ts'
import { StreamListener } from '../../../../core/stream/listener.ts'
import type { StreamConfig } from '../../../../core/stream/state.ts'
import { backend, peersOf } from '../rows.ts'
import { POLICIES, UseWatch } from './use-watch.ts'

/** What one side of a connection is, as its socket would tell. */
interface Socket {
  sent: number[]
  written: number[]
  reading: boolean
  /** It sent its end. */
  ended: boolean
  broken: boolean
  blocked: boolean
  /** We half-closed it. */
  endWritten: boolean
  finished: boolean
}

interface Attempt {
  readonly attempt: number
  readonly backend: string
  state: 'connecting' | 'connected' | 'failed' | 'abandoned'
}

interface Connection {
  readonly id: ConnectionId
  readonly peers: Peers | undefined
  /** Whether its upstream is to be told who it is. */
  readonly isTold: boolean
  readonly client: Socket
  readonly upstream: Socket
  readonly attempts: Attempt[]
  /** When it was accepted. */
  readonly config: StreamConfig
  joined: boolean
  /** Since when it waits for a backend. */
  heldAt: number | undefined
  closed: boolean
}

const freshSocket = (): Socket => ({
  sent: [],
  written: [],
  reading: false,
  ended: false,
  broken: false,
  blocked: false,
  endWritten: false,
  finished: false,
})

/** What its upstream gets before all else. */
function headerOf({ peers, isTold }: Connection): readonly number[] {
  if (!isTold) return []
  if (peers === undefined) return [...localHeader()]
  return [...proxyHeader(peers.source, peers.destination, 'stream')]
}

const SIDES: readonly Side[] = ['client', 'upstream']
export const BACKENDS = 'ABCD'

export class World {
  readonly listener: StreamListener
  readonly connections = new Map<ConnectionId, Connection>()
  now = 0
  #version = 0
  #whenEmpty: WhenEmpty = 'refuse'
  #isClosed = false
  readonly #use = new UseWatch()
  #set: string[] = []
  /** Left the set since, with connections then; each owes one `backend-drained`. */
  readonly #owesDrained = new Set<string>()
  readonly #failureReportedAt = new Map<string, number>()
  #byte = 0
  #id = 0
  #config: StreamConfig

  constructor(config: StreamConfig) {
    this.#config = config
    this.listener = new StreamListener(config)
  }

  get open(): Connection[] {
    return [...this.connections.values()].filter(({ closed }) => !closed)
  }

  /** Does the `choice`-th of all that could happen now. */
  act(choice: number): void {
    const possible = this.#possible()
    possible[choice % possible.length]!()
  }

  applySet(ids: readonly string[], whenEmpty: WhenEmpty = 'refuse'): void {
    const gone = this.#set.filter((id) => !ids.includes(id))
    for (const id of ids) this.#owesDrained.delete(id)
    for (const id of gone) this.#owesDrained.add(id)
    this.#set = [...ids]
    this.#version += 1
    this.#whenEmpty = this.#isClosed ? 'refuse' : whenEmpty
    this.#use.onSet()
    const backends = ids.map(backend)
    this.step({ type: 'apply-backends', version: this.#version, backends, whenEmpty })
  }

  configure(config: StreamConfig): void {
    this.#use.onConfigure(this.#config, this.now)
    this.#config = config
    this.step({ type: 'configure', config })
  }

  close(): void {
    this.#isClosed = true
    this.#whenEmpty = 'refuse'
    this.step({ type: 'close' })
  }

  get held(): Connection[] {
    return this.open.filter(({ heldAt }) => heldAt !== undefined)
  }

  /** Of several sockets, numbers come in any order; some clients are known. */
  accept(): void {
    this.#id += 1
    const id = (this.#id ^ 1) as ConnectionId
    const peers = id % 3 === 0 ? undefined : peersOf(`192.0.2.${id % 7}:${id}`)
    const sockets = { client: freshSocket(), upstream: freshSocket() }
    const isTold = this.#config.proxyProtocol
    const config = this.#config
    const fresh = { attempts: [], config, joined: false, heldAt: undefined, closed: false }
    this.connections.set(id, { id, peers, isTold, ...sockets, ...fresh })
    const room = [...this.#set].some((each) => !this.#isFull(each))
    this.step(
      peers === undefined
        ? { type: 'accepted', connection: id }
        : { type: 'accepted', connection: id, peers },
    )
    const { closed, heldAt } = this.connections.get(id)!
    if (!room) expect(closed || heldAt !== undefined, 'nobody has room').toBe(true)
    const client = peers === undefined ? undefined : id % 7
    if (POLICIES.get(config.access)!(client)) expect(closed, 'a policy is against it').toBe(true)
    if (heldAt !== undefined) expect(this.held.length).toBeLessThanOrEqual(config.heldMax)
  }

  /** Lets time pass to the deadline and over it until nothing is left to do. */
  runOut(): void {
    for (let ticks = 0; this.open.length > 0 || this.listener.deadline() !== undefined; ticks++) {
      expect(ticks, 'ticks come to an end').toBeLessThan(1000)
      const deadline = this.listener.deadline()
      expect(deadline, 'a live connection has a deadline').toBeDefined()
      this.now = Math.max(this.now, deadline!)
      this.tick()
    }
  }

  tick(): void {
    this.step({ type: 'tick' })
    const next = this.listener.deadline()
    if (next !== undefined) expect(next).toBeGreaterThan(this.now)
  }

  step(event: StreamListenerEvent): void {
    const out: StreamListenerCommand[] = []
    this.listener.step(event, this.now, out)
    checkInvariants(this.listener)
    this.#use.onStep()
    const drainedOwed = new Set(this.#owesDrained)
    for (const command of out) this.#apply(command, drainedOwed)
    for (const id of drainedOwed) {
      expect(this.#liveOn(id), `${id} has nothing left but is not drained`).toBeGreaterThan(0)
    }
    this.#checkHeld()
    this.#use.check(this.open.length, this.held.length, this.#whenEmpty)
    for (const id of BACKENDS) expect(this.listener.connectionsOn(id)).toBe(this.#liveOn(id))
    expect(this.listener.connections).toBe(this.open.length)
    for (const connection of this.open) this.#checkFlow(connection)
  }

  /** Who waits has a reason to, and that somebody does is known. */
  #checkHeld(): void {
    const { held } = this
    expect(this.listener.heldConnections).toBe(held.length)
    if (held.length === 0) return
    expect(this.#set, 'nobody waits for what is there').toEqual([])
    expect(this.#whenEmpty, 'nobody waits for what never comes').toBe('hold')
  }

  /** A source is paused while its destination is blocked, and only then. */
  #checkFlow(connection: Connection): void {
    if (!connection.joined) {
      expect(connection.client.reading || connection.upstream.reading).toBe(false)
      return
    }
    for (const side of SIDES) {
      const from = connection[side]
      const to = connection[side === 'client' ? 'upstream' : 'client']
      if (from.ended || from.broken) continue
      expect(from.reading).toBe(!to.blocked && !to.broken)
    }
  }

  #liveOn(id: string): number {
    return this.open.filter(({ attempts }) => {
      const last = attempts.at(-1)
      return last?.backend === id && (last.state === 'connecting' || last.state === 'connected')
    }).length
  }

  #isFull(id: string): boolean {
    const { connectionsPerBackendMax: max } = this.#config
    return max > 0 && this.#liveOn(id) >= max
  }

  #apply(command: StreamListenerCommand, drainedOwed: Set<string>): void {
    if ('connection' in command) {
      this.#applyToConnection(command, this.connections.get(command.connection)!)
      return
    }
    switch (command.type) {
      case 'backends-applied':
        expect(command.version).toBe(this.#version)
        return
      case 'backend-drained':
        expect(command.version).toBe(this.#version)
        expect(this.#owesDrained.delete(command.backend), 'drained once').toBe(true)
        drainedOwed.delete(command.backend)
        expect(this.#liveOn(command.backend)).toBe(0)
        this.#failureReportedAt.delete(command.backend) // should it come back, it is a new one
        return
      case 'backend-failed': {
        const last = this.#failureReportedAt.get(command.backend) ?? -1000
        expect(this.now - last, 'one report a second').toBeGreaterThanOrEqual(1000)
        this.#failureReportedAt.set(command.backend, this.now)
        return
      }
      case 'wanted':
        return this.#use.onWanted(this.held.length, this.#whenEmpty)
      case 'idle':
        expect(this.#isClosed).toBe(false)
        return this.#use.onIdle(this.#config, this.now)
      case 'busy':
        return this.#use.onBusy()
    }
  }

  #applyToConnection(
    command: Extract<StreamListenerCommand, { connection: ConnectionId }>,
    connection: Connection,
  ): void {
    const { attempts } = connection
    const last = attempts.at(-1)
    if (command.type === 'abandon-upstream') {
      const attempt = attempts.find((each) => each.attempt === command.attempt)!
      attempt.state = 'abandoned'
      return
    }
    expect(connection.closed, `${command.type} for a closed connection`).toBe(false)
    switch (command.type) {
      case 'connect-upstream':
        expect(['connecting', 'connected']).not.toContain(last?.state)
        expect(this.#set, 'only backends of the set').toContain(command.backend)
        expect(attempts.map((each) => each.backend)).not.toContain(command.backend)
        expect(this.#isFull(command.backend), `${command.backend} has room`).toBe(false)
        connection.heldAt = undefined
        attempts.push({ ...command, state: 'connecting' })
        return
      case 'hold':
        expect(connection.heldAt ?? this.#set, 'held once, without a backend').toEqual([])
        expect(['connecting', 'connected']).not.toContain(last?.state)
        expect(connection.config.holdTimeoutMs, 'it may wait').toBeGreaterThan(0)
        connection.heldAt = this.now
        return
      case 'join':
        expect(last?.state).toBe('connected')
        connection.joined = true
        connection.client.reading = true
        connection.upstream.reading = true
        return
      case 'write': {
        const socket = connection[command.to]
        expect(socket.broken, 'nothing is written to a destroyed socket').toBe(false)
        expect(socket.endWritten, 'nothing is written after the end').toBe(false)
        socket.written.push(...command.bytes)
        const source = connection[command.to === 'client' ? 'upstream' : 'client']
        const sent = [...(command.to === 'upstream' ? headerOf(connection) : []), ...source.sent]
        expect(socket.written, 'bytes in order').toEqual(sent.slice(0, socket.written.length))
        return
      }
      case 'pause':
      case 'resume':
        expect(connection.joined).toBe(true)
        connection[command.side].reading = command.type === 'resume'
        return
      case 'end': {
        const socket = connection[command.to]
        expect(socket.endWritten, 'ended once').toBe(false)
        expect(connection[command.to === 'client' ? 'upstream' : 'client'].ended).toBe(true)
        socket.endWritten = true
        socket.blocked = false
        return
      }
      case 'close':
        connection.closed = true
        this.#checkReason(connection, command.reason)
        connection.heldAt = undefined
        if (this.open.length === 0) this.#use.onEmpty(this.now)
        if (command.reason === 'backends-full') {
          expect(this.#set.every((each) => this.#isFull(each))).toBe(true)
        }
        if (command.reason === 'done') {
          expect(connection.upstream.written).toEqual([
            ...headerOf(connection),
            ...connection.client.sent,
          ])
          expect(connection.client.written).toEqual(connection.upstream.sent)
        }
        return
    }
  }

  #checkReason({ heldAt, config, attempts }: Connection, reason: CloseReason): void {
    switch (reason) {
      case 'hold-timeout':
        return expect(this.now - heldAt!).toBeGreaterThanOrEqual(config.holdTimeoutMs)
      case 'hold-refused':
        expect(heldAt, 'it waited').toBeDefined()
        return expect(this.#whenEmpty).toBe('refuse')
      case 'held-max':
        this.#use.onTurnedAway()
        expect(attempts).toEqual([])
        return expect(this.held.length).toBeGreaterThanOrEqual(this.#config.heldMax)
      case 'no-backend':
        this.#use.onTurnedAway()
        return expect(
          this.#whenEmpty === 'hold' && config.holdTimeoutMs > 0,
          'it would have waited',
        ).toBe(false)
    }
  }

  #possible(): (() => void)[] {
    const all = [() => this.accept(), () => this.tick()]
    for (const connection of this.connections.values()) {
      // What arrives late for a closed connection, or an attempt that is over.
      for (const attempt of connection.attempts) all.push(...this.#answers(connection, attempt))
      if (connection.closed) continue
      // All that is known of a client that waits is that it left.
      if (connection.heldAt !== undefined) all.push(this.#breaks(connection, 'client'))
      if (!connection.joined) continue
      for (const side of SIDES) all.push(...this.#socketEvents(connection, side))
    }
    return all
  }

  #answers({ id: connection, closed }: Connection, entry: Attempt): (() => void)[] {
    if (entry.state === 'connected' || entry.state === 'failed') return []
    const { attempt } = entry
    // A late success of a connection that is over owns a socket until it is abandoned.
    const connected = (): void => {
      entry.state = entry.state === 'connecting' && !closed ? 'connected' : entry.state
      this.step({ type: 'upstream-connected', connection, attempt })
      if (closed) expect(entry.state).toBe('abandoned')
    }
    const failed = (blame: 'backend' | 'host'): void => {
      if (entry.state === 'connecting' && !closed) entry.state = 'failed'
      const reason = 'connection refused'
      this.step({ type: 'upstream-failed', connection, attempt, blame, reason })
    }
    return [connected, connected, () => failed('backend'), () => failed('host')]
  }

  #socketEvents(connection: Connection, side: Side): (() => void)[] {
    const { id } = connection
    const socket = connection[side]
    const all: (() => void)[] = []
    if (socket.broken) return all
    if (socket.reading && !socket.ended) {
      all.push(() => {
        const bytes = Uint8Array.of(++this.#byte & 255, this.#byte >> 8)
        socket.sent.push(...bytes)
        this.step({ type: 'data', connection: id, from: side, bytes })
      })
      all.push(() => {
        socket.ended = true
        this.step({ type: 'ended', connection: id, from: side })
      })
    }
    if (socket.written.length > 0 && !socket.blocked && !socket.endWritten) {
      all.push(() => {
        socket.blocked = true
        this.step({ type: 'blocked', connection: id, side })
      })
    }
    if (socket.blocked) {
      all.push(() => {
        socket.blocked = false
        this.step({ type: 'writable', connection: id, side })
      })
    }
    if (socket.endWritten && !socket.finished) {
      all.push(() => {
        socket.finished = true
        this.step({ type: 'finished', connection: id, side })
      })
    }
    all.push(this.#breaks(connection, side))
    return all
  }

  #breaks(connection: Connection, side: Side): () => void {
    return () => {
      connection[side].broken = true
      this.step({ type: 'errored', connection: connection.id, side })
    }
  }
}
