/** One HTTP/2 connection of a client: each of its streams is a client of the machine. */
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { PortLimits } from '../../../../core/http/config.ts'
import type { ClientId, StreamHead } from '../../../../core/http/events.ts'
import { releaseSocket } from '../../listener/stream/release-socket.ts'
import type { Origin } from '../http1-client.ts'
import type { Listening } from '../wire.ts'
import { pseudoEnd } from './fields.ts'
import { StreamClient } from './stream-client.ts'

export interface ClientSessionOptions {
  readonly limits: PortLimits
  readonly fieldsMax: number
  readonly to: Listening
  readonly nextClient: () => ClientId
  readonly opened: (stream: StreamClient) => void
  /** It did what is not allowed, or too much of what is. */
  readonly misbehaved: () => void
  readonly closed: (session: ClientSession) => void
}

export class ClientSession {
  readonly origin: Origin
  readonly #options: ClientSessionOptions
  readonly #session: ServerHttp2Session
  readonly #socket: Socket
  #live = 0
  /** Streams that nobody has use for any more, and when their last words have to be said. */
  readonly #leaving = new Map<ServerHttp2Stream, number>()
  #leavingTimer: NodeJS.Timeout | undefined
  #isClosing = false
  #last: NodeJS.Timeout | undefined
  /** Ends it when it has no stream for long. */
  readonly #idle: NodeJS.Timeout

  /** What was read of `socket` was put back. Throws when it cannot be spoken on any more. */
  constructor(socket: Socket, origin: Origin, options: ClientSessionOptions) {
    const { limits, fieldsMax } = options
    this.origin = origin
    this.#options = options
    this.#socket = socket
    socket.on('error', () => {}) // the session tells, or it is over
    const session = performServerHandshake(socket, {
      maxHeaderListPairs: fieldsMax + PSEUDO_FIELDS_MAX,
      // What is repeated stays so; whether it may be is for who reads it.
      strictSingleValueFields: false,
      settings: {
        enableConnectProtocol: true,
        maxConcurrentStreams: STREAMS_MAX,
        maxHeaderListSize: limits.headBytesMax,
      },
    })
    this.#session = session
    // It may be half-open, which is of no use here: who sends no more grants no room for answers.
    socket.once('end', () => session.destroy())
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith('ERR_HTTP2') === true) options.misbehaved()
    })
    session.once('close', () => this.#onClose())
    session.on('stream', (stream, _headers, flags, raw) => this.#onStream(stream, flags, raw))
    this.#idle = setTimeout(() => this.#onIdle(), limits.keepAliveMs).unref()
    // Of all streams together; each has 64 KiB, which is all that is kept of one that is not read.
    session.setLocalWindowSize(WINDOW_BYTES)
  }

  /** Streams that are there go on; it takes no more. */
  close(): void {
    this.#isClosing = true
    this.#session.close()
    if (this.#live === 0) this.#destroySoon()
  }

  destroy(): void {
    this.#session.destroy()
    // A socket that takes nothing would never come to its end.
    releaseSocket(this.#socket, true)
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    const { nextClient, opened, to } = this.#options
    const isLast = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0
    const client = new StreamClient(nextClient(), stream, isLast, to, () =>
      this.#expectClose(stream),
    )
    this.#live += 1
    stream.once('close', () => this.#onStreamClosed(stream))
    opened(client)
    const { id } = client
    to.step({ type: 'stream-opened', client: id, ...this.origin, head: headOf(raw), isLast })
    client.read()
  }

  /** Its end is to be with the kernel soon. A client that reads nothing at all keeps it from that. */
  #expectClose(stream: ServerHttp2Stream): void {
    if (stream.destroyed) return
    this.#leaving.set(stream, performance.now() + LAST_WORDS_MS)
    if (this.#leavingTimer === undefined) this.#watchLeaving()
  }

  #watchLeaving(): void {
    this.#leavingTimer = undefined
    const [first] = this.#leaving.values()
    if (first === undefined) return
    const waitMs = first - performance.now()
    if (waitMs <= 0) return this.destroy()
    this.#leavingTimer = setTimeout(() => this.#watchLeaving(), waitMs).unref()
  }

  #onStreamClosed(stream: ServerHttp2Stream): void {
    this.#leaving.delete(stream)
    this.#live -= 1
    if (this.#live > 0) return
    if (this.#isClosing) this.#destroySoon()
    else this.#idle.refresh()
  }

  /** It closes itself when its last words are with the kernel, which may never take them. */
  #destroySoon(): void {
    clearTimeout(this.#last)
    this.#last = setTimeout(() => this.destroy(), LAST_WORDS_MS).unref()
  }

  #onIdle(): void {
    if (this.#live === 0) this.close()
  }

  #onClose(): void {
    clearTimeout(this.#idle)
    clearTimeout(this.#last)
    clearTimeout(this.#leavingTimer)
    this.#leaving.clear()
    this.#options.closed(this)
  }
}

function headOf(raw: readonly string[]): StreamHead {
  const end = pseudoEnd(raw)
  const pseudo = (name: string): string | undefined => {
    for (let at = 0; at < end; at += 2) if (raw[at] === name) return raw[at + 1]
    return undefined
  }
  const protocol = pseudo(':protocol')
  return {
    method: pseudo(':method') ?? '',
    scheme: pseudo(':scheme') ?? '',
    authority: pseudo(':authority') ?? '',
    path: pseudo(':path') ?? '',
    fields: raw.slice(end),
    ...(protocol === undefined ? {} : { protocol }),
  }
}

const STREAMS_MAX = 128
const LAST_WORDS_MS = 5_000
const WINDOW_BYTES = 1_048_576
/** :method, :scheme, :authority, :path, :protocol. */
const PSEUDO_FIELDS_MAX = 5
