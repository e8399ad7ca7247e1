import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Digest, digestOf } from '../../../core/journal/digest.ts'

/** The definition, word for word, with the integers the hot path avoids. */
function reference(text: string): string {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text, 'utf8')) {
    hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
  }
  return hash.toString(16).padStart(16, '0')
}

describe('digest', () => {
  // From the test vectors published with the hash (test_fnv.c, FNV-1a 64 bit).
  test.each([
    ['', 'cbf29ce484222325'],
    ['a', 'af63dc4c8601ec8c'],
    ['b', 'af63df4c8601f1a5'],
    ['c', 'af63de4c8601eff2'],
    ['fo', '08985907b541d342'],
    ['foo', 'dcb27518fed9d577'],
    ['foob', 'dd120e790c2512af'],
    ['fooba', 'cac165afa2fef40a'],
    ['foobar', '85944171f73967e8'],
  ])('the published vector %j', (text, hash) => {
    expect(digestOf(text)).toBe(hash)
  })

  test('any text hashes as its UTF-8 bytes do', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(digestOf(text)).toBe(reference(text))
      }),
    )
  })

  test('any run of UTF-16 units hashes as an encoder would write it, lone surrogates included', () => {
    const unit = fc
      .oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd800, max: 0xdfff }))
      .map((code) => String.fromCharCode(code))
    fc.assert(
      fc.property(fc.array(unit), (units) => {
        const text = units.join('')
        expect(digestOf(text)).toBe(reference(text.toWellFormed()))
      }),
    )
  })

  test('a running digest goes on from its hex digits', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (first, second) => {
        const stored = Digest.empty().text(first).hex()
        expect(Digest.parse(stored)?.text(second).hex()).toBe(digestOf(first + second))
      }),
    )
  })

  test.each(['', 'cbf29ce48422232', 'cbf29ce4842223255', 'CBF29CE484222325', 'zbf29ce484222325'])(
    '%j is not a digest',
    (hex) => {
      expect(Digest.parse(hex)).toBeUndefined()
    },
  )

  test('every change of one byte changes it', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
        fc.nat(),
        fc.integer({ min: 1, max: 127 }),
        (text, where, flip) => {
          const at = where % text.length
          const other = String.fromCharCode(text.charCodeAt(at) ^ flip)
          expect(digestOf(text.slice(0, at) + other + text.slice(at + 1))).not.toBe(digestOf(text))
        },
      ),
    )
  })
})
