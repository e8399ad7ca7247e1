import { describe, expect, test, vi } from 'vitest'
import { type Backend, BackendGroup, type Member } from '../../../core/balance/group.ts'
import { checkInvariants } from '../../../core/balance/invariants.ts'
import { RoundRobin } from '../../../core/balance/round-robin.ts'

const backend = (id: string): Backend => ({ id, host: '127.0.0.1', port: 9000 })
const set = (ids: string): Backend[] => [...ids].map(backend)

const gone = (left: readonly Member[]): string[] =>
  left.filter(({ state }) => state === 'gone').map(({ backend }) => backend.id)

const groupOf = (ids: string): BackendGroup => {
  const group = new BackendGroup()
  group.apply(1, set(ids))
  return group
}

describe('backend group', () => {
  test('counts what lives on each backend', () => {
    const group = groupOf('AB')
    const first = group.choose()!
    group.choose()
    group.choose()
    expect([group.liveOn('A'), group.liveOn('B'), group.liveOn('C')]).toEqual([2, 1, 0])
    group.release(first)
    expect([group.liveOn('A'), group.liveOn('B')]).toEqual([1, 1])
  })

  test('a new set keeps the counts of those that stay', () => {
    const group = groupOf('AB')
    group.choose()
    expect(gone(group.apply(2, set('AC')))).toEqual(['B'])
    expect([group.liveOn('A'), group.liveOn('C')]).toEqual([1, 0])
  })

  test('a backend that left with nothing on it is gone at once', () => {
    expect(gone(groupOf('ABC').apply(2, set('B')))).toEqual(['A', 'C'])
  })

  test('a backend that left with lives on it drains, and is gone with the last', () => {
    const group = groupOf('A')
    const member = group.choose()!
    group.choose()
    expect(group.apply(2, []).map(({ state }) => state)).toEqual(['draining'])
    expect([group.servingCount, group.drainingCount]).toEqual([0, 1])
    expect(group.choose()).toBeUndefined()
    expect([group.release(member), group.release(member)]).toEqual([false, true])
    expect(group.drainingCount).toBe(0)
  })

  test('a backend that comes back while draining serves on with its lives', () => {
    const group = groupOf('A')
    const member = group.choose()!
    group.apply(2, [])
    group.apply(3, set('A'))
    expect([group.liveOn('A'), group.drainingCount]).toEqual([1, 0])
    expect(group.release(member)).toBe(false)
  })

  test('a version that is not newer changes nothing', () => {
    const group = groupOf('A')
    expect([group.apply(1, []), group.apply(0, set('B'))]).toEqual([[], []])
    expect([group.version, group.servingCount]).toEqual([1, 1])
  })

  test('of two backends with one id the first counts', () => {
    const group = new BackendGroup()
    group.apply(1, [backend('A'), { ...backend('A'), port: 1 }])
    expect([group.servingCount, group.choose()?.backend.port]).toEqual([1, 9000])
  })

  test('an address that changed holds for new lives', () => {
    const group = groupOf('A')
    group.apply(2, [{ ...backend('A'), port: 1 }])
    expect(group.choose()?.backend.port).toBe(1)
  })

  test('a failure is worth a report once a second, for each backend', () => {
    const group = groupOf('AB')
    const [a, b] = [group.choose()!, group.choose()!]
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
    expect(group.choose(['B'])?.backend.id).toBe('A')
    expect(group.choose(['A', 'B', 'Z'])).toBeUndefined()
  })

  test('a life released twice is a bug of the caller', () => {
    const group = groupOf('A')
    const member = group.choose()!
    group.release(member)
    expect(() => group.release(member)).toThrow('released once')
  })
})

/** `A` is up, `a` is down; a prime after either makes it a backup. */
const states = (text: string): Backend[] =>
  [...text.matchAll(/(\w)('?)/g)].map(([, letter, prime]) => ({
    ...backend(letter!.toUpperCase()),
    down: letter !== letter!.toUpperCase(),
    backup: prime === "'",
  }))

const candidatesOf = (group: BackendGroup): string =>
  group.state.candidates.map(({ backend: { id } }) => id).join('')

describe('who may be chosen', () => {
  test.each([
    // set, failing open, failing closed
    ['', '', ''],
    ['AB', 'AB', 'AB'],
    ['aB', 'B', 'B'],
    ["AB'", 'A', 'A'],
    ["aB'", 'B', 'B'],
    ["aB'c'", 'B', 'B'],
    ["A'B'", 'AB', 'AB'],
    ['ab', 'AB', ''],
    ["ab'", 'AB', ''],
  ])('of %s: %s, failing closed %s', (set, open, closed) => {
    for (const [failOpen, expected] of [
      [true, open],
      [false, closed],
    ] as const) {
      const group = new BackendGroup({ failOpen })
      group.apply(1, states(set))
      checkInvariants(group)
      expect(candidatesOf(group)).toBe(expected)
      expect(group.candidateCount).toBe(expected.length)
      expect(group.choose()?.backend.id).toBe(expected[0])
    }
  })

  test('udp 8: all unhealthy: one is picked all the same, and the group says so', () => {
    const group = new BackendGroup()
    group.apply(1, states('ab'))
    expect([group.isFailingOpen, group.choose()?.backend.id]).toEqual([true, 'A'])
  })

  test('udp W22: failing closed, nobody is picked, and there is nothing to say', () => {
    const group = new BackendGroup({ failOpen: false })
    group.apply(1, states('ab'))
    expect([group.isFailingOpen, group.choose()]).toEqual([false, undefined])
  })

  test('udp 8: failing open stays during the regime and ends with the first that heals', () => {
    const group = new BackendGroup()
    const regime = ['AB', 'aB', 'ab', 'ab', 'abc', 'abC', 'abc', ''].map((set, at) => {
      group.apply(at + 1, states(set))
      return group.isFailingOpen
    })
    expect(regime).toEqual([false, false, true, true, true, false, true, false])
  })

  test('udp 8: all down is entered once and left once; an empty set never counts as all down', () => {
    const group = new BackendGroup()
    const entered: string[] = []
    for (const [at, set] of ['', 'ab', 'ab', 'Ab', '', 'a'].entries()) {
      const before = group.isFailingOpen
      group.apply(at + 1, states(set))
      if (group.isFailingOpen !== before) entered.push(`${set} ${group.isFailingOpen}`)
    }
    expect(entered).toEqual(['ab true', 'Ab false', 'a true'])
  })

  test('udp 8: a known set with a backend selects, an empty one has none', () => {
    expect(groupOf('A').choose()?.backend.id).toBe('A')
    expect(groupOf('').choose()).toBeUndefined()
    expect(new BackendGroup().choose()).toBeUndefined()
  })

  test('udp 8: the same id and address twice: one entry', () => {
    expect(groupOf('AA').servingCount).toBe(1)
  })

  test('udp 8: available follows health', () => {
    const group = new BackendGroup()
    const counts = ['ABC', 'AbC', 'abC', "ABC'"].map((set, at) => {
      group.apply(at + 1, states(set))
      return [group.candidateCount, group.servingCount]
    })
    expect(counts).toEqual([
      [3, 3],
      [2, 3],
      [1, 3],
      [2, 3],
    ])
  })

  test('each member says itself whether it may be chosen', () => {
    const group = groupOf('AB')
    const [a, b] = [group.choose()!, group.choose()!]
    group.apply(2, states('aB'))
    expect([a.isCandidate, b.isCandidate]).toEqual([false, true])
    group.apply(3, states('B'))
    expect([a.isCandidate, a.state]).toEqual([false, 'draining'])
  })

  test('a backend that goes down keeps its lives, and does not drain', () => {
    const group = groupOf('A')
    const member = group.choose()!
    group.apply(2, states('aB'))
    expect([member.state, member.live, group.drainingCount]).toEqual(['serving', 1, 0])
    expect(group.choose()?.backend.id).toBe('B')
  })
})

describe('lives', () => {
  test('one may be given to a member by name: it counts, and keeps a draining one', () => {
    const group = groupOf('A')
    const member = group.choose()!
    group.apply(2, [])
    group.take(member)
    expect([group.release(member), group.release(member)]).toEqual([false, true])
    expect(() => group.take(member)).toThrow('gone takes nothing')
  })

  test('a draining backend that is forgotten is gone, and its lives end without a word', () => {
    const group = groupOf('A')
    const member = group.choose()!
    group.apply(2, [])
    group.forget(member)
    expect([member.state, group.drainingCount, group.liveOn('A')]).toEqual(['gone', 0, 0])
    checkInvariants(group)
    expect(group.at(member.index)).toBe(member)
    expect(group.release(member)).toBe(false)
    checkInvariants(group)
    expect(() => group.at(member.index)).toThrow('index of its own member')
  })

  test('who is forgotten comes back as another member', () => {
    const group = groupOf('A')
    const old = group.choose()!
    group.apply(2, [])
    group.forget(old)
    group.apply(3, set('A'))
    const young = group.choose()!
    expect([young === old, young.index === old.index]).toEqual([false, false])
    expect([group.liveOn('A'), old.live]).toEqual([1, 1])
  })

  test('forgetting one that serves changes nothing', () => {
    const group = groupOf('A')
    group.forget(group.choose()!)
    checkInvariants(group)
    expect([group.servingCount, group.liveOn('A')]).toEqual([1, 1])
  })

  test('indexes are small: those of who is gone are used again', () => {
    const group = groupOf('ABC')
    const held = [group.choose()!, group.choose()!]
    group.apply(2, set('DE'))
    const young = [group.choose()!, group.choose()!]
    // A and B carry something, and C is gone when D and E are there already.
    expect(held.map(({ index }) => index)).toEqual([0, 1])
    expect(young.map(({ index }) => index)).toEqual([3, 4])
    group.release(held[0]!)
    group.apply(3, set('DEF'))
    expect(group.find('F')?.index).toBe(0)
  })
})

describe('a most of lives for each', () => {
  const limited = (ids: string, livesMax: number): BackendGroup => {
    const group = new BackendGroup({ livesMax })
    group.apply(1, set(ids))
    return group
  }
  const choices = (group: BackendGroup, count: number): (string | undefined)[] =>
    Array.from({ length: count }, () => {
      const member = group.choose()
      checkInvariants(group)
      return member?.backend.id
    })

  test('proxy W29: who is full is passed over; when all are, nobody is chosen', () => {
    const group = limited('AB', 2)
    group.take(group.find('A')!)
    expect(choices(group, 4)).toEqual(['A', 'B', 'B', undefined])
    expect([group.candidateCount, group.openCount]).toEqual([2, 0])
  })

  test('a flood costs nothing while all are full: the strategy is not asked', () => {
    const strategy = new RoundRobin()
    const asked = vi.spyOn(strategy, 'choose')
    const group = new BackendGroup({ strategy, livesMax: 1 })
    group.apply(1, set('AB'))
    choices(group, 10)
    expect(asked).toHaveBeenCalledTimes(2)
  })

  test('a life that ends makes room for one', () => {
    const group = limited('AB', 1)
    const first = group.choose()!
    choices(group, 2)
    group.release(first)
    expect(choices(group, 2)).toEqual(['A', undefined])
  })

  test('what belongs together is given to who is full, too', () => {
    const group = limited('A', 1)
    const member = group.choose()!
    group.take(member)
    group.release(member)
    expect(choices(group, 1)).toEqual([undefined])
    group.release(member)
    expect(choices(group, 1)).toEqual(['A'])
  })

  test('no backup stands in for one that is full', () => {
    const group = new BackendGroup({ livesMax: 1 })
    group.apply(1, [backend('A'), { ...backend('B'), backup: true }])
    expect(choices(group, 2)).toEqual(['A', undefined])
  })

  test('another most holds for what comes, and ends nothing', () => {
    const group = limited('AB', 0)
    choices(group, 3)
    group.limit(2)
    expect(choices(group, 2)).toEqual(['B', undefined])
    group.limit(1)
    expect(choices(group, 1)).toEqual([undefined])
    expect([group.liveOn('A'), group.liveOn('B')]).toEqual([2, 2])
    group.limit(0)
    expect(choices(group, 2)).toEqual(['A', 'B'])
  })

  test('who drains and comes back is as full as it was, who moved begins anew', () => {
    const group = limited('A', 1)
    choices(group, 1)
    group.apply(2, [])
    group.apply(3, set('A'))
    expect(choices(group, 1)).toEqual([undefined])
    group.apply(4, [{ ...backend('A'), port: 9001 }])
    expect(choices(group, 2)).toEqual(['A', undefined])
  })

  test('a restored group knows who is full', () => {
    const group = limited('AB', 1)
    choices(group, 1)
    const restored = BackendGroup.restore(group.snapshot(0), 0, { livesMax: 1 })
    checkInvariants(restored)
    expect(choices(restored, 2)).toEqual(['B', undefined])
  })
})

test('a snapshot is plain, and says what remains instead of instants', () => {
  const group = new BackendGroup()
  group.apply(3, [{ ...backend('A'), weight: 2 }, backend('B'), backend('C')])
  const [a, , c] = [group.choose()!, group.choose()!, group.choose()!]
  group.shouldReportFailure(a, 100)
  group.apply(4, [backend('D'), { ...backend('A'), weight: 2 }])
  group.forget(c)
  group.take(a)
  group.apply(5, [{ ...backend('A'), weight: 2 }])
  expect(group.snapshot(350)).toEqual({
    version: 5,
    serving: [
      { index: 0, backend: { ...backend('A'), weight: 2 }, live: 2, failureReportedMs: 250 },
    ],
    draining: [{ index: 1, backend: backend('B'), live: 1 }],
    gone: [{ index: 2, backend: backend('C'), live: 1 }],
    freeIndexes: [3],
    strategy: [0],
  })
  const restored = BackendGroup.restore(group.snapshot(350), 9000, {})
  const again = restored.find('A')!
  expect([9749, 9750].map((now) => restored.shouldReportFailure(again, now))).toEqual([false, true])
})
