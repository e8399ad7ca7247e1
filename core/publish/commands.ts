/** What a publish ledger wants done, and what its parent should know. */
import type { Attempt } from '../machine.ts'
import type { Owner, PortConflict, PortNamespace } from './claim.ts'
import type { SocketId } from './events.ts'

export type LedgerCommand = SocketCommand | LedgerFact

export type SocketCommand =
  // listen there; answered by bound or bind-failed with this attempt
  | {
      readonly type: 'bind'
      readonly socket: SocketId
      readonly attempt: Attempt
      readonly namespace: PortNamespace
      readonly host: string
      /** 0: whichever is free. */
      readonly port: number
      readonly isV6Only: boolean
    }
  // close the listening socket, also of a bind under way; answered by unbound with this attempt
  | { readonly type: 'unbind'; readonly socket: SocketId; readonly attempt: Attempt }

export type LedgerFact =
  // answers claim: every wish holds
  | { readonly type: 'claimed'; readonly owners: readonly Owner[] }
  // answers claim: none of them does, everything is as it was; `isFull`: the ledger has no room
  | {
      readonly type: 'refused'
      readonly owners: readonly Owner[]
      readonly conflicts: readonly PortConflict[]
      readonly isFull: boolean
    }
  // other claims ride on the socket than before; never said of one that is not bound or binding
  | { readonly type: 'carries'; readonly socket: SocketId }
  // it accepts
  | { readonly type: 'listening'; readonly socket: SocketId }
  // it does not, and is tried again later; `isNews`: for another reason than the last time
  | { readonly type: 'listen-failed'; readonly socket: SocketId; readonly isNews: boolean }
  // closed for sure and forgotten, or never bound
  | { readonly type: 'freed'; readonly socket: SocketId }
