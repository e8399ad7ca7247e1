/** One connection of HTTP/2 in the clear to a backend (RFC 9113, 3.3), and what waits for it. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { UpstreamId } from '../../../../core/http/events.ts'
import { type Address, failConnect } from '../http1-upstream.ts'
import type { Listening } from '../wire.ts'

export interface BackendSessionOptions {
  readonly idleMs: number
  readonly to: Listening
  /** So many streams of one connection the backend takes, it says. */
  readonly allowed: (streamsMax: number) => void
  /** It takes nothing new. */
  readonly closing: (session: BackendSession) => void
  readonly closed: (session: BackendSession) => void
}

export class BackendSession {
  readonly #options: BackendSessionOptions
  readonly #session: ClientHttp2Session
  #socket: Socket | undefined
  /** Upstreams that wait for it to be connected, longest first, and since when. */
  readonly #waiting = new Map<UpstreamId, number>()
  #isConnected = false
  #isSuspect = false
  /** Upstreams that were promised a stream of it, or have one. */
  #live = 0
  #error: unknown
  /** Of a GOAWAY: what came after it was not looked at (RFC 9113, 6.8). */
  #streamLast = Number.POSITIVE_INFINITY
  readonly #idle: NodeJS.Timeout
  #last: NodeJS.Timeout | undefined

  /** Throws what the system says at once: a port out of range, for one. */
  constructor({ host, port }: Address, options: BackendSessionOptions) {
    this.#options = options
    // The name is for nobody: requests say themselves whom they are for, and not every host is one.
    const session = connectHttp2('http://backend', {
      createConnection: () => {
        this.#socket = connect({ host, port, noDelay: true })
        return this.#socket
      },
      settings: { enablePush: false },
      ...AS_THEY_CAME,
    })
    this.#session = session
    this.#idle = setTimeout(() => this.#onIdle(), options.idleMs).unref()
    session.on('connect', () => this.#onConnect())
    session.on('remoteSettings', ({ maxConcurrentStreams = STREAMS_MAX }) =>
      options.allowed(maxConcurrentStreams),
    )
    session.on('goaway', (_code, streamLast) => {
      this.#streamLast = streamLast
      options.closing(this)
    })
    session.on('error', (error) => {
      this.#error ??= error
    })
    session.once('close', () => this.#onClose())
  }

  hasRoom(streamsMax: number): boolean {
    return !this.#session.closed && this.#live < Math.min(streamsMax, STREAMS_MAX)
  }

  /** Answered by upstream-connected or upstream-failed. */
  promise(upstream: UpstreamId): void {
    this.#live += 1
    if (this.#isConnected) {
      this.#options.to.step({ type: 'upstream-connected', upstream, isReused: true })
    } else {
      this.#waiting.set(upstream, performance.now())
    }
  }

  /** A stream that was promised, or was there, is needed no more. */
  release(upstream: UpstreamId): void {
    this.#live -= 1
    const since = this.#waiting.get(upstream)
    this.#waiting.delete(upstream)
    // Others would wait as long for nothing, and come to wait here again and again.
    if (since !== undefined && performance.now() - since > STUCK_MS) this.#options.closing(this)
    if (this.#live > 0) return
    this.#idle.refresh()
    if (!this.#isConnected)
      this.destroy() // nobody waits for it: another one is tried next
    else if (this.#isSuspect) this.#closeSoon()
  }

  /** Undefined: it takes nothing new. Throws what Node says of fields that cannot be sent. */
  request(fields: readonly string[], isLast: boolean): ClientHttp2Stream | undefined {
    if (this.#session.closed || this.#session.destroyed) return undefined
    return this.#session.request(fields, { endStream: isLast, waitForTrailers: !isLast })
  }

  /** Whether the backend never looked at this stream. */
  hasIgnored({ id }: ClientHttp2Stream): boolean {
    return id === undefined || id > this.#streamLast
  }

  /** It may be dead without the kernel knowing: it takes nothing new, and ends with what it has. */
  suspect(): void {
    this.#isSuspect = true
    this.#options.closing(this)
    if (this.#live === 0) this.#closeSoon()
  }

  destroy(): void {
    this.#session.destroy()
    if (!this.#isConnected) this.#socket?.destroy() // or its attempt goes on
  }

  #onConnect(): void {
    if (this.#session.destroyed) return // Node says it all the same
    this.#isConnected = true
    for (const upstream of this.#waiting.keys()) {
      this.#options.to.step({ type: 'upstream-connected', upstream })
    }
    this.#waiting.clear()
  }

  #onIdle(): void {
    if (this.#live > 0) return
    this.#options.closing(this)
    this.#closeSoon()
  }

  #closeSoon(): void {
    if (this.#last !== undefined) return
    this.#session.close()
    // Once its last words are with the kernel; it may never take them.
    this.#last = setTimeout(() => this.destroy(), LAST_WORDS_MS).unref()
  }

  #onClose(): void {
    clearTimeout(this.#idle)
    clearTimeout(this.#last)
    this.#options.closing(this)
    this.#options.closed(this)
    const error = this.#error ?? new Error('the connection was closed')
    for (const upstream of this.#waiting.keys()) failConnect(upstream, error, this.#options.to)
    this.#waiting.clear()
  }
}

/** Fields that are repeated stay so; the types know of it with servers alone. */
const AS_THEY_CAME = { strictSingleValueFields: false }
/** Of one connection, whatever the backend allows; then there is another one. */
export const STREAMS_MAX = 100
const LAST_WORDS_MS = 5_000
/** By then the kernel has asked the backend a second time (RFC 6298, 2.1), and soon does so seldom. */
const STUCK_MS = 1_000
