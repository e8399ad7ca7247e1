import { describe, expect, test } from 'vitest'
import { describeConflict, PublishLedger } from '../../../../core/publish/ledger.ts'
import {
  bind,
  bound,
  claim,
  claimed,
  claims,
  conflict,
  fact,
  ledgerAfter,
  publish,
  refused,
  run,
  testRows,
  unbind,
  unbound,
  wish,
  wishes,
  withdraw,
} from '../rows.ts'

describe('one owner for an address and port', () => {
  testRows([
    {
      name: 'tcp and udp are apart',
      given: [claims('A', claim('0.0.0.0', 53))],
      when: claims('B', claim('0.0.0.0', 53, { namespace: 'udp' })),
      then: [claimed('B'), bind(2, '0.0.0.0', 53, 1, 'udp')],
    },
    {
      name: 'proxy W39: two addresses are apart',
      given: [claims('A', claim('127.0.0.1', 80))],
      when: claims('B', claim('10.0.0.1', 80)),
      then: [claimed('B'), bind(2, '10.0.0.1', 80)],
    },
    {
      name: 'the wildcard of the other family is apart',
      given: [claims('A', claim('0.0.0.0', 80))],
      when: claims('B', claim('::', 80)),
      then: [claimed('B'), bind(2, '::', 80)],
    },
    {
      name: ':: that takes IPv4 as well is not',
      given: [claims('A', claim('10.0.0.1', 80))],
      when: claims('B', claim('::', 80, { isV6Only: false })),
      then: [refused('B', conflict('::', 80, 'A', 'B'))],
    },
    {
      name: 'an address is inside the wildcard of another owner',
      given: [claims('A', claim('0.0.0.0', 80))],
      when: claims('B', claim('10.0.0.1', 80)),
      then: [refused('B', conflict('10.0.0.1', 80, 'A', 'B'))],
    },
    {
      name: 'a port without a socket is as much its owner’s',
      given: [claims('A', claim('127.0.0.1', 80, { bind: 'published' }))],
      when: claims('B', claim('0.0.0.0', 80)),
      then: [refused('B', conflict('0.0.0.0', 80, 'A', 'B'))],
    },
    {
      name: 'a port that a program of its own listens at is its owner’s, and gets no socket',
      given: [claims('A', claim('0.0.0.0', 80, { bind: 'never' }))],
      when: claims('B', claim('127.0.0.1', 80, { bind: 'never' })),
      then: [refused('B', conflict('127.0.0.1', 80, 'A', 'B'))],
    },
    {
      name: 'an owner is never in its own way',
      given: [claims('A', claim('0.0.0.0', 80, { bind: 'never' }))],
      when: claims(
        'A',
        claim('0.0.0.0', 80, { bind: 'never' }),
        claim('127.0.0.1', 80),
        claim('0.0.0.0', 80, { id: 'again' }),
      ),
      then: [claimed('A'), bind(1, '0.0.0.0', 80)],
    },
    {
      name: 'who has it keeps it, whatever the order of wishes',
      given: [claims('B', claim('127.0.0.1', 80)), bound(1)],
      when: wishes(wish('A', claim('0.0.0.0', 80)), wish('B', claim('127.0.0.1', 80))),
      then: [
        {
          type: 'refused',
          owners: ['A', 'B'],
          conflicts: [conflict('0.0.0.0', 80, 'B', 'A')],
          isFull: false,
        },
      ],
    },
    {
      name: 'two owners of one event are compared with each other, the later one is refused',
      when: wishes(wish('A', claim('0.0.0.0', 80)), wish('B', claim('127.0.0.1', 80))),
      then: [
        {
          type: 'refused',
          owners: ['A', 'B'],
          conflicts: [conflict('127.0.0.1', 80, 'A', 'B')],
          isFull: false,
        },
      ],
    },
    {
      name: 'every claim is answered with its first conflict',
      given: [
        claims('A', claim('127.0.0.1', 80), claim('10.0.0.1', 80)),
        claims('C', claim('::1', 81)),
      ],
      when: claims('B', claim('0.0.0.0', 80), claim('::', 81), claim('::', 82)),
      then: [refused('B', conflict('0.0.0.0', 80, 'A', 'B'), conflict('::', 81, 'C', 'B'))],
    },
    {
      name: 'a wish granted before is granted again, and nothing is touched',
      given: [claims('A', claim('127.0.0.1', 80)), bound(1)],
      when: claims('A', claim('127.0.0.1', 80, { isV6Only: true, isOptional: false })),
      then: [claimed('A')],
    },
    {
      name: 'nobody and nothing',
      when: wishes(),
      then: [claimed()],
    },
  ])

  test('what is refused changes nothing, for none of the owners', () => {
    const ledger = ledgerAfter([claims('A', claim('127.0.0.1', 80)), bound(1)])
    const before = ledger.snapshot(0)
    run(
      ledger,
      wishes(wish('A'), wish('C', claim('::', 80)), wish('B', claim('::1', 80)), wish('D')),
    )
    expect(ledger.snapshot(0)).toEqual({
      ...before,
      counters: { ...before.counters, claimsRefused: 2 },
    })
  })

  test('conflicts() tells beforehand, and changes nothing', () => {
    const ledger = ledgerAfter([claims('A', claim('127.0.0.1', 80))])
    const before = ledger.snapshot(0)
    const asked = [wish('B', claim('0.0.0.0', 80), claim('0.0.0.0', 81))]
    expect(ledger.conflicts(asked)).toEqual([conflict('0.0.0.0', 80, 'A', 'B')])
    expect(ledger.conflicts([...asked, wish('A')])).toEqual([])
    expect(ledger.snapshot(0)).toEqual(before)
  })

  test('a ledger is empty without claims and without sockets', () => {
    const ledger = new PublishLedger()
    const seen = [ledger.isEmpty]
    for (const event of [
      claims('A', claim('::', 0, { bind: 'published' })),
      publish('A', ':::0'),
      claims('A'),
      unbound(1),
    ]) {
      run(ledger, event)
      seen.push(ledger.isEmpty)
    }
    expect(seen).toEqual([true, false, false, false, true])
  })

  test('a port is taken by a claim, a socket, or one on its way out', () => {
    const ledger = ledgerAfter([
      claims('A', claim('127.0.0.1', 80), claim('::1', 81, { bind: 'never' }), claim('::', 0)),
      bound(1),
      bound(2, 1, 49_153),
    ])
    const taken = (): number[] => [80, 81, 49_153, 0].filter((each) => ledger.isTaken('tcp', each))
    expect(taken()).toEqual([80, 81, 49_153])
    expect(ledger.isTaken('udp', 80)).toBe(false)
    run(ledger, claims('A'))
    expect(taken()).toEqual([80, 49_153])
    run(ledger, unbound(1))
    run(ledger, unbound(2))
    expect(taken()).toEqual([])
  })
})

describe('a port that is given up', () => {
  const HELD = [claims('A', claim('127.0.0.1', 80)), bound(1)]
  const LEFT = [...HELD, claims('A')]

  testRows([
    {
      name: 'is nobody else’s until the socket is closed',
      given: LEFT,
      when: claims('B', claim('0.0.0.0', 80)),
      then: [refused('B', conflict('0.0.0.0', 80, 'A', 'B', { isLeaving: true }))],
    },
    {
      name: 'is free then',
      given: [...LEFT, unbound(1)],
      when: claims('B', claim('0.0.0.0', 80)),
      then: [claimed('B'), bind(2, '0.0.0.0', 80)],
    },
    {
      name: 'is free at once when nothing was bound',
      given: [
        claims('A', claim('127.0.0.1', 80)),
        { type: 'bind-failed', socket: 1, attempt: 1, reason: 'address in use' },
        claims('A'),
      ],
      when: claims('B', claim('0.0.0.0', 80)),
      then: [claimed('B'), bind(2, '0.0.0.0', 80)],
    },
    {
      name: 'is still its old owner’s, who waits for the close as well',
      given: LEFT,
      when: claims('A', claim('127.0.0.1', 80)),
      then: [claimed('A')],
    },
    {
      name: 'binds again when the close is confirmed',
      given: [...LEFT, claims('A', claim('127.0.0.1', 80))],
      when: unbound(1),
      then: [fact('freed', 1), bind(2, '127.0.0.1', 80)],
    },
    {
      name: 'goes to another owner within one event, whose socket waits',
      given: HELD,
      when: wishes(wish('B', claim('127.0.0.1', 80)), wish('A', claim('127.0.0.1', 81))),
      then: [claimed('B', 'A'), unbind(1), bind(3, '127.0.0.1', 81)],
    },
    {
      name: 'is bound for the new owner when the old one’s socket is closed',
      given: [...HELD, wishes(wish('B', claim('127.0.0.1', 80)), wish('A'))],
      when: unbound(1),
      then: [fact('freed', 1), bind(2, '127.0.0.1', 80)],
    },
    {
      name: 'may be wished for again by whoever was granted it and waits',
      given: [...HELD, wishes(wish('B', claim('127.0.0.1', 80)), wish('A'))],
      when: claims('B', claim('127.0.0.1', 80), claim('127.0.0.1', 81)),
      then: [claimed('B'), bind(3, '127.0.0.1', 81)],
    },
    {
      name: 'goes within one event also when the close is under way from before',
      given: LEFT,
      when: wishes(wish('A', claim('127.0.0.1', 81)), wish('B', claim('127.0.0.1', 80))),
      then: [claimed('A', 'B'), bind(2, '127.0.0.1', 81)],
    },
    {
      name: 'is no further than the address: the neighbour is free',
      given: LEFT,
      when: claims('B', claim('10.0.0.1', 80)),
      then: [claimed('B'), bind(2, '10.0.0.1', 80)],
    },
    {
      name: 'is not for whoever has a part of it already',
      given: [...LEFT, claims('B', claim('10.0.0.1', 80))],
      when: claims('B', claim('0.0.0.0', 80)),
      then: [refused('B', conflict('0.0.0.0', 80, 'A', 'B', { isLeaving: true }))],
    },
    {
      name: 'is not for the one after the next, either',
      given: [...HELD, wishes(wish('B', claim('127.0.0.1', 80)), wish('A'))],
      when: wishes(wish('B'), wish('C', claim('127.0.0.1', 80))),
      then: [
        {
          type: 'refused',
          owners: ['B', 'C'],
          conflicts: [conflict('127.0.0.1', 80, 'A', 'C', { isLeaving: true })],
          isFull: false,
        },
      ],
    },
    {
      name: 'two owners exchange their ports in one event',
      given: [...HELD, claims('B', claim('127.0.0.1', 81)), bound(2)],
      when: wishes(wish('A', claim('127.0.0.1', 81)), wish('B', claim('127.0.0.1', 80))),
      then: [claimed('A', 'B'), unbind(2), unbind(1)],
    },
  ])

  test('whoever waits for an exchange says so, and is not let past by others', () => {
    const ledger = ledgerAfter([...HELD, wishes(wish('A'), wish('B', claim('127.0.0.1', 80)))])
    expect(ledger.sockets().map(({ id, state }) => [id, state])).toEqual([
      [1, 'releasing'],
      [2, 'waiting'],
    ])
    expect(ledger.socketsOf('A').map(({ id }) => id)).toEqual([1])
    expect(ledger.claimsOf('B').map(({ state, socket }) => [state, socket])).toEqual([
      ['binding', 2],
    ])
    expect(run(ledger, claims('C', claim('127.0.0.1', 80)))).toEqual([
      refused('C', conflict('127.0.0.1', 80, 'B', 'C')),
    ])
  })
})

describe('bounds', () => {
  test('claims beyond the bound are refused, who asks for no more than before is not', () => {
    const ledger = ledgerAfter([claims('A', claim('::', 80), claim('::', 81))], { claimsMax: 2 })
    expect(ledger.hasRoomFor([wish('B', claim('::', 82))])).toBe(false)
    expect(ledger.hasRoomFor([wish('A'), wish('B', claim('::', 82))])).toBe(true)
    expect(run(ledger, claims('B', claim('::', 82)))).toEqual([
      { type: 'refused', owners: ['B'], conflicts: [], isFull: true },
    ])
    expect(ledger.counters).toMatchObject({ claimsGranted: 2, claimsRefused: 1 })
    expect(run(ledger, claims('A', claim('::', 83), claim('::', 81)))[0]).toEqual(claimed('A'))
    expect(run(ledger, wishes(wish('A', claim('::', 83)), wish('B', claim('::', 82))))[0]).toEqual(
      claimed('A', 'B'),
    )
  })

  test('what a wish gives up makes room for what it asks for', () => {
    const ledger = ledgerAfter([claims('A', claim('::', 80), claim('::', 81))], { claimsMax: 3 })
    const three = [claim('::', 82), claim('::', 83), claim('::', 84)]
    expect(run(ledger, claims('A', ...three))[0]).toEqual(claimed('A'))
  })

  test('a bound that came down lets in who gives something up', () => {
    const full = ledgerAfter([claims('A', claim('::', 80), claim('::', 81), claim('::', 82))])
    const snapshot = full.snapshot(0)
    const config = { ...snapshot.config, claimsMax: 1 }
    const ledger = PublishLedger.restore({ ...snapshot, config }, 0, { sockets: 'kept' })
    const out = run(ledger, claims('A', claim('::', 80), claim('::', 81)))
    expect(out).toEqual([claimed('A'), unbind(3)])
    expect(run(ledger, claims('B', claim('::', 90)))[0]).toMatchObject({ isFull: true })
  })

  test('a claim has so many backends and no more; one that is there may change', () => {
    const ledger = ledgerAfter([claims('A', claim('::', 80))], { backendsPerClaimMax: 2 })
    for (const id of ['1', '2', '3', '2']) run(ledger, publish('A', '::80', id))
    for (const id of ['1', '2', '3']) run(ledger, publish('A', ':::80', id))
    run(ledger, publish('A', ':::80', '2', 7))
    expect(ledger.claimsOf('A')[0]?.backends.map(({ id, port }) => [id, port])).toEqual([
      ['1', 1],
      ['2', 7],
    ])
    expect(ledger.counters).toMatchObject({ published: 2, publishRefused: 5 })
    run(ledger, withdraw('A', '1'))
    run(ledger, publish('A', ':::80', '3'))
    expect(ledger.counters).toMatchObject({ published: 3, withdrawn: 1, publishRefused: 5 })
  })

  test('who breaks the contract is told: two wishes of one owner, two claims of one name', () => {
    const ledger = new PublishLedger()
    const twice = claim('::', 80)
    expect(() => run(ledger, wishes(wish('A'), wish('A')))).toThrow('one wish for each owner')
    expect(() => run(ledger, claims('A', twice, twice))).toThrow(
      'each claim of A has a name of its own',
    )
  })
})

describe('what a person reads', () => {
  test.each([
    [
      conflict('0.0.0.0', 6379, 'one/cache', 'two/cache'),
      'port-conflict: tcp port 6379 belongs to one/cache, so two/cache cannot have it; choose another port, or take it out of one/cache first',
    ],
    [
      conflict('10.0.0.1', 6379, 'one/cache', 'two/cache'),
      'port-conflict: tcp port 6379 of 10.0.0.1 belongs to one/cache, so two/cache cannot have it; choose another port, or take it out of one/cache first',
    ],
    [
      conflict('::', 6379, 'one/cache', 'two/cache', { isLeaving: true }),
      'port-conflict: tcp port 6379 belongs to one/cache, so two/cache cannot have it; one/cache is being removed: try again when it is gone',
    ],
    [
      conflict('::', 443, 'one/web', 'two/web', { route: 'a.example/api' }),
      'port-conflict: a.example/api on tcp port 443 belongs to one/web, so two/web cannot have it; choose another host or path, or take it out of one/web first',
    ],
    [
      conflict('::', 443, 'one/web', 'two/web', { route: '*' }),
      'port-conflict: every host without an owner of its own on tcp port 443 belongs to one/web, so two/web cannot have it; choose another host or path, or take it out of one/web first',
    ],
  ])('%j', (each, text) => {
    expect(describeConflict(each)).toBe(text)
  })
})
