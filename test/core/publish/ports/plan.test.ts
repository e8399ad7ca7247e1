import { describe, expect, test } from 'vitest'
import {
  bind,
  bound,
  claim,
  claimed,
  claims,
  fact,
  failed,
  ledgerAfter,
  publish,
  testRows,
  unbind,
  unbound,
  withdraw,
} from '../rows.ts'

describe('wider and narrower sockets of one owner', () => {
  const NARROW = claim('127.0.0.1', 80)
  const WIDE = claim('0.0.0.0', 80)
  testRows([
    {
      name: 'what a wider one covers rides on it',
      when: claims('A', NARROW, WIDE, claim('10.0.0.1', 80)),
      then: [claimed('A'), bind(1, '0.0.0.0', 80)],
    },
    {
      name: 'a wider one takes over when the narrower is closed',
      given: [claims('A', NARROW), bound(1)],
      when: claims('A', NARROW, WIDE),
      then: [claimed('A'), unbind(1)],
    },
    {
      name: 'it is bound then',
      given: [claims('A', NARROW), bound(1), claims('A', NARROW, WIDE)],
      when: unbound(1),
      then: [fact('freed', 1), bind(2, '0.0.0.0', 80)],
    },
    {
      name: 'it waits for every narrower one',
      given: [
        claims('A', NARROW, claim('10.0.0.1', 80)),
        bound(1),
        bound(2),
        claims('A', NARROW, WIDE),
      ],
      when: unbound(1),
      then: [fact('freed', 1)],
    },
    {
      name: 'it is bound at once where the narrower never was',
      given: [claims('A', NARROW), failed(1)],
      when: claims('A', NARROW, WIDE),
      then: [claimed('A'), fact('freed', 1), bind(2, '0.0.0.0', 80)],
    },
    {
      name: 'narrower ones take over when the wider is closed',
      given: [claims('A', NARROW, WIDE, claim('10.0.0.1', 80)), bound(1)],
      when: claims('A', NARROW, claim('10.0.0.1', 80)),
      then: [claimed('A'), unbind(1)],
    },
    {
      name: 'all of them at once',
      given: [
        claims('A', NARROW, WIDE, claim('10.0.0.1', 80)),
        bound(1),
        claims('A', NARROW, claim('10.0.0.1', 80)),
      ],
      when: unbound(1),
      then: [fact('freed', 1), bind(2, '127.0.0.1', 80), bind(3, '10.0.0.1', 80)],
    },
    {
      name: 'of another family nothing is touched',
      given: [claims('A', NARROW, claim('::1', 80)), bound(1), bound(2)],
      when: claims('A', NARROW, claim('::1', 80), claim('::', 80)),
      then: [claimed('A'), unbind(2)],
    },
    {
      name: ':: that takes IPv4 takes over both families',
      given: [claims('A', WIDE, claim('::', 80, { id: 'six' })), bound(1), bound(2)],
      when: claims('A', claim('::', 80, { isV6Only: false })),
      then: [claimed('A'), unbind(1), unbind(2)],
    },
    {
      name: 'what waited and is not wanted any more was never bound',
      given: [claims('A', NARROW), bound(1), claims('A', NARROW, WIDE)],
      when: claims('A', NARROW),
      then: [claimed('A'), fact('freed', 2)],
    },
    {
      name: 'and the narrower one, closed for it, comes back',
      given: [claims('A', NARROW), bound(1), claims('A', NARROW, WIDE), claims('A', NARROW)],
      when: unbound(1),
      then: [fact('freed', 1), bind(3, '127.0.0.1', 80)],
    },
    {
      name: 'a claim that joins or leaves a socket that stays is said',
      given: [claims('A', WIDE), bound(1)],
      when: claims('A', WIDE, NARROW),
      then: [claimed('A'), fact('carries', 1)],
    },
    {
      name: 'a published one leaves with its last backend, and the socket stays',
      given: [
        claims('A', WIDE, claim('127.0.0.1', 80, { bind: 'published' })),
        bound(1),
        publish('A', '127.0.0.1:80'),
      ],
      when: withdraw('A'),
      then: [fact('carries', 1)],
    },
    {
      name: 'a published one joins when it has a backend',
      given: [claims('A', WIDE, claim('127.0.0.1', 80, { bind: 'published' })), bound(1)],
      when: publish('A', '127.0.0.1:80'),
      then: [fact('carries', 1)],
    },
  ])
})

test('a socket tells what it carries: its own address, then wider before narrower, then by age', () => {
  const ledger = ledgerAfter([
    claims(
      'A',
      claim('10.0.0.1', 80),
      claim('127.0.0.1', 80),
      claim('::', 80, { id: 'six' }),
      claim('0.0.0.0', 80),
      claim('::', 80, { isV6Only: false }),
    ),
  ])
  expect(ledger.socketsOf('A').map(({ carries }) => carries.map((each) => each.claim.id))).toEqual([
    [':::80', 'six', '0.0.0.0:80', '10.0.0.1:80', '127.0.0.1:80'],
  ])
})
