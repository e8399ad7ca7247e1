/** Who is where in the simulated network. */
import type { HttpListenerId, PortId } from '../../../core/http/events.ts'
import { parseSocketAddress } from '../../../core/net/address.ts'
import { parseCidr } from '../../../core/net/cidr.ts'
import { type PackedAddress, packAddress, packPrefix } from '../../../core/net/packed-address.ts'
import type { AccessList } from '../../../core/policy/access.ts'

const at = (text: string): PackedAddress => packAddress(parseSocketAddress(text)!)!

export interface SimListenerPlace {
  readonly id: HttpListenerId
  readonly protocol: 'http1' | 'h2c'
}

export const LISTENERS: readonly SimListenerPlace[] = [
  { id: 'web', protocol: 'http1' },
  { id: 'api', protocol: 'http1' },
  { id: 'rpc', protocol: 'h2c' },
]

export const PORTS: readonly { readonly id: PortId; readonly number: number }[] = [
  { id: 'p80', number: 80 },
  { id: 'p8080', number: 8_080 },
]

export const BACKEND_IDS = ['b0', 'b1', 'b2', 'b3']

export const hostOf = (backend: string): string => `10.9.0.${1 + BACKEND_IDS.indexOf(backend)}`

/** A source of clients, by its number; the last is a proxy that may be trusted, the first denied. */
export const clientAt = (number: number): PackedAddress =>
  at(`${HOSTS[number % HOSTS.length]}:${1_024 + (number % 60_000)}`)

const HOSTS = ['10.0.0.1', '10.0.1.1', '[2001:db8::1]', '203.0.113.7', '192.0.2.1']

export const LOCAL: PackedAddress = at('192.0.2.80:80')

const prefixOf = (text: string) => packPrefix(parseCidr(text)!)

export const TRUSTED = [prefixOf('192.0.2.0/28')]

/** Everybody at the first host is refused. */
export const DENY: AccessList = [{ sources: [prefixOf('10.0.0.0/24')], verdict: 'deny' }]
