import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RoundRobin } from '../../../core/balance/round-robin.ts'
import { lettered } from './members.ts'

/** A robin whose members are letters. */
class Letters {
  readonly #robin = new RoundRobin()
  readonly #members = lettered()

  constructor(letters: string) {
    this.replace(letters)
  }

  replace(letters: string): void {
    this.#robin.replace(this.#members(letters), this.#members(letters))
  }

  choose(exclude = ''): string | undefined {
    return this.#robin.choose(this.#members(exclude))?.backend.id
  }

  take(count: number, exclude = ''): string {
    return Array.from({ length: count }, () => this.choose(exclude) ?? '-').join('')
  }
}

describe('round robin', () => {
  test('visits all in the order of the set, again and again', () => {
    expect(new Letters('ABC').take(7)).toBe('ABCABCA')
  })

  test('udp 8: round robin over an empty list: none', () => {
    expect(new Letters('').take(1)).toBe('-')
  })

  test('udp 8: round robin at index 1 of three picks it; without it the next pick is index 0', () => {
    const robin = new Letters('ABC')
    robin.take(1)
    expect(robin.take(1)).toBe('B')
    robin.replace('AC')
    // Strictly by turns: C has waited longest. A cursor put back to 0 would give A two turns.
    expect(robin.take(2)).toBe('CA')
  })

  test('nobody is chosen when all are excluded, and no turn is lost by it', () => {
    const robin = new Letters('AB')
    expect(robin.take(1, 'BA')).toBe('-')
    expect(robin.take(3)).toBe('ABA')
  })

  test('who is passed over keeps the turn', () => {
    const robin = new Letters('ABCD')
    expect(robin.take(1, 'AB')).toBe('C')
    expect(robin.take(5)).toBe('ABDCA')
  })

  test('who stays keeps the place, who is new waits behind, who left is forgotten', () => {
    const robin = new Letters('ABC')
    expect(robin.take(1)).toBe('A')
    robin.replace('DAC')
    expect(robin.take(6)).toBe('CADCAD')
  })

  test('proxy W23: with B of A, B, C missing, A and C get the same share', () => {
    const robin = new Letters('ABC')
    robin.take(2)
    robin.replace('AC')
    expect(robin.take(6)).toBe('CACACA')
  })

  test('proxy W23: with B refusing every connection, A and C get the same share', () => {
    const robin = new Letters('ABC')
    let served = ''
    for (let connection = 0; connection < 600; connection++) {
      const first = robin.choose()
      served += first === 'B' ? robin.choose('B') : first
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
        const robin = new Letters('ABC')
        let set = [...'ABC']
        /** For each member: who was in the set all the time since its turn and had none. */
        const passedOver = new Map<string, Set<string>>()
        for (const step of actions) {
          if (!Array.isArray(step)) {
            for (const name of set) if (!step.set.includes(name)) passedOver.delete(name)
            set = step.set
            robin.replace(set.join(''))
            for (const others of passedOver.values()) {
              for (const name of others) if (!set.includes(name)) others.delete(name)
            }
            continue
          }
          const eligible = set.filter((name) => !step.includes(name))
          const chosen = robin.choose(step.join(''))
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
