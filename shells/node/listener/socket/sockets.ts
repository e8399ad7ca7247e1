/** Runs the node machine's socket commands: one host socket for each. */
import { unreachable } from '../../../../core/machine.ts'
import type { SocketCommand, SocketUse } from '../../../../core/node/commands.ts'
import type { SocketEvent } from '../../../../core/node/events.ts'
import type { SocketId } from '../../../../core/publish/events.ts'
import {
  type EntranceCounters,
  zeroEntranceCounters,
} from '../../../../core/stream/entrance/state.ts'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { HttpPort } from '../../http/http-port.ts'
import { isAddressInUse, isAddressMissing, reasonOf } from '../../socket-errors.ts'
import { sumOf } from '../../udp/sum-counters.ts'
import type { Doors } from '../doors.ts'
import type { SaySeldom } from '../seldom-notices.ts'
import { type LiveCounters, ofEntrance } from '../stream/stream-totals.ts'
import type { HostSocket } from './host-socket.ts'
import { MetricsSocket } from './metrics-socket.ts'
import { portHolder } from './port-holder.ts'
import type { Shown } from './secure-client.ts'
import { StreamSocket } from './stream-socket.ts'
import { udpSocket } from './udp-socket.ts'

export interface SocketsOptions {
  readonly doors: Pick<Doors, 'streamDoor' | 'udpDoor' | 'streamTotals'>
  readonly http: HttpPort['shell']
  readonly report: (event: SocketEvent) => void
  /** For people. */
  readonly seldom: SaySeldom
  readonly certificates: Shown | undefined
  readonly metrics: (() => Promise<string>) | undefined
}

interface Entry {
  readonly socket: HostSocket
  readonly isUdp: boolean
  phase: 'binding' | 'bound' | 'closing'
  /** Never rejects. */
  binding: Promise<void>
  closing: Promise<void> | undefined
}

type Bind = Extract<SocketCommand, { type: 'bind-socket' }>

export class Sockets {
  readonly #options: SocketsOptions
  readonly #entries = new Map<SocketId, Entry>()
  #connectionLast = 0
  #portLast = 0
  /** Of sockets that spoke HTTP and do no more. */
  #httpPast = zeroEntranceCounters()

  constructor(options: SocketsOptions) {
    this.#options = options
  }

  apply(command: SocketCommand): void {
    switch (command.type) {
      case 'bind-socket':
        this.#bind(command)
        return
      case 'route-socket':
        this.#entries.get(command.socket)?.socket.route(command.use)
        return
      case 'unbind-socket':
        void this.#unbind(command.socket, command.attempt)
        return
      default:
        unreachable(command)
    }
  }

  /** Of TCP, by the listener they lead to, or lead to first. */
  streamCounters(): readonly LiveCounters[] {
    return this.#streamSockets().flatMap(({ first: listener, counters, greetings }) =>
      listener === undefined ? [] : [{ listener, counters: ofEntrance(counters, greetings) }],
    )
  }

  /** Of those that speak HTTP, all together. */
  httpEntrance(): EntranceCounters {
    return this.#streamSockets()
      .filter(({ first }) => first === undefined)
      .reduce((sum, { counters }) => sumOf(sum, counters), this.#httpPast)
  }

  /** Resolves when every descriptor is closed that is no listener's. */
  async stop(): Promise<void> {
    const entries = [...this.#entries.values()]
    await Promise.all(entries.map(({ binding }) => binding))
    // Those of UDP close when their host stops; it does not wait for answers.
    const others = [...this.#entries].filter(([, { isUdp }]) => !isUdp)
    await Promise.all(
      others.map(([id, entry]) => {
        entry.closing ??= this.#close(id, entry)
        return entry.closing
      }),
    )
  }

  #bind(command: Bind): void {
    const { socket: id, attempt, use } = command
    const present = this.#entries.get(id)
    if (present !== undefined) {
      const reason = `the socket is ${present.phase} already`
      this.#options.report({ type: 'socket-failed', socket: id, attempt, reason })
      return
    }
    const isUdp = use.kind === 'udp'
    const socket = this.#make(use, `${command.host} port ${command.port}`)
    const binding = Promise.resolve()
    const entry: Entry = { socket, isUdp, phase: 'binding', binding, closing: undefined }
    this.#entries.set(id, entry)
    entry.binding = this.#listen(entry, command)
  }

  #make(use: SocketUse, where: string): HostSocket {
    const { doors, http, certificates, metrics, seldom } = this.#options
    switch (use.kind) {
      case 'tcp':
        return new StreamSocket(use, {
          doorOf: (listener) => doors.streamDoor(listener),
          nextConnection: () => {
            this.#connectionLast += 1
            return this.#connectionLast as ConnectionId
          },
          http: new HttpPort(http, `${this.#nextPort()}`),
          certificates,
          retire: (listener, counters) => {
            if (listener !== undefined) doors.streamTotals.retireEntrance(listener, counters)
            else this.#httpPast = sumOf(this.#httpPast, counters)
          },
          lost: (listener) => doors.streamTotals.countLost(listener),
          seldom,
        })
      case 'udp':
        return udpSocket(doors.udpDoor(use.listener))
      case 'metrics':
        return new MetricsSocket({
          read: metrics ?? (async () => ''),
          failed: (reason) => seldom(`${where} metrics`, () => `${where}: metrics: ${reason}`),
        })
      default:
        return unreachable(use)
    }
  }

  #nextPort(): number {
    this.#portLast += 1
    return this.#portLast
  }

  async #listen(entry: Entry, { socket, attempt, host, port, use }: Bind): Promise<void> {
    try {
      const address = await entry.socket.listen(host, port)
      if (entry.phase === 'binding') entry.phase = 'bound'
      this.#options.report({ type: 'socket-bound', socket, attempt, address })
    } catch (error) {
      const protocol = use.kind === 'udp' ? 'udp' : 'tcp'
      const holder = isAddressInUse(error) ? await portHolder(host, port, protocol) : undefined
      this.#entries.delete(socket)
      this.#options.report({
        type: 'socket-failed',
        socket,
        attempt,
        reason: reasonOf(error),
        ...(holder === undefined ? {} : { holder }),
        ...(isAddressMissing(error) ? { isMissing: true } : {}),
      })
    }
  }

  async #unbind(socket: SocketId, attempt: number): Promise<void> {
    const entry = this.#entries.get(socket)
    if (entry !== undefined) {
      entry.phase = 'closing'
      entry.closing ??= this.#close(socket, entry)
      await entry.closing
    }
    this.#options.report({ type: 'socket-unbound', socket, attempt })
  }

  async #close(socket: SocketId, entry: Entry): Promise<void> {
    await entry.binding
    // Unless the bind failed: there is nothing to close then.
    if (this.#entries.get(socket) !== entry) return
    await entry.socket.close()
    this.#entries.delete(socket)
  }

  #streamSockets(): readonly StreamSocket[] {
    return [...this.#entries.values()].flatMap(({ socket }) =>
      socket instanceof StreamSocket ? [socket] : [],
    )
  }
}
