/** What an HTTP ingress is told by those who run it. */
import type { PackedPrefix } from '../net/packed-address.ts'
import type { AccessList } from '../policy/access.ts'
import type { HttpListenerId } from './events.ts'

export interface IngressConfig {
  /** Peers whose forwarding headers are believed. */
  readonly trustedProxies: readonly PackedPrefix[]
  /** Clients at one time, connections and streams; more are refused and counted. */
  readonly clientsMax: number
  /** Of ports that say nothing else. */
  readonly limits: PortLimits
  /** One line of a head, without its CRLF: a target with its method, a cookie. */
  readonly lineBytesMax: number
  /** Fields of a head, or of trailers. */
  readonly fieldsMax: number
  /** Requests of one connection; then it is closed. 0 = no limit. */
  readonly requestsPerClientMax: number
  /** Bytes of requests that came while the one before them is answered; then it is read no more. */
  readonly pipelinedBytesMax: number
  /** Requests waiting for a backend, of all listeners. */
  readonly heldMax: number
  readonly heldBytesMax: number
  /** Idle connections kept to one backend, and for how long. */
  readonly idlePerBackendMax: number
  readonly idleUpstreamMs: number
  /** A request that cannot be repeated takes no idle connection that was idle for longer. */
  readonly freshUpstreamMs: number
  /** How we call ourselves in Via (RFC 9110, 7.6.3). */
  readonly pseudonym: string
}

/** Before a request says whom it is for. */
export interface PortLimits {
  /** From the first byte of a head to its last. */
  readonly headTimeoutMs: number
  readonly headBytesMax: number
  /** Between two requests of a connection. */
  readonly keepAliveMs: number
}

export const defaultIngressConfig: IngressConfig = {
  trustedProxies: [],
  clientsMax: 50_000,
  limits: { headTimeoutMs: 10_000, headBytesMax: 32_768, keepAliveMs: 75_000 },
  lineBytesMax: 16_384,
  fieldsMax: 128,
  requestsPerClientMax: 0,
  pipelinedBytesMax: 65_536,
  heldMax: 1_000,
  heldBytesMax: 16 * 1_048_576,
  idlePerBackendMax: 512,
  idleUpstreamMs: 60_000,
  freshUpstreamMs: 1_000,
  pseudonym: 'weir',
}

export interface HttpListenerConfig {
  /** Whether backends see the path without the prefix of the route. */
  readonly stripPrefix: boolean
  readonly backend: 'http1' | 'h2c'
  readonly bodyTimeoutMs: number
  readonly connectTimeoutMs: number
  /** Until the head of the answer; then a body must move within `bodyTimeoutMs`. */
  readonly responseTimeoutMs: number
  /** From the first byte to the last; 0 = no limit. Not of tunnels. */
  readonly totalTimeoutMs: number
  /** A tunnel without a byte either way; 0 = no limit. */
  readonly tunnelIdleMs: number
  readonly headBytesMax: number
  /** Other backends tried. */
  readonly retries: number
  readonly holdTimeoutMs: number
  /** Requests and tunnels at one backend at one time; 0 = no limit. */
  readonly requestsPerBackendMax: number
  /** Say `idle` after so long; 0 = never. */
  readonly idleAfterMs: number
  /** Strict-Transport-Security on answers over TLS (RFC 6797). */
  readonly hsts: boolean
  readonly access: AccessList
}

export const defaultHttpListenerConfig: HttpListenerConfig = {
  stripPrefix: false,
  backend: 'http1',
  bodyTimeoutMs: 60_000,
  connectTimeoutMs: 2_000,
  responseTimeoutMs: 60_000,
  totalTimeoutMs: 0,
  tunnelIdleMs: 3_600_000,
  headBytesMax: 32_768,
  retries: 1,
  holdTimeoutMs: 30_000,
  requestsPerBackendMax: 0,
  idleAfterMs: 0,
  hsts: true,
  access: [],
}

export interface HttpRoute {
  /** `example.com`, or `*.example.com` for one label more; lower case; absent: any, or none. */
  readonly host?: string
  /** A prefix that ends at a segment's end: `/`, `/api`. */
  readonly path: string
  readonly listener: HttpListenerId
  /** Plain requests are sent to https at this port (308), and go nowhere else. */
  readonly redirectTo?: number
}
