import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BackendGroup } from '../../../core/balance/group.ts'
import { type StrategyName, strategyNamed } from '../../../core/balance/strategies.ts'
import type { BalanceSpec } from '../../../core/spec/deployment.ts'
import { lettered } from './members.ts'

const NAMES = ['round_robin', 'hrw', 'maglev', 'least_connections', 'power_of_two'] as const

// A name of the deployment file without its strategy does not compile, and the other way round.
const fromFile = (name: BalanceSpec['strategy']): StrategyName => name
const toFile = (name: StrategyName): BalanceSpec['strategy'] => name

const aKey = fc.option(fc.record({ high: fc.integer(), low: fc.integer() }), { nil: undefined })
const letters = fc.subarray([...'ABCDE']).map((all) => all.join(''))
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ exclude: letters, key: aKey }) },
  { weight: 1, arbitrary: fc.record({ registered: letters, open: letters }) },
  { weight: 2, arbitrary: fc.record({ busy: letters }) },
  { weight: 1, arbitrary: fc.record({ full: letters }) },
)

describe.each(NAMES)('%s', (name) => {
  test('is a strategy of the deployment file', () => {
    expect(toFile(fromFile(name))).toBe(name)
    expect(strategyNamed(name, 1).constructor).not.toBe(Object)
  })

  test('chooses a candidate that has room, outside the excluded, whenever there is one', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(action, { maxLength: 40 }), (seed, actions) => {
        const strategy = strategyNamed(name, seed)
        const members = lettered()
        let candidates = ''
        let full = ''
        for (const step of actions) {
          if ('busy' in step) {
            for (const member of members(step.busy)) member.live += 1
          } else if ('full' in step) {
            full = step.full
            for (const each of members('ABCDE')) each.isFull = full.includes(each.backend.id)
          } else if ('open' in step) {
            candidates = [...step.open].filter((each) => step.registered.includes(each)).join('')
            strategy.replace(members(step.registered), members(candidates))
          } else {
            const chosen = strategy.choose(members(step.exclude), step.key)
            const eligible = [...candidates].filter(
              (each) => !step.exclude.includes(each) && !full.includes(each),
            )
            if (eligible.length === 0) expect(chosen).toBeUndefined()
            else expect(eligible).toContain(chosen?.backend.id)
          }
        }
      }),
    )
  })

  test('goes on in a restored group where it was', () => {
    const choose = fc.record({ exclude: letters, key: aKey, keep: fc.boolean() })
    const choices = fc.array(choose, { maxLength: 30 })
    fc.assert(
      fc.property(fc.integer(), choices, choices, (seed, before, after) => {
        const options = () => ({ strategy: strategyNamed(name, seed) })
        const group = new BackendGroup(options())
        const backends = [...'ABCDE'].map((id, i) => ({ id, host: `10.0.0.${i}`, port: 53 }))
        group.apply(1, backends)
        const run = (of: BackendGroup, all: typeof before): string =>
          all
            .map(({ exclude, key, keep }) => {
              const member = of.choose([...exclude], key)
              if (member !== undefined && !keep) of.release(member)
              return member?.backend.id ?? '-'
            })
            .join('')
        run(group, before)
        const saved = JSON.parse(JSON.stringify(group.snapshot(5)))
        // A seed of its own would draw differently: what counts is what is remembered.
        const restored = BackendGroup.restore(saved, 5, { strategy: strategyNamed(name, seed + 1) })
        expect(run(restored, after)).toBe(run(group, after))
      }),
    )
  })
})
