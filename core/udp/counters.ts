/** Everything since the table was made. `created` = live flows + all in `closed`. */
import type { CloseReason, DropReason } from './commands.ts'

export interface UdpCounters {
  /** Forwarded to backends; bytes without PROXY protocol headers. */
  datagramsUp: number
  bytesUp: number
  /** Returned to clients. */
  datagramsDown: number
  bytesDown: number
  created: number
  readonly closed: Record<CloseReason, number>
  /** Datagrams that went nowhere. */
  readonly dropped: Record<DropReason, number>
  /** Flows that went on with another backend. */
  reselected: number
  /** Answers about sockets that are not wanted any more. */
  staleAnswers: number
}

export const zeroCounters = (): UdpCounters => ({
  datagramsUp: 0,
  bytesUp: 0,
  datagramsDown: 0,
  bytesDown: 0,
  created: 0,
  closed: {
    idle: 0,
    'half-open': 0,
    lifetime: 0,
    responses: 0,
    requests: 0,
    evicted: 0,
    'backend-failed': 0,
    'host-limit': 0,
    forbidden: 0,
    superseded: 0,
    drained: 0,
    closed: 0,
    aborted: 0,
  },
  dropped: {
    invalid: 0,
    oversize: 0,
    forbidden: 0,
    'no-backend': 0,
    shed: 0,
    'source-limit': 0,
    'host-limit': 0,
    draining: 0,
    'unknown-flow': 0,
    'held-overflow': 0,
    'held-lost': 0,
  },
  reselected: 0,
  staleAnswers: 0,
})
