import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatLine, LineSplitter, parseLine } from '../../../../shells/node/log/lines.ts'

const AT = '2026-11-21T09:00:00.123Z'

const splitAll = (chunks: readonly Uint8Array[], lineBytesMax?: number): string[] => {
  const splitter = new LineSplitter(lineBytesMax)
  return [...chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk))), ...splitter.end()]
}

test('lines are the same however their bytes arrive', () => {
  const cut = fc.array(fc.nat({ max: 400 }), { maxLength: 12 })
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', size: 'max', maxLength: 30 })),
      cut,
      (texts, cuts) => {
        const lines = texts.map((text) => text.replaceAll('\n', ' '))
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const at = [0, ...cuts.map((each) => Math.min(each, bytes.length)), bytes.length]
        const sorted = at.toSorted((a, b) => a - b)
        const chunks = sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
        expect(splitAll(chunks)).toEqual(lines)
        expect(splitAll([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(lines)
      },
    ),
  )
})

test('a long line is cut between characters, and nothing of it is lost', () => {
  const bound = 64
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', size: 'max', minLength: 1, maxLength: 300 }),
      fc.integer({ min: 1, max: 70 }),
      (text, size) => {
        const line = text.replaceAll('\n', ' ')
        const bytes = Buffer.from(`${line}\nnext`)
        const chunks: Buffer[] = []
        for (let from = 0; from < bytes.length; from += size) {
          chunks.push(bytes.subarray(from, from + size))
        }
        const cuts = splitAll(chunks, bound)
        expect(cuts.slice(0, -1).join('')).toBe(line)
        expect(cuts.at(-1)).toBe('next')
        expect(Math.max(...cuts.map((each) => Buffer.byteLength(each)))).toBeLessThanOrEqual(bound)
      },
    ),
  )
})

const KIB = 1024
const BOUND_ROWS = [
  { name: 'exactly 64 KiB is one line', bytes: 64 * KIB, lengths: [64 * KIB] },
  { name: 'one byte more is two', bytes: 64 * KIB + 1, lengths: [64 * KIB, 1] },
]
for (const { name, bytes, lengths } of BOUND_ROWS) {
  test(name, () => {
    const line = Buffer.alloc(bytes, 'x')
    expect(splitAll([line]).map((each) => each.length)).toEqual(lengths)
    expect(splitAll([line, Buffer.from('\n')]).map((each) => each.length)).toEqual(lengths)
  })
}

const BYTE_ROWS: readonly { name: string; bytes: number[]; lines: string[] }[] = [
  { name: 'nothing is no line', bytes: [], lines: [] },
  { name: 'empty lines are lines', bytes: [10, 10], lines: ['', ''] },
  { name: 'what is not UTF-8 is replaced', bytes: [0x61, 0xff, 0x62, 10], lines: ['a\uFFFDb'] },
  { name: 'control sequences stay', bytes: [0x1b, 0x5b, 0x31, 0x6d, 13, 10], lines: ['\x1b[1m\r'] },
  { name: 'an unfinished line ends with the stream', bytes: [97, 10, 98], lines: ['a', 'b'] },
  {
    name: 'endless continuation bytes end somewhere',
    bytes: [0x80, 0x80, 10],
    lines: ['\uFFFD\uFFFD'],
  },
]
for (const { name, bytes, lines } of BYTE_ROWS) {
  test(name, () => expect(splitAll([Uint8Array.from(bytes)])).toEqual(lines))
}

test('a stored line reads back', () => {
  fc.assert(
    fc.property(fc.constantFrom('out', 'err'), fc.string(), (stream, text) => {
      fc.pre(!text.includes('\n'))
      const line = { at: AT, stream, text } as const
      expect(parseLine(formatLine(line).slice(0, -1))).toEqual(line)
    }),
  )
})

for (const torn of [
  '',
  AT,
  `${AT} ou`,
  `${AT} all text`,
  `${AT}_out text`,
  'yesterday at noon, it out',
]) {
  test(`no line: "${torn}"`, () => expect(parseLine(torn)).toBeUndefined())
}
