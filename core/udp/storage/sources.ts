/**
 * Clients by address, for what several of their sockets share: how many flows there are, and the
 * backend they were given last. Only flows whose settings ask for it are counted here.
 */
import type { Member } from '../../balance/group.ts'
import { type PackedAddress, packIpv4 } from '../../net/packed-address.ts'
import { halfSipHash } from './half-siphash.ts'
import { KeyBuilder } from './keys.ts'
import { PAGE_BITS, Records } from './records.ts'
import { type KeyedRecords, SlotIndex } from './slot-index.ts'

export type HashSeed = readonly [key0: number, key1: number]

export class Sources implements KeyedRecords {
  readonly #records = new Records(STRIDE)
  readonly #index = new SlotIndex(this)
  readonly #key = new KeyBuilder()
  readonly #members: (Member | undefined)[] = []
  readonly #seed: HashSeed

  constructor(seed: HashSeed) {
    this.#seed = seed
  }

  get size(): number {
    return this.#index.size
  }

  /** Bytes of its pages. */
  get bytes(): number {
    return this.#records.bytes + this.#index.bytes
  }

  /** The source of an address, whatever its port; -1 when it has no flows. */
  find(address: PackedAddress): number {
    return this.#index.find(this.#hash(address), this.#key.words)
  }

  flowsOf(source: number): number {
    return this.#words(source)[this.#records.offset(source) + FLOWS]!
  }

  /** The backend its flows were given last. */
  memberOf(source: number): Member | undefined {
    return this.#members[source]
  }

  setMember(source: number, member: Member | undefined): void {
    this.#members[source] = member
  }

  /** With port 0. */
  addressOf(source: number): PackedAddress {
    const words = this.#words(source)
    const at = this.#records.offset(source)
    if (words[at + 4] === 0) return { ...ANY_IPV4, d: words[at]! }
    return { a: words[at]!, b: words[at + 1]!, c: words[at + 2]!, d: words[at + 3]!, port: 0 }
  }

  /** One more flow of this address. -1 when the index is full. */
  enter(address: PackedAddress): number {
    let source = this.find(address)
    if (source < 0) {
      const hash = this.#hash(address)
      source = this.#records.allocate()
      if (!this.#index.add(hash, source)) {
        this.#records.free(source)
        return -1
      }
      this.#words(source).set(this.#key.words.subarray(0, FLOWS), this.#records.offset(source))
    }
    this.#words(source)[this.#records.offset(source) + FLOWS]! += 1
    return source
  }

  /** One flow less. */
  leave(source: number): void {
    const words = this.#words(source)
    const at = this.#records.offset(source)
    words[at + FLOWS]! -= 1
    if (words[at + FLOWS]! > 0) return
    const last = words[at + 4] === 0 ? 1 : 4 // the length is in the last word of the key
    this.#index.remove(halfSipHash(words, at, at + last, ...this.#seed), source)
    this.#members[source] = undefined
    this.#records.free(source)
  }

  hasKey(source: number, key: Int32Array): boolean {
    const words = this.#words(source)
    const at = this.#records.offset(source)
    for (let word = 0; word < FLOWS; word++) if (words[at + word] !== key[word]) return false
    return true
  }

  #hash(address: PackedAddress): number {
    this.#key.setAddress(address, false)
    return halfSipHash(this.#key.words, 0, this.#key.last, ...this.#seed)
  }

  #words(source: number): Int32Array {
    return this.#records.words[source >> PAGE_BITS]!
  }
}

const ANY_IPV4 = packIpv4(0, 0)

/** Five words of key, then the number of flows. */
const FLOWS = 5
const STRIDE = 6
