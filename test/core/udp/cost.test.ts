/** What events cost, in words of memory that are touched: with any number of flows the same. */
import { describe, expect, test } from 'vitest'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import {
  abortFlow,
  answer,
  type Bench,
  backends,
  benchAfter,
  C1,
  CLOSE_ALL,
  crowd,
  flow,
  opened,
  query,
  TICK,
} from './rows.ts'

describe('work that does not grow with the number of flows', () => {
  /** Counts each reading and writing of a flow's record from now on. */
  function countTouches(bench: Bench): { touches: number } {
    const counter = { touches: 0 }
    const { words, doubles } = bench.table.state.records
    for (const pages of [words, doubles] as (Int32Array | Float64Array)[][]) {
      for (const [at, page] of pages.entries()) {
        pages[at] = new Proxy(page, {
          get: (target, property) => {
            counter.touches += 1
            const value = Reflect.get(target, property, target)
            return typeof value === 'function' ? value.bind(target) : value
          },
          set: (target, property, value) => {
            counter.touches += 1
            return Reflect.set(target, property, value, target)
          },
        })
      }
    }
    return counter
  }

  const answeredFlows = (count: number): Bench => {
    const bench = benchAfter([backends(1, 'A')], { flowsMax: 1_000_000 })
    const clients = crowd(count)
    bench.runMany(
      clients.flatMap((client, i): FlowEvent[] => [
        query(client),
        opened(flow(i, i + 1)),
        answer(flow(i, i + 1)),
      ]),
    )
    return bench
  }
  const step = (bench: Bench, event: FlowEvent): FlowCommand[] => {
    const out: FlowCommand[] = []
    bench.table.step(event, bench.now, out)
    return out
  }
  /** What one of each of these touches, among so many flows. */
  const touchesOf = (bench: Bench): Record<string, number> => {
    const serial = bench.table.counters.created
    const newcomer = flow(bench.table.flowCount, serial + 1)
    const events: Readonly<Record<string, FlowEvent>> = {
      forward: query(crowd(1)[0]!),
      answer: answer(flow(0, 1)),
      admit: query(C1),
      open: opened(newcomer),
      late: opened(newcomer),
      abort: abortFlow(newcomer),
      tick: TICK,
      deadline: { type: 'drain' },
    }
    bench.now = 100
    const counter = countTouches(bench)
    return Object.fromEntries(
      Object.entries(events).map(([name, event]) => {
        counter.touches = 0
        step(bench, event)
        bench.table.deadline()
        return [name, counter.touches]
      }),
    )
  }

  test('udp W1: each event touches as many words of flows among 16,000 as among 16', () => {
    const few = touchesOf(answeredFlows(16))
    const many = touchesOf(answeredFlows(16_000))
    expect(few.forward).toBeGreaterThan(0)
    for (const [name, touches] of Object.entries(many)) {
      // An index finds a few others on the way, whatever their number.
      expect(touches, name).toBeLessThanOrEqual(few[name]! + 20)
    }
  })

  test('udp W1: nor as many as there were once', () => {
    const few = touchesOf(answeredFlows(16))
    const bench = answeredFlows(16_000)
    bench.runMany(crowd(15_984).map((_, i) => abortFlow(flow(i + 16, i + 17))))
    expect(bench.table.flowCount).toBe(16)
    const after = { ...touchesOf(bench) }
    expect(after.forward).toBeLessThanOrEqual(few.forward! + 20)
    expect(after.answer).toBeLessThanOrEqual(few.answer! + 20)
    expect(after.tick).toBeLessThanOrEqual(few.tick! + 20)
  })

  test('udp W17: making room does not look at all flows that were put off', () => {
    const touchesOfEviction = (count: number): number => {
      const bench = benchAfter([backends(1, 'A')], { flowsMax: count })
      const clients = crowd(count)
      bench.runMany(clients.flatMap((client, i) => [query(client), opened(flow(i, i + 1))]))
      bench.now = 1_000
      bench.runMany(clients.map((client) => query(client)))
      const counter = countTouches(bench)
      const commands = step(bench, query(C1))
      expect(commands.map(({ type }) => type)).toEqual(['close-flow', 'open-upstream'])
      return counter.touches
    }
    expect(touchesOfEviction(16_000)).toBeLessThan(touchesOfEviction(1_000) * 1.5)
  })

  test('udp W2: nor does a mass close look again and again at who came after it', () => {
    const touchesOfRest = (newcomers: number): number => {
      const bench = answeredFlows(1_100)
      step(bench, CLOSE_ALL)
      bench.runMany(crowd(newcomers, 5_000).map((client) => query(client)))
      const counter = countTouches(bench)
      bench.now = bench.table.deadline()!
      expect(step(bench, TICK)).toHaveLength(76)
      return counter.touches
    }
    expect(touchesOfRest(1_000)).toBeLessThan(touchesOfRest(0) + 10_000)
    expect(touchesOfRest(8_000)).toBeLessThan(touchesOfRest(0) + 60_000)
  })

  test('udp W2: closing all costs each flow the same among 16,000 as among 1,000', () => {
    const perFlow = (count: number): number => {
      const bench = answeredFlows(count)
      const counter = countTouches(bench)
      let ended = step(bench, CLOSE_ALL).length
      while (bench.table.flowCount > 0) {
        bench.now = bench.table.deadline()!
        ended += step(bench, TICK).length
      }
      expect(ended).toBe(count)
      return counter.touches / count
    }
    expect(perFlow(16_000)).toBeLessThan(perFlow(1_000) * 1.5)
  })

  test('udp W2: so does letting all of them go at their time', () => {
    const perFlow = (count: number): number => {
      const bench = answeredFlows(count)
      const counter = countTouches(bench)
      let ended = 0
      while (bench.table.flowCount > 0) {
        bench.now = bench.table.deadline()!
        ended += step(bench, TICK).length
      }
      expect(ended).toBe(count)
      return counter.touches / count
    }
    expect(perFlow(16_000)).toBeLessThan(perFlow(1_000) * 1.5)
  })
})
