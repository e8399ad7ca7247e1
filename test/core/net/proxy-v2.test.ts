import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseSocketAddress } from '../../../core/net/address.ts'
import {
  formatPacked,
  isIpv4,
  type PackedAddress,
  packAddress,
} from '../../../core/net/packed-address.ts'
import {
  localHeader,
  proxyHeader,
  proxyHeaderLength,
  readProxyHeader,
} from '../../../core/net/proxy-v2.ts'
import { anyPacked } from './any-address.ts'

const packed = (text: string): PackedAddress => {
  const parsed = parseSocketAddress(text)
  const address = parsed && packAddress(parsed)
  if (address === undefined) throw new Error(`not an address: ${text}`)
  return address
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex')

const SIGNATURE = '0d0a0d0a000d0a515549540a'
const V4_BLOCK = '7d190a01 0a040508 1f90 1068'
const V6_BLOCK = `${'00'.repeat(15)}01 ${'00'.repeat(15)}01 1f90 1068`

describe('proxyHeader', () => {
  test.each([
    {
      name: 'udp 8: vector 1, IPv4, 28 bytes',
      from: '125.25.10.1:8080',
      to: '10.4.5.8:4200',
      header: `${SIGNATURE} 21 12 000c ${V4_BLOCK}`,
    },
    {
      name: 'udp 8: vector 2, IPv6, 52 bytes',
      from: '[::1]:8080',
      to: '[::1]:4200',
      header: `${SIGNATURE} 21 22 0024 ${V6_BLOCK}`,
    },
    {
      name: 'udp W26: an IPv4 client that contacted an IPv6 address is not lost',
      from: '1.2.3.4:1',
      to: '[::1]:2',
      header: `${SIGNATURE} 21 22 0024 ${'00'.repeat(10)}ffff01020304 ${'00'.repeat(15)}01 0001 0002`,
    },
    {
      name: 'udp W26: an IPv6 client that contacted an IPv4 address is not lost',
      from: '[2001:db8::ff]:65535',
      to: '255.254.253.252:256',
      header: `${SIGNATURE} 21 22 0024 20010db8${'00'.repeat(11)}ff ${'00'.repeat(10)}fffffffefdfc ffff 0100`,
    },
    {
      name: 'an IPv4-mapped client is an IPv4 client',
      from: '[::ffff:125.25.10.1]:8080',
      to: '10.4.5.8:4200',
      header: `${SIGNATURE} 21 12 000c ${V4_BLOCK}`,
    },
    {
      name: 'the number of an interface stays here',
      from: '[fe80::1%7]:1',
      to: '[fe80::2%2147483647]:2',
      header: `${SIGNATURE} 21 22 0024 fe80${'00'.repeat(13)}01 fe80${'00'.repeat(13)}02 0001 0002`,
    },
  ])('$name', ({ from, to, header }) => {
    expect(hex(proxyHeader(packed(from), packed(to), 'dgram'))).toBe(hex(bytes(header)))
  })

  test('streams differ in one byte', () => {
    const [four, six] = [packed('1.2.3.4:5'), packed('[::1]:6')]
    expect(proxyHeader(four, four, 'stream')[13]).toBe(0x11)
    expect(proxyHeader(six, six, 'stream')[13]).toBe(0x21)
    expect(proxyHeader(six, four, 'stream')[13]).toBe(0x21)
  })
})

test('who does not know its client says so in 16 bytes', () => {
  expect(hex(localHeader())).toBe(`${SIGNATURE}20000000`)
  const header = { length: 16, announced: undefined, transport: 'unspecified' }
  expect(readProxyHeader(localHeader())).toEqual(header)
})

describe('proxyHeaderLength: how much of a stream to wait for', () => {
  test.each([
    ['nothing yet', '', 'partial'],
    ['half a signature', SIGNATURE.slice(0, 12), 'partial'],
    ['all but the last byte of the length', `${SIGNATURE} 21 11 00`, 'partial'],
    ['the length, and nothing of what it counts', `${SIGNATURE} 21 11 000c`, 28],
    ['the longest there can be', `${SIGNATURE} 21 11 ffff`, 65_551],
    ['more than the header', `${SIGNATURE} 20 00 0000 616263`, 16],
    ['another first byte', '47', 'none'],
    ['another byte somewhere in the signature', '0d0a0d0b', 'none'],
    ['version 1', '50524f585920', 'none'],
  ] as const)('%s', (_, begin, length) => {
    expect(proxyHeaderLength(bytes(begin))).toBe(length)
  })
})

describe('readProxyHeader', () => {
  const nothing = (length: number) => ({ length, announced: undefined, transport: 'unspecified' })

  test.each([
    ['empty', ''],
    ['anything else', '00'],
    ['half a signature', SIGNATURE.slice(0, 22)],
    ['a signature with its last byte wrong', `${SIGNATURE.slice(0, 22)}0b 21 12 000c ${V4_BLOCK}`],
    ['version 1', Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n').toString('hex')],
  ])('none: %s', (_, payload) => {
    expect(readProxyHeader(bytes(payload))).toBe('none')
  })

  test.each([
    ['version 1 in binary', `11 12 000c ${V4_BLOCK}`],
    ['version 3', `31 12 000c ${V4_BLOCK}`],
    ['an unknown command', `22 12 000c ${V4_BLOCK}`],
    ['an unknown family', `21 42 000c ${V4_BLOCK}`],
    ['an unknown transport', `21 13 000c ${V4_BLOCK}`],
    ['addresses without a transport', `21 10 000c ${V4_BLOCK}`],
    ['a transport without addresses', '21 02 0000'],
    ['a Unix stream', `21 31 00d8 ${'00'.repeat(216)}`],
    ['a Unix datagram socket', `21 32 00d8 ${'00'.repeat(216)}`],
    ['a block too short for IPv4', `21 12 000b ${V4_BLOCK}`],
    ['a block too short for IPv6', `21 22 0023 ${V6_BLOCK}`],
    ['IPv4 addresses called IPv6', `21 22 000c ${V4_BLOCK}`],
    ['extensions beyond the end', `21 12 000d ${V4_BLOCK}`],
    ['no room for UNSPEC to have its length', '21 00 0001'],
    ['LOCAL cut short', '20 00 0004 010203'],
    // RFC 4291, 2.5.6: these bits are zero, and what we use them for is not the proxy's to say
    ['a link-local source with an interface', `21 22 0024 fe800000 00000007${V6_BLOCK.slice(16)}`],
  ])('malformed: %s', (_, rest) => {
    expect(readProxyHeader(bytes(SIGNATURE + rest))).toBe('malformed')
  })

  test.each([
    ['LOCAL, no addresses', '20 00 0000', 16],
    ['LOCAL, addresses to be ignored', `20 12 000c ${V4_BLOCK}`, 28],
    ['LOCAL, a family to be ignored', '20 31 0000', 16],
    ['UNSPEC', '21 00 0000', 16],
    ['UNSPEC with extensions', '21 00 0003 aabbcc', 19],
  ])('nothing announced: %s', (_, rest, length) => {
    expect(readProxyHeader(bytes(SIGNATURE + rest))).toEqual(nothing(length))
    expect(readProxyHeader(bytes(`${SIGNATURE + rest} 0102`))).toEqual(nothing(length))
  })

  test('extensions are skipped, the payload begins behind them', () => {
    const header = bytes(`${SIGNATURE} 21 12 0010 ${V4_BLOCK} 04000101 ff`)
    expect(readProxyHeader(header)).toEqual({
      length: 32,
      announced: { source: packed('125.25.10.1:8080'), destination: packed('10.4.5.8:4200') },
      transport: 'dgram',
    })
  })

  test('a stream says so', () => {
    expect(readProxyHeader(bytes(`${SIGNATURE} 21 11 000c ${V4_BLOCK}`))).toMatchObject({
      transport: 'stream',
    })
  })

  test('a view into a larger buffer is read from its own beginning', () => {
    const buffer = bytes(`ffff ${SIGNATURE} 21 12 000c ${V4_BLOCK} ee`)
    expect(readProxyHeader(buffer.subarray(2))).toMatchObject({ length: 28 })
    expect(readProxyHeader(buffer.subarray(2, 29))).toBe('malformed')
  })
})

describe('properties', () => {
  const transport = fc.constantFrom('dgram' as const, 'stream' as const)

  test('what is announced is what is read, whole, cut anywhere, and with trailing bytes', () => {
    fc.assert(
      fc.property(anyPacked, anyPacked, transport, fc.uint8Array(), (from, to, kind, rest) => {
        const header = proxyHeader(from, to, kind)
        const expected = {
          length: isIpv4(from) && isIpv4(to) ? 28 : 52,
          announced: { source: withoutZone(from), destination: withoutZone(to) },
          transport: kind,
        }
        expect(readProxyHeader(header)).toEqual(expected)
        expect(readProxyHeader(Buffer.concat([header, rest]))).toEqual(expected)
        for (let cut = 0; cut < header.length; cut++) {
          expect(readProxyHeader(header.subarray(0, cut))).toBe(cut < 12 ? 'none' : 'malformed')
        }
      }),
    )
  })

  test('no bytes throw, and a header never ends behind the payload', () => {
    const beginning = fc.constantFrom('', SIGNATURE, `${SIGNATURE}21`, `${SIGNATURE}2112000c`)
    fc.assert(
      fc.property(beginning, fc.uint8Array({ maxLength: 64 }), (start, rest) => {
        const payload = Buffer.concat([bytes(start), rest])
        const read = readProxyHeader(payload)
        if (typeof read === 'string') return
        expect(read.length).toBeGreaterThanOrEqual(16)
        expect(read.length).toBeLessThanOrEqual(payload.length)
      }),
      { numRuns: 2_000 },
    )
  })
})

const withoutZone = (address: PackedAddress): PackedAddress =>
  packed(formatPacked(address).replace(/%\d+/, ''))
