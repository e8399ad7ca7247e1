/** When flows end by themselves. */
import { describe, expect, test } from 'vitest'
import type { UdpConfig } from '../../../../core/udp/config.ts'
import {
  ANSWERED,
  abortFlow,
  answer,
  at,
  backends,
  benchAfter,
  C1,
  C2,
  C3,
  closed,
  configure,
  F1,
  F2,
  F3,
  flow,
  OPEN,
  openCommand,
  opened,
  query,
  type Step,
  TICK,
  testRows,
} from '../rows.ts'

const TIMES = { frontTimeoutMs: 20_000, backTimeoutMs: 10_000, halfOpenTimeoutMs: 4_000 }

interface Ending {
  readonly name: string
  readonly config?: Partial<UdpConfig>
  readonly given: readonly Step[]
  /** When the first flow is admitted; 0 when not said. */
  readonly from?: number
  /** When it is closed, and what else is known of it. */
  readonly at: number
  readonly reason: 'idle' | 'half-open' | 'lifetime'
  readonly backend?: string
  readonly attempt?: number
  readonly up?: readonly [number, number]
  readonly down?: readonly [number, number]
}

/** The first flow is closed by itself at an instant: that tick closes it, and nothing before it. */
function testEndings(endings: readonly Ending[]): void {
  for (const { name, config = {}, given, from = 0, at: end, reason, ...carried } of endings) {
    test(`${name}: ${end} ms, ${reason}`, () => {
      const closing = closed(F1, reason, { ...carried, ms: end - from })
      const asked = benchAfter(given, { ...TIMES, ...config })
      expect(asked.tickUntil(end + 1_000_000)).toEqual([{ at: end, commands: [closing] }])
      expect(asked.table.deadline()).toBeUndefined()
      const pushed = benchAfter(given, { ...TIMES, ...config })
      expect(pushed.run(at(end - 1, TICK))).toEqual([])
      expect(pushed.run(at(end, TICK))).toEqual([closing])
    })
  }
}

describe('a flow ends by itself', () => {
  testEndings([
    {
      name: 'its socket never opens',
      given: [backends(1, 'A'), query(C1)],
      at: 4_000,
      reason: 'half-open',
    },
    {
      name: 'udp W14: its socket never opens, however much its client sends',
      given: [backends(1, 'A'), query(C1), at(1_000, query(C1)), at(3_999, query(C1))],
      at: 4_000,
      reason: 'half-open',
    },
    {
      name: 'it opened, and is not answered',
      given: [backends(1, 'A'), query(C1), at(1_600, opened(F1))],
      at: 5_600,
      reason: 'half-open',
      up: [1, 1],
    },
    {
      name: 'it opened, with nothing to send',
      config: { heldBytesMax: 0 },
      given: [backends(1, 'A'), query(C1), at(1_600, opened(F1))],
      at: 4_000,
      reason: 'half-open',
    },
    {
      name: 'never answered, its client sends on',
      given: [...OPEN, at(3_200, query(C1)), at(6_400, query(C1))],
      at: 10_400,
      reason: 'half-open',
      up: [3, 3],
    },
    {
      name: 'never answered, and the front timeout is the shorter one',
      config: { frontTimeoutMs: 1_600 },
      given: [...OPEN, at(800, query(C1))],
      at: 2_400,
      reason: 'half-open',
      up: [2, 2],
    },
    {
      name: 'answered: the back timeout',
      given: [...OPEN, at(1_600, answer(F1))],
      at: 11_600,
      reason: 'idle',
      up: [1, 1],
      down: [1, 1],
    },
    {
      name: 'answered again: the back timeout from then',
      given: [...ANSWERED, at(1_600, answer(F1))],
      at: 11_600,
      reason: 'idle',
      up: [1, 1],
      down: [2, 2],
    },
    {
      name: 'answered, then asked: the front timeout',
      given: [...ANSWERED, at(1_600, query(C1))],
      at: 21_600,
      reason: 'idle',
      up: [2, 2],
      down: [1, 1],
    },
    {
      name: 'answered, then asked, the front timeout being shorter than what was left',
      config: { frontTimeoutMs: 1_600 },
      given: [...ANSWERED, at(800, query(C1))],
      at: 2_400,
      reason: 'idle',
      up: [2, 2],
      down: [1, 1],
    },
    {
      name: 'asked and answered: the answer may bring the end nearer',
      given: [...ANSWERED, at(160, query(C1)), at(320, answer(F1))],
      at: 10_320,
      reason: 'idle',
      up: [2, 2],
      down: [2, 2],
    },
    {
      name: 'the answer may be the first that puts it off',
      config: { backTimeoutMs: 40_000 },
      given: ANSWERED,
      at: 40_000,
      reason: 'idle',
      up: [1, 1],
      down: [1, 1],
    },
    {
      name: 'never answered, as long as that may take',
      config: { halfOpenTimeoutMs: 60_000, frontTimeoutMs: 640_000 },
      given: [...OPEN, at(59_200, query(C1))],
      at: 119_200,
      reason: 'half-open',
      up: [2, 2],
    },
    {
      name: 'timeouts longer than a minute',
      config: { frontTimeoutMs: 640_000 },
      given: [...ANSWERED, at(1_600, query(C1))],
      at: 641_600,
      reason: 'idle',
      up: [2, 2],
      down: [1, 1],
    },
    {
      name: 'timeouts of days',
      config: { backTimeoutMs: 160_000_000 },
      given: ANSWERED,
      at: 160_000_000,
      reason: 'idle',
      up: [1, 1],
      down: [1, 1],
    },
    {
      name: 'by the configuration it was admitted under',
      given: [...OPEN, configure({ halfOpenTimeoutMs: 160, frontTimeoutMs: 160 }), query(C1)],
      at: 4_000,
      reason: 'half-open',
      up: [2, 2],
    },
    {
      name: 'also after an answer',
      given: [...OPEN, configure({ backTimeoutMs: 160 }), answer(F1)],
      at: 10_000,
      reason: 'idle',
      up: [1, 1],
      down: [1, 1],
    },
  ])

  testRows([
    {
      name: 'nothing refused puts its end off',
      config: { ...TIMES, datagramBytesMax: 4 },
      given: [...OPEN, at(3_000, query(C1, '12345')), answer(F1, '12345'), answer(F1, 'a', 2)],
      when: at(4_000, TICK),
      then: [closed(F1, 'half-open', { up: [1, 1], ms: 4_000 })],
    },
    {
      name: 'its client is a new one then',
      config: TIMES,
      given: [...OPEN, at(4_000, TICK)],
      when: query(C1),
      then: [openCommand(flow(0, 2), 'A')],
    },
    {
      name: 'a datagram at its very end, before the tick, keeps it',
      config: TIMES,
      given: [...OPEN, at(4_000, query(C1))],
      when: at(4_000, TICK),
      then: [],
    },
    {
      name: 'a tick without anything due does nothing',
      given: OPEN,
      when: at(100, TICK),
      then: [],
    },
    {
      name: 'a second tick at one instant does nothing',
      config: TIMES,
      given: [...OPEN, at(4_000, TICK)],
      when: at(4_000, TICK),
      then: [],
    },
    { name: 'a tick of an empty table does nothing', when: at(100, TICK), then: [] },
    {
      name: 'a tick that is days late',
      config: TIMES,
      given: ANSWERED,
      when: at(200_000_000, TICK),
      then: [closed(F1, 'idle', { up: [1, 1], down: [1, 1], ms: 200_000_000 })],
    },
  ])
})

describe('the granularity is 16 ms, rounded up', () => {
  testEndings([
    {
      name: 'a whole unit stays one',
      config: { halfOpenTimeoutMs: 16 },
      given: [backends(1, 'A'), query(C1)],
      at: 16,
      reason: 'half-open',
    },
    {
      name: 'one more is the next',
      config: { halfOpenTimeoutMs: 17 },
      given: [backends(1, 'A'), query(C1)],
      at: 32,
      reason: 'half-open',
    },
    {
      name: 'the least',
      config: { halfOpenTimeoutMs: 1 },
      given: [backends(1, 'A'), query(C1)],
      at: 16,
      reason: 'half-open',
    },
    {
      name: 'what is rounded is the instant, not the time',
      config: { halfOpenTimeoutMs: 16 },
      given: [at(15, backends(1, 'A')), query(C1), at(17, opened(F1))],
      from: 15,
      at: 48,
      reason: 'half-open',
      up: [1, 1],
    },
    {
      name: 'fractions of a millisecond too',
      given: [at(0.5, backends(1, 'A')), query(C1)],
      from: 0.5,
      at: 4_016,
      reason: 'half-open',
    },
  ])
})

describe('a lifetime', () => {
  const LIFETIME = { lifetimeMaxMs: 8_000 }
  testEndings([
    {
      name: 'udp W15: ends a flow however much it carries',
      config: LIFETIME,
      given: [...ANSWERED, at(4_000, query(C1)), at(7_990, answer(F1))],
      at: 8_000,
      reason: 'lifetime',
      up: [2, 2],
      down: [2, 2],
    },
    {
      name: 'is from admission, whatever backend the flow has',
      backend: 'B',
      attempt: 2,
      config: LIFETIME,
      given: [
        ...ANSWERED,
        at(4_000, backends(2, 'aB')),
        at(6_000, query(C1)),
        opened(F1, 2),
        answer(F1, 'a', 2),
        backends(3, 'A'),
      ],
      at: 8_000,
      reason: 'lifetime',
      up: [2, 2],
      down: [2, 2],
    },
    {
      name: 'ends one whose socket never opens',
      config: { lifetimeMaxMs: 3_200 },
      given: [backends(1, 'A'), query(C1)],
      at: 3_200,
      reason: 'lifetime',
    },
    {
      name: 'is rounded up too',
      config: { lifetimeMaxMs: 7_999 },
      given: [...ANSWERED, at(4_000, query(C1))],
      at: 8_000,
      reason: 'lifetime',
      up: [2, 2],
      down: [1, 1],
    },
    {
      name: 'is not the reason when a quiet flow ends before it',
      config: { lifetimeMaxMs: 10_001 },
      given: ANSWERED,
      at: 10_000,
      reason: 'idle',
      up: [1, 1],
      down: [1, 1],
    },
    {
      name: 'is the reason where it ends at the same instant',
      config: { lifetimeMaxMs: 10_000 },
      given: ANSWERED,
      at: 10_000,
      reason: 'lifetime',
      up: [1, 1],
      down: [1, 1],
    },
    {
      name: 'is the one of admission',
      config: LIFETIME,
      given: [...ANSWERED, configure({ lifetimeMaxMs: 1_600 }), at(4_000, query(C1))],
      at: 8_000,
      reason: 'lifetime',
      up: [2, 2],
      down: [1, 1],
    },
    {
      name: 'there is none for flows admitted without',
      given: [...ANSWERED, configure({ lifetimeMaxMs: 1_600 }), at(4_000, query(C1))],
      at: 24_000,
      reason: 'idle',
      up: [2, 2],
      down: [1, 1],
    },
  ])
})

describe('several that are due', () => {
  const THREE: readonly Step[] = [backends(1, 'A'), query(C1), at(16, query(C2)), at(32, query(C3))]
  testRows([
    {
      name: 'end in the order of their deadlines',
      config: TIMES,
      given: [...THREE, at(48, opened(F1)), opened(F2)],
      when: at(10_000, TICK),
      then: [
        closed(F3, 'half-open', { client: C3, ms: 9_968 }),
        closed(F1, 'half-open', { up: [1, 1], ms: 10_000 }),
        closed(F2, 'half-open', { client: C2, up: [1, 1], ms: 9_984 }),
      ],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'answered or not',
      config: { ...TIMES, backTimeoutMs: 2_000 },
      given: [...THREE, at(48, opened(F2)), answer(F2)],
      when: at(4_016, TICK),
      then: [
        closed(F2, 'idle', { client: C2, up: [1, 1], down: [1, 1], ms: 4_000 }),
        closed(F1, 'half-open', { ms: 4_016 }),
      ],
      drops: { 'held-lost': 1 },
    },
    {
      name: 'with one deadline in the order of their slots, however they came about',
      config: TIMES,
      given: [
        backends(1, 'A'),
        query(C1),
        query(C2),
        query(C3),
        abortFlow(F2),
        query(C2),
        at(1_600, opened(F3)),
        opened(flow(1, 4)),
        opened(F1),
        answer(flow(1, 4)),
        at(1_601, query(C1)),
        query(C3),
        configure({ ...TIMES, backTimeoutMs: 4_000 }),
      ],
      when: at(20_000, TICK),
      then: [
        closed(F1, 'half-open', { up: [2, 2], ms: 20_000 }),
        closed(F3, 'half-open', { client: C3, up: [2, 2], ms: 20_000 }),
        closed(flow(1, 4), 'idle', { client: C2, up: [1, 1], down: [1, 1], ms: 20_000 }),
      ],
    },
    {
      name: 'with one deadline, one answered and one not: the lowest slot first',
      config: { ...TIMES, backTimeoutMs: 4_000 },
      given: [backends(1, 'A'), query(C1), query(C2), opened(F1), opened(F2), answer(F1)],
      when: at(4_000, TICK),
      then: [
        closed(F1, 'idle', { up: [1, 1], down: [1, 1], ms: 4_000 }),
        closed(F2, 'half-open', { client: C2, up: [1, 1], ms: 4_000 }),
      ],
    },
  ])
})
