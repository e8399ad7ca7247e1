import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cutToWidth, padToWidth, plainLine, widthOf } from '../../../../shells/cli/screen/width.ts'

describe('columns of text', () => {
  const rows: readonly [text: string, columns: number][] = [
    ['', 0],
    ['web-1', 5],
    ['naïve', 5],
    ['nai\u0308ve', 5], // a combining mark adds nothing
    ['日本語', 6],
    ['한국어', 6],
    ['ＷＥＩＲ', 8],
    ['ｶﾀｶﾅ', 4], // half-width forms
    ['🚀', 2],
    ['❤\ufe0f', 2], // the selector asks for the wide picture
    ['日\ufe0f', 2],
    ['👩\u200d💻', 4], // most terminals draw the two pictures side by side
    ['\u200b', 0],
    ['…', 1],
    ['\ud800', 1], // half a character is drawn as one replacement character
  ]
  for (const [text, columns] of rows) {
    test(JSON.stringify(text), () => expect(widthOf(text)).toBe(columns))
  }

  test('never less than what Node itself counts', () => {
    const oracle = nodeWidth()
    const character = fc.integer({ min: 0x20, max: 0x3fffd }).filter((point) => {
      const text = String.fromCodePoint(point)
      // Node measures the composed form, and takes some wide marks for characters
      return !/[\p{Cc}\p{Cs}\p{Cn}\p{Mn}]/u.test(text) && text.normalize('NFC') === text
    })
    fc.assert(
      fc.property(character, (point) => {
        const text = String.fromCodePoint(point)
        expect(widthOf(text)).toBeGreaterThanOrEqual(oracle(text))
      }),
      { numRuns: 5_000 },
    )
  })
})

/** readline measures text to place the cursor; the only such measure that Node shows. */
function nodeWidth(): (text: string) => number {
  const output = Object.assign(new PassThrough(), { columns: Number.POSITIVE_INFINITY })
  const reader = createInterface({ input: new PassThrough(), output, terminal: true, prompt: '' })
  return (text) => {
    Object.assign(reader, { line: text, cursor: text.length })
    return reader.getCursorPos().cols
  }
}

describe('cut and padded', () => {
  const rows: readonly [text: string, width: number, cut: string][] = [
    ['hello', 5, 'hello'],
    ['hello', 4, 'hel…'],
    ['hello', 1, '…'],
    ['hello', 0, ''],
    ['日本語', 6, '日本語'],
    ['日本語', 5, '日本…'],
    ['日本語', 4, '日…'],
    ['日本語', 2, '…'],
    ['e\u0301e\u0301', 1, '…'],
  ]
  for (const [text, width, cut] of rows) {
    test(`${JSON.stringify(text)} to ${width}`, () => expect(cutToWidth(text, width)).toBe(cut))
  }

  test('padding counts columns, not characters', () => {
    expect(padToWidth('日本', 6)).toBe('日本  ')
    expect(padToWidth('日本', 6, 'right')).toBe('  日本')
    expect(padToWidth('longer', 3)).toBe('longer')
  })

  test('a cut text is never wider than asked', () => {
    const text = fc.string({ unit: 'binary' }).map(plainLine)
    fc.assert(
      fc.property(text, fc.nat(20), (line, width) => {
        expect(widthOf(cutToWidth(line, width))).toBeLessThanOrEqual(width)
      }),
    )
  })
})

describe('text from outside on one line', () => {
  const rows: readonly [text: string, plain: string][] = [
    ['\x1b[31mred\x1b[0m', 'red'],
    ['two\nlines\r\nand\ttab', 'two lines and tab'],
    ['\x1b]0;title\x07text', 'text'],
    ['bell\x07 and escape\x1b', 'bell and escape'],
    ['a\u202eb', 'ab'], // no text can turn round what follows it
    ['日本', '日本'],
  ]
  for (const [text, plain] of rows) {
    test(JSON.stringify(text), () => expect(plainLine(text)).toBe(plain))
  }

  test('no control character is left, whatever comes in', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(plainLine(text)).not.toMatch(/\p{Cc}/u)
      }),
    )
  })
})
