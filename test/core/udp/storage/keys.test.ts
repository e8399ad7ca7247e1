import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PackedAddress, packIpv4 } from '../../../../core/net/packed-address.ts'
import { halfSipHash } from '../../../../core/udp/storage/half-siphash.ts'
import { KeyBuilder } from '../../../../core/udp/storage/keys.ts'
import { address } from '../rows.ts'
import { octetsOf, referenceHash } from './siphash-reference.ts'

/** Few values, so that two keys are often equal in most of what they are made of. */
const anyWord = fc.constantFrom(0, 1, -1, 0x0100_0000, -65_536, 0x0a00_0001)
const anyPort = fc.constantFrom(0, 1, 53, 256, 65_535)
const anyIpv4 = fc.tuple(anyWord, anyPort).map(([bits, port]) => packIpv4(bits, port))
const anyIpv6 = fc.record({ a: anyWord, b: anyWord, c: anyWord, d: anyWord, port: anyPort })
const anyAddress: fc.Arbitrary<PackedAddress> = fc.oneof(anyIpv4, anyIpv6)
const anyLocal = fc.constantFrom(0, 1, 255, 256, 4_095)
const anyBackend = fc.constantFrom(undefined, 0, 1, 256, 2 ** 24 - 1)
const anyOctets = fc.uint8Array({ maxLength: 18, min: 0, max: 2 })

interface Built {
  readonly words: readonly number[]
  readonly last: number
}

/** In a builder that held something else before. */
function built(fill: (key: KeyBuilder) => void): Built {
  const key = new KeyBuilder()
  key.words.fill(0x5555_5555)
  key.last = 5
  fill(key)
  return { words: [...key.words], last: key.last }
}

const octetsIn = ({ words, last }: Built): number[] => octetsOf(Int32Array.from(words), last)

/** Equal words exactly for equal keys; and the words are those that are hashed. */
function checkEncoding<Key>(any: fc.Arbitrary<Key>, fill: (key: Key) => (to: KeyBuilder) => void) {
  fc.assert(
    fc.property(any, any, (one, other) => {
      const [first, second] = [built(fill(one)), built(fill(other))]
      const isEqual = JSON.stringify(plain(one)) === JSON.stringify(plain(other))
      expect(JSON.stringify(first) === JSON.stringify(second)).toBe(isEqual)
      expect(first.words.slice(first.last + 1).every((word) => word === 0)).toBe(true)
      const words = Int32Array.from(first.words)
      expect(halfSipHash(words, 0, first.last, 1, 2) >>> 0).toBe(
        referenceHash(octetsIn(first), [1, 2]),
      )
    }),
    { numRuns: 2_000 },
  )
}

const plain = (key: unknown): unknown => (key instanceof Uint8Array ? [...key] : key)

describe('what flows are found by', () => {
  test('the octets of an IPv4 socket: address, port, number of the local address', () => {
    const key = built((to) => to.setSocket(address('10.1.2.3:4660'), 0x0605))
    expect(octetsIn(key)).toEqual([10, 1, 2, 3, 0x12, 0x34, 5, 6])
    expect(key.last).toBe(2)
  })

  test('the octets of an IPv6 socket', () => {
    const key = built((to) => to.setSocket(address('[102:304:506:708:90a:b0c:d0e:f10]:4660'), 1))
    const octets = Array.from({ length: 16 }, (_, at) => at + 1)
    expect(octetsIn(key)).toEqual([...octets, 0x12, 0x34, 1, 0])
    expect(key.last).toBe(5)
  })

  test('three octets more where each backend has a flow of its own', () => {
    const ipv4 = built((to) => to.setSocket(address('10.1.2.3:53'), 0, 0x030201))
    expect(octetsIn(ipv4)).toEqual([10, 1, 2, 3, 0, 53, 0, 0, 1, 2, 3])
    const ipv6 = built((to) => to.setSocket(address('[::1]:53'), 0, 7))
    expect(octetsIn(ipv6)).toEqual([...new Array(15).fill(0), 1, 0, 53, 0, 0, 7, 0, 0])
  })

  test('sockets: equal words exactly for equal addresses, ports, locals and backends', () => {
    checkEncoding(
      fc.record({ from: anyAddress, local: anyLocal, backend: anyBackend }),
      ({ from, local, backend }) =>
        (to) =>
          to.setSocket(from, local, backend),
    )
  })

  test('an IPv4 client is the same whichever socket reports it', () => {
    const plainly = built((to) => to.setSocket(address('10.0.0.1:53'), 3))
    const mapped = built((to) => to.setSocket(address('[::ffff:10.0.0.1]:53'), 3))
    expect(mapped).toEqual(plainly)
  })
})

describe('what clients are remembered by', () => {
  test('addresses: the port counts only where it is asked for', () => {
    const anyKey = fc.record({ from: anyAddress, withPort: fc.boolean() })
    const meant = ({ from, withPort }: { from: PackedAddress; withPort: boolean }) =>
      withPort ? { from, withPort } : { from: { ...from, port: 0 }, withPort }
    checkEncoding(anyKey.map(meant), ({ from, withPort }) => (to) => {
      to.setAddress(withPort ? from : { ...from, port: 4_242 }, withPort)
    })
  })

  test('4 or 16 octets of address, and 2 of port', () => {
    const octets = (text: string, withPort: boolean): number[] =>
      octetsIn(built((to) => to.setAddress(address(text), withPort)))
    expect(octets('10.1.2.3:4660', false)).toEqual([10, 1, 2, 3])
    expect(octets('10.1.2.3:4660', true)).toEqual([10, 1, 2, 3, 0x12, 0x34])
    expect(octets('[::1]:4660', false)).toEqual([...new Array(15).fill(0), 1])
    expect(octets('[::1]:4660', true)).toEqual([...new Array(15).fill(0), 1, 0x12, 0x34])
  })
})

describe("a caller's key", () => {
  test('equal words exactly for equal octets', () => {
    checkEncoding(anyOctets, (octets) => (to) => {
      expect(to.setOctets(octets)).toBe(true)
    })
  })

  test('the words are the octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 18 }), (octets) => {
        expect(octetsIn(built((to) => to.setOctets(octets)))).toEqual([...octets])
      }),
    )
  })

  test('no octets are a key like any other', () => {
    expect(built((to) => to.setOctets(new Uint8Array()))).toEqual({
      words: [0, 0, 0, 0, 0, 0],
      last: 0,
    })
  })

  test('18 octets are taken, 19 are not', () => {
    const key = new KeyBuilder()
    expect([key.setOctets(new Uint8Array(18)), key.setOctets(new Uint8Array(19))]).toEqual([
      true,
      false,
    ])
  })
})
