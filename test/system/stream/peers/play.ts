/**
 * What happens on one connection of a swarm: client and server both know it beforehand, byte for
 * byte, so that each can say whether what it got is what the other one sent.
 */
import type { Socket } from 'node:net'

export type Way =
  | 'together' // both send all they have and end
  | 'client-first' // the server begins when the client has ended
  | 'server-first' // the client begins when the server has ended
  | 'client-resets' // when so many bytes have come
  | 'server-resets'
  | 'client-stalls' // it reads nothing until it is told to
  | 'server-stalls'

export interface Play {
  readonly connection: number
  readonly way: Way
  /** Bytes to the server, and to the client. */
  readonly up: number
  readonly down: number
}

/** How it came out for one side. */
export interface Outcome {
  readonly connection: number
  readonly got: number
  /** All of it was what the other side sends, from the first byte on. */
  readonly isIntact: boolean
  readonly end: string
}

export function playOf(connection: number, seed: number): Play {
  const draw = generator(seed * 100_003 + connection)
  const ways = draw() < STALLED_SHARE ? STALLING : PASSING
  const way = ways[Math.floor(draw() * ways.length)]!
  // few are long
  const length = () => 1 + Math.floor(draw() ** 3 * PASSING_BYTES_MAX)
  return {
    connection,
    way,
    up: way === 'server-stalls' ? STALLED_BYTES : length(),
    down: way === 'client-stalls' ? STALLED_BYTES : length(),
  }
}

/** One side of a connection: sends its bytes, and compares those of the other one. */
export class Side {
  readonly outcome: Promise<Outcome>
  sent = 0
  got = 0
  readonly #socket: Socket
  readonly #carrier: Socket
  readonly #play: Play
  readonly #own: number
  readonly #length: number
  readonly #resetsAt: number
  #isIntact = true

  /** `carrier`: what is below the socket, where it speaks TLS. */
  constructor(socket: Socket, play: Play, side: 'client' | 'server', carrier = socket) {
    this.#socket = socket
    this.#carrier = carrier
    this.#play = play
    const isClient = side === 'client'
    this.#own = play.connection * 2 + (isClient ? 0 : 1)
    this.#length = isClient ? play.up : play.down
    const toCome = isClient ? play.down : play.up
    this.#resetsAt = play.way === `${side}-resets` ? Math.ceil(toCome / 2) : Infinity
    this.outcome = new Promise((resolve) => {
      let end = 'ended'
      socket.on('error', ({ code = '' }: NodeJS.ErrnoException) => {
        end = RESETS.includes(code) ? 'reset' : code
      })
      socket.on('close', () => {
        const { got } = this
        resolve({ connection: play.connection, got, isIntact: this.#isIntact, end })
      })
    })
    if (play.way === (isClient ? 'server-first' : 'client-first')) {
      socket.once('end', () => this.#send())
    }
  }

  /** From now on what comes is the other side's. */
  begin(): void {
    const { way } = this.#play
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes))
    const isSecond = way === (this.#isClient ? 'server-first' : 'client-first')
    if (!isSecond) this.#send()
    if (this.stalls) this.#socket.pause()
  }

  get stalls(): boolean {
    return this.#play.way === (this.#isClient ? 'client-stalls' : 'server-stalls')
  }

  resume(): void {
    this.#socket.resume()
  }

  get #isClient(): boolean {
    return this.#own % 2 === 0
  }

  #take(bytes: Buffer): void {
    const other = this.#own ^ 1
    for (let at = 0; at < bytes.byteLength; ) {
      const expected = bytesAt(other, this.got, bytes.byteLength - at)
      const part = bytes.subarray(at, at + expected.byteLength)
      if (!expected.equals(part)) this.#isIntact = false
      at += part.byteLength
      this.got += part.byteLength
    }
    if (this.got < this.#resetsAt) return
    this.#carrier.resetAndDestroy()
    this.#socket.destroy()
  }

  #send(): void {
    const socket = this.#socket
    while (this.sent < this.#length && socket.writable) {
      const bytes = bytesAt(this.#own, this.sent, this.#length - this.sent)
      this.sent += bytes.byteLength
      if (socket.write(bytes)) continue
      socket.once('drain', () => this.#send())
      return
    }
    // one whose connection is to be reset is not through before
    if (this.#play.way.endsWith('-resets')) return
    if (socket.writable) socket.end()
  }
}

/** What a stream has from there on, at least one byte and at most so many. */
function bytesAt(stream: number, position: number, most: number): Buffer {
  const from = (stream * 7_919 + position) % PERIOD
  return TABLE.subarray(from, Math.min(PERIOD, from + most))
}

/** mulberry32: from 0 up to 1. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const RESETS = ['ECONNRESET', 'EPIPE']
const PASSING: readonly Way[] = [
  'together',
  'client-first',
  'server-first',
  'client-resets',
  'server-resets',
]
const STALLING: readonly Way[] = ['client-stalls', 'server-stalls']
const STALLED_SHARE = 0.03
const PASSING_BYTES_MAX = 256 << 10
/** More than all buffers of the system between a client and a server take. */
export const STALLED_BYTES = 16 << 20
/** A prime: what is lost or comes twice in buffers of usual sizes never fits. */
const PERIOD = 65_521
const draw = generator(1)
const TABLE = Buffer.from(Uint8Array.from({ length: PERIOD }, () => draw() * 256))
