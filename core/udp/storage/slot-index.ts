/**
 * From a hash to the slot of a record: extendible hashing (Fagin and others, 1979). A directory
 * of pages is chosen from by the low bits of the hash; within a page of 1,024 places the high
 * bits say where to look first. A page that is three quarters full is split in two, so no step
 * ever moves more than 768 entries, however many there are.
 */

/** Whoever keeps the records: entries with one hash are told apart by their keys. */
export interface KeyedRecords {
  hasKey(slot: number, key: Int32Array): boolean
}

export class SlotIndex {
  readonly #records: KeyedRecords
  /** A power of two; a page is there as often as its own bits leave open. */
  #directory: Int32Array[] = [newPage(0)]
  #size = 0

  constructor(records: KeyedRecords) {
    this.#records = records
  }

  get size(): number {
    return this.#size
  }

  /** The slot, or -1. */
  find(hash: number, key: Int32Array): number {
    const directory = this.#directory
    const page = directory[hash & (directory.length - 1)]!
    let place = hash >>> PLACE_SHIFT
    for (;;) {
      const stored = page[place * 2 + 1]!
      if (stored === 0) return -1
      if (page[place * 2] === hash && this.#records.hasKey(stored - 1, key)) return stored - 1
      place = (place + 1) & PLACE_MASK
    }
  }

  /**
   * Adds an entry that is not there. False, with nothing added, when 768 others share
   * the low 18 bits of their hash: nobody who does not know the hash's key brings that about.
   */
  add(hash: number, slot: number): boolean {
    let page = this.#directory[hash & (this.#directory.length - 1)]!
    while (page[COUNT]! >= FILL_MAX) {
      if (page[DEPTH]! >= DEPTH_MAX) return false
      this.#split(page, hash)
      page = this.#directory[hash & (this.#directory.length - 1)]!
    }
    put(page, hash, slot + 1)
    this.#size += 1
    return true
  }

  /** Removes an entry that is there. What it made others walk past moves back. */
  remove(hash: number, slot: number): void {
    const page = this.#directory[hash & (this.#directory.length - 1)]!
    let hole = hash >>> PLACE_SHIFT
    while (page[hole * 2 + 1] !== slot + 1) hole = (hole + 1) & PLACE_MASK
    let place = hole
    for (;;) {
      place = (place + 1) & PLACE_MASK
      const stored = page[place * 2 + 1]!
      if (stored === 0) break
      const home = page[place * 2]! >>> PLACE_SHIFT
      if (((place - home) & PLACE_MASK) < ((place - hole) & PLACE_MASK)) continue
      page[hole * 2] = page[place * 2]!
      page[hole * 2 + 1] = stored
      hole = place
    }
    page[hole * 2 + 1] = 0
    page[COUNT]! -= 1
    this.#size -= 1
  }

  /** Bytes of the pages. */
  get bytes(): number {
    return new Set(this.#directory).size * PAGE_WORDS * 4
  }

  #split(page: Int32Array, hash: number): void {
    const depth = page[DEPTH]!
    if (1 << depth === this.#directory.length) {
      this.#directory = [...this.#directory, ...this.#directory]
    }
    const bit = 1 << depth
    const zero = newPage(depth + 1)
    const one = newPage(depth + 1)
    for (let place = 0; place < PLACES; place++) {
      const stored = page[place * 2 + 1]!
      if (stored !== 0) put((page[place * 2]! & bit) === 0 ? zero : one, page[place * 2]!, stored)
    }
    // Every directory entry whose low bits are this page's.
    for (let at = hash & (bit - 1); at < this.#directory.length; at += bit) {
      this.#directory[at] = (at & bit) === 0 ? zero : one
    }
  }
}

function put(page: Int32Array, hash: number, stored: number): void {
  let place = hash >>> PLACE_SHIFT
  while (page[place * 2 + 1] !== 0) place = (place + 1) & PLACE_MASK
  page[place * 2] = hash
  page[place * 2 + 1] = stored
  page[COUNT]! += 1
}

function newPage(depth: number): Int32Array {
  const page = new Int32Array(PAGE_WORDS)
  page[DEPTH] = depth
  return page
}

/** Hash and slot + 1 of each place, then how many there are and how many low bits they share. */
const PLACES = 1024
const PLACE_MASK = PLACES - 1
const PLACE_SHIFT = 22
const COUNT = PLACES * 2
const DEPTH = PLACES * 2 + 1
const PAGE_WORDS = PLACES * 2 + 2
const FILL_MAX = 768
const DEPTH_MAX = 18
