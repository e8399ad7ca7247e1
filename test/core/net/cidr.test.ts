import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatIp, type IpAddress, parseIp, unmapped } from '../../../core/net/address.ts'
import { type Cidr, contains, formatCidr, parseCidr } from '../../../core/net/cidr.ts'

const ip = (text: string): IpAddress => {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}
const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text)
  if (parsed === undefined) throw new Error(`not a range: ${text}`)
  return parsed
}
const printed = (parsed: Cidr | undefined) => parsed && formatCidr(parsed)

/** Text of a range with host bits that may be set. */
const written = fc
  .oneof(
    fc.tuple(
      fc.nat(0xffff_ffff).map((bits): IpAddress => ({ family: 4, bits })),
      fc.nat(32),
    ),
    fc.tuple(
      fc
        .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), {
          minLength: 8,
          maxLength: 8,
        })
        .map((groups): IpAddress => ({ family: 6, groups, zone: '' })),
      fc.nat(128),
    ),
  )
  .map(([address, prefix]) => ({ address, prefix, text: `${formatIp(address)}/${prefix}` }))

/** The address as 32 or 128 binary digits. */
const digits = (address: IpAddress): string =>
  address.family === 4
    ? address.bits.toString(2).padStart(32, '0')
    : address.groups.map((group) => group.toString(2).padStart(16, '0')).join('')

describe('parse and print', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8', '10.0.0.0/8'],
    ['10.1.2.3/8', undefined, '10.0.0.0/8'],
    ['10.1.2.3/32', '10.1.2.3/32', '10.1.2.3/32'],
    ['0.0.0.0/0', '0.0.0.0/0', '0.0.0.0/0'],
    ['1.2.3.4/0', undefined, '0.0.0.0/0'],
    ['255.255.255.255/1', undefined, '128.0.0.0/1'],
    ['255.255.255.255/31', undefined, '255.255.255.254/31'],
    ['::/0', '::/0', '::/0'],
    ['FD00::/8', 'fd00::/8', 'fd00::/8'],
    ['fd12:3456::1/8', undefined, 'fd00::/8'],
    ['2001:db8::/33', '2001:db8::/33', '2001:db8::/33'],
    ['2001:db8:8000::/33', '2001:db8:8000::/33', '2001:db8:8000::/33'],
    ['2001:db8:c000::/33', undefined, '2001:db8:8000::/33'],
    ['::1/128', '::1/128', '::1/128'],
    // what a dual-stack host writes for an IPv4 range
    ['::ffff:10.0.0.0/104', '10.0.0.0/8', '10.0.0.0/8'],
    ['::ffff:10.0.0.1/104', undefined, '10.0.0.0/8'],
    ['::ffff:0.0.0.0/96', '0.0.0.0/0', '0.0.0.0/0'],
    ['::ffff:10.0.0.1/128', '10.0.0.1/32', '10.0.0.1/32'],
    // more than IPv4: an IPv6 range
    ['::ffff:0:0/95', undefined, '::fffe:0:0/95'],
    ['::ffff:10.0.0.1/8', undefined, '::/8'],
  ])('%s is %s, or %s with host bits cleared', (text, strict, clamped) => {
    expect([printed(parseCidr(text)), printed(parseCidr(text, 'clear'))]).toEqual([strict, clamped])
  })

  test.each([
    '',
    '/',
    '10.0.0.0',
    '10.0.0.0/',
    '/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '10.0.0/8',
    '10/8',
    '::/129',
    'fe80::%eth0/64',
    '::1',
    ' 10.0.0.0/8',
    '10.0.0.0/ 8',
    'example.org/8',
  ])('%j is no range', (text) => {
    expect([parseCidr(text), parseCidr(text, 'clear')]).toEqual([undefined, undefined])
  })
})

describe('contains', () => {
  test.each([
    ['10.200.0.0/16', '10.200.255.255', true],
    ['10.200.0.0/16', '10.201.0.0', false],
    ['10.200.0.0/16', '10.199.255.255', false],
    ['128.0.0.0/1', '255.255.255.255', true],
    ['128.0.0.0/1', '127.255.255.255', false],
    ['10.0.0.1/32', '10.0.0.1', true],
    ['10.0.0.1/32', '10.0.0.0', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['::/0', 'ffff::1', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['::1/128', '::1', true],
    ['::1/128', '::2', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    // families never meet
    ['0.0.0.0/0', '::1', false],
    ['::/0', '10.0.0.1', false],
    ['::/128', '0.0.0.0', false],
    // an IPv4-mapped peer is an IPv4 peer
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:11.1.2.3', false],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '::ffff:10.1.2.3', true],
    ['::/0', '::ffff:10.1.2.3', false],
    ['::/64', '::ffff:10.1.2.3', false],
    ['0.0.0.0/0', '::ffff:10.1.2.3', true],
    // an address that only looks like one is not
    ['10.0.0.0/8', '::10.1.2.3', false],
  ])('%s and %s: %s', (range, address, expected) => {
    expect(contains(cidr(range), ip(address))).toBe(expected)
  })
})

describe('properties', () => {
  test('a range parses back to itself, and clearing twice changes nothing', () => {
    fc.assert(
      fc.property(written, ({ text }) => {
        const cleared = parseCidr(text, 'clear')!
        expect(parseCidr(formatCidr(cleared))).toEqual(cleared)
        expect(parseCidr(formatCidr(cleared), 'clear')).toEqual(cleared)
      }),
    )
  })

  test('a range holds its own address, and holds others exactly when the prefixes agree', () => {
    fc.assert(
      fc.property(written, written, fc.nat(128), ({ text, address }, other, flipped) => {
        const range = parseCidr(text, 'clear')!
        if (range.network.family === unmapped(address).family) {
          expect(contains(range, address)).toBe(true)
        }
        const near = flip(unmapped(address), flipped)
        for (const candidate of [unmapped(other.address), near]) {
          const sameFamily = candidate.family === range.network.family
          const agrees = digits(candidate).startsWith(digits(range.network).slice(0, range.prefix))
          // Flipping a bit may have made the IPv6 address an IPv4-mapped one.
          if (unmapped(candidate) === candidate) {
            expect(contains(range, candidate)).toBe(sameFamily && agrees)
          }
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test('text of any kind never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseCidr(text)
        parseCidr(text, 'clear')
      }),
    )
  })
})

/** The address with one bit changed. */
function flip(address: IpAddress, bit: number): IpAddress {
  if (address.family === 4) return { family: 4, bits: (address.bits ^ (1 << (bit % 32))) >>> 0 }
  const groups = address.groups.map((group, index) =>
    index === (bit >> 4) % 8 ? group ^ (1 << (bit & 15)) : group,
  )
  return { ...address, groups }
}
