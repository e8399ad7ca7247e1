import { describe, expect, test } from 'vitest'
import {
  accepted,
  at,
  backends,
  bytes,
  C1,
  C2,
  CONFIG,
  closeCommand,
  connectCommand,
  connected,
  data,
  ended,
  JOINED,
  listenerAfter,
  refused,
  run,
  side,
  TICK,
  testRows,
} from './rows.ts'

const FAILED_A = { type: 'backend-failed', backend: 'A', reason: 'connection refused' } as const
const FAILED_B = { ...FAILED_A, backend: 'B' } as const

describe('connecting', () => {
  testRows([
    {
      name: 'an accepted client gets the next backend; nothing is read yet',
      given: [backends(1, 'AB')],
      when: accepted(C1),
      then: [connectCommand(C1, 1, 'A')],
    },
    {
      name: 'the second client gets the second backend',
      given: [backends(1, 'AB'), accepted(C1)],
      when: accepted(C2),
      then: [connectCommand(C2, 2, 'B')],
    },
    {
      name: 'when the upstream is connected, both sides are read',
      given: [backends(1, 'AB'), accepted(C1)],
      when: connected(C1, 1),
      then: [{ type: 'join', connection: C1 }],
    },
    {
      name: 'proxy W19, W29: a refusing backend is reported, and the next one tried',
      given: [backends(1, 'AB'), accepted(C1)],
      when: refused(C1, 1),
      then: [FAILED_A, connectCommand(C1, 2, 'B')],
    },
    {
      name: 'proxy W29: a backend that does not answer in time is given up for the next one',
      given: [backends(1, 'AB'), accepted(C1)],
      when: at(CONFIG.connectTimeoutMs, TICK),
      then: [
        { type: 'abandon-upstream', connection: C1, attempt: 1 },
        { type: 'backend-failed', backend: 'A', reason: 'no connection within 2000 ms' },
        connectCommand(C1, 2, 'B'),
      ],
    },
    {
      name: 'each backend is tried once; when all were, the client is closed',
      given: [backends(1, 'AB'), accepted(C1), refused(C1, 1)],
      when: refused(C1, 2),
      then: [FAILED_B, closeCommand(C1, 'connect-failed')],
    },
    {
      name: 'attempts are counted: after the third no further backend is tried',
      given: [backends(1, 'ABCD'), accepted(C1), refused(C1, 1), refused(C1, 2)],
      when: refused(C1, 3),
      then: [{ ...FAILED_A, backend: 'C' }, closeCommand(C1, 'connect-failed')],
    },
    {
      name: 'a backend that joined the set since is tried too',
      given: [backends(1, 'A'), accepted(C1), backends(2, 'AB')],
      when: refused(C1, 1),
      then: [FAILED_A, connectCommand(C1, 2, 'B')],
    },
    {
      name: 'when this machine is out of descriptors, no backend is blamed and none is tried',
      given: [backends(1, 'AB'), accepted(C1)],
      when: refused(C1, 1, 'host'),
      then: [closeCommand(C1, 'host-limit')],
    },
    {
      name: 'a client that breaks while its upstream connects is closed',
      given: [backends(1, 'AB'), accepted(C1)],
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset')],
    },
    {
      name: 'failures of one backend are reported at most once a second',
      given: [backends(1, 'AB'), accepted(C1), refused(C1, 1), accepted(C2)],
      when: at(999, refused(C2, 3)),
      then: [connectCommand(C2, 4, 'B')],
    },
    {
      name: 'and again after that second',
      given: [backends(1, 'AB'), accepted(C1), refused(C1, 1), accepted(C2)],
      when: at(1000, refused(C2, 3)),
      then: [FAILED_A, connectCommand(C2, 4, 'B')],
    },
  ])
})

// Goes red when `awaiting` stops to compare the attempt.
describe('late answers', () => {
  const GAVE_UP_A = [backends(1, 'AB'), accepted(C1), at(2000, TICK)]
  testRows([
    {
      name: 'a success after its attempt was given up is released, not used',
      given: GAVE_UP_A,
      when: connected(C1, 1),
      then: [{ type: 'abandon-upstream', connection: C1, attempt: 1 }],
    },
    {
      name: 'a success after another attempt succeeded is released, not used',
      given: [...GAVE_UP_A, connected(C1, 2)],
      when: connected(C1, 1),
      then: [{ type: 'abandon-upstream', connection: C1, attempt: 1 }],
    },
    {
      name: 'a failure after its attempt was given up changes nothing',
      given: GAVE_UP_A,
      when: refused(C1, 1),
      then: [],
    },
    {
      name: 'a success for a connection that is closed is released',
      given: [backends(1, 'A'), accepted(C1), side('errored', C1, 'client')],
      when: connected(C1, 1),
      then: [{ type: 'abandon-upstream', connection: C1, attempt: 1 }],
    },
    {
      name: 'the current attempt still counts after a stale answer',
      given: [...GAVE_UP_A, connected(C1, 1)],
      when: connected(C1, 2),
      then: [{ type: 'join', connection: C1 }],
    },
    {
      name: 'data of a closed connection goes nowhere',
      given: [...JOINED, side('errored', C1, 'client')],
      when: data(C1, 'upstream', 'late'),
      then: [],
    },
  ])
})

describe('joined', () => {
  testRows([
    {
      name: 'what the client sends goes to the upstream',
      given: JOINED,
      when: data(C1, 'client', 'query'),
      then: [{ type: 'write', connection: C1, to: 'upstream', bytes: bytes('query') }],
    },
    {
      name: 'what the upstream sends goes to the client',
      given: JOINED,
      when: data(C1, 'upstream', 'answer'),
      then: [{ type: 'write', connection: C1, to: 'client', bytes: bytes('answer') }],
    },
    {
      name: 'a client that reads too slowly pauses its upstream',
      given: JOINED,
      when: side('blocked', C1, 'client'),
      then: [{ type: 'pause', connection: C1, side: 'upstream' }],
    },
    {
      name: 'a second block says nothing new',
      given: [...JOINED, side('blocked', C1, 'client')],
      when: side('blocked', C1, 'client'),
      then: [],
    },
    {
      name: 'and goes on when the client took it all',
      given: [...JOINED, side('blocked', C1, 'client')],
      when: side('writable', C1, 'client'),
      then: [{ type: 'resume', connection: C1, side: 'upstream' }],
    },
    {
      name: 'an upstream that reads too slowly pauses its client',
      given: JOINED,
      when: side('blocked', C1, 'upstream'),
      then: [{ type: 'pause', connection: C1, side: 'client' }],
    },
    {
      name: 'writable without blocked resumes nothing',
      given: JOINED,
      when: side('writable', C1, 'client'),
      then: [],
    },
    {
      name: 'data that was under way when its side was paused is delivered',
      given: [...JOINED, side('blocked', C1, 'client')],
      when: data(C1, 'upstream', 'more'),
      then: [{ type: 'write', connection: C1, to: 'client', bytes: bytes('more') }],
    },
  ])
})

describe('the end', () => {
  const BOTH_ENDED = [...JOINED, ended(C1, 'client'), ended(C1, 'upstream')]
  testRows([
    {
      name: 'the end of what the client sends is passed on, and only that',
      given: JOINED,
      when: ended(C1, 'client'),
      then: [{ type: 'end', connection: C1, to: 'upstream' }],
    },
    {
      name: 'the upstream still answers a client that ended',
      given: [...JOINED, ended(C1, 'client'), side('finished', C1, 'upstream')],
      when: data(C1, 'upstream', 'answer'),
      then: [{ type: 'write', connection: C1, to: 'client', bytes: bytes('answer') }],
    },
    {
      name: 'the client still sends to an upstream that ended',
      given: [...JOINED, ended(C1, 'upstream'), side('finished', C1, 'client')],
      when: data(C1, 'client', 'more'),
      then: [{ type: 'write', connection: C1, to: 'upstream', bytes: bytes('more') }],
    },
    {
      name: 'an end behind bytes that wait is passed on without a resume',
      given: [...JOINED, side('blocked', C1, 'client'), ended(C1, 'upstream')],
      when: side('writable', C1, 'client'),
      then: [],
    },
    {
      name: 'both ends alone do not close: the rest is still being delivered',
      given: [...JOINED, ended(C1, 'client')],
      when: ended(C1, 'upstream'),
      then: [{ type: 'end', connection: C1, to: 'client' }],
    },
    {
      name: 'one side delivered: the other not yet',
      given: BOTH_ENDED,
      when: side('finished', C1, 'client'),
      then: [],
    },
    {
      name: 'a side that broke has nothing delivered any more, whatever is said of it',
      given: [...JOINED, ended(C1, 'upstream'), ended(C1, 'client'), side('errored', C1, 'client')],
      when: side('finished', C1, 'client'),
      then: [],
    },
    {
      name: 'closed when both directions are delivered',
      given: [...BOTH_ENDED, side('finished', C1, 'client')],
      when: side('finished', C1, 'upstream'),
      then: [closeCommand(C1, 'done', 'end')],
    },
    {
      name: 'a client that breaks resets its upstream',
      given: JOINED,
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset')],
    },
    {
      name: 'an upstream that breaks resets its client',
      given: JOINED,
      when: side('errored', C1, 'upstream'),
      then: [closeCommand(C1, 'upstream-reset')],
    },
    {
      name: 'an upstream that ended and then breaks lets its answer be delivered',
      given: [...JOINED, ended(C1, 'upstream')],
      when: side('errored', C1, 'upstream'),
      then: [{ type: 'pause', connection: C1, side: 'client' }],
    },
    {
      name: 'a client that was paused before is not paused twice',
      given: [...JOINED, side('blocked', C1, 'upstream'), ended(C1, 'upstream')],
      when: side('errored', C1, 'upstream'),
      then: [],
    },
    {
      name: 'closed without a reset when that answer is delivered',
      given: [...JOINED, ended(C1, 'upstream'), side('errored', C1, 'upstream')],
      when: side('finished', C1, 'client'),
      then: [closeCommand(C1, 'upstream-reset', 'end')],
    },
    {
      name: 'what the client still sends to it is dropped',
      given: [...JOINED, ended(C1, 'upstream'), side('errored', C1, 'upstream')],
      when: data(C1, 'client', 'more'),
      then: [],
    },
    {
      name: 'as is its end',
      given: [...JOINED, ended(C1, 'upstream'), side('errored', C1, 'upstream')],
      when: ended(C1, 'client'),
      then: [],
    },
    {
      name: 'an upstream that breaks after its answer was delivered ends the client in order',
      given: [...JOINED, ended(C1, 'upstream'), side('finished', C1, 'client')],
      when: side('errored', C1, 'upstream'),
      then: [closeCommand(C1, 'upstream-reset', 'end')],
    },
  ])

  test('data of a side that ended is a bug of the shell', () => {
    const listener = listenerAfter([...JOINED, ended(C1, 'client')])
    expect(() => run(listener, data(C1, 'client', 'more'))).toThrow('no data comes from')
  })

  test('data before the join is a bug of the shell', () => {
    const listener = listenerAfter([backends(1, 'A'), accepted(C1)])
    expect(() => run(listener, data(C1, 'client', 'early'))).toThrow('no data comes from')
  })

  test('a connection number used twice is a bug of the shell', () => {
    const listener = listenerAfter([backends(1, 'A'), accepted(C1)])
    expect(() => run(listener, accepted(C1))).toThrow('used once')
  })
})

describe('proxy W29: idle connections end', () => {
  const IDLE_MS = CONFIG.idleTimeoutMs
  testRows([
    {
      name: 'without a byte for the idle time, in order',
      given: JOINED,
      when: at(IDLE_MS, TICK),
      then: [closeCommand(C1, 'idle', 'end')],
    },
    { name: 'not a moment earlier', given: JOINED, when: at(IDLE_MS - 1, TICK), then: [] },
    {
      name: 'a byte either way counts anew',
      given: [...JOINED, at(10, data(C1, 'upstream', 'x'))],
      when: at(IDLE_MS + 9, TICK),
      then: [],
    },
    {
      name: 'so does a slow reader that took what waited',
      given: [...JOINED, side('blocked', C1, 'client'), at(10, side('writable', C1, 'client'))],
      when: at(IDLE_MS + 9, TICK),
      then: [],
    },
    {
      name: 'so does an end',
      given: [...JOINED, at(10, ended(C1, 'client'))],
      when: at(IDLE_MS + 9, TICK),
      then: [],
    },
    {
      name: 'a half-closed connection is no exception',
      given: [...JOINED, at(5, ended(C1, 'client'))],
      when: at(IDLE_MS + 5, TICK),
      then: [closeCommand(C1, 'idle', 'end')],
    },
  ])

  test('an idle time of 0 is no limit', () => {
    const listener = listenerAfter(JOINED, { ...CONFIG, idleTimeoutMs: 0 })
    expect(listener.deadline()).toBeUndefined()
  })

  test('the deadline is the attempt, then the idleness, then nothing', () => {
    const listener = listenerAfter([backends(1, 'A')])
    expect(listener.deadline()).toBeUndefined()
    run(listener, at(100, accepted(C1)))
    expect(listener.deadline()).toBe(2100)
    run(listener, at(200, connected(C1, 1)))
    expect(listener.deadline()).toBe(60_200)
    run(listener, at(300, side('errored', C1, 'client')))
    expect(listener.deadline()).toBeUndefined()
  })
})
