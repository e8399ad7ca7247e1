/** What people and metrics are told of a flow. */
import type { BackendId } from '../balance/group.ts'
import type { Instant } from '../machine.ts'
import type { PackedAddress } from '../net/packed-address.ts'
import type { FlowTotals } from './commands.ts'
import type { FlowId } from './flow-id.ts'
import { clientOf } from './life/choice.ts'
import { totalsOf } from './life/teardown.ts'
import { type FlowState, idOf } from './state.ts'
import { ANSWERED, BACKEND, DEADLINE, FLAGS, PHASE_MASK } from './storage/flow-records.ts'
import { PAGE_BITS } from './storage/records.ts'
import { UNIT_MS } from './storage/timer-wheel.ts'

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

export function viewOf(state: FlowState, slot: number, now: Instant): FlowView {
  const { records } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const flags = words[at + FLAGS]!
  const deadline = records.doubles[slot >> PAGE_BITS]![(at + DEADLINE) >> 1]!
  return {
    flow: idOf(state, slot),
    phase: PHASES[(flags & PHASE_MASK) - 1]!,
    client: clientOf(state, slot),
    contacted: state.locals.all[records.local(slot)]!,
    backend: state.group.at(words[at + BACKEND]!).backend.id,
    isAnswered: (flags & ANSWERED) !== 0,
    expiresInMs: Math.max(0, deadline * UNIT_MS - now),
    totals: totalsOf(state, slot, now),
  }
}

export function viewsOf(state: FlowState, now: Instant, limit: number): FlowView[] {
  const { records } = state
  const views: FlowView[] = []
  const slots = records.words.length << PAGE_BITS
  const most = Math.min(limit, records.live)
  for (let slot = 0; slot < slots && views.length < most; slot++) {
    const flags = records.words[slot >> PAGE_BITS]![records.offset(slot) + FLAGS]!
    if ((flags & PHASE_MASK) !== 0) views.push(viewOf(state, slot, now))
  }
  return views
}

const PHASES = ['opening', 'open', 'answering'] as const
