/** Runs the node machine's listener commands: one door for each listener, TCP or UDP. */
import { Effect, type Scope } from 'effect'
import type { ListenerFact } from '../../../core/balance/facts.ts'
import { type Attempt, unreachable } from '../../../core/machine.ts'
import type { Backend, ListenerCommand, OpenListener } from '../../../core/node/commands.ts'
import type { ListenerEvent } from '../../../core/node/events.ts'
import type { HostLimits } from '../../../core/publish/flow-budget.ts'
import type { ListenerId, ReplicaId } from '../../../core/services/identity.ts'
import { isAddressInUse, reasonOf } from '../socket-errors.ts'
import type { FlowList, UdpHost } from '../udp/udp-host.ts'
import type { Door } from './door.ts'
import { FlowShares } from './flow-shares.ts'
import { readHostLimits } from './host-limits.ts'
import { portHolder } from './port-holder.ts'
import { afterClosing, streamDoor } from './stream-door.ts'
import { UdpDoor } from './udp-door.ts'
import { type EndpointCounters, UdpTotals } from './udp-totals.ts'

export interface ListenersOptions {
  /** May be called from within `apply`; the caller queues. */
  readonly report: (event: ListenerEvent) => void
  /** For people: something a listener met that no event tells. */
  readonly notice?: (text: string) => void
  /** What runs UDP listeners; made for the first of them. */
  readonly makeUdpHost?: MakeUdpHost
  /** Default: this machine's. */
  readonly limits?: HostLimits
}

export type MakeUdpHost = (options: {
  readonly notice: (text: string) => void
}) => UdpHost | Promise<UdpHost>

export interface Listeners {
  apply(command: ListenerCommand): void
  /** Of every UDP listener, at most `limit` in all. */
  flows(limit: number): Promise<readonly ListenerFlows[]>
  /** Of every UDP endpoint there ever was. */
  counters(): Promise<readonly EndpointCounters[]>
}

export interface ListenerFlows extends FlowList {
  readonly listener: ListenerId
}

/** Closes every socket with the scope: listening and connected, by reset. */
export const makeListeners = (
  options: ListenersOptions,
): Effect.Effect<Listeners, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new ListenerSet(options)),
    (listeners) => Effect.promise(() => listeners.stop()),
  )

/**
 * A listener that is being opened, is open, or has connections or backends: those it is given
 * before it is open, or between a failed open and its retry, count from then on.
 */
interface Entry {
  door: Door | undefined
  /** The set given while there is no door. */
  held: { readonly version: number; readonly backends: readonly Backend[] } | undefined
  /** The bind made last, under way or done; never rejects. */
  opening: Promise<void> | undefined
  phase: 'idle' | 'opening' | 'listening' | 'closed'
}

class ListenerSet implements Listeners {
  readonly #entries = new Map<ListenerId, Entry>()
  readonly #options: ListenersOptions
  readonly #shares: FlowShares
  readonly #totals = new UdpTotals()
  #udpHost: Promise<UdpHost> | undefined
  #stopped = false
  #noticedAt = Number.NEGATIVE_INFINITY

  constructor(options: ListenersOptions) {
    this.#options = options
    this.#shares = new FlowShares({
      limits: options.limits ?? readHostLimits(),
      deal: (listener, flowsMax) => this.#udpDoor(listener)?.deal(flowsMax),
      notice: (text) => options.notice?.(text),
    })
  }

  apply(command: ListenerCommand): void {
    if (this.#stopped) return
    switch (command.type) {
      case 'open-listener':
        this.#open(command)
        return
      case 'configure-listener':
        this.#entries.get(command.listener)?.door?.configure(command)
        return
      case 'close-listener':
        void this.#close(command.listener, command.attempt)
        return
      case 'apply-backends': {
        const { listener, version, backends } = command
        const entry = this.#entries.get(listener) ?? this.#enter(listener)
        if (entry.door === undefined) this.#hold(listener, entry, version, backends)
        else entry.door.applyBackends(version, backends)
        this.#forgetIfUnused(listener, entry)
        return
      }
      case 'cut-backend':
        this.#entries.get(command.listener)?.door?.cutBackend(command.backend)
        return
      default:
        unreachable(command)
    }
  }

  async flows(limit: number): Promise<readonly ListenerFlows[]> {
    const lists: ListenerFlows[] = []
    let left = limit
    for (const [listener, door] of this.#udpDoors()) {
      const list = await door.flows(left).catch(() => ({ flows: [], total: 0 }))
      lists.push({ listener, ...list })
      left -= list.flows.length
    }
    return lists
  }

  counters(): Promise<readonly EndpointCounters[]> {
    const live = this.#udpDoors().map(([listener, door]) => ({
      listener,
      counters: door.counters(),
    }))
    return this.#totals.read(live)
  }

  /** Resolves when every descriptor is closed. */
  async stop(): Promise<void> {
    this.#stopped = true
    const entries = [...this.#entries.values()]
    await Promise.all(entries.map(({ opening }) => opening))
    // Its host ends what is left of UDP.
    for (const [listener] of this.#udpDoors()) this.#entries.delete(listener)
    for (const [listener, { door }] of this.#entries) {
      if (door === undefined) this.#entries.delete(listener)
      else door.abort()
    }
    // An abort goes in steps of bounded size; the last one empties the machine.
    while (this.#entries.size > 0) await afterClosing()
    await afterClosing()
    const host = await this.#udpHost?.catch(() => undefined)
    await host?.stop()
  }

  #open(command: OpenListener): void {
    const { listener, attempt } = command
    const entry = this.#entries.get(listener) ?? this.#enter(listener)
    if (entry.phase !== 'idle') {
      const reason = `the listener is ${entry.phase} already`
      this.#report({ type: 'listener-failed', listener, attempt, reason })
      return
    }
    entry.door ??= this.#makeDoor(listener, entry, command)
    entry.door.configure(command)
    if (entry.held !== undefined) {
      const { version, backends } = entry.held
      entry.held = undefined
      entry.door.applyBackends(version, backends)
    }
    entry.phase = 'opening'
    entry.opening = this.#bind(entry, entry.door, command)
  }

  #makeDoor(listener: ListenerId, entry: Entry, command: OpenListener): Door {
    const { balance, protocol } = command
    const fact = (fact: ListenerFact): void => this.#onFact(listener, entry, fact)
    const what = protocol === 'udp' ? 'a datagram' : 'a connection'
    const hostFailed = (reason: string): void =>
      this.#notice(`${listener}: ${what} was lost: ${reason}`)
    if (protocol === 'tcp') return streamDoor({ balance, fact, hostFailed })
    const host = (): Promise<UdpHost> => this.#hostOfUdp()
    const ask = (flowsMax: number): void => this.#shares.ask(listener, flowsMax)
    return new UdpDoor({ balance, fact, hostFailed, host, ask }, command)
  }

  #hostOfUdp(): Promise<UdpHost> {
    const make = this.#options.makeUdpHost ?? makeUsualHost
    const notice = (text: string): void => this.#options.notice?.(text)
    this.#udpHost ??= Promise.resolve().then(() => make({ notice }))
    // One that could not be made is tried again with the next attempt to listen.
    this.#udpHost.catch(() => {
      this.#udpHost = undefined
    })
    return this.#udpHost
  }

  async #bind(entry: Entry, door: Door, command: OpenListener): Promise<void> {
    const { listener, attempt, host, port, protocol } = command
    try {
      const address = await door.listen(host, port)
      if (entry.phase === 'opening') entry.phase = 'listening'
      this.#report({ type: 'listener-opened', listener, attempt, address })
    } catch (error) {
      const reason = reasonOf(error)
      const holder = isAddressInUse(error) ? await portHolder(host, port, protocol) : undefined
      const who = holder === undefined ? {} : { holder }
      if (entry.phase === 'opening') entry.phase = 'idle'
      this.#forgetIfUnused(listener, entry)
      this.#report({ type: 'listener-failed', listener, attempt, reason, ...who })
    }
  }

  async #close(listener: ListenerId, attempt: Attempt): Promise<void> {
    const entry = this.#entries.get(listener)
    if (entry !== undefined) {
      const isOpening = entry.phase === 'opening'
      entry.phase = 'closed'
      if (isOpening) await entry.opening
      if (entry.door === undefined) this.#forget(listener, entry)
      await entry.door?.close()
    }
    this.#report({ type: 'listener-closed', listener, attempt })
  }

  #enter(listener: ListenerId): Entry {
    const entry: Entry = { door: undefined, held: undefined, opening: undefined, phase: 'idle' }
    this.#entries.set(listener, entry)
    return entry
  }

  /** Nothing goes through it, so what is missing now had nothing left when it was taken out. */
  #hold(listener: ListenerId, entry: Entry, version: number, backends: readonly Backend[]): void {
    const kept = new Set(backends.map(({ id }) => id))
    const left = (entry.held?.backends ?? []).filter(({ id }) => !kept.has(id))
    entry.held = backends.length === 0 ? undefined : { version, backends }
    this.#report({ type: 'backends-applied', listener, version })
    for (const { id: backend } of left) {
      this.#report({ type: 'backend-drained', listener, backend, version })
    }
  }

  /** Of a failed open nothing is kept, unless it was given backends that the retry will want. */
  #forgetIfUnused(listener: ListenerId, entry: Entry): void {
    if (entry.phase !== 'idle' || entry.held !== undefined || entry.door?.isEmpty === false) return
    this.#forget(listener, entry)
  }

  #forget(listener: ListenerId, { door }: Entry): void {
    door?.dispose()
    this.#entries.delete(listener)
    this.#shares.leave(listener)
  }

  #onFact(listener: ListenerId, entry: Entry, fact: ListenerFact): void {
    switch (fact.type) {
      case 'backends-applied':
        this.#report({ ...fact, listener })
        return
      case 'backend-drained':
      case 'backend-failed':
        // The machine repeats the ids it was given by `apply-backends`.
        this.#report({ ...fact, listener, backend: fact.backend as ReplicaId })
        return
      case 'emptied':
        if (entry.door instanceof UdpDoor) this.#totals.retire(listener, entry.door.counters())
        this.#forget(listener, entry)
        return
      default:
        unreachable(fact)
    }
  }

  #udpDoor(listener: ListenerId): UdpDoor | undefined {
    const door = this.#entries.get(listener)?.door
    return door instanceof UdpDoor ? door : undefined
  }

  #udpDoors(): readonly (readonly [ListenerId, UdpDoor])[] {
    return [...this.#entries].flatMap(([listener, { door }]) =>
      door instanceof UdpDoor ? [[listener, door] as const] : [],
    )
  }

  #report(event: ListenerEvent): void {
    if (!this.#stopped) this.#options.report(event)
  }

  /** At most one every ten seconds. */
  #notice(text: string): void {
    const now = performance.now()
    if (now - this.#noticedAt < NOTICE_INTERVAL_MS) return
    this.#noticedAt = now
    this.#options.notice?.(text)
  }
}

/** Loaded when it is needed: most nodes have no UDP. */
const makeUsualHost: MakeUdpHost = async (options) => {
  const { makeUdpHost } = await import('../udp/choose-host.ts')
  return makeUdpHost(options)
}

const NOTICE_INTERVAL_MS = 10_000
