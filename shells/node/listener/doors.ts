/** Runs the node machine's door commands: one door for each listener, of whatever protocol. */
import type { ListenerFact } from '../../../core/balance/facts.ts'
import { unreachable } from '../../../core/machine.ts'
import type { DoorCommand, OpenListener } from '../../../core/node/commands.ts'
import type { ListenerEvent } from '../../../core/node/events.ts'
import type { HostLimits } from '../../../core/publish/host/flow-budget.ts'
import type { ListenerId, ReplicaId } from '../../../core/services/identity.ts'
import { HttpDoor } from '../http/http-door.ts'
import type { HttpShell } from '../http/http-shell.ts'
import type { HttpCounters, HttpEndpointNumbers } from '../metrics/http-counters.ts'
import type { ListenerBackends } from '../operator/backends.ts'
import type { FlowList, UdpHost } from '../udp/udp-host.ts'
import type { Door } from './door.ts'
import { EndpointSums } from './endpoint-sums.ts'
import { type SaySeldom, someWere } from './seldom-notices.ts'
import { afterClosing } from './socket/host-socket.ts'
import { StreamDoor } from './stream/stream-door.ts'
import { type LiveCounters, ofListener, StreamTotals } from './stream/stream-totals.ts'
import { FlowShares } from './udp/flow-shares.ts'
import { UdpDoor } from './udp/udp-door.ts'
import { type EndpointCounters, UdpTotals } from './udp/udp-totals.ts'

export interface DoorsOptions {
  readonly report: (event: ListenerEvent) => void
  /** For people. */
  readonly notice: (text: string) => void
  /** Likewise, about what may come often. */
  readonly seldom: SaySeldom
  /** What runs HTTP listeners; their facts come to {@link Doors.onFact}. */
  readonly http: HttpShell
  readonly makeUdpHost: MakeUdpHost
  readonly limits: HostLimits
}

export type MakeUdpHost = (options: {
  readonly notice: (text: string) => void
}) => UdpHost | Promise<UdpHost>

export interface ListenerFlows extends FlowList {
  readonly listener: ListenerId
}

export class Doors {
  readonly #options: DoorsOptions
  readonly #doors = new Map<ListenerId, Door>()
  readonly #shares: FlowShares
  readonly #udpTotals = new UdpTotals()
  readonly streamTotals = new StreamTotals()
  readonly #httpPast = new EndpointSums<HttpEndpointNumbers>()
  #udpHost: Promise<UdpHost> | undefined

  constructor(options: DoorsOptions) {
    this.#options = options
    this.#shares = new FlowShares({
      limits: options.limits,
      deal: (listener, flowsMax) => this.udpDoor(listener)?.deal(flowsMax),
      notice: options.notice,
    })
  }

  apply(command: DoorCommand): void {
    const { listener } = command
    switch (command.type) {
      case 'open-listener':
        this.#open(command)
        return
      case 'configure-listener':
        this.#doors.get(listener)?.configure(command)
        return
      case 'close-listener':
        this.#doors.get(listener)?.close()
        return
      case 'apply-backends': {
        const { version, backends, whenEmpty } = command
        const door = this.#doors.get(listener)
        if (door !== undefined) door.applyBackends(version, backends, whenEmpty)
        // It is over: nothing goes to any backend.
        else this.#options.report({ type: 'backends-applied', listener, version })
        return
      }
      case 'cut-backend':
        this.#doors.get(listener)?.cutBackend(command.backend)
        return
      default:
        unreachable(command)
    }
  }

  streamDoor(listener: ListenerId): StreamDoor | undefined {
    const door = this.#doors.get(listener)
    return door instanceof StreamDoor ? door : undefined
  }

  udpDoor(listener: ListenerId): UdpDoor | undefined {
    const door = this.#doors.get(listener)
    return door instanceof UdpDoor ? door : undefined
  }

  streamDoors(): readonly (readonly [ListenerId, StreamDoor])[] {
    return this.#doorsOf(StreamDoor)
  }

  udpDoors(): readonly (readonly [ListenerId, UdpDoor])[] {
    return this.#doorsOf(UdpDoor)
  }

  async flows(limit: number): Promise<readonly ListenerFlows[]> {
    const lists: ListenerFlows[] = []
    let left = limit
    for (const [listener, door] of this.udpDoors()) {
      const list = await door.flows(left).catch(() => NO_FLOWS)
      lists.push({ listener, ...list })
      left -= list.flows.length
    }
    return lists
  }

  udpCounters(): Promise<readonly EndpointCounters[]> {
    return this.#udpTotals.read(
      this.udpDoors().map(([listener, door]) => ({ listener, counters: door.counters() })),
    )
  }

  streamCounters(): readonly LiveCounters[] {
    return this.streamDoors().map(([listener, door]) => ({
      listener,
      counters: ofListener(door.counters, door.connections),
    }))
  }

  httpDoors(): readonly (readonly [ListenerId, HttpDoor])[] {
    return this.#doorsOf(HttpDoor)
  }

  httpEndpoints(): HttpCounters['endpoints'] {
    return this.#httpPast.with(
      this.httpDoors().map(([listener, { numbers: counters }]) => ({ listener, counters })),
    )
  }

  backends(): readonly ListenerBackends[] {
    const http = this.httpDoors().map(([listener, { backends }]) => ({ listener, backends }))
    const tcp = this.streamDoors().map(([listener, door]) => ({
      listener,
      backends: door.backends(),
    }))
    return [...http, ...tcp]
  }

  /** Resolves when every descriptor is closed; no socket leads here any more. */
  async stop(): Promise<void> {
    // Its host ends what is left of UDP.
    for (const [listener] of this.udpDoors()) this.#doors.delete(listener)
    for (const door of [...this.#doors.values()]) door.abort()
    // An abort goes in steps of bounded size; the last one empties the machine.
    while (this.#doors.size > 0) await afterClosing()
    await afterClosing()
    const host = await this.#udpHost?.catch(() => undefined)
    await host?.stop()
  }

  #open(command: OpenListener): void {
    const { listener } = command
    const door = this.#doors.get(listener) ?? this.#makeDoor(command)
    this.#doors.set(listener, door)
    door.configure(command)
  }

  #makeDoor(command: OpenListener): Door {
    const { listener, balance, protocol } = command
    const { notice } = this.#options
    const seldom: SaySeldom = (what, words) =>
      this.#options.seldom(`${listener} ${what}`, (times) => `${listener}: ${words(times)}`)
    const fact = (fact: ListenerFact): void => this.onFact(listener, fact)
    if (protocol === 'tcp') {
      return new StreamDoor({
        balance,
        fact,
        notice: (text) => notice(`${listener}: ${text}`),
        seldom,
      })
    }
    if (protocol === 'http') return new HttpDoor({ listener, shell: this.#options.http })
    return new UdpDoor(
      {
        balance,
        fact,
        hostFailed: (reason) =>
          seldom('lost', (times) => `${someWere(times, 'datagram')} lost: ${reason}`),
        host: () => this.#hostOfUdp(),
        ask: (flowsMax) => this.#shares.ask(listener, flowsMax),
        leave: () => this.#shares.leave(listener),
      },
      command,
    )
  }

  #hostOfUdp(): Promise<UdpHost> {
    const { makeUdpHost: make, notice } = this.#options
    this.#udpHost ??= Promise.resolve().then(() => make({ notice }))
    // One that could not be made is tried again with the next attempt to listen.
    this.#udpHost.catch(() => {
      this.#udpHost = undefined
    })
    return this.#udpHost
  }

  /** Of a listener whose machine is not its door's alone, or is. */
  onFact(listener: ListenerId, fact: ListenerFact): void {
    switch (fact.type) {
      case 'backends-applied':
        this.#options.report({ ...fact, listener })
        return
      case 'backend-drained':
      case 'backend-failed':
        // The machine repeats the ids it was given by `apply-backends`.
        this.#options.report({ ...fact, listener, backend: fact.backend as ReplicaId })
        return
      case 'wanted':
      case 'idle':
      case 'busy':
        this.#options.report({ type: `listener-${fact.type}`, listener })
        return
      case 'emptied':
        this.#forget(listener)
        return
      default:
        unreachable(fact)
    }
  }

  #forget(listener: ListenerId): void {
    const door = this.#doors.get(listener)
    if (door instanceof UdpDoor) this.#udpTotals.retire(listener, door.counters())
    if (door instanceof HttpDoor) this.#httpPast.add(listener, door.numbers)
    if (door instanceof StreamDoor) this.streamTotals.retireListener(listener, door.counters)
    door?.dispose()
    this.#doors.delete(listener)
    this.#shares.leave(listener)
  }

  #doorsOf<D extends Door>(
    kind: new (...args: never[]) => D,
  ): readonly (readonly [ListenerId, D])[] {
    return [...this.#doors].flatMap(([listener, door]) =>
      door instanceof kind ? [[listener, door] as const] : [],
    )
  }
}

const NO_FLOWS: FlowList = { flows: [], total: 0 }
