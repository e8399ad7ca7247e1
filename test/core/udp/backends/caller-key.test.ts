/** Flows that are told apart by what a caller says. */
import { describe, expect, test } from 'vitest'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import {
  abortFlow,
  address,
  answer,
  at,
  backends,
  benchAfter,
  blamed,
  bytes,
  C1,
  C2,
  C3,
  closeUpstream,
  crowd,
  down,
  F1,
  F2,
  failed,
  flow,
  LOCAL,
  openCommand,
  opened,
  prefix,
  query,
  testRows,
  up,
} from '../rows.ts'
import { Remembering } from './remembering.ts'

describe("a caller's key", () => {
  /** The first octet of the payload, as many times as it says; none without one. */
  const byFirstOctet = (_from: PackedAddress, payload: Uint8Array) => {
    const [octet] = payload
    return octet === undefined ? undefined : new Uint8Array([octet])
  }
  const options = { keyOf: byFirstOctet }
  /** The first two octets of an IPv4 address, whoever the host is. */
  const byNetwork = { keyOf: ({ d }: PackedAddress) => new Uint8Array([d, d >> 8, d >> 16]) }
  testRows([
    {
      name: 'equal keys are one flow, whatever the socket',
      options,
      given: [backends(1, 'AB'), query(C1, 'x1'), opened(F1)],
      when: query(C2, 'x2'),
      then: [up(F1, 'x2')],
    },
    {
      name: 'different keys are two, from one socket',
      options,
      given: [backends(1, 'AB'), query(C1, 'x1')],
      when: query(C1, 'y1'),
      then: [openCommand(F2, 'B')],
    },
    {
      name: 'answers go to where the last datagram came from',
      options,
      given: [
        backends(1, 'A'),
        query(C1, 'x1'),
        opened(F1),
        query(C2, 'x2', { ...LOCAL, port: 54 }),
      ],
      when: answer(F1),
      then: [down(F1, C2, 'a', { ...LOCAL, port: 54 })],
    },
    {
      name: 'also while the flow opens',
      options,
      given: [backends(1, 'A'), query(C1, 'x1'), query(C2, 'x2'), opened(F1)],
      when: answer(F1),
      then: [down(F1, C2)],
    },
    {
      name: 'no key: the datagram is refused',
      options,
      given: [backends(1, 'A')],
      when: query(C1, ''),
      then: [],
      drops: { invalid: 1 },
    },
    {
      name: 'udp W9: the flow ends, and its key is free',
      options: byNetwork,
      given: [backends(1, 'A'), query(C1), opened(F1), abortFlow(F1)],
      when: query(C2),
      then: [openCommand(flow(0, 2), 'A')],
    },
    {
      name: "udp W9: its slot is another client's then, and no datagram goes there",
      options: byNetwork,
      given: [
        backends(1, 'A'),
        query(C1),
        opened(F1),
        abortFlow(F1),
        query(address('10.0.0.1:1')),
        opened(flow(0, 2)),
      ],
      when: query(C1),
      then: [openCommand(flow(1, 3), 'A')],
    },
    {
      name: 'affinity makes no difference then: no flow for each backend',
      config: { affinity: 'datagram' },
      options,
      given: [backends(1, 'AB'), query(C1, 'x1'), opened(F1)],
      when: query(C1, 'x2'),
      then: [up(F1, 'x2')],
    },
    {
      name: 'affinity makes no difference then: a backend that fails is left for another',
      config: { affinity: 'datagram' },
      options,
      given: [backends(1, 'AB'), query(C1, 'x1'), opened(F1)],
      when: failed(F1),
      then: [blamed('A'), closeUpstream(F1), openCommand(F1, 'B', 2)],
    },
  ])

  test('keys are compared in full, length and all', () => {
    const keys = [
      [],
      [0],
      [0, 0],
      [0, 0, 0],
      [0, 0, 0, 0],
      [1],
      [0, 1],
      ...[3, 4, 7, 8, 11, 12, 15, 16].map((zeros) => [...Array(zeros).fill(0), 1]),
      [...Array(17).fill(0), 1],
      [...Array(17).fill(0), 2],
      Array(18).fill(0),
      Array(18).fill(255),
    ].map((octets) => new Uint8Array(octets))
    let next = 0
    const bench = benchAfter([backends(1, 'A')], {}, { keyOf: () => keys[next] })
    for (const turn of [0, 1]) {
      for (next = 0; next < keys.length; next++) {
        const commands = bench.run(query(C1))
        expect(commands).toEqual(turn === 0 ? [openCommand(flow(next, next + 1), 'A')] : [])
      }
    }
  })

  test('a flow that goes to another address of ours counts for that one', () => {
    const byPort = { keyOf: ({ port }: PackedAddress) => new Uint8Array([port, port >> 8]) }
    const bench = benchAfter([backends(1, 'A')], {}, byPort)
    const contacted = crowd(4_097)
    bench.runMany([query(C1, 'q', contacted[0]), query(C1, 'q', contacted[1]), opened(F1)])
    const others = contacted.slice(2, 4_096)
    bench.runMany(others.map((to, i) => query({ ...C2, port: 5_000 + i }, 'q', to)))
    // One more than may be known: it takes the place of the first, where no flow is any more.
    expect(bench.run(query(C3, 'q', contacted[4_096]))).toHaveLength(1)
    expect(bench.run(answer(F1))).toEqual([down(F1, C1, 'a', contacted[1])])
    expect(bench.run(query({ ...C3, port: 4 }, 'q', contacted[0]))).toEqual([])
    expect(bench.table.counters.dropped.shed).toBe(1)
  })

  test('a key of more than 18 octets is refused', () => {
    const bench = benchAfter([backends(1, 'A')], {}, { keyOf: () => new Uint8Array(19) })
    expect(bench.run(query(C1))).toEqual([])
    expect(bench.table.counters.dropped.invalid).toBe(1)
  })

  test('the strategy gets it, hashed, for the first choice and every other', () => {
    const strategy = new Remembering()
    const keys = [bytes('one'), bytes('two'), bytes('one')]
    let next = 0
    const bench = benchAfter([backends(1, 'AB')], {}, { strategy, keyOf: () => keys[next] })
    bench.run(query(C1))
    next = 1
    bench.run(query(C1))
    bench.runAll([failed(F1), failed(F2)])
    const [one, two, oneAgain, twoAgain] = strategy.keys
    expect(one).toBeDefined()
    expect(two).not.toEqual(one)
    expect([oneAgain, twoAgain]).toEqual([one, two])
  })

  test('it is asked once for each datagram: with the announced client, and without the header', () => {
    const asked: unknown[] = []
    const keyOf = (from: PackedAddress, payload: Uint8Array) => {
      asked.push({ from: { ...from }, payload: payload.slice() })
      return bytes('k')
    }
    const announced = new Uint8Array(
      Buffer.from('0d0a0d0a000d0a515549540a2112000cc0000201c633640103e9003571', 'hex'),
    )
    const config = { trustedProxies: [prefix('10.1.0.0/16')] }
    benchAfter(
      [
        backends(1, 'A'),
        query(address('10.1.0.1:1'), announced),
        at(1, query(C2, 'x')),
        abortFlow(F1),
      ],
      config,
      { keyOf },
    )
    expect(asked).toEqual([
      { from: C1, payload: bytes('q') },
      { from: C2, payload: bytes('x') },
    ])
  })
})
