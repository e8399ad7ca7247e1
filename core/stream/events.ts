/** What happens to a TCP listener and its connections. */
import type { Backend, BackendId, GroupOptions } from '../balance/group.ts'
import type { Attempt } from '../machine.ts'
import type { Peers } from './entrance/events.ts'
import type { StreamConfig } from './state.ts'

declare const brand: unique symbol
/**
 * One client connection, for ever: the shell counts up from 1 and never uses a number again, so
 * that what arrives late for a connection that ended can never reach another one.
 */
export type ConnectionId = number & { readonly [brand]: 'ConnectionId' }

export type Side = 'client' | 'upstream'

export type WhenEmpty = 'refuse' | 'hold'

export type StreamListenerEvent =
  // a client was let in; nothing is read from it until `join`, beginning with what an entrance read.
  // Those of several sockets come in any order. `peers`: absent where nobody says
  | { readonly type: 'accepted'; readonly connection: ConnectionId; readonly peers?: Peers }
  // answers connect-upstream; nothing was read from it and nothing is until `join`
  | {
      readonly type: 'upstream-connected'
      readonly connection: ConnectionId
      readonly attempt: Attempt
    }
  | {
      readonly type: 'upstream-failed'
      readonly connection: ConnectionId
      readonly attempt: Attempt
      /** `host`: this machine lacks something (descriptors, ports), whatever the backend. */
      readonly blame: 'backend' | 'host'
      /** For people: `connection refused`. */
      readonly reason: string
    }
  // bytes in their order; borrowed until the commands of this step were run
  | {
      readonly type: 'data'
      readonly connection: ConnectionId
      readonly from: Side
      readonly bytes: Uint8Array
    }
  // this side sends no more; all it sent was delivered as data before
  | { readonly type: 'ended'; readonly connection: ConnectionId; readonly from: Side }
  // this side is gone: reset, or broken in another way; its socket is of no more use
  | { readonly type: 'errored'; readonly connection: ConnectionId; readonly side: Side }
  // what was written to this side waits in memory: the kernel takes no more for now
  | { readonly type: 'blocked'; readonly connection: ConnectionId; readonly side: Side }
  // follows blocked: nothing waits any more
  | { readonly type: 'writable'; readonly connection: ConnectionId; readonly side: Side }
  // answers end: the kernel has all that was written to this side, and its end
  | { readonly type: 'finished'; readonly connection: ConnectionId; readonly side: Side }
  // the whole set; a backend missing in it takes no new connection and drains
  | {
      readonly type: 'apply-backends'
      readonly version: number
      readonly backends: readonly Backend[]
      /** Without a backend to choose: `hold` whoever comes and say `wanted`, or refuse them. */
      readonly whenEmpty: WhenEmpty
    }
  // end the live connections of this backend
  | { readonly type: 'cut-backend'; readonly backend: BackendId }
  // let in no more; live connections go on
  | { readonly type: 'close' }
  // let in no more and end every connection
  | { readonly type: 'abort-all' }
  // for connections accepted from now on
  | { readonly type: 'configure'; readonly config: StreamConfig }
  // for what is chosen from now on; lives are counted on. Not data: a strategy is an object
  | { readonly type: 'rebalance'; readonly balance: GroupOptions }
  // the deadline may have come
  | { readonly type: 'tick' }
