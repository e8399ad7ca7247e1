/** HAProxy's `proxy-protocol.txt`, section 2.1: the human-readable header. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatIp } from '../../../core/net/address.ts'
import { formatPacked, unpackAddress, unscopedB } from '../../../core/net/packed-address.ts'
import { PROXY_LINE_BYTES_MAX, readProxyLine } from '../../../core/net/proxy-v1.ts'
import { anyPacked } from './any-address.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

/** What is announced, as people write it; what the reader says where that is nothing. */
function announced(text: string): string {
  const header = readProxyLine(bytes(text))
  if (typeof header === 'string') return header
  if (header.announced === undefined) return `${header.length}: ${header.transport}`
  const { source, destination } = header.announced
  return `${header.length}: ${formatPacked(source)} -> ${formatPacked(destination)}`
}

const FULL_IPV6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

describe('lines as they should be', () => {
  test.each([
    [
      'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n',
      '56: 255.255.255.255:65535 -> 255.255.255.255:65535',
    ],
    [
      'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n',
      '47: 192.168.0.1:56324 -> 192.168.0.11:443',
    ],
    ['PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n', '32: 0.0.0.0:0 -> 0.0.0.0:0'],
    [
      `PROXY TCP6 ${FULL_IPV6} ${FULL_IPV6} 65535 65535\r\n`,
      `104: [${FULL_IPV6}]:65535 -> [${FULL_IPV6}]:65535`,
    ],
    ['PROXY TCP6 2001:DB8::7 ::1 1 2\r\n', '32: [2001:db8::7]:1 -> [::1]:2'],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n', '37: 192.0.2.7:1 -> [::1]:2'],
    ['PROXY UNKNOWN\r\n', '15: unspecified'],
    ['PROXY UNKNOWN\r\nGET /', '15: unspecified'],
    [`PROXY UNKNOWN ${FULL_IPV6} ${FULL_IPV6} 65535 65535\r\n`, '107: unspecified'],
    ['PROXY UNKNOWN and whatever \xff\x00 may be here\r\n', '43: unspecified'],
  ])('%j', (line, expected) => {
    expect(announced(line)).toBe(expected)
  })

  test('the transport is a stream', () => {
    expect(readProxyLine(bytes('PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n'))).toMatchObject({
      transport: 'stream',
    })
  })
})

describe('lines that are not', () => {
  test.each([
    ['another protocol', 'PROXY TCP5 1.2.3.4 5.6.7.8 9 10\r\n'],
    ['UDP', 'PROXY UDP4 1.2.3.4 5.6.7.8 9 10\r\n'],
    ['a protocol in lower case', 'PROXY tcp4 1.2.3.4 5.6.7.8 9 10\r\n'],
    ['no protocol', 'PROXY \r\n'],
    ['UNKNOWN with something glued to it', 'PROXY UNKNOWNS\r\n'],
    ['an IPv6 address as TCP4', 'PROXY TCP4 ::1 5.6.7.8 9 10\r\n'],
    ['an IPv4 address as TCP6', 'PROXY TCP6 1.2.3.4 5.6.7.8 9 10\r\n'],
    ['one of each', 'PROXY TCP6 ::1 5.6.7.8 9 10\r\n'],
    ['leading zeros in an address', 'PROXY TCP4 1.2.3.04 5.6.7.8 9 10\r\n'],
    ['leading zeros in a port', 'PROXY TCP4 1.2.3.4 5.6.7.8 09 10\r\n'],
    ['a port above 65535', 'PROXY TCP4 1.2.3.4 5.6.7.8 9 65536\r\n'],
    ['a negative port', 'PROXY TCP4 1.2.3.4 5.6.7.8 -1 10\r\n'],
    ['an address with a zone', 'PROXY TCP6 fe80::1%2 ::1 9 10\r\n'],
    [
      'a link-local address with bits where an interface goes',
      'PROXY TCP6 fe80:0:0:7::1 ::1 9 10\r\n',
    ],
    ['two spaces', 'PROXY TCP4  1.2.3.4 5.6.7.8 9 10\r\n'],
    ['a space at the end', 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10 \r\n'],
    ['a tab', 'PROXY TCP4\t1.2.3.4 5.6.7.8 9 10\r\n'],
    ['a port missing', 'PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n'],
    ['something more', 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10 11\r\n'],
    ['LF alone', 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\n'],
    ['CR alone', 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\rG'],
    ['LF alone in what is ignored', 'PROXY UNKNOWN a\nb\r\n'],
    ['CR alone in what is ignored', 'PROXY UNKNOWN a\rb\r\n'],
    ['two CR', 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\r\n'],
    ['107 bytes without an end', `PROXY UNKNOWN ${'x'.repeat(93)}`],
    ['an end in the 108th byte', `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`],
  ])('%s: malformed', (_, line) => {
    expect(announced(line)).toBe('malformed')
  })

  test.each([
    ['GET / HTTP/1.1\r\n'],
    ['PROXZ'],
    ['proxy TCP4 1.2.3.4 5.6.7.8 9 10\r\n'],
    ['PROXY\r\n'],
    ['PROXY\tTCP4 1.2.3.4 5.6.7.8 9 10\r\n'],
    [' PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n'],
    ['\x16\x03\x01'],
  ])('%j is no such line at all', (line) => {
    expect(announced(line)).toBe('none')
  })

  test.each([[''], ['P'], ['PROXY'], ['PROXY '], ['PROXY TCP4 1.2.3.4'], ['PROXY UNKNOWN\r']])(
    '%j may yet become one',
    (line) => {
      expect(announced(line)).toBe('partial')
    },
  )
})

describe('whatever comes', () => {
  /** Without an interface, which is never written. */
  const anyUnscoped = anyPacked.map((address) => ({ ...address, b: unscopedB(address) }))
  const isV6 = (text: string): boolean => text.includes(':')

  test('what a proxy writes is read, and until then every beginning of it is partial', () => {
    fc.assert(
      fc.property(anyUnscoped, anyUnscoped, fc.string(), (source, destination, rest) => {
        const { ip: from, port: fromPort } = unpackAddress(source)
        const { ip: to, port: toPort } = unpackAddress(destination)
        const texts = [formatIp(from), formatIp(to)]
        // Of a mixed pair the IPv4 one is written as IPv6 can write it.
        const both6 = texts.some(isV6)
        const [a, b] = both6 ? texts.map((each) => (isV6(each) ? each : `::ffff:${each}`)) : texts
        const line = `PROXY TCP${both6 ? 6 : 4} ${a} ${b} ${fromPort} ${toPort}\r\n`
        expect(readProxyLine(bytes(line + rest))).toEqual({
          length: line.length,
          announced: { source, destination },
          transport: 'stream',
        })
        for (let at = 0; at < line.length; at++) {
          expect(readProxyLine(bytes(line.slice(0, at)))).toBe('partial')
        }
      }),
    )
  })

  test('it never throws, and never waits for more than 107 bytes', () => {
    const begin = fc.constantFrom(
      '',
      'PROXY ',
      'PROXY TCP4 ',
      'PROXY TCP6 1.2.3.4 ',
      'PROXY UNKNOWN ',
    )
    fc.assert(
      fc.property(begin, fc.uint8Array({ maxLength: 120 }), (text, rest) => {
        const all = Buffer.concat([bytes(text), rest])
        const header = readProxyLine(all)
        if (header === 'partial') expect(all.length).toBeLessThan(PROXY_LINE_BYTES_MAX)
        if (typeof header === 'string') return
        expect(header.length).toBeLessThanOrEqual(PROXY_LINE_BYTES_MAX)
        expect(all.subarray(header.length - 2, header.length).toString()).toBe('\r\n')
      }),
      { numRuns: 2000 },
    )
  })
})
