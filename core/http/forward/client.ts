/**
 * Who a request is for, behind proxies that are trusted: walked from the right, because each proxy
 * appends what it saw, and what is left of the first address nobody vouches for may be anything.
 */
import { formatIp, parseIp } from '../../net/address.ts'
import {
  inPrefix,
  type PackedAddress,
  type PackedPrefix,
  packAddress,
  samePacked,
  unpackAddress,
} from '../../net/packed-address.ts'
import { FIELD, type Fields } from '../head/fields.ts'

/** What a trusted peer says of who came before it. */
export interface Origin {
  /** The peer itself, the same object, where nothing else is known. */
  readonly address: PackedAddress
  /** The lists that are appended to; empty: none. */
  readonly forwardedFor: string
  readonly forwarded: string
}

export const trusts = (trusted: readonly PackedPrefix[], address: PackedAddress): boolean =>
  trusted.some((prefix) => inPrefix(prefix, address))

/**
 * For a peer that is trusted. X-Forwarded-For says; Forwarded (RFC 7239) only where that one is not
 * there. Where both are, Forwarded goes on only if it leads to the same client: many proxies append to
 * X-Forwarded-For alone and pass on whatever Forwarded a client made up. Nor does one that is
 * malformed: a quote that nothing closes would swallow what we append.
 *
 * Nothing else is looked at. CF-Connecting-IP and the like say nothing that X-Forwarded-For does not
 * say as well, and anybody can send them through a proxy that does not know them.
 */
export function clientOf(
  peer: PackedAddress,
  fields: Fields,
  trusted: readonly PackedPrefix[],
): Origin {
  const forwardedFor = fields.joined(FIELD.xForwardedFor) ?? ''
  const forwarded = fields.joined(FIELD.forwarded) ?? ''
  let address = forwardedFor === '' ? peer : walk(peer, forwardedFor.split(','), trusted)
  if (forwarded === '') return { address, forwardedFor, forwarded }
  const nodes = forwarded.split(',').map(nodeOf)
  const other = walk(peer, nodes, trusted)
  if (forwardedFor === '') address = other
  const isKept = samePacked(address, other) && !nodes.includes(MALFORMED)
  return { address, forwardedFor, forwarded: isKept ? forwarded : '' }
}

/** Without port and zone. */
export function addressText(address: PackedAddress): string {
  const { ip } = unpackAddress(address)
  return formatIp(ip.family === 4 ? ip : { ...ip, zone: '' })
}

/** The first from the right that is not trusted; else the last before one that nobody can read. */
function walk(
  peer: PackedAddress,
  entries: readonly string[],
  trusted: readonly PackedPrefix[],
): PackedAddress {
  let client = peer
  for (const entry of entries.slice(-HOPS_MAX).reverse()) {
    const address = readEntry(entry.trim())
    if (address === undefined) return client
    client = address
    if (!trusts(trusted, client)) return client
  }
  return client
}

/** The `for` of an element, unquoted (RFC 7239, 4); empty: it has none. */
function nodeOf(element: string): string {
  let node = ''
  for (const pair of element.split(';')) {
    const [, name = '', quoted, token] = PAIR.exec(pair.trim()) ?? []
    if (name === '') return MALFORMED
    if (name.toLowerCase() === 'for') node = node === '' ? (quoted ?? token ?? '') : MALFORMED
  }
  return node
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. */
function readEntry(entry: string): PackedAddress | undefined {
  const [, bracketed, plain] = WITH_PORT.exec(entry) ?? []
  const ip = parseIp(bracketed ?? plain ?? entry)
  return ip && packAddress({ ip, port: 0 })
}

/** More than anybody has; the walk ends there. */
const HOPS_MAX = 64
const MALFORMED = '?'
/** A comma or semicolon in quotes is legal, and nobody writes one: it makes the element malformed. */
const PAIR = /^([\w!#-'*+.^`|~-]+)=(?:"([^"\\]*)"|([^\s"]*))$/
const WITH_PORT = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/
