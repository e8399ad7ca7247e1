/** What a connection says, read to its end with the readers of `core/http`, in whatever pieces. */
import { ChunkedReader } from '../../../core/http/framing/chunked.ts'
import type { HeadFault } from '../../../core/http/head/fault.ts'
import type { Fields } from '../../../core/http/head/fields.ts'
import type { Latin1 } from '../../../core/http/head/latin1.ts'
import type { HeadLimits, LinesReader } from '../../../core/http/head/lines.ts'
import { CHUNKED, UNTIL_CLOSE } from '../../../core/http/head/meaning.ts'
import { RequestReader } from '../../../core/http/head/request.ts'
import { ResponseReader } from '../../../core/http/head/response.ts'

export interface Message {
  /** Method and target, or status and reason. */
  readonly start: readonly [string, string]
  readonly minor: number
  readonly fields: readonly (readonly [string, string])[]
  /** Without framing, one character a byte. */
  readonly body: string
  readonly trailers: readonly (readonly [string, string])[]
  /** Nothing follows on this connection. */
  readonly isLast: boolean
}

export interface Said {
  readonly messages: readonly Message[]
  /** After the last message: nothing, part of one, or something refused. */
  readonly rest: 'nothing' | 'part of a head' | 'part of a body' | 'refused head' | 'refused body'
  readonly fault: HeadFault | undefined
  /** Of each message: how many bytes there were up to its end. */
  readonly ends: readonly number[]
}

export const LIMITS: HeadLimits = { headBytesMax: 16_384, lineBytesMax: 8192, fieldsMax: 100 }

export const latin1: Latin1 = (bytes, from, to) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1', from, to)

export const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))

export function pairsOf(fields: Fields): (readonly [string, string])[] {
  return Array.from({ length: fields.count }, (_, n) => [fields.name(n), fields.value(n)] as const)
}

/** `requestMethod`: they are responses to such requests. Without it they are requests. */
export function said(
  pieces: Iterable<Uint8Array>,
  limits: HeadLimits = LIMITS,
  requestMethod?: string,
): Said {
  const mouth = new Listening(limits, requestMethod)
  for (const piece of pieces) mouth.hear(piece)
  return mouth.said()
}

/** Reads as a proxy would: a head, its body, the next head. */
export class Listening {
  readonly messages: Message[] = []
  readonly ends: number[] = []
  fault: HeadFault | undefined = undefined
  readonly #reader: RequestReader | ResponseReader
  readonly #method: string | undefined
  readonly #chunks = new ChunkedReader(latin1)
  readonly #limits: HeadLimits
  /** Of the body being read: bytes yet to come, CHUNKED or UNTIL_CLOSE; undefined: a head. */
  #body: number | undefined = undefined
  #data = ''
  #isOver = false
  #heard = 0

  constructor(limits: HeadLimits, requestMethod?: string) {
    this.#limits = limits
    this.#method = requestMethod
    this.#reader =
      requestMethod === undefined ? new RequestReader(latin1) : new ResponseReader(latin1)
  }

  hear(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length && this.fault === undefined && !this.#isOver) {
      at = this.#body === undefined ? this.#hearHead(bytes, at) : this.#hearBody(bytes, at)
      while (this.ends.length < this.messages.length) this.ends.push(this.#heard + at)
    }
    this.#heard += bytes.length
  }

  said(): Said {
    const { messages, fault } = this
    if (this.#body === UNTIL_CLOSE && fault === undefined) {
      this.#finish()
      this.ends.push(this.#heard)
    }
    const isInBody = this.#body !== undefined
    const rest =
      fault !== undefined
        ? isInBody
          ? 'refused body'
          : 'refused head'
        : isInBody
          ? 'part of a body'
          : this.#reader.isEmpty
            ? 'nothing'
            : 'part of a head'
    return { messages, rest, fault, ends: this.ends }
  }

  #hearHead(bytes: Uint8Array, at: number): number {
    const reader: LinesReader = this.#reader
    const reading =
      reader instanceof ResponseReader
        ? reader.read(bytes, at, this.#limits, this.#method)
        : reader.read(bytes, at, this.#limits)
    if (reading === 'more') return bytes.length
    if (reading === 'refused') {
      this.fault = reader.fault
      return bytes.length
    }
    this.#body = this.#reader.head.body
    this.#data = ''
    this.#chunks.reset()
    if (this.#body === 0) this.#finish()
    return reader.end
  }

  #hearBody(bytes: Uint8Array, at: number): number {
    if (this.#body === CHUNKED) {
      const spans: number[] = []
      const end = this.#chunks.read(bytes, at, spans)
      for (let n = 0; n < spans.length; n += 2)
        this.#data += latin1(bytes, spans[n]!, spans[n + 1]!)
      this.fault = this.#chunks.fault
      if (this.#chunks.isDone) this.#finish()
      return end
    }
    const end = this.#body === UNTIL_CLOSE ? bytes.length : Math.min(bytes.length, at + this.#body!)
    this.#data += latin1(bytes, at, end)
    if (this.#body !== UNTIL_CLOSE) this.#body! -= end - at
    if (this.#body === 0) this.#finish()
    return end
  }

  #finish(): void {
    const { head } = this.#reader
    const isDone = this.#chunks.isDone && this.#chunks.trailers !== undefined
    this.#isOver = head.wantsClose
    this.messages.push({
      start: 'method' in head ? [head.method, head.target] : [String(head.status), head.reason],
      minor: head.minor,
      fields: pairsOf(head.fields),
      body: this.#data,
      trailers: isDone ? pairsOf(this.#chunks.trailers!) : [],
      isLast: head.wantsClose,
    })
    this.#body = undefined
  }
}

/** The same bytes in many ways: whole, one by one, in two at each place (of much: at many), in threes. */
export function* waysToSend(bytes: Uint8Array): Generator<Uint8Array[]> {
  yield [bytes]
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
  const step = Math.ceil(bytes.length / 1000)
  for (let at = 1; at < bytes.length; at += step) yield [bytes.subarray(0, at), bytes.subarray(at)]
  const threes: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += 3) threes.push(bytes.subarray(at, at + 3))
  yield threes
}
