/** What is wrong with an address or a network that somebody wrote, and what to write instead. */
import { formatIp, type IpAddress, parseIp, unmapped } from '../../net/address.ts'
import { formatCidr, parseCidr } from '../../net/cidr.ts'
import { quote } from '../schema/words.ts'

/** Completes `NAME ...`; undefined for a network as `parseCidr` reads it. */
export function networkFault(written: string): string | undefined {
  if (parseCidr(written) !== undefined) return undefined
  const [address = '', prefix] = written.split('/', 2)
  const ip = parseIp(address === 'localhost' ? '127.0.0.1' : address)
  const wrong = `must be a network such as 10.0.0.0/8, not ${quote(written)}`
  if (ip === undefined) return wrong
  if (prefix === undefined) return `${wrong}; for this one address write ${networkOfOne(ip)}`
  const cleared = parseCidr(written, 'clear')
  if (cleared !== undefined) {
    const bits = `has bits set behind the prefix, ${quote(written)}`
    return `${bits}; write ${formatCidr(cleared)}, or ${networkOfOne(ip)} for the one address`
  }
  const prefixMax = ip.family === 4 ? 32 : 128
  if (Number(prefix) > prefixMax) return `${wrong}; the prefix is at most ${prefixMax}`
  if (ip.family === 6 && ip.zone !== '') return `${wrong}; a network has no interface`
  return wrong
}

function networkOfOne(written: IpAddress): string {
  const ip = unmapped(written)
  return ip.family === 4 ? `${formatIp(ip)}/32` : `${formatIp({ ...ip, zone: '' })}/128`
}

/** Of a host that is one: IPv4 as it is, IPv6 in brackets (RFC 3986, 3.2.2). */
export function addressOfHost(host: string): IpAddress | undefined {
  if (!host.startsWith('[')) return host.includes(':') ? undefined : parseIp(host)
  const ip = host.endsWith(']') ? parseIp(host.slice(1, -1)) : undefined
  return ip?.family === 6 && ip.zone === '' ? ip : undefined
}

/**
 * Of an address to listen on. One that is link-local (RFC 4291, 2.5.6) is the same on every link: the
 * system refuses it without its interface (RFC 4007, 11), and knows that one by name.
 */
export function listenFault(address: IpAddress): string | undefined {
  const ip = unmapped(address)
  if (ip.family === 4 || (ip.groups[0]! & 0xffc0) !== 0xfe80) return undefined
  const example = `write ${formatIp({ ...ip, zone: 'eth0' })}, if that is the one`
  if (ip.zone === '') return `is link-local and needs the name of its interface; ${example}`
  return /^\d+$/.test(ip.zone)
    ? `needs its interface by name, not by number; ${example}`
    : undefined
}
