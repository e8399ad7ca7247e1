import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { negativeLog } from '../../../../core/balance/affinity/logarithm.ts'

/** `upper` is the upper 52 bits of a hash. */
const logOf = (upper: number, rest = 0): number =>
  negativeLog({
    high: Math.floor(upper / 2 ** 20) | 0,
    low: ((upper % 2 ** 20) * 2 ** 12 + rest) | 0,
  })

const UPPER_MAX = 2 ** 52 - 1
const upper = fc.oneof(
  fc.maxSafeInteger().map((any) => Math.abs(any) % 2 ** 52),
  fc.nat(3000),
  fc.nat(3000).map((below) => UPPER_MAX - below),
  // Around the powers of two, and where the series is changed for the next.
  fc
    .tuple(fc.nat(51), fc.integer({ min: -100, max: 100 }), fc.constantFrom(1, 1.4))
    .map(([exponent, beside, factor]) =>
      Math.min(UPPER_MAX, Math.max(0, Math.floor(2 ** exponent * factor) + beside)),
    ),
)

describe('the logarithm of a hash', () => {
  test('udp W34: the highest hashes are finite and above 0, the lowest are the largest', () => {
    expect(negativeLog({ high: -1, low: -1 })).toBe(2 ** -53)
    expect(negativeLog({ high: 0, low: 0 })).toBeCloseTo(53 * Math.LN2, 12)
    // Where half is added to 53 bits, the 2,048 highest hashes have the logarithm of 1.
    expect(Math.log((2 ** 53 - 1 + 0.5) / 2 ** 53)).toBe(0)
  })

  test('is within two units in the last place of Math.log, which is within one', () => {
    fc.assert(
      fc.property(upper, (each) => {
        const exact = -Math.log((each + 0.5) / 2 ** 52)
        expect(Math.abs(logOf(each) - exact)).toBeLessThanOrEqual(exact * 2 ** -51)
      }),
      { numRuns: 5000 },
    )
  })

  test('a higher hash has a lower one, always, next to each other too', () => {
    fc.assert(
      fc.property(
        upper.filter((each) => each < UPPER_MAX),
        (each) => {
          expect(logOf(each + 1)).toBeLessThan(logOf(each))
        },
      ),
      { numRuns: 5000 },
    )
  })

  test('the lower 12 bits do not count', () => {
    fc.assert(
      fc.property(upper, fc.nat(4095), (each, rest) => {
        expect(logOf(each, rest)).toBe(logOf(each))
      }),
    )
  })

  test('gives these very bits, in every engine', () => {
    const written = [
      0,
      1,
      12_345,
      2 ** 40 + 7,
      2 ** 51,
      3_158_824_778_637_666,
      2 ** 52 - 2 ** 30,
      UPPER_MAX,
    ].map((each) => {
      const view = new DataView(new ArrayBuffer(8))
      view.setFloat64(0, logOf(each))
      return view.getBigUint64(0).toString(16)
    })
    expect(written).toEqual([
      '40425e4f7b2737fa',
      '4041d1b02751cfe2',
      '403a9f63237f5948',
      '4020a2b23f3b9c73',
      '3fe62e42fefa39ed',
      '3fd6b306e9db435d', // where the series is longest
      '3e9000001fe00055',
      '3ca0000000000000',
    ])
  })
})
