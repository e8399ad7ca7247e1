import { describe, expect, test } from 'vitest'
import {
  at,
  bind,
  bound,
  claim,
  claimed,
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
  testRows,
  unbind,
  unbound,
  wish,
  wishes,
  withdraw,
} from '../rows.ts'

describe('a port that the system picks', () => {
  const ANY = claim('0.0.0.0', 0, { id: 'any' })
  const PICKED = [claims('A', ANY), bound(1, 1, 49_153)]
  testRows([
    {
      name: 'is asked for as 0',
      when: claims('A', ANY),
      then: [claimed('A'), bind(1, '0.0.0.0', 0)],
    },
    {
      name: 'is one for each claim, and nobody is in the way',
      given: [claims('A', ANY)],
      when: claims('B', ANY, claim('0.0.0.0', 0, { id: 'other' })),
      then: [claimed('B'), bind(2, '0.0.0.0', 0), bind(3, '0.0.0.0', 0)],
    },
    {
      name: 'is its owner’s, once bound',
      given: PICKED,
      when: claims('B', claim('10.0.0.1', 49_153)),
      then: [refused('B', conflict('10.0.0.1', 49_153, 'A', 'B'))],
    },
    {
      name: 'is nobody else’s until it is closed',
      given: [...PICKED, claims('A')],
      when: claims('B', claim('10.0.0.1', 49_153)),
      then: [refused('B', conflict('10.0.0.1', 49_153, 'A', 'B', { isLeaving: true }))],
    },
    {
      name: 'may go to another owner in the event that gives it up',
      given: PICKED,
      when: wishes(wish('A'), wish('B', claim('0.0.0.0', 49_153))),
      then: [claimed('A', 'B'), unbind(1)],
    },
    {
      name: 'and not in an event that does not',
      given: PICKED,
      when: wishes(wish('A', ANY), wish('B', claim('0.0.0.0', 49_153))),
      then: [
        {
          type: 'refused',
          owners: ['A', 'B'],
          conflicts: [conflict('0.0.0.0', 49_153, 'A', 'B')],
          isFull: false,
        },
      ],
    },
    {
      name: 'stays when the wish is granted again',
      given: PICKED,
      when: claims('A', ANY, claim('0.0.0.0', 80)),
      then: [claimed('A'), bind(2, '0.0.0.0', 80)],
    },
    {
      name: 'stays when something else about the claim changes',
      given: PICKED,
      when: claims('A', { ...ANY, isOptional: true }),
      then: [claimed('A'), fact('carries', 1)],
    },
    {
      name: 'is another one on another address',
      given: PICKED,
      when: claims('A', { ...ANY, host: '10.0.0.1' }),
      then: [claimed('A'), unbind(1), bind(2, '10.0.0.1', 0)],
    },
    {
      name: 'is kept while a backend is published',
      given: [
        claims('A', { ...ANY, bind: 'published' }),
        publish('A', 'any'),
        bound(1, 1, 49_153),
        publish('A', 'any', 'web/2'),
        withdraw('A'),
      ],
      when: withdraw('A', 'web/2'),
      then: [unbind(1)],
    },
    {
      name: 'is given up for a claim of this very port by its own owner',
      given: PICKED,
      when: claims('A', ANY, claim('10.0.0.1', 49_153)),
      then: [claimed('A'), unbind(1), bind(2, '0.0.0.0', 0)],
    },
    {
      name: 'also when the claim itself changes by the same event',
      given: PICKED,
      when: claims('A', { ...ANY, isOptional: true }, claim('10.0.0.1', 49_153)),
      then: [claimed('A'), unbind(1), bind(2, '0.0.0.0', 0)],
    },
    {
      name: 'also for one of a program, which is not told to wait',
      given: PICKED,
      when: claims('A', ANY, claim('127.0.0.1', 49_153, { bind: 'never' })),
      then: [claimed('A'), unbind(1), bind(2, '0.0.0.0', 0)],
    },
    {
      name: 'which is bound when that is done',
      given: [...PICKED, claims('A', ANY, claim('10.0.0.1', 49_153))],
      when: unbound(1),
      then: [fact('freed', 1), bind(3, '10.0.0.1', 49_153)],
    },
    {
      name: 'is not taken where somebody claims it: another is asked for, later',
      given: [claims('B', claim('127.0.0.1', 49_153, { bind: 'published' })), claims('A', ANY)],
      when: bound(1, 1, 49_153),
      then: [unbind(1), listenFailed(2)],
    },
    {
      name: 'is asked for again then',
      given: [
        claims('B', claim('127.0.0.1', 49_153, { bind: 'published' })),
        claims('A', ANY),
        bound(1, 1, 49_153),
      ],
      when: at(250, TICK),
      then: [bind(2, '0.0.0.0', 0)],
    },
    {
      name: 'and until it is closed, whose it is waits',
      given: [
        claims('B', claim('127.0.0.1', 49_153, { bind: 'published' })),
        claims('A', ANY),
        bound(1, 1, 49_153),
      ],
      when: publish('B', '127.0.0.1:49153'),
      then: [],
    },
    {
      name: 'a bind that fails because of it waits as well, when its turn comes',
      given: [
        claims('A', ANY),
        claims('B', claim('127.0.0.1', 49_153)),
        failed(2),
        bound(1, 1, 49_153),
      ],
      when: at(250, TICK),
      then: [bind(3, '0.0.0.0', 0)],
    },
    {
      name: 'and is bound when it is closed',
      given: [
        claims('A', ANY),
        claims('B', claim('127.0.0.1', 49_153)),
        failed(2),
        bound(1, 1, 49_153),
        at(250, TICK),
      ],
      when: unbound(1),
      then: [fact('freed', 1), bind(2, '127.0.0.1', 49_153, 2)],
    },
    {
      name: 'that was not bound yet is nothing to close',
      given: [claims('A', ANY), failed(1)],
      when: claims('A'),
      then: [claimed('A'), fact('freed', 1)],
    },
    {
      name: 'whose bind is under way is closed, whatever it will be',
      given: [claims('A', ANY)],
      when: claims('A'),
      then: [claimed('A'), unbind(1)],
    },
  ])

  test('is 0 until it is bound, and what was bound then', () => {
    const ledger = ledgerAfter([claims('A', ANY)])
    expect(ledger.socket(1)).toMatchObject({ port: 0, state: 'binding' })
    run(ledger, bound(1, 1, 49_153))
    expect(ledger.socket(1)).toMatchObject({ port: 49_153, state: 'listening' })
  })

  test('the system that insists on a claimed port is asked less and less often', () => {
    const ledger = ledgerAfter([
      claims('B', claim('0.0.0.0', 7, { bind: 'never' })),
      claims('A', ANY),
    ])
    const pauses: number[] = []
    for (let socket = 1, now = 0; socket <= 4; socket++) {
      run(ledger, at(now, bound(socket, 1, 7)))
      run(ledger, at(now, unbound(socket)))
      pauses.push(ledger.deadline()! - now)
      now = ledger.deadline()!
      run(ledger, at(now, TICK))
    }
    expect(pauses).toEqual([250, 500, 1000, 2000])
    expect(ledger.socket(5)?.reason).toBe('the system picked port 7, which is claimed')
  })
})
