import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CronSchedule, parseCron } from '../../../../core/spec/grammar/cron.ts'

function scheduleOf(text: string): CronSchedule {
  const parsed = parseCron(text)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.schedule
}

function reasonOf(text: string): string {
  const parsed = parseCron(text)
  return parsed.ok ? 'accepted' : parsed.reason
}

describe('what a schedule means', () => {
  test('six fields, every year', () => {
    const { seconds, minutes, hours, daysOfMonth, daysOfWeek, years } = scheduleOf('0 30 2 * * *')
    expect([seconds, minutes, hours]).toEqual([[0], [30], [2]])
    expect(daysOfMonth).toHaveLength(31)
    expect(daysOfWeek).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect([years[0], years.at(-1)]).toEqual([1970, 2100])
  })

  test('seven fields', () => expect(scheduleOf('0 30 2 * * * 2030').years).toEqual([2030]))

  test('lists, ranges and steps', () => {
    const read = scheduleOf('*/15 0,5,5 8-18/4 1/10 * *')
    expect(read.seconds).toEqual([0, 15, 30, 45])
    expect(read.minutes).toEqual([0, 5])
    expect(read.hours).toEqual([8, 12, 16])
    expect(read.daysOfMonth).toEqual([1, 11, 21, 31])
  })

  test('names in any case; Sunday is 1', () => {
    const read = scheduleOf('0 0 0 ? jan,Dec mon-FRI')
    expect(read.months).toEqual([1, 12])
    expect(read.daysOfWeek).toEqual([2, 3, 4, 5, 6])
    expect(scheduleOf('0 0 0 * * SUN').daysOfWeek).toEqual([1])
  })

  test('a question mark in both day fields', () => {
    expect(scheduleOf('0 0 0 ? * ?')).toEqual(scheduleOf('0 0 0 * * *'))
  })

  const MACROS: readonly [string, string][] = [
    ['@yearly', '0 0 0 1 1 *'],
    ['@monthly', '0 0 0 1 * *'],
    ['@weekly', '0 0 0 * * 1'],
    ['@daily', '0 0 0 * * *'],
    ['@hourly', '0 0 * * * *'],
  ]
  for (const [macro, long] of MACROS) {
    test(`${macro} is ${long}`, () => expect(scheduleOf(macro)).toEqual(scheduleOf(long)))
  }

  test('a date that never comes is still a schedule', () => {
    expect(parseCron('0 0 0 30 2 *').ok).toBe(true)
  })
})

describe('what is no schedule', () => {
  const BAD: readonly [string, RegExp][] = [
    ['', /is empty/],
    ['every day', /has 2 fields; it needs six or seven/],
    ['30 2 * * *', /has five fields; put the second in front: "0 30 2 \* \* \*"$/],
    ['30 2 * * 1', /"0 30 2 \* \* 1"; weekdays count from 1 \(Sunday\)/],
    ['60 * * * * *', /"60", which is not 0-59, in the second field/],
    ['0 60 * * * *', /not 0-59, in the minute field/],
    ['0 0 24 * * *', /not 0-23, in the hour field/],
    ['0 0 0 0 * *', /not 1-31, in the day field/],
    ['0 0 0 * 13 *', /not 1-12 or JAN-DEC, in the month field/],
    ['0 0 0 * * 0', /not 1-7 or SUN-SAT, in the weekday field/],
    ['0 0 0 * * * 1969', /not 1970-2100, in the year field/],
    ['0 0 0 * * FUN', /"FUN"/],
    ['? 0 0 * * *', /"\?", which is not 0-59/],
    ['*/0 * * * * *', /step that is no number above 0/],
    ['*/x * * * * *', /step that is no number/],
    ['5-1 * * * * *', /runs backwards, 5-1, in the second field/],
    ['1-2-3 * * * * *', /range that is none/],
    ['1,,2 * * * * *', /misplaced separator/],
    ['1/2/3 * * * * *', /misplaced separator/],
    ['-1 * * * * *', /not 0-59/],
    ['1.5 * * * * *', /not 0-59/],
    ['0 0 0 * * * * *', /has 8 fields/],
    ['@reboot', /knows no @reboot; the short forms are @yearly/],
    ['@constructor', /knows no @constructor/],
  ]
  for (const [text, reason] of BAD) {
    test(JSON.stringify(text), () => expect(reasonOf(text)).toMatch(reason))
  }
})

test('any text is a schedule with ascending values, or has a reason', () => {
  const unit = fc.constantFrom('*', '/', '-', ',', '?', ' ', '0', '1', '59', 'MON', '@')
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
      const parsed = parseCron(text)
      if (!parsed.ok) expect(parsed.reason).not.toBe('')
      else {
        for (const values of Object.values(parsed.schedule)) {
          expect(values.length).toBeGreaterThan(0)
          expect(values).toEqual([...new Set<number>(values)].sort((a, b) => a - b))
        }
      }
    }),
  )
})
