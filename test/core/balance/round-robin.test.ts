import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoundRobin } from '../../../core/balance/round-robin.ts'

const rotation = (members: string[]): RoundRobin<string> => {
  const robin = new RoundRobin<string>()
  robin.replace(members)
  return robin
}

const take = (robin: RoundRobin<string>, count: number, exclude: string[] = []): string =>
  Array.from({ length: count }, () => robin.choose(exclude) ?? '-').join('')

describe('round robin', () => {
  test('visits all in the order of the set, again and again', () => {
    expect(take(rotation(['A', 'B', 'C']), 7)).toBe('ABCABCA')
  })

  test('an empty set has nobody', () => {
    expect(take(rotation([]), 1)).toBe('-')
  })

  test('nobody is chosen when all are excluded, and no turn is lost by it', () => {
    const robin = rotation(['A', 'B'])
    expect(take(robin, 1, ['B', 'A'])).toBe('-')
    expect(take(robin, 3)).toBe('ABA')
  })

  test('who is passed over keeps the turn', () => {
    const robin = rotation(['A', 'B', 'C', 'D'])
    expect(take(robin, 1, ['A', 'B'])).toBe('C')
    expect(take(robin, 5)).toBe('ABDCA')
  })

  test('who stays keeps the place, who is new waits behind, who left is forgotten', () => {
    const robin = rotation(['A', 'B', 'C'])
    expect(take(robin, 1)).toBe('A')
    robin.replace(['D', 'A', 'C'])
    expect(take(robin, 6)).toBe('CADCAD')
  })

  test('proxy W23: with B of A, B, C missing, A and C get the same share', () => {
    const robin = rotation(['A', 'B', 'C'])
    take(robin, 2)
    robin.replace(['A', 'C'])
    expect(take(robin, 6)).toBe('CACACA')
  })

  test('proxy W23: with B refusing every connection, A and C get the same share', () => {
    const robin = rotation(['A', 'B', 'C'])
    let served = ''
    for (let connection = 0; connection < 600; connection++) {
      const first = robin.choose([])
      served += first === 'B' ? robin.choose(['B']) : first
    }
    const share = (name: string): number => served.split(name).length - 1
    expect({ a: share('A'), c: share('C') }).toEqual({ a: 300, c: 300 })
  })

  test('proxy W23: between two turns of one, everybody else that could be chosen had one', () => {
    const names = fc.constantFrom(...'ABCDE')
    const action = fc.oneof(
      { weight: 8, arbitrary: fc.uniqueArray(names, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.record({ set: fc.uniqueArray(names) }) },
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const robin = rotation([...'ABC'])
        let set = [...'ABC']
        /** For each member: who was in the set all the time since its turn and had none. */
        const passedOver = new Map<string, Set<string>>()
        for (const step of actions) {
          if (!Array.isArray(step)) {
            for (const name of set) if (!step.set.includes(name)) passedOver.delete(name)
            set = step.set
            robin.replace(set)
            for (const others of passedOver.values()) {
              for (const name of others) if (!set.includes(name)) others.delete(name)
            }
            continue
          }
          const eligible = set.filter((name) => !step.includes(name))
          const chosen = robin.choose(step)
          if (eligible.length === 0) expect(chosen).toBeUndefined()
          if (chosen === undefined) continue
          expect(eligible).toContain(chosen)
          const unfair = [...(passedOver.get(chosen) ?? [])].filter((n) => eligible.includes(n))
          expect(unfair).toEqual([])
          for (const others of passedOver.values()) others.delete(chosen)
          passedOver.set(chosen, new Set(set.filter((name) => name !== chosen)))
        }
      }),
    )
  })
})
