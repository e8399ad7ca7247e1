import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatSocketAddress,
  parseIp,
  parseSocketAddress,
  unmapped,
} from '../../../core/net/address.ts'
import { contains, formatCidr, parseCidr } from '../../../core/net/cidr.ts'
import {
  formatPacked,
  inPrefix,
  isIpv4,
  packAddress,
  packIpv4,
  packPrefix,
  samePacked,
  unpackAddress,
} from '../../../core/net/packed-address.ts'
import { anyIp, anySocketAddress } from './any-address.ts'

const pack = (text: string) => packAddress(parseSocketAddress(text)!)

describe('packing', () => {
  test.each([
    ['127.0.0.1:53', { a: 0, b: 0, c: -65_536, d: 0x0100007f, port: 53 }],
    ['[::ffff:127.0.0.1]:53', { a: 0, b: 0, c: -65_536, d: 0x0100007f, port: 53 }],
    ['0.0.0.255:0', { a: 0, b: 0, c: -65_536, d: -16_777_216, port: 0 }],
    ['[::1]:65535', { a: 0, b: 0, c: 0, d: 0x01000000, port: 65_535 }],
    [
      '[102:304:506:708:90a:b0c:d0e:f10]:1',
      { a: 67305985, b: 134678021, c: 202050057, d: 269422093, port: 1 },
    ],
    ['[fe80::1]:1', { a: 0x80fe, b: 0, c: 0, d: 0x01000000, port: 1 }],
    ['[fe80::1%7]:1', { a: 0x80fe, b: 7, c: 0, d: 0x01000000, port: 1 }],
    ['[febf::1%2147483647]:1', { a: 0xbffe, b: 2 ** 31 - 1, c: 0, d: 0x01000000, port: 1 }],
  ])('%s', (text, words) => {
    expect(pack(text)).toEqual(words)
  })

  test.each([
    ['a name of an interface', '[fe80::1%eth0]:1'],
    ['a number no interface has', '[fe80::1%0]:1'],
    ['a number above all of them', '[fe80::1%2147483648]:1'],
    ['a number written strangely', '[fe80::1%07]:1'],
    ['an interface where there are none', '[2001:db8::1%2]:1'],
    ['just outside the link-local range', '[fec0::1%2]:1'],
    ['bits where the interface goes', '[fe80:0:0:7::1]:1'],
    ['bits where the interface goes, and an interface', '[fe80:0:7::1%7]:1'],
  ])('not packed: %s', (_, text) => {
    expect(parseSocketAddress(text)).toBeDefined()
    expect(pack(text)).toBeUndefined()
  })

  test('IPv4 by its bits', () => {
    expect(packIpv4(0x7f00_0001, 53)).toEqual(pack('127.0.0.1:53'))
    expect(packIpv4(0xffff_fffe, 53)).toEqual(pack('255.255.255.254:53'))
  })

  test('the words are what a little-endian machine reads from the octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (octets) => {
        const view = new DataView(octets.buffer)
        const groups = Array.from({ length: 8 }, (_, at) => view.getUint16(2 * at))
        const packed = packAddress({ ip: { family: 6, groups, zone: '' }, port: 1 })
        if (packed === undefined) return
        const { a, b, c, d } = packed
        expect([a, b, c, d]).toEqual([0, 4, 8, 12].map((at) => view.getInt32(at, true)))
      }),
    )
  })
})

describe('properties', () => {
  test('an address comes back as it was, IPv4-mapped ones as IPv4', () => {
    fc.assert(
      fc.property(anySocketAddress, ({ ip, port }) => {
        const packed = packAddress({ ip, port })!
        const plain = { ip: unmapped(ip), port }
        expect(unpackAddress(packed)).toEqual(plain)
        expect(formatPacked(packed)).toBe(formatSocketAddress(plain))
        expect(pack(formatPacked(packed))).toEqual(packed)
        expect(isIpv4(packed)).toBe(plain.ip.family === 4)
      }),
      { numRuns: 1_000 },
    )
  })

  test('two are the same exactly when they print the same', () => {
    // Few bits and few ports, so that some are; and one bit of another, so that all words count.
    const near = fc.tuple(anySocketAddress, fc.nat(4), fc.nat(31)).map(([address, word, bit]) => {
      const one = packAddress(address)!
      const flip = (at: number, value: number) => (at === word ? value ^ (1 << bit) : value)
      const { a, b, c, d, port } = one
      const other = {
        a: flip(0, a),
        b: flip(1, b),
        c: flip(2, c),
        d: flip(3, d),
        port: word === 4 ? port ^ (1 << (bit & 15)) : port,
      }
      return [one, other] as const
    })
    fc.assert(
      fc.property(near, ([one, other]) => {
        expect(samePacked(one, { ...one })).toBe(true)
        expect(samePacked(one, other)).toBe(false)
      }),
    )
    fc.assert(
      fc.property(anySocketAddress, anySocketAddress, (one, other) => {
        const [left, right] = [packAddress(one)!, packAddress(other)!]
        expect(samePacked(left, right)).toBe(formatPacked(left) === formatPacked(right))
      }),
    )
  })

  test('a packed range holds what the range holds', () => {
    // Ranges around an address with a flipped bit: those that nearly hold it.
    const range = fc.tuple(anyIp, fc.nat(128), fc.nat(128))
    fc.assert(
      fc.property(range, anyIp, ([base, prefix, flipped], stranger) => {
        const width = base.family === 4 ? 32 : 128
        const text = formatCidr({ network: base, prefix: prefix % (width + 1) })
        const cidr = parseCidr(text.replace(/%\d+/, ''), 'clear')!
        const packed = packPrefix(cidr)
        const neighbour =
          base.family === 4
            ? ({ family: 4, bits: (base.bits ^ (1 << (flipped & 31))) >>> 0 } as const)
            : {
                ...base,
                groups: base.groups.map((group, at) =>
                  at === ((flipped >> 4) & 7) ? group ^ (1 << (flipped & 15)) : group,
                ),
              }
        for (const ip of [base, neighbour, stranger]) {
          const address = packAddress({ ip, port: 9 })
          if (address !== undefined) expect(inPrefix(packed, address)).toBe(contains(cidr, ip))
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([
    ['fe80::/64', 'fe80::1%2', true],
    ['fe80:0:0:2::/64', 'fe80::1%2', false],
    ['::/0', '10.0.0.1', false],
    ['::/96', '10.0.0.1', false],
    ['::/0', 'fe80::1%2', true],
    ['0.0.0.0/0', '::1', false],
    ['0.0.0.0/0', '::ffff:10.0.0.1', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.128/25', '10.0.0.129', true],
  ])('%s and %s: %s', (range, ip, expected) => {
    const address = packAddress({ ip: parseIp(ip)!, port: 1 })!
    expect(inPrefix(packPrefix(parseCidr(range)!), address)).toBe(expected)
  })
})
