import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AFFINITY_SEED,
  AffinityHash,
  compareHashes,
  moduloOf,
} from '../../../../core/balance/affinity/hash.ts'
import { identified } from '../../../../core/balance/affinity/identity.ts'
import type { AffinityKey } from '../../../../core/balance/strategy.ts'
import { key, memberOf } from '../members.ts'

const identityOf = (host: string, port: number): Uint8Array =>
  identified([memberOf({ id: 'any', host, port })])[0]!.identity

const bits = ({ high, low }: AffinityKey): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)

const words = (value: bigint): AffinityKey => ({
  high: Number(value >> 32n) | 0,
  low: Number(value & 0xffff_ffffn) | 0,
})

const MASK = 2n ** 64n - 1n

/** Section 6 of the sheet, word for word, in BigInt. */
function slowHash(seed: bigint, hashed: bigint, octets: Uint8Array): bigint {
  let state = 0xcbf29ce484222325n ^ seed
  const feed = (octet: bigint): void => {
    state = ((state ^ octet) * 0x100000001b3n) & MASK
  }
  for (let at = 0n; at < 8n; at++) feed((hashed >> (8n * at)) & 0xffn)
  for (const octet of octets) feed(BigInt(octet))
  state ^= state >> 30n
  state = (state * 0xbf58476d1ce4e5b9n) & MASK
  state ^= state >> 27n
  state = (state * 0x94d049bb133111ebn) & MASK
  return state ^ (state >> 31n)
}

describe('the hash of a key and a backend', () => {
  test.each([
    [key(0), '127.0.0.1', 8000, '29aa65cb6b4a82a9'],
    [key(42), '127.0.0.1', 8000, '1aa030f7dd7a98eb'],
    [key(42), '127.0.0.2', 8001, '19246886cfefa157'],
    [key(0x01234567, 0xdeadbeef), '10.0.0.10', 53, '070ef3b49e56603f'],
    [key(42), '::1', 53, '7546bb33d16ab327'],
    [key(42), '2001:db8::1', 4200, 'ecb68f9556012977'],
  ])('udp W28: %j with %s port %i is %s, as everywhere', (hashed, host, port, hex) => {
    const hash = new AffinityHash().begin(AFFINITY_SEED, hashed)
    hash.add(identityOf(host, port)).finish()
    expect(bits(hash).toString(16).padStart(16, '0')).toBe(hex)
  })

  test('is what the definition says, of any seed, key and octets', () => {
    const word64 = fc.bigInt(0n, MASK)
    const octets = fc.uint8Array({ maxLength: 24 })
    const hash = new AffinityHash()
    fc.assert(
      fc.property(word64, word64, octets, (seed, hashed, more) => {
        const kept = hash.begin(words(seed), words(hashed)).add(more.subarray(0, 3))
        const gone = new AffinityHash().from(kept).add(more.subarray(3)).finish()
        expect(bits(gone)).toBe(slowHash(seed, hashed, more))
      }),
    )
  })

  test('words count the same with a sign and without', () => {
    const hashOf = (each: AffinityKey): bigint =>
      bits(new AffinityHash().begin(AFFINITY_SEED, each).finish())
    expect(hashOf({ high: -1, low: -2 })).toBe(hashOf({ high: 0xffffffff, low: 0xfffffffe }))
  })

  test('comparison and remainder are those of unsigned 64 bits', () => {
    const word64 = fc.bigInt(0n, MASK)
    const divisor = fc.integer({ min: 1, max: 2 ** 21 })
    fc.assert(
      fc.property(word64, word64, divisor, (one, other, by) => {
        expect(Math.sign(compareHashes(words(one), words(other)))).toBe(
          one < other ? -1 : one > other ? 1 : 0,
        )
        expect(moduloOf(words(one), by)).toBe(Number(one % BigInt(by)))
      }),
    )
  })
})

describe('the identity of a backend', () => {
  test.each([
    ['10.0.0.1', 258, [4, 10, 0, 0, 1, 2, 1]],
    ['::ffff:10.0.0.1', 258, [4, 10, 0, 0, 1, 2, 1]],
    ['::1', 53, [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 53, 0]],
    ['db', 53, [0, 100, 0, 98, 0, 53, 0]],
  ])('of %s port %i', (host, port, octets) => {
    expect([...identityOf(host, port)]).toEqual(octets)
  })

  test('one address written in two ways is one identity, two zones are two', () => {
    expect(identityOf('2001:DB8:0::1', 53)).toEqual(identityOf('2001:db8::1', 53))
    expect(identityOf('fe80::1%1', 53)).not.toEqual(identityOf('fe80::1%2', 53))
  })

  test('the order is by address, then port, then id, whoever was registered first', () => {
    const backends = [
      ['b', '10.0.0.9', 53],
      ['a', '10.0.0.10', 53],
      ['z', '10.0.0.10', 300],
      ['y', '10.0.0.10', 300],
      ['m', '::1', 53],
      ['c', 'db.internal', 53],
    ] as const
    const members = backends.map(([id, host, port], index) => memberOf({ id, host, port }, index))
    const order = (of: typeof members): string =>
      identified(of)
        .map(({ member }) => member.backend.id)
        .join('')
    expect(order(members)).toBe('cbayzm')
    fc.assert(
      fc.property(fc.shuffledSubarray(members, { minLength: members.length }), (shuffled) => {
        expect(order(shuffled)).toBe('cbayzm')
      }),
    )
  })

  test('udp W34: of several ids on one address the first is as if alone, the others are told apart', () => {
    const twins = ['b', 'c', 'a'].map((id, i) => memberOf({ id, host: '10.0.0.1', port: 53 }, i))
    const all = identified(twins)
    expect(all.map(({ member }) => member.backend.id)).toEqual(['a', 'b', 'c'])
    const alone = [4, 10, 0, 0, 1, 53, 0]
    expect(all.map(({ identity }) => [...identity])).toEqual([
      alone,
      [...alone, 1, 0, 0, 0],
      [...alone, 2, 0, 0, 0],
    ])
  })
})
