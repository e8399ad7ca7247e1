/** What a UDP listener wants done with its sockets, and what its parent should know. */
import type { ListenerFact } from '../balance/facts.ts'
import type { BackendId } from '../balance/group.ts'
import type { Attempt } from '../machine.ts'
import type { PackedAddress } from '../net/packed-address.ts'
import type { FlowId } from './flow-id.ts'

export type FlowCommand = FlowSocketCommand | ListenerFact

/** In this order. Payloads are borrowed: send them, or copy them, before the step's events go. */
export type FlowSocketCommand =
  // a socket connected to the backend, bound to any local port; answered by upstream-opened or
  // upstream-failed with the same attempt
  | {
      readonly type: 'open-upstream'
      readonly flow: FlowId
      readonly attempt: Attempt
      readonly backend: BackendId
      readonly host: string
      readonly port: number
    }
  // one datagram on the socket of `attempt`: the header, if any, then the payload
  | {
      readonly type: 'send-upstream'
      readonly flow: FlowId
      readonly attempt: Attempt
      /** A PROXY protocol v2 header. */
      readonly header: Uint8Array | undefined
      readonly payload: Uint8Array
    }
  // one datagram from the listening socket, leaving from the local address the client contacted
  | {
      readonly type: 'send-client'
      readonly flow: FlowId
      readonly from: PackedAddress
      readonly to: PackedAddress
      readonly payload: Uint8Array
    }
  // the flow goes to another backend: release the socket of `attempt`, open or being opened
  | { readonly type: 'close-upstream'; readonly flow: FlowId; readonly attempt: Attempt }
  // the last command of a flow, exactly one for each: release its socket, if there is one
  | {
      readonly type: 'close-flow'
      readonly flow: FlowId
      /** The socket it had last. */
      readonly attempt: Attempt
      readonly reason: CloseReason
      /** Who the flow was for: behind a trusted proxy, whom the proxy announced. */
      readonly client: PackedAddress
      readonly backend: BackendId
      readonly totals: FlowTotals
    }
  // close the listening socket; no flow is left
  | { readonly type: 'stop-listening' }

/** What went through a flow. Counts of datagrams stop at 2^32 - 1. */
export interface FlowTotals {
  /** Client to backend; without PROXY protocol headers. */
  readonly datagramsUp: number
  readonly bytesUp: number
  /** Backend to client. */
  readonly datagramsDown: number
  readonly bytesDown: number
  /** Since admission. */
  readonly durationMs: number
}

export type CloseReason =
  | 'idle' // no datagram for as long as the configuration says
  | 'half-open' // likewise, and no backend ever answered it
  | 'lifetime' // as old as a flow may become
  | 'responses' // every request has its answers
  | 'requests' // as many requests as a flow takes, and answered
  | 'evicted' // never answered, and the table was full
  | 'backend-failed' // unreachable, and no other backend to go to
  | 'host-limit' // this machine had no socket for it
  | 'forbidden' // its client may not come any more, and did
  | 'superseded' // a trusted proxy announced another client on its socket
  | 'drained' // the listener closed
  | 'closed' // close-all
  | 'aborted' // abort-flow

/** Why a datagram went nowhere. Each dropped datagram is counted once, under one reason. */
export type DropReason =
  | 'invalid' // the extractor refused it, or a trusted proxy's header is malformed
  | 'oversize' // longer than datagramBytesMax, either way
  | 'forbidden' // by a network policy
  | 'no-backend' // a new client, and no backend to give it to
  | 'shed' // a new client, and the table is full
  | 'source-limit' // a new flow of a source that has as many as it may
  | 'host-limit' // a new client just after this machine ran out of sockets
  | 'draining' // a new client, and the listener admits nobody any more
  | 'unknown-flow' // from the socket of a flow, or of an attempt, that is over
  | 'held-overflow' // its flow was waiting for a socket, with as much held as may be
  | 'held-lost' // held, and the flow ended before its socket opened
