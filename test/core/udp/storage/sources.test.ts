import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BackendGroup, type Member } from '../../../../core/balance/group.ts'
import { formatPacked, type PackedAddress } from '../../../../core/net/packed-address.ts'
import { halfSipHash } from '../../../../core/udp/storage/half-siphash.ts'
import { KeyBuilder } from '../../../../core/udp/storage/keys.ts'
import { Sources } from '../../../../core/udp/storage/sources.ts'
import { address, backend } from '../rows.ts'

const [A, B] = ((): Member[] => {
  const group = new BackendGroup()
  group.apply(1, [backend('A'), backend('B')])
  return [group.find('A')!, group.find('B')!]
})() as [Member, Member]

const sourcesWith = (seed = 1): Sources => new Sources([seed, 2])

describe('a source', () => {
  test('is an address, whatever the port', () => {
    const sources = sourcesWith()
    const source = sources.enter(address('10.0.0.1:1000'))
    expect(sources.enter(address('10.0.0.1:2000'))).toBe(source)
    expect(sources.find(address('[::ffff:10.0.0.1]:3'))).toBe(source)
    expect(sources.find(address('10.0.0.2:1000'))).toBe(-1)
    expect([sources.flowsOf(source), sources.size]).toEqual([2, 1])
  })

  test('of a link-local address is its interface too', () => {
    const sources = sourcesWith()
    const source = sources.enter(address('[fe80::1%2]:1000'))
    expect(sources.find(address('[fe80::1%3]:1000'))).toBe(-1)
    expect(sources.find(address('[fe80::1%2]:1'))).toBe(source)
  })

  test('is forgotten with its last flow, and its backend with it', () => {
    const sources = sourcesWith()
    const client = address('[2001:db8::1]:1000')
    const source = sources.enter(client)
    sources.enter(client)
    sources.setMember(source, A)
    sources.leave(source)
    expect([sources.find(client), sources.memberOf(source)]).toEqual([source, A])
    sources.leave(source)
    expect([sources.find(client), sources.size, sources.memberOf(source)]).toEqual([
      -1,
      0,
      undefined,
    ])
    // Whoever comes next in the same place begins without one.
    expect(sources.enter(address('10.0.0.9:1'))).toBe(source)
    expect(sources.memberOf(source)).toBe(undefined)
  })
})

test('two addresses with one hash are two sources', () => {
  const seed = [1, 2] as const
  const key = new KeyBuilder()
  const byHash = new Map<number, PackedAddress>()
  const pairs: (readonly [PackedAddress, PackedAddress])[] = []
  const first = address('[2001:db8::]:1')
  for (let number = 0; pairs.length < 2; number++) {
    const next = { ...first, d: number }
    key.setAddress(next, false)
    const hash = halfSipHash(key.words, 0, key.last, ...seed)
    const other = byHash.get(hash)
    if (other !== undefined) pairs.push([other, next])
    byHash.set(hash, next)
  }
  for (const [one, other] of pairs) {
    const sources = new Sources(seed)
    const source = sources.enter(one)
    expect(sources.find(other)).toBe(-1)
    expect(sources.enter(other)).not.toBe(source)
    sources.leave(source)
    expect([sources.find(one), sources.flowsOf(sources.find(other))]).toEqual([-1, 1])
  }
})

/** Sources whose four last octets, or all but those, are alike. */
const CLIENTS = [
  '10.0.0.1:1',
  '10.0.0.1:2',
  '10.0.0.2:1',
  '0.0.0.0:1',
  '[::]:1',
  '[::1]:1',
  '[::2]:1',
  '[::a00:1]:1',
  '[2001:db8::1]:1',
  '[2001:db8::1]:2',
  '[2001:db8:0:1::1]:1',
].map(address)

type Step =
  | { readonly type: 'enter'; readonly client: PackedAddress }
  | { readonly type: 'leave'; readonly client: PackedAddress }
  | { readonly type: 'set'; readonly client: PackedAddress; readonly member: Member | undefined }

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constantFrom('enter' as const, 'leave' as const),
    client: fc.constantFrom(...CLIENTS),
  }),
  fc.record({
    type: fc.constant('set' as const),
    client: fc.constantFrom(...CLIENTS),
    member: fc.constantFrom(A, B, undefined),
  }),
)

const hostOf = (client: PackedAddress): string => formatPacked({ ...client, port: 0 })

test('any course of flows is counted as a plain map would count it', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 100 }), fc.integer(), (steps, seed) => {
      const sources = sourcesWith(seed | 0)
      const plain = new Map<string, { flows: number; member: Member | undefined }>()
      for (const step of steps) {
        const { client } = step
        const known = plain.get(hostOf(client))
        if (step.type === 'enter') {
          const source = sources.enter(client)
          plain.set(hostOf(client), {
            flows: (known?.flows ?? 0) + 1,
            member: known?.member,
          })
          expect(sources.find(client)).toBe(source)
        } else if (known !== undefined && step.type === 'set') {
          sources.setMember(sources.find(client), step.member)
          known.member = step.member
        } else if (known !== undefined) {
          sources.leave(sources.find(client))
          known.flows -= 1
          if (known.flows === 0) plain.delete(hostOf(client))
        }
        expect(sources.size).toBe(plain.size)
        for (const each of CLIENTS) {
          const source = sources.find(each)
          const expected = plain.get(hostOf(each))
          expect(source >= 0).toBe(expected !== undefined)
          if (expected === undefined) continue
          const { flows, member } = expected
          expect([sources.flowsOf(source), sources.memberOf(source)]).toEqual([flows, member])
        }
      }
    }),
  )
})

test('many sources are each found, and all are gone in the end', () => {
  const sources = sourcesWith()
  const clients = Array.from({ length: 5_000 }, (_, at) => address(`10.0.${at >> 8}.${at & 255}:1`))
  const entered = clients.map((client) => sources.enter(client))
  expect(clients.map((client) => sources.find(client))).toEqual(entered)
  for (const source of entered) sources.leave(source)
  expect(sources.size).toBe(0)
  expect(clients.filter((client) => sources.find(client) !== -1)).toEqual([])
})
