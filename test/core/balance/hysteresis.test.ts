import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  afterResult,
  defaultStreakLimits,
  newStreak,
  type Streak,
  streakLimitsProblem,
} from '../../../core/balance/hysteresis.ts'

/** A letter for each result, upper case where it counts as up after it. */
const follow = (results: string, isUp: boolean, limits = defaultStreakLimits): string => {
  let streak = newStreak(isUp)
  return [...results]
    .map((result) => {
      streak = afterResult(streak, result === 's', limits)
      return streak.isUp ? result.toUpperCase() : result
    })
    .join('')
}

describe('rise and fall', () => {
  test('udp 8: rise 2, fall 3: two failures keep it up, the third takes it down', () => {
    expect(follow('fff', true)).toBe('FFf')
  })

  test('udp 8: rise 2: one success keeps it down, the second brings it up', () => {
    expect(follow('fffss', true)).toBe('FFfsS')
  })

  test('udp 8: absent values become rise 2, fall 3', () => {
    expect(defaultStreakLimits).toEqual({ rise: 2, fall: 3 })
  })

  test('only results in a row count', () => {
    expect(follow('ffsffsff', true)).toBe('FFSFFSFF')
    expect(follow('sfsfsf', false)).toBe('sfsfsf')
  })

  test('who goes up needs a whole streak to go down again', () => {
    expect(follow('ffssff', false)).toBe('ffsSFF')
  })

  test('with 1 and 1 each result decides', () => {
    expect(follow('fsfs', true, { rise: 1, fall: 1 })).toBe('fSfS')
  })

  test('udp W22: of two streaks of one backend neither undoes what the other counts', () => {
    let [tcp, udp] = [newStreak(true), newStreak(true)]
    for (let round = 0; round < 3; round++) {
      tcp = afterResult(tcp, true, defaultStreakLimits)
      udp = afterResult(udp, false, defaultStreakLimits)
    }
    expect([tcp.isUp, udp.isUp]).toEqual([true, false])
  })

  test('lower limits count from the next result on, what was counted stays', () => {
    let streak = newStreak(true)
    for (let i = 0; i < 2; i++) streak = afterResult(streak, false, { rise: 1, fall: 9 })
    expect(streak).toEqual({ isUp: true, against: 2 })
    expect(afterResult(streak, false, { rise: 1, fall: 2 }).isUp).toBe(false)
    expect(afterResult(streak, true, { rise: 1, fall: 2 })).toEqual({ isUp: true, against: 0 })
  })

  test.each([
    [{ rise: 1, fall: 1 }, undefined],
    [{ rise: 1000, fall: 1000 }, undefined],
    [{ rise: 0, fall: 3 }, 'rise must be a whole number from 1 to 1000, not 0'],
    [{ rise: 2, fall: 0 }, 'fall must be a whole number from 1 to 1000, not 0'],
    [{ rise: 2, fall: 1001 }, 'fall must be a whole number from 1 to 1000, not 1001'],
    [{ rise: 1.5, fall: 3 }, 'rise must be a whole number from 1 to 1000, not 1.5'],
    [{ rise: Number.NaN, fall: 3 }, 'rise must be a whole number from 1 to 1000, not NaN'],
  ])('udp W37: limits %j: %s', (limits, problem) => {
    expect(streakLimitsProblem(limits)).toBe(problem)
  })

  test('it changes sides exactly where enough of the last results agree against it', () => {
    const limits = fc.record({
      rise: fc.integer({ min: 1, max: 4 }),
      fall: fc.integer({ min: 1, max: 4 }),
    })
    fc.assert(
      fc.property(limits, fc.boolean(), fc.array(fc.boolean()), (given, isUp, results) => {
        let streak: Streak = newStreak(isUp)
        /** Results since it last changed sides. */
        let since: boolean[] = []
        for (const result of results) {
          const before = streak
          streak = afterResult(streak, result, given)
          since.push(result)
          const needed = before.isUp ? given.fall : given.rise
          const last = since.slice(-needed)
          const turns = last.length === needed && last.every((each) => each !== before.isUp)
          expect(streak.isUp !== before.isUp).toBe(turns)
          if (turns) since = []
        }
      }),
    )
  })
})
