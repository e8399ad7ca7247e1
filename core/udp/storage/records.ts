/**
 * Fixed-size records of 32-bit words in pages: memory grows a page at a time, nothing is ever
 * copied, and a freed record is the next to be used again.
 */
import { assert } from '../../machine.ts'

export class Records {
  readonly words: Int32Array[] = []
  /** The same memory: a double for every two words. */
  readonly doubles: Float64Array[] = []
  /** Words a record; even. */
  readonly #stride: number
  /** Records that were ever used: all below are live, or in the list of free ones. */
  #used = 0
  #freeFirst = NONE
  #live = 0

  constructor(stride: number) {
    this.#stride = stride
  }

  get live(): number {
    return this.#live
  }

  /** Slots that were ever used are all below. */
  get used(): number {
    return this.#used
  }

  /** Where record `slot` begins in `words[slot >> PAGE_BITS]`. */
  offset(slot: number): number {
    return (slot & PAGE_MASK) * this.#stride
  }

  /** Of a record with words all 0. */
  allocate(): number {
    this.#live += 1
    const slot = this.#freeFirst
    if (slot !== NONE) {
      const words = this.words[slot >> PAGE_BITS]!
      const at = this.offset(slot)
      this.#freeFirst = words[at]!
      words.fill(0, at, at + this.#stride)
      return slot
    }
    if ((this.#used & PAGE_MASK) === 0) this.#addPage()
    this.#used += 1
    return this.#used - 1
  }

  free(slot: number): void {
    assert(this.#live > 0, 'a record is freed once')
    this.#live -= 1
    const words = this.words[slot >> PAGE_BITS]!
    const at = this.offset(slot)
    words.fill(0, at, at + this.#stride)
    words[at] = this.#freeFirst
    this.#freeFirst = slot
  }

  /** Bytes of the pages. */
  get bytes(): number {
    return this.words.length * PAGE_RECORDS * this.#stride * 4
  }

  /** For a snapshot: how many were ever used, and the free ones, next to be used first. */
  save(): { readonly used: number; readonly free: readonly number[] } {
    const free: number[] = []
    for (let slot = this.#freeFirst; slot !== NONE; ) {
      free.push(slot)
      slot = this.words[slot >> PAGE_BITS]![this.offset(slot)]!
    }
    return { used: this.#used, free }
  }

  /** Into an empty store: all but the free ones are live, their words 0. */
  restore({ used, free }: { readonly used: number; readonly free: readonly number[] }): void {
    assert(this.#used === 0, 'records are restored before they are used')
    while (this.#used < used) this.allocate()
    for (const slot of free.toReversed()) this.free(slot)
  }

  #addPage(): void {
    const words = new Int32Array(PAGE_RECORDS * this.#stride)
    this.words.push(words)
    this.doubles.push(new Float64Array(words.buffer))
  }
}

/** Also in records: no such slot. */
export const NONE = -1
export const PAGE_BITS = 10
const PAGE_RECORDS = 1 << PAGE_BITS
const PAGE_MASK = PAGE_RECORDS - 1
