/**
 * The 64-bit hash in which an affinity key and a backend's address meet: the same in every process,
 * on every machine, in every version (udp W28).
 *
 * FNV-1a (draft-eastlake-fnv: 64 bits, prime 100000001b3), begun at the offset basis XOR the seed,
 * over the key as 8 octets, the lowest first, and then the backend's identity. FNV alone leaves the
 * high bits of short inputs alike, so the finaliser of SplitMix64 follows (Steele, Lea and Flood,
 * 2014). All of it modulo 2^64, in two words of 32 bits: a BigInt would allocate at every octet.
 */
import type { AffinityKey } from '../strategy.ts'

/** A hash under way. One that is kept and begun again costs no memory. */
export class AffinityHash implements AffinityKey {
  high = 0
  low = 0
  readonly #key = new Uint8Array(8)

  /** Seed and key; what is added next is the backend. */
  begin(seed: AffinityKey, { high, low }: AffinityKey): this {
    this.high = BASIS_HIGH ^ seed.high
    this.low = BASIS_LOW ^ seed.low
    const key = this.#key
    for (let at = 0; at < 4; at++) {
      key[at] = low >>> (8 * at)
      key[at + 4] = high >>> (8 * at)
    }
    return this.add(key)
  }

  /** Goes on from where another one is. */
  from({ high, low }: AffinityKey): this {
    this.high = high
    this.low = low
    return this
  }

  add(octets: Uint8Array): this {
    let { high, low } = this
    for (let at = 0; at < octets.length; at++) {
      low ^= octets[at]!
      // times 2^40 + 0x1b3, in halves of the low word: nothing reaches 2^26.
      const product0 = (low & 0xffff) * PRIME_LOW
      const product1 = (low >>> 16) * PRIME_LOW + (product0 >>> 16)
      high = (Math.imul(high, PRIME_LOW) + (product1 >>> 16) + (low << 8)) | 0
      low = (product1 << 16) | (product0 & 0xffff)
    }
    this.high = high
    this.low = low
    return this
  }

  /** The hash; nothing can be added after. */
  finish(): this {
    this.#shiftIn(30)
    this.#multiply(0xbf58476d, 0x1ce4e5b9)
    this.#shiftIn(27)
    this.#multiply(0x94d049bb, 0x133111eb)
    this.#shiftIn(31)
    return this
  }

  /** z ^= z >>> by, for 1 to 31. */
  #shiftIn(by: number): void {
    this.low ^= (this.low >>> by) | (this.high << (32 - by))
    this.high ^= this.high >>> by
  }

  #multiply(high: number, low: number): void {
    const mine = this.low
    const upper = Math.imul(this.high, low) + Math.imul(mine, high)
    this.high = (upper + upperProduct(mine, low)) | 0
    this.low = Math.imul(mine, low)
  }
}

/** The upper word of the product of two words, all unsigned. */
function upperProduct(one: number, other: number): number {
  const one0 = one & 0xffff
  const one1 = one >>> 16
  const other0 = other & 0xffff
  const other1 = other >>> 16
  const middle = one1 * other0 + ((one0 * other0) >>> 16)
  const carried = one0 * other1 + (middle & 0xffff)
  return one1 * other1 + (middle >>> 16) + (carried >>> 16)
}

/** Below, at or above zero, as `one` is to `other`. */
export const compareHashes = (one: AffinityKey, other: AffinityKey): number =>
  (one.high >>> 0) - (other.high >>> 0) || (one.low >>> 0) - (other.low >>> 0)

/** What 64 bits leave when divided by `divisor`, 1 to 2^21: within that every step is exact. */
export const moduloOf = ({ high, low }: AffinityKey, divisor: number): number =>
  (((high >>> 0) % divisor) * 0x1_0000_0000 + (low >>> 0)) % divisor

/** Not secret: all processes have the same one, so that a key meets one backend in all of them. */
export const AFFINITY_SEED: AffinityKey = { high: 0x9e3779b9, low: 0x7f4a7c15 }

const BASIS_HIGH = 0xcbf29ce4
const BASIS_LOW = 0x84222325
const PRIME_LOW = 0x1b3
