/**
 * The life of the worker: waits for sockets and messages, lets each listener do its share, ticks
 * its machines. One turn after the other, until it is told to stop and every listener is empty.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:os'
import { strategyNamed } from '../../../../core/balance/strategies.ts'
import { unreachable } from '../../../../core/machine.ts'
import { parseIp } from '../../../../core/net/address.ts'
import { packAddress } from '../../../../core/net/packed-address.ts'
import { Names } from '../names.ts'
import { Gear } from './gear.ts'
import { BatchListener, type ListenerReports } from './listener.ts'
import type {
  Answer,
  CallNumber,
  FromWorker,
  ListenerNumber,
  ResolvedName,
  ToWorker,
} from './messages.ts'
import type { Libc, Memory } from './system/libc.ts'
import { Poller, READABLE } from './system/poller.ts'
import { SystemError } from './system/system-error.ts'

export interface LoopOptions {
  readonly libc: Libc
  readonly post: (message: FromWorker) => void
  /** The next message, if one is there. */
  readonly take: () => ToWorker | undefined
  /** Of all send queues together; 64 MiB when not said. */
  readonly queuedBytesMax?: number
}

export class UdpLoop {
  readonly #options: LoopOptions
  readonly #gear: Gear
  readonly #wake: number
  readonly #wakeCount: Memory
  readonly #listeners = new Map<ListenerNumber, BatchListener>()
  #isAwake = true
  #isStopping = false

  /** Throws {@link SystemError} when there are no descriptors for it. */
  constructor(options: LoopOptions) {
    const { libc, post } = options
    this.#options = options
    this.#wakeCount = libc.allocate(8)
    const poller = new Poller(libc)
    this.#wake = libc.eventfd()
    if (this.#wake < 0) throw new SystemError('eventfd', this.#wake)
    const names = new Names<ResolvedName>((host) => post({ type: 'resolve', host }))
    this.#gear = new Gear(libc, poller, names, options.queuedBytesMax)
    const result = poller.add(this.#wake, READABLE, { ready: () => this.#woken() })
    if (result < 0) throw new SystemError('epoll_ctl', result)
    post({ type: 'ready', wake: this.#wake })
  }

  /** Messages are taken in the next turn, as when the eventfd was written. */
  wake(): void {
    this.#isAwake = true
  }

  /** One turn: at most `timeoutMs` of waiting, then what there is to do. False when it is over. */
  turn(timeoutMs: number): boolean {
    const { poller } = this.#gear
    const ready = poller.wait(this.#isAwake ? 0 : this.#waitMs(timeoutMs))
    if (ready < 0) throw new SystemError('epoll_wait', ready)
    const now = clock()
    for (let index = 0; index < ready; index++) poller.dispatch(index, now)
    if (this.#isAwake) this.#readMessages(now)
    this.#gear.flush(now)
    this.#tick(now)
    if (!this.#isStopping || this.#listeners.size > 0) return true
    poller.close() // not the eventfd: the parent may be about to write to it
    return false
  }

  #waitMs(timeoutMs: number): number {
    let at = Number.POSITIVE_INFINITY
    for (const { deadline } of this.#listeners.values()) {
      if (deadline !== undefined && deadline < at) at = deadline
    }
    return Math.max(0, Math.min(timeoutMs, at - clock()))
  }

  #tick(now: number): void {
    let isTicked = false
    for (const [number, listener] of this.#listeners) {
      const at = listener.deadline
      if (at !== undefined && at <= now) {
        listener.tick(now)
        isTicked = true
      }
      if (listener.isOver) this.#forget(number, listener)
    }
    if (isTicked) this.#gear.flush(now)
  }

  #woken(): void {
    this.#options.libc.read(this.#wake, this.#wakeCount.address, 8)
    this.wake()
  }

  #readMessages(now: number): void {
    this.#isAwake = false
    for (let next = this.#options.take(); next !== undefined; next = this.#options.take()) {
      this.#obey(next, now)
    }
  }

  #obey(message: ToWorker, now: number): void {
    switch (message.type) {
      case 'open':
        this.#open(message)
        return
      case 'listen':
        this.#listen(message)
        return
      case 'event':
        this.#listeners.get(message.listener)?.event(message.event, now)
        return
      case 'dispose':
        this.#listeners.get(message.listener)?.close()
        this.#listeners.delete(message.listener)
        return
      case 'flows':
        this.#answer(message.call, this.#listeners.get(message.listener)?.flows(message.limit, now))
        return
      case 'counters':
        this.#answer(message.call, this.#listeners.get(message.listener)?.counters())
        return
      case 'resolved':
        this.#gear.names.resolved(message.host, message.answer, now)
        return
      case 'stop':
        this.#isStopping = true
        for (const listener of this.#listeners.values()) {
          listener.event({ type: 'abort-all' }, now)
        }
        return
      default:
        unreachable(message)
    }
  }

  #open({ listener, config, balance }: Message<'open'>): void {
    const random = randomBytes(12)
    const options = {
      config,
      strategy: strategyNamed(balance.strategy, random.readInt32LE(0)),
      failOpen: balance.failOpen,
      hashSeed: [random.readInt32LE(4), random.readInt32LE(8)] as const,
    }
    this.#listeners.set(listener, new BatchListener(this.#gear, options, this.#reportsOf(listener)))
  }

  #listen({ listener, call, host, port }: Message<'listen'>): void {
    const ip = parseIp(host)
    const address = ip && packAddress({ ip, port })
    const result =
      address === undefined
        ? new SystemError('bind', constants.errno.EADDRNOTAVAIL)
        : this.#listeners.get(listener)?.listen(address)
    if (!(result instanceof SystemError)) return this.#answer(call, result)
    const { message, code, syscall, errno } = result
    this.#options.post({ type: 'refused', call, error: { message, code, syscall, errno } })
  }

  #answer(call: CallNumber, answer: Answer): void {
    this.#options.post({ type: 'answer', call, answer })
  }

  #reportsOf(listener: ListenerNumber): ListenerReports {
    const { post } = this.#options
    return {
      fact: (fact) => post({ type: 'fact', listener, fact }),
      hostFailed: (reason) => post({ type: 'host-failed', listener, reason }),
      stoppedListening: () => post({ type: 'stopped-listening', listener }),
      broken: (reason) => {
        this.#listeners.delete(listener)
        post({ type: 'broken', listener, reason })
      },
    }
  }

  #forget(listener: ListenerNumber, over: BatchListener): void {
    this.#listeners.delete(listener)
    over.close()
    this.#options.post({ type: 'over', listener, counters: over.counters() })
  }
}

/** Runs a loop to its end, and lets Node have its turn now and then: it may be told to end us. */
export function runLoop(options: LoopOptions): void {
  const loop = new UdpLoop(options)
  const spin = () => {
    const until = clock() + SPIN_MS
    do {
      if (!loop.turn(IDLE_MS)) return
    } while (clock() < until)
    setImmediate(spin)
  }
  spin()
}

type Message<Type> = Extract<ToWorker, { type: Type }>

/** Whole milliseconds: they are small integers for a month. */
const clock = (): number => Math.floor(performance.now())

/** How long a worker that is told to end may take to notice. */
const IDLE_MS = 100
const SPIN_MS = 20
