/** What heads of requests and responses have in common: framing of the body, options of `Connection`. */
import type { HeadFault } from './fault.ts'
import { FIELD, type Fields } from './fields.ts'
import { CR, SPACE } from './octets.ts'

/** Of a body whose length is not told: in chunks, or, on HTTP/2, up to the end of the stream. */
export const CHUNKED = -1
/** Of a response: up to the end of the connection. */
export const UNTIL_CLOSE = -2
/** No field says anything of a body. */
export const UNFRAMED = -3

/**
 * Length of the body, CHUNKED or UNFRAMED (RFC 9112, 6). Only one plain length, or only `chunked`
 * alone, in HTTP/1.1: whatever else was seen to be read in different ways.
 */
export function bodyOf(fields: Fields, minor: number): number | HeadFault {
  const isCoded = fields.has(FIELD.transferEncoding)
  const hasLength = fields.has(FIELD.contentLength)
  if (!isCoded && !hasLength) return UNFRAMED
  if (isCoded && hasLength) return 'two-lengths'
  const id = isCoded ? FIELD.transferEncoding : FIELD.contentLength
  const n = fields.isRepeated(id) ? -1 : fields.first(id)
  if (hasLength) return n < 0 ? 'length' : lengthAt(fields, n)
  if (n < 0 || minor === 0) return 'transfer-encoding'
  if (fields.isWord(n, 'chunked')) return CHUNKED
  const codings = fields.value(n).toLowerCase()
  return codings.indexOf('chunked') === codings.length - 7 && /^[^,;]+, *chunked$/.test(codings)
    ? 'coding'
    : 'transfer-encoding'
}

function lengthAt(fields: Fields, n: number): number | HeadFault {
  const { text } = fields
  const from = fields.from(n)
  const to = fields.to(n)
  // Not all read other white space than one space alike.
  const isSpaced = text.charCodeAt(from - 2) === COLON && text.charCodeAt(from - 1) === SPACE
  fields.isLengthOdd =
    (!isSpaced && text.charCodeAt(from - 1) !== COLON) || text.charCodeAt(to) !== CR
  let length = 0
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return 'length'
    length = length * 10 + digit
  }
  const isPlain = to > from && to - from <= 16 && length <= Number.MAX_SAFE_INTEGER
  // `010` is eight to some.
  return isPlain && (to - from === 1 || text.charCodeAt(from) !== 48) ? length : 'length'
}

const COLON = 0x3a

/** Bits of {@link optionsOf}. */
export const CLOSE = 1
export const KEEP_ALIVE = 2
export const UPGRADE = 4
const OPTIONS = ['close', 'keep-alive', 'upgrade']

/** What `Connection` lists that we know; the rest of it becomes `fields.nominated`. -1: too much. */
export function optionsOf(fields: Fields): number {
  if (!fields.has(FIELD.connection)) return 0
  const first = fields.first(FIELD.connection)
  if (!fields.isRepeated(FIELD.connection)) {
    // Nearly always.
    if (fields.isWord(first, 'keep-alive')) return KEEP_ALIVE
    if (fields.isWord(first, 'close')) return CLOSE
  }
  let options = 0
  let nominated = ''
  for (const member of fields.joined(FIELD.connection)!.toLowerCase().split(',')) {
    const option = member.trim()
    const at = OPTIONS.indexOf(option)
    if (at >= 0) options |= 1 << at
    else if (option !== '' && !`${nominated},`.includes(`,${option},`)) nominated += `,${option}`
    if (nominated.length > NOMINATED_MAX) return -1
  }
  if (nominated !== '') fields.nominated = `${nominated},`
  return options
}

/** Characters: each name is looked for among them. */
const NOMINATED_MAX = 512

/** The protocols a message would switch to, in lower case; empty: none, or not asked for. */
export const upgradeOf = (fields: Fields, options: number): string =>
  (options & UPGRADE) === 0 ? '' : (fields.joined(FIELD.upgrade) ?? '').toLowerCase()

/** Of those that expect something: whether it is what we know (RFC 9110, 10.1.1). */
export const isContinue = (fields: Fields): boolean =>
  !fields.isRepeated(FIELD.expect) && fields.isWord(fields.first(FIELD.expect), '100-continue')
