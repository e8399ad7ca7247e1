/** One JSON value per line to a reader that may be slow, or leave. */
import type http from 'node:http'

export class LineStream {
  readonly #response: http.ServerResponse
  /** Sent first, at the reader's pace, none dropped: whoever made it has bounded it. */
  readonly #first: readonly unknown[]
  #firstSent = 0
  #waiting: unknown[] = []
  #gap: { type: 'dropped'; count: number } | undefined
  #blocked = false
  #ending = false

  constructor(response: http.ServerResponse, first: readonly unknown[] = []) {
    this.#response = response
    this.#first = first
    response.writeHead(200, {
      'Content-Type': 'application/x-ndjson',
      'Cache-Control': 'no-store',
    })
    response.flushHeaders() // a follower of a quiet log waits for lines, not for an answer
    response.on('drain', () => {
      this.#blocked = false
      this.#flow()
    })
    response.once('close', () => {
      this.#waiting = []
    })
    this.#flow()
  }

  /**
   * Sends a line when the reader has taken the ones before. A reader that is behind by
   * {@link WAITING_LINES_MAX} lines loses the next ones, and reads how many in their place.
   */
  send(line: unknown): void {
    if (this.#ending || this.#response.destroyed) return
    if (this.#waiting.length < WAITING_LINES_MAX) {
      this.#waiting.push(line)
      this.#gap = undefined
    } else if (this.#gap === undefined) {
      this.#gap = { type: 'dropped', count: 1 }
      this.#waiting.push(this.#gap)
    } else {
      this.#gap.count += 1
    }
    this.#flow()
  }

  /** Sends a line that a later one replaces: not at all while the reader is behind. */
  offer(line: unknown): void {
    if (!this.#blocked) this.send(line)
  }

  /** Ends the answer after the lines that wait. */
  end(): void {
    this.#ending = true
    this.#flow()
  }

  /** Runs when the stream is over, whoever ended it. */
  onClose(run: () => void): void {
    if (this.#response.destroyed) run()
    else this.#response.once('close', run)
  }

  #flow(): void {
    while (!this.#blocked && this.#firstSent < this.#first.length) {
      this.#write(this.#first[this.#firstSent++])
    }
    let sent = 0
    while (!this.#blocked && sent < this.#waiting.length) this.#write(this.#waiting[sent++])
    if (sent > 0) this.#waiting.splice(0, sent)
    const done = this.#firstSent === this.#first.length && this.#waiting.length === 0
    if (this.#ending && done) this.#response.end()
  }

  #write(line: unknown): void {
    if (line === this.#gap) this.#gap = undefined
    this.#blocked = !this.#response.write(`${JSON.stringify(line)}\n`)
  }
}

const WAITING_LINES_MAX = 1_000
