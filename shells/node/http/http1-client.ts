import type { Socket } from 'node:net'
import type { ClientEvent, ClientId } from '../../../core/http/events.ts'
import { wasReset } from '../listener/stream/release-socket.ts'
import { sharedBytes, takeOver } from './shared-reads.ts'
import { SocketWire } from './socket-wire.ts'
import type { Listening, Occurrence } from './wire.ts'

/** Where a client came in, and from where. */
export type Origin = Pick<Extract<ClientEvent, { type: 'accepted' }>, 'port' | 'peers' | 'tls'>

/** A client connection of HTTP/1.1: bytes in, bytes out. */
export class Http1Client extends SocketWire {
  readonly id: ClientId
  readonly origin: Origin
  #reads = 0

  /** `socket`: not read, and not ended. */
  constructor(id: ClientId, socket: Socket, origin: Origin, to: Listening) {
    super(socket, to)
    this.id = id
    this.origin = origin
    socket.on('close', this.#onClose)
  }

  read(): void {
    const { stream } = this
    stream.on('data', this.#onData)
    stream.on('end', this.#onEnd)
    // One that was read before, if only for its TLS, may have ended with nothing left to read.
    if (stream.readableEnded) this.#onEnd()
    else stream.resume()
  }

  /** Gives the socket away: paused, `bytes` to be read first. Its errors are heard, and ignored. */
  handOn(bytes: Uint8Array): Socket {
    this.detach()
    const { stream } = this
    stream.pause()
    stream.off('data', this.#onData)
    stream.off('end', this.#onEnd)
    stream.off('close', this.#onClose)
    stream.unshift(Buffer.from(bytes))
    return stream
  }

  protected tell(what: Occurrence): void {
    this.to.step({ type: `client-${what}`, client: this.id })
  }

  readonly #onData = (bytes: Uint8Array): void => {
    if (this.isReleased) return
    this.to.step({ type: 'client-data', client: this.id, bytes })
    this.#reads += 1
    if (this.#reads >= READS_OF_KEPT && !this.isReleased) this.#readCheaply()
  }

  /** Another socket costs as much as a few reads: it is for those that are kept. */
  #readCheaply(): void {
    const { stream } = this
    const fresh = takeOver(stream, (length) => {
      const bytes = sharedBytes(length)
      if (!this.isReleased) this.to.step({ type: 'client-data', client: this.id, bytes })
      return true
    })
    if (fresh === undefined) return
    stream.removeAllListeners() // it has nothing to say any more
    this.adopt(fresh)
    fresh.on('end', this.#onEnd)
    fresh.on('close', this.#onClose)
    fresh.resume()
  }

  readonly #onEnd = (): void => {
    this.report('ended')
    // What it sent is delivered first: it may have been all it had to say.
    if (!this.isReleased && wasReset(this.stream)) this.report('broken')
  }

  /** What carries a TLS socket may go without a word. */
  readonly #onClose = (): void => this.report('broken')
}

const READS_OF_KEPT = 4
