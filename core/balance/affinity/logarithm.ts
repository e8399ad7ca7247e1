/**
 * The logarithm of a hash read as a fraction, the same to the last bit in every engine. `Math.log`
 * may differ between them, and then two processes would send one key to two backends. Here is only
 * +, -, * and /, which IEEE 754 defines exactly.
 */
import type { AffinityKey } from '../strategy.ts'

/**
 * -ln(u) for u = ((hash >>> 12) + 1/2) / 2^52: above 0, below 37.
 *
 * 52 bits and a half fit a double exactly. With one bit more, adding the half would round the
 * topmost hashes up to u = 1 and their score to infinity (udp W34). The result is off by less than
 * a unit in its last place, and those of two neighbouring u are at least two units apart: where
 * two hashes differ in their upper 52 bits, the higher one always has the lower result.
 */
export function negativeLog({ high, low }: AffinityKey): number {
  const lower = (low >>> 12) * 2 + 1 // 21 bits of the 53
  const zeros = high !== 0 ? Math.clz32(high) : 21 + Math.clz32(lower)
  // u = m / 2^halvings with m from 0.7 to 1.4, where the series is short.
  let m = ((high >>> 0) * 0x20_0000 + lower) * SCALES[zeros]!
  let halvings = zeros + 1
  if (m > 1.4) {
    m /= 2
    halvings -= 1
  }
  // ln(1 + f) = 2 artanh(s), arranged as in fdlibm so that what is rounded is small.
  const f = m - 1
  const s = f / (2 + f)
  const z = s * s
  const upper = z * (2 / 3 + z * (2 / 5 + z * (2 / 7 + z * (2 / 9 + z * (2 / 11)))))
  const rest = 2 / 13 + z * (2 / 15 + z * (2 / 17 + z * (2 / 19 + z * (2 / 21)))) // what is left out: 2^-58
  const series = upper + z * z * z * z * z * z * rest
  const half = (f * f) / 2
  return halvings * LN2_HIGH + (half - (s * (half + series) - halvings * LN2_LOW) - f)
}

/** By leading zeros of 53 bits: what brings those to 1 or more, below 2. */
const SCALES: readonly number[] = powersOfTwo(53, 1 / 0x10_0000_0000_0000)

function powersOfTwo(count: number, first: number): number[] {
  const powers = [first]
  while (powers.length < count) powers.push(powers.at(-1)! * 2)
  return powers
}

/** ln 2 in two parts; the upper one has 32 zeros at its end, so that 53 times it is exact. */
const LN2_HIGH = 0.693_147_180_369_123_8
const LN2_LOW = 1.908_214_929_270_587_7e-10
