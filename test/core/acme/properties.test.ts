/** What holds whatever comes: events in any order, late answers, clocks that were set. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AcmeCause, CAUSES } from '../../../core/acme/causes.ts'
import type { AcmeCommand } from '../../../core/acme/commands.ts'
import { Bench, DAY, EPOCH, HOUR, issued, MINUTE } from './rows.ts'

type Act =
  | { readonly do: 'names'; readonly names: readonly string[] }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'tick' }
  | { readonly do: 'issue'; readonly late: number; readonly ms: number; readonly isUsed: boolean }
  | {
      readonly do: 'fail'
      readonly late: number
      readonly cause: AcmeCause
      readonly after: number
    }
  | { readonly do: 'remove'; readonly name: string }
  | { readonly do: 'set-clock'; readonly ms: number }

const NAMES = ['a.test', 'b.test', 'c.test', 'd.e.test', '*.e.test']
const causes = Object.keys(CAUSES) as AcmeCause[]
const late = fc.integer({ min: 0, max: 2 })

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ do: fc.constant('names' as const), names: fc.subarray(NAMES.slice(0, 4)) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 2 * DAY }) }),
  fc.record({ do: fc.constant('tick' as const) }),
  fc.record({
    do: fc.constant('issue' as const),
    late,
    ms: fc.integer({ min: -DAY, max: 90 * DAY }),
    isUsed: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('fail' as const),
    late,
    cause: fc.constantFrom(...causes),
    after: fc.constantFrom(0, -1, 1, HOUR, 400 * DAY),
  }),
  fc.record({ do: fc.constant('remove' as const), name: fc.constantFrom(...NAMES) }),
  fc.record({ do: fc.constant('set-clock' as const), ms: fc.integer({ min: -DAY, max: DAY }) }),
)

/** The world: a directory, a wall clock, and orders. */
class World {
  readonly bench = new Bench({ seed: 7 })
  readonly used = new Map<string, number>()
  readonly ordered: { name: string; at: number }[] = []
  wanted: readonly string[] = []
  open: { attempt: number; name: string } | undefined
  drift = 0

  act(each: Act): void {
    const { bench } = this
    switch (each.do) {
      case 'names':
        this.wanted = each.names
        return this.#take(bench.names(...each.names))
      case 'wait': {
        const end = bench.now + each.ms
        for (let at = bench.planner.deadline(); at !== undefined && at <= end; ) {
          this.#take(bench.tick())
          at = bench.planner.deadline()
        }
        bench.now = end
        return
      }
      case 'tick': // at any time
        return this.#take(bench.step({ type: 'tick' }))
      case 'issue': {
        const attempt = bench.planner.state.attempts - each.late
        if (each.late === 0 && each.isUsed && this.open !== undefined) {
          this.used.set(this.open.name, EPOCH + bench.now + this.drift + each.ms)
        }
        if (each.late === 0) this.open = undefined
        return this.#take(bench.step(issued(attempt, bench.now, each.ms)))
      }
      case 'fail': {
        const attempt = bench.planner.state.attempts - each.late
        if (each.late === 0) this.open = undefined
        const { cause, after: retryAfterMs } = each
        return this.#take(bench.step({ type: 'failed', attempt, cause, text: 'x', retryAfterMs }))
      }
      case 'remove':
        this.used.delete(each.name)
        return
      case 'set-clock':
        this.drift += each.ms
    }
  }

  wake(): void {
    this.#take(this.bench.tick())
  }

  #take(commands: readonly AcmeCommand[]): void {
    for (const command of commands) {
      if (command.type === 'order') {
        expect(this.open, 'one order at a time').toBeUndefined()
        expect(this.wanted).toContain(command.name)
        this.open = command
        this.ordered.push({ name: command.name, at: this.bench.now })
      } else if (command.type === 'cancel-order') {
        expect(command.attempt).toBe(this.open?.attempt)
        this.open = undefined
      } else if (command.type === 'look') {
        const certificates = [...this.used].map(([name, validToMs]) => ({
          name,
          validFromMs: validToMs - 90 * DAY,
          validToMs,
        }))
        const wallClockMs = EPOCH + this.bench.now + this.drift
        this.#take(this.bench.step({ type: 'certificates', wallClockMs, certificates }))
      }
    }
  }
}

test('one order at a time, of wanted names only, and seldom for one name', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const world = new World()
      const left = new Set<string>()
      for (const each of acts) {
        if (each.do === 'names') for (const name of NAMES) left.add(name)
        world.act(each)
      }
      const isSteady = acts.filter((each) => each.do === 'names').length === 1
      if (!isSteady) return
      for (const name of NAMES) {
        const at = world.ordered.filter((each) => each.name === name).map((each) => each.at)
        for (let i = 1; i < at.length; i++) {
          expect(at[i]! - at[i - 1]!, name).toBeGreaterThanOrEqual(MINUTE)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('what is wanted and missing is got in the end, when nothing fails any more', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), fc.subarray(NAMES.slice(0, 4)), (acts, names) => {
      const world = new World()
      for (const each of acts) world.act(each)
      world.act({ do: 'names', names })
      for (let turn = 0; turn < 1_000; turn++) {
        const { now, planner } = world.bench
        if (world.open === undefined && planner.nameCounts(now).good === names.length) return
        if (world.open === undefined) world.wake()
        else world.act({ do: 'issue', late: 0, ms: 80 * DAY, isUsed: true })
      }
      expect.fail('it never comes to rest')
    }),
    { numRuns: 200 },
  )
})

test('the same events give the same commands', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const runs = [new World(), new World()].map((world) => {
        for (const each of acts) world.act(each)
        return world.ordered
      })
      expect(runs[0]).toEqual(runs[1])
    }),
  )
})
