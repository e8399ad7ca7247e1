/** `epoll`: which descriptors can be read or written, level-triggered. */
import type { Libc, Memory } from './libc.ts'
import { SystemError } from './system-error.ts'

/** What is told of a descriptor that is ready. */
export interface Endpoint {
  /** `events` has {@link READABLE}, {@link WRITABLE} and {@link ERROR} bits. */
  ready(events: number, now: number): void
}

export const READABLE = 1
export const WRITABLE = 4
/** Always watched for. */
export const ERROR = 8

export class Poller {
  readonly #libc: Libc
  readonly #epoll: number
  readonly #ready: Memory
  readonly #event: Memory
  /** By descriptor: small numbers, used again and again. */
  readonly #endpoints: (Endpoint | undefined)[] = []

  /** Throws {@link SystemError}. */
  constructor(libc: Libc) {
    const epoll = libc.epollCreate()
    if (epoll < 0) throw new SystemError('epoll_create1', epoll)
    this.#libc = libc
    this.#epoll = epoll
    this.#ready = libc.allocate(EVENTS_MAX * EVENT_WORDS * 4)
    this.#event = libc.allocate(EVENT_WORDS * 4)
  }

  /** 0, or the errno below zero. */
  add(fd: number, events: number, endpoint: Endpoint): number {
    const result = this.#control(ADD, fd, events)
    if (result === 0) this.#endpoints[fd] = endpoint
    return result
  }

  modify(fd: number, events: number): void {
    this.#control(MODIFY, fd, events)
  }

  /** Before the descriptor is closed, which ends its watching in the kernel. */
  forget(fd: number): void {
    this.#endpoints[fd] = undefined
  }

  /** Waits for descriptors to be ready, at most `timeoutMs`: how many are. */
  wait(timeoutMs: number): number {
    return this.#libc.epollWait(this.#epoll, this.#ready.address, EVENTS_MAX, timeoutMs)
  }

  /** Tells the endpoint of the ready descriptor at `index`, below what {@link wait} gave. */
  dispatch(index: number, now: number): void {
    const { words } = this.#ready
    const at = index * EVENT_WORDS
    // One that was closed meanwhile has no endpoint; one whose number was taken since by another
    // is told what is not so, finds nothing to read and goes on.
    this.#endpoints[words[at + DATA]!]?.ready(words[at]!, now)
  }

  close(): void {
    this.#libc.close(this.#epoll)
  }

  #control(operation: number, fd: number, events: number): number {
    this.#event.words[0] = events
    this.#event.words[DATA] = fd
    return this.#libc.epollCtl(this.#epoll, operation, fd, this.#event.address)
  }
}

/** `struct epoll_event` has its data right behind the events on x86-64, elsewhere aligned. */
const isPacked = process.arch === 'x64'
const DATA = isPacked ? 1 : 2
const EVENT_WORDS = isPacked ? 3 : 4
const EVENTS_MAX = 256
const ADD = 1
const MODIFY = 3
