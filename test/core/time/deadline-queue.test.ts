import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvariantError } from '../../../core/machine.ts'
import { checkInvariants, DeadlineQueue } from '../../../core/time/deadline-queue.ts'

type Step =
  | { readonly type: 'set'; readonly key: number; readonly at: number }
  | { readonly type: 'cancel'; readonly key: number }
  | { readonly type: 'pop'; readonly now: number }
  | { readonly type: 'clear' }

/** The queue as a plain list that is sorted whenever somebody looks. */
class SortedList {
  private timers: { key: number; at: number }[] = []

  set(key: number, at: number): void {
    this.cancel(key)
    this.timers.push({ key, at })
  }
  cancel(key: number): void {
    this.timers = this.timers.filter((timer) => timer.key !== key)
  }
  entries(): [number, number][] {
    // Array sort is stable: equal instants keep the order of arming.
    return this.timers.toSorted((a, b) => a.at - b.at).map(({ key, at }) => [key, at])
  }
  pop(now: number): number | undefined {
    const first = this.entries()[0]
    if (first === undefined || first[1] > now) return undefined
    this.cancel(first[0])
    return first[0]
  }
  clear(): void {
    this.timers = []
  }
}

function popAll<K extends string | number>(queue: DeadlineQueue<K>, now: number): K[] {
  const popped: K[] = []
  for (let key = queue.pop(now); key !== undefined; key = queue.pop(now)) popped.push(key)
  return popped
}

function queueOf(...timers: readonly (readonly [string, number])[]): DeadlineQueue<string> {
  const queue = new DeadlineQueue<string>()
  for (const [key, at] of timers) queue.set(key, at)
  return queue
}

describe('what fires, and when', () => {
  test('an empty queue has no deadline and nothing due', () => {
    const queue = queueOf()
    expect([queue.next(), queue.pop(Number.MAX_VALUE), queue.size]).toEqual([
      undefined,
      undefined,
      0,
    ])
  })

  test('timers fire at their instant, not before, earliest first', () => {
    const queue = queueOf(['late', 30], ['soon', 10], ['mid', 20])
    expect(queue.next()).toBe(10)
    expect(popAll(queue, 9.999)).toEqual([])
    expect(popAll(queue, 20)).toEqual(['soon', 'mid'])
    expect(queue.next()).toBe(30)
    expect(queue.size).toBe(1)
  })

  test('timers of one instant fire in the order of their last arming', () => {
    const queue = queueOf(['a', 5], ['b', 5], ['c', 5], ['d', 9])
    queue.set('a', 5)
    queue.set('d', 5)
    expect(popAll(queue, 5)).toEqual(['b', 'c', 'a', 'd'])
  })

  test('a timer moved later fires once, at the later instant', () => {
    const queue = queueOf(['a', 10], ['b', 15])
    queue.set('a', 20)
    expect([queue.next(), queue.at('a')]).toEqual([15, 20])
    expect(popAll(queue, 19)).toEqual(['b'])
    expect(popAll(queue, 100)).toEqual(['a'])
  })

  test('a timer moved earlier fires once, at the earlier instant', () => {
    const queue = queueOf(['a', 20], ['b', 15])
    queue.set('a', 10)
    expect(popAll(queue, 10)).toEqual(['a'])
    expect(popAll(queue, 100)).toEqual(['b'])
  })

  test('a cancelled timer does not fire, and one armed again under its key fires once', () => {
    const queue = queueOf(['a', 10], ['b', 12])
    queue.cancel('a')
    queue.cancel('nobody')
    expect([queue.at('a'), queue.next(), queue.size]).toEqual([undefined, 12, 1])
    queue.set('a', 11)
    expect(popAll(queue, 100)).toEqual(['a', 'b'])
  })

  test('a fired timer can be armed again', () => {
    const queue = queueOf(['a', 10])
    expect(queue.pop(10)).toBe('a')
    queue.set('a', 10)
    expect(popAll(queue, 10)).toEqual(['a'])
  })

  test('clear forgets every timer, and old entries do not come back', () => {
    const queue = queueOf(['a', 10], ['b', 20])
    queue.clear()
    expect([queue.size, queue.next(), queue.entries()]).toEqual([0, undefined, []])
    queue.set('a', 15)
    expect(popAll(queue, 100)).toEqual(['a'])
  })

  test('entries come in firing order and rebuild a queue that fires alike', () => {
    const queue = queueOf(['a', 5], ['b', 5], ['c', 1])
    queue.set('a', 5)
    expect(queue.entries()).toEqual([
      ['c', 1],
      ['b', 5],
      ['a', 5],
    ])
    expect(popAll(queueOf(...queue.entries()), 9)).toEqual(popAll(queue, 9))
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'a deadline of %s breaks the contract',
    (at) => {
      expect(() => queueOf(['a', at])).toThrow(InvariantError)
    },
  )
})

describe('memory stays bounded', () => {
  // The bound is 2 * live + 64. These two also go red when a compaction stops comparing
  // generations: an entry that was replaced by an earlier one then looks live for ever.
  test('under timers that move earlier again and again', () => {
    const queue = new DeadlineQueue<number>()
    for (let round = 0; round < 3_000; round++) {
      for (let key = 0; key < 4; key++) queue.set(key, 10_000 - round)
      expect(queue.state.heap.length).toBeLessThanOrEqual(2 * 4 + 64)
    }
    expect(popAll(queue, 10_000)).toEqual([0, 1, 2, 3])
  })

  test('under timers that are cancelled and armed again', () => {
    const queue = new DeadlineQueue<number>()
    for (let round = 0; round < 3_000; round++) {
      for (let key = 0; key < 4; key++) {
        queue.cancel(key)
        queue.set(key, 10_000 + round)
      }
      expect(queue.state.heap.length).toBeLessThanOrEqual(2 * 4 + 64)
    }
    expect(popAll(queue, 20_000)).toEqual([0, 1, 2, 3])
  })

  test('a timer that moves later for ever keeps one entry', () => {
    const queue = queueOf(['flow', 0])
    for (let at = 0; at < 10_000; at++) {
      queue.set('flow', at)
      expect(queue.state.heap.length).toBe(1)
    }
  })

  test('when most of many timers are cancelled', () => {
    const queue = new DeadlineQueue<number>()
    for (let key = 0; key < 10_000; key++) queue.set(key, key)
    for (let key = 0; key < 9_990; key++) queue.cancel(key)
    expect(queue.state.heap.length).toBeLessThanOrEqual(2 * 10 + 64)
    checkInvariants(queue)
  })
})

test('an entry of a former generation never stands for its successor', () => {
  const queue = queueOf(['a', 30])
  queue.set('a', 10)
  expect(queue.pop(10)).toBe('a')
  queue.set('a', 40)
  // The entry pushed for 30 is still in the heap; when it surfaces it must go, not move to 40.
  queue.set('b', 35)
  expect(queue.pop(35)).toBe('b')
  expect(queue.state.heap.map((entry) => entry.at)).toEqual([40])
  checkInvariants(queue)
})

test('any sequence of operations answers as a sorted list does, within its memory', () => {
  const key = fc.nat(7)
  const instant = fc.nat(30)
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant('set'), key, at: instant }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('cancel'), key }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('pop'), now: instant }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('clear') }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const queue = new DeadlineQueue<number>()
      const model = new SortedList()
      for (const each of steps) {
        if (each.type === 'set') {
          queue.set(each.key, each.at)
          model.set(each.key, each.at)
        } else if (each.type === 'cancel') {
          queue.cancel(each.key)
          model.cancel(each.key)
        } else if (each.type === 'pop') {
          expect(queue.pop(each.now)).toBe(model.pop(each.now))
        } else {
          queue.clear()
          model.clear()
        }
        checkInvariants(queue)
        const entries = model.entries()
        expect(queue.entries()).toEqual(entries)
        expect(queue.next()).toBe(entries[0]?.[1])
        expect(queue.size).toBe(entries.length)
        checkInvariants(queue)
      }
    }),
  )
})
