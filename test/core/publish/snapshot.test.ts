import { describe, expect, test } from 'vitest'
import type { LedgerCommand } from '../../../core/publish/commands.ts'
import { checkInvariants } from '../../../core/publish/invariants.ts'
import { PublishLedger } from '../../../core/publish/ledger.ts'
import {
  at,
  bind,
  bound,
  claim,
  claims,
  conflict,
  fact,
  failed,
  ledgerAfter,
  listenFailed,
  publish,
  refused,
  run,
  TICK,
  tlsRoute,
  unbind,
  unbound,
} from './rows.ts'

/** A socket in every state: 1 listening, 2 binding, 3 retrying, 4 absent, 5 releasing, 6 waiting. */
const EVERYTHING = [
  claims(
    'A',
    claim('127.0.0.1', 80, { bind: 'published' }),
    claim('127.0.0.1', 81),
    claim('127.0.0.1', 82),
    claim('::1', 83, { isOptional: true }),
    claim('0.0.0.0', 0, { id: 'any' }),
    claim('0.0.0.0', 84, { bind: 'never' }),
  ),
  bound(4, 1, 49_153),
  publish('A', '127.0.0.1:80'),
  publish('A', 'any', 'web/2'),
  bound(5),
  failed(2),
  failed(3, 1, { isMissing: true }),
  claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))),
  claims('C', claim('10.0.0.1', 443, tlsRoute('c.example'))),
  bound(6),
  claims('B', claim('0.0.0.0', 443, tlsRoute('b.example')), claim('10.0.0.1', 85)),
  claims('D', claim('10.0.0.1', 86)),
  bound(8),
  claims('D', claim('0.0.0.0', 86)),
]

const throughText = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

describe('a ledger restored while the shell lived on', () => {
  test('every state is in the sample', () => {
    const states = new Set(
      ledgerAfter(EVERYTHING)
        .sockets()
        .map(({ state }) => state),
    )
    expect([...states].sort()).toEqual([
      'absent',
      'binding',
      'listening',
      'releasing',
      'retrying',
      'waiting',
    ])
  })

  test('is the same, whatever the clock says now', () => {
    const snapshot = ledgerAfter(EVERYTHING).snapshot(100)
    const ledger = PublishLedger.restore(throughText(snapshot), 5000, { sockets: 'kept' })
    checkInvariants(ledger)
    expect(ledger.snapshot(5000)).toEqual(snapshot)
    expect(ledger.deadline()).toBe(5150)
    expect(ledger.sockets()).toEqual(ledgerAfter(EVERYTHING).sockets())
    expect(ledger.counters).toEqual(ledgerAfter(EVERYTHING).counters)
  })

  test('goes on in the same order, at each port, for each owner and timer', () => {
    const wide = claim('0.0.0.0', 443, tlsRoute('a.example'))
    const given = [
      claims('B', claim('0.0.0.0', 443, tlsRoute('b.example')), claim('::1', 1), claim('::1', 2)),
      claims('A', wide),
      claims('B', claim('::1', 2), claim('::1', 1), claim('0.0.0.0', 443, tlsRoute('b.example'))),
      failed(3),
      failed(2),
    ]
    const restored = PublishLedger.restore(throughText(ledgerAfter(given).snapshot(0)), 0, {
      sockets: 'kept',
    })
    for (const ledger of [ledgerAfter(given), restored]) {
      expect(ledger.socket(1)?.carries.map(({ owner }) => owner)).toEqual(['B', 'A'])
      expect(ledger.claimsOf('B').map((each) => each.claim.port)).toEqual([2, 1, 443])
      expect(run(ledger, at(250, TICK))).toEqual([bind(3, '::1', 2, 2), bind(2, '::1', 1, 2)])
    }
  })

  test('keeps its configuration and what a tick left undone', () => {
    const many = Array.from({ length: 1025 }, (_, each) => each + 1)
    const busy = new PublishLedger({ retryFirstMs: 7 })
    const out: LedgerCommand[] = []
    busy.step(claims('A', ...many.map((port) => claim('::1', port))), 0, out)
    for (const socket of many) busy.step(failed(socket), 0, out)
    busy.step(TICK, 7, out)
    expect(busy.deadline()).toBe(8)
    const ledger = PublishLedger.restore(throughText(busy.snapshot(7)), 107, { sockets: 'kept' })
    expect(ledger.deadline()).toBe(108)
    expect(run(ledger, at(108, TICK))).toEqual([bind(1025, '::1', 1025, 2)])
    run(ledger, at(108, failed(1025, 2)))
    expect(ledger.deadline()).toBe(122)
  })
})

describe('a ledger restored after the shell died', () => {
  const lost = (now: number): PublishLedger =>
    PublishLedger.restore(throughText(ledgerAfter(EVERYTHING).snapshot(0)), now, {
      sockets: 'lost',
    })

  test('binds at once what is wanted; what was being closed is free', () => {
    const ledger = lost(70)
    checkInvariants(ledger)
    expect(ledger.deadline()).toBe(70)
    expect(ledger.sockets().map(({ id, port, state }) => [id, port, state])).toEqual([
      [1, 81, 'waiting'],
      [2, 82, 'waiting'],
      [3, 83, 'waiting'],
      [4, 0, 'waiting'],
      [5, 80, 'waiting'],
      [6, 443, 'waiting'],
      [7, 85, 'waiting'],
      [9, 86, 'waiting'],
    ])
    // Attempts go on where they were: what answers an earlier one is told apart.
    expect(run(ledger, at(70, TICK))).toEqual([
      bind(1, '127.0.0.1', 81, 2),
      bind(2, '127.0.0.1', 82, 2),
      bind(3, '::1', 83, 2),
      bind(4, '0.0.0.0', 0, 2),
      bind(5, '127.0.0.1', 80, 2),
      bind(6, '0.0.0.0', 443, 2),
      bind(7, '10.0.0.1', 85, 2),
      bind(9, '0.0.0.0', 86),
    ])
    expect(ledger.deadline()).toBeUndefined()
  })

  test('knows owners, backends and names as before', () => {
    const ledger = lost(0)
    expect(ledger.claimsOf('A').map(({ backends }) => backends.map(({ id }) => id))).toEqual([
      ['web/1'],
      [],
      [],
      [],
      ['web/2'],
      [],
    ])
    expect(run(ledger, claims('E', claim('::1', 83)))).toEqual([
      refused('E', conflict('::1', 83, 'A', 'E')),
    ])
    run(ledger, TICK)
    expect(run(ledger, bound(4, 2, 50_000))).toEqual([fact('listening', 4)])
    expect(ledger.isTaken('tcp', 49_153)).toBe(false)
  })

  test('pauses begin anew, and the first failure is news', () => {
    const given = [claims('A', claim('::1', 80)), failed(1), at(250, TICK), at(250, failed(1, 2))]
    const ledger = PublishLedger.restore(ledgerAfter(given).snapshot(250), 0, { sockets: 'lost' })
    expect(ledger.socket(1)).toMatchObject({ failures: 0, reason: '' })
    run(ledger, TICK)
    expect(run(ledger, failed(1, 3))).toEqual([listenFailed(1)])
    expect(ledger.deadline()).toBe(250)
  })

  test('what it had given up is free for others, and never numbered again', () => {
    const ledger = PublishLedger.restore(
      ledgerAfter([claims('A', claim('::1', 80)), bound(1), claims('A')]).snapshot(0),
      0,
      { sockets: 'lost' },
    )
    expect(ledger.deadline()).toBeUndefined()
    expect(ledger.counters.freed).toBe(1)
    expect(ledger.socketsOf('A')).toEqual([])
    expect(run(ledger, claims('B', claim('::1', 80))).slice(1)).toEqual([bind(2, '::1', 80)])
    expect(run(ledger, unbound(1))).toEqual([])
  })

  test('what is given up before it was bound again needs no close', () => {
    const ledger = PublishLedger.restore(
      ledgerAfter([claims('A', claim('::1', 80)), bound(1)]).snapshot(0),
      0,
      { sockets: 'lost' },
    )
    expect(run(ledger, claims('A')).slice(1)).toEqual([fact('freed', 1)])
    expect(ledger.deadline()).toBeUndefined()
  })
})

test('a snapshot of another version is refused', () => {
  const snapshot = { ...new PublishLedger().snapshot(0), version: 2 as 1 }
  expect(() => PublishLedger.restore(snapshot, 0, { sockets: 'kept' })).toThrow('version 1, not 2')
})

test('equal ledgers give equal text', () => {
  const one = ledgerAfter([claims('A', claim('::1', 80)), claims('B', claim('::1', 81))])
  const other = ledgerAfter([
    claims('B'),
    claims('A', claim('::1', 80)),
    claims('B', claim('::1', 81)),
  ])
  expect(JSON.stringify(one.snapshot(0))).toBe(JSON.stringify(other.snapshot(0)))
  expect(run(one, claims('A')).slice(1)).toEqual([unbind(1)])
})
