/**
 * Runs the node machine's listener commands: doors, what is behind sockets; and sockets, which lead
 * clients to doors.
 */
import { Effect, type Scope } from 'effect'
import { unreachable } from '../../../core/machine.ts'
import type { ListenerCommand } from '../../../core/node/commands.ts'
import type { ListenerEvent, SocketEvent } from '../../../core/node/events.ts'
import type { HostLimits } from '../../../core/publish/host/flow-budget.ts'
import type { ListenerId } from '../../../core/services/identity.ts'
import { Doors, type ListenerFlows, type MakeUdpHost } from './doors.ts'
import { SeldomNotices } from './seldom-notices.ts'
import type { Shown } from './socket/secure-client.ts'
import { Sockets } from './socket/sockets.ts'
import type { LiveCounters, StreamEndpointCounters } from './stream/stream-totals.ts'
import { readHostLimits } from './udp/host-limits.ts'
import type { EndpointCounters } from './udp/udp-totals.ts'

export type { ListenerFlows } from './doors.ts'

export interface ListenersOptions {
  /** May be called from within `apply`; the caller queues. */
  readonly report: (event: ListenerEvent | SocketEvent) => void
  /** For people: something a listener met that no event tells. */
  readonly notice?: (text: string) => void
  /** What clients are shown where TLS ends here; without any no handshake succeeds. */
  readonly certificates?: Shown
  /** What a metrics socket answers, in Prometheus' text format. */
  readonly metrics?: () => Promise<string>
  /** What runs UDP listeners; made for the first of them. */
  readonly makeUdpHost?: MakeUdpHost
  /** Default: this machine's. */
  readonly limits?: HostLimits
}

export interface Listeners {
  apply(command: ListenerCommand): void
  /** What goes through every listener now. */
  load(): Promise<readonly ListenerLoad[]>
  /** Of every UDP listener, at most `limit` in all. */
  flows(limit: number): Promise<readonly ListenerFlows[]>
  /** Of every UDP endpoint there ever was. */
  counters(): Promise<readonly EndpointCounters[]>
  /** Of every TCP endpoint there ever was. */
  streamCounters(): readonly StreamEndpointCounters[]
}

export interface ListenerLoad {
  readonly listener: ListenerId
  /** Those on their way in through a socket of several listeners count for the first. */
  readonly connections: number
  readonly flows: number
}

/** Closes every socket with the scope: listening and connected, by reset. */
export const makeListeners = (
  options: ListenersOptions,
): Effect.Effect<Listeners, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new ListenerSet(options)),
    (listeners) => Effect.promise(() => listeners.stop()),
  )

class ListenerSet implements Listeners {
  readonly #doors: Doors
  readonly #sockets: Sockets
  readonly #seldom: SeldomNotices
  #stopped = false

  constructor(options: ListenersOptions) {
    const report = (event: ListenerEvent | SocketEvent): void => {
      if (!this.#stopped) options.report(event)
    }
    const notice = (text: string): void => options.notice?.(text)
    this.#seldom = new SeldomNotices(notice)
    const seldom = this.#seldom.say
    this.#doors = new Doors({
      report,
      notice,
      seldom,
      makeUdpHost: options.makeUdpHost ?? makeUsualHost,
      limits: options.limits ?? readHostLimits(),
    })
    this.#sockets = new Sockets({
      doors: this.#doors,
      report,
      seldom,
      certificates: options.certificates,
      metrics: options.metrics,
    })
  }

  apply(command: ListenerCommand): void {
    if (this.#stopped) return
    switch (command.type) {
      case 'open-listener':
      case 'configure-listener':
      case 'close-listener':
      case 'apply-backends':
      case 'cut-backend':
        this.#doors.apply(command)
        return
      case 'bind-socket':
      case 'route-socket':
      case 'unbind-socket':
        this.#sockets.apply(command)
        return
      default:
        unreachable(command)
    }
  }

  async load(): Promise<readonly ListenerLoad[]> {
    const loads = new Map<ListenerId, ListenerLoad>()
    const add = (listener: ListenerId, connections: number, flows: number): void => {
      const sum = loads.get(listener)
      loads.set(listener, {
        listener,
        connections: connections + (sum?.connections ?? 0),
        flows: flows + (sum?.flows ?? 0),
      })
    }
    for (const { listener, total } of await this.#doors.flows(0)) add(listener, 0, total)
    for (const { listener, counters } of this.#streams()) {
      add(listener, counters.connectionsLive + counters.greetingsLive, 0)
    }
    return [...loads.values()]
  }

  flows(limit: number): Promise<readonly ListenerFlows[]> {
    return this.#doors.flows(limit)
  }

  counters(): Promise<readonly EndpointCounters[]> {
    return this.#doors.udpCounters()
  }

  streamCounters(): readonly StreamEndpointCounters[] {
    return this.#doors.streamTotals.read(this.#streams())
  }

  #streams(): readonly LiveCounters[] {
    return [...this.#doors.streamCounters(), ...this.#sockets.streamCounters()]
  }

  /** Resolves when every descriptor is closed. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#sockets.stop()
    await this.#doors.stop()
    this.#seldom.stop()
  }
}

/** Loaded when it is needed: most nodes have no UDP. */
const makeUsualHost: MakeUdpHost = async (options) => {
  const { makeUdpHost } = await import('../udp/choose-host.ts')
  return makeUdpHost(options)
}
