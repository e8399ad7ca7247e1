/** Which backend is chosen for whom. */
import { describe, expect, test } from 'vitest'
import type { AffinityKey } from '../../../../core/balance/strategy.ts'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../../core/udp/config.ts'
import {
  ANSWERED,
  abortFlow,
  address,
  answer,
  backends,
  benchAfter,
  blamed,
  C1,
  C1B,
  C2,
  C3,
  C6,
  closed,
  closeUpstream,
  configure,
  down,
  F1,
  F2,
  F3,
  failed,
  flow,
  LOCAL,
  openCommand,
  opened,
  prefix,
  query,
  type Step,
  testRows,
  up,
} from '../rows.ts'
import { referenceHash } from '../storage/siphash-reference.ts'
import { Remembering } from './remembering.ts'

const keysOf = (
  affinity: UdpConfig['affinity'],
  clients: readonly PackedAddress[],
  seed?: readonly [number, number],
): (AffinityKey | undefined)[] => {
  const strategy = new Remembering()
  const seeds = seed === undefined ? {} : { affinitySeed: seed }
  // Each flow ends before the next comes: nothing is left that could be shared.
  const steps = clients.flatMap((client, i): Step[] => [query(client), abortFlow(flow(0, i + 1))])
  benchAfter([backends(1, 'A'), ...steps], { affinity }, { strategy, ...seeds })
  return strategy.keys
}

describe('the key a backend is chosen by', () => {
  const MANY = [C1, C1B, C2, C3, C6, address('[2001:db8::1]:1002'), address('[2001:db8::2]:1001')]

  test('source-ip-port: each socket has its own', () => {
    const keys = keysOf('source-ip-port', MANY).map((key) => JSON.stringify(key))
    expect(new Set(keys).size).toBe(MANY.length)
  })

  test('source-ip: each host has its own', () => {
    const [one, again, ...others] = keysOf('source-ip', MANY)
    expect(again).toEqual(one)
    expect(others[2]).toEqual(others[3])
    const distinct = [one, others[0], others[1], others[2], others[4]]
    expect(new Set(distinct.map((key) => JSON.stringify(key))).size).toBe(5)
  })

  test('datagram: there is none', () => {
    expect(keysOf('datagram', MANY)).toEqual(MANY.map(() => undefined))
  })

  test('the same in every table, but not with another seed', () => {
    const keys = keysOf('source-ip-port', MANY)
    expect(keysOf('source-ip-port', MANY)).toEqual(keys)
    const others = keysOf('source-ip-port', MANY, [1, 2])
    for (const [i, key] of keys.entries()) expect(others[i]).not.toEqual(key)
    const same = keysOf('source-ip-port', MANY, [1, 2])
    expect(same).toEqual(others)
  })

  test('udp W28: the octets of address and port, hashed with the seed both ways round', () => {
    const host4 = [192, 0, 2, 1]
    const host6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    const port = [1001 >> 8, 1001 & 255]
    const hashed = (octets: readonly number[]) => ({
      high: referenceHash(octets, [0x1234567, 0x89abcde]) | 0,
      low: referenceHash(octets, [0x89abcde, 0x1234567]) | 0,
    })
    const seed = [0x1234567, 0x89abcde] as const
    expect(keysOf('source-ip-port', [C1, C6], seed)).toEqual([
      hashed([...host4, ...port]),
      hashed([...host6, ...port]),
    ])
    expect(keysOf('source-ip', [C1, C6], seed)).toEqual([hashed(host4), hashed(host6)])
  })

  test('udp W28: these are the keys without a seed, in every process and version', () => {
    expect(keysOf('source-ip-port', [C1, C6])).toEqual([
      { high: -821241040, low: -992645649 },
      { high: 1696197519, low: -437157562 },
    ])
  })

  test('the seed of the table plays no part', () => {
    const strategy = new Remembering()
    benchAfter([backends(1, 'A'), query(C1)], {}, { strategy, hashSeed: [5, 6] })
    expect(strategy.keys).toEqual(keysOf('source-ip-port', [C1]))
  })

  test('neither do the payload, the address contacted or the slot', () => {
    const strategy = new Remembering()
    benchAfter(
      [backends(1, 'A'), query(C2), query(C1, 'one'), query(C1, 'two', address('198.51.100.9:54'))],
      {},
      { strategy },
    )
    expect(strategy.keys[2]).toEqual(strategy.keys[1])
    expect(strategy.keys[1]).toEqual(keysOf('source-ip-port', [C1])[0])
  })

  test('another choice for a flow is by its key too, and by its own configuration', () => {
    const strategy = new Remembering()
    benchAfter(
      [backends(1, 'AB'), query(C1), configure({ affinity: 'source-ip' }), failed(F1)],
      {},
      { strategy },
    )
    expect(strategy.keys).toHaveLength(2)
    expect(strategy.keys[1]).toEqual(strategy.keys[0])
  })

  test('of an announced client', () => {
    const strategy = new Remembering()
    const announced = new Uint8Array(
      Buffer.from('0d0a0d0a000d0a515549540a2112000cc0000201c633640103e9003571', 'hex'),
    )
    benchAfter(
      [backends(1, 'AB'), query(address('10.1.0.1:1'), announced), failed(F1)],
      { trustedProxies: [prefix('10.1.0.0/16')] },
      { strategy },
    )
    const [key] = keysOf('source-ip-port', [C1])
    expect(strategy.keys).toEqual([key, key])
  })
})

describe('source-ip', () => {
  const SHARED = { affinity: 'source-ip' } as const
  testRows([
    {
      name: 'udp W5: another socket of a host has its own flow, to the same backend',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1)],
      when: query(C1B),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'udp W5: each answer goes to the socket that asked',
      config: SHARED,
      given: [backends(1, 'A'), query(C1), query(C1B), opened(F1), opened(F2)],
      when: answer(F2),
      then: [down(F2, C1B)],
    },
    {
      name: 'another host takes its turn',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1)],
      when: query(C2),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'of IPv6 likewise',
      config: SHARED,
      given: [backends(1, 'AB'), query(C6), query(C2)],
      when: query(address('[2001:db8::1]:9')),
      then: [openCommand(F3, 'A')],
    },
    {
      name: 'the backend given last counts',
      config: SHARED,
      given: [backends(1, 'ABC'), query(C1), query(C2), failed(F1)],
      when: query(C1B),
      then: [openCommand(F3, 'C')],
    },
    {
      name: 'also when the flow it was given to is over',
      config: SHARED,
      given: [backends(1, 'ABC'), query(C1), query(C1B), failed(F2), abortFlow(F2)],
      when: query(address('192.0.2.1:3001')),
      then: [openCommand(flow(1, 3), 'B')],
    },
    {
      name: 'but not when all its flows are',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1), abortFlow(F1)],
      when: query(C1),
      then: [openCommand(flow(0, 2), 'B')],
    },
    {
      name: 'another one when that may not be chosen',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1), backends(2, 'aB')],
      when: query(C1B),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'another one when that left',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1), backends(2, 'B')],
      when: query(C1B),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'a flow whose backend fails goes where the others of its source went',
      config: SHARED,
      given: [backends(1, 'ABC'), query(C1), query(C1B), query(C2), failed(F1)],
      when: failed(F2),
      then: [closeUpstream(F2), openCommand(F2, 'C', 2)],
    },
    {
      name: 'unless it is that one that failed',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1), query(C1B)],
      when: failed(F2),
      then: [blamed('A'), closeUpstream(F2), openCommand(F2, 'B', 2)],
    },
    {
      name: 'udp W10: flows admitted under another affinity are found all the same',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1), opened(F1), configure({})],
      when: query(C1),
      then: [up(F1)],
    },
    {
      name: 'udp W10: and end without a trace',
      config: SHARED,
      given: [backends(1, 'AB'), query(C1), opened(F1), configure({}), abortFlow(F1), query(C2)],
      when: opened(F1),
      then: [],
      stale: 1,
    },
    {
      name: 'a flow of a host that is not counted gives no backend',
      given: [
        backends(1, 'AB'),
        query(C1),
        query(C2),
        query(C3),
        configure({ affinity: 'source-ip' }),
      ],
      when: query(C1B),
      then: [openCommand(flow(3, 4), 'B')],
    },
  ])
})

describe('datagram: every datagram is given a backend', () => {
  const SPREAD = { affinity: 'datagram' } as const
  /** A flow to A and one to B, both open. */
  const BOTH: readonly Step[] = [backends(1, 'AB'), query(C1), query(C1), opened(F1), opened(F2)]
  testRows([
    {
      name: 'the second has a flow of its own',
      config: SPREAD,
      given: [backends(1, 'AB'), query(C1)],
      when: query(C1),
      then: [openCommand(F2, 'B')],
    },
    {
      name: "the third goes on the first one's",
      config: SPREAD,
      given: BOTH,
      when: query(C1),
      then: [up(F1)],
    },
    {
      name: "the fourth on the second one's",
      config: SPREAD,
      given: [...BOTH, query(C1)],
      when: query(C1),
      then: [up(F2)],
    },
    {
      name: 'each client has its own',
      config: SPREAD,
      given: BOTH,
      when: query(C2),
      then: [openCommand(F3, 'A')],
    },
    {
      name: 'of IPv6 likewise',
      config: SPREAD,
      given: [backends(1, 'AB'), query(C6)],
      when: query(C6),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'each contacted address too',
      config: SPREAD,
      given: BOTH,
      when: query(C1, 'q', { ...LOCAL, port: 54 }),
      then: [openCommand(F3, 'A')],
    },
    {
      name: 'held while its flow opens',
      config: SPREAD,
      given: [backends(1, 'A'), query(C1, 'q1'), query(C1, 'q2')],
      when: opened(F1),
      then: [up(F1, 'q1'), up(F1, 'q2')],
    },
    {
      name: 'answers go to the client',
      config: SPREAD,
      given: BOTH,
      when: answer(F2),
      then: [down(F2, C1)],
    },
    {
      name: 'a backend that is down gets none',
      config: SPREAD,
      given: [...BOTH, backends(2, 'aB'), query(C1)],
      when: query(C1),
      then: [up(F2)],
    },
    {
      name: 'without any, none is forwarded',
      config: SPREAD,
      given: [...BOTH, backends(2, '')],
      when: query(C1),
      then: [],
      drops: { 'no-backend': 1 },
    },
    {
      name: 'a backend that fails ends its flow, not the other',
      config: SPREAD,
      given: BOTH,
      when: failed(F1),
      then: [blamed('A'), closed(F1, 'backend-failed', { up: [1, 1] })],
    },
    {
      name: 'the other goes on',
      config: SPREAD,
      given: [...BOTH, failed(F1), query(C1)],
      when: query(C1),
      then: [up(F2)],
    },
    {
      name: 'a flow admitted before is not found by it',
      given: [...ANSWERED, configure(SPREAD)],
      when: query(C1),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'but goes on with its answers',
      given: [...ANSWERED, configure(SPREAD), query(C1)],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: "a client that takes one request a flow gets the next one with the backend's turn",
      config: { ...SPREAD, requests: 1 },
      given: [backends(1, 'A'), query(C1), opened(F1)],
      when: query(C1),
      then: [openCommand(F2, 'A')],
    },
  ])
})

test('the default is a flow and a choice for each client socket', () => {
  expect(defaultUdpConfig.affinity).toBe('source-ip-port')
})
