/** What a flow table remembers, and the small steps every transition is made of. */
import type { BackendGroup, Member } from '../balance/group.ts'
import type { AffinityKey } from '../balance/strategy.ts'
import { assert, type Instant } from '../machine.ts'
import type { PackedAddress } from '../net/packed-address.ts'
import type { UseTimer } from '../time/use-timer.ts'
import type { DropReason, FlowCommand } from './commands.ts'
import type { UdpConfig } from './config.ts'
import type { UdpCounters } from './counters.ts'
import { type FlowId, flowIdOf, SLOTS_MAX, serialOf, slotOf } from './flow-id.ts'
import {
  ADMITTED,
  ANSWERED,
  ARMED,
  DEADLINE,
  FLAGS,
  type FlowRecords,
  KEY,
  KEY_LAST_SHIFT,
  OPENING,
  OWED,
  PHASE_MASK,
  SERIAL,
} from './storage/flow-records.ts'
import { halfSipHash } from './storage/half-siphash.ts'
import type { KeyBuilder } from './storage/keys.ts'
import { PAGE_BITS } from './storage/records.ts'
import type { SlotIndex } from './storage/slot-index.ts'
import type { HashSeed, Sources } from './storage/sources.ts'
import { type TimerWheel, UNIT_MS, type Unit } from './storage/timer-wheel.ts'

export type Out = FlowCommand[]

/** What a caller wants flows to be told apart by; undefined refuses the datagram. */
export type Extractor = (from: PackedAddress, payload: Uint8Array) => Uint8Array | undefined

export interface Announced {
  readonly source: PackedAddress
  readonly destination: PackedAddress
}

export type TablePhase =
  | 'serving'
  | 'draining' // admits nobody
  | 'closing' // admits nobody, and waits for the last answers
  | 'ending' // closes what is left, then the listening socket
  | 'closed' // no flow and no socket; backends may be left
  | 'emptied'

export interface FlowState {
  config: UdpConfig
  /** The number of `config` among the configurations flows were admitted under. */
  configNumber: number
  readonly configs: (CapturedConfig | undefined)[]
  phase: TablePhase
  group: BackendGroup
  readonly records: FlowRecords
  readonly index: SlotIndex
  /** Timers of flows that were never answered, and of the others. */
  readonly halfOpen: TimerWheel
  readonly answered: TimerWheel
  readonly sources: Sources
  /** Filled for each datagram of a client, and for each choice. */
  readonly key: KeyBuilder
  readonly affinity: KeyBuilder
  readonly keyOf: Extractor | undefined
  readonly hashSeed: HashSeed
  readonly affinitySeed: HashSeed
  /** By slot: copies of what arrived while the socket opens, oldest first. */
  readonly held: Map<number, Uint8Array[]>
  heldBytes: number
  /** By slot: who trusted proxies said the client is. */
  readonly announced: Map<number, Announced>
  readonly locals: Locals
  /** The serial of the last admission; unsigned, 32 bits. */
  serialLast: number
  /** Flows that wait, in all and by index of their member. */
  waiting: number
  readonly waitingOn: number[]
  /** Backends that left while flows waited for them, and until when those may. */
  readonly lingering: Map<Member, Instant>
  /** Nobody new before: this machine ran out of sockets. */
  hostPausedUntil: Instant
  /** `closing` only: when to wait for answers no longer. */
  closeAt: Instant | undefined
  /** Nobody waits for backends, or for anything else. */
  isAborted: boolean
  sweep: Sweep | undefined
  readonly use: UseTimer
  /** When to go on with work too big for one step. */
  goOnAt: Instant | undefined
  readonly counters: UdpCounters
}

/** A mass close under way: of flows admitted up to `serialLast`. */
export interface Sweep {
  readonly reason: 'closed' | 'drained' | 'aborted'
  readonly serialLast: number
  /** The slot to go on with. */
  next: number
}

export interface CapturedConfig {
  readonly config: UdpConfig
  /** Live flows admitted under it. */
  flows: number
}

/** Local addresses clients contacted, numbered; a number no flow uses may go to another address. */
export class Locals {
  readonly all: PackedAddress[] = []
  /** Flows by the number of their local address. */
  readonly flows: number[] = []
  readonly #byObject = new Map<PackedAddress, number>()
  readonly #byText = new Map<string, number>()

  /** -1 when flows use 4,096 others. */
  numberOf(address: PackedAddress): number {
    const known = this.#byObject.get(address)
    if (known !== undefined) return known
    const text = textOf(address)
    const number = this.#byText.get(text)
    if (number === undefined) return this.#add(address, text)
    // Another object from now on: after a restore, or where a shell forgot the one it had.
    this.#byObject.delete(this.all[number]!)
    this.#byObject.set(address, number)
    this.all[number] = address
    return number
  }

  #add(address: PackedAddress, text: string): number {
    const isFull = this.all.length === LOCALS_MAX
    const number = isFull ? this.flows.indexOf(0) : this.all.length
    if (number < 0) return -1
    if (isFull) {
      this.#byObject.delete(this.all[number]!)
      this.#byText.delete(textOf(this.all[number]!))
    }
    this.all[number] = address
    this.flows[number] = 0
    this.#byObject.set(address, number)
    this.#byText.set(text, number)
    return number
  }
}

// Flows by their ids

/** The slot of a live flow, or -1. */
export function liveSlot({ records }: FlowState, flow: FlowId): number {
  const slot = slotOf(flow)
  const words = records.words[slot >> PAGE_BITS]
  if (words === undefined) return -1
  const at = records.offset(slot)
  if ((words[at + FLAGS]! & PHASE_MASK) === 0) return -1
  return words[at + SERIAL]! >>> 0 === serialOf(flow) ? slot : -1
}

export function idOf({ records }: FlowState, slot: number): FlowId {
  assert(slot < SLOTS_MAX, 'a slot within bounds')
  return flowIdOf(slot, records.words[slot >> PAGE_BITS]![records.offset(slot) + SERIAL]! >>> 0)
}

/** The hash of the key a flow is filed under. */
export function storedHash({ records, hashSeed }: FlowState, slot: number): number {
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const last = (words[at + FLAGS]! >> KEY_LAST_SHIFT) & 7
  return halfSipHash(words, at + KEY, at + KEY + last, hashSeed[0], hashSeed[1])
}

/** Of a padded key, with its last word: two hashes, the second with the seed's words exchanged. */
export function affinityKey(
  { affinitySeed: [key0, key1] }: FlowState,
  words: Int32Array,
  from: number,
  last: number,
): AffinityKey {
  return {
    high: halfSipHash(words, from, from + last, key0, key1),
    low: halfSipHash(words, from, from + last, key1, key0),
  }
}

// Deadlines

export const unitOf = (at: Instant): Unit => Math.floor(at / UNIT_MS)

/**
 * Sets when a flow ends if nothing comes: at the unit after `at`, or after now if `at` is past.
 * Its timer moves only when that is earlier than before.
 */
export function setDeadline(state: FlowState, slot: number, at: Instant, now: Instant): void {
  const { records } = state
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const offset = records.offset(slot)
  const unit = Math.max(Math.ceil(at / UNIT_MS), unitOf(now) + 1)
  doubles[(offset + DEADLINE) >> 1] = unit
  const armed = doubles[(offset + ARMED) >> 1]!
  if (unit >= armed) return
  const wheel = wheelOf(state, slot)
  if (!Number.isNaN(armed)) wheel.disarm(slot) // a new flow is in none
  wheel.arm(slot, unitOf(now))
}

/** `timeoutMs` from now, within the flow's lifetime. */
export function expiry(
  { records }: FlowState,
  slot: number,
  config: UdpConfig,
  timeoutMs: number,
  now: Instant,
): Instant {
  if (config.lifetimeMaxMs === 0) return now + timeoutMs
  const admittedAt = records.doubles[slot >> PAGE_BITS]![(records.offset(slot) + ADMITTED) >> 1]!
  return Math.min(now + timeoutMs, admittedAt + config.lifetimeMaxMs)
}

export function wheelOf({ records, halfOpen, answered }: FlowState, slot: number): TimerWheel {
  const flags = records.words[slot >> PAGE_BITS]![records.offset(slot) + FLAGS]!
  return (flags & ANSWERED) === 0 ? halfOpen : answered
}

// Waiting for answers

export function waits({ records }: FlowState, slot: number): boolean {
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  return (words[at + FLAGS]! & PHASE_MASK) === OPENING || words[at + OWED] !== 0
}

export function startWaiting(state: FlowState, member: Member): void {
  state.waiting += 1
  state.waitingOn[member.index] = (state.waitingOn[member.index] ?? 0) + 1
}

export function stopWaiting(state: FlowState, member: Member, out: Out): void {
  state.waiting -= 1
  state.waitingOn[member.index]! -= 1
  if (state.waitingOn[member.index] === 0 && state.lingering.has(member))
    drained(state, member, out)
}

/** Nobody waits for a backend that left any more; what it still sends is delivered all the same. */
export function drained(state: FlowState, member: Member, out: Out): void {
  state.lingering.delete(member)
  state.group.forget(member)
  const { version } = state.group
  out.push({ type: 'backend-drained', backend: member.backend.id, version })
}

export function drop({ counters }: FlowState, reason: DropReason): void {
  counters.dropped[reason] += 1
}

/** Equal for equal addresses; nobody reads it. */
const textOf = ({ a, b, c, d, port }: PackedAddress): string => `${a},${b},${c},${d},${port}`

/** Far more than a host has; local numbers have 16 bits. */
const LOCALS_MAX = 4096
