/**
 * The way out of one socket: datagrams gather until the batch is over, then leave with as few
 * system calls as possible. What the socket does not take now waits, in order and within bounds.
 */
import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import { unreachableCodes } from '../../socket-errors.ts'
import type { SendLosses } from '../udp-host.ts'
import { type Poller, READABLE, WRITABLE } from './system/poller.ts'
import type { Outgoing, SendVector, SocketKind } from './system/send-vector.ts'

/** What the sockets of a worker share. */
export interface SendGear {
  readonly poller: Poller
  readonly vector: SendVector
  readonly budget: QueueBudget
}

/** Bytes that wait in the queues of all sockets together. */
export interface QueueBudget {
  readonly bytesMax: number
  bytes: number
}

export class Outlet {
  readonly fd: number
  readonly #gear: SendGear
  readonly #kind: SocketKind
  readonly #bytesMax: number
  readonly #losses: SendLosses
  #pending: Outgoing[] = []
  /** Copies, oldest first; while there are any, nothing may overtake them (udp 5, write queues). */
  #queue: Queued[] = []
  #queueBytes = 0
  /** What the last sending met that was not about one datagram. */
  #error = 0
  /** How many datagrams are still to be sent without joining any. */
  #aloneLeft = 0

  constructor(gear: SendGear, fd: number, kind: SocketKind, bytesMax: number, losses: SendLosses) {
    this.fd = fd
    this.#gear = gear
    this.#kind = kind
    this.#bytesMax = bytesMax
    this.#losses = losses
  }

  /** Borrowed until {@link flush}. True when it is the first since then. */
  add(datagram: Outgoing): boolean {
    return this.#pending.push(datagram) === 1
  }

  get isIdle(): boolean {
    return this.#pending.length === 0 && this.#queue.length === 0
  }

  /** Sends what gathered: 0, or the errno that the way to the peer gave last. */
  flush(): number {
    this.#error = 0
    const pending = this.#pending
    if (pending.length === 0) return 0
    const sent = this.#queue.length > 0 ? 0 : this.#send(pending)
    for (let index = sent; index < pending.length; index++) this.#enqueue(pending[index]!)
    pending.length = 0
    return this.#error
  }

  /** The socket takes something again: likewise with what waits. */
  writable(): number {
    this.#error = 0
    const queue = this.#queue
    const sent = this.#send(queue)
    for (let index = 0; index < sent; index++) this.#forget(queue[index]!)
    this.#queue = sent === queue.length ? [] : queue.slice(sent)
    if (this.#queue.length === 0) this.#gear.poller.modify(this.fd, READABLE)
    return this.#error
  }

  /** The socket is closed: whatever is left is lost. */
  discard(): void {
    this.#losses.sendErrors += this.#pending.length + this.#queue.length
    for (const queued of this.#queue) this.#forget(queued)
    this.#pending = []
    this.#queue = []
  }

  /** How many are done with, sent or refused, before the socket takes no more. */
  #send(datagrams: readonly Outgoing[]): number {
    const { vector } = this.#gear
    for (let done = 0; done < datagrams.length; ) {
      vector.take(datagrams, done, this.#kind, this.#aloneLeft === 0)
      let message = 0
      let stop = 0
      while (message < vector.count && stop === 0) {
        const result = vector.send(this.fd, message)
        if (result > 0) {
          message += result
        } else if (result === -EAGAIN || vector.isTrain(message)) {
          stop = -result
        } else {
          this.#refused(-result)
          this.#losses.sendErrors += 1
          message += 1
        }
      }
      const went = vector.datagramsBefore(message)
      done += went
      this.#aloneLeft = Math.max(0, this.#aloneLeft - went)
      if (stop === EAGAIN) return done
      if (stop !== 0) this.#refuseTrain(stop, datagrams[done]!, vector.lengthOf(message))
    }
    return datagrams.length
  }

  /**
   * What was in it goes one by one. Where trains cannot go this way, others do for a while, unless
   * it was where this one was to go: all clients of a socket would pay for one.
   */
  #refuseTrain(errno: number, { to }: Outgoing, length: number): void {
    this.#refused(errno)
    const isAboutTrains = ABOUT_TRAINS.has(errno) && to?.port !== 0
    this.#aloneLeft = isAboutTrains ? ALONE : Math.max(this.#aloneLeft, length)
  }

  #refused(errno: number): void {
    if (UNREACHABLE.has(errno)) this.#error = errno
  }

  #enqueue({ header, payload, to, from }: Outgoing): void {
    const { budget, poller } = this.#gear
    const headerBytes = header?.byteLength ?? 0
    const bytes = headerBytes + payload.byteLength + QUEUED_BYTES
    if (this.#queueBytes + bytes > this.#bytesMax || budget.bytes + bytes > budget.bytesMax) {
      this.#losses.queueFull += 1
      return
    }
    const copy = new Uint8Array(headerBytes + payload.byteLength)
    if (header !== undefined) copy.set(header)
    copy.set(payload, headerBytes)
    if (this.#queue.length === 0) poller.modify(this.fd, READABLE | WRITABLE)
    this.#queue.push({ payload: copy, ...(to && { to }), ...(from && { from }) })
    this.#queueBytes += bytes
    budget.bytes += bytes
  }

  #forget({ payload }: Queued): void {
    const bytes = payload.byteLength + QUEUED_BYTES
    this.#queueBytes -= bytes
    this.#gear.budget.bytes -= bytes
  }
}

interface Queued {
  readonly payload: Uint8Array
  readonly to?: PackedAddress
  readonly from?: PackedAddress
}

/** What a datagram that waits costs besides its bytes: empty ones must not be free. */
const QUEUED_BYTES = 128

/** Enough that a system call in vain for each time is not felt. */
const ALONE = 1_000

const { EAGAIN, EINVAL, EIO, EMSGSIZE, EOPNOTSUPP } = constants.errno

/** What the kernel, or a card, says where it cannot cut one up. */
const ABOUT_TRAINS: ReadonlySet<number> = new Set([EINVAL, EIO, EMSGSIZE, EOPNOTSUPP])

/** Errors of the way to a peer, not of one datagram. */
const UNREACHABLE: ReadonlySet<number> = new Set(
  [...getSystemErrorMap()].flatMap(([errno, [code]]) =>
    unreachableCodes.has(code) ? [-errno] : [],
  ),
)
