/** What becomes of the upstream sockets of flows: open, failed, answering. */
import type { Member } from '../../balance/group.ts'
import type { Instant } from '../../machine.ts'
import type { FlowEvent } from '../events.ts'
import type { FlowId } from '../flow-id.ts'
import {
  drop,
  expiry,
  type FlowState,
  liveSlot,
  type Out,
  setDeadline,
  stopWaiting,
  unitOf,
} from '../state.ts'
import {
  ANSWERED,
  ANSWERING,
  ATTEMPT,
  BACKEND,
  BYTES_DOWN,
  CONFIG,
  COUNT_MAX,
  DATAGRAMS_DOWN,
  FAILURES_MASK,
  FAILURES_SHIFT,
  FLAGS,
  OPEN,
  OPENING,
  OWED,
  PHASE_MASK,
} from '../storage/flow-records.ts'
import { NONE, PAGE_BITS } from '../storage/records.ts'
import { chooseAgain } from './choice.ts'
import { forward, goToAnother } from './forwarding.ts'
import { closeFlow } from './teardown.ts'

type Event<Type> = Extract<FlowEvent, { type: Type }>

export function onUpstreamOpened(
  state: FlowState,
  { flow, attempt }: Event<'upstream-opened'>,
  now: Instant,
  out: Out,
): void {
  const { records, held } = state
  const slot = slotOfAttempt(state, flow, attempt)
  const words = records.words[slot >> PAGE_BITS]
  const at = records.offset(slot)
  if (words === undefined || (words[at + FLAGS]! & PHASE_MASK) !== OPENING) {
    state.counters.staleAnswers += 1
    return
  }
  words[at + FLAGS] = (words[at + FLAGS]! & ~PHASE_MASK & ~FAILURES_MASK) | OPEN
  const queue = held.get(slot) ?? []
  held.delete(slot)
  // Each forward counts the flow as waiting; it did so already.
  if (queue.length > 0) {
    state.waiting -= 1
    state.waitingOn[words[at + BACKEND]!]! -= 1
  } else {
    stopWaiting(state, state.group.at(words[at + BACKEND]!), out)
  }
  for (const payload of queue) {
    state.heldBytes -= payload.length
    forward(state, slot, payload, now, out)
  }
}

export function onUpstreamFailed(
  state: FlowState,
  { flow, attempt, blame, reason }: Event<'upstream-failed'>,
  now: Instant,
  out: Out,
): void {
  const slot = slotOfAttempt(state, flow, attempt)
  if (slot === NONE) {
    state.counters.staleAnswers += 1
    return
  }
  if (blame === 'host') {
    state.hostPausedUntil = now + HOST_PAUSE_MS
    return closeFlow(state, slot, 'host-limit', now, out)
  }
  const { records, group } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const member = group.at(words[at + BACKEND]!)
  if (group.shouldReportFailure(member, now)) {
    out.push({ type: 'backend-failed', backend: member.backend.id, reason })
  }
  const other = afterFailure(state, slot, member)
  if (other === undefined) return closeFlow(state, slot, 'backend-failed', now, out)
  goToAnother(state, slot, other, now, out)
}

/** Where a flow goes whose backend failed, if anywhere. */
function afterFailure(state: FlowState, slot: number, failed: Member): Member | undefined {
  const { records } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const { config } = state.configs[words[at + CONFIG]!]!
  const flags = words[at + FLAGS]!
  const failures = ((flags & FAILURES_MASK) >> FAILURES_SHIFT) + 1
  // With `datagram` the flow is one of a client and this very backend.
  const isOfBackend = config.affinity === 'datagram' && state.keyOf === undefined
  if ((flags & PHASE_MASK) === ANSWERING || isOfBackend) return undefined
  if (failures >= FAILURES_MAX) return undefined
  words[at + FLAGS] = (flags & ~FAILURES_MASK) | (failures << FAILURES_SHIFT)
  return chooseAgain(state, slot, [failed.backend.id])
}

export function onUpstreamDatagram(
  state: FlowState,
  { flow, attempt, payload }: Event<'upstream-datagram'>,
  now: Instant,
  out: Out,
): void {
  const { records, counters } = state
  if (payload.length > state.config.datagramBytesMax) return drop(state, 'oversize')
  const slot = slotOfAttempt(state, flow, attempt)
  const words = records.words[slot >> PAGE_BITS]
  const at = records.offset(slot)
  if (words === undefined || (words[at + FLAGS]! & PHASE_MASK) === OPENING) {
    return drop(state, 'unknown-flow')
  }
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const { config } = state.configs[words[at + CONFIG]!]!
  const returned = words[at + DATAGRAMS_DOWN]! >>> 0
  if (returned < COUNT_MAX) words[at + DATAGRAMS_DOWN] = returned + 1
  doubles[(at + BYTES_DOWN) >> 1]! += payload.length
  counters.datagramsDown += 1
  counters.bytesDown += payload.length
  const from = state.locals.all[records.local(slot)]!
  out.push({ type: 'send-client', flow, from, to: records.peer(slot), payload })
  if ((words[at + FLAGS]! & ANSWERED) === 0) {
    state.halfOpen.disarm(slot)
    words[at + FLAGS]! |= ANSWERED
    state.answered.arm(slot, unitOf(now))
  }
  setDeadline(state, slot, expiry(state, slot, config, config.backTimeoutMs, now), now)

  const owed = words[at + OWED]!
  if (owed > 1) {
    words[at + OWED] = owed - 1
    return
  }
  const isDone = (words[at + FLAGS]! & PHASE_MASK) === ANSWERING
  if (isDone || config.responses > 0) {
    return closeFlow(state, slot, isDone ? 'requests' : 'responses', now, out)
  }
  if (owed === 0) return
  words[at + OWED] = 0
  stopWaiting(state, state.group.at(words[at + BACKEND]!), out)
}

/** The slot of a live flow whose socket was opened for this attempt, or -1. */
function slotOfAttempt(state: FlowState, flow: FlowId, attempt: number): number {
  const { records } = state
  const slot = liveSlot(state, flow)
  if (slot === NONE) return NONE
  const current = records.words[slot >> PAGE_BITS]![records.offset(slot) + ATTEMPT]
  return current === attempt ? slot : NONE
}

/** A flow tries so many backends before it gives up; a datagram of its client begins anew. */
const FAILURES_MAX = 3

/** While there are no sockets, every new client would cost an attempt and a close (udp W19). */
const HOST_PAUSE_MS = 100
