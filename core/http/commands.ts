/** What an HTTP ingress wants done with its sockets, and what its parent should know. */
import type { ListenerFact } from '../balance/facts.ts'
import type { BackendId } from '../balance/group.ts'
import type { ClientId, HttpListenerId, UpstreamId } from './events.ts'
import type { HeadFault } from './head/fault.ts'

export type IngressCommand = ClientCommand | UpstreamCommand | IngressFact

export type ClientCommand =
  // begin to read from an accepted HTTP/1.1 client
  | { readonly type: 'read'; readonly client: ClientId }
  // it begins with the HTTP/2 preface (RFC 9113, 3.4), in `bytes`: it is a session now, whose streams
  // come as `stream-opened`. The last command of this client
  | { readonly type: 'speak-http2'; readonly client: ClientId; readonly bytes: Uint8Array }
  // in this order: first `head` (Latin-1, one byte a character), then `bytes`; at least one is there.
  // `bytes` are borrowed, keep a copy or be done with them
  | {
      readonly type: 'write-client'
      readonly client: ClientId
      readonly head: string
      readonly bytes: Uint8Array | undefined
    }
  // of a stream: the head of the answer, also an interim one (1xx). `isLast`: nothing follows
  | {
      readonly type: 'respond'
      readonly client: ClientId
      readonly status: number
      readonly fields: readonly string[]
      readonly isLast: boolean
    }
  // of a stream: ends it
  | {
      readonly type: 'write-client-trailers'
      readonly client: ClientId
      readonly fields: readonly string[]
    }
  | { readonly type: 'pause-client'; readonly client: ClientId }
  | { readonly type: 'resume-client'; readonly client: ClientId }
  // after all that was written: half-close it; answered by client-finished
  | { readonly type: 'end-client'; readonly client: ClientId }
  // release it; the last command of a client, exactly one unless it became a session
  | {
      readonly type: 'close-client'
      readonly client: ClientId
      /** It shall see a reset, so that it takes no cut answer for a complete one. */
      readonly reset: boolean
    }

export type UpstreamCommand =
  // answered by upstream-connected or upstream-failed, unless closed before. `h2c`: a stream of a
  // session with the backend (RFC 9113, 3.3), which the shell keeps for all streams there
  | {
      readonly type: 'connect'
      readonly upstream: UpstreamId
      readonly listener: HttpListenerId
      readonly backend: BackendId
      readonly host: string
      readonly port: number
      readonly protocol: 'http1' | 'h2c'
    }
  | {
      readonly type: 'write-upstream'
      readonly upstream: UpstreamId
      readonly head: string
      readonly bytes: Uint8Array | undefined
    }
  // of an h2c stream: its head; pseudo-headers first. `isLast`: nothing follows
  | {
      readonly type: 'request'
      readonly upstream: UpstreamId
      readonly fields: readonly string[]
      readonly isLast: boolean
    }
  | {
      readonly type: 'write-upstream-trailers'
      readonly upstream: UpstreamId
      readonly fields: readonly string[]
    }
  | { readonly type: 'pause-upstream'; readonly upstream: UpstreamId }
  | { readonly type: 'resume-upstream'; readonly upstream: UpstreamId }
  // after all that was written: half-close it (a tunnel), or end the stream (h2c)
  | { readonly type: 'end-upstream'; readonly upstream: UpstreamId }
  // release it, connected or not; the last command of an upstream
  | {
      readonly type: 'close-upstream'
      readonly upstream: UpstreamId
      readonly reset: boolean
      /** Of h2c: its session gave no answer in time, and may be dead. It takes no other stream. */
      readonly isSuspect?: boolean
    }

export type IngressFact =
  | (ListenerFact & { readonly listener: HttpListenerId })
  // one request, from its first byte to the last of its answer; exactly one for each that was begun
  | { readonly type: 'exchanged'; readonly exchange: ExchangeRecord }

export interface ExchangeRecord {
  readonly client: ClientId
  /** Absent: no route, or refused before there could be one. */
  readonly listener: HttpListenerId | undefined
  /** `HOST/PATH` of the route; empty without one. */
  readonly route: string
  readonly backend: BackendId | undefined
  /** `1.0`, `1.1`, `2`. */
  readonly protocol: string
  /** What could not be read is empty. */
  readonly method: string
  readonly host: string
  /** As the client sent it, with its query. */
  readonly target: string
  /** As text, without port: who it is for us, behind trusted proxies. */
  readonly clientAddress: string
  readonly requestId: string
  /** Of the final answer; 0: none was sent. 101, or 200 of a CONNECT: it became a tunnel. */
  readonly status: number
  readonly outcome: ExchangeOutcome
  /** Of a `bad-request`: what is wrong with it, if that can be said. */
  readonly fault?: HeadFault | undefined
  /** Of the bodies, without framing; of a tunnel everything. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Backends tried beyond the first. */
  readonly retries: number
  /** All in milliseconds since the first byte of the request; undefined: it did not come that far. */
  readonly timings: ExchangeTimings
  readonly userAgent: string
  readonly referer: string
}

export interface ExchangeTimings {
  /** The head of the request was complete. */
  readonly headMs: number | undefined
  /** A backend was there to take it: more than `headMs` when it was held. */
  readonly chosenMs: number | undefined
  /** It was sent, or began to be. */
  readonly sentMs: number | undefined
  /** The head of the answer was there. */
  readonly firstByteMs: number | undefined
  readonly totalMs: number
}

/** How it ended; each is counted. */
export type ExchangeOutcome =
  | 'done'
  | 'redirected' // to https
  | 'challenge' // answered for ACME
  | 'bad-request' // 400, 414, 417, 431, 501, 505...: see `status`
  | 'no-route' // 404
  | 'forbidden' // 403, by a network policy
  | 'no-backend' // 503
  | 'backends-full' // 503: each has as many as it may
  | 'held-max' // 503: more wait for a backend than may
  | 'hold-timeout' // 503
  | 'connect-failed' // 502
  | 'host-limit' // 503: this machine ran out of something
  | 'bad-response' // 502
  | 'upstream-closed' // 502, or a cut answer
  | 'request-timeout' // 408: head, or a body without progress
  | 'connect-timeout' // 504
  | 'response-timeout' // 504: no head of an answer, or a body without progress
  | 'total-timeout' // 504, or a cut answer
  | 'client-gone'
  | 'idle' // a tunnel without a byte for too long
  | 'cut' // its backend left, and its drain was over
  | 'aborted'
