/** What a TCP listener wants done with its sockets, and what its parent should know. */
import type { ListenerFact } from '../balance/facts.ts'
import type { BackendId } from '../balance/group.ts'
import type { Attempt } from '../machine.ts'
import type { ConnectionId, Side } from './events.ts'

export type StreamListenerCommand = SocketCommand | ListenerFact

export type SocketCommand =
  // answered by upstream-connected or upstream-failed with the same attempt, or abandoned
  | {
      readonly type: 'connect-upstream'
      readonly connection: ConnectionId
      readonly attempt: Attempt
      readonly backend: BackendId
      readonly host: string
      readonly port: number
      /** The connection is made when the TLS handshake with it, as the client, is done. */
      readonly tls: boolean
      /** Of TLS: send this before the handshake, in the clear: a PROXY protocol v2 header. */
      readonly preface?: Uint8Array
    }
  // the attempt is not wanted any more: release its socket, connected or not
  | {
      readonly type: 'abandon-upstream'
      readonly connection: ConnectionId
      readonly attempt: Attempt
    }
  // it waits for a backend: nothing is read from its client, but whether that one leaves is looked at
  | { readonly type: 'hold'; readonly connection: ConnectionId }
  // begin to read both sides
  | { readonly type: 'join'; readonly connection: ConnectionId }
  // in this order; `bytes` are borrowed, keep a copy or be done with them
  | {
      readonly type: 'write'
      readonly connection: ConnectionId
      readonly to: Side
      readonly bytes: Uint8Array
    }
  // read no more from this side until resume
  | { readonly type: 'pause'; readonly connection: ConnectionId; readonly side: Side }
  | { readonly type: 'resume'; readonly connection: ConnectionId; readonly side: Side }
  // after all that was written: half-close this side
  | { readonly type: 'end'; readonly connection: ConnectionId; readonly to: Side }
  // release both sockets; the last command of a connection, exactly one for each accepted
  | {
      readonly type: 'close'
      readonly connection: ConnectionId
      readonly reason: CloseReason
      /** Peers shall see a reset, so that nobody takes a cut stream for a complete one. */
      readonly reset: boolean
    }

export type RefuseReason =
  | 'connections-max'
  | 'forbidden' // by a network policy
  | 'no-backend' // none may be chosen
  | 'held-max' // likewise, and as many as may wait for one do
  | 'backends-full' // each of them has as many connections as it may
  | 'not-accepting' // let in before the listener was closed

export type EndReason =
  | 'done' // both sides ended, everything delivered
  | 'client-reset'
  | 'upstream-reset'
  | 'connect-failed' // every backend it may try was tried, or is full
  | 'hold-timeout' // no backend came in time
  | 'hold-refused' // no backend is to come
  | 'host-limit' // this machine ran out of something
  | 'idle'
  | 'cut'
  | 'aborted'

export type CloseReason = RefuseReason | EndReason
