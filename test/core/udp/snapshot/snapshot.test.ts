/** A table restored from its snapshot goes on as the other one, whatever happens to both. */
import { describe, expect, test } from 'vitest'
import type { FlowCommand } from '../../../../core/udp/commands.ts'
import { defaultUdpConfig } from '../../../../core/udp/config.ts'
import type { FlowEvent } from '../../../../core/udp/events.ts'
import type { FlowTableSnapshot } from '../../../../core/udp/snapshot.ts'
import { DATAGRAMS_DOWN, DATAGRAMS_UP } from '../../../../core/udp/storage/flow-records.ts'
import { FlowTable, type FlowTableOptions } from '../../../../core/udp/table.ts'
import {
  ABORT_ALL,
  ANSWERED,
  address,
  answer,
  at,
  Bench,
  backends,
  benchAfter,
  C1,
  C1B,
  C2,
  C3,
  C4,
  C6,
  CLOSE,
  CLOSE_ALL,
  configure,
  crowd,
  cut,
  F1,
  F2,
  failed,
  flow,
  LOCAL,
  OPEN,
  openCommand,
  opened,
  query,
  type Step,
  TICK,
  up,
} from '../rows.ts'
import { announced, LIVES, PROXY } from './lives.ts'

/** What may happen next. Each is done to a table, and everything it says is written down. */
const FUTURES: Readonly<Record<string, (bench: Bench, log: FlowCommand[][]) => void>> = {
  'nothing but time': () => {},
  'clients, answers': (bench, log) => {
    pass(bench, log, 30, clients('again'))
    pass(
      bench,
      log,
      40,
      socketsOf(bench, (id, attempt) => [opened(id, attempt)]),
    )
    pass(
      bench,
      log,
      90,
      socketsOf(bench, (id, attempt) => [answer(id, 'yes', attempt)]),
    )
    pass(bench, log, 1_500, clients('more'))
    pass(bench, log, 10, clients('and more'))
  },
  'a little later': (bench, log) => {
    pass(
      bench,
      log,
      50,
      crowd(3).map((client) => query(client)),
    )
    pass(
      bench,
      log,
      60,
      crowd(3, 3).map((client) => query(client)),
    )
    pass(bench, log, 0, [query(C1B), query(C6)])
  },
  'backends fail': (bench, log) => {
    pass(
      bench,
      log,
      10,
      socketsOf(bench, (id, attempt) => [failed(id, attempt)]),
    )
    pass(bench, log, 600, clients('again'))
    pass(
      bench,
      log,
      0,
      socketsOf(bench, (id, attempt) => [failed(id, attempt)]),
    )
  },
  'backends change': (bench, log) => {
    pass(bench, log, 10, [backends(90, 'BAD')])
    pass(bench, log, 300, clients('again'))
    pass(bench, log, 0, [backends(91, 'CD'), cut('A')])
    pass(bench, log, 700, clients('and again'))
  },
  'settings change': (bench, log) => {
    pass(bench, log, 10, [configure({ requests: 1, responses: 1, flowsMax: 5 })])
    pass(bench, log, 10, clients('again'))
    pass(
      bench,
      log,
      10,
      socketsOf(bench, (id, attempt) => [opened(id, attempt)]),
    )
    pass(
      bench,
      log,
      10,
      socketsOf(bench, (id, attempt) => [answer(id, 'yes', attempt)]),
    )
  },
  'the end': (bench, log) => {
    pass(bench, log, 10, [CLOSE, ...clients('still')])
    pass(bench, log, 2_500, [backends(92, '')])
  },
  'all are closed': (bench, log) => pass(bench, log, 10, [CLOSE_ALL, ...clients('anew')]),
  'all is aborted': (bench, log) => pass(bench, log, 10, [ABORT_ALL]),
}

const clients = (payload: string): FlowEvent[] => [
  ...[C1, C2, C3, C4, C1B, C6].map((client) => query(client, payload)),
  query(C1, payload, address('203.0.113.5:53')),
  query(PROXY, announced(C1)),
  query(PROXY, announced(C2)),
]

/** Of every flow there is, and each attempt it may have had. */
const socketsOf = (
  bench: Bench,
  event: (id: typeof F1, attempt: number) => FlowEvent[],
): FlowEvent[] =>
  bench.table
    .flows(bench.now, 100)
    .flatMap(({ flow: id }) => [1, 2, 3, 4].flatMap((attempt) => event(id, attempt)))

function pass(bench: Bench, log: FlowCommand[][], ms: number, events: readonly FlowEvent[]): void {
  for (const { commands } of bench.tickUntil(bench.now + ms)) log.push(commands)
  for (const event of events) log.push(bench.run(event))
}

/** Everything a table says and shows from now on, by instants from now. */
function futureOf(bench: Bench, name: string): unknown {
  const log: FlowCommand[][] = []
  const start = bench.now
  FUTURES[name]!(bench, log)
  const views = bench.table.flows(bench.now, 100)
  const ends = bench.tickUntil(bench.now + 200_000)
  const deadline = bench.table.deadline()
  return {
    log,
    views,
    ends: ends.map((step) => ({ ...step, at: step.at - start })),
    deadline: deadline === undefined ? undefined : deadline - start,
    counters: bench.table.counters,
    last: bench.table.snapshot(bench.now),
  }
}

/** As it comes back from a file. */
const throughText = (snapshot: FlowTableSnapshot): FlowTableSnapshot =>
  JSON.parse(JSON.stringify(snapshot))

const restored = (bench: Bench, shift: number, options: FlowTableOptions = {}): Bench => {
  const now = bench.now + shift
  const table = FlowTable.restore(throughText(bench.table.snapshot(bench.now)), now, options)
  return new Bench(table, now)
}

/** Whole units: instants are rounded to those of the clock they are on. */
const LATER = 16 * 1_000_003

for (const { name, config = {}, options = {}, given } of LIVES) {
  describe(name, () => {
    const life = (): Bench => benchAfter(given, config, options)

    test('is plain JSON, and the same when it is taken again', () => {
      const bench = life()
      const snapshot = bench.table.snapshot(bench.now)
      expect(throughText(snapshot)).toEqual(snapshot)
      const same = restored(bench, 0, options).table.snapshot(bench.now)
      expect(throughText(same)).toEqual(snapshot)
      const later = restored(bench, LATER, options).table.snapshot(bench.now + LATER)
      expect(throughText(later)).toEqual(snapshot)
    })

    for (const future of Object.keys(FUTURES)) {
      test(`and then: ${future}`, () => {
        const expected = futureOf(life(), future)
        expect(futureOf(restored(life(), 0, options), future)).toEqual(expected)
        expect(futureOf(restored(life(), LATER, options), future)).toEqual(expected)
      })
    }
  })
}

describe('a snapshot', () => {
  test('in the middle of a mass close: those that came meanwhile stay', () => {
    const large = { flowsMax: 5_000 }
    const bench = benchAfter([backends(1, 'A')], large)
    bench.runMany(crowd(1_500).map((client) => query(client)))
    bench.runAll([at(7, CLOSE_ALL), query(C1)])
    const again = restored(bench, LATER)
    expect(again.table.deadline()).toBe(8 + LATER)
    expect(again.run(at(8 + LATER, TICK))).toEqual(bench.run(at(8, TICK)))
    expect(again.table.flowCount).toBe(1)
  })

  test('in the middle of the end: the socket goes with the last flow', () => {
    const bench = benchAfter([backends(1, 'A')], { flowsMax: 5_000 })
    bench.runMany(crowd(1_500).map((client) => query(client)))
    bench.run(at(7, ABORT_ALL))
    const again = restored(bench, LATER)
    expect(again.run(at(8 + LATER, TICK))).toEqual(bench.run(at(8, TICK)))
    expect(again.table.deadline()).toBeUndefined()
  })

  test('the configuration is the one of the snapshot, not that of the options', () => {
    const bench = benchAfter([backends(1, 'A')], { flowsMax: 0 })
    const again = restored(bench, 0, { config: { ...defaultUdpConfig, flowsMax: 9 } })
    expect(again.run(query(C1))).toEqual([])
    expect(again.table.counters.dropped.shed).toBe(1)
  })

  test('another seed of the table finds the same flows', () => {
    const bench = benchAfter([backends(1, 'A'), query(C1), query(C6), opened(F1), opened(F2)])
    const again = restored(bench, 0, { hashSeed: [77, 78] })
    expect(again.run(query(C6, 'q', LOCAL))).toHaveLength(1)
    expect(again.run(query(C1))).toEqual([expect.objectContaining({ type: 'send-upstream' })])
  })

  /** As if so many had been admitted. */
  const afterAdmissions = (given: readonly Step[], serialLast: number): Bench => {
    const bench = benchAfter(given)
    const snapshot = { ...bench.table.snapshot(bench.now), serialLast }
    return new Bench(FlowTable.restore(snapshot, bench.now), bench.now)
  }

  test('counts of datagrams stop at 2^32 - 1', () => {
    const bench = benchAfter(ANSWERED)
    const snapshot = bench.table.snapshot(bench.now)
    const flows = snapshot.flows.map((each) => {
      const words = [...each.words]
      words[DATAGRAMS_UP] = -2
      words[DATAGRAMS_DOWN] = -2
      return { ...each, words }
    })
    const again = new Bench(FlowTable.restore({ ...snapshot, flows }, bench.now), bench.now)
    again.runAll([query(C1), query(C1), answer(F1), answer(F1)])
    expect(again.table.flow(F1, 0)?.totals).toMatchObject({
      datagramsUp: 2 ** 32 - 1,
      datagramsDown: 2 ** 32 - 1,
    })
  })

  test('serials begin again after 2^32 - 1', () => {
    const bench = afterAdmissions([...OPEN], 2 ** 32 - 2)
    expect(bench.run(query(C2))).toEqual([openCommand(flow(1, 2 ** 32 - 1), 'A')])
    expect(bench.run(query(C3))).toEqual([openCommand(flow(2, 0), 'A')])
    expect(bench.run(opened(flow(2, 0)))).toEqual([up(flow(2, 0))])
    expect(bench.run(answer(flow(1, 2 ** 32 - 1), 'x'))).toEqual([])
    expect(bench.run(opened(flow(1, 2 ** 32 - 1)))).toEqual([up(flow(1, 2 ** 32 - 1))])
  })

  for (const event of [CLOSE_ALL, CLOSE, ABORT_ALL]) {
    test(`${event.type} ends a flow as old as half of all serials, and the newest too`, () => {
      for (const serialLast of [2 ** 31, 2 ** 31 + 1, 2 ** 31 + 2, 2 ** 32 - 1]) {
        const bench = afterAdmissions([...ANSWERED], serialLast)
        const newest = bench.run(query(C2))[0]
        if (newest?.type !== 'open-upstream') throw new Error('not admitted')
        bench.runAll([opened(newest.flow), answer(newest.flow), event])
        expect(bench.table.flowCount).toBe(0)
      }
    })
  }

  test('is its own: the table goes on without changing it', () => {
    const bench = benchAfter([...OPEN, query(C2)])
    const snapshot = bench.table.snapshot(bench.now)
    const before = throughText(snapshot)
    futureOf(bench, 'clients, answers')
    expect(snapshot).toEqual(before)
  })
})
