/**
 * Socket addresses as numbers: what a table of a million flows can keep, hash and compare.
 *
 * The 16 octets of an IPv6 address are four words. The first octet of a word is its lowest byte,
 * as a little-endian machine reads them from memory, and words are signed: both keep them small
 * integers in JavaScript. An IPv4 address is the IPv4-mapped one (RFC 4291, 2.5.5.2), so that a
 * peer is the same whether a dual-stack socket or an IPv4 one reports it.
 *
 * A link-local address is bound to an interface. Its number is embedded in `b`, which is zero in
 * every link-local address (RFC 4291, 2.5.6), so a packed address is complete without a zone.
 */
import { formatSocketAddress, type SocketAddress, unmapped } from './address.ts'
import type { Cidr } from './cidr.ts'

export interface PackedAddress {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
  /** 0-65535. */
  readonly port: number
}

/** A range of addresses: a packed network and how many leading bits count, 0-128. */
export interface PackedPrefix {
  readonly network: PackedAddress
  readonly bits: number
}

/**
 * Undefined when the zone is not an interface number (names are for whoever knows interfaces), and
 * for a link-local address with bits where its interface goes.
 */
export function packAddress({ ip, port }: SocketAddress): PackedAddress | undefined {
  const plain = unmapped(ip)
  if (plain.family === 4) return packIpv4(plain.bits, port)
  const packed = packGroups(plain.groups, port)
  const { zone } = plain
  if (unscopedB(packed) !== packed.b) return undefined
  if (zone === '') return packed
  const scope = /^[1-9]\d{0,9}$/.test(zone) ? Number(zone) : 0
  if (scope === 0 || scope > SCOPE_MAX || !isLinkLocal(packed)) return undefined
  return { ...packed, b: scope }
}

/** `bits` as in an `Ipv4Address`: `127.0.0.1` is 0x7f000001. */
export const packIpv4 = (bits: number, port: number): PackedAddress => ({
  a: 0,
  b: 0,
  c: MAPPED,
  d: swapped(bits),
  port,
})

/** An IPv4-mapped address comes back as the IPv4 address it is. */
export function unpackAddress(packed: PackedAddress): SocketAddress {
  const { a, b, c, d, port } = packed
  if (isIpv4(packed)) return { ip: { family: 4, bits: swapped(d) >>> 0 }, port }
  const plainB = unscopedB(packed)
  const words = [a, plainB, c, d].map(swapped)
  const groups = words.flatMap((each) => [each >>> 16, each & 0xffff])
  return { ip: { family: 6, groups, zone: b === plainB ? '' : String(b) }, port }
}

/** `10.0.0.1:53` or `[fe80::1%2]:53`. */
export const formatPacked = (packed: PackedAddress): string =>
  formatSocketAddress(unpackAddress(packed))

export const isIpv4 = ({ a, b, c }: PackedAddress): boolean => a === 0 && b === 0 && c === MAPPED

/** The second word as every other host has it: without an interface. */
export const unscopedB = (packed: PackedAddress): number => (isLinkLocal(packed) ? 0 : packed.b)

export const samePacked = (one: PackedAddress, other: PackedAddress): boolean =>
  one.d === other.d &&
  one.port === other.port &&
  one.c === other.c &&
  one.a === other.a &&
  one.b === other.b

export const packPrefix = ({ network, prefix }: Cidr): PackedPrefix =>
  network.family === 4
    ? { network: packIpv4(network.bits, 0), bits: prefix + MAPPED_BITS }
    : { network: packGroups(network.groups, 0), bits: prefix }

/** As `contains` of `cidr.ts`: `::/0` holds no IPv4 address, and interfaces do not matter. */
export function inPrefix({ network, bits }: PackedPrefix, address: PackedAddress): boolean {
  if (bits < MAPPED_BITS && isIpv4(address)) return false
  return (
    sameLeading(network.a, address.a, bits) &&
    sameLeading(network.b, unscopedB(address), bits - 32) &&
    sameLeading(network.c, address.c, bits - 64) &&
    sameLeading(network.d, address.d, bits - 96)
  )
}

/** Whether the first `bits` bits of two words are equal; all of them when it is above 31. */
function sameLeading(one: number, other: number, bits: number): boolean {
  if (bits <= 0) return true
  const differing = swapped(one ^ other)
  return bits >= 32 ? differing === 0 : differing >>> (32 - bits) === 0
}

const packGroups = (groups: readonly number[], port: number): PackedAddress => ({
  a: word(groups, 0),
  b: word(groups, 2),
  c: word(groups, 4),
  d: word(groups, 6),
  port,
})

const word = (groups: readonly number[], at: number): number =>
  swapped((groups[at]! << 16) | groups[at + 1]!)

/** The octets of a word in the other order. */
const swapped = (bits: number): number =>
  (bits << 24) | ((bits & 0xff00) << 8) | ((bits >>> 8) & 0xff00) | (bits >>> 24)

/** fe80::/10 */
const isLinkLocal = ({ a }: PackedAddress): boolean => (a & 0xc0ff) === 0x80fe

/** The third word of `::ffff:0:0`. */
const MAPPED = -65_536
const MAPPED_BITS = 96
/** The highest number an interface can have. */
const SCOPE_MAX = 2 ** 31 - 1
