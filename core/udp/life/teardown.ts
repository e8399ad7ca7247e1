/** How flows end: one at a time, when they are due, and in numbers. */
import type { Instant } from '../../machine.ts'
import type { CloseReason, FlowTotals } from '../commands.ts'
import {
  type FlowState,
  idOf,
  type Out,
  type Sweep,
  stopWaiting,
  storedHash,
  unitOf,
  waits,
  wheelOf,
} from '../state.ts'
import {
  ADMITTED,
  ANNOUNCED,
  ANSWERED,
  ANSWERING,
  ATTEMPT,
  BACKEND,
  BYTES_DOWN,
  BYTES_UP,
  CONFIG,
  DATAGRAMS_DOWN,
  DATAGRAMS_UP,
  DEADLINE,
  FLAGS,
  NEXT,
  PHASE_MASK,
  SERIAL,
  SOURCE,
} from '../storage/flow-records.ts'
import { NONE, PAGE_BITS } from '../storage/records.ts'
import { type TimerWheel, UNIT_MS, type Unit } from '../storage/timer-wheel.ts'
import { clientOf } from './choice.ts'

/** Frees all that a flow has. The last command of the flow is among those it emits. */
export function closeFlow(
  state: FlowState,
  slot: number,
  reason: CloseReason,
  now: Instant,
  out: Out,
): void {
  const { records, group } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const member = group.at(words[at + BACKEND]!)
  out.push({
    type: 'close-flow',
    flow: idOf(state, slot),
    attempt: words[at + ATTEMPT]!,
    reason,
    client: clientOf(state, slot),
    backend: member.backend.id,
    totals: totalsOf(state, slot, now),
  })
  if ((words[at + FLAGS]! & PHASE_MASK) !== ANSWERING) {
    state.index.remove(storedHash(state, slot), slot)
  }
  wheelOf(state, slot).disarm(slot)
  if (waits(state, slot)) stopWaiting(state, member, out)
  group.release(member)
  dropHeld(state, slot)
  if (words[at + SOURCE]! > 0) state.sources.leave(words[at + SOURCE]! - 1)
  if ((words[at + FLAGS]! & ANNOUNCED) !== 0) state.announced.delete(slot)
  state.locals.flows[records.local(slot)]! -= 1
  releaseConfig(state, words[at + CONFIG]!)
  records.free(slot)
  if (records.live === 0) state.use.end(now)
  state.counters.closed[reason] += 1
}

export function totalsOf({ records }: FlowState, slot: number, now: Instant): FlowTotals {
  const words = records.words[slot >> PAGE_BITS]!
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  return {
    datagramsUp: words[at + DATAGRAMS_UP]! >>> 0,
    bytesUp: doubles[(at + BYTES_UP) >> 1]!,
    datagramsDown: words[at + DATAGRAMS_DOWN]! >>> 0,
    bytesDown: doubles[(at + BYTES_DOWN) >> 1]!,
    durationMs: now - doubles[(at + ADMITTED) >> 1]!,
  }
}

function dropHeld(state: FlowState, slot: number): void {
  const queue = state.held.get(slot)
  if (queue === undefined) return
  for (const payload of queue) state.heldBytes -= payload.length
  state.counters.dropped['held-lost'] += queue.length
  state.held.delete(slot)
}

/** A configuration is forgotten with its last flow, unless it is the one in force. */
export function releaseConfig({ configs, configNumber }: FlowState, number: number): void {
  const captured = configs[number]!
  captured.flows -= 1
  if (captured.flows === 0 && number !== configNumber) configs[number] = undefined
}

/**
 * Makes room: closes the flow that would have been the next to end unanswered (udp W17), as far as
 * {@link EVICTION_LOOKS_MAX} looks tell: whoever fills the table may have put all timers off.
 */
export function evict(state: FlowState, now: Instant, out: Out): void {
  const { halfOpen, records } = state
  const nowUnit = unitOf(now)
  let earliest = NONE
  let earliestDeadline = Number.POSITIVE_INFINITY
  for (let looks = 1; ; looks++) {
    const unit = halfOpen.next()
    const slot = halfOpen.firstAt(unit)
    const deadline = records.doubles[slot >> PAGE_BITS]![(records.offset(slot) + DEADLINE) >> 1]!
    if (deadline <= unit) return closeFlow(state, slot, 'evicted', now, out)
    if (deadline < earliestDeadline) {
      earliest = slot
      earliestDeadline = deadline
    }
    if (looks === EVICTION_LOOKS_MAX) return closeFlow(state, earliest, 'evicted', now, out)
    // Put off since it was armed. No deadline of these is further away than the wheel is long.
    halfOpen.advance(Math.min(unit, nowUnit))
    halfOpen.disarm(slot)
    halfOpen.arm(slot, nowUnit)
  }
}

/**
 * Closes what is due, in order, and moves the timers that were put off; a bounded part of it in
 * one step. How many more flows may be closed.
 */
export function closeDue(state: FlowState, now: Instant, budget: number, out: Out): number {
  const { halfOpen, answered } = state
  const nowUnit = unitOf(now)
  const later: number[] = []
  let closes = budget
  let looks = LOOKS_PER_STEP_MAX
  while (closes > 0 && looks > 0) {
    const unit = Math.min(halfOpen.next(), answered.next())
    if (unit > nowUnit) break
    const due: number[] = []
    for (const wheel of [halfOpen, answered]) {
      if (wheel.next() !== unit) continue
      wheel.advance(unit)
      looks -= takeDue(state, wheel, nowUnit, closes, looks, due, later)
    }
    // A list has the order of arming; flows that end at one instant end in that of their slots.
    due.sort((one, other) => one - other)
    for (const slot of due) closeFlow(state, slot, reasonFor(state, slot, now), now, out)
    closes -= due.length
  }
  if (Math.min(halfOpen.next(), answered.next()) > nowUnit) {
    halfOpen.advance(nowUnit + 1)
    answered.advance(nowUnit + 1)
  }
  for (const slot of later) wheelOf(state, slot).arm(slot, nowUnit)
  return closes
}

/**
 * Of the first bucket: adds flows that are due to `due`, and those that are not yet, which are in
 * no wheel any more, to `later`. How many it saw.
 */
function takeDue(
  { records }: FlowState,
  wheel: TimerWheel,
  nowUnit: Unit,
  closesMax: number,
  looksMax: number,
  due: number[],
  later: number[],
): number {
  const unit = wheel.from
  let looks = 0
  let slot = wheel.firstAt(unit)
  while (slot !== NONE && looks < looksMax && due.length < closesMax) {
    looks += 1
    const at = records.offset(slot)
    const next = records.words[slot >> PAGE_BITS]![at + NEXT]!
    const deadline = records.doubles[slot >> PAGE_BITS]![(at + DEADLINE) >> 1]!
    // After a leap past the whole wheel some are due that it could only reach turn by turn.
    if (deadline <= unit || (deadline <= nowUnit && !wheel.reaches(deadline))) {
      due.push(slot)
    } else {
      wheel.disarm(slot)
      if (deadline > nowUnit) later.push(slot)
      else wheel.arm(slot, unit)
    }
    slot = next
  }
  return looks
}

function reasonFor(state: FlowState, slot: number, now: Instant): CloseReason {
  const { records } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const { lifetimeMaxMs } = state.configs[words[at + CONFIG]!]!.config
  const admittedAt = records.doubles[slot >> PAGE_BITS]![(at + ADMITTED) >> 1]!
  if (lifetimeMaxMs > 0 && now - admittedAt >= lifetimeMaxMs) return 'lifetime'
  return (words[at + FLAGS]! & ANSWERED) === 0 ? 'half-open' : 'idle'
}

/** Begins a mass close of all that is there now; what an earlier one left is part of it. */
export function beginSweep(state: FlowState, reason: Sweep['reason']): void {
  state.sweep = { reason, serialLast: state.serialLast, next: 0 }
}

/** Goes on with a mass close, slot by slot. How many flows it closed, at most `budget`. */
export function closeSwept(state: FlowState, now: Instant, budget: number, out: Out): number {
  const { sweep, records } = state
  if (sweep === undefined) return 0
  const newcomers = (state.serialLast - sweep.serialLast) >>> 0
  const lastLook = sweep.next + LOOKS_PER_STEP_MAX
  let closed = 0
  for (; sweep.next < records.used && records.live > 0; sweep.next++) {
    if (closed === budget || sweep.next === lastLook) return closed
    const words = records.words[sweep.next >> PAGE_BITS]!
    const at = records.offset(sweep.next)
    if ((words[at + FLAGS]! & PHASE_MASK) === 0) continue
    // Serials go round; those since the sweep began are the next after its last.
    if ((words[at + SERIAL]! - sweep.serialLast - 1) >>> 0 < newcomers) continue
    closeFlow(state, sweep.next, sweep.reason, now, out)
    closed += 1
  }
  state.sweep = undefined
  return closed
}

/** Where the next tick is wanted for flows. */
export function nextDeadline({ halfOpen, answered }: FlowState): Instant {
  return Math.min(halfOpen.next(), answered.next()) * UNIT_MS
}

/** So that a mass close never holds up everything else. */
export const CLOSES_PER_STEP_MAX = 1024

/** Timers that were put off are cheaper to move than flows are to close. */
const LOOKS_PER_STEP_MAX = 8 * CLOSES_PER_STEP_MAX

/** So that no datagram waits for a walk through all flows. */
const EVICTION_LOOKS_MAX = 64
