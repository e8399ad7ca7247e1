/** Chunked bodies (RFC 9112, 7.1). */
import type { HeadFault } from '../head/fault.ts'
import { FIELD, type FieldId, type Fields } from '../head/fields.ts'
import type { Latin1 } from '../head/latin1.ts'
import { type HeadLimits, LinesReader } from '../head/lines.ts'
import { CR, LF, OCTET, TOKEN, VALUE } from '../head/octets.ts'

export class ChunkedReader {
  /** The body and its trailers were taken: what follows is the next message. */
  isDone = false
  /** Not undefined: it cannot be read on. */
  fault: HeadFault | undefined = undefined
  /** Undefined without any. Holds until the trailers of the next body. */
  trailers: Fields | undefined = undefined
  readonly #latin1: Latin1
  #trailerReader: TrailerReader | undefined = undefined
  #state: State = SIZE
  /** Of the size, or of a word of an extension: octets so far. */
  #digits = 0
  /** Bytes of data yet to come. */
  #left = 0
  /** Bytes of chunk heads beyond what the data may cost. */
  #excess = 0

  constructor(latin1: Latin1) {
    this.#latin1 = latin1
  }

  /** For the next body. */
  reset(): void {
    this.isDone = false
    this.fault = undefined
    this.trailers = undefined
    this.#state = SIZE
    this.#digits = 0
    this.#left = 0
    this.#excess = 0
    if (this.#trailerReader?.isEmpty === false) this.#trailerReader = undefined
  }

  /**
   * Index after what it took: everything, unless it is done or has a fault. To `spans` it appends
   * where data lies in these bytes: from, to, from, to...
   */
  read(bytes: Uint8Array, from: number, spans: number[]): number {
    let at = from
    while (at < bytes.length && !this.isDone && this.fault === undefined) {
      if (this.#state === DATA) {
        const to = Math.min(bytes.length, at + this.#left)
        spans.push(at, to)
        this.#left -= to - at
        if (this.#left === 0) this.#state = DATA_CR
        at = to
      } else if (this.#state === TRAILERS) {
        at = this.#readTrailers(bytes, at)
      } else {
        this.#take(bytes[at++]!)
      }
    }
    return at
  }

  /** One byte of a chunk's head or end. */
  #take(octet: number): void {
    switch (this.#state) {
      case SIZE:
        return this.#size(octet)
      case SIZE_LF:
        if (octet !== LF) this.fault = 'line-end'
        this.#state = this.#left > 0 ? DATA : TRAILERS
        // Long extensions belong to long chunks (as with signatures of each); others only cost.
        this.#excess = Math.max(0, this.#excess - EXTENSION_BYTES_FREE - (this.#left >> 4))
        return
      case DATA_CR:
        if (octet !== CR) this.fault = 'chunk-end'
        this.#state = DATA_LF
        return
      case DATA_LF:
        if (octet !== LF) this.fault = 'chunk-end'
        this.#state = SIZE
        this.#digits = 0
        return
      default:
        this.#extension(octet)
    }
  }

  /** Nothing is made of extensions, but where they end must be as clear as can be. */
  #extension(octet: number): void {
    const state = this.#state
    const isEnd = octet === SEMICOLON || octet === CR
    if (state === ESCAPED || (state === QUOTED && octet !== QUOTE)) {
      if ((OCTET[octet]! & VALUE) === 0) this.fault = octet === LF ? 'line-end' : 'chunk-extension'
      this.#state = state === QUOTED && octet === BACKSLASH ? ESCAPED : QUOTED
    } else if (state === QUOTED) this.#state = QUOTED_END
    else if (isEnd && (this.#digits > 0 || state === QUOTED_END)) {
      this.#state = octet === CR ? SIZE_LF : EXTENSION
      this.#digits = 0
    } else if (state !== QUOTED_END && (OCTET[octet]! & TOKEN) !== 0) this.#digits++
    else if (state === EXTENSION && octet === EQUALS && this.#digits > 0) {
      this.#state = EXTENSION_VALUE
      this.#digits = 0
    } else if (state === EXTENSION_VALUE && octet === QUOTE && this.#digits === 0) {
      this.#state = QUOTED
    } else this.fault = octet === LF ? 'line-end' : 'chunk-extension'
    if (++this.#excess > EXCESS_BYTES_MAX) this.fault ??= 'chunk-extension'
  }

  #size(octet: number): void {
    const digit = hexDigit(octet)
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit
      if (++this.#digits > 16 || this.#left > Number.MAX_SAFE_INTEGER) this.fault = 'chunk-size'
    } else if (this.#digits > 0 && octet === CR) this.#state = SIZE_LF
    else if (this.#digits > 0 && octet === SEMICOLON) {
      this.#state = EXTENSION
      this.#digits = 0
    } else this.fault = octet === LF ? 'line-end' : 'chunk-size'
  }

  #readTrailers(bytes: Uint8Array, at: number): number {
    this.#trailerReader ??= new TrailerReader(this.#latin1)
    const reader = this.#trailerReader
    const reading = reader.read(bytes, at, TRAILER_LIMITS)
    if (reading === 'more') return bytes.length
    if (reading === 'refused') {
      this.fault = reader.fault
      return at
    }
    this.isDone = true
    this.trailers = reader.trailers
    return reader.end
  }
}

class TrailerReader extends LinesReader {
  get trailers(): Fields | undefined {
    return this.fields.count > 0 ? this.fields : undefined
  }

  protected startLine(_bytes: Uint8Array, from: number): number {
    return from
  }

  protected finish(): HeadFault | undefined {
    for (const id of HEAD_ONLY) if (this.fields.has(id)) return 'trailer'
    return undefined
  }
}

/** In front of the data of a chunk of that many bytes, at least one. {@link CHUNK_END} follows it. */
export const chunkHead = (size: number): string => `${size.toString(16)}\r\n`

export const CHUNK_END = '\r\n'

/** Ends a body without trailers. */
export const LAST_CHUNK = '0\r\n\r\n'

/** Ends a body. Trailers that may not be are left out. */
export const lastChunk = (trailers: Fields | undefined): string =>
  trailers === undefined ? LAST_CHUNK : `0\r\n${trailers.lines(TRAILERS_KEPT)}\r\n`

/** Some parsers heed them even there: Node's takes `Connection: close` of a trailer at its word. */
const HEAD_ONLY: readonly FieldId[] = [
  FIELD.connection,
  FIELD.contentLength,
  FIELD.host,
  FIELD.transferEncoding,
  FIELD.upgrade,
]

/**
 * Of what we know, only fields that neither frame nor route nor prove anything, and that no proxy
 * adds (RFC 9110, 6.5.1): whoever merges trailers with the head would believe them. Of the rest we
 * know nothing against.
 */
const TRAILERS_KEPT = new Uint8Array(64)
for (const id of [FIELD.other, FIELD.date, FIELD.serverTiming]) TRAILERS_KEPT[id] = 1

/** For {@link Fields.pairs}: the same for HTTP/2. */
export { TRAILERS_KEPT }

function hexDigit(octet: number): number {
  if (octet >= 48 && octet <= 57) return octet - 48
  const letter = octet | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}

type State = number
const SIZE = 0
const EXTENSION = 1
const SIZE_LF = 2
const DATA = 3
const DATA_CR = 4
const DATA_LF = 5
const TRAILERS = 6
const EXTENSION_VALUE = 7
const QUOTED = 8
const ESCAPED = 9
const QUOTED_END = 10

const QUOTE = 34
const SEMICOLON = 59
const EQUALS = 61
const BACKSLASH = 92
/** Of extensions, beyond what is free of each chunk and in proportion to its data. */
const EXCESS_BYTES_MAX = 4096
const EXTENSION_BYTES_FREE = 16

const TRAILER_LIMITS: HeadLimits = { headBytesMax: 16_384, lineBytesMax: 8192, fieldsMax: 64 }
