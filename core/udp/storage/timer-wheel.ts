/**
 * The timers of flows: a wheel of 4,096 buckets of 16 ms, each a list through the flows' records.
 *
 * A timer that is put off does not move: the record's deadline is later than the bucket it is in,
 * and it moves when the bucket comes up. So a datagram costs one store, and a flow is looked at
 * once in a timeout, however many datagrams it carries. Deadlines beyond the 65 s of the wheel wait
 * in its last bucket.
 */
import { ARMED, DEADLINE, type FlowRecords, NEXT, PREVIOUS } from './flow-records.ts'
import { NONE, PAGE_BITS } from './records.ts'

/** Instants in units of {@link UNIT_MS}. */
export type Unit = number

export class TimerWheel {
  readonly #records: FlowRecords
  readonly #first = new Int32Array(BUCKETS).fill(NONE)
  /** A bit for each bucket that is not empty, and a bit for each word of those. */
  readonly #occupied = new Int32Array(BUCKETS / 32)
  readonly #summary = new Int32Array(BUCKETS / 32 / 32)
  #size = 0
  /** Every armed unit is here or within the next 4,095. */
  #from: Unit = 0

  constructor(records: FlowRecords) {
    this.#records = records
  }

  get size(): number {
    return this.#size
  }

  /** Puts a record that is in no wheel into the bucket of its deadline, or the nearest there is. */
  arm(slot: number, now: Unit): void {
    if (this.#size === 0) this.#from = now
    const records = this.#records
    const wanted = records.doubles[slot >> PAGE_BITS]![(records.offset(slot) + DEADLINE) >> 1]!
    this.armAt(slot, Math.min(Math.max(wanted, this.#from), this.#from + BUCKETS - 1))
  }

  /** Into the bucket of a unit that is within the wheel. */
  armAt(slot: number, unit: Unit): void {
    const records = this.#records
    const doubles = records.doubles[slot >> PAGE_BITS]!
    const words = records.words[slot >> PAGE_BITS]!
    const at = records.offset(slot)
    const bucket = unit & BUCKET_MASK
    const next = this.#first[bucket]!
    doubles[(at + ARMED) >> 1] = unit
    words[at + NEXT] = next
    words[at + PREVIOUS] = NONE
    if (next !== NONE) records.words[next >> PAGE_BITS]![records.offset(next) + PREVIOUS] = slot
    else {
      this.#occupied[bucket >> 5]! |= 1 << (bucket & 31)
      this.#summary[bucket >> 10]! |= 1 << ((bucket >> 5) & 31)
    }
    this.#first[bucket] = slot
    this.#size += 1
  }

  disarm(slot: number): void {
    const records = this.#records
    const words = records.words[slot >> PAGE_BITS]!
    const at = records.offset(slot)
    const next = words[at + NEXT]!
    const previous = words[at + PREVIOUS]!
    if (next !== NONE) records.words[next >> PAGE_BITS]![records.offset(next) + PREVIOUS] = previous
    if (previous !== NONE) {
      records.words[previous >> PAGE_BITS]![records.offset(previous) + NEXT] = next
    } else {
      const bucket = records.doubles[slot >> PAGE_BITS]![(at + ARMED) >> 1]! & BUCKET_MASK
      this.#first[bucket] = next
      if (next === NONE) this.#clear(bucket)
    }
    this.#size -= 1
  }

  /** The earliest unit somebody is armed for; infinite when nobody is. */
  next(): Unit {
    if (this.#size === 0) return Number.POSITIVE_INFINITY
    const start = this.#from & BUCKET_MASK
    const bucket = this.#nextOccupied(start)
    return this.#from + ((bucket - start) & BUCKET_MASK)
  }

  /** Whether there is a bucket for this unit. */
  reaches(unit: Unit): boolean {
    return unit - this.#from < BUCKETS
  }

  /** The record armed last for this unit, or -1; the others follow it by `NEXT`. */
  firstAt(unit: Unit): number {
    return this.#first[unit & BUCKET_MASK]!
  }

  /** Of an empty wheel. */
  startFrom(unit: Unit): void {
    this.#from = unit
  }

  /** Nobody is armed for an earlier unit: nothing will be from now on. */
  advance(unit: Unit): void {
    if (unit > this.#from) this.#from = unit
  }

  /** No armed unit is before this one. */
  get from(): Unit {
    return this.#from
  }

  /** Every record, the earliest first; of one bucket, the one armed last first. */
  *[Symbol.iterator](): Iterator<number> {
    for (let passed = 0; passed < BUCKETS && this.#size > 0; passed++) {
      const start = (this.#from + passed) & BUCKET_MASK
      const bucket = this.#nextOccupied(start)
      passed += (bucket - start) & BUCKET_MASK
      if (passed >= BUCKETS) return
      const records = this.#records
      for (let slot = this.#first[bucket]!; slot !== NONE; ) {
        yield slot
        slot = records.words[slot >> PAGE_BITS]![records.offset(slot) + NEXT]!
      }
    }
  }

  #nextOccupied(start: number): number {
    const word = start >> 5
    const here = this.#occupied[word]! & (-1 << (start & 31))
    if (here !== 0) return word * 32 + lowestBit(here)
    // The words behind it, round to those before it, and at last the rest of its own.
    for (let passed = 0; passed <= this.#summary.length; passed++) {
      const group = ((word >> 5) + passed) & (this.#summary.length - 1)
      let bits = this.#summary[group]!
      const inGroup = word & 31
      if (passed === 0) bits &= inGroup === 31 ? 0 : -1 << (inGroup + 1)
      if (bits === 0) continue
      const found = group * 32 + lowestBit(bits)
      return found * 32 + lowestBit(this.#occupied[found]!)
    }
    return start
  }

  #clear(bucket: number): void {
    const word = bucket >> 5
    this.#occupied[word]! &= ~(1 << (bucket & 31))
    if (this.#occupied[word] === 0) this.#summary[bucket >> 10]! &= ~(1 << (word & 31))
  }
}

/** Of a word that is not 0. */
const lowestBit = (bits: number): number => 31 - Math.clz32(bits & -bits)

export const UNIT_MS = 16
const BUCKETS = 4096
const BUCKET_MASK = BUCKETS - 1
