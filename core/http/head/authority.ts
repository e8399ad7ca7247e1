/** HOST or HOST:PORT (RFC 3986, 3.2), as far as hosts are names, IPv4 addresses or `[IPv6]`. */
import { COLON, HOST, IPV6, OCTET } from './octets.ts'

/** Neither user nor escapes, nor an empty host or port: names that DNS and addresses do not have. */
export function isAuthority(text: string, from: number, to: number): boolean {
  if (to - from > BYTES_MAX) return false
  const isIpv6 = text.charCodeAt(from) === BRACKET && to > from
  const hostFrom = isIpv6 ? from + 1 : from
  const kind = isIpv6 ? IPV6 : HOST
  let at = hostFrom
  while (at < to && (OCTET[text.charCodeAt(at)]! & kind) !== 0) at++
  if (at === hostFrom) return false
  if (isIpv6 && (at === to || text.charCodeAt(at++) !== BRACKET_END)) return false
  if (at === to) return true
  if (text.charCodeAt(at) !== COLON || to - at < 2 || to - at > 6) return false
  let port = 0
  while (++at < to) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port < 65_536
}

/** Where the authority of an absolute URI ends that begins there. */
export function authorityEnd(target: string, from: number): number {
  const length = target.slice(from).search(/[/?]/)
  return length < 0 ? target.length : from + length
}

/** The longest name of DNS, and a port. */
const BYTES_MAX = 262
const BRACKET = 91
const BRACKET_END = 93
