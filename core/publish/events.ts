/** What happens to a publish ledger. */
import type { Attempt } from '../machine.ts'
import type { ClaimId, Owner, PublishedBackend, Wish } from './claim.ts'

/** One socket, for ever: counted up from 1 and never used again. */
export type SocketId = number

export type LedgerEvent =
  // each owner's whole set of claims; all of the wishes are granted or none; no claims: gives up all
  | { readonly type: 'claim'; readonly wishes: readonly Wish[] }
  // a backend takes what comes in on a claim; the same one again changes nothing
  | {
      readonly type: 'publish'
      readonly owner: Owner
      readonly claim: ClaimId
      readonly backend: PublishedBackend
    }
  // off every claim of this owner that it was published on, or off one
  | {
      readonly type: 'withdraw'
      readonly owner: Owner
      readonly backend: string
      readonly claim?: ClaimId
    }
  // answers bind; the port that was bound, which the kernel picked when 0 was asked for
  | {
      readonly type: 'bound'
      readonly socket: SocketId
      readonly attempt: Attempt
      readonly port: number
    }
  // answers bind: there is no socket
  | {
      readonly type: 'bind-failed'
      readonly socket: SocketId
      readonly attempt: Attempt
      /** For people: `address in use`. */
      readonly reason: string
      /** The program that has the port, where the system tells: `nginx (pid 71)`. */
      readonly holder?: string
      /** This machine does not have the address, or not the family. */
      readonly isMissing?: boolean
    }
  // answers unbind: the listening socket is closed, the port can be bound
  | { readonly type: 'unbound'; readonly socket: SocketId; readonly attempt: Attempt }
  // the deadline may have come
  | { readonly type: 'tick' }
