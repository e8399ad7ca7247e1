import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AFFINITY_SEED, AffinityHash, moduloOf } from '../../../../core/balance/affinity/hash.ts'
import { identified } from '../../../../core/balance/affinity/identity.ts'
import { Maglev, smallestPrime } from '../../../../core/balance/affinity/maglev.ts'
import type { Member } from '../../../../core/balance/group.ts'
import { countsOf, key, memberOf, numbered, picks } from '../members.ts'

const maglevOf = (
  slots: number,
  registered: readonly Member[],
  candidates = registered,
): Maglev => {
  const maglev = new Maglev({ slots })
  maglev.replace(registered, candidates)
  return maglev
}

const slotsOf = (maglev: Maglev, members: number): number[] => countsOf([...maglev.table], members)

describe('maglev, by the figures of the sheet', () => {
  test('offsets and skips of 13 slots', () => {
    const draws = identified(numbered(3)).map(({ identity }) => {
      const hashOf = (high: number, low: number): AffinityHash =>
        new AffinityHash().begin(AFFINITY_SEED, { high, low }).add(identity).finish()
      return [
        moduloOf(hashOf(0x6f66, 0x66736574), 13),
        1 + moduloOf(hashOf(0x736b, 0x69705f5f), 12),
      ]
    })
    expect(draws).toEqual([
      [12, 12],
      [11, 10],
      [0, 4],
    ])
  })

  test('the table of three backends in 13 slots', () => {
    const maglev = maglevOf(13, numbered(3))
    expect([...maglev.table].join(' ')).toBe('2 0 1 2 2 1 2 0 1 0 0 1 0')
    expect(slotsOf(maglev, 3)).toEqual([5, 4, 4])
  })

  test('the table of weights 100 and 400 in 13 slots', () => {
    const maglev = maglevOf(13, numbered(2, [100, 400]))
    expect([...maglev.table].join(' ')).toBe('1 1 1 1 1 1 1 1 1 0 0 1 0')
    expect(slotsOf(maglev, 2)).toEqual([3, 10])
  })

  test('the table of five backends begins so, in the 65,537 slots of the default', () => {
    const maglev = new Maglev()
    maglev.replace(numbered(5), numbered(5))
    expect(maglev.table.length).toBe(65_537)
    expect([...maglev.table.subarray(0, 16)].join(' ')).toBe('2 2 3 1 1 0 1 0 3 3 2 1 2 0 1 3')
  })

  test('udp 8: Maglev, key 12345 over seven: the same answer 50 times', () => {
    const maglev = maglevOf(65_537, numbered(7))
    const answers = Array.from({ length: 50 }, () => maglev.choose([], key(12_345))?.index)
    expect(new Set(answers).size).toBe(1)
  })

  test('udp 8: Maglev without key: list order, then wraps', () => {
    const maglev = maglevOf(13, numbered(3).reverse())
    expect(Array.from({ length: 5 }, () => maglev.choose([])?.index)).toEqual([2, 1, 0, 2, 1])
  })

  test('udp 8: keyless Maglev over an empty list: none, no crash; keyed neither', () => {
    const none = maglevOf(13, [])
    expect([none.choose([]), none.choose([], key(1))]).toEqual([undefined, undefined])
  })

  test('udp 8: Maglev, 1,009 slots, 50,000 keys over five: each within 15 % of an equal share', () => {
    const counts = countsOf(picks(maglevOf(1009, numbered(5)), 50_000), 5)
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(1500)
  })

  test('udp 8: Maglev, 1,009 slots, from five to six: fewer than half of 20,000 keys move', () => {
    const [five, six] = [maglevOf(1009, numbered(5)), maglevOf(1009, numbered(6))]
    const [before, after] = [picks(five, 20_000), picks(six, 20_000)]
    expect(before.filter((from, at) => from !== after[at]).length).toBeLessThan(10_000)
    const moved = [...six.table.entries()].filter(([slot, to]) => five.table[slot] !== to)
    // Nearly all of them to the newcomer.
    expect([moved.length, moved.filter(([, to]) => to !== 5).length]).toEqual([182, 14])
  })

  test('udp 8: Maglev, one of five may not be chosen: never is, and no other key moves', () => {
    const all = numbered(5)
    const maglev = maglevOf(1009, all)
    const before = picks(maglev, 4000)
    const { table } = maglev
    maglev.replace(all, all.toSpliced(2, 1))
    const after = picks(maglev, 4000)
    for (const [at, from] of before.entries()) if (from !== 2) expect(after[at]).toBe(from)
    expect(after).not.toContain(2)
    maglev.replace(all, all)
    expect(picks(maglev, 4000)).toEqual(before)
    expect(maglev.table).toBe(table)
  })

  test('udp 8: Maglev, candidates without a slot: one is picked, the table is as it was', () => {
    const all = numbered(4)
    const maglev = maglevOf(3, all, [all[3]!])
    const { table } = maglev
    expect([...table]).not.toContain(3)
    expect(maglev.choose([], key(1))).toBe(all[3])
    expect(maglev.table).toBe(table)
  })

  test('udp 8: Maglev builds once, whatever is chosen, and anew for another address or weight', () => {
    const all = numbered(3)
    const maglev = maglevOf(13, all)
    maglev.choose([], key(1))
    const { table } = maglev
    maglev.choose([], key(2))
    maglev.replace(all, all.slice(1))
    expect(maglev.table).toBe(table)
    all[0]!.backend = { ...all[0]!.backend, weight: 2 }
    maglev.replace(all, all)
    const heavier = maglev.table
    expect(heavier).not.toBe(table)
    all[0]!.backend = { ...all[0]!.backend, port: 9 }
    maglev.replace(all, all)
    expect(maglev.table).not.toBe(heavier)
  })

  test('a backend replaced by another on its address keeps the table, and the keys reach the new one', () => {
    const before = numbered(3)
    const maglev = maglevOf(13, before)
    const { table } = maglev
    const chosen = picks(maglev, 50)
    const renamed = before.map(({ backend, index }) =>
      memberOf({ ...backend, id: `new ${backend.id}` }, 10 + index),
    )
    maglev.replace(renamed, renamed)
    expect(picks(maglev, 50)).toEqual(chosen.map((index) => index + 10))
    expect(maglev.table).toBe(table)
  })

  test('udp 8: Maglev of one slot has a prime of them, builds and selects', () => {
    const maglev = maglevOf(1, numbered(2))
    expect(maglev.table.length).toBe(2)
    expect(countsOf(picks(maglev, 2), 2)).toEqual([1, 1])
  })

  test('udp 8: the smallest prime not below', () => {
    const primes = [0, 1, 2, 3, 4, 1009, 65_537, 1_048_576].map(smallestPrime)
    expect(primes).toEqual([2, 2, 2, 3, 5, 1009, 65_537, 1_048_583])
  })

  test('udp 8: Maglev, 1,009 slots, weights 100 and 400: the heavy one takes more than 70 %', () => {
    const counts = countsOf(picks(maglevOf(1009, numbered(2, [100, 400])), 20_000), 2)
    expect(counts[1]).toBeGreaterThan(14_000)
  })

  test.each([0, 1_048_577, Number.NaN])('a table of %d slots is a bug of the caller', (slots) => {
    expect(() => new Maglev({ slots })).toThrow('1 to 1048576 slots')
  })
})

describe('maglev, for all sets', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 9 })
  const slots = fc.constantFrom(2, 3, 13, 101, 1009)

  test('each backend has the slots that its weight asks, and they fill the table', () => {
    fc.assert(
      fc.property(weights, slots, (all, size) => {
        const total = all.reduce((sum, weight) => sum + weight, 0)
        const asked = all.map((weight) => Math.floor((weight * size) / total))
        let rest = size - asked.reduce((sum, count) => sum + count, 0)
        const targets = asked.map((count) => (rest-- > 0 ? count + 1 : count))
        fc.pre(!targets.includes(0))
        expect(slotsOf(maglevOf(size, numbered(all.length, all)), all.length)).toEqual(targets)
      }),
    )
  })

  test('udp W34: however small its weight, a backend has a slot while there are enough', () => {
    fc.assert(
      fc.property(weights, slots, (all, size) => {
        const counts = slotsOf(maglevOf(size, numbered(all.length, all)), all.length)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(size)
        if (all.length <= size) expect(counts).not.toContain(0)
        // More weight is never fewer slots, but for the one that is left over.
        for (const [one, weight] of all.entries()) {
          for (const [other, otherWeight] of all.entries()) {
            if (weight >= otherWeight)
              expect(counts[one]! + 1).toBeGreaterThanOrEqual(counts[other]!)
          }
        }
      }),
    )
  })

  test('one slot more for the first ones may be what keeps a light one from having none', () => {
    expect(slotsOf(maglevOf(3, numbered(2, [1, 3])), 2)).toEqual([1, 2])
  })

  test('udp W34: two very heavy backends leave a slot to each of a hundred light ones', () => {
    const counts = slotsOf(
      maglevOf(1009, numbered(102, [65_535, 65_535, ...new Array<number>(100).fill(1)])),
      102,
    )
    expect(counts.slice(2)).toEqual(new Array(100).fill(1))
    expect(counts.slice(0, 2)).toEqual([455, 454])
  })

  test('udp W34: of two ids on one address both have their slots', () => {
    const twins = ['a', 'b'].map((id, i) => memberOf({ id, host: '10.0.0.1', port: 53 }, i))
    expect(slotsOf(maglevOf(1009, twins), 2)).toEqual([505, 504])
  })

  test('udp W28: whoever was registered first, the table is the same', () => {
    const all = numbered(5, [1, 3, 2, 1, 7])
    const { table } = maglevOf(1009, all)
    const mixed = fc.shuffledSubarray(all, { minLength: all.length })
    fc.assert(
      fc.property(mixed, (shuffled) => {
        expect(maglevOf(1009, shuffled).table).toEqual(table)
      }),
    )
  })

  test('whoever may not be chosen is never, and who may keeps its keys', () => {
    const all = numbered(6)
    const full = maglevOf(101, all)
    fc.assert(
      fc.property(fc.subarray(all), fc.subarray(all), fc.integer(), fc.integer(), (...given) => {
        const [open, exclude, high, low] = given
        const maglev = maglevOf(101, all, open)
        const winner = full.choose([], { high, low })!
        const chosen = maglev.choose(exclude, { high, low })
        const eligible = open.filter((member) => !exclude.includes(member))
        if (eligible.length === 0) expect(chosen).toBeUndefined()
        else expect(eligible).toContain(eligible.includes(winner) ? winner : chosen)
        if (eligible.includes(winner)) expect(chosen).toBe(winner)
      }),
    )
  })
})
