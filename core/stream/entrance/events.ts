/** What happens at the entrance of a TCP socket. */
import type { PackedAddress } from '../../net/packed-address.ts'
import type { ConnectionId } from '../events.ts'
import type { EntranceConfig } from './config.ts'

/** Who is connected to what, as the kernel tells or a trusted proxy announces. */
export interface Peers {
  readonly source: PackedAddress
  readonly destination: PackedAddress
}

export type EntranceEvent =
  // a client connected; nothing is read until `read`. `peers`: absent where the kernel does not say
  | {
      readonly type: 'accepted'
      readonly connection: ConnectionId
      readonly peers?: Peers
    }
  // bytes in their order, after `read`; kept here until they are handed on
  | { readonly type: 'data'; readonly connection: ConnectionId; readonly bytes: Uint8Array }
  // the client sends no more
  | { readonly type: 'ended'; readonly connection: ConnectionId }
  // it is gone
  | { readonly type: 'errored'; readonly connection: ConnectionId }
  // answers secure: the handshake is done, what is read from now on is plain
  | { readonly type: 'secured'; readonly connection: ConnectionId }
  // answers secure; `reason` for people
  | { readonly type: 'secure-failed'; readonly connection: ConnectionId; readonly reason: string }
  // for connections accepted from now on
  | { readonly type: 'configure'; readonly config: EntranceConfig }
  // the listening socket is closed: those still on the way in are refused
  | { readonly type: 'close' }
  | { readonly type: 'tick' } // the deadline may have come
