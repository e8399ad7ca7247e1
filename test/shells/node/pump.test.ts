import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Instant, Machine } from '../../../core/machine.ts'
import {
  Pump,
  type PumpClock,
  type PumpFault,
  type PumpJournal,
  TIMER_MS_MAX,
} from '../../../shells/node/pump.ts'
import { Counter, type CounterCommand, type CounterEvent } from './journal/counter-machine.ts'

/** Time that passes when told, with a fraction, as performance.now() has one. */
class FakeClock implements PumpClock {
  at = 1_000.75
  timers: { at: number; run: () => void }[] = []
  microtasks: (() => void)[] = []

  now(): number {
    return this.at
  }

  after(ms: number, run: () => void): () => void {
    if (ms < 1 || ms > TIMER_MS_MAX) throw new Error(`a timer of ${ms} ms fires at once`)
    const timer = { at: this.at + ms, run }
    this.timers.push(timer)
    return () => {
      this.timers = this.timers.filter((each) => each !== timer)
    }
  }

  soon(run: () => void): void {
    this.microtasks.push(run)
  }

  turn(): void {
    for (const run of this.microtasks.splice(0)) run()
  }

  /** Runs timers on the way; `earlyMs`: as setTimeout does, a little before their time. */
  advance(ms: number, earlyMs = 0): void {
    const until = this.at + ms
    for (;;) {
      const next = this.timers.toSorted((a, b) => a.at - b.at)[0]
      if (next === undefined || next.at - earlyMs > until) break
      this.timers = this.timers.filter((each) => each !== next)
      this.at = Math.max(this.at, next.at - earlyMs)
      next.run()
      this.turn()
    }
    this.at = until
    this.turn()
  }
}

type Entry =
  | { readonly what: 'ready' | 'flush' | 'change' }
  | { readonly what: 'step'; readonly event: unknown; readonly now: Instant }
  | { readonly what: 'record'; readonly event: unknown }
  | { readonly what: 'fault'; readonly event: unknown }
  | { readonly what: 'apply'; readonly command: unknown }

interface RigOptions<Event, Command> {
  readonly machine: Machine<Event, Command>
  readonly tick: Event
  readonly onApply?: (command: Command, pump: Pump<Event, Command>) => void
}

/** A pump with everything it touches written down in order. */
function rig<Event, Command>({ machine, tick, onApply }: RigOptions<Event, Command>) {
  const clock = new FakeClock()
  const trace: Entry[] = []
  const faults: PumpFault<Event>[] = []
  const journal: PumpJournal<Event, Command> = {
    ready: () => trace.push({ what: 'ready' }),
    record: (_now, event) => trace.push({ what: 'record', event }),
    fault: (_now, event) => trace.push({ what: 'fault', event }),
    flush: () => trace.push({ what: 'flush' }),
  }
  const watched: Machine<Event, Command> = {
    step: (event, now, out) => {
      trace.push({ what: 'step', event, now })
      machine.step(event, now, out)
    },
    deadline: () => machine.deadline(),
  }
  const pump: Pump<Event, Command> = new Pump<Event, Command>({
    machine: watched,
    tick,
    journal,
    clock,
    apply: (command) => {
      trace.push({ what: 'apply', command })
      onApply?.(command, pump)
    },
    onChange: () => trace.push({ what: 'change' }),
    onFault: (fault) => faults.push(fault),
  })
  return { pump, clock, trace, faults }
}

const counterRig = (
  onApply?: (command: CounterCommand, pump: Pump<CounterEvent, CounterCommand>) => void,
) =>
  rig<CounterEvent, CounterCommand>({
    machine: new Counter(),
    tick: { type: 'tick' },
    ...(onApply === undefined ? {} : { onApply }),
  })

const stepsOf = (trace: readonly Entry[]) => trace.filter((each) => each.what === 'step')

describe('the pump', () => {
  test('writes an event down before its commands run', () => {
    const { pump, trace } = counterRig()
    const event: CounterEvent = { type: 'add', by: 3 }
    pump.send(event)
    expect(trace).toEqual([
      { what: 'ready' },
      { what: 'step', event, now: 1_000 },
      { what: 'record', event },
      { what: 'flush' },
      { what: 'apply', command: { type: 'total', total: 3 } },
    ])
  })

  test('queues what a command causes at once, and never re-enters', () => {
    const { pump, trace } = counterRig((command, pump) => {
      if (command.type !== 'total' || command.total > 2) return
      pump.send({ type: 'add', by: 1 })
      pump.send({ type: 'add', by: 1 })
    })
    pump.send({ type: 'add', by: 1 })
    expect(trace.map(({ what }) => what)).toEqual([
      ...['ready', 'step', 'record', 'flush', 'apply'],
      ...['ready', 'step', 'record', 'step', 'record', 'flush', 'apply', 'apply'],
      ...['ready', 'step', 'record', 'step', 'record', 'flush', 'apply', 'apply'],
    ])
  })

  test('says once per turn of the event loop that something changed', () => {
    const { pump, clock, trace } = counterRig()
    for (let each = 0; each < 5; each++) pump.send({ type: 'add', by: 1 })
    clock.turn()
    clock.turn()
    expect(trace.filter(({ what }) => what === 'change')).toHaveLength(1)
    pump.send({ type: 'add', by: 1 })
    clock.turn()
    expect(trace.filter(({ what }) => what === 'change')).toHaveLength(2)
  })

  test('lets the event loop turn when commands answer at once for ever', () => {
    const { pump, clock, trace } = counterRig((_command, pump) => pump.send({ type: 'add', by: 1 }))
    pump.send({ type: 'add', by: 1 })
    const first = stepsOf(trace).length
    expect(first).toBeLessThanOrEqual(1_000)
    pump.send({ type: 'add', by: 0 }) // waits its turn
    expect(stepsOf(trace)).toHaveLength(first)
    clock.turn()
    expect(stepsOf(trace)[first]).toMatchObject({ event: { by: 1 } })
    expect(stepsOf(trace)[first + 1]).toMatchObject({ event: { by: 0 } })
  })

  test('ticks when the deadline has come, not before, also with timers that fire early', () => {
    const { pump, clock, trace } = counterRig()
    pump.send({ type: 'remind', inMs: 50 }) // at 1,050; it is 1,000.75
    clock.advance(49.2, 0.9)
    expect(stepsOf(trace)).toHaveLength(1)
    clock.advance(5, 0.9)
    expect(stepsOf(trace)[1]).toMatchObject({ event: { type: 'tick' } })
    expect(trace).toContainEqual({ what: 'apply', command: { type: 'reminder', lateMs: 0 } })
    expect(clock.timers).toEqual([])
  })

  test('reaches a deadline further away than one timer can', () => {
    const { pump, clock, trace } = counterRig()
    pump.send({ type: 'remind', inMs: TIMER_MS_MAX * 2 + 500 })
    clock.advance(TIMER_MS_MAX * 2)
    expect(stepsOf(trace)).toHaveLength(1)
    clock.advance(501)
    expect(trace).toContainEqual({ what: 'apply', command: { type: 'reminder', lateMs: 0 } })
  })

  test('moves its one timer with the deadline', () => {
    const { pump, clock } = counterRig()
    pump.send({ type: 'remind', inMs: 50 })
    pump.send({ type: 'remind', inMs: 90 })
    pump.send({ type: 'add', by: 1 })
    expect(clock.timers).toHaveLength(1)
    pump.stop()
    expect(clock.timers).toEqual([])
  })

  test('a stopped pump drops and counts what still comes', () => {
    const { pump, clock, trace } = counterRig((_command, pump) => pump.stop())
    pump.send({ type: 'remind', inMs: 5 })
    pump.send({ type: 'add', by: 1 })
    pump.send({ type: 'add', by: 1 })
    clock.advance(100)
    expect(stepsOf(trace)).toHaveLength(2)
    expect(pump.dropped).toBe(1)
  })

  test('a machine that breaks: the fault is written, earlier commands run, nothing more is taken', () => {
    let sent = false
    const { pump, trace, faults } = counterRig((_command, pump) => {
      if (sent) return
      sent = true
      pump.send({ type: 'add', by: 5 })
      pump.send({ type: 'break' })
      pump.send({ type: 'add', by: 7 })
    })
    pump.send({ type: 'add', by: 1 })
    pump.send({ type: 'add', by: 1 })
    expect(faults).toEqual([{ error: new Error('the counter broke'), event: { type: 'break' } }])
    expect(trace.slice(5).map(({ what }) => what)).toEqual([
      ...['ready', 'step', 'record', 'step', 'fault', 'flush', 'apply'],
    ])
    expect(trace.at(-1)).toMatchObject({ command: { type: 'total', total: 6 } })
  })

  test('a command that throws is a fault too', () => {
    const { pump, faults } = counterRig(() => {
      throw new Error('no such socket')
    })
    pump.send({ type: 'add', by: 1 })
    pump.send({ type: 'add', by: 1 })
    expect(faults).toEqual([{ error: new Error('no such socket') }])
    expect(pump.dropped).toBe(1)
  })
})

describe('whatever is sent whenever', () => {
  type Numbered = { readonly id: number; readonly causes: number }
  type Caused = { readonly of: number; readonly index: number }

  /** Each event causes some commands; each command may send events of its own. */
  class Fan implements Machine<Numbered, Caused> {
    inside = false
    step(event: Numbered, _now: Instant, out: Caused[]): void {
      if (this.inside) throw new Error('re-entered')
      this.inside = true
      for (let index = 0; index < event.causes; index++) out.push({ of: event.id, index })
      this.inside = false
    }
    deadline(): undefined {
      return undefined
    }
  }

  test('every event is stepped once in order, recorded and flushed before its commands', () => {
    const script = fc.array(fc.record({ causes: fc.nat(3), answers: fc.nat(2) }), { maxLength: 60 })
    fc.assert(
      fc.property(script, (steps) => {
        let next = 0
        const sent: number[] = []
        const send = (pump: Pump<Numbered, Caused>): void => {
          const { causes } = steps[next] ?? { causes: 0 }
          sent.push(next)
          pump.send({ id: next++, causes })
        }
        const { pump, trace, faults } = rig<Numbered, Caused>({
          machine: new Fan(),
          tick: { id: -1, causes: 0 },
          onApply: (command, pump) => {
            const { answers } = steps[command.of] ?? { answers: 0 }
            for (let each = 0; each < answers && next < steps.length; each++) send(pump)
          },
        })
        while (next < steps.length) send(pump)

        expect(faults).toEqual([])
        expect(stepsOf(trace).map(({ event }) => (event as Numbered).id)).toEqual(
          sent.toSorted((a, b) => a - b),
        )
        const applied = trace.filter((each) => each.what === 'apply')
        const expected = steps.flatMap(({ causes }, of) =>
          Array.from({ length: causes }, (_, index) => ({ of, index })),
        )
        expect(applied.map(({ command }) => command)).toEqual(expected)
        let unflushed = new Set<number>()
        const flushed = new Set<number>()
        for (const entry of trace) {
          if (entry.what === 'record') unflushed.add((entry.event as Numbered).id)
          if (entry.what === 'flush') {
            for (const id of unflushed) flushed.add(id)
            unflushed = new Set()
          }
          if (entry.what === 'apply') expect(flushed).toContain((entry.command as Caused).of)
        }
        expect(unflushed.size).toBe(0)
      }),
    )
  })

  test('a tick comes at or after its deadline, and at most two milliseconds late', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            inMs: fc.integer({ min: 0, max: 500 }),
            pass: fc.double({ min: 0, max: 300, noNaN: true }),
          }),
        ),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (script, earlyMs) => {
          const { pump, clock, trace } = counterRig()
          for (const { inMs, pass } of script) {
            pump.send({ type: 'remind', inMs })
            clock.advance(pass, earlyMs)
          }
          clock.advance(2_000, earlyMs)
          expect(clock.timers).toEqual([])
          for (const entry of trace) {
            if (entry.what !== 'apply') continue
            const { lateMs } = entry.command as { lateMs: number }
            expect(lateMs).toBeGreaterThanOrEqual(0)
            expect(lateMs).toBeLessThanOrEqual(2)
          }
        },
      ),
    )
  })
})
