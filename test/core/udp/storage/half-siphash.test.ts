import fc from 'fast-check'
import { expect, test } from 'vitest'
import { halfSipHash } from '../../../../core/udp/storage/half-siphash.ts'
import { paddedWords, referenceHash } from './siphash-reference.ts'

/** The key of the published vectors: octets 00 to 07. */
const KEY = [0x03020100, 0x07060504] as const
const counting = (length: number): number[] => Array.from({ length }, (_, at) => at)

/** With the code's own number of rounds when none is given. */
const hash = (
  octets: readonly number[],
  [key0, key1]: readonly [number, number],
  rounds: readonly number[] = [],
): number => {
  const words = paddedWords(octets)
  return halfSipHash(words, 0, words.length - 1, key0, key1, ...rounds)
}

/** Of the octets 00, 01... of each length from 0. */
const VECTORS = [
  // What its authors publish, there written as octets.
  {
    what: 'HalfSipHash-2-4',
    rounds: [2, 4] as const,
    hashes: [
      0x5b9f35a9, 0xb85a4727, 0x03a662fa, 0x04e7fe8a, 0x89466e2a, 0x69b6fac5, 0x23fc6358,
      0xc563cf8b, 0x8f84b8d0, 0x79e706f8, 0x3479b094, 0x50300808, 0x2f87f057, 0xff63e677,
      0x7cf8ffd6, 0x972bfe74,
    ],
  },
  // `hsiphash` of 32-bit machines, as Linux tests it.
  {
    what: 'HalfSipHash-1-3',
    rounds: [1, 3] as const,
    hashes: [
      0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65,
      0x9d38d9d6, 0x577999b1, 0xc839caed,
    ],
  },
]

test.each(VECTORS)('$what gives the published values', ({ rounds, hashes }) => {
  expect(hashes.map((_, length) => hash(counting(length), KEY, rounds) >>> 0)).toEqual(hashes)
})

test.each(VECTORS)('so does what it is compared with here: $what', ({ rounds, hashes }) => {
  expect(hashes.map((_, length) => referenceHash(counting(length), KEY, rounds))).toEqual(hashes)
})

test('any message under any key hashes as the specification says', () => {
  const octets = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 64 })
  fc.assert(
    fc.property(octets, fc.integer(), fc.integer(), (message, key0, key1) => {
      const found = hash(message, [key0, key1])
      expect(found).toBe(found | 0) // signed: what the index stores and compares
      expect(found >>> 0).toBe(referenceHash(message, [key0, key1]))
    }),
    { numRuns: 300 },
  )
})

test('a key within a record hashes as it does alone', () => {
  const words = paddedWords([10, 0, 0, 1, 0, 53, 7])
  const record = Int32Array.of(-1, -2, ...words, -3)
  expect(halfSipHash(record, 2, 3, ...KEY)).toBe(halfSipHash(words, 0, 1, ...KEY))
})
