/** What each octet may be part of, as bits: one look at a table for each byte of a head. */

/** `tchar` (RFC 9110, 5.6.2): methods, field names. */
export const TOKEN = 1
/** A field value: visible, space, tab, obs-text (RFC 9110, 5.5). */
export const VALUE = 2
/**
 * A request target. More than URIs may have (RFC 3986, 2), as browsers send `|` and `^`; no
 * fragment, and nothing beyond ASCII.
 */
export const TARGET = 4
/** A target up to its query. */
export const PATH = 8
/** The name of a host: what names and IPv4 addresses are made of. */
export const HOST = 16
/** What is inside the brackets of an IPv6 address. */
export const IPV6 = 32
/** White space inside a line. */
export const BLANK = 64
/** Letters and digits. */
export const ALPHANUMERIC = 128

export const OCTET = new Uint8Array(256)

export const TAB = 9
export const LF = 10
export const CR = 13
export const SPACE = 32
export const COLON = 58
export const SLASH = 47
export const QUESTION = 63

/** Index of the first octet from there on that is not of that kind; `stop` if all are. */
export function skip(bytes: Uint8Array, from: number, stop: number, kind: number): number {
  let at = from
  while (at < stop && (OCTET[bytes[at]!]! & kind) !== 0) at++
  return at
}

const mark = (from: number, to: number, bits: number): void => {
  for (let octet = from; octet <= to; octet++) OCTET[octet]! |= bits
}
const markAll = (octets: string, bits: number): void => {
  for (const octet of octets) mark(octet.charCodeAt(0), octet.charCodeAt(0), bits)
}
mark(33, 126, VALUE | TARGET | PATH)
mark(128, 255, VALUE)
markAll(' \t', VALUE | BLANK)
OCTET[35] = VALUE // #
OCTET[QUESTION] = VALUE | TARGET
mark(48, 57, TOKEN | HOST | IPV6 | ALPHANUMERIC)
mark(65, 90, TOKEN | HOST | ALPHANUMERIC)
mark(97, 122, TOKEN | HOST | ALPHANUMERIC)
markAll('ABCDEFabcdef:.', IPV6)
markAll('-._~', HOST)
markAll("!#$%&'*+-.^_`|~", TOKEN)
