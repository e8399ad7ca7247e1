/** Who is where in the simulated network. */
import { parseSocketAddress } from '../../../core/net/address.ts'
import { parseCidr } from '../../../core/net/cidr.ts'
import {
  type PackedAddress,
  type PackedPrefix,
  packAddress,
  packPrefix,
} from '../../../core/net/packed-address.ts'
import type { AccessList } from '../../../core/policy/access.ts'

const at = (text: string): PackedAddress => packAddress(parseSocketAddress(text)!)!

/** Hosts in both families; two are one network interface's neighbours of the same address. */
const HOSTS = [
  '10.0.0.1',
  '10.0.0.2',
  '[2001:db8::1]',
  '[fe80::1%2]',
  '[fe80::1%3]',
  '10.0.1.1',
  '[2001:db8::2]',
  '203.0.113.7',
]

/** The socket of a client, by its number. */
export const clientAt = (host: number, port: number): PackedAddress =>
  at(`${HOSTS[host % HOSTS.length]}:${9_000 + port}`)

/** The socket of a proxy: believed, when the configuration says so. */
export const proxyAt = (number: number): PackedAddress =>
  at(number % 2 === 0 ? `192.0.2.1:${7_000 + number}` : `[2001:db8:ff::9]:${7_000 + number}`)

/** A source nobody has: its datagrams are answered to nobody. */
export const spoofedAt = (number: number): PackedAddress =>
  at(`198.51.100.${number % 200}:${1_024 + (number % 50_000)}`)

export const TRUSTED = ['192.0.2.0/28', '2001:db8:ff::/48'].map((text) =>
  packPrefix(parseCidr(text)!),
)

/** Of a host with several addresses; one object each, as a table asks. */
export const LOCALS: readonly PackedAddress[] = [
  at('192.0.2.53:53'),
  at('192.0.2.54:53'),
  at('[2001:db8::53]:53'),
]

const network = (text: string): PackedPrefix => packPrefix(parseCidr(text)!)

/** Network policies, and whom each is against: a host of those above, as text. */
export const POLICIES = new Map<AccessList, (host: string) => boolean>([
  [[{ sources: [network('10.0.0.0/16')], verdict: 'deny' }], (host) => host.startsWith('10.0.')],
  [
    [
      { sources: [network('10.0.0.0/8'), network('2001:db8::/32')], verdict: 'none' },
      { sources: [network('10.0.1.0/24'), network('2001:db8::2/128')], verdict: 'allow' },
      { sources: [network('198.51.100.0/24')], verdict: 'deny' },
    ],
    (host) =>
      (host.startsWith('10.0.0.') || host.startsWith('2001:db8:') || host.startsWith('198.51.')) &&
      host !== '2001:db8::2',
  ],
])

export const BACKEND_IDS = ['b0', 'b1', 'b2', 'b3']
