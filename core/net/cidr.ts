/**
 * Ranges of addresses: `10.0.0.0/8`, `fd00::/8`.
 *
 * The two families never meet: `::/0` holds every IPv6 address and no IPv4 one. An IPv4-mapped
 * IPv6 address is an IPv4 address in every question asked here, so that a rule written for
 * `10.0.0.0/8` also holds for a peer that a dual-stack socket reports as `::ffff:10.0.0.1`, and a
 * rule written for `::/0` does not let it in.
 */
import { formatIp, type IpAddress, parseDecimal, parseIp, unmapped } from './address.ts'

export interface Cidr {
  /** The lowest address of the range: every bit behind the prefix is 0. Never IPv4-mapped. */
  readonly network: IpAddress
  /** 0-32 or 0-128. */
  readonly prefix: number
}

/**
 * What becomes of bits behind the prefix, as in `10.1.2.3/8`: usually a typing error (`refuse`),
 * but fine where a host writes its own address with the prefix of its network (`clear`).
 */
export type HostBits = 'refuse' | 'clear'

/**
 * Reads `ADDRESS/PREFIX`; `undefined` when it is not one. `::ffff:10.0.0.0/104` is read as the
 * IPv4 range it means. A zone is refused: a range is not bound to one interface.
 */
export function parseCidr(text: string, hostBits: HostBits = 'refuse'): Cidr | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const written = parseIp(text.slice(0, slash))
  if (written === undefined || (written.family === 6 && written.zone !== '')) return undefined
  const writtenPrefix = parseDecimal(text.slice(slash + 1), widthOf(written))
  if (writtenPrefix === undefined) return undefined
  // A prefix that ends inside `::ffff:` covers more than the IPv4 addresses: it stays IPv6.
  const isIpv4Range = writtenPrefix >= MAPPED_PREFIX && unmapped(written) !== written
  const address = isIpv4Range ? unmapped(written) : written
  const prefix = isIpv4Range ? writtenPrefix - MAPPED_PREFIX : writtenPrefix
  const network = cleared(address, prefix)
  if (hostBits === 'refuse' && formatIp(network) !== formatIp(address)) return undefined
  return { network, prefix }
}

export function formatCidr({ network, prefix }: Cidr): string {
  return `${formatIp(network)}/${prefix}`
}

/** Whether the address is in the range; its zone does not matter. */
export function contains({ network, prefix }: Cidr, address: IpAddress): boolean {
  const ip = unmapped(address)
  if (ip.family === 4) {
    return network.family === 4 && network.bits === maskBits(ip.bits, prefix)
  }
  return (
    network.family === 6 &&
    ip.groups.every((group, index) => network.groups[index] === maskGroup(group, index, prefix))
  )
}

function cleared(address: IpAddress, prefix: number): IpAddress {
  if (address.family === 4) return { family: 4, bits: maskBits(address.bits, prefix) }
  const groups = address.groups.map((group, index) => maskGroup(group, index, prefix))
  return { family: 6, groups, zone: '' }
}

const widthOf = (address: IpAddress): number => (address.family === 4 ? 32 : 128)

/** Shifting by 32 is shifting by 0 in JavaScript, so /0 needs its own answer. */
const maskBits = (bits: number, prefix: number): number =>
  prefix === 0 ? 0 : (bits & (-1 << (32 - prefix))) >>> 0

function maskGroup(group: number, index: number, prefix: number): number {
  const kept = Math.min(16, Math.max(0, prefix - 16 * index))
  return group & (0xffff << (16 - kept)) & 0xffff
}

/** Bits before the IPv4 address in `::ffff:a.b.c.d`. */
const MAPPED_PREFIX = 96
