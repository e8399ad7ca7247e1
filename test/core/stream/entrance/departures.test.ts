import { describe, expect, test } from 'vitest'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { C2, C3 } from '../rows.ts'
import { bytesOf, helloFor } from './hellos.ts'
import {
  accepted,
  admit,
  at,
  behindProxy,
  data,
  ended,
  entranceAfter,
  errored,
  HELLO,
  LINE,
  LONE_TLS,
  NAMES,
  PLAIN,
  PROXY,
  QUERY,
  READ,
  refuse,
  run,
  STRANGER,
  secured,
  secureFailed,
  TICK,
  testRows,
} from './rows.ts'

describe('who leaves, or takes too long', () => {
  const LIMIT = PLAIN.greetingTimeoutMs
  testRows([
    {
      name: 'a client that ends before its hello is whole is let go in order',
      config: NAMES,
      given: [accepted(), data(HELLO.subarray(0, 9))],
      when: ended,
      then: [refuse('client-gone', 'end')],
    },
    {
      name: 'one that breaks as well',
      config: NAMES,
      given: [accepted()],
      when: errored,
      then: [refuse('client-gone', 'end')],
    },
    {
      name: 'one that breaks in the handshake as well',
      config: LONE_TLS,
      given: [accepted()],
      when: errored,
      then: [refuse('client-gone', 'end')],
    },
    {
      name: 'proxy W46: a client that says nothing is refused in time',
      config: NAMES,
      given: [accepted()],
      when: at(LIMIT, TICK),
      then: [refuse('greeting-timeout')],
    },
    {
      name: 'not a moment earlier',
      config: NAMES,
      given: [accepted()],
      when: at(LIMIT - 1, TICK),
      then: [],
    },
    {
      name: 'a byte now and then makes no difference',
      config: NAMES,
      given: [accepted(), at(LIMIT - 2, data(HELLO.subarray(0, 1)))],
      when: at(LIMIT, TICK),
      then: [refuse('greeting-timeout')],
    },
    {
      name: 'proxy W41: header, hello and handshake have one time together',
      config: behindProxy(NAMES),
      given: [accepted(PROXY), at(5_000, data(LINE)), at(9_000, data(HELLO))],
      when: at(LIMIT, TICK),
      then: [refuse('greeting-timeout')],
    },
    {
      name: 'a handshake that is done too late finds nobody',
      config: LONE_TLS,
      given: [accepted(), at(LIMIT, TICK)],
      when: secured,
      then: [],
    },
    {
      name: 'nor does one that fails too late',
      config: LONE_TLS,
      given: [accepted(), at(LIMIT, TICK)],
      when: secureFailed,
      then: [],
    },
    {
      name: 'what a refused client sent goes nowhere',
      config: NAMES,
      given: [accepted(), data(bytesOf('G'))],
      when: data(QUERY),
      then: [],
    },
    {
      name: 'nor is its end anything',
      config: NAMES,
      given: [accepted(), data(bytesOf('G'))],
      when: ended,
      then: [],
    },
  ])

  test('the deadline is that of the first, until it is through', () => {
    const entrance = entranceAfter(NAMES)
    expect(entrance.deadline()).toBeUndefined()
    run(entrance, at(100, accepted()))
    run(entrance, at(200, accepted(undefined, C2)))
    expect(entrance.deadline()).toBe(10_100)
    run(entrance, at(300, data(helloFor('b.example'))))
    expect(entrance.deadline()).toBe(10_200)
    run(entrance, at(300, data(bytesOf('G'), C2)))
    expect(entrance.deadline()).toBeUndefined()
  })
})

describe('proxy W29: a full entrance', () => {
  const TWO = { ...behindProxy(NAMES), greetingsMax: 2 }

  test('sheds the new, keeps the old, and has room when one is through', () => {
    const entrance = entranceAfter(TWO, [accepted(undefined, C2), accepted(undefined, C3)])
    expect(run(entrance, accepted())).toEqual([refuse('entrance-full')])
    run(entrance, data(helloFor('b.example'), C2))
    expect(run(entrance, accepted())).toEqual([READ])
    expect(entrance.connections).toBe(2)
    expect(entrance.counters.refused['entrance-full']).toBe(1)
  })

  test('those in the handshake count', () => {
    const entrance = entranceAfter({ ...LONE_TLS, greetingsMax: 1 }, [accepted(undefined, C2)])
    expect(run(entrance, accepted())).toEqual([refuse('entrance-full')])
  })

  test('who needs no greeting is let in all the same', () => {
    const full = { ...behindProxy(PLAIN), greetingsMax: 1 }
    const entrance = entranceAfter(full, [accepted(PROXY, C2)])
    expect(run(entrance, accepted(STRANGER))).toEqual([admit('plain', bytesOf(), STRANGER)])
  })
})

describe('closing', () => {
  test('proxy W10: refuses those on their way in, and whoever still comes', () => {
    const entrance = entranceAfter(NAMES, [accepted()])
    expect(run(entrance, { type: 'close' })).toEqual([refuse('closing')])
    expect(entrance.isEmpty).toBe(true)
    expect(run(entrance, accepted())).toEqual([refuse('closing')])
    expect(entrance.deadline()).toBeUndefined()
  })

  test('a plain socket that is closed lets nobody in', () => {
    const entrance = entranceAfter(PLAIN, [{ type: 'close' }])
    expect(run(entrance, accepted())).toEqual([refuse('closing')])
  })

  const COUNT = 2_500
  const many = () => {
    const entrance = entranceAfter({ ...NAMES, greetingsMax: COUNT })
    for (let id = 1; id <= COUNT; id++) {
      entrance.step(accepted(undefined, id as ConnectionId), 0, [])
    }
    return entrance
  }

  for (const [name, event, start] of [
    ['a close', { type: 'close' }, 0],
    ['the time of all at once', TICK, 10_000],
  ] as const) {
    test(`${name}: 1,024 at a time, the rest a millisecond later`, () => {
      const entrance = many()
      expect(run(entrance, at(start, event)).length).toBe(1024)
      expect(entrance.deadline()).toBe(start + 1)
      expect(run(entrance, at(start + 0.5, TICK))).toEqual([])
      expect(run(entrance, at(start + 1, TICK)).length).toBe(1024)
      expect(run(entrance, at(start + 2, TICK)).length).toBe(COUNT - 2048)
      expect(entrance.deadline()).toBeUndefined()
      expect(entrance.isEmpty).toBe(true)
    })
  }

  test('who has not been refused yet is not let in either', () => {
    const entrance = many()
    run(entrance, { type: 'close' })
    const late = COUNT as ConnectionId
    expect(run(entrance, data(helloFor('b.example'), late))).toEqual([
      { ...refuse('closing'), connection: late },
    ])
  })

  test('nor who is secured by then', () => {
    const config = { ...LONE_TLS, greetingsMax: COUNT }
    const entrance = entranceAfter(config)
    for (let id = 1; id <= COUNT; id++)
      entrance.step(accepted(undefined, id as ConnectionId), 0, [])
    run(entrance, { type: 'close' })
    const late = COUNT as ConnectionId
    expect(run(entrance, { type: 'secured', connection: late })).toEqual([
      { ...refuse('closing'), connection: late },
    ])
  })
})
