/** `sockaddr_in` and `sockaddr_in6` as the kernel has them, to and from packed addresses. */
import { isIpv4, type PackedAddress } from '../../../../../core/net/packed-address.ts'

export type Family = typeof AF_INET | typeof AF_INET6

export const AF_INET = 2
export const AF_INET6 = 10

/** Of either family: a `sockaddr_in6` is the longer one. */
export const NAME_BYTES = 28
/** Room for a name, as words, with the next name aligned. */
export const NAME_WORDS = 8

export const nameBytes = (family: Family): number => (family === AF_INET ? 16 : NAME_BYTES)

export const familyOf = (address: PackedAddress): Family => (isIpv4(address) ? AF_INET : AF_INET6)

/** A packed address that is filled in again and again. */
export type MutableAddress = { -readonly [Key in keyof PackedAddress]: PackedAddress[Key] }

export const emptyAddress = (): MutableAddress => ({ a: 0, b: 0, c: 0, d: 0, port: 0 })

/** Writes the name of `address` at a word; a mapped IPv4 address as the IPv4 address it is. */
export function writeName(words: Int32Array, at: number, family: Family, to: PackedAddress): void {
  words[at] = family | (swapPort(to.port) << 16)
  if (family === AF_INET) {
    words[at + 1] = to.d
    words[at + 2] = 0
    words[at + 3] = 0
    return
  }
  const scope = isLinkLocal(to.a) ? to.b : 0
  words[at + 1] = 0
  words[at + 2] = to.a
  words[at + 3] = scope === 0 ? to.b : 0
  words[at + 4] = to.c
  words[at + 5] = to.d
  words[at + 6] = scope
}

export function readName(
  words: Int32Array,
  at: number,
  family: Family,
  into: MutableAddress,
): void {
  into.port = swapPort(words[at]! >>> 16)
  if (family === AF_INET) {
    into.a = 0
    into.b = 0
    into.c = MAPPED
    into.d = words[at + 1]!
    return
  }
  const a = words[at + 2]!
  const b = words[at + 3]!
  into.a = a
  into.b = b === 0 && isLinkLocal(a) ? words[at + 6]! : b
  into.c = words[at + 4]!
  into.d = words[at + 5]!
}

/** fe80::/10, of the first word: an address that needs the number of an interface. */
export const isLinkLocal = (a: number): boolean => (a & 0xc0ff) === 0x80fe

/** ff00::/8, of the first word. */
export const isMulticast = (a: number): boolean => (a & 0xff) === 0xff

/** Every address of the host. */
export const isWildcard = ({ a, b, c, d }: PackedAddress): boolean =>
  a === 0 && b === 0 && d === 0 && (c === 0 || c === MAPPED)

/** The octets of a port in network order, read the other way round. */
const swapPort = (port: number): number => ((port & 0xff) << 8) | (port >>> 8)

/** The third word of `::ffff:0:0`. */
const MAPPED = -65_536
