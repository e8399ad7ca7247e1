/** Aligned tables as plain lines: measured by display width, coloured after they are cut. */
import { styleText } from 'node:util'
import { cutToWidth, padToWidth, plainLine, widthOf } from './width.ts'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan'

export interface Cell {
  readonly text: string
  readonly style?: Style
}

export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
  /** Gives up columns first when the table is too wide. */
  readonly flexible?: boolean
}

export interface TableLook {
  /** Columns available; undefined: no limit. No line is ever wider. */
  readonly width?: number | undefined
  readonly colour: boolean
}

/** The heading and one line for each row; nothing for no rows. A column without content is left out. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  look: TableLook,
): string[] {
  if (rows.length === 0) return []
  const cells = rows.map((row) => row.map((cell) => ({ ...cell, text: plainLine(cell.text) })))
  const used = columns
    .map((column, index) => ({ column, index }))
    .filter(({ index }) => index === 0 || cells.some((row) => (row[index]?.text ?? '') !== ''))
  const widths = used.map(({ column, index }) =>
    Math.max(widthOf(column.title), ...cells.map((row) => widthOf(row[index]?.text ?? ''))),
  )
  if (look.width !== undefined)
    shrink(
      widths,
      used.map(({ column }) => column),
      look.width,
    )
  const heading = used.map(({ column }): Cell => ({ text: column.title, style: 'bold' }))
  const body = cells.map((row) => used.map(({ index }): Cell => row[index] ?? { text: '' }))
  const aligns = used.map(({ column }) => column.align ?? 'left')
  return [heading, ...body].map((row) => lineOf(row, widths, aligns, look))
}

/** Colours text when the terminal wants it. */
export function styled(text: string, style: Style | undefined, colour: boolean): string {
  if (!colour || style === undefined || text === '') return text
  return styleText(style, text, { validateStream: false })
}

/** Takes what is missing from the widest flexible column, one step at a time. */
function shrink(widths: number[], columns: readonly Column[], limit: number): void {
  let over = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - limit
  while (over > 0) {
    let widest = -1
    for (const [index, width] of widths.entries()) {
      if (columns[index]?.flexible !== true || width <= FLEXIBLE_WIDTH_MIN) continue
      if (widest < 0 || width > widths[widest]!) widest = index
    }
    if (widest < 0) return
    widths[widest] = widths[widest]! - 1
    over -= 1
  }
}

function lineOf(
  row: readonly Cell[],
  widths: readonly number[],
  aligns: readonly ('left' | 'right')[],
  look: TableLook,
): string {
  let line = ''
  let room = look.width ?? Number.POSITIVE_INFINITY
  // blanks are held back until something follows them, so that no line ends in blanks
  let held = ''
  for (const [index, cell] of row.entries()) {
    const width = widths[index]!
    const text = padToWidth(cutToWidth(cell.text, width), width, aligns[index]!)
    const bare = text.trimEnd()
    if (bare !== '') {
      const cut = cutToWidth(held + bare, room)
      line += cut.startsWith(held)
        ? held + styled(cut.slice(held.length), cell.style, look.colour)
        : cut
      room -= widthOf(cut)
      held = ''
    }
    held += ' '.repeat(widthOf(text) - widthOf(bare)) + GAP
  }
  return line
}

const GAP = '  '
const FLEXIBLE_WIDTH_MIN = 12
