/**
 * Runs one `FlowTable` against sockets of `node:dgram`. One pump, one switch, no policy: what
 * sockets do becomes an event, what comes back is done.
 */
import type { RemoteInfo } from 'node:dgram'
import { performance } from 'node:perf_hooks'
import type { Backend, BackendId } from '../../../../core/balance/group.ts'
import { strategyNamed } from '../../../../core/balance/strategies.ts'
import { unreachable } from '../../../../core/machine.ts'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../../core/udp/commands.ts'
import { checkedConfig, type UdpConfig } from '../../../../core/udp/config.ts'
import type { UdpCounters } from '../../../../core/udp/counters.ts'
import type { FlowEvent } from '../../../../core/udp/events.ts'
import { slotOf } from '../../../../core/udp/flow-id.ts'
import { FlowTable } from '../../../../core/udp/table.ts'
import { isAddressInUse, isHostLimit, reasonOf } from '../../socket-errors.ts'
import { faultLine } from '../batch/fault-line.ts'
import { FlowDurations } from '../flow-durations.ts'
import type { LocalAddresses } from '../local-addresses.ts'
import type { Names } from '../names.ts'
import { RememberedSet } from '../remembered-set.ts'
import { LISTEN_AGAIN_MS, Reopening } from '../reopening.ts'
import { sumOf, withAborted, withInvalid } from '../sum-counters.ts'
import {
  type FlowList,
  lossesOf,
  type UdpListener,
  type UdpListenerOptions,
  type UdpShellCounters,
} from '../udp-host.ts'
import type { AddressBook } from './address-book.ts'
import { ListeningSockets } from './listening-sockets.ts'
import type { SendBudget } from './send-queue.ts'
import type { DgramSockets, ResolvedHost } from './sockets.ts'
import { Upstream, type UpstreamOwner } from './upstream.ts'

/** What the listeners of a host have in common. */
export interface DgramContext {
  readonly sockets: DgramSockets
  readonly names: Names<ResolvedHost>
  readonly addresses: LocalAddresses
  readonly book: AddressBook
  readonly budget: SendBudget
  readonly lookAgainMs: number
}

type CommandOf<T extends FlowCommand['type']> = Extract<FlowCommand, { type: T }>

export class DgramListener implements UdpListener {
  readonly #context: DgramContext
  readonly #options: UdpListenerOptions
  /** Nothing of this listener runs any more; called once or twice. */
  readonly #ended: () => void
  /** Another one when it broke. */
  #table: FlowTable
  #config: UdpConfig
  readonly #set = new RememberedSet()
  readonly #inbox: FlowEvent[] = []
  #isStepping = false
  /** By slot. */
  readonly #upstreams: (Upstream | undefined)[] = []
  readonly #owner: UpstreamOwner
  #listening: ListeningSockets | undefined
  /** The bind under way; never rejects. */
  #binding: Promise<unknown> | undefined
  #state: 'idle' | 'binding' | 'listening' | 'stopped' = 'idle'
  #wish: 'open' | 'closed' | 'aborted' = 'open'
  /** What it was asked to listen on, with the port it got. */
  #bound: { readonly host: string; readonly port: number } | undefined
  /** The machine broke: what happens before there is another one in its place is nobody's. */
  #isBroken = false
  /** The sockets of a machine that broke; never rejects. */
  #closing = Promise.resolve()
  #isOver = false
  readonly #reopening = new Reopening()
  #retry: NodeJS.Timeout | undefined
  readonly #stopped = Promise.withResolvers<void>()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  readonly #lostUp = { sendErrors: 0, queueFull: 0 }
  readonly #lostDown = { sendErrors: 0, queueFull: 0 }
  readonly #durations = new FlowDurations()
  /** Datagrams from port 0, which nobody can be answered at. */
  #portless = 0
  /** What machines counted that broke. */
  #past: UdpCounters | undefined

  constructor(context: DgramContext, options: UdpListenerOptions, ended: () => void) {
    this.#context = context
    this.#options = options
    this.#ended = ended
    this.#config = checkedConfig(options.config)
    this.#table = this.#newTable()
    this.#owner = {
      sockets: context.sockets,
      names: context.names,
      book: context.book,
      budget: context.budget,
      counters: this.#lostUp,
      opened: ({ flow, attempt }) => this.#step({ type: 'upstream-opened', flow, attempt }),
      failed: (upstream, error) => this.#onUpstreamFailed(upstream, error),
      received: ({ flow, attempt }, payload) =>
        this.#step({ type: 'upstream-datagram', flow, attempt, payload }),
    }
  }

  async listen(host: string, port: number): Promise<string> {
    if (this.#state !== 'idle') throw new Error(`the listener is ${this.#state} already`)
    this.#state = 'binding'
    const address = await this.#bind(host, port)
    this.#bound = { host, port: Number(address.slice(address.lastIndexOf(':') + 1)) }
    return address
  }

  async #bind(host: string, port: number): Promise<string> {
    const { sockets, book, addresses, budget, lookAgainMs } = this.#context
    const listening = new ListeningSockets({
      sockets,
      book,
      addresses,
      budget,
      lookAgainMs,
      counters: this.#lostDown,
      received: (to, payload, remote) => this.#onClientDatagram(to, payload, remote),
      hostFailed: this.#options.hostFailed,
    })
    this.#listening = listening
    const binding = listening.bind(host, port)
    this.#binding = binding.catch(() => {})
    try {
      const address = await binding
      if (this.#listening === listening && this.#state === 'binding') {
        this.#state = 'listening'
        return address
      }
    } catch (error) {
      if (this.#listening !== listening) throw error
      this.#listening = undefined
      if (this.#state === 'binding') {
        this.#state = 'idle'
        throw error
      }
    }
    throw new Error('the listener was closed')
  }

  applyBackends(version: number, backends: readonly Backend[]): void {
    this.#set.apply(version, backends)
    this.#step({ type: 'apply-backends', version, backends })
  }

  cutBackend(backend: BackendId): void {
    this.#step({ type: 'cut-backend', backend })
  }

  configure(config: UdpConfig): void {
    this.#config = checkedConfig(config)
    this.#step({ type: 'configure', config })
  }

  close(): Promise<void> {
    if (this.#wish === 'open') this.#wish = 'closed'
    this.#step({ type: 'close' })
    return this.#stopped.promise
  }

  abort(): void {
    this.#wish = 'aborted'
    if (!this.#isBroken) return this.#step({ type: 'abort-all' })
    void this.#closing.then(() => this.#stopped.resolve())
    this.#emptied()
  }

  dispose(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#retry)
    this.#ended()
  }

  async flows(limit: number): Promise<FlowList> {
    const flows = this.#table.flows(performance.now(), limit)
    return { flows, total: this.#table.flowCount }
  }

  async counters(): Promise<UdpShellCounters> {
    return {
      machine: withInvalid(sumOf(this.#past, this.#table.counters), this.#portless),
      flowsLive: this.#table.flowCount,
      flowsMax: this.#config.flowsMax,
      ...lossesOf(this.#lostUp, this.#lostDown),
      durations: this.#durations.read(),
    }
  }

  /** The pump. What happens while a step's commands run waits for its turn. */
  #step(event: FlowEvent): void {
    if (this.#isBroken) return
    if (this.#isStepping) {
      this.#inbox.push(event)
      return
    }
    this.#isStepping = true
    try {
      this.#run(event)
      while (this.#inbox.length > 0) this.#run(this.#inbox.shift()!)
      this.#arm()
    } catch (error) {
      this.#broken(error)
    } finally {
      this.#isStepping = false
    }
  }

  /**
   * The machine or what it relies on broke its contract. Flows and port are let go, nothing waits
   * for backends that left any more, and soon the listener is opened again.
   */
  #broken(error: unknown): void {
    this.#isBroken = true
    this.#inbox.length = 0
    clearTimeout(this.#timer)
    this.#timerAt = Number.POSITIVE_INFINITY
    for (const upstream of this.#upstreams) upstream?.release()
    this.#upstreams.length = 0
    this.#closing = this.#listening?.close(true) ?? this.#closing
    this.#listening = undefined
    if (this.#state !== 'stopped') this.#state = this.#bound === undefined ? 'idle' : 'listening'
    this.#past = withAborted(sumOf(this.#past, this.#table.counters), this.#table.flowCount)
    this.#table = this.#newTable()
    this.#set.lost(this.#options.fact)
    if (this.#wish !== 'open') void this.#closing.then(() => this.#stopped.resolve())
    this.#options.hostFailed(`${faultLine(error)}; the listener is opened again`)
    if (this.#wish === 'aborted') return this.#emptied()
    const delayMs = this.#reopening.delayMs(performance.now())
    this.#retry = setTimeout(() => this.#openAgain(), delayMs)
  }

  #openAgain(): void {
    this.#isBroken = false
    const known = this.#set.event
    if (known !== undefined) this.#step(known)
    if (this.#wish === 'closed') this.#step({ type: 'close' })
    else if (this.#bound !== undefined) void this.#listenAgain(this.#bound)
  }

  async #listenAgain({ host, port }: { host: string; port: number }): Promise<void> {
    if (this.#isBroken || this.#wish !== 'open') return
    this.#state = 'binding'
    try {
      await this.#closing
      if (this.#isBroken || this.#wish !== 'open') return
      await this.#bind(host, port)
    } catch (error) {
      if (this.#isBroken || this.#wish !== 'open') return
      this.#state = 'listening' // for who asks: nobody else is to say where
      const reason = reasonOf(error)
      this.#options.hostFailed(`cannot listen on ${host} port ${port} again: ${reason}`)
      this.#retry = setTimeout(() => this.#listenAgain({ host, port }), LISTEN_AGAIN_MS)
    }
  }

  #newTable(): FlowTable {
    const { strategy, failOpen } = this.#options.balance
    const [high = 0, low = 0, seed = 0] = crypto.getRandomValues(new Int32Array(3))
    return new FlowTable({
      config: this.#config,
      strategy: strategyNamed(strategy, seed),
      failOpen,
      hashSeed: [high, low],
    })
  }

  #run(event: FlowEvent): void {
    // Emptying one array again and again takes longer than making new ones.
    const batch: FlowCommand[] = []
    this.#table.step(event, performance.now(), batch)
    for (const command of batch) this.#apply(command)
  }

  #apply(command: FlowCommand): void {
    switch (command.type) {
      case 'send-upstream':
        this.#sendUpstream(command)
        return
      case 'send-client':
        this.#sendClient(command)
        return
      case 'open-upstream':
        this.#openUpstream(command)
        return
      case 'close-upstream':
        this.#releaseUpstream(command)
        return
      case 'close-flow':
        this.#releaseUpstream(command)
        this.#durations.add(command.totals.durationMs)
        return
      case 'stop-listening':
        void this.#stopListening()
        return
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'wanted':
      case 'idle':
      case 'busy':
        this.#set.told(command)
        this.#options.fact(command)
        return
      case 'emptied':
        this.#emptied()
        return
      default:
        unreachable(command)
    }
  }

  #emptied(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.dispose()
    this.#options.fact({ type: 'emptied' })
  }

  #openUpstream({ flow, attempt, host, port }: CommandOf<'open-upstream'>): void {
    const upstream = new Upstream(this.#owner, flow, attempt)
    this.#upstreams[slotOf(flow)] = upstream
    upstream.open(host, port)
  }

  #sendUpstream({ flow, attempt, header, payload }: CommandOf<'send-upstream'>): void {
    const upstream = this.#upstreams[slotOf(flow)]
    if (upstream?.flow === flow && upstream.attempt === attempt) upstream.send(header, payload)
    else this.#lostUp.sendErrors += 1
  }

  #sendClient({ flow, from, to, payload }: CommandOf<'send-client'>): void {
    const upstream = this.#upstreams[slotOf(flow)]
    const host = upstream?.flow === flow ? upstream.hostOf(to) : this.#context.book.text(to)
    const queue = this.#listening?.queueOf(from)
    if (queue !== undefined) queue.sendTo(payload, to.port, host)
    else this.#lostDown.sendErrors += 1 // its address is gone
  }

  #releaseUpstream({ flow, attempt }: CommandOf<'close-upstream' | 'close-flow'>): void {
    const slot = slotOf(flow)
    const upstream = this.#upstreams[slot]
    if (upstream?.flow !== flow || upstream.attempt !== attempt) return
    upstream.release()
    this.#upstreams[slot] = undefined
  }

  async #stopListening(): Promise<void> {
    this.#state = 'stopped'
    const closing = this.#listening?.close(this.#wish === 'aborted')
    await this.#binding
    await closing
    this.#stopped.resolve()
  }

  #onClientDatagram(to: PackedAddress, payload: Uint8Array, remote: RemoteInfo): void {
    if (remote.port === 0) {
      this.#portless += 1
      return
    }
    const known = this.#context.book.pack(remote.address)
    if (known === undefined) {
      this.#options.hostFailed(`no way to answer ${remote.address}`)
      return
    }
    const { a, b, c, d } = known
    const from = { a, b, c, d, port: remote.port }
    this.#step({ type: 'client-datagram', from, to, payload })
  }

  #onUpstreamFailed({ flow, attempt }: Upstream, error: Error): void {
    // Sockets are bound before they connect: "in use" means that every local port is.
    const isOutOfPorts = isAddressInUse(error)
    const reason = isOutOfPorts ? 'no local port is left' : reasonOf(error)
    const blame = isOutOfPorts || isHostLimit(error) ? 'host' : 'backend'
    if (blame === 'host') this.#options.hostFailed(reason)
    this.#step({ type: 'upstream-failed', flow, attempt, blame, reason })
  }

  /** A timer that is early only causes a tick that does nothing and arms the next. */
  #arm(): void {
    const at = this.#table.deadline()
    if (at === undefined || this.#timerAt <= at) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    const delayMs = Math.min(Math.max(0, Math.ceil(at - performance.now())), TIMER_MS_MAX)
    // Sockets keep the process alive, a timer alone has nothing to do.
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.#step({ type: 'tick' })
    }, delayMs).unref()
  }
}

/** What `setTimeout` takes. */
const TIMER_MS_MAX = 2 ** 31 - 1
