/** What is known of HTTP beside its exchanges: what is there now, and what happened to connections. */
import type { EndpointName } from '../listener/endpoint-sums.ts'

export interface HttpCounters {
  /** Every HTTP endpoint there ever was. */
  readonly endpoints: readonly (EndpointName & { readonly counters: HttpEndpointNumbers })[]
  /** Of all ports together. */
  readonly clients: HttpClientNumbers
}

export interface HttpEndpointNumbers {
  /** There now, held ones among them. */
  readonly requestsLive: number
  /** Waiting for a backend now. */
  readonly heldLive: number
  readonly tunnelsLive: number
  /** Connections made to backends, and attempts that failed. */
  readonly connected: number
  readonly connectsFailed: number
  /** Idle connections to backends that turned out to be closed when a request was written to them. */
  readonly staleReuses: number
}

export interface HttpClientNumbers {
  /** Connections there are now, whatever is spoken on them. */
  readonly live: number
  readonly accepted: number
  /** Of TLS, done. */
  readonly handshakes: number
  /** Not let in, by reason. */
  readonly refused: Readonly<Record<string, number>>
}
