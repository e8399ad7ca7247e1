import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../../../core/spec/grammar/units.ts'

describe('durations', () => {
  const GOOD: readonly [string, number][] = [
    ['500ms', 500],
    ['30s', 30_000],
    ['1m', 60_000],
    ['1h 30m', 5_400_000],
    ['2h30m', 9_000_000],
    ['1d', 86_400_000],
    ['0s', 0],
    ['1d 2h 3m 4s 5ms', 93_784_005],
    ['90m', 5_400_000],
  ]
  for (const [text, ms] of GOOD) test(text, () => expect(parseDuration(text)).toBe(ms))

  const BAD = ['', '30', '1.5s', '-1s', 's', '1 s', '1S', '30m 1h', '1s 1s', '1h  30m', ' 1s', '1w']
  for (const text of BAD) {
    test(`${JSON.stringify(text)} is none`, () => expect(parseDuration(text)).toBeUndefined())
  }

  test('a duration past exact numbers is none', () => {
    expect(parseDuration('999999999999999d')).toBeUndefined()
  })

  test('every duration survives a round trip through its text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 13 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })
})

describe('sizes', () => {
  const GOOD: readonly [string, number][] = [
    ['1Ki', 1024],
    ['32Ki', 32_768],
    ['256Mi', 268_435_456],
    ['2Gi', 2_147_483_648],
    ['1Ti', 1_099_511_627_776],
  ]
  for (const [text, bytes] of GOOD) test(text, () => expect(parseSize(text)).toBe(bytes))

  const BAD = [
    '',
    '1',
    '1MB',
    '1M',
    '0Mi',
    '-1Mi',
    '1.5Gi',
    '1 Gi',
    '1gi',
    'Gi',
    '9007199254740992Ti',
  ]
  for (const text of BAD) {
    test(`${JSON.stringify(text)} is none`, () => expect(parseSize(text)).toBeUndefined())
  }

  test('every whole Ki survives a round trip through its text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (kibibytes) => {
        expect(parseSize(formatSize(kibibytes * 1024)!)).toBe(kibibytes * 1024)
      }),
    )
  })

  test('bytes that are not whole Ki have no text', () => {
    expect(formatSize(1000)).toBeUndefined()
    expect(formatSize(0)).toBeUndefined()
  })
})
