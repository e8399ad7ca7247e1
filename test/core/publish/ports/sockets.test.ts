import { describe, expect, test } from 'vitest'
import { BINDS_PER_TICK_MAX } from '../../../../core/publish/ports/sockets.ts'
import {
  at,
  bind,
  bound,
  claim,
  claimed,
  claims,
  fact,
  failed,
  ledgerAfter,
  listenFailed,
  publish,
  run,
  type Step,
  TICK,
  testRows,
  unbind,
  unbound,
  withdraw,
} from '../rows.ts'

const A80 = claims('A', claim('127.0.0.1', 80))

describe('a socket that is always wanted', () => {
  testRows([
    { name: 'is bound', when: A80, then: [claimed('A'), bind(1, '127.0.0.1', 80)] },
    {
      name: 'listens when the bind is confirmed',
      given: [A80],
      when: bound(1),
      then: [fact('listening', 1)],
    },
    {
      name: 'is closed when nobody claims it',
      given: [A80, bound(1)],
      when: claims('A'),
      then: [claimed('A'), unbind(1)],
    },
    {
      name: 'is closed also while its bind is under way',
      given: [A80],
      when: claims('A'),
      then: [claimed('A'), unbind(1)],
    },
    {
      name: 'is gone when the close is confirmed',
      given: [A80, bound(1), claims('A')],
      when: unbound(1),
      then: [fact('freed', 1)],
    },
    {
      name: 'is bound by its plain address',
      when: claims('A', claim('::ffff:10.0.0.1', 80)),
      then: [claimed('A'), bind(1, '10.0.0.1', 80)],
    },
    {
      name: 'takes IPv4 as well where that is asked for',
      when: claims('A', claim('::', 80, { isV6Only: false })),
      then: [
        claimed('A'),
        {
          type: 'bind',
          socket: 1,
          attempt: 1,
          namespace: 'tcp',
          host: '::',
          port: 80,
          isV6Only: false,
        },
      ],
    },
  ])

  test('tells how far it is, and so does its claim', () => {
    const ledger = ledgerAfter([A80])
    const seen = (): unknown[] => {
      const [socket] = ledger.sockets()
      const [{ state } = { state: '' }] = ledger.claimsOf('A')
      return [socket?.state, socket?.isServing, state]
    }
    expect(seen()).toEqual(['binding', false, 'binding'])
    run(ledger, bound(1))
    expect(seen()).toEqual(['listening', false, 'confirmed'])
    run(ledger, publish('A', '127.0.0.1:80'))
    expect(seen()).toEqual(['listening', true, 'serving'])
    run(ledger, claims('A'))
    expect(seen()).toEqual(['releasing', false, ''])
    expect(ledger.socketsOf('A').map(({ id }) => id)).toEqual([1])
    run(ledger, unbound(1))
    expect([ledger.sockets(), ledger.socketsOf('A'), ledger.socket(1)]).toEqual([[], [], undefined])
  })
})

describe('a socket that is wanted while a backend is published', () => {
  const A = claims('A', claim('127.0.0.1', 80, { bind: 'published' }))
  const ON = '127.0.0.1:80'
  testRows([
    { name: 'is not bound before', when: A, then: [claimed('A')] },
    {
      name: 'is bound for the first one',
      given: [A],
      when: publish('A', ON),
      then: [bind(1, '127.0.0.1', 80)],
    },
    {
      name: 'stays for the next one',
      given: [A, publish('A', ON), bound(1)],
      when: publish('A', ON, 'web/2'),
      then: [],
    },
    {
      name: 'stays when the same one comes again',
      given: [A, publish('A', ON), bound(1)],
      when: publish('A', ON),
      then: [],
    },
    {
      name: 'stays until the last one goes',
      given: [A, publish('A', ON), publish('A', ON, 'web/2'), bound(1)],
      when: withdraw('A'),
      then: [],
    },
    {
      name: 'is closed with the last one',
      given: [A, publish('A', ON), publish('A', ON, 'web/2'), bound(1), withdraw('A')],
      when: withdraw('A', 'web/2'),
      then: [unbind(1)],
    },
    {
      name: 'knows nobody of another name',
      given: [A, publish('A', ON), bound(1)],
      when: withdraw('A', 'web/2'),
      then: [],
    },
    {
      name: 'knows nobody of another owner',
      given: [A, publish('A', ON), bound(1)],
      when: withdraw('B'),
      then: [],
    },
    {
      name: 'has nothing to do with claims of other names',
      given: [A, publish('A', ON), bound(1)],
      when: withdraw('A', 'web/1', 'other'),
      then: [],
    },
    {
      name: 'that somebody publishes on without a claim is not there',
      given: [A],
      when: publish('B', ON),
      then: [],
    },
    {
      name: 'stays when it becomes always wanted',
      given: [A, publish('A', ON), bound(1)],
      when: claims('A', claim('127.0.0.1', 80)),
      then: [claimed('A'), fact('carries', 1)],
    },
    {
      name: 'goes with its claim, whatever is published',
      given: [A, publish('A', ON), bound(1)],
      when: claims('A'),
      then: [claimed('A'), unbind(1)],
    },
    {
      name: 'is the program’s from now on',
      given: [A, publish('A', ON), bound(1)],
      when: claims('A', claim('127.0.0.1', 80, { bind: 'never' })),
      then: [claimed('A'), unbind(1)],
    },
  ])

  test('a backend is taken off every claim it was published on', () => {
    const all = ['127.0.0.1', '::1', '10.0.0.1'].map((host) =>
      claim(host, 80, { bind: 'published' }),
    )
    const ledger = ledgerAfter([claims('A', ...all), ...all.map(({ id }) => publish('A', id))])
    for (const socket of [1, 2, 3]) run(ledger, bound(socket))
    expect(run(ledger, withdraw('A', 'web/1', '::1:80'))).toEqual([unbind(2)])
    expect(run(ledger, withdraw('A'))).toEqual([unbind(1), unbind(3)])
    expect(ledger.counters).toMatchObject({ published: 3, withdrawn: 3 })
  })
})

describe('answers that are late, come twice, or belong to nothing', () => {
  const stale = (name: string, given: readonly Step[], when: Step): void => {
    test(name, () => {
      const ledger = ledgerAfter(given)
      const before = ledger.snapshot(0)
      expect(run(ledger, when)).toEqual([])
      const counters = { ...before.counters, staleAnswers: before.counters.staleAnswers + 1 }
      expect(ledger.snapshot(0)).toEqual({ ...before, counters })
    })
  }
  stale('bound twice', [A80, bound(1)], bound(1))
  stale('bound after the bind failed', [A80, failed(1)], bound(1))
  stale('bound for a bind given up: its unbind is on its way', [A80, claims('A')], bound(1))
  stale('failed after it was given up', [A80, claims('A')], failed(1))
  stale('failed twice', [A80, failed(1)], failed(1))
  stale('bound for an attempt to come', [A80], bound(1, 2))
  stale('unbound without an unbind', [A80, bound(1)], unbound(1, 1))
  stale('unbound for an earlier attempt', [A80, bound(1), claims('A')], unbound(1, 1))
  stale('unbound twice', [A80, bound(1), claims('A'), unbound(1)], unbound(1))
  stale('of a socket that never was', [A80], bound(9))
  stale('bound for the attempt before', [A80, failed(1), at(250, TICK)], at(250, bound(1, 1)))
})

describe('a bind that failed', () => {
  testRows([
    {
      name: 'is said, and never taken for listening',
      given: [A80],
      when: failed(1),
      then: [listenFailed(1)],
    },
    {
      name: 'is tried again 250 ms later',
      given: [A80, failed(1)],
      when: at(250, TICK),
      then: [bind(1, '127.0.0.1', 80, 2)],
    },
    { name: 'is not tried earlier', given: [A80, failed(1)], when: at(249, TICK), then: [] },
    {
      name: 'is no news for the same reason',
      given: [A80, failed(1), at(250, TICK)],
      when: at(250, failed(1, 2)),
      then: [listenFailed(1, false)],
    },
    {
      name: 'is news when somebody else holds the port',
      given: [A80, failed(1), at(250, TICK)],
      when: at(250, failed(1, 2, { holder: 'nginx (pid 71)' })),
      then: [listenFailed(1)],
    },
    {
      name: 'listens when it succeeds later',
      given: [A80, failed(1), at(250, TICK)],
      when: at(251, bound(1, 2)),
      then: [fact('listening', 1)],
    },
    {
      name: 'is not tried once it is not wanted: nothing is bound',
      given: [A80, failed(1)],
      when: claims('A'),
      then: [claimed('A'), fact('freed', 1)],
    },
    {
      name: 'whose port is claimed by more from now on is not tried earlier',
      given: [A80, failed(1)],
      when: claims('A', claim('127.0.0.1', 80), claim('127.0.0.1', 80, { id: 'other' })),
      then: [claimed('A')],
    },
  ])

  test('pauses double up to ten seconds, and begin anew after it listened', () => {
    const ledger = ledgerAfter([A80])
    let now = 0
    const pauses: number[] = []
    for (let attempt = 1; attempt <= 9; attempt++) {
      run(ledger, at(now, failed(1, attempt)))
      pauses.push(ledger.deadline()! - now)
      now = ledger.deadline()!
      run(ledger, at(now, TICK))
    }
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000])
    expect(ledger.socket(1)).toMatchObject({
      state: 'binding',
      failures: 9,
      reason: 'address in use',
    })
    run(ledger, at(now, bound(1, 10)))
    expect(ledger.socket(1)).toMatchObject({ state: 'listening', failures: 0, reason: '' })
    expect(ledger.deadline()).toBeUndefined()
    expect(ledger.counters).toMatchObject({ binds: 10, bindsFailed: 9 })
  })

  test('the reason names the holder, also while the next attempt is under way', () => {
    const ledger = ledgerAfter([A80, failed(1, 1, { holder: 'nginx (pid 71)' }), at(250, TICK)])
    expect(ledger.socket(1)).toMatchObject({
      state: 'binding',
      reason: 'address in use, held by nginx (pid 71)',
    })
  })

  test('a thousand and more are tried in turns, a millisecond apart', () => {
    const many = Array.from({ length: BINDS_PER_TICK_MAX + 2 }, (_, each) => each + 1)
    const ledger = ledgerAfter([claims('A', ...many.map((port) => claim('127.0.0.1', port)))])
    for (const socket of many) ledger.step(failed(socket), 0, [])
    expect(run(ledger, at(250, TICK))).toHaveLength(BINDS_PER_TICK_MAX)
    expect(ledger.deadline()).toBe(251)
    expect(run(ledger, at(250, TICK))).toEqual([])
    const last = BINDS_PER_TICK_MAX + 1
    expect(run(ledger, at(251, TICK))).toEqual([
      bind(last, '127.0.0.1', last, 2),
      bind(last + 1, '127.0.0.1', last + 1, 2),
    ])
    expect(ledger.deadline()).toBeUndefined()
  })
})

describe('an address the machine lacks', () => {
  const OPTIONAL = claim('::', 80, { isOptional: true })
  const MISSING = failed(1, 1, { isMissing: true, reason: 'no such address' })
  testRows([
    {
      name: 'is tried every 30 s where nobody minds',
      given: [claims('A', OPTIONAL), MISSING],
      when: at(30_000, TICK),
      then: [bind(1, '::', 80, 2)],
    },
    {
      name: 'is not tried before',
      given: [claims('A', OPTIONAL), MISSING],
      when: at(29_999, TICK),
      then: [],
    },
    {
      name: 'is tried like any other where somebody minds',
      given: [claims('A', claim('::', 80)), MISSING],
      when: at(250, TICK),
      then: [bind(1, '::', 80, 2)],
    },
    {
      name: 'is tried at once when somebody begins to mind',
      given: [claims('A', OPTIONAL), MISSING],
      when: claims('A', OPTIONAL, claim('::1', 80)),
      then: [claimed('A'), bind(1, '::', 80, 2)],
    },
    {
      name: 'which is news, though the reason is the same',
      given: [claims('A', OPTIONAL), MISSING, claims('A', OPTIONAL, claim('::1', 80))],
      when: failed(1, 2, { isMissing: true, reason: 'no such address' }),
      then: [listenFailed(1)],
    },
    {
      name: 'a port that is taken is never taken for it',
      given: [claims('A', OPTIONAL), failed(1)],
      when: at(250, TICK),
      then: [bind(1, '::', 80, 2)],
    },
  ])

  test('is absent only while nobody minds', () => {
    expect(ledgerAfter([claims('A', OPTIONAL), MISSING]).socket(1)?.state).toBe('absent')
    const both = claims('A', OPTIONAL, claim('::1', 80))
    expect(ledgerAfter([both, MISSING]).socket(1)?.state).toBe('retrying')
  })
})
