/** One client on its way in: read, made TLS of, handed on. No byte of it is lost on the way. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { EntranceEvent } from '../../../../core/stream/entrance/events.ts'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { releaseSocket } from '../stream/release-socket.ts'
import { noCertificateFor, type Shown, secureClient, shownTo } from './secure-client.ts'

type Step = (event: EntranceEvent) => void

export class EnteringClient {
  readonly #connection: ConnectionId
  readonly #step: Step
  readonly #tcp: Socket
  #secure: TLSSocket | undefined

  /** `tcp`: paused and without listeners of ours. */
  constructor(connection: ConnectionId, tcp: Socket, step: Step) {
    this.#connection = connection
    this.#tcp = tcp
    this.#step = step
  }

  read(): void {
    this.#tcp.on('data', this.#onData)
    this.#tcp.on('end', this.#onEnd)
    this.#tcp.on('error', this.#onError)
    this.#tcp.resume()
  }

  /** What comes now waits: a little of it in the socket, the rest in the kernel. */
  hold(): void {
    this.#tcp.pause()
    this.#tcp.off('data', this.#onData)
    this.#tcp.off('end', this.#onEnd)
    this.#tcp.off('error', this.#onError)
  }

  /** Answered by `secured` or `secure-failed`. `protocols`: offered by ALPN (RFC 7301); none: no word of it. */
  secure(
    bytes: Uint8Array,
    serverName: string | undefined,
    certificates: Shown | undefined,
    protocols: readonly string[],
  ): void {
    const connection = this.#connection
    const failed = (reason: string): void =>
      this.#step({ type: 'secure-failed', connection, reason })
    if (certificates === undefined) return failed('this node has no certificates')
    const options = shownTo(this.#tcp, serverName, certificates)
    if (options === undefined) return failed(noCertificateFor(serverName ?? ''))
    const done = (): void => this.#step({ type: 'secured', connection })
    this.#secure = secureClient(this.#tcp, bytes, { ...options, protocols }, { done, failed })
  }

  /** Gives it away: paused, without listeners of ours, `bytes` to be read first. */
  handOn(bytes: Uint8Array): Socket {
    if (this.#secure !== undefined) return this.#secure
    if (bytes.byteLength > 0) this.#tcp.unshift(bytes)
    return this.#tcp
  }

  /** `bytes` are in the clear. */
  refuse(bytes: Uint8Array, reset: boolean): void {
    if (bytes.byteLength > 0) this.#tcp.write(bytes)
    releaseSocket(this.#secure ?? this.#tcp, reset)
  }

  readonly #onData = (bytes: Uint8Array): void =>
    this.#step({ type: 'data', connection: this.#connection, bytes })
  readonly #onEnd = (): void => this.#step({ type: 'ended', connection: this.#connection })
  readonly #onError = (): void => this.#step({ type: 'errored', connection: this.#connection })
}
