/** A client as a stream of an HTTP/2 connection, from its head on. */
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { ClientId } from '../../../../core/http/events.ts'
import { type Listening, type Occurrence, Wire } from '../wire.ts'
import { type FieldRecord, recordOf } from './fields.ts'

export class StreamClient extends Wire<ServerHttp2Stream> {
  readonly id: ClientId
  readonly #to: Listening
  /** The request has ended. */
  #hasEnded: boolean
  /** So has the answer. */
  #hasFinished = false
  #trailersIn: readonly string[] | undefined
  #trailersOut: FieldRecord = NO_FIELDS
  /** They end the stream. Node says when it takes them, and sends them a little later. */
  #trailing: 'none' | 'owed' | 'taken' = 'none'
  /** Nobody wants the rest of the request: it is refused when the answer is out. */
  #isRefused = false
  /** Not read so far. */
  #isNew = true

  readonly #released: () => void

  /** `released`: the machine is done with it, whether or not its end has reached the client. */
  constructor(
    id: ClientId,
    stream: ServerHttp2Stream,
    isLast: boolean,
    to: Listening,
    released: () => void,
  ) {
    super(stream)
    this.#released = released
    this.id = id
    this.#to = to
    this.#hasEnded = isLast
    stream.on('wantTrailers', () => this.#sendTrailers())
    stream.on('close', () => this.#onClose())
  }

  /** Unless it is paused: then once it is resumed. */
  read(): void {
    const { stream } = this
    this.#isNew = false
    stream.on('trailers', (_trailers, _flags, raw) => {
      this.#trailersIn = raw
    })
    stream.on('end', () => this.#onEnd())
    stream.on('data', (bytes: Uint8Array) => {
      if (!this.isReleased) this.#to.step({ type: 'client-data', client: this.id, bytes })
    })
  }

  respond(status: number, fields: readonly string[], isLast: boolean): void {
    const { stream } = this
    try {
      if (status < 200) {
        stream.additionalHeaders({ ...recordOf(fields), ':status': status })
        return
      }
      this.#trailing = isLast ? 'none' : 'owed'
      const head = [':status', `${status}`, ...fields]
      stream.respond(head, { endStream: isLast, waitForTrailers: !isLast })
    } catch {
      this.report('broken') // it is gone, or somebody sent what cannot be said here
      return
    }
    if (isLast) this.expectFinish()
  }

  endWith(trailers: readonly string[]): void {
    this.#trailersOut = recordOf(trailers)
    this.end()
  }

  close(reset: boolean): void {
    this.detach()
    this.#released()
    const { stream } = this
    if (reset || !stream.writableEnded) stream.close(this.#codeOfReset())
    if (this.#hasEnded) return // both sides have: it closes itself
    if (this.#trailing === 'owed') this.#isRefused = true
    else this.#refuse()
  }

  protected tell(what: Occurrence): void {
    if (what === 'finished') this.#hasFinished = true
    this.#to.step({ type: `client-${what}`, client: this.id })
  }

  /** Also of one that is over as it should be: that both sides have ended was told before. */
  #onClose(): void {
    const isWhole = this.#hasEnded && this.#hasFinished
    if (!isWhole || this.stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.report('broken')
  }

  #onEnd(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    if (this.isReleased) return
    const fields = this.#trailersIn
    if (fields === undefined) this.report('ended')
    else this.#to.step({ type: 'client-trailers', client: this.id, fields })
  }

  #sendTrailers(): void {
    this.#trailing = 'taken'
    try {
      this.stream.sendTrailers(this.#trailersOut)
    } catch {
      this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      return
    }
    if (this.#isRefused) this.#refuse()
  }

  /** Who was not let in may ask again (RFC 9113, 8.7): nothing was done with it. */
  #codeOfReset(): number {
    const isUntouched = this.#isNew && !this.stream.headersSent
    return isUntouched ? constants.NGHTTP2_REFUSED_STREAM : constants.NGHTTP2_INTERNAL_ERROR
  }

  /** After the answer, so that it counts (RFC 9113, 8.1). */
  #refuse(): void {
    setImmediate(() => this.stream.close(constants.NGHTTP2_NO_ERROR))
  }
}

const NO_FIELDS: FieldRecord = {}
