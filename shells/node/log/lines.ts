/** Bytes a program prints, as lines; and lines as they stand in a log file. */

export type LogStream = 'out' | 'err'

export interface StoredLine {
  /** ISO 8601 in UTC with milliseconds. */
  readonly at: string
  readonly stream: LogStream
  readonly text: string
}

/** `2026-11-21T09:00:00.123Z out text`, with its line feed. Control sequences stay as they are. */
export const formatLine = (line: StoredLine): string => `${line.at} ${line.stream} ${line.text}\n`

/** Undefined for a line we did not write, or one torn by a full disk or a power cut. */
export function parseLine(line: string): StoredLine | undefined {
  const at = line.slice(0, AT_LENGTH)
  const stream = line.slice(AT_LENGTH + 1, AT_LENGTH + 4)
  if (stream !== 'out' && stream !== 'err') return undefined
  if (!AT.test(at) || line[AT_LENGTH] !== ' ' || line[AT_LENGTH + 4] !== ' ') return undefined
  return { at, stream, text: line.slice(AT_LENGTH + 5) }
}

/** Cuts a stream of bytes into lines; holds at most one line of at most `lineBytesMax`. */
export class LineSplitter {
  readonly #lineBytesMax: number
  #rest: Buffer[] = []
  #restBytes = 0

  constructor(lineBytesMax = LINE_BYTES_MAX) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The lines that are complete now, without their line feeds. What is not UTF-8 becomes U+FFFD. */
  push(chunk: Buffer): string[] {
    const end = chunk.lastIndexOf(LINE_FEED)
    if (end === -1) {
      this.#keep(chunk)
      return this.#restBytes > this.#lineBytesMax ? this.#overlong() : []
    }
    const whole = Buffer.concat([...this.#rest, chunk.subarray(0, end)])
    this.#rest = []
    this.#restBytes = 0
    const lines = this.#split(whole)
    if (end + 1 < chunk.length) lines.push(...this.push(chunk.subarray(end + 1)))
    return lines
  }

  /** The last line, if the program ended (or paused) in the middle of it. */
  end(): string[] {
    if (this.#restBytes === 0) return []
    const whole = Buffer.concat(this.#rest)
    this.#rest = []
    this.#restBytes = 0
    return this.#split(whole)
  }

  #keep(chunk: Buffer): void {
    // copied: a small piece must not hold on to the large buffer it was received in
    this.#rest.push(Buffer.from(chunk))
    this.#restBytes += chunk.length
    if (this.#rest.length >= PIECES_MAX) this.#rest = [Buffer.concat(this.#rest)]
  }

  #overlong(): string[] {
    const whole = Buffer.concat(this.#rest)
    const cuts = this.#cut(whole)
    const rest = cuts.pop() ?? Buffer.alloc(0)
    this.#rest = [Buffer.from(rest)]
    this.#restBytes = rest.length
    return cuts.map((cut) => cut.toString('utf8'))
  }

  #split(whole: Buffer): string[] {
    // the usual case in one go; a line of n characters has at least n bytes, and at most 3n
    const lines = whole.toString('utf8').split('\n')
    if (!lines.some((line) => line.length * 3 > this.#lineBytesMax)) return lines
    return lines.flatMap((line) => {
      if (line.length * 3 <= this.#lineBytesMax) return [line]
      return this.#cut(Buffer.from(line)).map((cut) => cut.toString('utf8'))
    })
  }

  /** Pieces of at most `lineBytesMax`, cut between characters. */
  #cut(line: Buffer): Buffer[] {
    const cuts: Buffer[] = []
    let from = 0
    while (line.length - from > this.#lineBytesMax) {
      let to = from + this.#lineBytesMax
      // a continuation byte (10xxxxxx) belongs to the character before; there are at most three
      while (to > from + this.#lineBytesMax - 3 && ((line[to] ?? 0) & 0xc0) === 0x80) to--
      cuts.push(line.subarray(from, to))
      from = to
    }
    cuts.push(line.subarray(from))
    return cuts
  }
}

const LINE_BYTES_MAX = 64 * 1024
const LINE_FEED = 0x0a
const PIECES_MAX = 64
const AT_LENGTH = '2026-11-21T09:00:00.123Z'.length
const AT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
