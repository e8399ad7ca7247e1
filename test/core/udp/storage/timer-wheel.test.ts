import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ARMED, DEADLINE, FlowRecords, NEXT } from '../../../../core/udp/storage/flow-records.ts'
import { NONE, PAGE_BITS } from '../../../../core/udp/storage/records.ts'
import { TimerWheel, type Unit } from '../../../../core/udp/storage/timer-wheel.ts'

/** As long as the wheel is: a timer is armed for its first unit or one of the next 4,095. */
const BUCKETS = 4_096

/** A wheel with the records it runs through, and what a plain list says of it. */
class Bench {
  readonly records = new FlowRecords()
  readonly wheel = new TimerWheel(this.records)
  /** Armed last comes first, as in a bucket. */
  #plain: { readonly slot: number; readonly armed: Unit }[] = []
  #from: Unit = 0

  constructor(slots: number) {
    for (let slot = 0; slot < slots; slot++) this.records.allocate()
  }

  deadline(slot: number): Unit {
    return this.#doubles(slot)[(this.records.offset(slot) + DEADLINE) >> 1]!
  }

  /** What the table does for a datagram: the record has it, the wheel does not know. */
  putOff(slot: number, deadline: Unit): void {
    this.#doubles(slot)[(this.records.offset(slot) + DEADLINE) >> 1] = deadline
  }

  arm(slot: number, deadline: Unit, now: Unit): void {
    this.putOff(slot, deadline)
    if (this.#plain.length === 0) this.#from = now
    const armed = Math.min(Math.max(deadline, this.#from), this.#from + BUCKETS - 1)
    this.wheel.arm(slot, now)
    this.#plain.unshift({ slot, armed })
  }

  disarm(slot: number): void {
    this.wheel.disarm(slot)
    this.#plain = this.#plain.filter((timer) => timer.slot !== slot)
  }

  /** The wheel may go on to the earliest timer. */
  advance(unit: Unit): void {
    const to = Math.min(unit, this.wheel.next())
    this.wheel.advance(to)
    if (to > this.#from) this.#from = to
  }

  has(slot: number): boolean {
    return this.#plain.some((timer) => timer.slot === slot)
  }

  check(): void {
    const { wheel, records } = this
    const inOrder = this.#plain.toSorted((one, other) => one.armed - other.armed)
    expect(wheel.size).toBe(inOrder.length)
    expect(wheel.from).toBe(this.#from)
    expect(wheel.next()).toBe(inOrder[0]?.armed ?? Number.POSITIVE_INFINITY)
    expect([...wheel]).toEqual(inOrder.map(({ slot }) => slot))
    for (const { slot, armed } of inOrder) {
      expect(this.#doubles(slot)[(records.offset(slot) + ARMED) >> 1]).toBe(armed)
    }
    const first = inOrder[0]
    if (first !== undefined) expect(wheel.firstAt(first.armed)).toBe(first.slot)
  }

  #doubles(slot: number): Float64Array {
    return this.records.doubles[slot >> PAGE_BITS]!
  }
}

describe('where a timer is', () => {
  test('an empty wheel has nobody next', () => {
    const bench = new Bench(1)
    expect([bench.wheel.next(), bench.wheel.size, [...bench.wheel]]).toEqual([Infinity, 0, []])
  })

  test('the earliest is next, then the others in order; of one unit the one armed last', () => {
    const bench = new Bench(4)
    bench.arm(0, 150, 100)
    bench.arm(1, 120, 100)
    bench.arm(2, 150, 100)
    bench.arm(3, 101, 100)
    bench.check()
    expect(bench.wheel.next()).toBe(101)
    expect([...bench.wheel]).toEqual([3, 1, 2, 0])
    expect(bench.wheel.firstAt(150)).toBe(2)
    expect(bench.records.words[0]![bench.records.offset(2) + NEXT]).toBe(0)
    expect(bench.wheel.firstAt(151)).toBe(NONE)
  })

  test('one that is put off stays where it is, and is found when its bucket comes up', () => {
    const bench = new Bench(1)
    bench.arm(0, 110, 100)
    bench.putOff(0, 400)
    expect(bench.wheel.next()).toBe(110)
    bench.advance(110)
    bench.disarm(0)
    bench.arm(0, 400, 110)
    expect(bench.wheel.next()).toBe(400)
    bench.check()
  })

  test('one in the past is due at once', () => {
    const bench = new Bench(2)
    bench.arm(0, 200, 100)
    bench.advance(200)
    bench.arm(1, 150, 200)
    expect(bench.wheel.next()).toBe(200)
    bench.check()
  })

  test('it never goes back: a tick with an earlier clock changes nothing', () => {
    const bench = new Bench(2)
    bench.arm(0, 300, 100)
    bench.advance(250)
    bench.advance(120)
    bench.arm(1, 200, 120)
    expect([bench.wheel.from, bench.wheel.next()]).toEqual([250, 250])
    bench.check()
  })

  test('the last unit of the wheel, and one beyond: it waits in the last bucket', () => {
    const bench = new Bench(3)
    bench.arm(0, 100 + BUCKETS - 1, 100)
    bench.arm(1, 100 + BUCKETS, 100)
    bench.arm(2, 1e9, 100)
    expect([...bench.wheel]).toEqual([2, 1, 0])
    expect(bench.wheel.next()).toBe(100 + BUCKETS - 1)
    bench.check()
    // There it is told from one that is due by its record.
    expect(bench.deadline(1)).toBeGreaterThan(bench.wheel.next())
  })

  test('an empty wheel begins anew wherever the clock is', () => {
    const bench = new Bench(1)
    bench.arm(0, 50, 10)
    bench.disarm(0)
    bench.arm(0, 1_000_010, 1_000_000)
    expect(bench.wheel.next()).toBe(1_000_010)
    bench.check()
  })

  test.each([
    ['round the end of the buckets', BUCKETS - 3],
    ['at the first instants of a clock', 0],
    ['before the zero of a clock', -10_000],
    ['after a million years', 2 ** 41],
  ])('%s', (_, from) => {
    const bench = new Bench(6)
    for (const [slot, ahead] of [5, 0, 2, 1_000, 31, 32].entries()) {
      bench.arm(slot, from + ahead, from)
    }
    bench.check()
    for (const ahead of [0, 2, 5, 31, 32, 1_000]) {
      expect(bench.wheel.next()).toBe(from + ahead)
      bench.advance(from + ahead)
      bench.disarm(bench.wheel.firstAt(from + ahead))
      bench.check()
    }
  })
})

/** Ahead of the clock: near, at the edges of words of 32 buckets and of groups of 1,024, far. */
const anyAhead = fc.oneof(
  fc.integer({ min: -5, max: 70 }),
  fc.constantFrom(1_023, 1_024, 1_055, 2_047, 2_048, 4_063, 4_094, 4_095, 4_096, 5_000, 1e7),
  fc.integer({ min: 0, max: BUCKETS + 10 }),
)
const anySlot = fc.nat({ max: 11 })
const anyStep = fc.oneof(
  fc.record({ type: fc.constant('arm' as const), slot: anySlot, ahead: anyAhead }),
  fc.record({ type: fc.constant('put-off' as const), slot: anySlot, ahead: anyAhead }),
  fc.record({ type: fc.constant('disarm' as const), slot: anySlot, ahead: fc.constant(0) }),
  fc.record({ type: fc.constant('pass' as const), slot: fc.constant(0), ahead: anyAhead }),
)

test('any course of arming, putting off, disarming and time is as a sorted list has it', () => {
  const anyStart = fc.constantFrom(0, 1, BUCKETS - 1, BUCKETS, 31, 1_023, 123_456_789, 2 ** 33)
  fc.assert(
    fc.property(anyStart, fc.array(anyStep, { maxLength: 80 }), (start, steps) => {
      const bench = new Bench(12)
      let now = start
      for (const { type, slot, ahead } of steps) {
        if (type === 'pass') {
          now += Math.max(0, ahead)
          // As a tick does: everything before now is looked at, and moves or ends.
          while (bench.wheel.next() <= now) {
            const unit = bench.wheel.next()
            bench.advance(unit)
            const due = bench.wheel.firstAt(unit)
            const deadline = bench.deadline(due)
            bench.disarm(due)
            if (deadline > unit) bench.arm(due, deadline, unit)
            bench.check()
          }
          bench.advance(now + 1)
        } else if (type === 'arm') {
          if (bench.has(slot)) bench.disarm(slot)
          bench.arm(slot, now + ahead, now)
        } else if (bench.has(slot)) {
          if (type === 'disarm') bench.disarm(slot)
          else bench.putOff(slot, Math.max(bench.deadline(slot), now + ahead))
        }
        bench.check()
        // Nobody is woken late: the next unit is never behind a deadline that is to come.
        for (const each of bench.wheel) {
          expect(bench.wheel.next()).toBeLessThanOrEqual(
            Math.max(bench.deadline(each), bench.wheel.from),
          )
        }
      }
    }),
    { numRuns: 400 },
  )
})

test('many timers end in the order of their units, each exactly at its own', () => {
  const bench = new Bench(5_000)
  const deadlines = Array.from({ length: 5_000 }, (_, slot) => 7 + ((slot * 7_919) % 9_973))
  for (const [slot, deadline] of deadlines.entries()) bench.arm(slot, deadline, 0)
  const ended: (readonly [slot: number, at: Unit])[] = []
  while (bench.wheel.size > 0) {
    const unit = bench.wheel.next()
    bench.wheel.advance(unit)
    const slot = bench.wheel.firstAt(unit)
    bench.wheel.disarm(slot)
    if (bench.deadline(slot) > unit) bench.wheel.arm(slot, unit)
    else ended.push([slot, unit])
  }
  expect(ended.map(([, at]) => at)).toEqual(deadlines.toSorted((one, other) => one - other))
  expect(ended.filter(([slot, at]) => deadlines[slot] !== at)).toEqual([])
})
