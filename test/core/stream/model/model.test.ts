import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type StrategyName, strategyNamed } from '../../../../core/balance/strategies.ts'
import type { WhenEmpty } from '../../../../core/stream/events.ts'
import type { StreamConfig } from '../../../../core/stream/state.ts'
import { POLICIES } from './use-watch.ts'
import { BACKENDS, World } from './world.ts'

type Action =
  | { readonly type: 'act'; readonly choice: number }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'set'; readonly ids: readonly string[]; readonly whenEmpty: WhenEmpty }
  | { readonly type: 'cut'; readonly id: string }
  | { readonly type: 'configure'; readonly config: StreamConfig }
  | { readonly type: 'rebalance'; readonly strategy: StrategyName }
  | { readonly type: 'close' }

const config: fc.Arbitrary<StreamConfig> = fc.record({
  connectTimeoutMs: fc.integer({ min: 1, max: 100 }),
  connectAttemptsMax: fc.integer({ min: 1, max: 4 }),
  idleTimeoutMs: fc.constantFrom(50, 300),
  connectionsMax: fc.integer({ min: 1, max: 6 }),
  connectionsPerBackendMax: fc.nat(2),
  proxyProtocol: fc.boolean(),
  upstreamTls: fc.constant(false),
  access: fc.constantFrom(...POLICIES.keys()),
  heldMax: fc.nat(3),
  holdTimeoutMs: fc.nat(200),
  idleAfterMs: fc.constantFrom(0, 20, 400),
})

const ids = fc.constantFrom(...BACKENDS)
const whenEmpty = fc.constantFrom<WhenEmpty>('hold', 'refuse')
const set = fc.record({ type: fc.constant('set'), ids: fc.uniqueArray(ids), whenEmpty })
const emptySet = fc.record({ type: fc.constant('set'), ids: fc.constant([]), whenEmpty })
const strategy = fc.constantFrom<StrategyName>('round_robin', 'least_connections', 'hrw')
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ type: fc.constant('act'), choice: fc.nat(1000) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('wait'), ms: fc.nat(150) }) },
  { weight: 4, arbitrary: set },
  { weight: 2, arbitrary: emptySet },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('cut'), id: ids }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('configure'), config }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('rebalance'), strategy }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('close') }) },
)

function act(world: World, step: Action): void {
  switch (step.type) {
    case 'act':
      world.act(step.choice)
      return
    case 'wait':
      world.now += step.ms
      world.tick()
      return
    case 'set':
      world.applySet(step.ids, step.whenEmpty)
      return
    case 'cut':
      world.step({ type: 'cut-backend', backend: step.id })
      return
    case 'configure':
      world.configure(step.config)
      return
    case 'rebalance':
      world.step({
        type: 'rebalance',
        balance: { strategy: strategyNamed(step.strategy, 7), failOpen: true },
      })
      return
    case 'close':
      world.close()
  }
}

describe('whatever happens, in whatever order', () => {
  const script = fc.array(action, { minLength: 20, maxLength: 120 })

  test('invariants hold, counts are true, bytes stay in order, each drain is told once', () => {
    fc.assert(
      fc.property(config, script, (limits, actions) => {
        const world = new World(limits)
        world.applySet(['A', 'B'])
        for (const step of actions) act(world, step)
        // Heal: no more events, only time. Everything ends, once, with its reason.
        world.runOut()
        const { accepted, refused, closed } = world.listener.counters
        const sum = (counts: Record<string, number>): number =>
          Object.values(counts).reduce((total, count) => total + count, 0)
        expect(sum(refused) + accepted).toBe(world.connections.size)
        expect(sum(closed)).toBe(accepted)
        expect(world.listener.deadline()).toBeUndefined()
      }),
      { numRuns: 400 },
    )
  })

  test('the same events at the same instants give the same counters', () => {
    fc.assert(
      fc.property(config, script, (limits, actions) => {
        const [first, second] = [new World(limits), new World(limits)]
        for (const world of [first, second]) {
          world.applySet(['A', 'B', 'C'])
          for (const step of actions) act(world, step)
        }
        expect(second.listener.counters).toEqual(first.listener.counters)
        expect(second.listener.deadline()).toBe(first.listener.deadline())
      }),
      { numRuns: 50 },
    )
  })
})
