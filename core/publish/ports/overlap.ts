/**
 * Which listening sockets the kernel does not let stand beside each other: two that some
 * connection could be for. Of the sets of addresses a socket can listen on, any two either have
 * nothing in common or one of them is inside the other; everything here rests on that.
 */
import { formatIp, type IpAddress, isUnspecified, parseIp, unmapped } from '../../net/address.ts'

/** Where a socket listens, whatever its port. */
export interface Reach {
  /** Equal for equal reaches. */
  readonly key: string
  /** The address as it is printed everywhere: `::ffff:10.0.0.1` is `10.0.0.1`. */
  readonly host: string
  readonly width: 'all' | 'family' | 'one'
  /** 0: no address; it overlaps itself alone, and the system says why it cannot be bound. */
  readonly family: 4 | 6 | 0
}

export function reachOf(host: string, isV6Only = true): Reach {
  const ip = parseIp(host)
  if (ip === undefined) return { key: host, host, width: 'one', family: 0 }
  const plain: IpAddress = unmapped(ip)
  if (!isUnspecified(plain)) {
    const text = formatIp(plain)
    return { key: text, host: text, width: 'one', family: plain.family }
  }
  if (plain.family === 4) return EVERY_IPV4
  return isV6Only ? EVERY_IPV6 : EVERYTHING
}

/** Whatever arrives at `narrow` would arrive at `wide`, were only that one there. */
export function covers(wide: Reach, narrow: Reach): boolean {
  if (wide.key === narrow.key) return true
  if (wide.width === 'all') return narrow.family !== 0
  return wide.width === 'family' && narrow.width !== 'all' && wide.family === narrow.family
}

export const overlaps = (a: Reach, b: Reach): boolean => covers(a, b) || covers(b, a)

/** What covers `reach`, widest first and itself last. */
export function coverKeys({ key, family, width }: Reach): readonly string[] {
  if (family === 0 || width === 'all') return [key]
  const every = family === 4 ? EVERY_IPV4 : EVERY_IPV6
  return width === 'family' ? [EVERYTHING.key, key] : [EVERYTHING.key, every.key, key]
}

const EVERY_IPV4: Reach = { key: '0.0.0.0', host: '0.0.0.0', width: 'family', family: 4 }
const EVERY_IPV6: Reach = { key: '::', host: '::', width: 'family', family: 6 }
/** `::` of a socket that takes IPv4 as well. */
const EVERYTHING: Reach = { key: ':: and IPv4', host: '::', width: 'all', family: 6 }
