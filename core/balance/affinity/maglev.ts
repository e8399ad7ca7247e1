import { assert } from '../../machine.ts'
import type { Member } from '../group.ts'
import { RoundRobin } from '../round-robin.ts'
import { type AffinityKey, isPassedOver, type Strategy } from '../strategy.ts'
import { AFFINITY_SEED, AffinityHash, moduloOf } from './hash.ts'
import { type Identified, identified, sameIdentities } from './identity.ts'

export interface MaglevOptions {
  /** Slots of the table, 1 to 1,048,576, raised to the next prime; some 100 for each backend. */
  readonly slots?: number
  readonly seed?: AffinityKey
}

/**
 * Maglev hashing (Eisenbud and others, NSDI 2016): a table of as many slots for each registered
 * backend as its weight asks, filled so that a change of the set moves few slots of those that
 * stay. A key costs one look into it, however many backends there are.
 *
 * The table knows nothing of health: where the backend of a slot may not be chosen now, its keys
 * go on to the next slots, and come back when it may. Without a key, members take turns.
 */
export class Maglev implements Strategy {
  readonly #size: number
  readonly #seed: AffinityKey
  readonly #turns = new RoundRobin()
  #candidates: readonly Member[] = []
  #backends: readonly Identified[] = []
  /** Whether those may be chosen now. */
  #isOpen: readonly boolean[] = []
  /** Slot to backend; built when it is first asked. */
  #table: Uint32Array | undefined

  constructor({ slots = SLOTS_DEFAULT, seed = AFFINITY_SEED }: MaglevOptions = {}) {
    assert(slots >= 1 && slots <= SLOTS_MAX, `a table has 1 to ${SLOTS_MAX} slots`)
    this.#size = smallestPrime(slots)
    this.#seed = seed
  }

  /** By slot, the place of its backend when they are sorted by address and port. */
  get table(): Uint32Array {
    this.#table ??= filledTable(this.#backends, this.#size, this.#seed)
    return this.#table
  }

  replace(registered: readonly Member[], candidates: readonly Member[]): void {
    this.#turns.replace(registered, candidates)
    this.#candidates = candidates
    const backends = identified(registered)
    if (!sameIdentities(backends, this.#backends)) this.#table = undefined
    this.#backends = backends
    const open = new Set(candidates)
    this.#isOpen = backends.map(({ member }) => open.has(member))
  }

  /** O(1) while most may be chosen. */
  choose(exclude: readonly Member[], key?: AffinityKey): Member | undefined {
    if (key === undefined) return this.#turns.choose(exclude)
    if (this.#candidates.every((member) => isPassedOver(member, exclude))) return undefined
    const { table } = this
    let slot = moduloOf(key, this.#size)
    for (let passed = 0; passed < this.#size; passed++) {
      const place = table[slot]!
      const { member } = this.#backends[place]!
      if (this.#isOpen[place] && !isPassedOver(member, exclude)) return member
      slot = slot + 1 === this.#size ? 0 : slot + 1
    }
    return this.#turns.choose(exclude) // more backends than slots
  }

  memory(): readonly number[] {
    return this.#turns.memory()
  }

  recall(memory: readonly number[]): void {
    this.#turns.recall(memory)
  }
}

/** Backends in turn take the next free slot of their own sequence, each up to its share. */
function filledTable(
  backends: readonly Identified[],
  size: number,
  seed: AffinityKey,
): Uint32Array {
  const table = new Uint32Array(size).fill(FREE)
  const left = shares(backends, size)
  const hash = new AffinityHash()
  const drawn = (what: AffinityKey, { identity }: Identified, limit: number): number =>
    moduloOf(hash.begin(seed, what).add(identity).finish(), limit)
  const next = backends.map((backend) => drawn(OFFSET, backend, size))
  const skips = backends.map((backend) => 1 + drawn(SKIP, backend, size - 1))
  for (let filled = 0; backends.length > 0 && filled < size; ) {
    for (let place = 0; place < backends.length; place++) {
      if (left[place] === 0) continue
      let slot = next[place]!
      while (table[slot] !== FREE) slot = (slot + skips[place]!) % size
      table[slot] = place
      next[place] = (slot + skips[place]!) % size
      left[place]! -= 1
      filled += 1
    }
  }
  return table
}

/** How many slots each backend gets. While there are enough, nobody gets none (udp W34). */
function shares(backends: readonly Identified[], size: number): number[] {
  const all = dealt(backends, size)
  if (!all.includes(0) || backends.length > size) return all
  return dealt(backends, size - backends.length).map((slots) => slots + 1)
}

/** Each backend's part of the weights, rounded down, and one more for the first ones. */
function dealt(backends: readonly Identified[], slots: number): number[] {
  const total = backends.reduce((sum, { weight }) => sum + weight, 0)
  const all = backends.map(({ weight }) => Math.floor((weight * slots) / total))
  const rest = slots - all.reduce((sum, part) => sum + part, 0)
  return all.map((part, place) => (place < rest ? part + 1 : part))
}

/** The smallest prime that is not below `least`. */
export function smallestPrime(least: number): number {
  let candidate = Math.max(2, Math.ceil(least))
  while (!isPrime(candidate)) candidate += 1
  return candidate
}

function isPrime(candidate: number): boolean {
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) {
    if (candidate % divisor === 0) return false
  }
  return true
}

/** `offset` and `skip__`, as the keys of those two hashes. */
const OFFSET: AffinityKey = { high: 0x6f66, low: 0x66736574 }
const SKIP: AffinityKey = { high: 0x736b, low: 0x69705f5f }

const FREE = 0xffff_ffff

const SLOTS_DEFAULT = 65_537
/** The prime above it is below 2^21, where the remainder of a 64-bit hash is exact. */
const SLOTS_MAX = 1_048_576
