/**
 * A second reader of HTTP/1.1, for what the ingress writes: plain, slow and unforgiving. It shares
 * nothing with `core/http`. Who it reads for says what is sent without a body (RFC 9112, 6.3).
 */

export type Field = readonly [name: string, value: string]

/** A request, or the answer to one. */
export interface PlainHead {
  /** Of the start line, split at its first two spaces. */
  readonly start: readonly [string, string, string]
  readonly fields: readonly Field[]
  /** Octets of the body, or how it ends. */
  readonly body: number | 'chunked' | 'until-close' | 'tunnel'
}

export type Heard =
  | { readonly type: 'head'; readonly head: PlainHead }
  | { readonly type: 'content'; readonly text: string }
  | { readonly type: 'end'; readonly trailers: readonly Field[] }

/** What an answer is an answer to. */
export interface Question {
  readonly method: string
  readonly minor: number
}

type Stage = 'head' | 'length' | 'chunk' | 'chunk-end' | 'size' | 'trailers' | 'rest'

export class PlainReader {
  /** Why it stopped reading. */
  fault: string | undefined
  #text = ''
  #stage: Stage = 'head'
  #left = 0
  readonly #questionOf: (() => Question | undefined) | undefined

  /** With `questionOf` it reads answers. */
  constructor(questionOf?: () => Question | undefined) {
    this.#questionOf = questionOf
  }

  /** Between two messages, with nothing of the next. */
  get isBetween(): boolean {
    return this.#stage === 'head' && this.#text === '' && this.fault === undefined
  }

  /** The end of the connection ends the message. */
  get endsWithClose(): boolean {
    return this.#stage === 'rest'
  }

  /** What follows is of another protocol. */
  becomeTunnel(): void {
    this.#stage = 'rest'
  }

  read(text: string, heard: (what: Heard) => void): void {
    if (this.fault !== undefined) return
    this.#text = this.#text === '' ? text : this.#text + text
    while (this.fault === undefined && this.#step(heard)) {}
  }

  #step(heard: (what: Heard) => void): boolean {
    switch (this.#stage) {
      case 'head':
        return this.#readHead(heard)
      case 'length':
      case 'chunk':
        return this.#readCounted(heard)
      case 'chunk-end':
        if (this.#text.length < 2) return false
        if (!this.#text.startsWith('\r\n')) return this.#stop('a chunk does not end where it says')
        this.#text = this.#text.slice(2)
        this.#stage = 'size'
        return true
      case 'size':
        return this.#readSize()
      case 'trailers':
        return this.#readTrailers(heard)
      case 'rest': {
        const text = this.#text
        this.#text = ''
        if (text !== '') heard({ type: 'content', text })
        return false
      }
    }
  }

  #readHead(heard: (what: Heard) => void): boolean {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [first = '', ...lines] = this.#text.slice(0, end).split('\r\n')
    this.#text = this.#text.slice(end + 4)
    const fields = this.#fieldsOf(lines)
    if (fields === undefined) return false
    const isAnswer = this.#questionOf !== undefined
    const start = (isAnswer ? STATUS_LINE : REQUEST_LINE).exec(first)
    if (start === null) return this.#stop(`a start line "${first}"`)
    const [, one = '', two = '', three = ''] = start
    const body = isAnswer ? this.#bodyOfAnswer(two, fields) : this.#bodyOfRequest(one, fields)
    if (body === undefined) return false
    heard({ type: 'head', head: { start: [one, two, three], fields, body } })
    if (isAnswer && Number(two) < 200 && two !== '101') return true // an interim answer
    if (body === 'tunnel' || body === 'until-close') this.#stage = 'rest'
    else if (body === 'chunked') this.#stage = 'size'
    else if (body === 0) heard({ type: 'end', trailers: [] })
    else {
      this.#stage = 'length'
      this.#left = body
    }
    return true
  }

  #bodyOfRequest(method: string, fields: readonly Field[]): PlainHead['body'] | undefined {
    const hosts = fields.filter(([name]) => name.toLowerCase() === 'host')
    if (hosts.length !== 1) {
      this.#stop(`${hosts.length} Host fields`)
      return undefined
    }
    const declared = this.#declared(fields)
    if (declared === undefined) return undefined
    const upgrade = fields.some(([name]) => name.toLowerCase() === 'upgrade')
    if (method === 'CONNECT') return 'tunnel'
    if (declared !== 'none') return declared
    return upgrade ? 0 : 0
  }

  #bodyOfAnswer(status: string, fields: readonly Field[]): PlainHead['body'] | undefined {
    const question = this.#questionOf?.()
    if (question === undefined) {
      this.#stop(`an answer ${status} to nobody`)
      return undefined
    }
    const declared = this.#declared(fields)
    if (declared === undefined) return undefined
    if (status === '101') return 'tunnel'
    const isBare = status.startsWith('1') || status === '204'
    if (isBare && declared !== 'none') {
      this.#stop(`a ${status} that declares a body`) // RFC 9112, 6.1 and 6.2
      return undefined
    }
    if (declared === 'chunked' && question.minor === 0) {
      this.#stop('chunks to a client of HTTP/1.0')
      return undefined
    }
    if (isBare || status === '304' || question.method === 'HEAD') return 0
    return declared === 'none' ? 'until-close' : declared
  }

  /** What the framing fields say; undefined after a fault. */
  #declared(fields: readonly Field[]): number | 'chunked' | 'none' | undefined {
    const lengths = fields.filter(([name]) => name.toLowerCase() === 'content-length')
    const codings = fields.filter(([name]) => name.toLowerCase() === 'transfer-encoding')
    if (lengths.length + codings.length === 0) return 'none'
    if (lengths.length + codings.length > 1) {
      this.#stop('a body that is declared twice')
      return undefined
    }
    if (codings.length === 1) {
      if (codings[0]![1] === 'chunked') return 'chunked'
      this.#stop(`the coding "${codings[0]![1]}"`)
      return undefined
    }
    const length = lengths[0]![1]
    if (/^\d{1,15}$/.test(length)) return Number(length)
    this.#stop(`the length "${length}"`)
    return undefined
  }

  #readCounted(heard: (what: Heard) => void): boolean {
    if (this.#text === '') return false
    const text = this.#text.slice(0, this.#left)
    this.#text = this.#text.slice(text.length)
    this.#left -= text.length
    heard({ type: 'content', text })
    if (this.#left > 0) return false
    if (this.#stage === 'chunk') {
      this.#stage = 'chunk-end'
      return true
    }
    this.#stage = 'head'
    heard({ type: 'end', trailers: [] })
    return true
  }

  #readSize(): boolean {
    const end = this.#text.indexOf('\r\n')
    if (end < 0) return false
    const line = this.#text.slice(0, end)
    if (!/^[0-9a-fA-F]{1,8}$/.test(line)) return this.#stop(`the chunk size "${line}"`)
    this.#text = this.#text.slice(end + 2)
    this.#left = Number.parseInt(line, 16)
    this.#stage = this.#left === 0 ? 'trailers' : 'chunk'
    return true
  }

  #readTrailers(heard: (what: Heard) => void): boolean {
    if (this.#text.startsWith('\r\n')) {
      this.#text = this.#text.slice(2)
      this.#stage = 'head'
      heard({ type: 'end', trailers: [] })
      return true
    }
    const end = this.#text.indexOf('\r\n\r\n')
    if (end < 0) return false
    const trailers = this.#fieldsOf(this.#text.slice(0, end).split('\r\n'))
    if (trailers === undefined) return false
    this.#text = this.#text.slice(end + 4)
    this.#stage = 'head'
    heard({ type: 'end', trailers })
    return true
  }

  #fieldsOf(lines: readonly string[]): readonly Field[] | undefined {
    const fields: Field[] = []
    for (const line of lines) {
      const found = FIELD_LINE.exec(line)
      if (found === null) {
        this.#stop(`the field "${line}"`)
        return undefined
      }
      fields.push([found[1]!, found[2]!])
    }
    return fields
  }

  #stop(fault: string): false {
    this.fault = fault
    return false
  }
}

/** The first value of a field, whatever its case. */
export const firstOf = (fields: readonly Field[], name: string): string | undefined =>
  fields.find((field) => field[0].toLowerCase() === name)?.[1]

export const allOf = (fields: readonly Field[], name: string): string[] =>
  fields.flatMap((field) => (field[0].toLowerCase() === name ? [field[1]] : []))

const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) (HTTP\/1\.[01])$/
const STATUS_LINE = /^(HTTP\/1\.1) ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)$/
const FIELD_LINE =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*$/
