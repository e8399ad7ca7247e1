import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addressKey,
  formatIp,
  formatSocketAddress,
  type IpAddress,
  isLoopback,
  isUnspecified,
  parseDecimal,
  parseIp,
  parseSocketAddress,
  socketAddressKey,
  unmapped,
} from '../../../core/net/address.ts'

const ipv4: fc.Arbitrary<IpAddress> = fc.nat(0xffff_ffff).map((bits) => ({ family: 4, bits }))

/** Rich in zeros, so that runs of them are shortened, tied and mapped. */
const ipv6: fc.Arbitrary<IpAddress> = fc
  .record({
    groups: fc.array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat(0xffff)), {
      minLength: 8,
      maxLength: 8,
    }),
    // The characters that Node's own isIP knows in a zone.
    zone: fc.oneof(fc.constant(''), fc.stringMatching(/^[0-9a-zA-Z.-]{1,15}$/)),
  })
  .map((parts) => ({ family: 6, ...parts }))

const mapped: fc.Arbitrary<IpAddress> = fc.nat(0xffff_ffff).map((bits) => ({
  family: 6,
  groups: [0, 0, 0, 0, 0, 0xffff, bits >>> 16, bits & 0xffff],
  zone: '',
}))

const anyIp = fc.oneof(ipv4, ipv6, mapped)

const ip = (text: string): IpAddress => {
  const parsed = parseIp(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}

describe('text that is an address, and how it is printed', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['127.0.0.1', '127.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['0001:0:0:0:0:0:0:0001', '1::1'],
    // RFC 5952, 4.2.2: one group is not shortened
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    // RFC 5952, 4.2.3: the longest run, the first of equals
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    // RFC 5952, 5: an IPv4-mapped address keeps its dots, nothing else does
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['0:0:0:0:0:FFFF:0:0', '::ffff:0.0.0.0'],
    ['::192.0.2.1', '::c000:201'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4:5:6:c000:201'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['fe80::1%wg_0@if3', 'fe80::1%wg_0@if3'],
    ['FE80::1%Eth0', 'fe80::1%Eth0'],
  ])('%s is %s', (text, canonical) => {
    expect(formatIp(ip(text))).toBe(canonical)
  })
})

describe('text that is no address', () => {
  test.each([
    '',
    ' ',
    'localhost',
    // read as octal, as a number or as too little by some systems
    '010.0.0.1',
    '0x7f.0.0.1',
    '127.1',
    '2130706433',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '256.0.0.1',
    '1.2.3.-4',
    '+1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '１.2.3.4',
    '1.2.3.4%eth0',
    '::1%',
    '::1%eth0%1',
    '::1%et h0',
    '::1%a/64',
    `::1%${'z'.repeat(65)}`,
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4::5:6:7:8',
    '1::2::3',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
    '12345::',
    'g::',
    '::1.2.3',
    '::01.2.3.4',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '[::1]',
  ])('%j', (text) => {
    expect(parseIp(text)).toBeUndefined()
  })

  test('a very long one', () => {
    expect(parseIp(`${'0:'.repeat(100_000)}0`)).toBeUndefined()
  })
})

describe('socket addresses', () => {
  test.each([
    ['1.2.3.4:80', '1.2.3.4:80'],
    ['0.0.0.0:0', '0.0.0.0:0'],
    ['[::1]:65535', '[::1]:65535'],
    ['[::1%eth0]:80', '[::1%eth0]:80'],
    ['[0:0:0:0:0:0:0:1]:443', '[::1]:443'],
    ['[::ffff:1.2.3.4]:53', '[::ffff:1.2.3.4]:53'],
  ])('%s is %s', (text, canonical) => {
    const parsed = parseSocketAddress(text)
    expect(parsed && formatSocketAddress(parsed)).toBe(canonical)
  })

  test.each([
    '',
    ':80',
    '1.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '1.2.3.4:080',
    '1.2.3.4:+1',
    '1.2.3.4:1e3',
    '1.2.3.4:99999999999999999999',
    '[1.2.3.4]:80',
    '::1:80',
    '[::1]',
    '[::1]80',
    '[::1:80',
    '::1]:80',
    '[]:80',
    'example.org:80',
  ])('%j is none', (text) => {
    expect(parseSocketAddress(text)).toBeUndefined()
  })
})

describe('questions', () => {
  test.each([
    ['127.0.0.1', true, false],
    ['127.255.0.9', true, false],
    ['128.0.0.1', false, false],
    ['0.0.0.0', false, true],
    ['::1', true, false],
    ['::1%lo', true, false],
    ['::', false, true],
    ['::2', false, false],
    ['1::1', false, false],
    ['::ffff:127.0.0.1', true, false],
    ['::ffff:0.0.0.0', false, true],
    ['::127.0.0.1', false, false],
  ])('%s: loopback %s, unspecified %s', (text, loopback, unspecified) => {
    expect([isLoopback(ip(text)), isUnspecified(ip(text))]).toEqual([loopback, unspecified])
  })

  test.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1%eth0', '10.0.0.1'],
    ['::ffff:255.255.255.255', '255.255.255.255'],
    ['10.0.0.1', '10.0.0.1'],
    ['::10.0.0.1', '::a00:1'],
    ['::1:ffff:10.0.0.1', '::1:ffff:a00:1'],
    ['::fffe:10.0.0.1', '::fffe:a00:1'],
  ])('%s unmapped is %s', (text, expected) => {
    expect(formatIp(unmapped(ip(text)))).toBe(expected)
  })

  test.each([
    ['0', 0],
    ['7', 7],
    ['00', undefined],
    ['11', undefined],
    ['', undefined],
    ['-0', undefined],
    ['1.0', undefined],
  ])('%j is the decimal %s, at most 10', (text, expected) => {
    expect(parseDecimal(text, 10)).toBe(expected)
  })
})

test('addresses that are nearly the same have keys of their own', () => {
  const near = [
    ...['0.0.0.0:0', '0.0.0.0:1', '0.0.0.1:0', '0.0.1.0:0', '255.255.255.255:65535'],
    ...['[::]:0', '[::]:1', '[::1]:0', '[1::]:0', '[::ffff:0.0.0.0]:0', '[0:1::]:0'],
    ...['[fe80::1]:80', '[fe80::1%a]:80', '[fe80::1%b]:80', '[fe80::1%ab]:80'],
  ].map((text) => parseSocketAddress(text)!)
  expect(new Set(near.map(socketAddressKey)).size).toBe(near.length)
  const ips = new Set(near.map((address) => formatIp(address.ip)))
  expect(new Set(near.map((address) => addressKey(address.ip))).size).toBe(ips.size)
})

describe('properties', () => {
  test('what is printed parses back to the same address, and Node knows it', () => {
    fc.assert(
      fc.property(anyIp, (address) => {
        const text = formatIp(address)
        expect(parseIp(text)).toEqual(address)
        expect(isIP(text)).toBe(address.family)
      }),
    )
  })

  test('printing is the same however the address was written', () => {
    fc.assert(
      fc.property(ipv6, (address) => {
        if (address.family !== 6) return
        const zone = address.zone === '' ? '' : `%${address.zone}`
        const long = address.groups.map((group) => group.toString(16).padStart(4, '0'))
        const written = long.join(':').toUpperCase() + zone
        expect(parseIp(written)).toEqual(address)
      }),
    )
  })

  test('text is an address exactly when Node says so', () => {
    const noise = fc
      .array(fc.constantFrom(...'0123456789abcdefFg:::...%[] x'), { maxLength: 24 })
      .map((characters) => characters.join(''))
    const damaged = fc
      .tuple(anyIp, fc.nat(40), fc.constantFrom('', ':', '.', '0', '1', 'f', '::', '%', '%a', '.0'))
      .map(([address, at, more]) => {
        const text = formatIp(address)
        return text.slice(0, at) + more + text.slice(at + 1)
      })
    fc.assert(
      fc.property(fc.oneof(noise, damaged), (text) => {
        const family = parseIp(text)?.family ?? 0
        expect(family).toBe(isIP(text))
      }),
      { numRuns: 2_000 },
    )
  })

  test('socket addresses parse back, and text of any kind never throws', () => {
    fc.assert(
      fc.property(anyIp, fc.nat(65_535), (address, port) => {
        expect(parseSocketAddress(formatSocketAddress({ ip: address, port }))).toEqual({
          ip: address,
          port,
        })
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        parseIp(text)
        parseSocketAddress(text)
      }),
    )
  })

  test('keys are equal exactly for equal addresses', () => {
    const near = fc.oneof(fc.constantFrom(0, 1, 0x8000, 0xffff), fc.nat(0xffff))
    const port = fc.constantFrom(0, 1, 80, 65_535)
    const one = fc.record({
      ip: fc.oneof(
        fc
          .tuple(near, near)
          .map(([high, low]): IpAddress => ({ family: 4, bits: high * 65_536 + low })),
        ipv6,
        mapped,
      ),
      port,
    })
    fc.assert(
      fc.property(one, one, (a, b) => {
        expect(addressKey(a.ip) === addressKey(b.ip)).toBe(formatIp(a.ip) === formatIp(b.ip))
        expect(socketAddressKey(a) === socketAddressKey(b)).toBe(
          formatSocketAddress(a) === formatSocketAddress(b),
        )
        expect(addressKey(parseIp(formatIp(a.ip))!)).toBe(addressKey(a.ip))
      }),
      { numRuns: 1_000 },
    )
  })
})
