/**
 * A table that survives its process. Instants are stored as what remains, so that the clock of the
 * next process may begin anywhere; everything else is as it is, down to the order of the free
 * slots and of the timers, so that a restored table goes on exactly as the other one would have.
 */
import { BackendGroup, type GroupOptions, type GroupSnapshot } from '../balance/group.ts'
import { assert, type Instant } from '../machine.ts'
import type { PackedAddress } from '../net/packed-address.ts'
import { defaultUdpConfig, type UdpConfig } from './config.ts'
import { type UdpCounters, zeroCounters } from './counters.ts'
import {
  type Announced,
  type FlowState,
  type Sweep,
  storedHash,
  type TablePhase,
  waits,
  wheelOf,
} from './state.ts'
import {
  ADMITTED,
  ANNOUNCED,
  ANSWERING,
  ARMED,
  BACKEND,
  CONFIG,
  DEADLINE,
  FLAGS,
  NEXT,
  PHASE_MASK,
  PREVIOUS,
  RECORD_WORDS,
  SOCKET_LOST,
  SOURCE,
} from './storage/flow-records.ts'
import { NONE, PAGE_BITS } from './storage/records.ts'
import { UNIT_MS } from './storage/timer-wheel.ts'

export interface FlowTableSnapshot {
  readonly version: 1
  readonly phase: TablePhase
  readonly isAborted: boolean
  readonly group: GroupSnapshot
  readonly configNumber: number
  readonly configs: readonly (UdpConfig | null)[]
  readonly serialLast: number
  readonly slots: { readonly used: number; readonly free: readonly number[] }
  /** Of the two wheels: the first unit they may hold. */
  readonly wheelsFromMs: readonly [halfOpen: number, answered: number]
  /** In the order of their timers. */
  readonly flows: readonly FlowSnapshot[]
  /** Local addresses by number, as clients contacted them. */
  readonly locals: readonly PackedAddress[]
  /** Of each source: its address, and the index of the backend its flows were given last. */
  readonly sources: readonly (readonly [address: PackedAddress, backend: number])[]
  /** Index of a backend that left, and how long it is waited for. */
  readonly lingering: readonly (readonly [backend: number, remainsMs: number])[]
  readonly hostPauseMs?: number
  readonly closeMs?: number
  readonly goOnMs?: number
  readonly sweep?: Sweep
  /** Without a flow for so long; or `idle`, and that was said. */
  readonly unused?: number | 'idle'
  readonly counters: UdpCounters
}

interface FlowSnapshot {
  readonly slot: number
  /** The record; what is an instant, or belongs to the memory of one process, is 0 in it. */
  readonly words: readonly number[]
  readonly deadlineMs: number
  /** When its timer comes up, which may be before its deadline. */
  readonly armedMs: number
  readonly ageMs: number
  readonly held?: readonly (readonly number[])[]
  readonly announced?: Announced
  /** The address it counts for; its client may have another by now. */
  readonly source?: PackedAddress
}

export function takeSnapshot(state: FlowState, now: Instant): FlowTableSnapshot {
  const { group, records, sources } = state
  const flows = [...state.halfOpen, ...state.answered]
  const counted = new Set(flows.map((slot) => sourceOf(state, slot)))
  counted.delete(NONE)
  const knownSources = [...counted].flatMap((source) => {
    const member = sources.memberOf(source)
    const isKnown = member !== undefined && group.state.members[member.index] === member
    return isKnown ? [[sources.addressOf(source), member.index] as const] : []
  })
  const lingering = [...state.lingering].map(([{ index }, until]) => [index, until - now] as const)
  return {
    version: 1,
    phase: state.phase,
    isAborted: state.isAborted,
    group: group.snapshot(now),
    configNumber: state.configNumber,
    configs: state.configs.map((captured) => captured?.config ?? null),
    serialLast: state.serialLast,
    slots: records.save(),
    wheelsFromMs: [remains(state.halfOpen.from, now), remains(state.answered.from, now)],
    flows: flows.map((slot) => flowSnapshot(state, slot, now)),
    locals: [...state.locals.all],
    sources: knownSources,
    lingering,
    ...(state.hostPausedUntil > now ? { hostPauseMs: state.hostPausedUntil - now } : {}),
    ...(state.closeAt === undefined ? {} : { closeMs: state.closeAt - now }),
    ...(state.goOnAt === undefined ? {} : { goOnMs: state.goOnAt - now }),
    ...(state.sweep === undefined ? {} : { sweep: { ...state.sweep } }),
    ...unusedOf(state, now),
    counters: structureOf(state.counters),
  }
}

function unusedOf({ use }: FlowState, now: Instant): Pick<FlowTableSnapshot, 'unused'> {
  if (use.isIdle) return { unused: 'idle' }
  return use.unusedSince === undefined ? {} : { unused: now - use.unusedSince }
}

function flowSnapshot(state: FlowState, slot: number, now: Instant): FlowSnapshot {
  const { records } = state
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const words = [...records.words[slot >> PAGE_BITS]!.subarray(at, at + RECORD_WORDS)]
  for (const word of NOT_KEPT) words[word] = 0
  const held = state.held.get(slot)
  const announced = state.announced.get(slot)
  const source = sourceOf(state, slot)
  return {
    slot,
    words,
    deadlineMs: remains(doubles[(at + DEADLINE) >> 1]!, now),
    armedMs: remains(doubles[(at + ARMED) >> 1]!, now),
    ageMs: now - doubles[(at + ADMITTED) >> 1]!,
    ...(held === undefined ? {} : { held: held.map((payload) => [...payload]) }),
    ...(announced === undefined ? {} : { announced }),
    ...(source === NONE ? {} : { source: state.sources.addressOf(source) }),
  }
}

const sourceOf = ({ records }: FlowState, slot: number): number =>
  records.words[slot >> PAGE_BITS]![records.offset(slot) + SOURCE]! - 1

/** Into a table just made, with the options the other one had. */
export function restoreSnapshot(
  state: FlowState,
  snapshot: FlowTableSnapshot,
  now: Instant,
  options: GroupOptions,
): void {
  assert(snapshot.version === 1, `a snapshot of version 1, not ${String(snapshot.version)}`)
  state.phase = snapshot.phase
  state.isAborted = snapshot.isAborted
  state.group = BackendGroup.restore(snapshot.group, now, options)
  state.configNumber = snapshot.configNumber
  state.configs.splice(0, 1, ...snapshot.configs.map(uncounted))
  state.config = state.configs[state.configNumber]!.config
  state.serialLast = snapshot.serialLast
  for (const local of snapshot.locals) state.locals.numberOf(local)
  state.records.restore(snapshot.slots)
  state.halfOpen.startFrom(unitAt(snapshot.wheelsFromMs[0], now))
  state.answered.startFrom(unitAt(snapshot.wheelsFromMs[1], now))
  // The one armed last is the first of its bucket.
  for (const flow of snapshot.flows.toReversed()) restoreFlow(state, flow, now)
  for (const [client, index] of snapshot.sources) {
    state.sources.setMember(state.sources.find(client), state.group.at(index))
  }
  for (const [index, ms] of snapshot.lingering) state.lingering.set(state.group.at(index), now + ms)
  if (snapshot.hostPauseMs !== undefined) state.hostPausedUntil = now + snapshot.hostPauseMs
  state.closeAt = snapshot.closeMs === undefined ? undefined : now + snapshot.closeMs
  state.goOnAt = snapshot.goOnMs === undefined ? undefined : now + snapshot.goOnMs
  state.sweep = snapshot.sweep === undefined ? undefined : { ...snapshot.sweep }
  const { unused } = snapshot
  state.use.afterMs = state.config.idleAfterMs
  state.use.isIdle = unused === 'idle'
  if (typeof unused === 'number') state.use.unusedSince = now - unused
  Object.assign(state.counters, structureOf(snapshot.counters))
}

/** Every flow asks for its socket again, when its client sends. */
export function loseSockets({ records, halfOpen, answered }: FlowState): void {
  for (const slot of [...halfOpen, ...answered]) {
    records.words[slot >> PAGE_BITS]![records.offset(slot) + FLAGS]! |= SOCKET_LOST
  }
}

function restoreFlow(state: FlowState, flow: FlowSnapshot, now: Instant): void {
  const { records, group } = state
  const { slot } = flow
  const words = records.words[slot >> PAGE_BITS]!
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  words.set(flow.words, at)
  doubles[(at + DEADLINE) >> 1] = unitAt(flow.deadlineMs, now)
  doubles[(at + ADMITTED) >> 1] = now - flow.ageMs
  if (flow.announced !== undefined) state.announced.set(slot, flow.announced)
  const isAnnounced = (words[at + FLAGS]! & ANNOUNCED) !== 0
  assert(isAnnounced === state.announced.has(slot), 'a flow knows whether it was announced')
  if ((words[at + FLAGS]! & PHASE_MASK) !== ANSWERING) {
    assert(state.index.add(storedHash(state, slot), slot), 'room for what was there before')
  }
  wheelOf(state, slot).armAt(slot, unitAt(flow.armedMs, now))
  state.configs[words[at + CONFIG]!]!.flows += 1
  state.locals.flows[records.local(slot)]! += 1
  if (flow.source !== undefined) words[at + SOURCE] = state.sources.enter(flow.source) + 1
  if (waits(state, slot)) {
    state.waiting += 1
    const { index } = group.at(words[at + BACKEND]!)
    state.waitingOn[index] = (state.waitingOn[index] ?? 0) + 1
  }
  if (flow.held === undefined) return
  const held = flow.held.map((payload) => Uint8Array.from(payload))
  state.held.set(slot, held)
  for (const payload of held) state.heldBytes += payload.length
}

/** What a snapshot of an earlier time did not know is as usual. */
const uncounted = (config: UdpConfig | null): { config: UdpConfig; flows: number } | undefined =>
  config === null ? undefined : { config: { ...defaultUdpConfig, ...config }, flows: 0 }

const structureOf = (counters: UdpCounters): UdpCounters => ({
  ...counters,
  closed: { ...NOTHING.closed, ...counters.closed },
  dropped: { ...NOTHING.dropped, ...counters.dropped },
})

const remains = (unit: number, now: Instant): number => unit * UNIT_MS - now

/** What was a whole unit is one again, whatever the subtraction lost. */
const unitAt = (remainsMs: number, now: Instant): number =>
  Math.ceil((now + remainsMs) / UNIT_MS - LOST_MAX)

const LOST_MAX = 1e-6

const NOTHING = zeroCounters()

/** Instants, the neighbours in a list, and the number of a source. */
const NOT_KEPT = [
  SOURCE,
  DEADLINE,
  DEADLINE + 1,
  ARMED,
  ARMED + 1,
  ADMITTED,
  ADMITTED + 1,
  NEXT,
  PREVIOUS,
]
