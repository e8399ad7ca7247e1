/** Connections of HTTP/1.1 to backends, from the attempt to connect on. */
import { connect, type Socket } from 'node:net'
import type { UpstreamId } from '../../../core/http/events.ts'
import { isHostLimit, reasonOf } from '../socket-errors.ts'
import { sharedBytes, sharedReads } from './shared-reads.ts'
import { SocketWire } from './socket-wire.ts'
import type { Listening, Occurrence } from './wire.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** Throws what the system says at once: a port out of range, for one. */
export function connectHttp1(id: UpstreamId, address: Address, to: Listening): Http1Upstream {
  const { host, port } = address
  const onread = sharedReads((length) => upstream.take(length))
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true, onread })
  const upstream = new Http1Upstream(id, socket, to)
  return upstream
}

export class Http1Upstream extends SocketWire {
  readonly #id: UpstreamId
  #isConnected = false

  constructor(id: UpstreamId, socket: Socket, to: Listening) {
    super(socket, to)
    this.#id = id
    socket.once('connect', () => this.#onConnect())
    socket.on('end', () => this.report('ended'))
  }

  /** So much is in the buffer; goes on reading. */
  take(length: number): true {
    const bytes = sharedBytes(length)
    if (!this.isReleased) this.to.step({ type: 'upstream-data', upstream: this.#id, bytes })
    return true
  }

  protected tell(what: Occurrence): void {
    this.to.step({ type: `upstream-${what}`, upstream: this.#id })
  }

  protected override onError(error: Error): void {
    if (this.#isConnected) this.report('broken')
    else if (!this.isReleased) failConnect(this.#id, error, this.to)
  }

  #onConnect(): void {
    this.#isConnected = true
    if (!this.isReleased) this.to.step({ type: 'upstream-connected', upstream: this.#id })
  }
}

export function failConnect(upstream: UpstreamId, error: unknown, to: Listening): void {
  const reason = reasonOf(error)
  const isHost = isHostLimit(error)
  if (isHost) to.hostFailed(reason)
  to.step({ type: 'upstream-failed', upstream, blame: isHost ? 'host' : 'backend', reason })
}
