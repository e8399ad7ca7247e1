/** The head of a request (RFC 9112, 3; RFC 9110, 7). */
import { authorityEnd, isAuthority } from './authority.ts'
import { type HeadFault, statusOf } from './fault.ts'
import { FIELD, type Fields } from './fields.ts'
import { type HeadLimits, LinesReader } from './lines.ts'
import { bodyOf, CLOSE, isContinue, KEEP_ALIVE, optionsOf, UNFRAMED, upgradeOf } from './meaning.ts'
import { CR, LF, PATH, SLASH, SPACE, skip, TARGET, TOKEN } from './octets.ts'

export { CHUNKED, UNTIL_CLOSE } from './meaning.ts'

/** Of a reader: holds until it has the next one. */
export class RequestHead {
  method = ''
  /** As it came; of a stream `:path`, or `:authority` where there is none. */
  target = ''
  /** Without query, as it came: `/...`, or `*` (OPTIONS only); empty of a plain CONNECT. */
  path = ''
  /** Empty, or with its question mark. */
  query = ''
  minor = 1
  /** Of HTTP/2: then `minor` is 1. */
  isStream = false
  /** HOST or HOST:PORT, as it came; empty only in HTTP/1.0. */
  authority = ''
  fields: Fields
  /** Bytes, or CHUNKED. */
  body = 0
  /** The connection ends with this exchange, if the client has its way. */
  wantsClose = false
  expectsContinue = false
  /** Lower-case protocols, when it asks for them; of an extended CONNECT its protocol (RFC 8441). */
  upgrade = ''

  constructor(fields: Fields) {
    this.fields = fields
  }
}

export class RequestReader extends LinesReader {
  readonly head: RequestHead = new RequestHead(this.fields)
  /** Empty lines before the head. */
  #blank = 0
  #minor = 0
  /** What Host says: it was looked at, and is the same in the client's next request. */
  #host = ''
  /** All counted from the first byte of the head. */
  #methodTo = 0
  #pathTo = 0
  #targetTo = 0

  /** What a client is answered after `refused`. */
  get status(): number {
    return this.fault === undefined ? 400 : statusOf(this.fault)
  }

  protected startLine(bytes: Uint8Array, from: number, limits: HeadLimits): number {
    let start = from
    while (start < bytes.length && bytes[start] === CR) {
      if (start + 1 === bytes.length) return this.short(bytes, start, limits, 'target-too-long')
      if (bytes[start + 1] !== LF) return this.refuse('line-end')
      if (++this.#blank > BLANK_MAX) return this.refuse('blank-lines')
      start += 2
      this.start = start
    }
    const stop = this.stop(bytes, start, limits)
    let at = skip(bytes, start, stop, TOKEN)
    if (at === stop) return this.short(bytes, start, limits, 'method')
    if (bytes[at] !== SPACE || at === start) return this.refuse('method')
    const methodTo = at
    const pathTo = skip(bytes, at + 1, stop, PATH)
    const targetTo = skip(bytes, pathTo, stop, TARGET)
    if (targetTo === stop) return this.short(bytes, start, limits, 'target-too-long')
    if (bytes[targetTo] !== SPACE) {
      return this.refuse(bytes[targetTo] === CR ? 'request-line' : 'target')
    }
    at = skip(bytes, targetTo + 1, stop, TARGET)
    if (at === stop) return this.short(bytes, start, limits, 'target-too-long')
    if (bytes[at] !== CR) return this.refuse(bytes[at] === LF ? 'line-end' : 'request-line')
    if (at + 1 === stop) return this.short(bytes, start, limits, 'target-too-long')
    if (bytes[at + 1] !== LF) return this.refuse('line-end')
    this.#methodTo = methodTo - start
    this.#pathTo = pathTo - start
    this.#targetTo = targetTo - start
    this.#minor = minorOf(bytes, targetTo + 1, at)
    if (this.#minor < 0)
      return this.refuse(this.#minor === OTHER_VERSION ? 'version' : 'request-line')
    return at + 2
  }

  protected finish(): HeadFault | undefined {
    this.#blank = 0
    const { head, text } = this
    if (!this.isSame || head.minor !== this.#minor) {
      const fault = this.#fields()
      if (fault !== undefined) return fault
    }
    const targetFrom = this.#methodTo + 1
    head.method = methodOf(text, this.#methodTo)
    head.target = text.slice(targetFrom, this.#targetTo)
    head.authority = this.#host
    if (text.charCodeAt(targetFrom) !== SLASH) return this.#unusual()
    head.query = text.slice(this.#pathTo, this.#targetTo)
    head.path = head.query === '' ? head.target : text.slice(targetFrom, this.#pathTo)
    return head.method === 'CONNECT' ? 'target' : undefined
  }

  /** What does not depend on method and target. */
  #fields(): HeadFault | undefined {
    const { head, fields } = this
    const minor = this.#minor
    head.minor = minor
    const body = bodyOf(fields, minor)
    if (typeof body === 'string') return body
    head.body = body === UNFRAMED ? 0 : body
    const options = optionsOf(fields)
    if (options < 0) return 'connection'
    head.wantsClose = (options & CLOSE) !== 0 || (minor === 0 && (options & KEEP_ALIVE) === 0)
    // HTTP/1.0 knows neither (RFC 9110, 7.8 and 10.1.1).
    head.upgrade = minor === 0 ? '' : upgradeOf(fields, options)
    head.expectsContinue = minor === 1 && fields.has(FIELD.expect)
    if (head.expectsContinue && !isContinue(fields)) return 'expectation'
    const host = fields.get(FIELD.host) ?? ''
    if (host === '' ? minor === 1 || fields.has(FIELD.host) : fields.isRepeated(FIELD.host)) {
      return 'host'
    }
    if (host === this.#host) return undefined
    this.#host = host
    return host === '' || isAuthority(host, 0, host.length) ? undefined : 'host'
  }

  /** Targets of other forms than `/...` (RFC 9112, 3.2.2 to 3.2.4). */
  #unusual(): HeadFault | undefined {
    const { head } = this
    const { method, target } = head
    if (method === 'CONNECT') {
      head.path = ''
      head.query = ''
      const isPair = /:\d+$/.test(target) && isAuthority(target, 0, target.length)
      if (!isPair) return 'target'
      return this.#agree(target)
    }
    if (target === '*') {
      head.path = target
      head.query = ''
      return method === 'OPTIONS' ? undefined : 'target'
    }
    const scheme = /^https?:\/\//i.exec(target)
    if (scheme === null) return 'target'
    const from = scheme[0].length
    const to = authorityEnd(target, from)
    if (!isAuthority(target, from, to)) return 'target'
    const queryFrom = target.indexOf('?', to)
    const pathTo = queryFrom < 0 ? target.length : queryFrom
    head.query = target.slice(pathTo)
    head.path = target.slice(to, pathTo) || (method === 'OPTIONS' && head.query === '' ? '*' : '/')
    return this.#agree(target.slice(from, to))
  }

  #agree(authority: string): HeadFault | undefined {
    const { head } = this
    const isSame = head.authority === '' || head.authority.toLowerCase() === authority.toLowerCase()
    if (head.authority === '') head.authority = authority
    return isSame ? undefined : 'authority'
  }
}

/** 0, 1, or why not. Only what is exactly `HTTP/1.0` or `HTTP/1.1` is one of ours. */
export function minorOf(bytes: Uint8Array, from: number, to: number): number {
  if (to - from !== 8) return NO_VERSION
  for (let at = 0; at < 5; at++) {
    if (bytes[from + at] !== HTTP.charCodeAt(at)) return NO_VERSION
  }
  const major = bytes[from + 5]! - 48
  const minor = bytes[from + 7]! - 48
  const isVersion = bytes[from + 6] === 46 && major >= 0 && major <= 9 && minor >= 0 && minor <= 9
  if (!isVersion) return NO_VERSION
  return major === 1 && minor <= 1 ? minor : OTHER_VERSION
}

/** The usual ones are the same string each time. */
function methodOf(text: string, to: number): string {
  const usual = METHODS[(text.charCodeAt(0) + text.charCodeAt(2) + to) & 31]!
  let at = usual.length === to ? 0 : -1
  while (at >= 0 && at < to) at = text.charCodeAt(at) === usual.charCodeAt(at) ? at + 1 : -1
  return at === to ? usual : text.slice(0, to)
}

const BLANK_MAX = 4
const HTTP = 'HTTP/'
const NO_VERSION = -1
const OTHER_VERSION = -2

const METHODS = new Array<string>(32).fill('')
for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT']) {
  METHODS[(method.charCodeAt(0) + method.charCodeAt(2) + method.length) & 31] = method
}
