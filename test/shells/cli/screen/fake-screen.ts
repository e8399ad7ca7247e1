/** A terminal that keeps everything it scrolled: enough of one to see what a repaint leaves. */
import { widthOf } from '../../../../shells/cli/screen/width.ts'

export class FakeScreen {
  #columns: number
  /** Lines as they were written; each takes as many rows as it needs. */
  #rows: string[] = ['']
  #row = 0
  #column = 0
  cursorHidden = false

  constructor(columns: number) {
    this.#columns = columns
  }

  write(text: string): void {
    for (const part of text.match(PARTS) ?? []) this.#take(part)
  }

  /** Rows from the top, without the blanks at their ends. */
  lines(): string[] {
    return this.#rows.map((row) => row.trimEnd())
  }

  /** As terminals do that wrap again what they show. */
  resize(columns: number): void {
    const texts = this.#rows.slice(0, -1)
    this.#columns = columns
    this.#rows = ['']
    this.#row = 0
    this.#column = 0
    for (const text of texts) this.write(`${text}\n`)
  }

  #take(part: string): void {
    const move = MOVE.exec(part)
    if (part === '\n') this.#newLine()
    else if (part === '\r') this.#column = 0
    else if (part === '\x1b[?25l') this.cursorHidden = true
    else if (part === '\x1b[?25h') this.cursorHidden = false
    else if (move?.[2] === 'A') this.#row = Math.max(0, this.#row - Number(move[1] || 1))
    else if (move !== null) this.#erase(move[2] === 'J')
    else if (!part.startsWith('\x1b')) this.#put(part)
  }

  #erase(below: boolean): void {
    this.#rows[this.#row] = this.#rows[this.#row]!.slice(0, this.#column)
    if (below) this.#rows.length = this.#row + 1
  }

  #put(character: string): void {
    const width = widthOf(character)
    if (this.#column + width > this.#columns) this.#newLine()
    // only ever written at the end of a row, or over a row from its beginning
    const row = this.#column === 0 ? '' : this.#rows[this.#row]!
    this.#rows[this.#row] = row + character
    this.#column += width
  }

  #newLine(): void {
    this.#row += 1
    this.#column = 0
    if (this.#row === this.#rows.length) this.#rows.push('')
  }
}

const ESCAPE = '\\u001b\\['
const PARTS = new RegExp(`${ESCAPE}\\??[\\d;]*[A-Za-z]|[\\s\\S]`, 'gu')
const MOVE = new RegExp(`^${ESCAPE}(\\d*)([AJK])$`)
