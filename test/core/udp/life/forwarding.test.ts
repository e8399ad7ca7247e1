/** What a flow holds, forwards and returns. */
import { describe, expect, test } from 'vitest'
import {
  ANSWERED,
  abortFlow,
  address,
  answer,
  backends,
  benchAfter,
  C1,
  C2,
  configure,
  down,
  F1,
  F2,
  LOCAL,
  OPEN,
  openCommand,
  opened,
  query,
  type Step,
  testRows,
  up,
} from '../rows.ts'

const OPENING: readonly Step[] = [backends(1, 'A'), query(C1, 'q1')]

describe('held until the socket opens', () => {
  testRows([
    { name: 'a further datagram', given: OPENING, when: query(C1, 'q2'), then: [] },
    {
      name: 'all of it is sent then, oldest first',
      given: [...OPENING, query(C1, 'q2'), query(C1, ''), query(C1, 'q4')],
      when: opened(F1),
      then: [up(F1, 'q1'), up(F1, 'q2'), up(F1, ''), up(F1, 'q4')],
    },
    {
      name: 'and only once',
      given: [...OPENING, opened(F1)],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'eight datagrams, when nothing else is said',
      given: [...OPENING, ...[2, 3, 4, 5, 6, 7, 8].map((n) => query(C1, `q${n}`))],
      when: opened(F1),
      then: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => up(F1, `q${n}`)),
    },
    {
      name: 'udp W14: the ninth takes the place of the first, and that is counted',
      given: [...OPENING, ...[2, 3, 4, 5, 6, 7, 8].map((n) => query(C1, `q${n}`))],
      when: query(C1, 'q9'),
      then: [],
      drops: { 'held-overflow': 1 },
    },
    {
      name: 'the newest are sent',
      config: { heldDatagramsMax: 2 },
      given: [...OPENING, query(C1, 'q2'), query(C1, 'q3')],
      when: opened(F1),
      then: [up(F1, 'q2'), up(F1, 'q3')],
    },
    {
      name: 'a flow holds as many as its own configuration says',
      config: { heldDatagramsMax: 2 },
      given: [...OPENING, query(C1, 'q2'), configure({ heldDatagramsMax: 5 })],
      when: query(C1, 'q3'),
      then: [],
      drops: { 'held-overflow': 1 },
    },
  ])
})

describe('bytes held by all flows', () => {
  const TEN = { heldBytesMax: 10 }
  const BOTH = [backends(1, 'A'), query(C1, '123456'), query(C2, '1234')]
  testRows([
    {
      name: 'as many as may be',
      config: TEN,
      given: BOTH,
      when: opened(F2),
      then: [up(F2, '1234')],
    },
    {
      name: 'with one more, the oldest of its flow gives way',
      config: TEN,
      given: BOTH,
      when: query(C2, 'abc'),
      then: [],
      drops: { 'held-overflow': 1 },
    },
    {
      name: 'as many of the oldest as it takes, and no more',
      config: TEN,
      given: [
        backends(1, 'A'),
        query(C1, '12'),
        query(C1, '34'),
        query(C1, '567'),
        query(C1, '890'),
      ],
      when: query(C1, 'abcd'),
      then: [],
      drops: { 'held-overflow': 2 },
    },
    {
      name: 'the others are sent with the new one',
      config: TEN,
      given: [
        backends(1, 'A'),
        ...['12', '34', '567', '890', 'abcd'].map((payload) => query(C1, payload)),
      ],
      when: opened(F1),
      then: [up(F1, '567'), up(F1, '890'), up(F1, 'abcd')],
    },
    {
      name: 'never what another flow holds: the new one is dropped too when there is no room',
      config: TEN,
      given: BOTH,
      when: query(C2, '12345'),
      then: [],
      drops: { 'held-overflow': 2 },
    },
    {
      name: 'what the other flow holds is still there',
      config: TEN,
      given: [...BOTH, query(C2, '12345')],
      when: opened(F1),
      then: [up(F1, '123456')],
    },
    {
      name: 'nothing is left of the flow without room',
      config: TEN,
      given: [...BOTH, query(C2, '12345')],
      when: opened(F2),
      then: [],
    },
    {
      name: 'a new flow without room for its first datagram opens all the same',
      config: TEN,
      given: [backends(1, 'A'), query(C1, '123456')],
      when: query(C2, '12345'),
      then: [openCommand(F2, 'A')],
      drops: { 'held-overflow': 1 },
    },
    {
      name: 'an empty datagram needs no bytes',
      config: { heldBytesMax: 0 },
      given: [backends(1, 'A'), query(C1, '')],
      when: opened(F1),
      then: [up(F1, '')],
    },
    {
      name: 'room comes back when a flow sends what it held',
      config: TEN,
      given: [...BOTH, opened(F1)],
      when: query(C2, '123456'),
      then: [],
    },
    {
      name: 'and when a flow ends with what it held',
      config: TEN,
      given: [...BOTH, abortFlow(F1)],
      when: query(C2, '123456'),
      then: [],
    },
    {
      name: 'and when the oldest gave way',
      config: TEN,
      given: [...BOTH, query(C2, '123'), query(C2, '1')],
      when: opened(F2),
      then: [up(F2, '123'), up(F2, '1')],
    },
    {
      name: 'the limit that counts is the one of now',
      config: { heldBytesMax: 100 },
      given: [...BOTH, configure({ heldBytesMax: 12 })],
      when: query(C2, '123'),
      then: [],
      drops: { 'held-overflow': 1 },
    },
  ])

  test('a Buffer that was lent is copied too', () => {
    const bench = benchAfter([backends(1, 'A')])
    const lent = Buffer.from('mine')
    bench.table.step({ type: 'client-datagram', from: C1, to: LOCAL, payload: lent }, 0, [])
    lent.fill(0)
    expect(bench.run(opened(F1))).toEqual([up(F1, 'mine')])
  })

  test('what a flow loses with its end is counted', () => {
    const bench = benchAfter([...OPENING, query(C1, 'q2')])
    bench.run(abortFlow(F1))
    expect(bench.table.counters.dropped['held-lost']).toBe(2)
  })
})

describe('forwarded', () => {
  testRows([
    {
      name: 'what the client of an open flow sends',
      given: OPEN,
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    { name: 'also nothing at all', given: OPEN, when: query(C1, ''), then: [up(F1, '')] },
    {
      name: 'while draining too',
      given: [...OPEN, { type: 'drain' }],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'however many flows there are',
      config: { flowsMax: 2 },
      given: [...OPEN, configure({ flowsMax: 0 })],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
  ])
})

describe('returned', () => {
  testRows([
    { name: 'what the backend sends', given: OPEN, when: answer(F1), then: [down(F1, C1)] },
    {
      name: 'udp W32: also nothing at all',
      given: OPEN,
      when: answer(F1, ''),
      then: [down(F1, C1, '')],
    },
    {
      name: 'from the address the client contacted',
      given: [backends(1, 'A'), query(C1, 'q', address('198.51.100.2:53')), opened(F1)],
      when: answer(F1),
      then: [down(F1, C1, 'a', address('198.51.100.2:53'))],
    },
    {
      name: 'as often as it sends',
      given: [...ANSWERED, answer(F1), answer(F1)],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'before the client sent anything to this backend',
      config: { heldBytesMax: 0 },
      given: OPEN,
      when: answer(F1, 'hello'),
      then: [down(F1, C1, 'hello')],
    },
    {
      name: 'not what is longer than it may be',
      config: { datagramBytesMax: 4 },
      given: OPEN,
      when: answer(F1, '12345'),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'but what is as long as it may be',
      config: { datagramBytesMax: 4 },
      given: OPEN,
      when: answer(F1, '1234'),
      then: [down(F1, C1, '1234')],
    },
    {
      name: 'too long is too long, whoever it is for',
      config: { datagramBytesMax: 4 },
      when: answer(F1, '12345'),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'how long it may be is said for all flows at once',
      given: [...OPEN, configure({ datagramBytesMax: 4 })],
      when: answer(F1, '12345'),
      then: [],
      drops: { oversize: 1 },
    },
    {
      name: 'while draining too',
      given: [...OPEN, { type: 'drain' }],
      when: answer(F1),
      then: [down(F1, C1)],
    },
  ])
})
