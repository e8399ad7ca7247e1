/** A stream of HTTP/2 to a backend, from its request on. */
import { type ClientHttp2Stream, constants } from 'node:http2'
import type { UpstreamId } from '../../../../core/http/events.ts'
import { type Listening, type Occurrence, Wire } from '../wire.ts'
import type { BackendSession } from './backend-session.ts'
import { type FieldRecord, pseudoEnd, recordOf } from './fields.ts'

export class StreamUpstream extends Wire<ClientHttp2Stream> {
  readonly #id: UpstreamId
  readonly #session: BackendSession
  readonly #to: Listening
  #hasAnswered = false
  /** The answer has ended. */
  #hasEnded = false
  #trailersIn: readonly string[] | undefined
  #trailersOut: FieldRecord = {}

  constructor(id: UpstreamId, stream: ClientHttp2Stream, session: BackendSession, to: Listening) {
    super(stream)
    this.#id = id
    this.#session = session
    this.#to = to
    stream.on('headers', (_headers, _flags, raw) => this.#onHead(raw, 0))
    stream.on('response', (_headers, flags, raw) => this.#onHead(raw, flags))
    stream.on('trailers', (_trailers, _flags, raw) => {
      this.#trailersIn = raw
    })
    stream.on('wantTrailers', () => this.#sendTrailers())
    stream.on('end', () => this.#onEnd())
    stream.on('close', () => this.#onClose())
    stream.on('data', (bytes: Uint8Array) => {
      if (!this.isReleased) to.step({ type: 'upstream-data', upstream: id, bytes })
    })
  }

  endWith(trailers: readonly string[]): void {
    this.#trailersOut = recordOf(trailers)
    this.end()
  }

  close(reset: boolean): void {
    this.detach()
    const { stream } = this
    if (reset || !this.#hasEnded || !stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL)
  }

  /** It was not answered for too long. */
  suspect(): void {
    this.#session.suspect()
  }

  protected tell(what: Occurrence): void {
    this.#to.step({ type: `upstream-${what}`, upstream: this.#id })
  }

  /** Its `close` follows, and tells what it means. */
  protected override onError(): void {}

  #onHead(raw: readonly string[], flags: number): void {
    if (this.isReleased) return
    const isLast = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    this.#hasAnswered = true
    if (isLast) this.#hasEnded = true
    const status = Number(raw[raw.indexOf(':status') + 1])
    const fields = raw.slice(pseudoEnd(raw))
    this.#to.step({ type: 'upstream-head', upstream: this.#id, status, fields, isLast })
  }

  #onEnd(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    if (this.isReleased) return
    const fields = this.#trailersIn
    if (fields === undefined) this.report('ended')
    else this.#to.step({ type: 'upstream-trailers', upstream: this.#id, fields })
  }

  #onClose(): void {
    this.#session.release(this.#id)
    if (this.isReleased || this.#hasEnded) return
    const { stream } = this
    const wasRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM
    const isRepeatable = !this.#hasAnswered && (wasRefused || this.#session.hasIgnored(stream))
    if (!isRepeatable) return this.report('broken')
    const reason = 'the backend did not take the request'
    this.#to.step({ type: 'upstream-failed', upstream: this.#id, blame: 'backend', reason })
  }

  #sendTrailers(): void {
    try {
      this.stream.sendTrailers(this.#trailersOut)
    } catch {
      this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    }
  }
}
