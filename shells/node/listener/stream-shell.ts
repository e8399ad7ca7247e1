/**
 * Runs one `StreamListener` machine against real sockets. One pump, one switch, no policy: what
 * sockets do becomes an event, what comes back is done. The listening socket and the connections
 * live apart, because connections outlast it.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { ListenerFact } from '../../../core/balance/facts.ts'
import { strategyNamed } from '../../../core/balance/strategies.ts'
import { type Attempt, unreachable } from '../../../core/machine.ts'
import type { OpenListener } from '../../../core/node/commands.ts'
import type { StreamListenerCommand } from '../../../core/stream/commands.ts'
import type { ConnectionId, Side, StreamListenerEvent } from '../../../core/stream/events.ts'
import { StreamListener } from '../../../core/stream/listener.ts'
import { defaultStreamConfig } from '../../../core/stream/state.ts'
import { isHostLimit, reasonOf } from '../socket-errors.ts'
import { releaseSocket } from './release-socket.ts'

export interface StreamShellOptions {
  readonly balance: OpenListener['balance']
  /** May be called from within any method. */
  readonly fact: (fact: ListenerFact) => void
  /** A connection was lost because this machine lacks something; the listener goes on. */
  readonly hostFailed: (reason: string) => void
}

interface Connection {
  readonly client: Socket
  upstream: Socket | undefined
  attempt: Attempt
}

export class StreamShell {
  readonly #machine: StreamListener
  readonly #options: StreamShellOptions
  readonly #connections = new Map<ConnectionId, Connection>()
  readonly #inbox: StreamListenerEvent[] = []
  readonly #batch: StreamListenerCommand[] = []
  #stepping = false
  #connectionLast = 0
  #server: Server | undefined
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(options: StreamShellOptions) {
    const { strategy, failOpen } = options.balance
    const [seed = 0] = crypto.getRandomValues(new Uint32Array(1))
    this.#options = options
    this.#machine = new StreamListener(defaultStreamConfig, {
      strategy: strategyNamed(strategy, seed),
      failOpen,
    })
  }

  /** Counters and counts, for people and tests. */
  get machine(): Pick<StreamListener, 'connections' | 'connectionsOn' | 'counters' | 'isEmpty'> {
    return this.#machine
  }

  /** Binds the listening socket. Resolves to the bound address, rejects with the system's error. */
  listen(host: string, port: number): Promise<string> {
    const server = createServer(SERVER_OPTIONS)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      // `ipv6Only`: what is bound is what was asked for, whatever the system's default.
      server.listen({ host, port, exclusive: true, ipv6Only: host.includes(':') }, () => {
        server.off('error', reject)
        server.on('error', (error) => this.#options.hostFailed(reasonOf(error)))
        server.on('connection', (client) => this.#accept(client))
        this.#server = server
        resolve(addressOf(server))
      })
    })
  }

  /** The pump. What happens while a step's commands run waits for its turn. */
  step(event: StreamListenerEvent): void {
    if (this.#stepping) {
      this.#inbox.push(event)
      return
    }
    this.#stepping = true
    const batch = this.#batch
    for (let next: typeof event | undefined = event; next; next = this.#inbox.shift()) {
      batch.length = 0
      this.#machine.step(next, performance.now(), batch)
      for (const command of batch) this.#apply(command)
    }
    this.#stepping = false
    this.#arm()
  }

  /** Nothing of this shell runs any more afterwards. */
  dispose(): void {
    clearTimeout(this.#timer)
  }

  #apply(command: StreamListenerCommand): void {
    switch (command.type) {
      case 'write':
        this.#write(command.connection, command.to, command.bytes)
        return
      case 'pause':
        this.#socket(command.connection, command.side)?.pause()
        return
      case 'resume':
        this.#socket(command.connection, command.side)?.resume()
        return
      case 'connect-upstream':
        this.#connect(command.connection, command.attempt, command.host, command.port)
        return
      case 'abandon-upstream':
        this.#abandon(command.connection, command.attempt)
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
        return
      case 'stop-listening':
        // libuv closes the descriptor within the call; the server's own `close` event would
        // wait for every connection.
        this.#server?.close()
        this.#server = undefined
        return
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'emptied':
        this.#options.fact(command)
        return
      default:
        unreachable(command)
    }
  }

  #accept(client: Socket): void {
    this.#connectionLast += 1
    const connection = this.#connectionLast as ConnectionId
    this.#connections.set(connection, { client, upstream: undefined, attempt: 0 })
    client.on('error', () => this.step({ type: 'errored', connection, side: 'client' }))
    this.step({ type: 'accepted', connection })
  }

  #connect(connection: ConnectionId, attempt: Attempt, host: string, port: number): void {
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
      this.step({ type: 'upstream-connected', connection, attempt })
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

  #abandon(connection: ConnectionId, attempt: Attempt): void {
    const entry = this.#connections.get(connection)
    if (entry === undefined || entry.attempt !== attempt) return
    entry.upstream?.destroy()
    entry.upstream = undefined
  }

  #read(connection: ConnectionId, side: Side): void {
    const socket = this.#socket(connection, side)
    if (socket === undefined) return
    socket.on('data', (bytes) => this.step({ type: 'data', connection, from: side, bytes }))
    socket.on('end', () => this.step({ type: 'ended', connection, from: side }))
    socket.on('finish', () => this.step({ type: 'finished', connection, side }))
    socket.resume()
  }

  #write(connection: ConnectionId, side: Side, bytes: Uint8Array): void {
    const socket = this.#socket(connection, side)
    // A full chunk reaches the high-water mark even when the kernel took all of it at once;
    // only what waits in memory is worth a pause.
    if (socket === undefined || socket.write(bytes) || socket.writableLength === 0) return
    socket.once('drain', () => this.step({ type: 'writable', connection, side }))
    this.step({ type: 'blocked', connection, side })
  }

  #close(connection: ConnectionId, reset: boolean): void {
    const entry = this.#connections.get(connection)
    if (entry === undefined) return
    this.#connections.delete(connection)
    releaseSocket(entry.client, reset)
    if (entry.upstream !== undefined) releaseSocket(entry.upstream, reset)
  }

  #socket(connection: ConnectionId, side: Side): Socket | undefined {
    const entry = this.#connections.get(connection)
    return side === 'client' ? entry?.client : entry?.upstream
  }

  /** A timer that is early only causes a tick that does nothing and arms the next. */
  #arm(): void {
    const at = this.#machine.deadline()
    if (at === undefined || this.#timerAt <= at) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    const delayMs = Math.min(Math.max(0, Math.ceil(at - performance.now())), TIMER_MS_MAX)
    // Sockets keep the process alive, a timer alone has nothing to do.
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.step({ type: 'tick' })
    }, delayMs).unref()
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

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return String(address)
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${host}:${address.port}`
}

const SERVER_OPTIONS = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true } as const
const UPSTREAM_OPTIONS = { allowHalfOpen: true, noDelay: true } as const
/** What `setTimeout` takes. */
const TIMER_MS_MAX = 2 ** 31 - 1
