/**
 * Clients of a UDP service in numbers: each socket has a window of requests on their way, and each
 * request says whose it is, so that what is lost, late or somebody else's is counted, not assumed.
 */
import { packIpv4 } from '../../../core/net/packed-address.ts'
import type { Libc } from '../../../shells/node/udp/batch/system/libc.ts'
import { Poller, READABLE } from '../../../shells/node/udp/batch/system/poller.ts'
import { Sockets } from '../../../shells/node/udp/batch/system/sockets.ts'
import { SystemError } from '../../../shells/node/udp/batch/system/system-error.ts'
import { DATAGRAM_WORDS, Vector } from './vector.ts'

export interface Load {
  readonly durationMs: number
  /** Requests a second; when not said, an answer brings on the next request at once. */
  readonly perSecond?: number
}

export interface LoadResult {
  /** Within the duration. */
  readonly answered: number
  readonly sent: number
  /** Not answered within 300 ms. */
  readonly lost: number
  /** Answers to what another socket asked, or to nothing. */
  readonly strays: number
}

/** One request on its way at a time; those of a socket are next to each other. */
type Lane = number

export class Clients {
  readonly #poller: Poller
  readonly #descriptors: readonly number[]
  readonly #window: number
  readonly #vector: Vector
  /** Of each lane: which request is on its way, or would be next. */
  readonly #rounds: Int32Array
  /** Infinite where none is. */
  readonly #sentAt: Float64Array
  /** For the paced load: who waited longest is next. */
  #free: Lane[] = []
  #keepsGoing = false
  #isPaced = false
  #counts = zeroCounts()

  constructor(libc: Libc, port: number, sockets: number, window: number) {
    this.#poller = new Poller(libc)
    this.#window = window
    this.#vector = new Vector(libc, false)
    this.#rounds = new Int32Array(sockets * window)
    this.#sentAt = new Float64Array(sockets * window).fill(Number.POSITIVE_INFINITY)
    const opener = new Sockets(libc)
    this.#descriptors = Array.from({ length: sockets }, (_, socket) => {
      const fd = opener.connected(packIpv4(LOOPBACK, port))
      if (fd instanceof SystemError) throw fd
      this.#poller.add(fd, READABLE, { ready: (_, now) => this.#receive(socket, now) })
      return fd
    })
  }

  /** Takes all of the thread until it is done, and until the last answers are there. */
  run({ durationMs, perSecond }: Load): LoadResult {
    this.#counts = zeroCounts()
    this.#isPaced = perSecond !== undefined
    this.#keepsGoing = true
    const start = performance.now()
    if (perSecond === undefined) this.#sendAll(start)
    else this.#free = Array.from(this.#rounds.keys())
    let sweepAt = start + SWEEP_MS
    for (let now = start; now < start + durationMs; now = performance.now()) {
      if (perSecond !== undefined) this.#sendDue(((now - start) * perSecond) / 1000, now)
      this.#wait(this.#isPaced ? 1 : 5)
      if (now < sweepAt) continue
      this.#sweep(now)
      sweepAt = now + SWEEP_MS
    }
    const { answered } = this.#counts
    this.#keepsGoing = false
    const giveUpAt = performance.now() + LOST_AFTER_MS
    while (this.#onTheirWay > 0 && performance.now() < giveUpAt) this.#wait(5)
    this.#sweep(Number.POSITIVE_INFINITY)
    return { ...this.#counts, answered }
  }

  get #onTheirWay(): number {
    return this.#counts.sent - this.#counts.answered - this.#counts.lost
  }

  #wait(timeoutMs: number): void {
    const ready = this.#poller.wait(timeoutMs)
    const now = performance.now()
    for (let index = 0; index < ready; index++) this.#poller.dispatch(index, now)
  }

  #sendAll(now: number): void {
    for (let socket = 0; socket < this.#descriptors.length; socket++) {
      const first = socket * this.#window
      for (let lane = first; lane < first + this.#window; lane++) this.#put(lane - first, lane, now)
      this.#send(socket, this.#window)
    }
  }

  /** Up to so many in all, one after the other over all sockets. */
  #sendDue(due: number, now: number): void {
    while (this.#counts.sent < due) {
      const lane = this.#free.shift()
      if (lane === undefined) return
      this.#put(0, lane, now)
      this.#send(Math.floor(lane / this.#window), 1)
    }
  }

  #receive(socket: number, now: number): void {
    const { words } = this.#vector
    const came = this.#vector.receive(this.#descriptors[socket]!)
    let again = 0
    for (let index = 0; index < came; index++) {
      const lane = words[index * DATAGRAM_WORDS]!
      const isOurs = Math.floor(lane / this.#window) === socket
      if (!isOurs || words[index * DATAGRAM_WORDS + 1] !== this.#rounds[lane]) {
        // What was given up for lost may come late: that is no stray.
        if (!isOurs || words[index * DATAGRAM_WORDS + 1]! > this.#rounds[lane]!) {
          this.#counts.strays += 1
        }
        continue
      }
      this.#counts.answered += 1
      this.#rounds[lane]! += 1
      if (this.#keepsGoing && !this.#isPaced) {
        this.#put(again, lane, now)
        again += 1
      } else {
        this.#sentAt[lane] = Number.POSITIVE_INFINITY
        this.#free.push(lane)
      }
    }
    if (again > 0) this.#send(socket, again)
  }

  /** Requests too old are lost, and their lanes go on. */
  #sweep(now: number): void {
    for (const [lane, sentAt] of this.#sentAt.entries()) {
      if (now - sentAt < LOST_AFTER_MS || sentAt === Number.POSITIVE_INFINITY) continue
      this.#counts.lost += 1
      this.#rounds[lane]! += 1
      this.#sentAt[lane] = Number.POSITIVE_INFINITY
      if (!this.#keepsGoing) continue
      if (this.#isPaced) {
        this.#free.push(lane)
        continue
      }
      this.#put(0, lane, now)
      this.#send(Math.floor(lane / this.#window), 1)
    }
  }

  #put(index: number, lane: Lane, now: number): void {
    const { words } = this.#vector
    words[index * DATAGRAM_WORDS] = lane
    words[index * DATAGRAM_WORDS + 1] = this.#rounds[lane]!
    this.#sentAt[lane] = now
  }

  /** What the system does not take is lost like anything else. */
  #send(socket: number, count: number): void {
    this.#vector.send(this.#descriptors[socket]!, count)
    this.#counts.sent += count
  }
}

const zeroCounts = () => ({ answered: 0, sent: 0, lost: 0, strays: 0 })

const LOOPBACK = 0x7f00_0001
const LOST_AFTER_MS = 300
const SWEEP_MS = 50
