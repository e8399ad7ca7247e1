import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AFFINITY_SEED, AffinityHash } from '../../../../core/balance/affinity/hash.ts'
import { HighestRandomWeight } from '../../../../core/balance/affinity/hrw.ts'
import { identified } from '../../../../core/balance/affinity/identity.ts'
import { negativeLog } from '../../../../core/balance/affinity/logarithm.ts'
import type { Member } from '../../../../core/balance/group.ts'
import { countsOf, key, memberOf, numbered, picks } from '../members.ts'

const hrwOf = (registered: readonly Member[], candidates = registered): HighestRandomWeight => {
  const hrw = new HighestRandomWeight()
  hrw.replace(registered, candidates)
  return hrw
}

const KEYS = 20_000

describe('highest random weight, by the figures of the sheet', () => {
  test('udp 8: HRW, keys 0 to 19 over five', () => {
    expect(picks(hrwOf(numbered(5)), 20).join(' ')).toBe('4 0 1 1 4 3 2 2 4 4 0 4 0 1 0 3 4 1 4 4')
  })

  test('udp 8: HRW, 20,000 keys over five: each within 35 % of an equal share', () => {
    const counts = countsOf(picks(hrwOf(numbered(5)), KEYS), 5)
    expect(counts).toEqual([3993, 3936, 3969, 3998, 4104])
    for (const count of counts) expect(Math.abs(count - 4000)).toBeLessThan(4000 * 0.35)
  })

  test('HRW, weights 100 and 400', () => {
    expect(countsOf(picks(hrwOf(numbered(2, [100, 400])), KEYS), 2)).toEqual([4054, 15_946])
  })

  test('HRW, a sixth backend takes 3,307 keys and moves no other', () => {
    const [five, six] = [picks(hrwOf(numbered(5)), KEYS), picks(hrwOf(numbered(6)), KEYS)]
    const moved = six.filter((to, at) => to !== five[at])
    expect([moved.length, new Set(moved)]).toEqual([3307, new Set([5])])
  })

  test('udp 8: HRW, key 42 over five backends: the same answer 50 times', () => {
    const hrw = hrwOf(numbered(5))
    const answers = Array.from({ length: 50 }, () => hrw.choose([], key(42))?.index)
    expect(new Set(answers).size).toBe(1)
  })

  test('udp 8: HRW without key: list order, then wraps', () => {
    const hrw = hrwOf(numbered(3).reverse())
    expect(Array.from({ length: 5 }, () => hrw.choose([])?.index)).toEqual([2, 1, 0, 2, 1])
  })

  test('keyed choices take nobody the turn', () => {
    const hrw = hrwOf(numbered(3))
    const turns = [0, 1, 2].map((at) => {
      hrw.choose([], key(at))
      return hrw.choose([])?.index
    })
    expect(turns).toEqual([0, 1, 2])
  })

  test('udp 8: keyless HRW over an empty list: none, no crash; keyed neither', () => {
    expect([hrwOf([]).choose([]), hrwOf([]).choose([], key(1))]).toEqual([undefined, undefined])
  })

  test('udp 8: HRW, 2,000 keys over six: removing one moves only the keys it held', () => {
    const six = numbered(6)
    const [before, after] = [hrwOf(six), hrwOf(six.toSpliced(3, 1))].map((of) => picks(of, 2000))
    for (const [at, from] of before!.entries()) if (from !== 3) expect(after![at]).toBe(from)
    expect(after).not.toContain(3)
  })
})

describe('highest random weight, for all sets', () => {
  const members = fc
    .array(
      fc.record({
        host: fc.integer({ min: 1, max: 254 }),
        weight: fc.constantFrom(1, 1, 2, 100, 65_535),
      }),
      { minLength: 1, maxLength: 8 },
    )
    .map((all) =>
      all.map(({ host, weight }, i) =>
        memberOf({ id: `b${i}`, host: `10.0.0.${host}`, port: 50 + i, weight }, i),
      ),
    )
  const keys = fc.array(fc.record({ high: fc.integer(), low: fc.integer() }), {
    minLength: 20,
    maxLength: 20,
  })

  test('who leaves gives up only its keys, who comes takes only what it wins', () => {
    fc.assert(
      fc.property(members, fc.nat(), keys, (all, pick, hashed) => {
        const other = all[pick % all.length]!
        const [more, fewer] = [hrwOf(all), hrwOf(all.filter((each) => each !== other))]
        for (const each of hashed) {
          const winner = more.choose([], each)
          if (winner !== other) expect(fewer.choose([], each)).toBe(winner)
        }
      }),
    )
  })

  test('who is excluded, or may not be chosen, is as if not there', () => {
    fc.assert(
      fc.property(members, fc.nat(), keys, (all, pick, hashed) => {
        const other = all[pick % all.length]!
        const rest = all.filter((each) => each !== other)
        const [excluding, unhealthy, without] = [hrwOf(all), hrwOf(all, rest), hrwOf(rest)]
        for (const each of hashed) {
          const winner = without.choose([], each)
          expect(unhealthy.choose([], each)).toBe(winner)
          expect(excluding.choose([other], each)).toBe(winner)
        }
      }),
    )
  })

  test('udp W28: whoever was registered first, a key has the same winner', () => {
    const shuffled = members.chain((all) =>
      fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
    )
    fc.assert(
      fc.property(shuffled, keys, ([all, mixed], hashed) => {
        const [one, other] = [hrwOf(all), hrwOf(mixed)]
        for (const each of hashed) expect(other.choose([], each)).toBe(one.choose([], each))
      }),
    )
  })

  test('the winner is the one whose score is highest', () => {
    fc.assert(
      fc.property(members, keys, (all, hashed) => {
        const hrw = hrwOf(all)
        for (const each of hashed) {
          const scores = identified(all).map(({ member, weight, identity }) => {
            const hash = new AffinityHash().begin(AFFINITY_SEED, each).add(identity).finish()
            return { member, score: weight / negativeLog(hash) }
          })
          const highest = Math.max(...scores.map(({ score }) => score))
          const winner = scores.find(({ score }) => score === highest)
          expect(hrw.choose([], each)).toBe(winner?.member)
        }
      }),
    )
  })

  test('with Math.log the winners are the same', () => {
    const all = numbered(6, [1, 2, 3, 100, 50, 7])
    const hrw = hrwOf(all)
    for (let low = 0; low < KEYS; low++) {
      let [winner, highest]: [Member | undefined, number] = [undefined, 0]
      for (const { member, weight, identity } of identified(all)) {
        const hash = new AffinityHash().begin(AFFINITY_SEED, key(low)).add(identity).finish()
        const u = ((hash.high >>> 0) * 2 ** 20 + (hash.low >>> 12) + 0.5) / 2 ** 52
        const score = -weight / Math.log(u)
        if (score > highest) [winner, highest] = [member, score]
      }
      expect(hrw.choose([], key(low))).toBe(winner)
    }
  })

  test('a weight of 0, or less, or of nothing sensible counts as 1', () => {
    const shares = [0, -5, Number.NaN, 0.5, undefined].map((weight) =>
      countsOf(picks(hrwOf(numbered(2, [weight, 1])), 2000), 2),
    )
    expect(new Set(shares.map(String)).size).toBe(1)
  })

  test('udp W34: of two ids on one address both win, each about half', () => {
    const twins = ['a', 'b'].map((id, i) => memberOf({ id, host: '10.0.0.1', port: 53 }, i))
    const counts = countsOf(picks(hrwOf(twins), KEYS), 2)
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  })

  test('a name is as good as an address', () => {
    const names = ['db-1', 'db-2', 'db-3'].map((host, i) =>
      memberOf({ id: host, host, port: 53 }, i),
    )
    const counts = countsOf(picks(hrwOf(names), KEYS), 3)
    for (const count of counts) expect(Math.abs(count - KEYS / 3)).toBeLessThan(500)
  })
})
