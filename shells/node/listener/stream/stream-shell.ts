/**
 * Runs one `StreamListener` machine against real sockets. One pump, one switch, no policy: what
 * sockets do becomes an event, what comes back is done. Clients come from listening sockets of
 * whatever number, and are this shell's from then on.
 */
import { connect, type Socket } from 'node:net'
import type { ListenerFact } from '../../../../core/balance/facts.ts'
import type { GroupOptions } from '../../../../core/balance/group.ts'
import { strategyNamed } from '../../../../core/balance/strategies.ts'
import { type Attempt, unreachable } from '../../../../core/machine.ts'
import type { OpenListener } from '../../../../core/node/commands.ts'
import type { CloseReason, StreamListenerCommand } from '../../../../core/stream/commands.ts'
import type { Peers } from '../../../../core/stream/entrance/events.ts'
import type { ConnectionId, Side, StreamListenerEvent } from '../../../../core/stream/events.ts'
import { StreamListener } from '../../../../core/stream/listener.ts'
import { defaultStreamConfig } from '../../../../core/stream/state.ts'
import { isHostLimit, reasonOf } from '../../socket-errors.ts'
import { MachineLoop } from '../machine-loop.ts'
import { type BackendTls, secureUpstream, tlsReasonOf } from './backend-tls.ts'
import { PausedSockets } from './paused-sockets.ts'
import { releaseSocket, wasReset } from './release-socket.ts'

export interface StreamShellOptions {
  readonly balance: OpenListener['balance']
  /** May be called from within any method. */
  readonly fact: (fact: ListenerFact) => void
  /** A connection was lost because this machine lacks something; the listener goes on. */
  readonly hostFailed: (reason: string) => void
  /** A client was turned away, where people may want to know. */
  readonly turnedAway: (reason: TellableReason) => void
  /** A backend that was connected to could not be spoken to in TLS. */
  readonly tlsFailed: (address: string, reason: string) => void
}

export type TellableReason = Extract<
  CloseReason,
  'connections-max' | 'backends-full' | 'forbidden' | 'held-max' | 'hold-timeout'
>

interface Connection {
  readonly client: Socket
  /** Of the attempt; while TLS is made of it, that. */
  upstream: Socket | undefined
  attempt: Attempt
}

type ConnectUpstream = Extract<StreamListenerCommand, { type: 'connect-upstream' }>

export class StreamShell {
  readonly #machine: StreamListener
  readonly #options: StreamShellOptions
  readonly #connections = new Map<ConnectionId, Connection>()
  readonly #paused = new PausedSockets()
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
  readonly #loop: MachineLoop<StreamListenerEvent, StreamListenerCommand>
  #backendTls: BackendTls = { ok: false, problem: 'TLS with backends is not configured' }

  constructor(options: StreamShellOptions) {
    this.#options = options
    this.#machine = new StreamListener(defaultStreamConfig, this.#groupOptions(options.balance))
    this.#loop = new MachineLoop(this.#machine, (command) => this.#apply(command))
  }

  /** Another way to choose backends from now on; what is connected stays where it is. */
  rebalance(balance: StreamShellOptions['balance']): void {
    this.step({ type: 'rebalance', balance: this.#groupOptions(balance) })
  }

  #groupOptions({ strategy, failOpen }: StreamShellOptions['balance']): GroupOptions {
    return { strategy: strategyNamed(strategy, this.#seed), failOpen }
  }

  /** Counters and counts, for people and tests. */
  get machine(): Pick<
    StreamListener,
    'connections' | 'connectionsOn' | 'counters' | 'backendCounts' | 'isEmpty'
  > {
    return this.#machine
  }

  /** How, with upstreams connected from now on that are to be spoken to in TLS. */
  speakTls(how: BackendTls): void {
    this.#backendTls = how
  }

  /** A client that is not read, and not ended; its number is used once in this process. */
  accept(connection: ConnectionId, client: Socket, peers: Peers | undefined): void {
    this.#connections.set(connection, { client, upstream: undefined, attempt: 0 })
    client.on('error', () => this.step({ type: 'errored', connection, side: 'client' }))
    if (peers === undefined) this.step({ type: 'accepted', connection })
    else this.step({ type: 'accepted', connection, peers })
  }

  step(event: StreamListenerEvent): void {
    this.#loop.step(event)
  }

  /** Nothing of this shell runs any more afterwards. */
  dispose(): void {
    this.#loop.stop()
    this.#paused.clear()
  }

  #apply(command: StreamListenerCommand): void {
    switch (command.type) {
      case 'write':
        this.#write(command.connection, command.to, command.bytes)
        return
      case 'pause':
        this.#pause(command.connection, command.side)
        return
      case 'resume':
        this.#resume(command.connection, command.side)
        return
      case 'connect-upstream':
        this.#connect(command)
        return
      case 'abandon-upstream':
        this.#abandon(command.connection, command.attempt)
        return
      case 'hold':
        this.#hold(command.connection)
        return
      case 'join':
        this.#read(command.connection, 'client')
        this.#read(command.connection, 'upstream')
        return
      case 'end':
        this.#socket(command.connection, command.to)?.end()
        return
      case 'close':
        this.#close(command.connection, command.reset)
        if (isTellable(command.reason)) this.#options.turnedAway(command.reason)
        return
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'wanted':
      case 'idle':
      case 'busy':
      case 'emptied':
        this.#options.fact(command)
        return
      default:
        unreachable(command)
    }
  }

  #connect(command: ConnectUpstream): void {
    const { connection, attempt, host, port } = command
    const entry = this.#connections.get(connection)
    if (entry === undefined) return
    let upstream: Socket
    try {
      upstream = connect({ host, port, ...UPSTREAM_OPTIONS })
    } catch (error) {
      this.step(upstreamFailed(connection, attempt, error)) // a port out of range, for one
      return
    }
    entry.upstream = upstream
    entry.attempt = attempt
    let connected = false
    upstream.once('connect', () => {
      connected = true
      if (command.tls) this.#secure(entry, upstream, command)
      else this.step({ type: 'upstream-connected', connection, attempt })
    })
    upstream.on('error', (error) => {
      if (connected) {
        this.step({ type: 'errored', connection, side: 'upstream' })
        return
      }
      if (isHostLimit(error)) this.#options.hostFailed(reasonOf(error))
      this.step(upstreamFailed(connection, attempt, error))
    })
  }

  #secure(entry: Connection, tcp: Socket, command: ConnectUpstream): void {
    const { connection, attempt, host, port, preface } = command
    const backendTls = this.#backendTls
    if (!backendTls.ok) {
      const reason = backendTls.problem
      this.#options.hostFailed(reason)
      this.step({ type: 'upstream-failed', connection, attempt, blame: 'host', reason })
      return
    }
    tcp.removeAllListeners('error') // ours alone; what befalls it is told by its TLS
    const upstream = secureUpstream(tcp, backendTls.options, preface)
    entry.upstream = upstream
    let isSecure = false
    upstream.once('secureConnect', () => {
      isSecure = true
      this.step({ type: 'upstream-connected', connection, attempt })
    })
    upstream.on('error', (error) => {
      if (isSecure) {
        this.step({ type: 'errored', connection, side: 'upstream' })
        return
      }
      const reason = tlsReasonOf(error)
      this.#options.tlsFailed(`${host}:${port}`, reason)
      this.step({ type: 'upstream-failed', connection, attempt, blame: 'backend', reason })
    })
  }

  #abandon(connection: ConnectionId, attempt: Attempt): void {
    const entry = this.#connections.get(connection)
    if (entry === undefined || entry.attempt !== attempt) return
    entry.upstream?.destroy()
    entry.upstream = undefined
  }

  /** Nothing of it is read; that it was reset is looked for. */
  #hold(connection: ConnectionId): void {
    const client = this.#socket(connection, 'client')
    if (client === undefined) return
    this.#paused.add(client, () => this.step({ type: 'errored', connection, side: 'client' }))
  }

  #read(connection: ConnectionId, side: Side): void {
    const socket = this.#socket(connection, side)
    if (socket === undefined) return
    this.#paused.delete(socket)
    socket.on('data', (bytes) => this.step({ type: 'data', connection, from: side, bytes }))
    socket.on('end', () => this.#onEnd(connection, side, socket))
    socket.on('finish', () => this.step({ type: 'finished', connection, side }))
    // One that was read before, if only for its TLS, may have ended with nothing left to read.
    if (socket.readableEnded) this.#onEnd(connection, side, socket)
    else socket.resume()
  }

  #onEnd(connection: ConnectionId, side: Side, socket: Socket): void {
    this.step({ type: 'ended', connection, from: side })
    // What it sent is delivered first: it may have been all it had to say.
    if (wasReset(socket)) this.step({ type: 'errored', connection, side })
  }

  #write(connection: ConnectionId, side: Side, bytes: Uint8Array): void {
    const socket = this.#socket(connection, side)
    // A full chunk reaches the high-water mark even when the kernel took all of it at once;
    // only what waits in memory is worth a pause.
    if (socket === undefined || socket.write(bytes) || socket.writableLength === 0) return
    socket.once('drain', () => this.step({ type: 'writable', connection, side }))
    this.step({ type: 'blocked', connection, side })
  }

  #pause(connection: ConnectionId, side: Side): void {
    const socket = this.#socket(connection, side)
    if (socket === undefined) return
    socket.pause()
    this.#paused.add(socket, () => this.step({ type: 'errored', connection, side }))
  }

  #resume(connection: ConnectionId, side: Side): void {
    const socket = this.#socket(connection, side)
    if (socket === undefined) return
    this.#paused.delete(socket)
    socket.resume()
  }

  #close(connection: ConnectionId, reset: boolean): void {
    const entry = this.#connections.get(connection)
    if (entry === undefined) return
    this.#connections.delete(connection)
    this.#release(entry.client, reset)
    if (entry.upstream !== undefined) this.#release(entry.upstream, reset)
  }

  #release(socket: Socket, reset: boolean): void {
    this.#paused.delete(socket)
    releaseSocket(socket, reset)
  }

  #socket(connection: ConnectionId, side: Side): Socket | undefined {
    const entry = this.#connections.get(connection)
    return side === 'client' ? entry?.client : entry?.upstream
  }
}

const upstreamFailed = (
  connection: ConnectionId,
  attempt: Attempt,
  error: unknown,
): StreamListenerEvent => ({
  type: 'upstream-failed',
  connection,
  attempt,
  blame: isHostLimit(error) ? 'host' : 'backend',
  reason: reasonOf(error),
})

const TELLABLE: ReadonlySet<CloseReason> = new Set<TellableReason>([
  'connections-max',
  'backends-full',
  'forbidden',
  'held-max',
  'hold-timeout',
])

const isTellable = (reason: CloseReason): reason is TellableReason => TELLABLE.has(reason)

const UPSTREAM_OPTIONS = { allowHalfOpen: true, noDelay: true } as const
