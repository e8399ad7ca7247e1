import { describe, expect, test } from 'vitest'
import type { StreamListenerCommand } from '../../../core/stream/commands.ts'
import type { ConnectionId, StreamListenerEvent } from '../../../core/stream/events.ts'
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
  listenerAfter,
  refused,
  run,
  type Step,
  side,
  TICK,
  testRows,
} from './rows.ts'

const applied = (version: number): StreamListenerCommand => ({ type: 'backends-applied', version })
const drained = (id: string, version: number): StreamListenerCommand => ({
  type: 'backend-drained',
  backend: id,
  version,
})
const hold = (connection: ConnectionId): StreamListenerCommand => ({ type: 'hold', connection })
const WANTED: StreamListenerCommand = { type: 'wanted' }
const IDLE: StreamListenerCommand = { type: 'idle' }
const BUSY: StreamListenerCommand = { type: 'busy' }

const ASLEEP = backends(1, '', 'hold')
const HELD: readonly Step[] = [ASLEEP, accepted(C1), accepted(C2)]

describe('proxy W47: who comes while there is no backend waits for one', () => {
  testRows([
    {
      name: 'it is held, unread, and that is said',
      given: [ASLEEP],
      when: accepted(C1),
      then: [hold(C1), WANTED],
    },
    {
      name: 'the next one waits as well, and nothing is said again',
      given: [ASLEEP, accepted(C1)],
      when: accepted(C2),
      then: [hold(C2)],
    },
    {
      name: 'with a backend all go on, in the order they came',
      given: HELD,
      when: backends(2, 'A', 'hold'),
      then: [applied(2), connectCommand(C1, 1, 'A'), connectCommand(C2, 2, 'A')],
    },
    {
      name: 'when none is to come all are refused',
      given: HELD,
      when: backends(2, ''),
      then: [applied(2), closeCommand(C1, 'hold-refused'), closeCommand(C2, 'hold-refused')],
    },
    {
      name: 'another set without a backend keeps them, and hears that they wait',
      given: HELD,
      when: backends(2, '', 'hold'),
      then: [applied(2), WANTED],
    },
    {
      name: 'an older set changes nothing',
      given: [backends(3, '', 'hold'), accepted(C1)],
      when: backends(2, 'A'),
      then: [applied(3)],
    },
    {
      name: 'after they went on, who comes next is wanted anew',
      given: [...HELD, backends(2, 'A'), backends(3, '', 'hold')],
      when: accepted(C3),
      then: [hold(C3), WANTED],
    },
    {
      name: 'a set that says nothing of the kind holds nobody',
      given: [backends(1, '', 'hold'), backends(2, '')],
      when: accepted(C1),
      then: [closeCommand(C1, 'no-backend')],
    },
    {
      name: 'one whose backend left before it was connected waits for the next one',
      given: [backends(1, 'A'), accepted(C1), backends(2, '', 'hold')],
      when: refused(C1, 1),
      then: [
        { type: 'backend-failed', backend: 'A', reason: 'connection refused' },
        drained('A', 2),
        hold(C1),
        WANTED,
      ],
    },
    {
      name: 'it does so too when its backend is cut',
      given: [backends(1, 'A'), accepted(C1), backends(2, '', 'hold')],
      when: { type: 'cut-backend', backend: 'A' },
      then: [
        { type: 'abandon-upstream', connection: C1, attempt: 1 },
        drained('A', 2),
        hold(C1),
        WANTED,
      ],
    },
    {
      name: 'nor does one that waited try a backend twice',
      given: [backends(1, 'A'), accepted(C1), backends(2, '', 'hold'), refused(C1, 1)],
      when: backends(3, 'A', 'hold'),
      then: [applied(3), closeCommand(C1, 'connect-failed')],
    },
    {
      name: 'with backends that fail there is nothing to wait for',
      given: [backends(1, 'A', 'hold'), accepted(C1)],
      when: refused(C1, 1),
      then: [
        { type: 'backend-failed', backend: 'A', reason: 'connection refused' },
        closeCommand(C1, 'connect-failed'),
      ],
    },
    {
      name: 'a client that leaves waits no more',
      given: HELD,
      when: side('errored', C1, 'client'),
      then: [closeCommand(C1, 'client-reset')],
    },
    {
      name: 'and is not connected later',
      given: [...HELD, side('errored', C1, 'client')],
      when: backends(2, 'A'),
      then: [applied(2), connectCommand(C2, 1, 'A')],
    },
    {
      name: 'a listener that is closed holds nobody any more',
      given: HELD,
      when: { type: 'close' },
      then: [
        closeCommand(C1, 'hold-refused'),
        closeCommand(C2, 'hold-refused'),
        { type: 'emptied' },
      ],
    },
    {
      name: 'nor does it hold one whose backend fails then',
      given: [backends(1, 'A'), accepted(C1), { type: 'close' }, backends(2, '', 'hold')],
      when: refused(C1, 1),
      then: [
        { type: 'backend-failed', backend: 'A', reason: 'connection refused' },
        drained('A', 2),
        closeCommand(C1, 'connect-failed'),
        { type: 'emptied' },
      ],
    },
    {
      name: 'an abort ends them as all others',
      given: HELD,
      when: { type: 'abort-all' },
      then: [closeCommand(C1, 'aborted'), closeCommand(C2, 'aborted'), { type: 'emptied' }],
    },
    {
      name: 'its time is over',
      given: [ASLEEP, at(1_000, accepted(C1))],
      when: at(6_000, TICK),
      then: [closeCommand(C1, 'hold-timeout')],
    },
    {
      name: 'not a moment before',
      given: [ASLEEP, at(1_000, accepted(C1))],
      when: at(5_999, TICK),
      then: [],
    },
    {
      name: 'who went on has the time of an attempt, and no other',
      given: [ASLEEP, accepted(C1), at(4_000, backends(2, 'A'))],
      when: at(5_999, TICK),
      then: [],
    },
  ])

  test('backends that are all down are no backends where that is failing closed', () => {
    const down: StreamListenerEvent = {
      type: 'apply-backends',
      version: 1,
      backends: [{ ...backend('A'), down: true }],
      whenEmpty: 'hold',
    }
    const listener = listenerAfter([down], CONFIG, { failOpen: false })
    expect(run(listener, accepted(C1))).toEqual([hold(C1), WANTED])
    expect(run(listener, { type: 'rebalance', balance: { failOpen: true } })).toEqual([
      connectCommand(C1, 1, 'A'),
    ])
  })

  test('proxy W48: however many wait, it is wanted once, and once more when they still do', () => {
    const listener = listenerAfter([ASLEEP], { ...CONFIG, heldMax: 100 })
    const said: StreamListenerCommand[] = []
    for (let id = 1; id <= 100; id++) run(listener, accepted(id as ConnectionId), said)
    expect(said.filter(({ type }) => type === 'wanted')).toHaveLength(1)
    expect(run(listener, backends(2, '', 'hold'))).toEqual([applied(2), WANTED])
  })

  test('as many wait as may, and who comes then is refused', () => {
    const listener = listenerAfter([...HELD, accepted(C3)])
    const [C4, C5] = [4 as ConnectionId, 5 as ConnectionId]
    expect(run(listener, accepted(C4))).toEqual([closeCommand(C4, 'held-max')])
    expect(listener.heldConnections).toBe(3)
    run(listener, side('errored', C1, 'client'))
    expect(run(listener, accepted(C5))).toEqual([hold(C5)])
    expect(listener.counters.refused['held-max']).toBe(1)
    expect(listener.counters.held).toBe(4)
  })

  test('who is not to wait is refused, and wanted all the same', () => {
    const listener = listenerAfter([ASLEEP], { ...CONFIG, holdTimeoutMs: 0 })
    expect(run(listener, accepted(C1))).toEqual([closeCommand(C1, 'no-backend'), WANTED])
    expect(run(listener, accepted(C2))).toEqual([closeCommand(C2, 'no-backend')])
    expect(run(listener, backends(2, '', 'hold'))).toEqual([applied(2)])
    expect(run(listener, accepted(C3))).toEqual([closeCommand(C3, 'no-backend'), WANTED])
  })

  test('nor does one wait that lost its backend', () => {
    const given = [backends(1, 'A'), accepted(C1), backends(2, '', 'hold')]
    const listener = listenerAfter(given, { ...CONFIG, holdTimeoutMs: 0 })
    expect(run(listener, refused(C1, 1)).at(-1)).toEqual(closeCommand(C1, 'connect-failed'))
  })

  test('nor does it matter that nobody may', () => {
    const listener = listenerAfter([ASLEEP], { ...CONFIG, heldMax: 0 })
    expect(run(listener, accepted(C1))).toEqual([closeCommand(C1, 'held-max'), WANTED])
  })

  test('the bound of all connections holds for those that wait', () => {
    const listener = listenerAfter(HELD, { ...CONFIG, connectionsMax: 2 })
    expect(run(listener, accepted(C3))).toEqual([closeCommand(C3, 'connections-max')])
  })

  test('a client that lost its backend waits only where there is room', () => {
    const given = [backends(1, 'A'), accepted(C1), backends(2, '', 'hold'), accepted(C2)]
    const listener = listenerAfter(given, { ...CONFIG, heldMax: 1 })
    const [, , last] = run(listener, refused(C1, 1))
    expect(last).toEqual(closeCommand(C1, 'connect-failed'))
  })

  test.each([
    ['go on', backends(2, 'A'), 'connect-upstream'],
    ['are refused', backends(2, ''), 'close'],
  ])('those that %s do so 1,024 at a time, the rest a millisecond later', (_, event, type) => {
    const COUNT = 2_500
    const config = { ...CONFIG, heldMax: COUNT, connectionsMax: COUNT }
    const listener = listenerAfter([ASLEEP], config)
    for (let id = 1; id <= COUNT; id++) listener.step(accepted(id as ConnectionId), 0, [])
    const count = (step: Step): number =>
      run(listener, step).filter((command) => command.type === type).length
    expect(count(at(10, event))).toBe(1024)
    expect(listener.deadline()).toBe(11)
    expect(count(at(10.5, TICK))).toBe(0)
    expect(count(at(11, TICK))).toBe(1024)
    expect(count(at(12, TICK))).toBe(COUNT - 2048)
    expect(listener.heldConnections).toBe(0)
  })

  test('a set that takes the backend away again keeps those that did not go on yet', () => {
    const COUNT = 1_500
    const config = { ...CONFIG, heldMax: COUNT, connectionsMax: COUNT }
    const listener = listenerAfter([ASLEEP], config)
    for (let id = 1; id <= COUNT; id++) listener.step(accepted(id as ConnectionId), 0, [])
    run(listener, at(10, backends(2, 'A')))
    expect(run(listener, at(10, backends(3, '', 'hold')))).toEqual([applied(3), WANTED])
    expect(run(listener, at(11, TICK))).toEqual([])
    expect(listener.heldConnections).toBe(COUNT - 1024)
    expect(listener.deadline()).toBe(2_010) // of an attempt
  })
})

describe('a listener says when nothing goes through it', () => {
  const config = { ...CONFIG, idleAfterMs: 1_000 }

  test('after a time without use, once, and that it is used again', () => {
    const listener = listenerAfter([at(500, backends(1, 'A'))], config)
    expect(listener.deadline()).toBe(1_500)
    expect(run(listener, at(1_499, TICK))).toEqual([])
    expect(run(listener, at(1_500, TICK))).toEqual([IDLE])
    expect(listener.deadline()).toBeUndefined()
    expect(run(listener, at(9_000, TICK))).toEqual([])
    expect(run(listener, at(9_000, accepted(C1)))).toEqual([connectCommand(C1, 1, 'A'), BUSY])
    expect(run(listener, at(9_001, accepted(C2)))).toEqual([connectCommand(C2, 2, 'A')])
    run(listener, at(9_002, side('errored', C1, 'client')))
    run(listener, at(9_100, side('errored', C2, 'client')))
    expect(listener.deadline()).toBe(10_100)
    expect(run(listener, at(10_100, TICK))).toEqual([IDLE])
  })

  test('whoever is refused uses nothing', () => {
    const listener = listenerAfter([backends(1, '')], config)
    run(listener, at(1_000, TICK))
    expect(run(listener, at(1_001, accepted(C1)))).toEqual([closeCommand(C1, 'no-backend')])
  })

  test('whoever waits uses it', () => {
    const listener = listenerAfter([ASLEEP], config)
    expect(run(listener, at(1_000, TICK))).toEqual([IDLE])
    expect(run(listener, at(1_001, accepted(C1)))).toEqual([hold(C1), WANTED, BUSY])
    expect(listener.deadline()).toBe(6_001)
    expect(run(listener, at(6_001, TICK))).toEqual([closeCommand(C1, 'hold-timeout')])
    expect(run(listener, at(7_001, TICK))).toEqual([IDLE])
  })

  test('a connection that carries nothing is a use', () => {
    const given = [backends(1, 'A'), accepted(C1), connected(C1, 1)]
    const listener = listenerAfter(given, { ...config, idleTimeoutMs: 0 })
    expect(listener.deadline()).toBeUndefined()
  })

  test('from when it is to say so', () => {
    const listener = listenerAfter([backends(1, 'A')])
    expect(listener.deadline()).toBeUndefined()
    run(listener, at(5_000, { type: 'configure', config }))
    expect(listener.deadline()).toBe(6_000)
    run(listener, at(5_500, { type: 'configure', config: { ...config, idleAfterMs: 100 } }))
    expect(listener.deadline()).toBe(5_100)
    expect(run(listener, at(5_500, TICK))).toEqual([IDLE])
    run(listener, at(5_600, { type: 'configure', config: CONFIG }))
    expect(run(listener, at(5_700, accepted(C1)))).toEqual([connectCommand(C1, 1, 'A'), BUSY])
  })

  test('not when it is closed', () => {
    const listener = listenerAfter([backends(1, 'A'), { type: 'close' }], config)
    expect(listener.deadline()).toBeUndefined()
    expect(run(listener, at(1_000, TICK))).toEqual([])
  })
})
