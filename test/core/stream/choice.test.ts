import { describe, expect, test } from 'vitest'
import { LeastConnections } from '../../../core/balance/least-connections.ts'
import { strategyNamed } from '../../../core/balance/strategies.ts'
import type { ConnectionId } from '../../../core/stream/events.ts'
import type { StreamListener } from '../../../core/stream/listener.ts'
import {
  accepted,
  at,
  backend,
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
  peersOf,
  refused,
  run,
  type Step,
  side,
} from './rows.ts'

describe('how backends are chosen', () => {
  test('proxy W23: by the strategy of the group, which counts a connection for its whole life', () => {
    const strategy = new LeastConnections()
    const listener = listenerAfter([...JOINED, accepted(C2), connected(C2, 2)], CONFIG, {
      strategy,
    })
    run(listener, side('errored', C1, 'client'))
    expect(run(listener, accepted(C3))).toEqual([connectCommand(C3, 3, 'A')])
    expect(run(listener, accepted(4 as ConnectionId))).toEqual([
      connectCommand(4 as ConnectionId, 4, 'B'),
    ])
  })

  test('proxy W23: a half-closed connection weighs as much as one that was just made', () => {
    const strategy = new LeastConnections()
    const listener = listenerAfter([...JOINED, ended(C1, 'client')], CONFIG, { strategy })
    run(listener, side('finished', C1, 'upstream'))
    run(listener, data(C1, 'upstream', 'the head of an answer'))
    expect(run(listener, accepted(C2))).toEqual([connectCommand(C2, 2, 'B')])
    run(listener, side('errored', C2, 'client'))
    expect(run(listener, accepted(C3))).toEqual([connectCommand(C3, 3, 'B')])
  })

  test('proxy W23: a backend that is down hands its turns to all others alike', () => {
    const down = [backend('A'), { ...backend('B'), down: true }, backend('C')]
    const listener = listenerAfter([
      { type: 'apply-backends', version: 1, backends: down, whenEmpty: 'refuse' },
    ])
    for (let id = 1; id <= 60; id++) run(listener, accepted(id as ConnectionId))
    expect(['A', 'B', 'C'].map((id) => listener.connectionsOn(id))).toEqual([30, 0, 30])
  })

  test('proxy W23: nor is the successor of one that refuses burdened with its share', () => {
    const listener = listenerAfter([backends(1, 'ABC')])
    for (let id = 1; id <= 60; id++) {
      const [command] = run(listener, accepted(id as ConnectionId))
      if (command?.type !== 'connect-upstream' || command.backend !== 'B') continue
      run(listener, refused(command.connection, command.attempt))
    }
    expect(['A', 'B', 'C'].map((id) => listener.connectionsOn(id))).toEqual([30, 0, 30])
  })

  const allDown: Step = {
    type: 'apply-backends',
    version: 1,
    backends: [{ ...backend('A'), down: true }],
    whenEmpty: 'refuse',
  }

  test('what each backend has and had is counted, also of one that drains', () => {
    const listener = listenerAfter([backends(1, 'AB'), accepted(C1), accepted(C2)])
    run(listener, connected(C1, 1))
    run(listener, refused(C2, 2))
    run(listener, backends(2, 'B'))
    const place = { host: '127.0.0.1', isDraining: false, live: 0, failures: 0 }
    expect(listener.backendCounts()).toEqual([
      { ...place, backend: 'B', port: 20_002, failures: 1 },
      { ...place, backend: 'A', port: 20_001, isDraining: true, live: 2 },
    ])
  })

  test('with every backend down, all are used', () => {
    expect(run(listenerAfter([allDown]), accepted(C1))).toEqual([connectCommand(C1, 1, 'A')])
  })

  test('with every backend down and failing closed, nobody is let in', () => {
    const listener = listenerAfter([allDown], CONFIG, { failOpen: false })
    expect(run(listener, accepted(C1))).toEqual([closeCommand(C1, 'no-backend')])
    expect(listener.isEmpty).toBe(false)
  })

  test('a backend that goes down keeps its connections, and gets no new one', () => {
    const down: Step = {
      type: 'apply-backends',
      version: 2,
      backends: [{ ...backend('A'), down: true }, backend('B')],
      whenEmpty: 'refuse',
    }
    const listener = listenerAfter([...JOINED, down])
    expect(listener.connectionsOn('A')).toBe(1)
    for (const [at, connection] of [C2, C3].entries()) {
      expect(run(listener, accepted(connection))).toEqual([connectCommand(connection, 2 + at, 'B')])
    }
  })
})

describe('affinity: what a client opens meets one backend', () => {
  const SOURCES = Array.from({ length: 40 }, (_, at) => `198.51.100.${at}`)
  const listenerOf = (name: 'hrw' | 'maglev' | 'round_robin') =>
    listenerAfter([backends(1, 'ABCD')], CONFIG, { strategy: strategyNamed(name, 1) })
  let last = 0
  const backendOf = (listener: StreamListener, source: string): string | undefined => {
    last += 1
    const [command] = run(listener, accepted(last as ConnectionId, peersOf(source)))
    run(listener, side('errored', last as ConnectionId, 'client'))
    return command?.type === 'connect-upstream' ? command.backend : undefined
  }

  test.each(['hrw', 'maglev'] as const)('%s: by its address, whatever its port', (name) => {
    const listener = listenerOf(name)
    for (const source of SOURCES) {
      const first = backendOf(listener, `${source}:1`)
      expect(backendOf(listener, `${source}:2`)).toBe(first)
      expect(backendOf(listenerOf(name), `${source}:3`), 'in another process').toBe(first)
      expect(backendOf(listener, `[::ffff:${source}]:4`), 'on a dual-stack socket').toBe(first)
    }
  })

  test.each(['hrw', 'maglev'] as const)(
    '%s: from the moment it takes the place of another',
    (name) => {
      const listener = listenerOf('round_robin')
      const expected = backendOf(listenerOf(name), '198.51.100.7:1')
      run(listener, { type: 'rebalance', balance: { strategy: strategyNamed(name, 1) } })
      const chosen = SOURCES.map((_, at) => backendOf(listener, `198.51.100.7:${at + 1}`))
      expect(new Set(chosen)).toEqual(new Set([expected]))
    },
  )

  test.each(['hrw', 'maglev'] as const)('%s: different clients are spread', (name) => {
    const listener = listenerOf(name)
    const four = new Set(SOURCES.map((source) => backendOf(listener, `${source}:1`)))
    expect([...four].toSorted()).toEqual(['A', 'B', 'C', 'D'])
    // Whichever part of the address they differ in.
    for (const [before, after] of [
      ['[', ':db8::1]:1'],
      ['[2001:db8:', '::1]:1'],
      ['[2001:db8::', ']:1'],
    ]) {
      const six = new Set(
        SOURCES.map((_, at) => backendOf(listener, `${before}${2001 + at}${after}`)),
      )
      expect([...six].toSorted()).toEqual(['A', 'B', 'C', 'D'])
    }
  })

  test.each(['hrw', 'maglev'] as const)(
    '%s: a backend that leaves gives up its own alone',
    (name) => {
      const listener = listenerOf(name)
      const before = SOURCES.map((source) => backendOf(listener, `${source}:1`))
      run(listener, backends(2, 'ABC'))
      const after = SOURCES.map((source) => backendOf(listener, `${source}:1`))
      const moved = SOURCES.filter((_, at) => before[at] !== 'D' && after[at] !== before[at])
      expect(moved.length).toBeLessThanOrEqual(name === 'hrw' ? 0 : 2)
      expect(after).not.toContain('D')
    },
  )

  test.each(['hrw', 'maglev'] as const)(
    '%s: a second try is the same for all of a client',
    (name) => {
      const listener = listenerOf(name)
      const second = ['7:1', '7:2'].map((source) => {
        last += 1
        const connection = last as ConnectionId
        const [first] = run(listener, accepted(connection, peersOf(`192.0.2.${source}`)))
        const { attempt } = first as { attempt: number }
        return run(listener, at(1, refused(connection, attempt))).find(
          ({ type }) => type === 'connect-upstream',
        )
      })
      expect(second[0]).toMatchObject({ backend: (second[1] as { backend: string }).backend })
    },
  )

  test.each(['hrw', 'maglev'] as const)('%s: clients nobody knows take turns', (name) => {
    const listener = listenerOf(name)
    for (let id = 1; id <= 8; id++) run(listener, accepted((1e6 + id) as ConnectionId))
    expect(loads(listener, 'ABCD')).toEqual([2, 2, 2, 2])
  })

  test('a strategy that knows no keys does not mind them', () => {
    const listener = listenerOf('round_robin')
    const turns = SOURCES.slice(0, 4).map(() => backendOf(listener, '192.0.2.7:1'))
    expect(turns).toEqual(['A', 'B', 'C', 'D'])
  })
})

const loads = (listener: StreamListener, ids: string): number[] =>
  [...ids].map((id) => listener.connectionsOn(id))
