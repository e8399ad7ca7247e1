/** What an ingress counts. All of it only rises. */
import type { ExchangeOutcome } from '../commands.ts'

export type ClientRefusal = 'clients-max' | 'not-accepting' // its port was closed, or never opened

export interface IngressCounters {
  /** Connections of HTTP/1.1, and streams. */
  accepted: number
  readonly refused: Record<ClientRefusal, number>
  /** Connections that turned out to be of HTTP/2. */
  sessions: number
  /** Requests that began; all of them are live, or in an outcome. */
  begun: number
  readonly outcomes: Record<ExchangeOutcome, number>
  /** Of all listeners. */
  connected: number
  connectsFailed: number
  staleReuses: number
  retried: number
  /** Idle connections to backends that ended, or said something nobody asked for. */
  idleLost: number
  /** From clients that are not listened to any more. */
  bytesDropped: number
}

export interface ListenerCounters {
  readonly outcomes: Record<ExchangeOutcome, number>
  connected: number
  connectsFailed: number
  /** Requests on an idle connection. */
  reused: number
  /** Idle connections that ended before any of the answer came, so that a fresh one was made. */
  staleReuses: number
  /** Backends tried beyond an exchange's first. */
  retried: number
  /** Requests that waited for a backend. */
  held: number
  /** Of bodies and tunnels. */
  bytesIn: number
  bytesOut: number
}

export const zeroIngressCounters = (): IngressCounters => ({
  accepted: 0,
  refused: { 'clients-max': 0, 'not-accepting': 0 },
  sessions: 0,
  begun: 0,
  outcomes: zeroOutcomes(),
  connected: 0,
  connectsFailed: 0,
  staleReuses: 0,
  retried: 0,
  idleLost: 0,
  bytesDropped: 0,
})

export const zeroListenerCounters = (): ListenerCounters => ({
  outcomes: zeroOutcomes(),
  connected: 0,
  connectsFailed: 0,
  reused: 0,
  staleReuses: 0,
  retried: 0,
  held: 0,
  bytesIn: 0,
  bytesOut: 0,
})

const zeroOutcomes = (): Record<ExchangeOutcome, number> => ({
  done: 0,
  redirected: 0,
  challenge: 0,
  'bad-request': 0,
  'no-route': 0,
  forbidden: 0,
  'no-backend': 0,
  'backends-full': 0,
  'held-max': 0,
  'hold-timeout': 0,
  'connect-failed': 0,
  'host-limit': 0,
  'bad-response': 0,
  'upstream-closed': 0,
  'request-timeout': 0,
  'connect-timeout': 0,
  'response-timeout': 0,
  'total-timeout': 0,
  'client-gone': 0,
  idle: 0,
  cut: 0,
  aborted: 0,
})
