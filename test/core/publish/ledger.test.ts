import { describe, expect, test } from 'vitest'
import type { LedgerCommand } from '../../../core/publish/commands.ts'
import type { LedgerEvent } from '../../../core/publish/events.ts'
import { PublishLedger } from '../../../core/publish/ledger.ts'
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
  type Step,
  TICK,
  testRows,
  unbind,
  unbound,
  wish,
  wishes,
  withdraw,
} from './rows.ts'

/** 127.0.0.1:6379 while a backend is published. */
const LOOPBACK = claim('127.0.0.1', 6379, { id: 'loopback', bind: 'published' })
const D1 = 'D1/cache'
const D2 = 'D2/cache'

const replica = (owner: string, on: string, number: number, host: string): LedgerEvent => ({
  type: 'publish',
  owner,
  claim: on,
  backend: { id: `${owner}/${number}`, host, port: 6379 },
})

describe('proxy W36: a second owner is refused, and the first is undisturbed (bug 7)', () => {
  // The sequence of section 5 of the reference, step by step.
  test('the worked sequence', () => {
    const ledger = new PublishLedger()
    const backends = (): unknown[] =>
      ledger.claimsOf(D1).map((each) => [each.state, each.backends.map(({ host }) => host)])
    expect(run(ledger, claims(D1, LOOPBACK))).toEqual([claimed(D1)])

    // 1: bound now
    const first = replica(D1, 'loopback', 1, '10.200.0.5')
    expect(run(ledger, first)).toEqual([bind(1, '127.0.0.1', 6379)])
    expect(run(ledger, bound(1, 1, 6379))).toEqual([fact('listening', 1)])
    expect(backends()).toEqual([['serving', ['10.200.0.5']]])
    // 2: the same again, unchanged
    expect(run(ledger, first)).toEqual([])
    expect(backends()).toEqual([['serving', ['10.200.0.5']]])
    // 3: reused, both in that order
    expect(run(ledger, replica(D1, 'loopback', 2, '10.200.0.6'))).toEqual([])
    expect(backends()).toEqual([['serving', ['10.200.0.5', '10.200.0.6']]])
    // 4: D2 gets the conflict before anything of it is started; what it publishes goes nowhere
    expect(run(ledger, claims(D2, LOOPBACK))).toEqual([
      refused(D2, conflict('127.0.0.1', 6379, D1, D2)),
    ])
    expect(run(ledger, replica(D2, 'loopback', 1, '10.200.0.9'))).toEqual([])
    expect(backends()).toEqual([['serving', ['10.200.0.5', '10.200.0.6']]])
    // 5: the other namespace, a second socket
    const udp = claims('D1/dns', { ...LOOPBACK, namespace: 'udp' })
    expect(run(ledger, udp)).toEqual([claimed('D1/dns')])
    expect(run(ledger, replica('D1/dns', 'loopback', 1, '10.200.0.7'))).toEqual([
      bind(2, '127.0.0.1', 6379, 1, 'udp'),
    ])
    // 6: one goes, the socket stays
    expect(run(ledger, withdraw(D1, `${D1}/1`))).toEqual([])
    expect(backends()).toEqual([['serving', ['10.200.0.6']]])
    // 7: the last one goes; D2 may have it when D1 gives it up and its socket is closed
    expect(run(ledger, withdraw(D1, `${D1}/2`))).toEqual([unbind(1)])
    expect(run(ledger, claims(D1))).toEqual([claimed(D1)])
    expect(run(ledger, claims(D2, LOOPBACK))).toEqual([
      refused(D2, conflict('127.0.0.1', 6379, D1, D2, { isLeaving: true })),
    ])
    expect(run(ledger, unbound(1))).toEqual([fact('freed', 1)])
    expect(run(ledger, claims(D2, LOOPBACK))).toEqual([claimed(D2)])
    expect(run(ledger, replica(D2, 'loopback', 1, '10.200.0.9'))).toEqual([
      bind(3, '127.0.0.1', 6379),
    ])
  })

  test('with ports of their own, replicas of one host are backends of one socket', () => {
    const ledger = ledgerAfter([claims(D1, LOOPBACK)])
    run(ledger, publish(D1, 'loopback', 'cache/1', 49_152))
    run(ledger, publish(D1, 'loopback', 'cache/2', 49_153))
    expect(ledger.claimsOf(D1)[0]?.backends).toEqual([
      { id: 'cache/1', host: '127.0.0.1', port: 49_152 },
      { id: 'cache/2', host: '127.0.0.1', port: 49_153 },
    ])
  })
})

describe('a port belongs to one service of one deployment', () => {
  test('proxy W8: removing one owner leaves the one of the same name elsewhere alone', () => {
    const ledger = ledgerAfter([
      claims('X/web', claim('0.0.0.0', 80)),
      claims('Y/web', claim('0.0.0.0', 81)),
      bound(1),
      bound(2),
    ])
    expect(run(ledger, claims('X/web'))).toEqual([claimed('X/web'), unbind(1)])
    expect(ledger.socketsOf('Y/web').map(({ state }) => state)).toEqual(['listening'])
  })

  testRows([
    {
      name: 'proxy W5: the second service on a port is refused by name',
      given: [claims('X/a', claim('0.0.0.0', 5432)), bound(1)],
      when: claims('X/b', claim('0.0.0.0', 5432)),
      then: [refused('X/b', conflict('0.0.0.0', 5432, 'X/a', 'X/b'))],
    },
  ])
})

describe('proxy W3: claims that meet', () => {
  testRows([
    {
      name: 'the loser of two claims at once is refused, and nothing is bound for it',
      given: [claims('A', claim('0.0.0.0', 80))],
      when: claims('B', claim('0.0.0.0', 80)),
      then: [refused('B', conflict('0.0.0.0', 80, 'A', 'B'))],
    },
    {
      name: 'the same claim twice at once binds once',
      given: [claims('A', claim('0.0.0.0', 80))],
      when: claims('A', claim('0.0.0.0', 80)),
      then: [claimed('A')],
    },
  ])
})

describe('proxy W33: publishing and taking away that meet', () => {
  testRows([
    {
      name: 'a publish after the last withdraw waits for the close, and binds again then',
      given: [
        claims(D1, LOOPBACK),
        publish(D1, 'loopback'),
        bound(1),
        withdraw(D1),
        publish(D1, 'loopback'),
      ],
      when: unbound(1),
      then: [fact('freed', 1), bind(2, '127.0.0.1', 6379)],
    },
    {
      name: 'a publish while the bind is being given up as well',
      given: [claims(D1, LOOPBACK), publish(D1, 'loopback'), withdraw(D1), publish(D1, 'loopback')],
      when: bound(1),
      then: [],
    },
  ])

  test('of two replicas that publish at once, none is lost', () => {
    const ledger = ledgerAfter([claims(D1, LOOPBACK)])
    expect(run(ledger, publish(D1, 'loopback', '1'))).toEqual([bind(1, '127.0.0.1', 6379)])
    expect(run(ledger, publish(D1, 'loopback', '2'))).toEqual([])
    run(ledger, bound(1))
    expect(ledger.claimsOf(D1)[0]?.backends.map(({ id }) => id)).toEqual(['1', '2'])
  })

  test('a socket without a claim, or a claim without the socket it wants, is never there', () => {
    const ledger = ledgerAfter([claims(D1, LOOPBACK), publish(D1, 'loopback'), bound(1)])
    run(ledger, withdraw(D1))
    expect(ledger.claimsOf(D1)[0]).toMatchObject({ state: 'claimed', socket: undefined })
    run(ledger, publish(D1, 'loopback'))
    expect(ledger.claimsOf(D1)[0]).toMatchObject({ state: 'binding', socket: 2 })
  })
})

describe('proxy W34: a bind that failed is no success', () => {
  testRows([
    {
      name: 'it is said, with who holds the port',
      given: [claims('A', claim('0.0.0.0', 80))],
      when: failed(1, 1, { holder: 'nginx (pid 71)' }),
      then: [listenFailed(1)],
    },
    {
      name: 'it is tried again, without anybody publishing',
      given: [claims('A', claim('0.0.0.0', 80)), failed(1)],
      when: at(250, TICK),
      then: [bind(1, '0.0.0.0', 80, 2)],
    },
  ])

  test('until it succeeds, the claim is not confirmed and nothing is serving', () => {
    const ledger = ledgerAfter([claims('A', claim('0.0.0.0', 80)), publish('A', '0.0.0.0:80')])
    run(ledger, failed(1))
    expect(ledger.claimsOf('A')[0]?.state).toBe('binding')
    expect(ledger.socket(1)).toMatchObject({ state: 'retrying', isServing: false })
    run(ledger, at(250, TICK))
    run(ledger, at(250, bound(1, 2)))
    expect(ledger.claimsOf('A')[0]?.state).toBe('serving')
  })
})

describe('proxy W35: loopback and public on one port', () => {
  testRows([
    {
      name: 'of two owners: the second is refused, in either order',
      given: [claims('A', claim('127.0.0.1', 8080, { bind: 'published' }))],
      when: claims('B', claim('0.0.0.0', 8080), claim('::', 8080, { isOptional: true })),
      then: [refused('B', conflict('0.0.0.0', 8080, 'A', 'B'))],
    },
    {
      name: 'in the other order',
      given: [claims('B', claim('0.0.0.0', 8080), claim('::', 8080, { isOptional: true }))],
      when: claims('A', claim('127.0.0.1', 8080, { bind: 'published' })),
      then: [refused('A', conflict('127.0.0.1', 8080, 'B', 'A'))],
    },
    {
      name: 'of one owner: the loopback address rides on the wildcard, and nothing is bound twice',
      given: [
        claims('A', claim('0.0.0.0', 8080), claim('127.0.0.1', 8080, { bind: 'published' })),
        bound(1),
      ],
      when: publish('A', '127.0.0.1:8080'),
      then: [fact('carries', 1)],
    },
    {
      name: 'an internal endpoint on loopback and its own publication are one socket',
      given: [claims('A', claim('127.0.0.1', 8080), { ...LOOPBACK, port: 8080 }), bound(1)],
      when: publish('A', 'loopback'),
      then: [fact('carries', 1)],
    },
  ])
})

describe('proxy W37: a port is claimed before anything that uses it is started', () => {
  const OPEN = claims('A', claim('0.0.0.0', 80))
  testRows([
    {
      name: 'a wish of several ports is granted as a whole or not at all',
      given: [OPEN],
      when: claims('B', claim('0.0.0.0', 81), claim('0.0.0.0', 80), claim('0.0.0.0', 82)),
      then: [refused('B', conflict('0.0.0.0', 80, 'A', 'B'))],
    },
    {
      name: 'so is a wish of several owners',
      given: [OPEN],
      when: wishes(wish('C', claim('0.0.0.0', 81)), wish('B', claim('0.0.0.0', 80))),
      then: [
        {
          type: 'refused',
          owners: ['C', 'B'],
          conflicts: [conflict('0.0.0.0', 80, 'A', 'B')],
          isFull: false,
        },
      ],
    },
    {
      name: 'what was refused left nothing behind for others to meet',
      given: [OPEN, claims('B', claim('0.0.0.0', 81), claim('0.0.0.0', 80))],
      when: claims('C', claim('0.0.0.0', 81)),
      then: [claimed('C'), bind(2, '0.0.0.0', 81)],
    },
    {
      name: 'a port is held without a backend, so that nobody has it meanwhile',
      given: [claims('A', LOOPBACK)],
      when: claims('B', LOOPBACK),
      then: [refused('B', conflict('127.0.0.1', 6379, 'A', 'B'))],
    },
  ])
})

describe('proxy W7, W38: a new version of a file converges, and touches nothing else', () => {
  const WEB = claim('0.0.0.0', 80, { id: 'web' })
  const GIVEN: readonly Step[] = [
    claims(D1, WEB, LOOPBACK),
    bound(1),
    publish(D1, 'loopback'),
    bound(2),
  ]
  testRows([
    {
      name: 'a port that is new is bound',
      given: GIVEN,
      when: claims(D1, WEB, LOOPBACK, claim('0.0.0.0', 9000)),
      then: [claimed(D1), bind(3, '0.0.0.0', 9000)],
    },
    {
      name: 'a port that moved is released and the new one is bound, without a restart',
      given: GIVEN,
      when: claims(D1, WEB, { ...LOOPBACK, port: 6380 }),
      then: [claimed(D1), unbind(2), bind(3, '127.0.0.1', 6380)],
    },
    {
      name: 'from internal to public: the address follows',
      given: GIVEN,
      when: claims(D1, WEB, claim('0.0.0.0', 6379), claim('::', 6379, { isOptional: true })),
      then: [claimed(D1), unbind(2), bind(4, '::', 6379)],
    },
    {
      name: 'under another policy the loopback address is released',
      given: GIVEN,
      when: claims(D1, WEB),
      then: [claimed(D1), unbind(2)],
    },
    {
      name: 'what left the file is withdrawn as it was recorded',
      given: [...GIVEN, claims(D1, WEB)],
      when: withdraw(D1),
      then: [],
    },
    {
      name: 'a replica is withdrawn from where it was published, whatever the file says by now',
      given: [...GIVEN, claims(D1, WEB, { ...LOOPBACK, port: 6380 }), bound(3)],
      when: withdraw(D1),
      then: [unbind(3)],
    },
  ])

  test('a claim that moves takes its backends along', () => {
    const ledger = ledgerAfter([...GIVEN, claims(D1, { ...LOOPBACK, port: 6380 })])
    expect(ledger.claimsOf(D1).map(({ backends }) => backends.length)).toEqual([1])
    expect(ledger.counters).toMatchObject({ published: 1, withdrawn: 0 })
    run(ledger, claims(D1))
    expect(ledger.counters).toMatchObject({ published: 1, withdrawn: 1 })
  })
})

describe('proxy W39: mappings are told apart by address, and given back', () => {
  const ONE = claim('127.0.0.1', 80, { id: 'one', bind: 'published' })
  const OTHER = claim('10.0.0.1', 80, { id: 'other', bind: 'published' })
  const EPHEMERAL = claim('0.0.0.0', 0, { id: 'any', bind: 'published' })
  const UP = [
    claims('A', ONE, OTHER, EPHEMERAL),
    ...['one', 'other', 'any'].map((each) => publish('A', each)),
    bound(1),
    bound(2),
    bound(3, 1, 49_153),
  ]
  testRows([
    {
      name: 'off one address, the other goes on',
      given: UP,
      when: withdraw('A', 'web/1', 'one'),
      then: [unbind(1)],
    },
    {
      name: 'a replica that ends gives back all of them, the ephemeral one as well',
      given: UP,
      when: withdraw('A'),
      then: [unbind(1), unbind(2), unbind(3)],
    },
    {
      name: 'replicas share the ephemeral port',
      given: UP,
      when: publish('A', 'any', 'web/2'),
      then: [],
    },
    {
      name: 'of two owners on two addresses none withdraws the other’s',
      given: [claims('A', ONE), claims('B', OTHER), publish('A', 'one'), publish('B', 'other')],
      when: withdraw('B'),
      then: [unbind(2)],
    },
  ])
})

test('what an event costs does not grow with other ports: none of them is looked at', () => {
  const many = Array.from({ length: 1000 }, (_, each) => claim('127.0.0.1', 1000 + each))
  const ledger = ledgerAfter([claims('many', ...many), claims('A', LOOPBACK)])
  const { ports, owners, sockets } = ledger.state
  const never = (): never => expect.unreachable('somebody walks everything')
  for (const port of ports.values()) {
    if (port.key !== 'tcp:6379') port.claims[Symbol.iterator] = never
    if (port.key !== 'tcp:6379') port.sockets[Symbol.iterator] = never
  }
  for (const all of [ports, owners, sockets]) {
    Object.assign(all, { [Symbol.iterator]: never, values: never, entries: never, forEach: never })
  }
  const events = [
    publish('A', 'loopback'),
    bound(1001),
    withdraw('A'),
    publish('A', 'loopback'),
    unbound(1001),
    failed(1002),
    TICK,
    claims('B', LOOPBACK),
    claims('A'),
  ]
  const types = events.flatMap((event) => {
    const out: LedgerCommand[] = []
    ledger.step(event, 0, out)
    return out.map(({ type }) => type)
  })
  expect(types).toEqual(
    'bind listening unbind freed bind listen-failed refused claimed freed'.split(' '),
  )
})
