/**
 * How many columns text takes on a terminal, and text cut and padded by that measure.
 *
 * Counted per code point, as most terminals do, and never below what a terminal may use: a table
 * that is one column too narrow looks uneven, one that is too wide wraps and breaks.
 */
import { stripVTControlCharacters } from 'node:util'

/** Text from outside (reasons, names, addresses) made safe for one table cell or one line. */
export function plainLine(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text
  return stripVTControlCharacters(text).replace(BREAKS, ' ').replace(CONTROLS, '')
}

/** Columns of a line without control characters (see {@link plainLine}). */
export function widthOf(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length
  let total = 0
  for (const [, width] of measured(text)) total += width
  return total
}

/** The text, or as much of it as fits with an ellipsis behind it. */
export function cutToWidth(text: string, width: number): string {
  if (width <= 0) return ''
  if (widthOf(text) <= width) return text
  let kept = ''
  let used = 0
  for (const [character, columns] of measured(text)) {
    if (used + columns > width - 1) break
    kept += character
    used += columns
  }
  return `${kept}…`
}

export function padToWidth(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const gap = ' '.repeat(Math.max(0, width - widthOf(text)))
  return align === 'left' ? text + gap : gap + text
}

function* measured(text: string): Generator<readonly [character: string, columns: number]> {
  let before = 0
  for (const character of text) {
    // an emoji selector asks for the wide picture of the (often narrow) character before it
    const columns = character === EMOJI_SELECTOR ? (before === 1 ? 1 : 0) : columnsOf(character)
    yield [character, columns]
    before = columns
  }
}

function columnsOf(character: string): number {
  const point = character.codePointAt(0)!
  if (point < 0x300) return point < 0x20 || (point >= 0x7f && point < 0xa0) ? 0 : 1
  if (ZERO_WIDTH.test(character)) return 0
  if (point < 0x1100) return 1
  if (WIDE_PICTURE.test(character)) return 2
  return isWide(point) ? 2 : 1
}

function isWide(point: number): boolean {
  let low = 0
  let high = WIDE.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const [from, to] = WIDE[middle]!
    if (point < from) high = middle - 1
    else if (point > to) low = middle + 1
    else return true
  }
  return false
}

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/
const BREAKS = /[\t\n\v\f\r\x85\u2028\u2029]+/g
// with the marks that reorder text: a name must not be able to hide what stands beside it
const CONTROLS = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u
const WIDE_PICTURE = /^\p{Emoji_Presentation}$/u
const EMOJI_SELECTOR = '\ufe0f'

/**
 * Unicode's East Asian Width W and F, with the unassigned gaps between them closed; pictures are
 * matched by property. Sorted.
 */
const WIDE: readonly (readonly [from: number, to: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2630, 0x2637],
  [0x268a, 0x268f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1d300, 0x1d376],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x2fffd],
  [0x30000, 0x3fffd],
]
