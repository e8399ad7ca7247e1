/** One side of an exchange as a stream of bytes: a socket, or a stream of HTTP/2. */
import type { Duplex } from 'node:stream'
import type { IngressEvent } from '../../../core/http/events.ts'
import type { PausedSockets } from '../listener/stream/paused-sockets.ts'

/** Whom a wire tells what it meets. */
export interface Listening {
  readonly step: (event: IngressEvent) => void
  /** A connection to a backend came to nothing because this machine lacks something. */
  readonly hostFailed: (reason: string) => void
  readonly paused: PausedSockets
}

export type Occurrence = 'ended' | 'broken' | 'blocked' | 'writable' | 'finished'

/** What is written, read, paused and closed in the same way, whatever it is and whose. */
export abstract class Wire<Stream extends Duplex> {
  stream: Stream
  /** Nothing of it matters any more. */
  protected isReleased = false
  readonly #gathered: (string | Uint8Array)[] = []
  #isBlocked = false
  #isEnding = false

  /** Whatever becomes of it, its errors are heard from now on. */
  constructor(stream: Stream) {
    this.stream = stream
    this.adopt(stream)
  }

  protected abstract tell(what: Occurrence): void

  /** `bytes` are somebody else's when this returns. */
  write(head: string, bytes: Uint8Array | undefined): void {
    if (this.#gathered.length > 0) {
      this.gather(head, bytes)
      this.#take(this.stream.write(joined(this.#gathered.splice(0))))
    } else if (bytes === undefined) {
      this.#take(this.stream.write(head, 'latin1'))
    } else if (bytes.length < TEXT_BYTES_MAX) {
      // Cheaper than a buffer that is made for it.
      const text = latin1Slice.call(bytes, 0, bytes.length)
      this.#take(this.stream.write(head + text, 'latin1'))
    } else {
      this.#copy(head, bytes)
    }
  }

  /** Goes out with the next `write`, which follows in the same step: one call of the system. */
  gather(head: string, bytes: Uint8Array | undefined): void {
    if (head !== '') this.#gathered.push(head)
    if (bytes !== undefined) this.#gathered.push(bytes)
  }

  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  /** Answered by `finished`, also where it has ended already. */
  end(): void {
    this.stream.end()
    this.expectFinish()
  }

  abstract close(reset: boolean): void

  /** It is that one from now on. */
  protected adopt(stream: Stream): void {
    this.stream = stream
    stream.on('error', this.#onError)
    stream.on('drain', this.#onDrain)
    stream.on('finish', this.#onFinish)
  }

  /** Forgets those that hear from it here, but not its errors. */
  protected detach(): void {
    this.isReleased = true
    this.stream.off('drain', this.#onDrain)
    this.stream.off('finish', this.#onFinish)
  }

  /** Its end was written, by whomever. */
  protected expectFinish(): void {
    this.#isEnding = true
    if (this.stream.writableFinished) this.report('finished')
  }

  protected report(what: Occurrence): void {
    if (!this.isReleased) this.tell(what)
  }

  protected onError(_error: Error): void {
    this.report('broken')
  }

  readonly #onError = (error: Error): void => this.onError(error)

  readonly #onDrain = (): void => {
    if (!this.#isBlocked) return
    this.#isBlocked = false
    this.report('writable')
  }

  readonly #onFinish = (): void => {
    if (this.#isEnding) this.report('finished')
  }

  /** Large ones in memory that is there: to ask for it anew would keep the garbage collector busy. */
  #copy(head: string, bytes: Uint8Array): void {
    const { stream } = this
    const size = head.length + bytes.length
    if (size < ROOM_BYTES_MIN || size > ROOM_BYTES || stream.writableLength > 0) {
      this.#take(stream.write(withHead(Buffer.allocUnsafe(size), head, bytes)))
      return
    }
    const hasRoom = stream.write(withHead(room.subarray(0, size), head, bytes))
    // What the kernel did not take at once is the stream's for as long as it waits.
    if (stream.writableLength > 0) room = Buffer.allocUnsafeSlow(ROOM_BYTES)
    this.#take(hasRoom)
  }

  /**
   * A full chunk reaches the high-water mark even when the kernel took all of it at once; only what
   * waits in memory is worth a pause.
   */
  #take(hasRoom: boolean): void {
    if (hasRoom || this.#isBlocked || this.stream.writableLength === 0) return
    this.#isBlocked = true
    this.report('blocked')
  }
}

/** In one piece, and a copy that is ours for as long as it waits. */
function withHead(whole: Buffer, head: string, bytes: Uint8Array): Buffer {
  const { length } = head
  if (length > 0) whole.write(head, 'latin1')
  whole.set(bytes, length)
  return whole
}

/** The same of many. */
function joined(pieces: readonly (string | Uint8Array)[]): Buffer {
  const whole = Buffer.allocUnsafe(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    if (typeof piece === 'string') whole.write(piece, at, 'latin1')
    else whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Node writes so much of a string without a buffer, and without asking for memory. */
const TEXT_BYTES_MAX = 4_096

/** Of any view of bytes, not of Buffers alone. */
export const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Uint8Array, from: number, to: number) => string
}

/** What is read at once, with a head. */
const ROOM_BYTES = 65_536 + 16_384
/** One that waits keeps all of the room. */
const ROOM_BYTES_MIN = 16_384
let room = Buffer.allocUnsafeSlow(ROOM_BYTES)
