/**
 * IP and socket addresses: parsed strictly, printed in one form only, compared through a cheap key.
 *
 * Text that is not an address gives `undefined`; nothing here throws. IPv6 is printed as RFC 5952
 * asks (lower case, the longest run of zeros shortened, IPv4-mapped addresses with dots), zones as
 * RFC 4007 asks (`fe80::1%eth0`).
 */

export type IpAddress = Ipv4Address | Ipv6Address

export interface Ipv4Address {
  readonly family: 4
  /** Unsigned, 32 bits: `127.0.0.1` is 0x7f000001. */
  readonly bits: number
}

export interface Ipv6Address {
  readonly family: 6
  /** Eight groups of 16 bits. */
  readonly groups: readonly number[]
  /** The interface a scoped address belongs to; empty without one. */
  readonly zone: string
}

export interface SocketAddress {
  readonly ip: IpAddress
  /** 0-65535. */
  readonly port: number
}

declare const brand: unique symbol

/** Equal for equal addresses: a map key. A number for IPv4, a short string for IPv6. */
export type AddressKey = (number | string) & { readonly [brand]: 'AddressKey' }
/** Equal for equal socket addresses. Not comparable with an {@link AddressKey}. */
export type SocketAddressKey = (number | string) & { readonly [brand]: 'SocketAddressKey' }

/**
 * Reads `127.0.0.1`, `::1`, `::ffff:10.0.0.1` or `fe80::1%eth0`. Refuses what only some systems
 * read, or read differently: octal (`010.0.0.1`), short (`10.1`) and hexadecimal IPv4.
 */
export function parseIp(text: string): IpAddress | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** Reads `1.2.3.4:80` or `[::1%eth0]:80`. The port is 0-65535, decimal, without leading zeros. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const colon = text.lastIndexOf(':')
  if (colon < 0) return undefined
  const host = text.slice(0, colon)
  const bracketed = host.startsWith('[') && host.endsWith(']')
  const ip = bracketed ? parseIpv6(host.slice(1, -1)) : parseIpv4(host)
  const port = parseDecimal(text.slice(colon + 1), PORT_MAX)
  return ip === undefined || port === undefined ? undefined : { ip, port }
}

export function formatIp(address: IpAddress): string {
  return address.family === 4 ? formatIpv4(address.bits) : formatIpv6(address)
}

/** `1.2.3.4:80` or `[::1%eth0]:80`. */
export function formatSocketAddress({ ip, port }: SocketAddress): string {
  return ip.family === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`
}

/** `10.0.0.1` and `::ffff:10.0.0.1` have different keys; {@link unmapped} makes them one. */
export function addressKey(address: IpAddress): AddressKey {
  return (address.family === 4 ? address.bits : groupsKey(address)) as AddressKey
}

export function socketAddressKey({ ip, port }: SocketAddress): SocketAddressKey {
  // 48 bits fit a double exactly.
  const key =
    ip.family === 4 ? ip.bits * 0x1_0000 + port : String.fromCharCode(port) + groupsKey(ip)
  return key as SocketAddressKey
}

/**
 * The IPv4 address inside an IPv4-mapped one (RFC 4291, 2.5.5.2), which is how a dual-stack socket
 * reports an IPv4 peer; any other address as it is. IPv4 has no zones, so a zone is dropped.
 */
export function unmapped(address: IpAddress): IpAddress {
  if (address.family === 4 || !isMapped(address.groups)) return address
  return { family: 4, bits: embeddedBits(address.groups) }
}

/** `127.0.0.0/8` or `::1`, also as an IPv4-mapped address. */
export function isLoopback(address: IpAddress): boolean {
  const ip = unmapped(address)
  if (ip.family === 4) return ip.bits >>> 24 === 127
  return ip.groups.every((group, index) => group === (index === 7 ? 1 : 0))
}

/** `0.0.0.0` or `::`, also as an IPv4-mapped address: every address of the host. */
export function isUnspecified(address: IpAddress): boolean {
  const ip = unmapped(address)
  return ip.family === 4 ? ip.bits === 0 : ip.groups.every((group) => group === 0)
}

/** A decimal number from 0 to `max` without sign, spaces or leading zeros. */
export function parseDecimal(text: string, max: number): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,5})$/.test(text)) return undefined
  const value = Number(text)
  return value <= max ? value : undefined
}

function parseIpv4(text: string): Ipv4Address | undefined {
  const parts = text.split('.', 5)
  if (parts.length !== 4) return undefined
  let bits = 0
  for (const part of parts) {
    const byte = parseDecimal(part, 255)
    if (byte === undefined) return undefined
    bits = bits * 256 + byte
  }
  return { family: 4, bits }
}

function parseIpv6(text: string): Ipv6Address | undefined {
  const percent = text.indexOf('%')
  const zone = percent < 0 ? '' : text.slice(percent + 1)
  if (percent >= 0 && !ZONE.test(zone)) return undefined
  const digits = percent < 0 ? text : text.slice(0, percent)
  if (digits.length > IPV6_LENGTH_MAX) return undefined
  const [head = '', tail, ...more] = digits.split('::')
  if (more.length > 0) return undefined
  if (tail === undefined) {
    const groups = parseGroups(head, true)
    return groups?.length === 8 ? { family: 6, groups, zone } : undefined
  }
  const left = parseGroups(head, false)
  const right = parseGroups(tail, true)
  // `::` stands for at least one group.
  if (left === undefined || right === undefined || left.length + right.length > 7) return undefined
  const zeros = new Array<number>(8 - left.length - right.length).fill(0)
  return { family: 6, groups: [...left, ...zeros, ...right], zone }
}

/** Groups between colons; the last may be an IPv4 address where the text ends the whole address. */
function parseGroups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16))
      continue
    }
    const ipv4 = endsAddress && index === parts.length - 1 ? parseIpv4(part) : undefined
    if (ipv4 === undefined) return undefined
    groups.push(ipv4.bits >>> 16, ipv4.bits & 0xffff)
  }
  return groups
}

const formatIpv4 = (bits: number): string =>
  `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`

function formatIpv6({ groups, zone }: Ipv6Address): string {
  const suffix = zone === '' ? '' : `%${zone}`
  if (isMapped(groups)) return `::ffff:${formatIpv4(embeddedBits(groups))}${suffix}`
  const run = longestZeroRun(groups)
  const hex = groups.map((group) => group.toString(16))
  // RFC 5952, 4.2.2: `::` never stands for a single group.
  if (run.length < 2) return hex.join(':') + suffix
  return `${hex.slice(0, run.from).join(':')}::${hex.slice(run.from + run.length).join(':')}${suffix}`
}

/** The first of the longest runs (RFC 5952, 4.2.3). */
function longestZeroRun(groups: readonly number[]): { from: number; length: number } {
  let best = { from: 0, length: 0 }
  for (let from = 0; from < groups.length; from++) {
    let length = 0
    while (groups[from + length] === 0) length++
    if (length > best.length) best = { from, length }
    from += length
  }
  return best
}

const isMapped = (groups: readonly number[]): boolean =>
  groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)

/** The last 32 bits, unsigned. */
const embeddedBits = (groups: readonly number[]): number => groups[6]! * 0x1_0000 + groups[7]!

const groupsKey = ({ groups, zone }: Ipv6Address): string => String.fromCharCode(...groups) + zone

const PORT_MAX = 65_535

/** `0000:0000:0000:0000:0000:ffff:255.255.255.255`; longer text is not worth splitting. */
const IPV6_LENGTH_MAX = 45

/** Printable, and free of what surrounds a zone: `%`, `/` (a prefix) and brackets (a port). */
const ZONE = /^[!-$&-.0-Z\\^-~]{1,64}$/
