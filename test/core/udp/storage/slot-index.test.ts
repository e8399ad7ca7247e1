import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SlotIndex } from '../../../../core/udp/storage/slot-index.ts'

/** An index over keys of one number, and the same as a plain map. */
class Pair {
  readonly #keys = new Map<number, number>()
  readonly #slots = new Map<number, number>()
  readonly #hashOf: (key: number) => number
  readonly index = new SlotIndex({ hasKey: (slot, [key]) => this.#keys.get(slot) === key })
  #nextSlot = 0

  constructor(hashOf: (key: number) => number) {
    this.#hashOf = (key) => hashOf(key) | 0
  }

  /** Whether the index took it; the map has it then too. */
  add(key: number): boolean {
    expect(this.find(key)).toBe(-1)
    const slot = this.#nextSlot
    if (!this.index.add(this.#hashOf(key), slot)) return false
    this.#nextSlot += 1
    this.#slots.set(key, slot)
    this.#keys.set(slot, key)
    return true
  }

  remove(key: number): void {
    const slot = this.#slots.get(key)!
    this.index.remove(this.#hashOf(key), slot)
    this.#slots.delete(key)
    this.#keys.delete(slot)
  }

  has(key: number): boolean {
    return this.#slots.has(key)
  }

  find(key: number): number {
    return this.index.find(this.#hashOf(key), Int32Array.of(key))
  }

  /** Every key that is there is found, no key that is not. */
  check(keys: Iterable<number>): void {
    expect(this.index.size).toBe(this.#slots.size)
    const lost = [...keys].filter((key) => this.find(key) !== (this.#slots.get(key) ?? -1))
    expect(lost).toEqual([])
  }

  get keys(): number[] {
    return [...this.#slots.keys()]
  }
}

const mixed = (key: number): number => Math.imul(key ^ (key >>> 15), 0x2c1b3c6d) ^ (key << 7)

/** Low bits choose a page, the ten high ones a place in it. */
const HASHES: Readonly<Record<string, (key: number) => number>> = {
  'spread evenly': mixed,
  'all the same': () => 0x1234_5678,
  'of few values': (key) => mixed(key % 7),
  'all for the last place of a page': (key) => mixed(key) | (0x3ff << 22),
  'all for the first place or the last': (key) =>
    (mixed(key) & 0x3f_ffff) | ((key & 1) === 0 ? 0 : 0x3ff << 22),
  'alike in their low 20 bits': (key) => (key & 0xfff) << 20,
}

type Step =
  | { readonly type: 'add' | 'remove'; readonly key: number }
  | { readonly type: 'add-many' | 'remove-many'; readonly from: number; readonly count: number }

const anyKey = fc.integer({ min: 0, max: 1_500 })
const anyStep = (countMax: number): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant('add' as const), key: anyKey }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('remove' as const), key: anyKey }) },
    fc.record({
      type: fc.constantFrom('add-many' as const, 'remove-many' as const),
      from: anyKey,
      count: fc.integer({ min: 1, max: countMax }),
    }),
  )

function run(pair: Pair, step: Step): void {
  const [from, count] = 'key' in step ? [step.key, 1] : [step.from, step.count]
  for (let key = from; key < from + count; key++) {
    if (step.type.startsWith('remove')) {
      if (pair.has(key)) pair.remove(key)
    } else if (!pair.has(key)) pair.add(key)
  }
}

describe('finds what a map finds, with hashes', () => {
  test.each(Object.entries(HASHES))('%s', (what, hashOf) => {
    // Pages of equal hashes are walked from end to end: they are kept short.
    const countMax = what === 'all the same' || what === 'of few values' ? 60 : 900
    fc.assert(
      fc.property(fc.array(anyStep(countMax), { maxLength: 12 }), (steps) => {
        const pair = new Pair(hashOf)
        for (const step of steps) run(pair, step)
        pair.check(Array.from({ length: 2_400 }, (_, key) => key))
      }),
      { numRuns: 40 },
    )
  })
})

test('keys are compared only where whole hashes are equal', () => {
  const compared: number[] = []
  const index = new SlotIndex({
    hasKey: (slot) => {
      compared.push(slot)
      return slot === 2
    },
  })
  // One page, one place: all four are walked past.
  for (const [slot, hash] of [7, 8, 7, 9].entries()) index.add(hash, slot)
  expect(index.find(7, Int32Array.of(0))).toBe(2)
  expect(index.find(8 + 2 ** 10, Int32Array.of(0))).toBe(-1)
  expect(compared).toEqual([0, 2])
})

describe('growing', () => {
  test('no entry is lost over many splits, and a page is split when it is three quarters full', () => {
    const pair = new Pair(mixed)
    const page = pair.index.bytes
    for (let key = 0; key < 768; key++) pair.add(key)
    expect(pair.index.bytes).toBe(page)
    pair.add(768)
    expect(pair.index.bytes).toBe(2 * page)
    for (let key = 769; key < 100_000; key++) pair.add(key)
    pair.check(Array.from({ length: 110_000 }, (_, key) => key))
    // Pages are half to three quarters full: at most 22 bytes an entry.
    expect(pair.index.bytes / 100_000).toBeLessThan(22)
  })

  test('what is removed makes room again: churn does not grow it', () => {
    const pair = new Pair(mixed)
    for (let key = 0; key < 10_000; key++) pair.add(key)
    for (let key = 10_000; key < 40_000; key++) {
      pair.remove(key - 10_000)
      pair.add(key)
    }
    pair.check(pair.keys)
    expect(pair.index.bytes / 10_000).toBeLessThan(30)
    for (const key of pair.keys) pair.remove(key)
    pair.check(Array.from({ length: 40_000 }, (_, key) => key))
    expect(pair.index.size).toBe(0)
  })

  test('a page that splits unevenly is split again', () => {
    // Seven low bits alike: only the eighth tells these two halves apart.
    const pair = new Pair((key) => (mixed(key) & 0xffff_0000) | ((key & 1) << 7))
    for (let key = 0; key < 769; key++) expect(pair.add(key)).toBe(true)
    pair.check(Array.from({ length: 1_000 }, (_, key) => key))
  })
})

describe('hashes whose low 18 bits are the same', () => {
  /** They differ above only. */
  const alike = (key: number): number => (key << 18) | 0x2_aaaa

  test('768 have room, more are refused and change nothing', () => {
    const pair = new Pair((key) => (key < 10_000 ? alike(key) : mixed(key)))
    for (let key = 0; key < 768; key++) expect(pair.add(key)).toBe(true)
    expect(pair.add(768)).toBe(false)
    expect(pair.add(769)).toBe(false)
    pair.check(Array.from({ length: 1_000 }, (_, key) => key))
    // Everybody else goes on.
    for (let key = 10_000; key < 12_000; key++) expect(pair.add(key)).toBe(true)
    pair.check(Array.from({ length: 13_000 }, (_, key) => key))
  })

  test('one that goes makes room for one', () => {
    const pair = new Pair(alike)
    for (let key = 0; key < 768; key++) pair.add(key)
    pair.remove(400)
    expect([pair.add(800), pair.add(801)]).toEqual([true, false])
    pair.check(Array.from({ length: 1_000 }, (_, key) => key))
  })
})
