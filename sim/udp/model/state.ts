/** What the model of a flow table remembers. */
import type { BackendGroup, Member } from '../../../core/balance/group.ts'
import type { AffinityKey } from '../../../core/balance/strategy.ts'
import type { Attempt, Instant } from '../../../core/machine.ts'
import type { PackedAddress } from '../../../core/net/packed-address.ts'
import type { CloseReason, FlowCommand, FlowTotals } from '../../../core/udp/commands.ts'
import type { UdpConfig } from '../../../core/udp/config.ts'
import type { UdpCounters } from '../../../core/udp/counters.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'

export type ModelExtractor = (from: PackedAddress, payload: Uint8Array) => Uint8Array | undefined

export interface Announced {
  readonly source: PackedAddress
  readonly destination: PackedAddress
}

export interface ModelFlow {
  readonly id: FlowId
  readonly slot: number
  readonly serial: number
  /** What it is found by; an answering flow is not found any more. */
  readonly key: string
  /** The socket that asked, and which local address it asked; with an extractor, the latest. */
  peer: PackedAddress
  local: PackedAddress
  /** Who that is and what it contacted, by a trusted proxy. */
  readonly announced: Announced | undefined
  readonly source: string
  /** Counts among the flows of its source. */
  readonly isCounted: boolean
  readonly affinity: AffinityKey | undefined
  readonly config: UdpConfig
  readonly admittedAt: Instant
  phase: 'opening' | 'open' | 'answering'
  member: Member
  attempt: Attempt
  /** In a row, without an open between. */
  failures: number
  held: Uint8Array[]
  owed: number
  isAnswered: boolean
  owesHeader: boolean
  deadline: Instant
  datagramsUp: number
  bytesUp: number
  datagramsDown: number
  bytesDown: number
}

export interface ModelState {
  config: UdpConfig
  readonly keyOf: ModelExtractor | undefined
  readonly group: BackendGroup
  readonly counters: UdpCounters
  readonly flows: ModelFlow[]
  /** What `source-ip` remembers while a source has counted flows: the backend given last. */
  readonly sources: Map<string, Member>
  /** The one freed last at the end. */
  readonly freeSlots: number[]
  slotsUsed: number
  serialLast: number
  /** Backends that left while flows waited for them, in the order in which they left. */
  departures: { readonly member: Member; readonly until: Instant }[]
  phase: 'serving' | 'draining' | 'closing' | 'ending' | 'closed' | 'emptied'
  closeAt: Instant
  /** Flows admitted until then are being closed, a part of them at a time. */
  sweep: { readonly reason: CloseReason; readonly serialLast: number } | undefined
  isAborted: boolean
  goOnAt: Instant | undefined
  hostFailedAt: Instant
  /** Since when there is no flow; what it says of that it says once. */
  quietSince: Instant | undefined
  isIdle: boolean
  /** No tick came long after something was due: in which order that ends is free. */
  isLate: boolean
  /** Of what affinity names, a number for each. */
  readonly labels: Map<string, number>
  /** The step being done. */
  now: Instant
  out: FlowCommand[]
  /** Flows that may still be closed in numbers. */
  budget: number
  /** What the machine did: says which of several equals it took. */
  observed: readonly FlowCommand[]
}

/** Who the flow is for. */
export const clientOf = ({ announced, peer }: ModelFlow): PackedAddress => announced?.source ?? peer

export const waits = ({ phase, owed }: ModelFlow): boolean => phase === 'opening' || owed > 0

export const bySlot = (state: ModelState): ModelFlow[] =>
  [...state.flows].sort((one, other) => one.slot - other.slot)

export const totalsOf = (flow: ModelFlow, now: Instant): FlowTotals => ({
  datagramsUp: flow.datagramsUp,
  bytesUp: flow.bytesUp,
  datagramsDown: flow.datagramsDown,
  bytesDown: flow.bytesDown,
  durationMs: now - flow.admittedAt,
})
