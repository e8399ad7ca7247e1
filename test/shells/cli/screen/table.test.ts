import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cell, type Column, tableLines } from '../../../../shells/cli/screen/table.ts'
import { widthOf } from '../../../../shells/cli/screen/width.ts'

const COLUMNS: readonly Column[] = [
  { title: 'NAME', flexible: true },
  { title: 'N', align: 'right' },
  { title: 'DETAIL', flexible: true },
]
const cells = (...texts: string[]): Cell[] => texts.map((text) => ({ text }))

describe('tables', () => {
  test('no rows, no lines', () => {
    expect(tableLines(COLUMNS, [], { colour: false })).toEqual([])
  })

  test('columns are as wide as their widest cell, and no line ends in blanks', () => {
    const rows = [cells('web', '3', ''), cells('日本語', '12', 'slow')]
    expect(tableLines(COLUMNS, rows, { colour: false })).toEqual([
      'NAME     N  DETAIL',
      'web      3',
      '日本語  12  slow',
    ])
  })

  test('a column without content is left out', () => {
    expect(tableLines(COLUMNS, [cells('web', '3', '')], { colour: false })).toEqual([
      'NAME  N',
      'web   3',
    ])
  })

  test('flexible columns give way to a narrow terminal, the widest first', () => {
    const rows = [cells('a-service-with-a-long-name', '3', 'and a detail that is longer than that')]
    expect(tableLines(COLUMNS, rows, { width: 40, colour: false })).toEqual([
      'NAME               N  DETAIL',
      'a-service-with-a…  3  and a detail that…',
    ])
  })

  test('when nothing can give way any more, lines are cut', () => {
    const rows = [cells('a-service-with-a-long-name', '3', 'a long detail, too')]
    expect(tableLines(COLUMNS, rows, { width: 16, colour: false })).toEqual([
      'NAME          N…',
      'a-service-w…  3…',
    ])
  })

  test('colour is added after the measuring', () => {
    const rows: Cell[][] = [
      [{ text: 'web', style: 'green' }, { text: '3' }, { text: 'x', style: 'red' }],
    ]
    expect(tableLines(COLUMNS, rows, { colour: true })).toEqual([
      '\x1b[1mNAME\x1b[22m  \x1b[1mN\x1b[22m  \x1b[1mDETAIL\x1b[22m',
      '\x1b[32mweb\x1b[39m   3  \x1b[31mx\x1b[39m',
    ])
  })

  test('what a cell brings along (colours, line breaks) does not reach the terminal', () => {
    const rows = [cells('\x1b[2Jweb\n', '3', 'a\tb')]
    expect(tableLines(COLUMNS, rows, { colour: false })).toEqual([
      'NAME  N  DETAIL',
      'web   3  a b',
    ])
  })
})

describe('whatever the cells and the width', () => {
  const anyCells = fc.array(
    fc.tuple(fc.string({ unit: 'binary' }), fc.string(), fc.string({ unit: 'grapheme' })),
    { maxLength: 5 },
  )
  const coloured = (texts: string[]): Cell[] => texts.map((text) => ({ text, style: 'red' }))

  test('no line is wider than the terminal, with colour or without', () => {
    fc.assert(
      fc.property(
        anyCells,
        fc.integer({ min: 0, max: 60 }),
        fc.boolean(),
        (rows, width, colour) => {
          for (const line of tableLines(COLUMNS, rows.map(coloured), { width, colour })) {
            expect(widthOf(stripVTControlCharacters(line))).toBeLessThanOrEqual(width)
          }
        },
      ),
    )
  })

  test('colour changes nothing but colour', () => {
    fc.assert(
      fc.property(anyCells, fc.integer({ min: 0, max: 60 }), (rows, width) => {
        const plain = tableLines(COLUMNS, rows.map(coloured), { width, colour: false })
        const colour = tableLines(COLUMNS, rows.map(coloured), { width, colour: true })
        expect(colour.map(stripVTControlCharacters)).toEqual(plain)
      }),
    )
  })

  test('every row has its line', () => {
    fc.assert(
      fc.property(anyCells, (rows) => {
        const lines = tableLines(COLUMNS, rows.map(coloured), { colour: false })
        expect(lines).toHaveLength(rows.length === 0 ? 0 : rows.length + 1)
      }),
    )
  })
})
