/** How a flow counts requests and the answers it is owed (udp W6, W7). */
import { describe } from 'vitest'
import {
  ANSWERED,
  answer,
  at,
  backends,
  C1,
  closed,
  configure,
  down,
  F1,
  F2,
  flow,
  OPEN,
  openCommand,
  opened,
  query,
  type Step,
  TICK,
  testRows,
  up,
} from '../rows.ts'

const OPENING: readonly Step[] = [backends(1, 'A'), query(C1, 'q1')]

describe('requests', () => {
  const ONE = { requests: 1 }
  const TWO = { requests: 2 }
  testRows([
    {
      name: 'the first of one is forwarded',
      config: ONE,
      given: OPENING,
      when: opened(F1),
      then: [up(F1, 'q1')],
    },
    {
      name: 'the client then gets another flow for its next',
      config: ONE,
      given: [...OPENING, opened(F1)],
      when: query(C1, 'q2'),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'udp W7: the answer comes before the end',
      config: ONE,
      given: [...OPENING, opened(F1)],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'requests', { up: [1, 2], down: [1, 1] })],
    },
    {
      name: 'each answer finds its own flow',
      config: ONE,
      given: [...OPENING, opened(F1), query(C1, 'q2'), opened(F2)],
      when: answer(F2),
      then: [down(F2, C1), closed(F2, 'requests', { up: [1, 2], down: [1, 1] })],
    },
    {
      name: 'the end of the earlier flow leaves the later one alone',
      config: TWO,
      given: [...OPENING, opened(F1), query(C1), query(C1), opened(F2), answer(F1), answer(F1)],
      when: query(C1, 'q4'),
      then: [up(F2, 'q4')],
    },
    {
      name: 'the second of two is forwarded',
      config: TWO,
      given: [...OPENING, opened(F1)],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'the third of two is for another flow',
      config: TWO,
      given: [...OPENING, opened(F1), query(C1, 'q2')],
      when: query(C1, 'q3'),
      then: [openCommand(F2, 'A')],
    },
    {
      name: 'the first answer to two requests is not the end',
      config: TWO,
      given: [...OPENING, opened(F1), query(C1, 'q2')],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'the second is',
      config: TWO,
      given: [...OPENING, opened(F1), query(C1, 'q2'), answer(F1)],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'requests', { up: [2, 4], down: [2, 2] })],
    },
    {
      name: 'an answer before the last request does not count for it',
      config: TWO,
      given: [...OPENING, opened(F1), answer(F1), answer(F1), answer(F1), query(C1, 'q2')],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'requests', { up: [2, 4], down: [4, 4] })],
    },
    {
      name: 'how many is what was said at admission',
      config: TWO,
      given: [...OPENING, opened(F1), configure({ requests: 1 })],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'with several answers to each, all are waited for',
      config: { requests: 1, responses: 2 },
      given: [...OPENING, opened(F1)],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'and the last is the end',
      config: { requests: 1, responses: 2 },
      given: [...OPENING, opened(F1), answer(F1)],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'requests', { up: [1, 2], down: [2, 2] })],
    },
    {
      name: 'a flow that takes no more ends too when nothing comes',
      config: ONE,
      given: [...OPENING, opened(F1)],
      when: at(5008, TICK),
      then: [closed(F1, 'half-open', { up: [1, 2], ms: 5008 })],
    },
  ])
})

describe('responses', () => {
  const ONE = { responses: 1 }
  testRows([
    {
      name: 'the answer to the only request is the end',
      config: ONE,
      given: OPEN,
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'responses', { up: [1, 1], down: [1, 1] })],
    },
    {
      name: 'udp W6: of two requests from one socket, the first answer is not the end',
      config: ONE,
      given: [...OPEN, query(C1, 'AAAA')],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'udp W6: the second is',
      config: ONE,
      given: [...OPEN, query(C1, 'AAAA'), answer(F1)],
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'responses', { up: [2, 5], down: [2, 2] })],
    },
    {
      name: 'two answers to each request',
      config: { responses: 2 },
      given: OPEN,
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'the second is the end',
      config: { responses: 2 },
      given: ANSWERED,
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'responses', { up: [1, 1], down: [2, 2] })],
    },
    {
      name: 'as many as may be said: it is not the end',
      config: { responses: 2 ** 32 - 1 },
      given: [...OPEN, query(C1)],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'with requests said too, an open flow with all its answers ends all the same',
      config: { responses: 1, requests: 2 },
      given: OPEN,
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'responses', { up: [1, 1], down: [1, 1] })],
    },
    {
      name: 'of both, requests is the reason when no more are taken',
      config: { responses: 1, requests: 1 },
      given: OPEN,
      when: answer(F1),
      then: [down(F1, C1), closed(F1, 'requests', { up: [1, 1], down: [1, 1] })],
    },
    {
      name: 'unknown how many: no answer is the end',
      given: ANSWERED,
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'how many is what was said at admission',
      given: [...OPEN, configure({ responses: 1 })],
      when: answer(F1),
      then: [down(F1, C1)],
    },
    {
      name: 'its client is a new one then',
      config: ONE,
      given: ANSWERED,
      when: query(C1),
      then: [openCommand(flow(0, 2), 'A')],
    },
  ])
})
