/** The head of a response, final or interim (RFC 9112, 4). */
import type { HeadFault } from './fault.ts'
import { FIELD, type Fields } from './fields.ts'
import { type HeadLimits, LinesReader, type Reading } from './lines.ts'
import {
  bodyOf,
  CLOSE,
  KEEP_ALIVE,
  optionsOf,
  UNFRAMED,
  UNTIL_CLOSE,
  upgradeOf,
} from './meaning.ts'
import { CR, LF, SPACE, skip, VALUE } from './octets.ts'
import { minorOf } from './request.ts'

/** Of a reader: holds until it has the next one. */
export class ResponseHead {
  /** 100-599. */
  status = 0
  /** As it came; may be empty. */
  reason = ''
  minor = 1
  fields: Fields
  /** Bytes, CHUNKED or UNTIL_CLOSE. 0 of what has none, whatever its fields say. */
  body = 0
  /** Its connection takes no other request. */
  wantsClose = false
  /** How long its connection is kept for another request, if it says so. */
  keepAliveMs: number | undefined = undefined
  /** Lower-case protocols it names. */
  upgrade = ''

  constructor(fields: Fields) {
    this.fields = fields
  }
}

export class ResponseReader extends LinesReader {
  readonly head: ResponseHead = new ResponseHead(this.fields)
  /** Of the request, and of that of the head before. */
  #method = ''
  #methodBefore = ''
  #minor = 0
  #status = 0
  #reasonTo = 0

  override read(
    bytes: Uint8Array,
    from: number,
    limits: HeadLimits,
    requestMethod = 'GET',
  ): Reading {
    this.#method = requestMethod
    return super.read(bytes, from, limits)
  }

  protected startLine(bytes: Uint8Array, from: number, limits: HeadLimits): number {
    const stop = this.stop(bytes, from, limits)
    const at = skip(bytes, from, stop, VALUE)
    const octet = bytes[at]
    // What is no HTTP at all is not waited for.
    const begun = Math.min(at - from, 5)
    for (let n = 0; n < begun; n++) {
      if (bytes[from + n] !== 'HTTP/'.charCodeAt(n)) return this.refuse('status-line')
    }
    if (at === stop || (octet === CR && at + 1 === stop)) {
      return this.short(bytes, from, limits, 'line-too-long')
    }
    if (octet !== CR) return this.refuse(octet === LF ? 'line-end' : 'status-line')
    if (bytes[at + 1] !== LF) return this.refuse('line-end')
    // The space before an absent reason is often absent as well.
    const isShort = at - from === 12
    if (!isShort && (at - from < 13 || bytes[from + 12] !== SPACE))
      return this.refuse('status-line')
    this.#minor = minorOf(bytes, from, from + 8)
    if (this.#minor < 0) return this.refuse('version')
    let status = 0
    for (let n = from + 9; n < from + 12; n++) {
      const digit = bytes[n]! - 48
      if (digit < 0 || digit > 9) return this.refuse('status-line')
      status = status * 10 + digit
    }
    if (bytes[from + 8] !== SPACE || !isStatus(status)) return this.refuse('status-line')
    this.#status = status
    this.#reasonTo = at - from
    return at + 2
  }

  protected finish(): HeadFault | undefined {
    const { head, fields } = this
    const status = this.#status
    const minor = this.#minor
    const method = this.#method
    head.reason = this.text.slice(13, this.#reasonTo)
    const isLike = head.status === status && head.minor === minor && this.#methodBefore === method
    if (this.isSame && isLike) return undefined
    head.status = status
    head.minor = minor
    this.#methodBefore = method
    const options = optionsOf(fields)
    if (options < 0) return 'connection'
    head.upgrade = upgradeOf(fields, options)
    head.keepAliveMs = keepAliveMs(fields)
    const body = responseBody(fields, minor, status, method)
    if (typeof body === 'string') return body
    head.body = body
    head.wantsClose =
      body === UNTIL_CLOSE ||
      (options & CLOSE) !== 0 ||
      (minor === 0 && (options & KEEP_ALIVE) === 0)
    return undefined
  }
}

export const isStatus = (status: number): boolean =>
  Number.isInteger(status) && status >= 100 && status <= 599

/** RFC 9112, 6.3. */
export function responseBody(
  fields: Fields,
  minor: number,
  status: number,
  requestMethod: string,
): number | HeadFault {
  const body = bodyOf(fields, minor)
  if (typeof body === 'string') return body
  if (requestMethod === 'HEAD' || status === 304) return 0
  if (status < 200 || status === 204) {
    // It may have none (RFC 9110, 8.6; RFC 9112, 6.1): some would read one.
    if (body === 0 || body === UNFRAMED) return 0
    return body > 0 ? 'length' : 'transfer-encoding'
  }
  if (requestMethod === 'CONNECT' && status < 300) return 0
  return body === UNFRAMED ? UNTIL_CLOSE : body
}

function keepAliveMs(fields: Fields): number | undefined {
  const parameters = fields.get(FIELD.keepAlive)
  const timeout = parameters && /(?:^|[,\s])timeout=(\d{1,6})(?![^,\s])/i.exec(parameters)
  return timeout ? Number(timeout[1]) * 1000 : undefined
}
