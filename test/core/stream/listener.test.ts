import { describe, expect, test } from 'vitest'
import type { StreamListenerCommand } from '../../../core/stream/commands.ts'
import type { ConnectionId } from '../../../core/stream/events.ts'
import {
  accepted,
  at,
  backends,
  C1,
  C2,
  C3,
  CONFIG,
  closeCommand,
  connectCommand,
  connected,
  data,
  ended,
  JOINED,
  listenerAfter,
  refused,
  run,
  side,
  TICK,
  testRows,
} from './rows.ts'

const applied = (version: number): StreamListenerCommand => ({ type: 'backends-applied', version })
const drained = (backend: string, version: number): StreamListenerCommand => ({
  type: 'backend-drained',
  backend,
  version,
})

describe('who is let in', () => {
  testRows([
    {
      name: 'before any set was applied, clients are closed at once',
      when: accepted(C1),
      then: [closeCommand(C1, 'no-backend')],
    },
    {
      name: 'with an empty set, clients are closed at once',
      given: [backends(1, 'A'), backends(2, '')],
      when: accepted(C1),
      then: [closeCommand(C1, 'no-backend')],
    },
    {
      name: 'after the listener was closed, a client that was on its way is refused',
      given: [backends(1, 'A'), { type: 'close' }],
      when: accepted(C1),
      then: [closeCommand(C1, 'not-accepting')],
    },
  ])

  test('proxy W29: at the most connections the new one is refused and the old ones stay', () => {
    const config = { ...CONFIG, connectionsMax: 2 }
    const listener = listenerAfter([backends(1, 'A'), accepted(C1), accepted(C2)], config)
    expect(run(listener, accepted(C3))).toEqual([closeCommand(C3, 'connections-max')])
    expect(listener.connections).toBe(2)
    expect(listener.counters.refused['connections-max']).toBe(1)
    run(listener, side('errored', C1, 'client'))
    expect(run(listener, accepted(4 as ConnectionId))).toEqual([
      connectCommand(4 as ConnectionId, 3, 'A'),
    ])
  })

  test('a new configuration holds for connections accepted from now on', () => {
    const listener = listenerAfter(JOINED)
    const config = { ...CONFIG, idleTimeoutMs: 10 }
    run(listener, { type: 'configure', config })
    run(listener, accepted(C2))
    run(listener, connected(C2, 2))
    expect(run(listener, at(10, TICK))).toEqual([closeCommand(C2, 'idle', 'end')])
  })
})

// Goes red when `leave` stops to look whether the member drained, or `release` to count.
describe('proxy W21: a backend leaves the set, drains, and only then may stop', () => {
  const ON_A = JOINED
  const A_LEFT = [...ON_A, backends(2, 'B')]
  testRows([
    { name: 'a first set is answered', when: backends(1, 'AB'), then: [applied(1)] },
    {
      name: 'a backend without connections is drained at once',
      given: [backends(1, 'ABC')],
      when: backends(2, 'B'),
      then: [applied(2), drained('A', 2), drained('C', 2)],
    },
    {
      name: 'a backend with a connection is not',
      given: ON_A,
      when: backends(2, 'B'),
      then: [applied(2)],
    },
    {
      name: 'it takes no new connection',
      given: A_LEFT,
      when: accepted(C2),
      then: [connectCommand(C2, 2, 'B')],
    },
    {
      name: 'its connection goes on',
      given: A_LEFT,
      when: data(C1, 'client', ''),
      then: [{ type: 'write', connection: C1, to: 'upstream', bytes: new Uint8Array() }],
    },
    {
      name: 'drained follows the close of its last connection',
      given: A_LEFT,
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset'), drained('A', 2)],
    },
    {
      name: 'not the one before the last',
      given: [backends(1, 'A'), accepted(C1), accepted(C2), backends(2, '')],
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset')],
    },
    {
      name: 'a connection still being made counts until it is done',
      given: [backends(1, 'A'), accepted(C1)],
      when: backends(2, 'B'),
      then: [applied(2)],
    },
    {
      name: 'when that one fails, it goes to a backend in the set',
      given: [backends(1, 'A'), accepted(C1), backends(2, 'B')],
      when: refused(C1, 1),
      then: [
        { type: 'backend-failed', backend: 'A', reason: 'connection refused' },
        drained('A', 2),
        connectCommand(C1, 2, 'B'),
      ],
    },
    {
      name: 'nor does it go back to one that drained and came back meanwhile',
      given: [backends(1, 'A'), accepted(C1), backends(2, 'B'), refused(C1, 1), backends(3, 'A')],
      when: refused(C1, 2),
      then: [
        { type: 'backend-failed', backend: 'B', reason: 'connection refused' },
        drained('B', 3),
        closeCommand(C1, 'connect-failed'),
      ],
    },
    {
      name: 'drained names the version in force, not the one it left with',
      given: [...A_LEFT, backends(3, 'BC')],
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset'), drained('A', 3)],
    },
    {
      name: 'who comes back before the last connection ended is not drained',
      given: [...A_LEFT, backends(3, 'AB')],
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset')],
    },
    {
      name: 'who comes back and leaves again is drained once',
      given: [...A_LEFT, backends(3, 'AB'), backends(4, 'B')],
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset'), drained('A', 4)],
    },
    {
      name: 'an old version is answered with the one in force and changes nothing',
      given: [backends(2, 'A')],
      when: backends(1, ''),
      then: [applied(2)],
    },
  ])
})

describe('proxy W10: what drains is counted, while it is there', () => {
  test('connections being made, half closed and abandoned by their set count; ended ones do not', () => {
    const listener = listenerAfter([backends(1, 'A'), accepted(C1), accepted(C2), accepted(C3)])
    run(listener, connected(C1, 1))
    run(listener, connected(C2, 2))
    run(listener, ended(C2, 'client'))
    run(listener, backends(2, ''))
    run(listener, { type: 'close' })
    expect(listener.connections).toBe(3)
    expect(listener.connectionsOn('A')).toBe(3)
    run(listener, side('errored', C1, 'client'))
    run(listener, side('errored', C2, 'upstream'))
    expect(listener.connectionsOn('A')).toBe(1)
    expect(run(listener, refused(C3, 3)).map(({ type }) => type)).toEqual([
      'backend-failed',
      'backend-drained',
      'close',
      'emptied',
    ])
    expect(listener.connections).toBe(0)
  })
})

describe('cutting a backend', () => {
  testRows([
    {
      name: 'ends its live connections and drains it',
      given: [...JOINED, backends(2, 'B')],
      when: { type: 'cut-backend', backend: 'A' },
      then: [closeCommand(C1, 'cut'), { type: 'backend-drained', backend: 'A', version: 2 }],
    },
    {
      name: 'leaves those of others alone',
      given: [...JOINED, accepted(C2)],
      when: { type: 'cut-backend', backend: 'A' },
      then: [closeCommand(C1, 'cut')],
    },
    {
      name: 'a client still being connected to it goes to another one',
      given: [backends(1, 'AB'), accepted(C1)],
      when: { type: 'cut-backend', backend: 'A' },
      then: [{ type: 'abandon-upstream', connection: C1, attempt: 1 }, connectCommand(C1, 2, 'B')],
    },
    {
      name: 'a backend nobody knows is no error',
      given: JOINED,
      when: { type: 'cut-backend', backend: 'Z' },
      then: [],
    },
  ])
})

describe('proxy W10: closing lets old work go on, and ends when none is left', () => {
  const EMPTIED: StreamListenerCommand = { type: 'emptied' }
  testRows([
    {
      name: 'without connections and backends the listener is empty at once',
      when: { type: 'close' },
      then: [EMPTIED],
    },
    {
      name: 'live connections go on, and a backend may yet be taken away',
      given: JOINED,
      when: { type: 'close' },
      then: [],
    },
    {
      name: 'a connection that is still being made goes on as well',
      given: [backends(1, 'A'), accepted(C1), { type: 'close' }],
      when: connected(C1, 1),
      then: [{ type: 'join', connection: C1 }],
    },
    {
      name: 'a second close says nothing new',
      given: [...JOINED, { type: 'close' }],
      when: { type: 'close' },
      then: [],
    },
    {
      name: 'nor does one of an empty listener say so again',
      given: [{ type: 'close' }],
      when: { type: 'close' },
      then: [],
    },
    {
      name: 'a late client of an empty listener is refused, and that is all',
      given: [{ type: 'close' }],
      when: accepted(C1),
      then: [closeCommand(C1, 'not-accepting')],
    },
    {
      name: 'it empties when the last backend leaves',
      given: [backends(1, 'A'), { type: 'close' }],
      when: backends(2, ''),
      then: [
        { type: 'backends-applied', version: 2 },
        { type: 'backend-drained', backend: 'A', version: 2 },
        EMPTIED,
      ],
    },
    {
      name: 'it empties when the last connection of the last backend ends',
      given: [backends(1, 'A'), accepted(C1), { type: 'close' }, backends(2, '')],
      when: side('errored', C1, 'client'),
      then: [
        closeCommand(C1, 'client-reset'),
        { type: 'backend-drained', backend: 'A', version: 2 },
        EMPTIED,
      ],
    },
    {
      name: 'an abort ends everything, those being connected included',
      given: [...JOINED, accepted(C2)],
      when: { type: 'abort-all' },
      then: [closeCommand(C1, 'aborted'), closeCommand(C2, 'aborted'), EMPTIED],
    },
    {
      name: 'an abort after a close ends what was to go on',
      given: [...JOINED, { type: 'close' }],
      when: { type: 'abort-all' },
      then: [closeCommand(C1, 'aborted'), EMPTIED],
    },
  ])
})

describe('mass work is done in parts', () => {
  const COUNT = 2500
  const many = (idleTimeoutMs = 60_000): ReturnType<typeof listenerAfter> => {
    const config = { ...CONFIG, connectionsMax: COUNT, idleTimeoutMs }
    const listener = listenerAfter([backends(1, 'A')], config)
    for (let id = 1; id <= COUNT; id++) {
      const connection = id as ConnectionId
      listener.step(accepted(connection), 0, [])
      listener.step(connected(connection, id), 0, [])
    }
    return listener
  }
  const closesIn = (commands: StreamListenerCommand[]): number =>
    commands.filter(({ type }) => type === 'close').length

  for (const [name, event, start] of [
    ['an abort', { type: 'abort-all' }, 0],
    ['a cut', { type: 'cut-backend', backend: 'A' }, 0],
    ['idleness of all at once', TICK, 60_000],
  ] as const) {
    test(`${name}: 1,024 at a time, the rest a millisecond later`, () => {
      const listener = many()
      expect(closesIn(run(listener, at(start, event)))).toBe(1024)
      expect(listener.deadline()).toBe(start + 1)
      expect(run(listener, at(start + 0.5, TICK))).toEqual([])
      expect(closesIn(run(listener, at(start + 1, TICK)))).toBe(1024)
      expect(closesIn(run(listener, at(start + 2, TICK)))).toBe(COUNT - 2048)
      expect(listener.deadline()).toBeUndefined()
      expect(listener.connections).toBe(0)
    })
  }

  test('an abort goes on after a close', () => {
    const listener = many()
    run(listener, { type: 'abort-all' })
    run(listener, { type: 'close' })
    run(listener, at(1, TICK))
    const last = run(listener, at(2, TICK))
    expect(closesIn(last)).toBe(COUNT - 2048)
    expect(last.at(-1)).toEqual({ type: 'emptied' })
  })
})

test('every connection is counted once, with its reason', () => {
  const listener = listenerAfter([
    accepted(C1), // no backend yet
    backends(1, 'AB'),
    accepted(C2),
    refused(C2, 1),
    connected(C2, 2),
    connected(C2, 1), // stale
    data(C2, 'client', 'query'),
    data(C2, 'upstream', 'an answer'),
    ended(C2, 'client'),
    ended(C2, 'upstream'),
    side('finished', C2, 'client'),
    side('finished', C2, 'upstream'),
    accepted(C3),
    connected(C3, 3),
    at(60_000, TICK),
  ])
  expect(listener.counters).toEqual({
    accepted: 2,
    refused: {
      'connections-max': 0,
      forbidden: 0,
      'no-backend': 1,
      'held-max': 0,
      'backends-full': 0,
      'not-accepting': 0,
    },
    held: 0,
    connected: 2,
    attemptsFailed: 1,
    retried: 1,
    staleAnswers: 1,
    bytesToUpstream: 5,
    bytesToClient: 9,
    proxyHeaders: 0,
    bytesDropped: 0,
    closed: {
      done: 1,
      'client-reset': 0,
      'upstream-reset': 0,
      'connect-failed': 0,
      'hold-timeout': 0,
      'hold-refused': 0,
      'host-limit': 0,
      idle: 1,
      cut: 0,
      aborted: 0,
    },
  })
})
