import { describe, expect, test } from 'vitest'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { C1, C2 } from '../rows.ts'
import { bytesOf, helloFor, helloMessage, inRecords } from './hellos.ts'
import {
  accepted,
  admit,
  at,
  behindProxy,
  CLIENT,
  configOf,
  data,
  entranceAfter,
  HELLO,
  HOLD,
  LINE,
  LONE_TLS,
  NAMES,
  NAMES_AND_REST,
  PLAIN,
  PROXY,
  QUERY,
  READ,
  refuse,
  run,
  secure,
  secured,
  secureFailed,
  TICK,
  testRows,
} from './rows.ts'

/** A fatal unrecognized_name (RFC 6066, 3). */
const ALERT = bytesOf(21, 3, 3, 0, 2, 2, 112)

describe('a plain socket', () => {
  testRows([
    {
      name: 'lets clients in at once, unread',
      config: PLAIN,
      when: accepted(),
      then: [admit('plain')],
    },
    {
      name: 'passes on who the kernel says it is',
      config: PLAIN,
      when: accepted(CLIENT),
      then: [admit('plain', bytesOf(), CLIENT)],
    },
    {
      name: 'asks for no name, even where it has one',
      config: configOf([{ id: 'plain', serverName: 'a.example', tls: 'off' }]),
      when: accepted(),
      then: [admit('plain')],
    },
  ])
})

describe('proxy W30: TLS ends here', () => {
  testRows([
    {
      name: 'a lone route without a name: the handshake begins, unread',
      config: LONE_TLS,
      when: accepted(CLIENT),
      then: [secure()],
    },
    {
      name: 'when it is done the client is let in',
      config: LONE_TLS,
      given: [accepted(CLIENT)],
      when: secured,
      then: [admit('tls', bytesOf(), CLIENT)],
    },
    {
      name: 'when it fails the client is refused in order: it may have an alert to read',
      config: LONE_TLS,
      given: [accepted(CLIENT)],
      when: secureFailed,
      then: [refuse('handshake', 'end')],
    },
    {
      name: 'with names the hello is looked at first, and then part of the handshake',
      config: NAMES,
      given: [accepted()],
      when: data(HELLO),
      then: [HOLD, secure(HELLO, 'a.example')],
    },
    {
      name: 'and then let in, with nothing of what was read',
      config: NAMES,
      given: [accepted(), data(HELLO)],
      when: secured,
      then: [admit('a')],
    },
  ])
})

describe('which route a name leads to', () => {
  const rows: readonly (readonly [asked: string, route: string | undefined])[] = [
    ['a.example', 'a'],
    ['A.EXAMPLE', 'a'],
    ['a.example.', 'a'],
    ['pass.example', 'pass'],
    ['b.example', 'star'],
    ['b.a.example', undefined],
    ['example', undefined],
    ['x.sub.example', 'sub'],
    ['sub.example', 'star'],
    ['x.y.sub.example', undefined],
    ['off.other', 'off'],
    ['other', undefined],
    ['not a name', undefined],
  ]
  const routeOf = (config: typeof NAMES, hello: Uint8Array): string | undefined => {
    const command = run(entranceAfter(config, [accepted()]), data(hello)).at(-1)!
    if (command.type === 'secure') return 'a' // the only one that terminates
    return command.type === 'admit' ? command.route : undefined
  }

  test.each(rows)('%s: %s', (asked, route) => {
    expect(routeOf(NAMES, helloFor(asked))).toBe(route)
  })

  test.each(rows)('%s: %s, or the one without a name', (asked, route) => {
    expect(routeOf(NAMES_AND_REST, helloFor(asked))).toBe(route ?? 'rest')
  })

  test('who asks for none gets the one without a name', () => {
    const hello = inRecords(helloMessage({}))
    expect(routeOf(NAMES, hello)).toBeUndefined()
    expect(routeOf(NAMES_AND_REST, hello)).toBe('rest')
  })

  test('of two for one name the first counts', () => {
    const twice = configOf(['x', 'y'].map((id) => ({ id, serverName: 'b.b', tls: 'passthrough' })))
    expect(routeOf(twice, helloFor('b.b'))).toBe('x')
  })

  testRows([
    {
      name: 'TLS that is only looked at is handed on as it came',
      config: NAMES,
      given: [accepted(CLIENT)],
      when: data(bytesOf(helloFor('pass.example'), 'more')),
      then: [HOLD, admit('pass', bytesOf(helloFor('pass.example'), 'more'), CLIENT)],
    },
    {
      name: 'a lone route with a name is for those alone that ask for it',
      config: configOf([{ id: 'a', serverName: 'a.example', tls: 'terminate' }]),
      when: accepted(),
      then: [READ],
    },
    {
      name: 'others are refused there as well',
      config: configOf([{ id: 'a', serverName: 'a.example', tls: 'terminate' }]),
      given: [accepted()],
      when: data(helloFor('b.example')),
      then: [refuse('no-route', 'end', ALERT)],
    },
    {
      name: 'a lone route that passes TLS through wants to see TLS',
      config: configOf([{ id: 'pass', tls: 'passthrough' }]),
      when: accepted(),
      then: [READ],
    },
    {
      name: 'nobody serves that name: the client is told so, and not by a reset',
      config: NAMES,
      given: [accepted()],
      when: data(helloFor('elsewhere.org')),
      then: [refuse('no-route', 'end', ALERT)],
    },
    {
      name: 'plain HTTP where TLS is needed',
      config: NAMES,
      given: [accepted()],
      when: data(bytesOf('G')),
      then: [refuse('not-tls')],
    },
    {
      name: 'half a hello: more is waited for',
      config: NAMES,
      given: [accepted()],
      when: data(HELLO.subarray(0, 60)),
      then: [],
    },
    {
      name: 'and with the other half it is whole',
      config: NAMES,
      given: [accepted(), data(HELLO.subarray(0, 60))],
      when: data(HELLO.subarray(60)),
      then: [HOLD, secure(HELLO, 'a.example')],
    },
  ])
})

describe('a new configuration', () => {
  test('holds for those accepted from now on', () => {
    const entrance = entranceAfter(NAMES, [accepted()])
    const other = { ...configOf([{ id: 'z', serverName: 'z.z', tls: 'off' }, ...PLAIN.routes]) }
    run(entrance, { type: 'configure', config: { ...other, greetingTimeoutMs: 5 } })
    run(entrance, accepted(undefined, C2))
    expect(entrance.deadline()).toBe(5)
    const hello = helloFor('b.example')
    expect(run(entrance, data(hello))).toEqual([HOLD, admit('star', hello)])
    expect(run(entrance, data(hello, C2))).toMatchObject([{ type: 'hold' }, { route: 'plain' }])
  })

  test('an entrance that leads nowhere is a bug of the shell', () => {
    expect(() => entranceAfter(configOf([]))).toThrow('leads somewhere')
  })
})

test('what breaks the contract is a bug of the shell', () => {
  const held = [accepted(), data(HELLO)]
  expect(() => run(entranceAfter(NAMES, held), data(QUERY))).toThrow('no data comes from')
  expect(() => run(entranceAfter(NAMES, held), accepted())).toThrow('used once')
  expect(() => run(entranceAfter(NAMES, [accepted()]), secured)).toThrow(
    'nothing was to be secured',
  )
  expect(() => run(entranceAfter(NAMES, [accepted()]), secureFailed)).toThrow('nothing was')
})

test('every connection is counted once, with its reason', () => {
  const entrance = entranceAfter({ ...behindProxy(NAMES), greetingsMax: 1 })
  const next = (...steps: readonly ((id: ConnectionId) => Parameters<typeof run>[1])[]): void => {
    id += 1
    for (const step of steps) run(entrance, step(id as ConnectionId))
  }
  let id = 10
  next(
    (each) => accepted(PROXY, each),
    (each) => data(bytesOf(LINE, HELLO), each),
    (connection) => ({ type: 'secured', connection }),
  )
  next(
    (each) => accepted(CLIENT, each),
    (each) => data(HELLO, each),
    (connection) => ({ type: 'secure-failed', connection, reason: '' }),
  )
  next(
    (each) => accepted(CLIENT, each),
    (each) => data(QUERY, each),
  )
  next(
    (each) => accepted(CLIENT, each),
    (each) => data(helloFor('else.where'), each),
  )
  next(
    (each) => accepted(PROXY, each),
    (each) => data(QUERY, each),
  )
  next(
    (each) => accepted(PROXY, each),
    (connection) => ({ type: 'errored', connection }),
  )
  next(
    (each) => accepted(CLIENT, each),
    () => accepted(CLIENT, C1),
    () => at(10_000, TICK),
  )
  next((each) => accepted(CLIENT, each))
  run(entrance, { type: 'close' })
  expect(entrance.counters).toEqual({
    accepted: 9,
    admitted: 1,
    refused: {
      'entrance-full': 1,
      'greeting-timeout': 1,
      'proxy-header': 1,
      'not-tls': 1,
      'no-route': 1,
      handshake: 1,
      'client-gone': 1,
      closing: 1,
    },
    proxyHeaders: 1,
    secured: 1,
  })
})
