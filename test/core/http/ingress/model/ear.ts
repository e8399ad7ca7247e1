/** A plain reader of HTTP/1.1 that hears what well-behaved peers say, and throws at all else. */
import { ok } from 'node:assert/strict'

export interface Heard {
  /** `GET /1`, or `200`. */
  readonly start: string
  readonly fields: ReadonlyMap<string, string>
  body: string
  /** All of it was heard. */
  isWhole: boolean
  trailers: string
}

export class Ear {
  readonly heard: Heard[] = []
  #text = ''
  #now: Heard | undefined
  #left = 0
  readonly #framing: (heard: Heard) => number

  /** `framing`: what follows a head: a length, `CHUNKED`, or `UNTIL_CLOSE`. */
  constructor(framing: (heard: Heard) => number) {
    this.#framing = framing
  }

  /** Undefined between two messages. */
  get current(): Heard | undefined {
    return this.#now
  }

  get isBetween(): boolean {
    return this.#now === undefined && this.#text === ''
  }

  hear(text: string): void {
    this.#text += text
    while (this.#now === undefined ? this.#hearHead() : this.#hearBody()) {}
  }

  /** The connection ended. */
  end(): void {
    if (this.#now !== undefined && this.#left === UNTIL_CLOSE) this.#finish()
  }

  #hearHead(): boolean {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [line, ...lines] = this.#text.slice(0, end).split('\r\n')
    this.#text = this.#text.slice(end + 4)
    const start = /^(?:HTTP\/1\.1 (\d{3}) .*|([A-Z]+ \/\S*) HTTP\/1\.1)$/.exec(line!)
    ok(start, `not the start of a message: ${JSON.stringify(line)}`)
    const fields = new Map<string, string>()
    for (const each of lines) {
      const [, name, value] = /^([\w-]+): (.*)$/.exec(each) ?? []
      ok(name !== undefined && value !== undefined, `not a field: ${JSON.stringify(each)}`)
      const lower = name.toLowerCase()
      ok(!fields.has(lower) || !/length|encoding|host/.test(lower), `repeated: ${name}`)
      fields.set(lower, value)
    }
    this.#now = { start: start[1] ?? start[2]!, fields, body: '', isWhole: false, trailers: '' }
    this.heard.push(this.#now)
    this.#left = this.#framing(this.#now)
    if (this.#left === 0) this.#finish()
    return true
  }

  #hearBody(): boolean {
    const now = this.#now!
    if (this.#left !== CHUNKED) {
      const taken = this.#left === UNTIL_CLOSE ? this.#text : this.#text.slice(0, this.#left)
      now.body += taken
      this.#text = this.#text.slice(taken.length)
      if (this.#left > 0) this.#left -= taken.length
      if (this.#left === 0) this.#finish()
      return this.#left === 0
    }
    const head = /^([\da-f]+)\r\n/.exec(this.#text)
    if (head === null) {
      ok(/^[\da-f]*\r?$/.test(this.#text), `not a chunk: ${JSON.stringify(this.#text)}`)
      return false
    }
    const size = Number.parseInt(head[1]!, 16)
    const from = head[0].length
    if (size === 0) {
      const end = this.#text.slice(from).search(/^\r\n|\r\n\r\n/)
      if (end < 0) return false
      now.trailers = this.#text.slice(from, from + end)
      this.#text = this.#text.slice(from + end + (now.trailers === '' ? 2 : 4))
      this.#finish()
      return true
    }
    // what came of a chunk counts as heard only with all of it
    if (this.#text.length < from + size + 2) return false
    ok(this.#text.slice(from + size, from + size + 2) === '\r\n', 'a chunk ends with CRLF')
    now.body += this.#text.slice(from, from + size)
    this.#text = this.#text.slice(from + size + 2)
    return true
  }

  #finish(): void {
    this.#now!.isWhole = true
    this.#now = undefined
  }
}

export const CHUNKED = -1
export const UNTIL_CLOSE = -2

export function lengthOf({ fields }: Heard): number | undefined {
  const length = fields.get('content-length')
  const coding = fields.get('transfer-encoding')
  ok(length === undefined || coding === undefined, 'one framing')
  if (coding !== undefined) ok(coding === 'chunked', `a coding: ${coding}`)
  return coding !== undefined ? CHUNKED : length === undefined ? undefined : Number(length)
}
