/**
 * The fields of a head or of trailers: their lines as they came, in one text, and where each begins
 * and ends. Nothing is made of a field until somebody asks for it.
 */
import { ALPHANUMERIC, OCTET } from './octets.ts'

/** Which field, of those that somebody looks at: one of {@link FIELD}. */
export type FieldId = number

/** Names are those of the keys: `xRealIp` is `X-Real-IP`. At most 64. */
export const FIELD = {
  other: 0,
  /**
   * One of these with something else for `-`, as `X_Real_IP`. Gateways cannot tell them apart (RFC
   * 3875, 4.1.18), so that it could forge what a proxy adds: such a field goes nowhere.
   */
  lookalike: 1,
  /** What begins with `X-Forwarded-` and is none of those below. */
  xForwardedOther: 2,
  host: 3,
  connection: 4,
  contentLength: 5,
  transferEncoding: 6,
  te: 7,
  trailer: 8,
  upgrade: 9,
  keepAlive: 10,
  proxyConnection: 11,
  proxyAuthenticate: 12,
  proxyAuthorization: 13,
  expect: 14,
  forwarded: 15,
  xForwardedFor: 16,
  xForwardedProto: 17,
  xForwardedHost: 18,
  xForwardedPort: 19,
  xForwardedServer: 20,
  xRealIp: 21,
  xRequestId: 22,
  via: 23,
  accept: 24,
  userAgent: 25,
  referer: 26,
  date: 27,
  server: 28,
  serverTiming: 29,
  strictTransportSecurity: 30,
  http2Settings: 31,
  secWebsocketKey: 32,
  secWebsocketAccept: 33,
  secWebsocketVersion: 34,
  secWebsocketProtocol: 35,
  secWebsocketExtensions: 36,
  cfConnectingIp: 37,
  trueClientIp: 38,
  xClientIp: 39,
  xClusterClientIp: 40,
  cookie: 41,
  authorization: 42,
  contentEncoding: 43,
  contentType: 44,
  contentRange: 45,
  cacheControl: 46,
  setCookie: 47,
  maxForwards: 48,
  location: 49,
  retryAfter: 50,
  age: 51,
  expires: 52,
  vary: 53,
  wwwAuthenticate: 54,
} as const

/** Indexed by {@link FieldId}: 1 where a field is kept. */
export type FieldTable = Uint8Array

/** Keeps all but these and lookalikes. */
export function keepsAllBut(ids: readonly FieldId[]): FieldTable {
  const keeps = new Uint8Array(64).fill(1)
  for (const id of ids) keeps[id] = 0
  keeps[FIELD.lookalike] = 0
  return keeps
}

export class Fields {
  count = 0
  /** Lines with their CRLF; may begin with a start line and end with an empty one. */
  text = ''
  /**
   * Lower-case names that `Connection` lists, as `,a,b,`; empty when it lists none. They are kept by
   * neither {@link lines} nor {@link pairs} (RFC 9110, 7.6.1), but for what frames and routes.
   */
  nominated = ''
  /** There is other white space around Content-Length than a space before it. */
  isLengthOdd = false
  /** Of each field: id, where its line begins, name ends, value begins, value ends. */
  readonly #marks: number[] = []
  /** Index in the text after the last line. */
  end = 0
  /** Bits by id: which there are, and which more than once. */
  #low = 0
  #high = 0
  #lowTwice = 0
  #highTwice = 0
  /** What {@link lines} said last, and of which table. */
  #keeps: FieldTable | undefined = undefined
  #lines = ''

  /** Lower-case names. What cannot be in a field is not looked for here. */
  static of(pairs: readonly string[]): Fields {
    const fields = new Fields()
    for (let at = 0; at + 1 < pairs.length; at += 2) fields.append(pairs[at]!, pairs[at + 1]!)
    return fields
  }

  id(n: number): FieldId {
    return this.#marks[n * STRIDE]!
  }

  /** As it came. */
  name(n: number): string {
    return this.text.slice(this.#marks[n * STRIDE + 1], this.#marks[n * STRIDE + 2])
  }

  lowerName(n: number): string {
    const id = this.id(n)
    return id > FIELD.xForwardedOther ? NAMES[id]! : this.name(n).toLowerCase()
  }

  /** Without the white space around it. */
  value(n: number): string {
    return this.text.slice(this.#marks[n * STRIDE + 3], this.#marks[n * STRIDE + 4])
  }

  /** Where its value begins in the text. */
  from(n: number): number {
    return this.#marks[n * STRIDE + 3]!
  }

  /** Index in the text after its value. */
  to(n: number): number {
    return this.#marks[n * STRIDE + 4]!
  }

  /** Only of known fields. */
  has(id: FieldId): boolean {
    return ((id < 32 ? this.#low : this.#high) & (1 << (id & 31))) !== 0
  }

  isRepeated(id: FieldId): boolean {
    return ((id < 32 ? this.#lowTwice : this.#highTwice) & (1 << (id & 31))) !== 0
  }

  /** Which is the first of that kind; -1: none. */
  first(id: FieldId): number {
    if (!this.has(id)) return -1
    const marks = this.#marks
    let at = 0
    while (marks[at] !== id) at += STRIDE
    return at / STRIDE
  }

  /** The value of the first. */
  get(id: FieldId): string | undefined {
    const n = this.first(id)
    return n < 0 ? undefined : this.value(n)
  }

  /** Whether the value of that field is this word of letters, digits and dashes, in any case. */
  isWord(n: number, word: string): boolean {
    const from = this.#marks[n * STRIDE + 3]!
    if (this.#marks[n * STRIDE + 4]! - from !== word.length) return false
    for (let at = 0; at < word.length; at++) {
      // In a value, only letters differ from others by this bit alone, of what is in a word.
      if ((this.text.charCodeAt(from + at) | 32) !== word.charCodeAt(at)) return false
    }
    return true
  }

  /** All values, as one list; undefined without such a field. */
  joined(id: FieldId): string | undefined {
    if (!this.has(id)) return undefined
    let list: string | undefined
    for (let n = 0; n < this.count; n++) {
      if (this.id(n) === id) list = list === undefined ? this.value(n) : `${list}, ${this.value(n)}`
    }
    return list
  }

  /** Lines as they came, each with its CRLF. The same table is asked for again and again. */
  lines(keeps: FieldTable): string {
    if (this.#keeps !== keeps) {
      this.#keeps = keeps
      const lines = this.#linesOf(keeps)
      this.#lines = this.isLengthOdd ? lines.replace(LENGTH, '$1 $2') : lines
    }
    return this.#lines
  }

  #linesOf(keeps: FieldTable): string {
    const marks = this.#marks
    let kept = ''
    let from = -1
    for (let n = 0; n < this.count; n++) {
      const at = n * STRIDE
      if (keeps[marks[at]!] === 1 && (this.nominated === '' || !this.isNominated(n))) {
        if (from < 0) from = marks[at + 1]!
      } else if (from >= 0) {
        kept += this.text.slice(from, marks[at + 1])
        from = -1
      }
    }
    return from < 0 ? kept : kept + this.text.slice(from, this.end)
  }

  /** Name in lower case, value, name, value... */
  pairs(keeps: FieldTable): string[] {
    const pairs: string[] = []
    for (let n = 0; n < this.count; n++) {
      if (keeps[this.id(n)] === 1 && !this.isNominated(n))
        pairs.push(this.lowerName(n), this.value(n))
    }
    return pairs
  }

  /** Whether `Connection` lists it. Never true of what a message cannot go on without (W44). */
  isNominated(n: number): boolean {
    if (this.nominated === '') return false
    const id = this.id(n)
    return (
      id !== FIELD.host &&
      id !== FIELD.contentLength &&
      this.nominated.includes(`,${this.lowerName(n)},`)
    )
  }

  /** For whoever reads or makes them; positions are of the text. */
  mark(id: FieldId, from: number, nameTo: number, valueFrom: number, valueTo: number): void {
    const marks = this.#marks
    const at = this.count++ * STRIDE
    marks[at] = id
    marks[at + 1] = from
    marks[at + 2] = nameTo
    marks[at + 3] = valueFrom
    marks[at + 4] = valueTo
    const bit = 1 << (id & 31)
    if (id < 32) {
      this.#lowTwice |= this.#low & bit
      this.#low |= bit
    } else {
      this.#highTwice |= this.#high & bit
      this.#high |= bit
    }
  }

  append(name: string, value: string): void {
    this.#keeps = undefined
    const from = this.text.length
    const nameTo = from + name.length
    this.text += `${name}: ${value}\r\n`
    const valueTo = nameTo + 2 + value.length
    this.mark(idOfText(name), from, nameTo, nameTo + 2, valueTo)
    this.end = valueTo + 2
  }

  clear(): void {
    this.#keeps = undefined
    this.count = 0
    this.text = ''
    this.nominated = ''
    this.isLengthOdd = false
    this.#low = 0
    this.#high = 0
    this.#lowTwice = 0
    this.#highTwice = 0
  }
}

/** Which field has its name there, in any case. */
export function idOf(bytes: Uint8Array, from: number, to: number): FieldId {
  const length = to - from
  const id = FIRST[slotOf(length, bytes[from]!, bytes[to - 1]!)]!
  if (LENGTHS[id] === length) {
    const row = id * ROW
    let at = 0
    // Of what may be in a name, only letters differ from others by this bit alone.
    while (at < length && (bytes[from + at]! | 32) === LOWER[row + at]) at++
    if (at === length) return id
  }
  return id === FIELD.other && (bytes[from]! | 32) !== LETTER_X ? id : likeOf(bytes, from, to, id)
}

/** The same, where several names share a slot, or it is like one. */
function likeOf(bytes: Uint8Array, from: number, to: number, first: FieldId): FieldId {
  for (let id = first; id !== 0; id = NEXT[id]!) {
    if (LENGTHS[id] !== to - from) continue
    const likeness = likenessOf(bytes, from, id)
    if (likeness > 0) return likeness > 1 ? id : FIELD.lookalike
  }
  const likeness =
    to - from > LENGTHS[FIELD.xForwardedOther]! ? likenessOf(bytes, from, FIELD.xForwardedOther) : 0
  return likeness > 1 ? FIELD.xForwardedOther : likeness
}

/** Whether a name begins with that one: 2: yes; 1: but for its dashes; 0: no. */
function likenessOf(bytes: Uint8Array, from: number, id: FieldId): number {
  let likeness = 2
  for (let at = 0; at < LENGTHS[id]!; at++) {
    const octet = bytes[from + at]!
    const expected = LOWER[id * ROW + at]
    if ((octet | 32) === expected) continue
    if (expected !== DASH || (OCTET[octet]! & ALPHANUMERIC) !== 0) return 0
    likeness = 1
  }
  return likeness
}

function idOfText(name: string): FieldId {
  const bytes = new Uint8Array(name.length)
  for (let at = 0; at < bytes.length; at++) {
    // What is not in any name, so that nothing beyond Latin-1 becomes a letter.
    bytes[at] = Math.min(name.charCodeAt(at), 255)
  }
  return bytes.length === 0 ? FIELD.other : idOf(bytes, 0, bytes.length)
}

const slotOf = (length: number, first: number, last: number): number =>
  (length * 7 + (first | 32) * 3 + (last | 32) * 29) & 255

const LENGTH = /^(content-length:)[ \t]*(\d+)[ \t]*$/im
const STRIDE = 5
const DASH = 45
const LETTER_X = 120

/** By id. */
const NAMES: readonly string[] = Object.keys(FIELD).map((key) =>
  key === 'xForwardedOther'
    ? 'x-forwarded-'
    : key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
)
/** The same as octets, one row of ROW for each. */
const ROW = 32
const LOWER = new Uint8Array(64 * ROW)
const LENGTHS = new Uint8Array(64)
/** By slot: the first id there. By id: the next one in the same slot. 0: none. */
const FIRST = new Uint8Array(256)
const NEXT = new Uint8Array(64)
for (let id = NAMES.length - 1; id >= FIELD.xForwardedOther; id--) {
  const name = NAMES[id]!
  LENGTHS[id] = name.length
  for (let at = 0; at < name.length; at++) LOWER[id * ROW + at] = name.charCodeAt(at)
  if (id === FIELD.xForwardedOther) break
  const slot = slotOf(name.length, name.charCodeAt(0), name.charCodeAt(name.length - 1))
  NEXT[id] = FIRST[slot]!
  FIRST[slot] = id
}
