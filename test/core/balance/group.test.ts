import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Backend, BackendGroup, checkInvariants } from '../../../core/balance/group.ts'

const backend = (id: string): Backend => ({ id, host: '127.0.0.1', port: 9000 })
const set = (ids: string): Backend[] => [...ids].map(backend)

const groupOf = (ids: string): BackendGroup<number> => {
  const group = new BackendGroup<number>()
  group.apply(1, set(ids))
  return group
}

describe('backend group', () => {
  test('counts what lives on each backend', () => {
    const group = groupOf('AB')
    const first = group.choose(1)!
    group.choose(2)
    group.choose(3)
    expect([group.liveOn('A'), group.liveOn('B'), group.liveOn('C')]).toEqual([2, 1, 0])
    group.release(first, 1)
    expect([group.liveOn('A'), group.liveOn('B')]).toEqual([1, 1])
  })

  test('a new set keeps the counts of those that stay', () => {
    const group = groupOf('AB')
    group.choose(1)
    expect(group.apply(2, set('AC'))).toEqual(['B'])
    expect([group.liveOn('A'), group.liveOn('C')]).toEqual([1, 0])
  })

  test('a backend that left with nothing on it is gone at once', () => {
    expect(groupOf('ABC').apply(2, set('B'))).toEqual(['A', 'C'])
  })

  test('a backend that left with lives on it drains, and is gone with the last', () => {
    const group = groupOf('A')
    const member = group.choose(1)!
    group.choose(2)
    expect(group.apply(2, [])).toEqual([])
    expect([group.servingCount, group.drainingCount]).toEqual([0, 1])
    expect(group.choose(3)).toBeUndefined()
    expect([group.release(member, 1), group.release(member, 2)]).toEqual([false, true])
    expect(group.drainingCount).toBe(0)
  })

  test('a backend that comes back while draining serves on with its lives', () => {
    const group = groupOf('A')
    const member = group.choose(1)!
    group.apply(2, [])
    group.apply(3, set('A'))
    expect([group.liveOn('A'), group.drainingCount]).toEqual([1, 0])
    expect(group.release(member, 1)).toBe(false)
  })

  test('a version that is not newer changes nothing', () => {
    const group = groupOf('A')
    expect([group.apply(1, []), group.apply(0, set('B'))]).toEqual([[], []])
    expect([group.version, group.servingCount]).toEqual([1, 1])
  })

  test('of two backends with one id the first counts', () => {
    const group = new BackendGroup<number>()
    group.apply(1, [backend('A'), { ...backend('A'), port: 1 }])
    expect([group.servingCount, group.choose(1)?.backend.port]).toEqual([1, 9000])
  })

  test('an address that changed holds for new lives', () => {
    const group = groupOf('A')
    group.apply(2, [{ ...backend('A'), port: 1 }])
    expect(group.choose(1)?.backend.port).toBe(1)
  })

  test('a failure is worth a report once a second, for each backend', () => {
    const group = groupOf('AB')
    const [a, b] = [group.choose(1)!, group.choose(2)!]
    const report = (member: typeof a, now: number): boolean =>
      group.shouldReportFailure(member, now)
    expect([report(a, 0), report(a, 999), report(b, 999), report(a, 1000)]).toEqual([
      true,
      false,
      true,
      true,
    ])
  })

  test('who is excluded by its id stays so when it comes back as a new member', () => {
    const group = groupOf('AB')
    group.apply(2, set('B'))
    group.apply(3, set('AB'))
    expect(group.choose(1, ['B'])?.backend.id).toBe('A')
    expect(group.choose(2, ['A', 'B', 'Z'])).toBeUndefined()
  })

  test('a life released twice is a bug of the caller', () => {
    const group = groupOf('A')
    const member = group.choose(1)!
    group.release(member, 1)
    expect(() => group.release(member, 1)).toThrow('released once')
  })

  test('proxy W24: sets may change between any two choices and releases', () => {
    const names = fc.constantFrom(...'ABCD')
    const action = fc.oneof(
      fc.record({ set: fc.uniqueArray(names) }),
      fc.record({ exclude: fc.nat(2) }),
      fc.record({ release: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const group = groupOf('AB')
        type Held = { life: number; member: NonNullable<ReturnType<typeof group.choose>> }
        const held: Held[] = []
        let life = 0
        let serving = new Set('AB')
        const gone: string[] = []
        const expected: string[] = []
        const liveOn = (id: string): number =>
          held.filter(({ member }) => member.backend.id === id).length
        for (const step of actions) {
          if ('set' in step) {
            for (const id of serving) {
              if (!step.set.includes(id) && liveOn(id) === 0) expected.push(id)
            }
            serving = new Set(step.set)
            gone.push(...group.apply(group.version + 1, step.set.map(backend)))
          } else if ('exclude' in step) {
            const exclude = held.slice(0, step.exclude).map(({ member }) => member.backend.id)
            const member = group.choose(++life, exclude)
            if (member !== undefined) held.push({ life, member })
          } else if (held.length > 0) {
            const [{ life, member }] = held.splice(step.release % held.length, 1) as [Held]
            const { id } = member.backend
            const drained = group.release(member, life)
            expect(drained).toBe(!serving.has(id) && liveOn(id) === 0)
          }
          expect(gone).toEqual(expected)
          for (const id of 'ABCD') expect(group.liveOn(id)).toBe(liveOn(id))
          checkInvariants(group)
        }
      }),
    )
  })
})
