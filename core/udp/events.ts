/**
 * What happens to a UDP listener and its flows. Payloads and `from` are borrowed: they may be
 * overwritten once the commands of the step are applied. `to` is kept: give one object for each
 * local address, and do not change it.
 */
import type { Backend, BackendId } from '../balance/group.ts'
import type { Attempt } from '../machine.ts'
import type { PackedAddress } from '../net/packed-address.ts'
import type { UdpConfig } from './config.ts'
import type { FlowId } from './flow-id.ts'

export type FlowEvent =
  // the listening socket received it, `to` being the local address the client contacted
  | {
      readonly type: 'client-datagram'
      readonly from: PackedAddress
      readonly to: PackedAddress
      readonly payload: Uint8Array
    }
  // the upstream socket opened for `attempt` received it
  | {
      readonly type: 'upstream-datagram'
      readonly flow: FlowId
      readonly attempt: Attempt
      readonly payload: Uint8Array
    }
  // answers open-upstream: the socket is connected
  | { readonly type: 'upstream-opened'; readonly flow: FlowId; readonly attempt: Attempt }
  // answers open-upstream, or comes later: the backend's port is unreachable (`backend`), or this
  // machine lacks descriptors, ports or memory (`host`)
  | {
      readonly type: 'upstream-failed'
      readonly flow: FlowId
      readonly attempt: Attempt
      readonly blame: 'backend' | 'host'
      readonly reason: string
    }
  // the whole set; its version counts up
  | {
      readonly type: 'apply-backends'
      readonly version: number
      readonly backends: readonly Backend[]
    }
  // wait no longer for the answers of a backend that left
  | { readonly type: 'cut-backend'; readonly backend: BackendId }
  // for flows admitted from now on; limits of the table (flowsMax, datagramBytesMax) at once
  | { readonly type: 'configure'; readonly config: UdpConfig }
  // admit nobody new; there is no way back
  | { readonly type: 'drain' }
  // drain, wait a little for answers, close every flow and then the listening socket
  | { readonly type: 'close' }
  // close every flow and the listening socket at once; nobody waits for the backends
  | { readonly type: 'abort-all' }
  // close every flow that is there now
  | { readonly type: 'close-all' }
  | { readonly type: 'abort-flow'; readonly flow: FlowId }
  | { readonly type: 'tick' } // the deadline may have come
