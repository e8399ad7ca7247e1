/** Addresses of every kind, for properties. */
import fc from 'fast-check'
import type { IpAddress, SocketAddress } from '../../../core/net/address.ts'
import { packAddress } from '../../../core/net/packed-address.ts'

const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff))
const groups = (length: number) => fc.array(group, { minLength: length, maxLength: length })
const ipv6 = (all: readonly number[], zone = ''): IpAddress => ({ family: 6, groups: all, zone })

/** IPv4, IPv4-mapped, IPv6, and link-local with and without an interface number. */
export const anyIp: fc.Arbitrary<IpAddress> = fc.oneof(
  fc.nat(0xffff_ffff).map((bits): IpAddress => ({ family: 4, bits })),
  groups(2).map((low) => ipv6([0, 0, 0, 0, 0, 0xffff, ...low])),
  groups(8)
    .filter(([first]) => first! >> 6 !== 0xfe80 >> 6)
    .map((all) => ipv6(all)),
  groups(4).map((low) => ipv6([0xfe80, 0, 0, 0, ...low])),
  fc
    .tuple(groups(4), fc.integer({ min: 1, max: 2 ** 31 - 1 }))
    .map(([low, zone]) => ipv6([0xfe80, 0, 0, 0, ...low], String(zone))),
)

export const anySocketAddress: fc.Arbitrary<SocketAddress> = fc.record({
  ip: anyIp,
  port: fc.nat(65_535),
})

export const anyPacked = anySocketAddress.map((address) => packAddress(address)!)
