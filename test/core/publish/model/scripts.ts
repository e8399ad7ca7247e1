/** What may happen to a ledger: few ports, few addresses and few owners, so that they meet. */
import fc from 'fast-check'
import type { Claim, Tenancy, Wish } from '../../../../core/publish/claim.ts'
import type { Action } from './world.ts'

export type Script = readonly Action[]

const owner = fc.constantFrom('A', 'B', 'C')
const ids = ['c0', 'c1', 'c2', 'c3'] as const
const id = fc.constantFrom(...ids)
const replica = fc.constantFrom('r1', 'r2')
const pick = fc.nat({ max: 20 })
const host = fc.constantFrom(
  '127.0.0.1',
  '127.0.0.1',
  '10.0.0.1',
  '0.0.0.0',
  '0.0.0.0',
  '::1',
  '::',
  '::ffff:10.0.0.1',
)

const tenancy = fc.constantFrom<(Tenancy | undefined)[]>(
  undefined,
  undefined,
  { tls: true, route: 'a' },
  { tls: true, route: 'b' },
  { tls: true, route: 'c' },
  { tls: true, route: 'c', terms: 'other' },
  { tls: false, route: 'a' },
)

const claim = (name: string): fc.Arbitrary<Claim> =>
  fc
    .record({
      host,
      port: fc.constantFrom(0, 1, 1, 2, 2, 3),
      namespace: fc.constantFrom('tcp' as const, 'tcp' as const, 'tcp' as const, 'udp' as const),
      bind: fc.constantFrom(
        'always' as const,
        'always' as const,
        'published' as const,
        'never' as const,
      ),
      isV6Only: fc.constantFrom(undefined, true, false),
      isOptional: fc.constantFrom(undefined, true),
      tenancy,
    })
    .map(({ isV6Only, isOptional, tenancy, ...rest }) => ({
      id: name,
      ...rest,
      ...(isV6Only === undefined ? {} : { isV6Only }),
      ...(isOptional === undefined ? {} : { isOptional }),
      ...(tenancy === undefined ? {} : { tenancy }),
    }))

const claims: fc.Arbitrary<Claim[]> = fc
  .tuple(...ids.map((each) => fc.option(claim(each), { nil: undefined, freq: 2 })))
  .map((all) => all.flatMap((each) => each ?? []))

const wishes: fc.Arbitrary<Wish[]> = fc.uniqueArray(fc.record({ owner, claims }), {
  selector: (each) => each.owner,
  minLength: 1,
  maxLength: 3,
  size: 'max',
})

const oneWish = fc.record({ owner, claims: claims.map((all) => all.slice(0, 2)) })

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: wishes.map((all): Action => ({ type: 'claim', wishes: all })) },
  { weight: 5, arbitrary: oneWish.map((one): Action => ({ type: 'claim', wishes: [one] })) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('publish' as const), owner, claim: id, id: replica }),
  },
  {
    weight: 3,
    arbitrary: fc.record(
      { type: fc.constant('withdraw' as const), owner, id: replica, claim: id },
      { requiredKeys: ['type', 'owner', 'id'] },
    ),
  },
  {
    weight: 12,
    arbitrary: fc.record({ type: fc.constant('work' as const), pick, skips: fc.boolean() }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ type: fc.constant('answer' as const), pick, twice: fc.boolean() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('stranger' as const),
      host,
      port: fc.constantFrom(1, 2, 3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('stranger-leaves' as const), pick }),
  },
  { weight: 1, arbitrary: fc.boolean().map((is): Action => ({ type: 'ipv6', is })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1, 1, 2, 4).map((port): Action => ({ type: 'pick-from', port })),
  },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(-100, 0, 0, 1, 700)
      .map((lateMs): Action => ({ type: 'tick', lateMs })),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('kept' as const, 'kept' as const, 'lost' as const)
      .map((sockets): Action => ({ type: 'restore', sockets })),
  },
)

export const scripts: fc.Arbitrary<Script> = fc.array(action, { maxLength: 80, size: 'max' })
