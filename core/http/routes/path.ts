/** Paths as they are compared with prefixes, which is not always as they came. */

/** Nothing in it reads differently to anybody. */
export const isPlainPath = (path: string): boolean => !ODD.test(path)

/**
 * The path that the most lenient backend would see. A prefix may guard what is behind it, and backends
 * differ in what they decode, merge and drop; so a path is led to whoever would own it once it is
 * decoded (`/%61dmin`, `/admin%2Fx`), its slashes merged (`//admin`), backslashes taken for slashes and
 * parameters dropped (`/admin;x`). Backends get it as it came.
 *
 * Undefined for one with dot segments in any such spelling (`/a/../admin`, `/%2e%2e/`, `/..%2f`,
 * `/..;/`), or with NUL: clients resolve dot segments before they send them (RFC 3986, 5.2.4), and no
 * prefix would mean anything.
 */
export function canonicalPath(path: string): string | undefined {
  const segments = decoded(path).replace(PARAMETER, '').replace(SLASHES, '/')
  if (REFUSED.test(segments)) return undefined
  return segments.length > 1 && segments.endsWith('/') ? segments.slice(0, -1) : segments
}

/** A request for it gets 400: see {@link canonicalPath}. */
export const isEvasive = (path: string): boolean =>
  !isPlainPath(path) && canonicalPath(path) === undefined

/** The path without the prefix of its route; from `/` on. */
export function strippedPath(prefix: string, path: string): string {
  const { length } = prefix
  if (path.startsWith(prefix) && isPlainPath(path)) {
    if (path.length === length) return '/'
    if (path.charCodeAt(length) === SLASH) return path.slice(length)
  }
  const count = canonicalPath(prefix)?.match(SEGMENT)?.length ?? 0
  if (count === 0) return path
  return `/${path.slice(segmentsEnd(path, count)).replace(LEADING_SLASHES, '')}`
}

/** Where so many segments end, as {@link canonicalPath} counts them. */
function segmentsEnd(path: string, count: number): number {
  let left = count
  let isSegment = false
  let isParameter = false
  for (const { 0: token, index } of path.matchAll(TOKEN)) {
    const character = decoded(token)
    if (character === '/' || character === '\\') {
      if (isSegment && --left === 0) return index
      isSegment = false
      isParameter = false
    } else if (character === ';') {
      isParameter = true
    } else if (!isParameter) {
      isSegment = true
    }
  }
  return path.length
}

/**
 * Without escapes, once. Those that can be written in no other way stay, in upper case (RFC 3986, 6.2.2):
 * of spaces, percent signs and whatever is not ASCII.
 */
function decoded(path: string): string {
  let text = ''
  let from = 0
  for (let at = path.indexOf('%'); at >= 0; at = path.indexOf('%', at + 1)) {
    const high = DIGITS[path.charCodeAt(at + 1)]!
    const low = DIGITS[path.charCodeAt(at + 2)]!
    if (!(high < 16 && low < 16)) continue
    const code = high * 16 + low
    const isKept = code === SPACE || code === PERCENT || code > 127
    text += path.slice(from, at)
    text += isKept ? path.slice(at, at + 3).toUpperCase() : String.fromCharCode(code)
    from = at + 3
  }
  return from === 0 ? path : text + path.slice(from)
}

/** What may be read in two ways: escapes, backslashes, parameters, empty and dot segments. */
const ODD = /[\\;]|\/\/|\/\.\.?(?:\/|$)|%(?!2[05]|[89A-F][\dA-F])/
const PARAMETER = /;[^/\\]*/g
const SLASHES = /[/\\]+/g
const REFUSED = /\/\.\.?(?:\/|$)|\0/
const SEGMENT = /[^/]+/g
const LEADING_SLASHES = /^(?:[/\\]|%2f|%5c)+/i
const TOKEN = /%[\da-f]{2}|./gis
const SLASH = 0x2f
const SPACE = 0x20
const PERCENT = 0x25
/** What an octet is worth as a hexadecimal digit; 16: it is none. */
const DIGITS = new Uint8Array(256).fill(16)
for (let digit = 0; digit < 16; digit++) {
  const character = digit.toString(16)
  DIGITS[character.charCodeAt(0)] = digit
  DIGITS[character.toUpperCase().charCodeAt(0)] = digit
}
