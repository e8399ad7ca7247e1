/** A log that is kept in memory only: the newest lines that fit. */
import type { LogSink } from './file.ts'

export class LogMemory implements LogSink {
  readonly linesLost = 0
  readonly #bytesMax: number
  #lines: string[] = []
  /** Before it, lines are dropped already; they are cut off now and then, not one by one. */
  #first = 0
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  append(text: string): boolean {
    for (const line of text.slice(0, -1).split('\n')) {
      this.#lines.push(line)
      this.#bytes += sizeOf(line)
    }
    while (this.#bytes > this.#bytesMax && this.#first < this.#lines.length) {
      this.#bytes -= sizeOf(this.#lines[this.#first++] ?? '')
    }
    if (this.#first > this.#lines.length / 2) {
      this.#lines = this.#lines.slice(this.#first)
      this.#first = 0
    }
    return true
  }

  whenDrained(resume: () => void): void {
    resume()
  }

  tail(linesMax: number): string[] {
    return this.#lines.slice(Math.max(this.#first, this.#lines.length - linesMax))
  }

  async close(): Promise<void> {
    // it stays readable
  }
}

/** UTF-16, and about what a string costs besides. */
const sizeOf = (line: string): number => line.length * 2 + 32
