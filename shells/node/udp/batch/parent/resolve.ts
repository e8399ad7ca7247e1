/** Addresses of hosts: names from the system's resolver, zones as numbers. */
import { lookup } from 'node:dns/promises'
import { formatIp, parseIp } from '../../../../../core/net/address.ts'
import type { LocalAddresses } from '../../local-addresses.ts'

/** An IP address; a zone of it is the number of an interface. Rejects like `dns.lookup`. */
export async function resolveHost(host: string, interfaces: LocalAddresses): Promise<string> {
  const text = parseIp(host) === undefined ? (await lookup(host)).address : host
  const ip = parseIp(text)
  if (ip?.family !== 6 || ip.zone === '') return text
  const number = interfaces.numberOf(ip.zone)
  return number === undefined ? text : formatIp({ ...ip, zone: String(number) })
}
