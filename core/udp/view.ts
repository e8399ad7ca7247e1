/** What people and metrics are told of a flow. */
import type { BackendId } from '../balance/group.ts'
import type { PackedAddress } from '../net/packed-address.ts'
import type { FlowTotals } from './commands.ts'
import type { FlowId } from './flow-id.ts'

export interface FlowView {
  readonly flow: FlowId
  readonly phase: 'opening' | 'open' | 'answering'
  /** Behind a trusted proxy, whom the proxy announced. */
  readonly client: PackedAddress
  /** The local address the client contacted. */
  readonly contacted: PackedAddress
  readonly backend: BackendId
  /** A backend answered it. */
  readonly isAnswered: boolean
  /** Until it is closed if nothing comes; 0 when that is due. */
  readonly expiresInMs: number
  readonly totals: FlowTotals
}
