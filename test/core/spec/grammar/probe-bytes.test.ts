import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hexOf, parseProbeBytes } from '../../../../core/spec/grammar/probe-bytes.ts'

const hex = (text: string): string | undefined => {
  const bytes = parseProbeBytes(text)
  return bytes && hexOf(bytes)
}

describe('bytes of a probe', () => {
  const ROWS: readonly [string, string][] = [
    ['', ''],
    ['ping', '70696e67'],
    ['\\x00\\xfF', '00ff'],
    ['\\0\\t\\n\\r\\\\', '00090a0d5c'],
    ['\\\\x00', '5c783030'],
    ['a\nb', '610a62'],
    ['é€😀', 'c3a9e282acf09f9880'],
    ['\ud800', 'efbfbd'],
  ]
  for (const [text, bytes] of ROWS) {
    test(JSON.stringify(text), () => expect(hex(text)).toBe(bytes))
  }

  for (const text of ['\\', '\\q', '\\x', '\\x0', '\\xg0', 'ab\\']) {
    test(`${JSON.stringify(text)} is refused`, () => expect(hex(text)).toBeUndefined())
  }

  test('property: text without a backslash is its UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(!text.includes('\\'))
        expect(hex(text)).toBe(Buffer.from(text, 'utf8').toString('hex'))
      }),
    )
  })
})
