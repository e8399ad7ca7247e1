/**
 * Runs the node machine's listener commands: doors, what is behind sockets; and sockets, which lead
 * clients to doors.
 */
import { Effect, type Scope } from 'effect'
import type { ExchangeRecord } from '../../../core/http/commands.ts'
import { defaultIngressConfig, type IngressConfig } from '../../../core/http/config.ts'
import { unreachable } from '../../../core/machine.ts'
import type { ListenerCommand } from '../../../core/node/commands.ts'
import type { ListenerEvent, SocketEvent } from '../../../core/node/events.ts'
import type { HostLimits } from '../../../core/publish/host/flow-budget.ts'
import type { ListenerId } from '../../../core/services/identity.ts'
import { HttpShell } from '../http/http-shell.ts'
import type { HttpCounters } from '../metrics/http-counters.ts'
import type { ListenerBackends } from '../operator/backends.ts'
import { Doors, type ListenerFlows, type MakeUdpHost } from './doors.ts'
import { FailingBackends } from './failing-backends.ts'
import { SeldomNotices, someOf, someWere } from './seldom-notices.ts'
import { afterClosing } from './socket/host-socket.ts'
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
  /** One HTTP request is over, whatever became of it. Throws nothing and keeps nothing. */
  readonly exchanged?: (exchange: ExchangeRecord) => void
  /** Of all that speaks HTTP. */
  readonly http?: IngressConfig
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
  /** Of every HTTP endpoint there ever was. */
  httpCounters(): HttpCounters
  /** Of every TCP and HTTP listener there is now. */
  backendCounts(): Promise<readonly ListenerBackends[]>
  /** What ACME is answered for this token (RFC 8555, 8.3); undefined: nothing any more. */
  challenge(token: string, answer: string | undefined): void
}

export interface ListenerLoad {
  readonly listener: ListenerId
  /** Those on their way in through a socket of several listeners count for the first. */
  readonly connections: number
  /** Of HTTP, and tunnels; who is connected without one counts for nobody. */
  readonly requests: number
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
  readonly #http: HttpShell
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
    const { exchanged = () => {}, http: config = defaultIngressConfig } = options
    const { clientsMax } = config
    const failing = new FailingBackends(seldom)
    this.#http = new HttpShell({
      config,
      // The ingress repeats the ids that doors gave it.
      fact: (listener, fact) => this.#doors.onFact(listener as ListenerId, fact),
      exchanged: (exchange) => {
        exchanged(exchange)
        failing.note(exchange)
      },
      hostFailed: (reason) =>
        seldom('http lost', (times) => `http: ${someOf(times, 'request')} failed: ${reason}`),
      full: () =>
        seldom('http full', (times) => {
          const why = `there are ${clientsMax}, as many as limits.http_clients allows`
          return `http: ${someWere(times, 'client')} turned away: ${why}`
        }),
    })
    this.#doors = new Doors({
      report,
      notice,
      seldom,
      http: this.#http,
      makeUdpHost: options.makeUdpHost ?? makeUsualHost,
      limits: options.limits ?? readHostLimits(),
    })
    this.#sockets = new Sockets({
      doors: this.#doors,
      http: this.#http,
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
    const add = (
      listener: ListenerId,
      connections: number,
      requests: number,
      flows: number,
    ): void => {
      const sum = loads.get(listener)
      loads.set(listener, {
        listener,
        connections: connections + (sum?.connections ?? 0),
        requests: requests + (sum?.requests ?? 0),
        flows: flows + (sum?.flows ?? 0),
      })
    }
    for (const { listener, total } of await this.#doors.flows(0)) add(listener, 0, 0, total)
    for (const [listener, { requests }] of this.#doors.httpDoors()) add(listener, 0, requests, 0)
    for (const { listener, counters } of this.#streams()) {
      add(listener, counters.connectionsLive + counters.greetingsLive, 0, 0)
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

  httpCounters(): HttpCounters {
    const { live, accepted, refused } = this.#http.clients
    const entrance = this.#sockets.httpEntrance()
    const gone = entrance.refused['client-gone'] + refused['client-gone']
    return {
      endpoints: this.#doors.httpEndpoints(),
      clients: {
        live,
        accepted,
        handshakes: entrance.secured,
        refused: { ...entrance.refused, ...refused, 'client-gone': gone },
      },
    }
  }

  async backendCounts(): Promise<readonly ListenerBackends[]> {
    return this.#doors.backends()
  }

  challenge(token: string, answer: string | undefined): void {
    this.#http.step({ type: 'challenge', token, ...(answer === undefined ? {} : { answer }) })
  }

  #streams(): readonly LiveCounters[] {
    return [...this.#doors.streamCounters(), ...this.#sockets.streamCounters()]
  }

  /** Resolves when every descriptor is closed. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#sockets.stop()
    await this.#doors.stop()
    this.#http.stop()
    await afterClosing()
    this.#seldom.stop()
  }
}

/** Loaded when it is needed: most nodes have no UDP. */
const makeUsualHost: MakeUdpHost = async (options) => {
  const { makeUdpHost } = await import('../udp/choose-host.ts')
  return makeUdpHost(options)
}
