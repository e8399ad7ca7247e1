import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BackendGroup, type Member } from '../../../core/balance/group.ts'
import { checkInvariants } from '../../../core/balance/invariants.ts'
import { type StrategyName, strategyNamed } from '../../../core/balance/strategies.ts'

const backends = (...ids: readonly string[]) =>
  ids.map((id, at) => ({ id, host: '127.0.0.1', port: 1_000 + at }))

test('what is chosen from now on is chosen the new way; lives stay where they are', () => {
  const group = new BackendGroup()
  group.apply(1, backends('a', 'b', 'c'))
  for (let each = 0; each < 5; each++) group.choose()
  expect(['a', 'b', 'c'].map((id) => group.liveOn(id))).toEqual([2, 2, 1])
  group.rebalance({ strategy: strategyNamed('least_connections', 1) })
  expect(['a', 'b', 'c'].map((id) => group.liveOn(id))).toEqual([2, 2, 1])
  expect(group.choose()?.backend.id).toBe('c')
  checkInvariants(group)
})

test('failing closed takes effect at once, and failing open again too', () => {
  const group = new BackendGroup({ failOpen: true })
  group.apply(1, [{ id: 'a', host: '127.0.0.1', port: 1, down: true }])
  expect(group.choose()?.backend.id).toBe('a')
  group.rebalance({ failOpen: false })
  expect(group.choose()).toBeUndefined()
  group.rebalance({ failOpen: true })
  expect(group.choose()?.backend.id).toBe('a')
})

test('property: whenever it comes, every life is released where it was, and a full one is passed over', () => {
  const names = ['round_robin', 'least_connections', 'power_of_two', 'hrw', 'maglev'] as const
  const acts = fc.oneof(
    fc.record({ do: fc.constant('choose' as const) }),
    fc.record({ do: fc.constant('release' as const), pick: fc.nat() }),
    fc.record({
      do: fc.constant('rebalance' as const),
      name: fc.constantFrom<StrategyName>(...names),
    }),
    fc.record({
      do: fc.constant('apply' as const),
      ids: fc.subarray(['a', 'b', 'c', 'd']),
    }),
  )
  fc.assert(
    fc.property(fc.array(acts, { maxLength: 80 }), (script) => {
      const group = new BackendGroup()
      group.limit(2)
      let version = 0
      const lives: Member[] = []
      for (const act of script) {
        if (act.do === 'apply') group.apply(++version, backends(...act.ids))
        else if (act.do === 'rebalance') group.rebalance({ strategy: strategyNamed(act.name, 7) })
        else if (act.do === 'choose') {
          const member = group.choose()
          expect(member === undefined).toBe(!hasRoom(group, lives))
          if (member !== undefined) lives.push(member)
        } else {
          const [member] = lives.splice(act.pick % Math.max(1, lives.length), 1)
          if (member !== undefined) group.release(member)
        }
        checkInvariants(group)
        for (const member of lives) expect(member.live).toBeLessThanOrEqual(2)
      }
    }),
  )
})

/** Some backend of the set has fewer than two. */
function hasRoom(group: BackendGroup, lives: readonly Member[]): boolean {
  return [...group.state.serving.values()].some(
    (member) => lives.filter((each) => each === member).length < 2,
  )
}
