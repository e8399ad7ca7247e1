/**
 * A listener as its owner sees it; what it does is done in the worker. It remembers what it was
 * told, so that it can be opened again when its end there broke.
 */
import type { Backend, BackendId } from '../../../../../core/balance/group.ts'
import { unreachable } from '../../../../../core/machine.ts'
import { checkedConfig, type UdpConfig } from '../../../../../core/udp/config.ts'
import { zeroCounters } from '../../../../../core/udp/counters.ts'
import { reasonOf } from '../../../socket-errors.ts'
import { FlowDurations } from '../../flow-durations.ts'
import { RememberedSet } from '../../remembered-set.ts'
import { LISTEN_AGAIN_MS, Reopening } from '../../reopening.ts'
import { pastOf, sumOf } from '../../sum-counters.ts'
import type { FlowList, UdpListener, UdpListenerOptions, UdpShellCounters } from '../../udp-host.ts'
import type { ListenerNumber, ParentEvent } from '../messages.ts'
import type { Report, WorkerLink } from './worker-link.ts'

/** What a listener needs of its host. */
export interface RemoteListenerHost {
  /** An end in the worker that runs, or in a new one. */
  attach(listener: RemoteListener): RemoteEnd
  /** Nothing comes from it any more. */
  detach(end: RemoteEnd): void
  /** It is not needed any more. */
  over(listener: RemoteListener): void
  /** The IP address of a host, its zone as a number. */
  resolve(host: string): Promise<string>
  /** For people: an address with its zone by name. */
  shown(address: string): string
}

/** Where a listener's machine and sockets are. */
export interface RemoteEnd {
  readonly link: WorkerLink
  readonly number: ListenerNumber
}

export class RemoteListener implements UdpListener {
  readonly #host: RemoteListenerHost
  readonly #options: UdpListenerOptions
  /** Its end in the worker; none while that is broken. */
  #end: RemoteEnd | undefined
  #config: UdpConfig
  readonly #set = new RememberedSet()
  /** Where it listens, once it does: an IP address, and the port it got. */
  #bound: Bound | undefined
  #isBinding = false
  #wish: 'open' | 'closed' | 'aborted' = 'open'
  #isOver = false
  readonly #stopped = Promise.withResolvers<void>()
  /** The last that are known, those of ends that broke among them, which are also here. */
  #counters: UdpShellCounters | undefined
  #past: UdpShellCounters | undefined
  readonly #reopening = new Reopening()
  #retry: NodeJS.Timeout | undefined

  constructor(host: RemoteListenerHost, options: UdpListenerOptions) {
    this.#host = host
    this.#options = options
    this.#config = checkedConfig(options.config)
    this.#open()
  }

  async listen(host: string, port: number): Promise<string> {
    const is = this.#hasStopped
      ? 'stopped'
      : this.#bound
        ? 'listening'
        : this.#isBinding && 'binding'
    if (is) throw new Error(`the listener is ${is} already`)
    this.#isBinding = true
    try {
      const ip = await this.#host.resolve(host)
      const end = this.#hasStopped ? undefined : (this.#end ?? this.#open())
      if (end === undefined) throw new Error('the listener was closed')
      const bound = await this.#listen(end, ip, port)
      this.#bound = { host: ip, port: Number(bound.slice(bound.lastIndexOf(':') + 1)) }
      return this.#host.shown(bound)
    } finally {
      this.#isBinding = false
    }
  }

  get #hasStopped(): boolean {
    return this.#isOver || this.#wish !== 'open'
  }

  applyBackends(version: number, backends: readonly Backend[]): void {
    this.#set.apply(version, backends)
    this.#post({ type: 'apply-backends', version, backends })
  }

  cutBackend(backend: BackendId): void {
    this.#post({ type: 'cut-backend', backend })
  }

  configure(config: UdpConfig): void {
    this.#config = checkedConfig(config)
    this.#post({ type: 'configure', config })
  }

  close(): Promise<void> {
    if (this.#wish === 'open') this.#wish = 'closed'
    this.#post({ type: 'close' })
    return this.#stopped.promise
  }

  abort(): void {
    this.#wish = 'aborted'
    this.#post({ type: 'abort-all' })
  }

  dispose(): void {
    const end = this.#end
    this.#leave()
    end?.link.post({ type: 'dispose', listener: end.number })
  }

  async flows(limit: number): Promise<FlowList> {
    const end = this.#end
    const list = await end?.link
      .call({ type: 'flows', listener: end.number, limit })
      .catch(() => undefined)
    return (list as FlowList | undefined) ?? { flows: [], total: 0 }
  }

  async counters(): Promise<UdpShellCounters> {
    const end = this.#end
    const counters = await end?.link
      .call({ type: 'counters', listener: end.number })
      .catch(() => undefined)
    // Of an end that broke meanwhile they are in the past already, or lost.
    if (counters !== undefined && end === this.#end) {
      this.#counters = sumOf(this.#past, counters as UdpShellCounters)
    }
    return this.#counters ?? { ...NO_COUNTERS, flowsMax: this.#config.flowsMax }
  }

  /** What its end in the worker tells. */
  report(report: Exclude<Report, { type: 'resolve' }>): void {
    switch (report.type) {
      case 'fact':
        this.#set.told(report.fact)
        this.#options.fact(report.fact)
        return
      case 'host-failed':
        this.#options.hostFailed(report.reason)
        return
      case 'stopped-listening':
        this.#bound = undefined
        this.#stopped.resolve()
        return
      case 'over':
        this.#counters = sumOf(this.#past, report.counters)
        this.#emptied()
        return
      case 'broken':
        this.lost(report.reason)
        return
      default:
        unreachable(report)
    }
  }

  /**
   * Its end in the worker is gone, with its flows and its port: it is opened again, soon. Nothing
   * waits for backends that left any more.
   */
  lost(reason: string): void {
    if (this.#end === undefined) return
    this.#host.detach(this.#end)
    this.#end = undefined
    this.#past = this.#counters && pastOf(this.#counters)
    this.#counters = this.#past && { ...this.#past, flowsMax: this.#config.flowsMax }
    if (this.#wish !== 'open') this.#stopped.resolve()
    this.#set.lost(this.#options.fact)
    this.#openLater(reason)
  }

  /** The host stops: whoever did not empty by now never will. */
  halt(): void {
    if (!this.#isOver) this.#emptied()
  }

  /** Its end in the worker, with everything that one is to know; undefined when there is none. */
  #open(): RemoteEnd | undefined {
    clearTimeout(this.#retry)
    try {
      this.#end = this.#host.attach(this)
    } catch (error) {
      this.#openLater(reasonOf(error)) // no thread, for want of something
      return undefined
    }
    const end = this.#end
    const { balance } = this.#options
    end.link.post({ type: 'open', listener: end.number, config: this.#config, balance })
    const known = this.#set.event
    if (known !== undefined) this.#post(known)
    if (this.#wish === 'closed') this.#post({ type: 'close' })
    else if (this.#wish === 'aborted') this.#post({ type: 'abort-all' })
    else if (this.#bound !== undefined) void this.#listenAgain(end, this.#bound)
    return end
  }

  #openLater(reason: string): void {
    this.#options.hostFailed(`${reason}; the listener is opened again`)
    this.#again(this.#reopening.delayMs(performance.now()), () => this.#open())
  }

  async #listenAgain(end: RemoteEnd, bound: Bound): Promise<void> {
    const { host, port } = bound
    try {
      await this.#listen(end, host, port)
    } catch (error) {
      if (this.#end !== end || this.#wish !== 'open') return
      this.#options.hostFailed(`cannot listen on ${host} port ${port} again: ${reasonOf(error)}`)
      this.#again(LISTEN_AGAIN_MS, () => void this.#listenAgain(end, bound))
    }
  }

  async #listen(end: RemoteEnd, host: string, port: number): Promise<string> {
    const bound = await end.link.call({ type: 'listen', listener: end.number, host, port })
    if (typeof bound !== 'string') throw new Error('the listener was closed')
    return bound
  }

  #again(afterMs: number, run: () => void): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(run, afterMs)
  }

  #emptied(): void {
    this.#leave()
    this.#options.fact({ type: 'emptied' })
  }

  #post(event: ParentEvent): void {
    const end = this.#end
    end?.link.post({ type: 'event', listener: end.number, event })
  }

  #leave(): void {
    clearTimeout(this.#retry)
    this.#isOver = true
    if (this.#end !== undefined) this.#host.detach(this.#end)
    this.#end = undefined
    this.#stopped.resolve()
    this.#host.over(this)
  }
}

interface Bound {
  readonly host: string
  readonly port: number
}

const NO_COUNTERS: Omit<UdpShellCounters, 'flowsMax'> = {
  machine: zeroCounters(),
  flowsLive: 0,
  sendErrors: 0,
  queueFull: 0,
  lostUp: 0,
  durations: new FlowDurations().read(),
}
