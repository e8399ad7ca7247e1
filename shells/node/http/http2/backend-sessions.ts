/** The connections of HTTP/2 to backends: one for each address, and more where it is full. */
import type { UpstreamId } from '../../../../core/http/events.ts'
import type { Address } from '../http1-upstream.ts'
import type { Listening } from '../wire.ts'
import { BackendSession, STREAMS_MAX } from './backend-session.ts'
import { StreamUpstream } from './stream-upstream.ts'

export interface BackendSessionsOptions {
  /** How long one is kept that has nothing to do. */
  readonly idleMs: number
  readonly to: Listening
}

/** What there is at one address. */
interface Place {
  readonly sessions: Set<BackendSession>
  /** As one of them was told last. */
  streamsMax: number
}

export class BackendSessions {
  readonly #options: BackendSessionsOptions
  /** By address, where there is a connection that takes something. */
  readonly #places = new Map<string, Place>()
  /** Also those that take nothing new. */
  readonly #open = new Set<BackendSession>()
  /** Promised a stream, and without one so far. */
  readonly #promised = new Map<UpstreamId, BackendSession>()

  constructor(options: BackendSessionsOptions) {
    this.#options = options
  }

  /** Answered by upstream-connected or upstream-failed; throws what the system says at once. */
  connect(upstream: UpstreamId, address: Address): void {
    const session = this.#sessionFor(address)
    this.#promised.set(upstream, session)
    session.promise(upstream)
  }

  /** It was promised a stream. Undefined: there is none any more, and the machine was told. */
  request(
    upstream: UpstreamId,
    fields: readonly string[],
    isLast: boolean,
  ): StreamUpstream | undefined {
    const session = this.#promised.get(upstream)
    if (session === undefined) return undefined
    this.#promised.delete(upstream)
    const { to } = this.#options
    try {
      const stream = session.request(fields, isLast)
      if (stream !== undefined) return new StreamUpstream(upstream, stream, session, to)
      const reason = 'the connection was closed'
      to.step({ type: 'upstream-failed', upstream, blame: 'backend', reason })
    } catch {
      to.step({ type: 'upstream-broken', upstream })
    }
    session.release(upstream)
    return undefined
  }

  /** It needs no stream any more, if it was promised one. */
  abandon(upstream: UpstreamId): void {
    this.#promised.get(upstream)?.release(upstream)
    this.#promised.delete(upstream)
  }

  stop(): void {
    for (const session of this.#open) session.destroy()
  }

  #sessionFor(address: Address): BackendSession {
    const key = `${address.host} ${address.port}`
    const place = this.#places.get(key) ?? { sessions: new Set(), streamsMax: STREAMS_MAX }
    const { sessions } = place
    for (const session of sessions) if (session.hasRoom(place.streamsMax)) return session
    const session = new BackendSession(address, {
      ...this.#options,
      allowed: (streamsMax) => {
        place.streamsMax = Math.max(1, streamsMax) // 0 is for a moment (RFC 9113, 5.1.2)
      },
      closing: (session) => {
        sessions.delete(session)
        if (sessions.size === 0 && this.#places.get(key) === place) this.#places.delete(key)
      },
      closed: (session) => this.#open.delete(session),
    })
    this.#open.add(session)
    sessions.add(session)
    this.#places.set(key, place)
    return session
  }
}
