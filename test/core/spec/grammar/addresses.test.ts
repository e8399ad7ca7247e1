import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseIp } from '../../../../core/net/address.ts'
import { parseCidr } from '../../../../core/net/cidr.ts'
import {
  addressOfHost,
  listenFault,
  networkFault,
} from '../../../../core/spec/grammar/addresses.ts'

const NETWORK = 'must be a network such as 10.0.0.0/8, not'
const NETWORKS: readonly [string, string | undefined][] = [
  ['10.0.0.0/8', undefined],
  ['fd00::/64', undefined],
  ['::ffff:10.0.0.0/104', undefined],
  ['127.0.0.1', `${NETWORK} "127.0.0.1"; for this one address write 127.0.0.1/32`],
  ['::ffff:10.0.0.1', `${NETWORK} "::ffff:10.0.0.1"; for this one address write 10.0.0.1/32`],
  ['FD00::1', `${NETWORK} "FD00::1"; for this one address write fd00::1/128`],
  ['fe80::1%eth0', `${NETWORK} "fe80::1%eth0"; for this one address write fe80::1/128`],
  ['localhost', `${NETWORK} "localhost"; for this one address write 127.0.0.1/32`],
  [
    '10.0.0.1/8',
    'has bits set behind the prefix, "10.0.0.1/8"; write 10.0.0.0/8, or 10.0.0.1/32 for the one address',
  ],
  [
    'fd00::1/64',
    'has bits set behind the prefix, "fd00::1/64"; write fd00::/64, or fd00::1/128 for the one address',
  ],
  ['10.0.0.0/33', `${NETWORK} "10.0.0.0/33"; the prefix is at most 32`],
  ['fd00::/129', `${NETWORK} "fd00::/129"; the prefix is at most 128`],
  ['fe80::%eth0/64', `${NETWORK} "fe80::%eth0/64"; a network has no interface`],
  ['10.0.0.0/', `${NETWORK} "10.0.0.0/"`],
  ['10/8', `${NETWORK} "10/8"`],
  ['', `${NETWORK} ""`],
]
for (const [written, fault] of NETWORKS) {
  test(`"${written}" as a network`, () => expect(networkFault(written)).toBe(fault))
}

test('property: what is advised is good, whatever was written', () => {
  const written = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(140)).map((parts) => parts.join('/')),
  )
  fc.assert(
    fc.property(written, (text) => {
      const fault = networkFault(text)
      expect(fault === undefined).toBe(parseCidr(text) !== undefined)
      const [, first, second] = /; (?:.* )?write (\S+?)(?:, or (\S+) .*)?$/.exec(fault ?? '') ?? []
      for (const advised of [first, second]) {
        if (advised !== undefined) expect(parseCidr(advised)).toBeDefined()
      }
    }),
  )
})

const LISTEN: readonly [string, string | undefined][] = [
  ['10.0.0.1', undefined],
  ['169.254.0.1', undefined],
  ['fe7f::1', undefined],
  ['fec0::1', undefined],
  ['fe80::1%eth0', undefined],
  [
    'fe80::1',
    'is link-local and needs the name of its interface; write fe80::1%eth0, if that is the one',
  ],
  [
    'febf::1',
    'is link-local and needs the name of its interface; write febf::1%eth0, if that is the one',
  ],
  [
    'fe80::1%2',
    'needs its interface by name, not by number; write fe80::1%eth0, if that is the one',
  ],
]
for (const [written, fault] of LISTEN) {
  test(`${written} to listen on`, () => expect(listenFault(parseIp(written)!)).toBe(fault))
}

test('of a host that is an address, the address', () => {
  for (const host of ['10.0.0.1', '[::1]', '[fd00::1]', '[::ffff:10.0.0.1]']) {
    expect(addressOfHost(host)).toEqual(parseIp(host.replace(/[[\]]/g, '')))
  }
  for (const host of ['a.test', '::1', '[::1', '[10.0.0.1]', '[fe80::1%eth0]', '[]', '']) {
    expect(addressOfHost(host)).toBeUndefined()
  }
})
