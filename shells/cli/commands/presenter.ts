/** What `weir up` shows while it runs: plain lines for a pipe, a table drawn in place for people. */
import type { NodeView } from '../../../core/node/view.ts'
import type { NoticeLine } from '../../node/operator/api.ts'
import { worthSaying } from '../screen/drain.ts'
import { frameLines, HIDE_CURSOR, repaint, SHOW_CURSOR } from '../screen/live-table.ts'
import type { SteadyOutput } from '../screen/output.ts'
import { type Style, styled } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { plainLine } from '../screen/width.ts'

export interface Presenter {
  notice(line: Pick<NoticeLine, 'at' | 'level' | 'text'>): void
  /** A line that stays. */
  say(text: string, style?: Style): void
  /** The view may have changed. */
  changed(): void
  /**
   * What goes on; empty: nothing, the spinner stops. `gist` changes when the text has news, which a
   * file is told without delay.
   */
  status(text: () => string, gist?: () => string): void
  /** Leaves the terminal as it was found, the last table included. */
  close(): void
}

/** One line for each notice, with its time (in full, unless for a person), and now and then what is waited for: fit for a file. */
export function plainPresenter(
  output: { write(text: string): void },
  colour: boolean,
  forPerson: boolean = false,
): Presenter {
  let timer: NodeJS.Timeout | undefined
  let last = ''
  const writeStatus = (text: string) => {
    if (text !== '' && text !== last) output.write(`${text}\n`)
    last = text
  }
  const lookForNews = (text: () => string, gist: () => string) => {
    const isNews = worthSaying()
    isNews(gist(), performance.now()) // said when it began
    return () => {
      if (isNews(gist(), performance.now())) writeStatus(plainLine(text()))
    }
  }
  return {
    notice: (line) => {
      const at = forPerson ? styled(localTime(line.at), 'dim', colour) : line.at
      output.write(`${at} ${noticeText(line, colour)}\n`)
    },
    say: (text, style) => output.write(`${styled(plainLine(text), style, colour)}\n`),
    changed: () => undefined,
    status: (text, gist) => {
      clearInterval(timer)
      timer =
        gist === undefined
          ? setInterval(() => writeStatus(plainLine(text())), STATUS_MS)
          : setInterval(lookForNews(text, gist), LOOK_MS)
    },
    close: () => clearInterval(timer),
  }
}

export function livePresenter(
  output: Pick<SteadyOutput, 'write' | 'busy'>,
  terminal: Pick<Terminal, 'colour' | 'columns' | 'rows'>,
  view: () => NodeView,
  unicode: boolean,
): Presenter {
  let shown: string[] = []
  let above = ''
  let statusText: () => string = () => ''
  let turn = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false
  output.write(HIDE_CURSOR)

  const draw = () => {
    timer = undefined
    if (closed) return
    const status = statusText()
    // a terminal that does not take the last frame yet gets the next one when it does
    if (output.busy) return drawSoon()
    paint(status)
    if (status !== '') drawSoon()
  }
  const paint = (status: string) => {
    const columns = terminal.columns() ?? COLUMNS_UNKNOWN
    const look = { columns, rows: terminal.rows(), colour: terminal.colour, status, turn, unicode }
    const next = frameLines(view(), look)
    turn += 1
    output.write(repaint(shown, columns, above, next))
    above = ''
    shown = next
  }
  const drawSoon = () => {
    if (!closed) timer ??= setTimeout(draw, REDRAW_MS)
  }
  const keep = (line: string) => {
    if (closed) return output.write(`${line}\n`)
    // the oldest of a flood that the terminal cannot follow goes; logs have them all
    if (above.length > ABOVE_CHARACTERS_MAX) above = above.slice(above.indexOf('\n') + 1)
    above += `${line}\n`
    drawSoon()
  }
  return {
    notice: (line) =>
      keep(
        `${styled(localTime(line.at), 'dim', terminal.colour)} ${noticeText(line, terminal.colour)}`,
      ),
    say: (text, style) => keep(styled(plainLine(text), style, terminal.colour)),
    changed: drawSoon,
    status: (text) => {
      statusText = text
      drawSoon()
    },
    close: () => {
      if (closed) return
      clearTimeout(timer)
      paint('')
      closed = true
      output.write(SHOW_CURSOR)
    },
  }
}

function noticeText({ level, text }: Pick<NoticeLine, 'level' | 'text'>, colour: boolean): string {
  const line = plainLine(text)
  switch (level) {
    case 'info':
      return line
    case 'warn':
      return `${styled('warning:', 'yellow', colour)} ${line}`
    case 'error':
      return `${styled('error:', 'red', colour)} ${line}`
  }
}

/** `14:03:09` where the operator is. */
function localTime(at: string): string {
  const time = new Date(at)
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

const REDRAW_MS = 100
const STATUS_MS = 5_000
const LOOK_MS = 1_000
const COLUMNS_UNKNOWN = 80
const ABOVE_CHARACTERS_MAX = 100_000
