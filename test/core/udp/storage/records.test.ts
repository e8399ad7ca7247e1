import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantError } from '../../../../core/machine.ts'
import { PAGE_BITS, Records } from '../../../../core/udp/storage/records.ts'

const STRIDE = 6

function wordsOf(records: Records, slot: number): number[] {
  const at = records.offset(slot)
  return [...records.words[slot >> PAGE_BITS]!.subarray(at, at + STRIDE)]
}

function fill(records: Records, slot: number, value: number): void {
  const at = records.offset(slot)
  records.words[slot >> PAGE_BITS]!.fill(value, at, at + STRIDE)
}

const allocated = (count: number): Records => {
  const records = new Records(STRIDE)
  for (let slot = 0; slot < count; slot++) records.allocate()
  return records
}

describe('which slot is next', () => {
  test('they count up from 0', () => {
    const records = new Records(STRIDE)
    expect(Array.from({ length: 3_000 }, () => records.allocate())).toEqual(
      Array.from({ length: 3_000 }, (_, slot) => slot),
    )
    expect(records.live).toBe(3_000)
  })

  test('the one freed last comes first, then those freed before it, then new ones', () => {
    const records = allocated(5)
    for (const slot of [3, 0, 4]) records.free(slot)
    expect(Array.from({ length: 5 }, () => records.allocate())).toEqual([4, 0, 3, 5, 6])
  })

  test('as a plain list of free slots would have it', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { maxLength: 200 }), (steps) => {
        const records = new Records(STRIDE)
        const free: number[] = []
        const live: number[] = []
        let used = 0
        for (const step of steps) {
          if (step === null || live.length === 0) {
            const slot = records.allocate()
            expect(slot).toBe(free.pop() ?? used++)
            expect(wordsOf(records, slot)).toEqual(new Array(STRIDE).fill(0))
            fill(records, slot, slot + 1)
            live.push(slot)
          } else {
            const [slot] = live.splice(step % live.length, 1)
            records.free(slot!)
            free.push(slot!)
          }
          expect(records.live).toBe(live.length)
          for (const slot of live) {
            expect(wordsOf(records, slot)).toEqual(new Array(STRIDE).fill(slot + 1))
          }
        }
        expect(records.save()).toEqual({ used, free: free.toReversed() })
      }),
    )
  })

  test('freeing more than there are is a bug', () => {
    const records = allocated(1)
    records.free(0)
    expect(() => records.free(0)).toThrow(InvariantError)
  })
})

describe('memory', () => {
  test('grows a page of 1,024 records at a time, and what is there stays where it is', () => {
    const records = new Records(STRIDE)
    expect(records.bytes).toBe(0)
    records.allocate()
    const [first] = records.words
    expect(records.bytes).toBe(1_024 * STRIDE * 4)
    for (let slot = 1; slot < 1_025; slot++) records.allocate()
    expect(records.bytes).toBe(2 * 1_024 * STRIDE * 4)
    expect(records.words[0]).toBe(first)
    fill(records, 1_023, 7)
    fill(records, 1_024, 8)
    expect([wordsOf(records, 1_023)[0], wordsOf(records, 1_024)[0]]).toEqual([7, 8])
  })

  test('does not grow while freed records are used again', () => {
    const records = allocated(1_024)
    for (let slot = 0; slot < 1_024; slot++) records.free(slot)
    for (let slot = 0; slot < 1_024; slot++) records.allocate()
    expect(records.words.length).toBe(1)
  })

  test('two words are a double', () => {
    const records = allocated(2)
    const at = records.offset(1)
    records.doubles[0]![(at + 2) >> 1] = 1.5
    expect(wordsOf(records, 1)).toEqual([0, 0, 0, 0x3ff8_0000, 0, 0])
    expect(wordsOf(records, 0)).toEqual(new Array(STRIDE).fill(0))
  })
})

describe('save and restore', () => {
  test('the restored one hands out the same slots', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1_099 }), { maxLength: 50 }), (freed) => {
        const records = allocated(1_100)
        for (const slot of new Set(freed)) records.free(slot)
        const restored = new Records(STRIDE)
        restored.restore(records.save())
        expect([restored.live, restored.save()]).toEqual([records.live, records.save()])
        const next = (of: Records) => Array.from({ length: 60 }, () => of.allocate())
        expect(next(restored)).toEqual(next(records))
      }),
      { numRuns: 50 },
    )
  })

  test('only into one that was never used', () => {
    expect(() => allocated(1).restore({ used: 1, free: [] })).toThrow(InvariantError)
  })
})
