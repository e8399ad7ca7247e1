/** The part of the screen that is redrawn in place: pure frames, and the bytes that swap them. */
import type { NodeView } from '../../../core/node/view.ts'
import { serviceLines } from './describe.ts'
import { styled } from './table.ts'
import { cutToWidth, plainLine, widthOf } from './width.ts'

export interface FrameLook {
  readonly columns: number
  readonly rows: number
  readonly colour: boolean
  /** What goes on, behind the spinner; empty: no such line. */
  readonly status: string
  /** Counts up with every redraw while something goes on; undefined: nothing turns. */
  readonly turn: number | undefined
  /** The terminal shows letters like `⠋`. */
  readonly unicode: boolean
}

/** At most `rows - 1` lines (the cursor needs one), none wider than `columns`. */
export function frameLines(view: NodeView, look: FrameLook): string[] {
  const status = statusLine(look)
  const table = serviceLines(view, { width: look.columns, colour: look.colour })
  const room = Math.max(1, look.rows - 1 - status.length)
  if (table.length <= room) return [...table, ...status].slice(0, Math.max(1, look.rows - 1))
  const hidden = table.length - (room - 1)
  const more = cutToWidth(`and ${hidden} more: see weir status`, look.columns)
  return [...table.slice(0, room - 1), more, ...status].slice(0, Math.max(1, look.rows - 1))
}

/**
 * Bytes that take the shown lines away, write `above` where they began (it scrolls up and stays),
 * and draw the next lines. The cursor rests at the start of the line below them.
 */
export function repaint(
  shown: readonly string[],
  columns: number,
  above: string,
  next: readonly string[],
): string {
  // a terminal that became narrower has wrapped the lines it shows
  const rows = shown.reduce((sum, line) => sum + rowsOf(line, columns), 0)
  const up = rows > 0 ? `\x1b[${rows}A` : ''
  const clear = shown.length > 0 ? `\r${up}\x1b[J` : '\r\x1b[K'
  return clear + above + next.map((line) => `${line}\n`).join('')
}

export const HIDE_CURSOR = '\x1b[?25l'
export const SHOW_CURSOR = '\x1b[?25h'

function statusLine(look: FrameLook): string[] {
  if (look.status === '') return []
  const signs = look.unicode ? TURNING : TURNING_ASCII
  const sign = look.turn === undefined ? '' : `${signs[look.turn % signs.length]} `
  const text = cutToWidth(sign + plainLine(look.status), look.columns)
  if (sign === '' || !text.startsWith(sign)) return [text]
  return [styled(sign.trimEnd(), 'cyan', look.colour) + text.slice(sign.length - 1)]
}

const rowsOf = (line: string, columns: number): number =>
  Math.max(1, Math.ceil(widthOf(plainLine(line)) / Math.max(1, columns)))

const TURNING = [...'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏']
const TURNING_ASCII = [...'|/-\\']
