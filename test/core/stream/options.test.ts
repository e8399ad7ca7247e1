/** What a listener may be told besides how long things may take. */
import { describe, expect, test } from 'vitest'
import { strategyNamed } from '../../../core/balance/strategies.ts'
import { localHeader, proxyHeader } from '../../../core/net/proxy-v2.ts'
import type { AccessList } from '../../../core/policy/access.ts'
import type { ConnectionId } from '../../../core/stream/events.ts'
import type { StreamListener } from '../../../core/stream/listener.ts'
import {
  accepted,
  at,
  backends,
  bytes,
  C1,
  C2,
  C3,
  CONFIG,
  closeCommand,
  connectCommand,
  connected,
  data,
  listenerAfter,
  peersOf,
  refused,
  run,
  side,
  TICK,
  testRows,
} from './rows.ts'

const C4 = 4 as ConnectionId
const C5 = 5 as ConnectionId

describe('proxy W29: no backend has more connections than it may', () => {
  const ONE_EACH = { ...CONFIG, connectionsPerBackendMax: 1 }
  const BOTH_FULL = [backends(1, 'AB'), accepted(C1), accepted(C2)]
  testRows(
    [
      {
        name: 'one that is full is passed over, a connection being made counts',
        given: [backends(1, 'AB'), accepted(C1), accepted(C2), side('errored', C2, 'client')],
        when: accepted(C3),
        then: [connectCommand(C3, 3, 'B')],
      },
      {
        name: 'when all are full the client is refused at once',
        given: BOTH_FULL,
        when: accepted(C3),
        then: [closeCommand(C3, 'backends-full')],
      },
      {
        name: 'as soon as a connection ends there is room again',
        given: [...BOTH_FULL, connected(C1, 1), accepted(C3), side('errored', C1, 'client')],
        when: accepted(C4),
        then: [connectCommand(C4, 3, 'A')],
      },
      {
        name: 'a connection that was refused by its backend does not push into a full one',
        given: BOTH_FULL,
        when: refused(C1, 1),
        then: [
          { type: 'backend-failed', backend: 'A', reason: 'connection refused' },
          closeCommand(C1, 'connect-failed'),
        ],
      },
      {
        name: 'it goes to one that has room',
        given: [...BOTH_FULL, backends(2, 'ABC')],
        when: refused(C1, 1),
        then: [
          { type: 'backend-failed', backend: 'A', reason: 'connection refused' },
          connectCommand(C1, 3, 'C'),
        ],
      },
      {
        name: 'a backend that left and came back still has what was on it',
        given: [backends(1, 'A'), accepted(C1), backends(2, ''), backends(3, 'A')],
        when: accepted(C2),
        then: [closeCommand(C2, 'backends-full')],
      },
      {
        name: 'one that drained meanwhile begins anew',
        given: [
          backends(1, 'A'),
          accepted(C1),
          backends(2, ''),
          side('errored', C1, 'client'),
          backends(3, 'A'),
        ],
        when: accepted(C2),
        then: [connectCommand(C2, 2, 'A')],
      },
      {
        name: 'without any backend that is what is wrong, not that none has room',
        given: [...BOTH_FULL, backends(2, '')],
        when: accepted(C3),
        then: [closeCommand(C3, 'no-backend')],
      },
    ],
    ONE_EACH,
  )

  test('another maximum holds at once, and ends nothing', () => {
    const listener = listenerAfter([backends(1, 'AB'), accepted(C1), accepted(C2), accepted(C3)])
    expect(listener.connectionsOn('A')).toBe(2)
    run(listener, { type: 'configure', config: { ...CONFIG, connectionsPerBackendMax: 1 } })
    expect(run(listener, accepted(C4))).toEqual([closeCommand(C4, 'backends-full')])
    expect(listener.connections).toBe(3)
    run(listener, { type: 'configure', config: { ...CONFIG, connectionsPerBackendMax: 2 } })
    expect(run(listener, accepted(C5))).toEqual([connectCommand(C5, 4, 'B')])
    expect(listener.counters.refused['backends-full']).toBe(1)
  })

  test.each(['round_robin', 'least_connections', 'power_of_two', 'hrw', 'maglev'] as const)(
    '%s fills every backend, and none above its maximum',
    (name) => {
      const config = { ...CONFIG, connectionsPerBackendMax: 5 }
      const options = { strategy: strategyNamed(name, 1) }
      const listener = listenerAfter([backends(1, 'ABCD')], config, options)
      for (let id = 1; id <= 20; id++) {
        run(listener, accepted(id as ConnectionId, peersOf(`192.0.2.${id % 3}:1000`)))
      }
      expect(loads(listener, 'ABCD')).toEqual([5, 5, 5, 5])
      const late = 21 as ConnectionId
      expect(run(listener, accepted(late))).toEqual([closeCommand(late, 'backends-full')])
    },
  )
})

describe('proxy W30: proxy_protocol tells the upstream who its client is', () => {
  const TELLING = { ...CONFIG, proxyProtocol: true }
  const PEERS = peersOf('192.0.2.7:50000')
  const HEADER = proxyHeader(PEERS.source, PEERS.destination, 'stream')
  const write = (header: Uint8Array) =>
    ({ type: 'write', connection: C1, to: 'upstream', bytes: header }) as const

  testRows(
    [
      {
        name: 'nothing is told before the upstream is there',
        given: [backends(1, 'AB')],
        when: accepted(C1, PEERS),
        then: [connectCommand(C1, 1, 'A')],
      },
      {
        name: 'then the header is the first that is written, before anything is read',
        given: [backends(1, 'AB'), accepted(C1, PEERS)],
        when: connected(C1, 1),
        then: [{ type: 'join', connection: C1 }, write(HEADER)],
      },
      {
        name: 'another backend is told again',
        given: [backends(1, 'AB'), accepted(C1, PEERS), at(2000, TICK)],
        when: connected(C1, 2),
        then: [{ type: 'join', connection: C1 }, write(HEADER)],
      },
      {
        name: 'where nobody knows the client, the header says so',
        given: [backends(1, 'AB'), accepted(C1)],
        when: connected(C1, 1),
        then: [{ type: 'join', connection: C1 }, write(localHeader())],
      },
      {
        name: 'the bytes of the client follow as they are',
        given: [backends(1, 'AB'), accepted(C1, PEERS), connected(C1, 1)],
        when: data(C1, 'client', 'query'),
        then: [write(bytes('query'))],
      },
    ],
    TELLING,
  )

  test('headers are counted, and are no bytes of the client', () => {
    const listener = listenerAfter([backends(1, 'A'), accepted(C1, PEERS)], TELLING)
    run(listener, connected(C1, 1))
    run(listener, data(C1, 'client', 'query'))
    expect(listener.counters.proxyHeaders).toBe(1)
    expect(listener.counters.bytesToUpstream).toBe(5)
  })

  test('an accepted connection is told, or not, as it was accepted', () => {
    const listener = listenerAfter([backends(1, 'A'), accepted(C1, PEERS)])
    run(listener, { type: 'configure', config: TELLING })
    expect(run(listener, connected(C1, 1))).toEqual([{ type: 'join', connection: C1 }])
  })
})

describe('proxy W30: an upstream may be spoken to in TLS', () => {
  const TLS = { ...CONFIG, upstreamTls: true }
  const PEERS = peersOf('[2001:db8::7]:50000', '[2001:db8::1]:443')
  const preface = proxyHeader(PEERS.source, PEERS.destination, 'stream')

  testRows(
    [
      {
        name: 'the shell is told when it connects',
        given: [backends(1, 'A')],
        when: accepted(C1, PEERS),
        then: [{ ...connectCommand(C1, 1, 'A'), tls: true }],
      },
    ],
    TLS,
  )
  testRows(
    [
      {
        name: 'the header goes ahead of the handshake, where TLS servers look for it',
        given: [backends(1, 'A')],
        when: accepted(C1, PEERS),
        then: [{ ...connectCommand(C1, 1, 'A'), tls: true, preface }],
      },
      {
        name: 'and is not written again behind it',
        given: [backends(1, 'A'), accepted(C1, PEERS)],
        when: connected(C1, 1),
        then: [{ type: 'join', connection: C1 }],
      },
    ],
    { ...TLS, proxyProtocol: true },
  )
})

describe('proxy W15: who may not come by a network policy is refused over tcp', () => {
  const NEAR = { network: peersOf('10.0.0.0:0').source, bits: 104 }
  const GUESTS = { network: peersOf('10.9.0.0:0').source, bits: 112 }
  const access: AccessList = [
    { sources: [NEAR], verdict: 'allow' },
    { sources: [GUESTS], verdict: 'deny' },
  ]
  const GUARDED = { ...CONFIG, access }
  const GUEST = peersOf('10.9.0.1:50000')
  const FORBIDDEN = [closeCommand(C1, 'forbidden')]

  testRows(
    [
      {
        name: 'whom a rule allows is let in',
        given: [backends(1, 'A')],
        when: accepted(C1, peersOf('10.1.2.3:50000')),
        then: [connectCommand(C1, 1, 'A')],
      },
      {
        name: 'whom a rule denies is not, whatever others allow',
        given: [backends(1, 'A')],
        when: accepted(C1, GUEST),
        then: FORBIDDEN,
      },
      {
        name: 'whom no policy governs is let in',
        given: [backends(1, 'A')],
        when: accepted(C1, peersOf('[2001:db8::7]:50000')),
        then: [connectCommand(C1, 1, 'A')],
      },
      {
        name: 'whom nobody knows is not',
        given: [backends(1, 'A')],
        when: accepted(C1),
        then: FORBIDDEN,
      },
      {
        name: 'it is told nothing of backends',
        when: accepted(C1, GUEST),
        then: FORBIDDEN,
      },
      {
        name: 'nor does it wake anybody',
        given: [backends(1, '', 'hold')],
        when: accepted(C1, GUEST),
        then: FORBIDDEN,
      },
      {
        name: 'another policy holds for who comes from now on',
        given: [
          backends(1, 'A'),
          accepted(C2, peersOf('10.1.2.3:50000')),
          {
            type: 'configure',
            config: { ...CONFIG, access: [{ sources: [NEAR], verdict: 'none' }] },
          },
        ],
        when: connected(C2, 1),
        then: [{ type: 'join', connection: C2 }],
      },
    ],
    GUARDED,
  )

  test('they are counted', () => {
    const listener = listenerAfter([backends(1, 'A'), accepted(C1, GUEST)], GUARDED)
    expect(listener.counters.refused.forbidden).toBe(1)
    run(listener, { type: 'configure', config: CONFIG })
    expect(run(listener, accepted(C2, GUEST))).toEqual([connectCommand(C2, 1, 'A')])
  })
})

test('connections of several sockets come in any order', () => {
  const listener = listenerAfter([backends(1, 'AB'), accepted(C2)])
  expect(run(listener, accepted(C1))).toEqual([connectCommand(C1, 2, 'B')])
})

const loads = (listener: StreamListener, ids: string): number[] =>
  [...ids].map((id) => listener.connectionsOn(id))
