import { describe, expect, test } from 'vitest'
import {
  bind,
  bound,
  claim,
  claimed,
  claims,
  conflict,
  fact,
  ledgerAfter,
  plainRoute,
  refused,
  testRows,
  tlsRoute,
  unbind,
} from '../rows.ts'

describe('tenants share a port', () => {
  const A = claims('A', claim('0.0.0.0', 443, tlsRoute('a.example')))

  testRows([
    {
      name: 'with another name, on one socket',
      given: [A, bound(1)],
      when: claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))),
      then: [claimed('B'), fact('carries', 1)],
    },
    {
      name: 'not with the same name',
      given: [A],
      when: claims('B', claim('0.0.0.0', 443, tlsRoute('a.example'))),
      then: [refused('B', conflict('0.0.0.0', 443, 'A', 'B', { route: 'a.example' }))],
    },
    {
      name: 'not TLS with plain',
      given: [A],
      when: claims('B', claim('0.0.0.0', 443, plainRoute('b.example'))),
      then: [refused('B', conflict('0.0.0.0', 443, 'A', 'B'))],
    },
    {
      name: 'proxy W4: not on other terms: who may come in is settled before anybody is asked for',
      given: [A],
      when: claims(
        'B',
        claim('0.0.0.0', 443, { tenancy: { tls: true, route: 'b.example', terms: 'internal' } }),
      ),
      then: [refused('B', conflict('0.0.0.0', 443, 'A', 'B'))],
    },
    {
      name: 'the terms of the last one are those of the next',
      given: [A, bound(1)],
      when: claims(
        'A',
        claim('0.0.0.0', 443, { tenancy: { tls: true, route: 'a.example', terms: 'internal' } }),
      ),
      then: [claimed('A'), fact('carries', 1)],
    },
    {
      name: 'not with whoever wants it alone',
      given: [A],
      when: claims('B', claim('0.0.0.0', 443)),
      then: [refused('B', conflict('0.0.0.0', 443, 'A', 'B'))],
    },
    {
      name: 'not when the other one has it alone',
      given: [claims('A', claim('0.0.0.0', 443))],
      when: claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))),
      then: [refused('B', conflict('0.0.0.0', 443, 'A', 'B'))],
    },
    {
      name: 'the same name on two addresses is two routes',
      given: [claims('A', claim('10.0.0.1', 443, tlsRoute('a.example')))],
      when: claims('B', claim('10.0.0.2', 443, tlsRoute('a.example'))),
      then: [claimed('B'), bind(2, '10.0.0.2', 443)],
    },
    {
      name: 'one that leaves takes its route along, and the socket stays',
      given: [A, claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))), bound(1)],
      when: claims('A'),
      then: [claimed('A'), fact('carries', 1)],
    },
    {
      name: 'the last one that leaves closes the socket',
      given: [A, claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))), bound(1), claims('A')],
      when: claims('B'),
      then: [claimed('B'), unbind(1)],
    },
    {
      name: 'a tenant that covers the others takes over; they wait with it',
      given: [
        claims('A', claim('10.0.0.1', 443, tlsRoute('a.example'))),
        bound(1),
        claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))),
      ],
      when: claims('C', claim('10.0.0.1', 443, tlsRoute('c.example'))),
      then: [claimed('C')],
    },
    {
      name: 'nobody becomes the tenant of a port that is being given up',
      given: [A, bound(1), claims('A')],
      when: claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))),
      then: [refused('B', conflict('0.0.0.0', 443, 'A', 'B', { isLeaving: true }))],
    },
    {
      name: 'another route of one’s own is no other socket',
      given: [A, bound(1)],
      when: claims('A', claim('0.0.0.0', 443, tlsRoute('other.example'))),
      then: [claimed('A'), fact('carries', 1)],
    },
    {
      name: 'a route is free for others as soon as its tenant gave it up',
      given: [A, claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))), bound(1), claims('A')],
      when: claims('C', claim('0.0.0.0', 443, tlsRoute('a.example'))),
      then: [claimed('C'), fact('carries', 1)],
    },
  ])

  test('the socket tells what it carries: its own address first, then by age', () => {
    const ledger = ledgerAfter([
      claims('A', claim('10.0.0.1', 443, tlsRoute('a.example'))),
      claims('B', claim('0.0.0.0', 443, tlsRoute('b.example'))),
      claims('C', claim('0.0.0.0', 443, tlsRoute('c.example'))),
    ])
    const [, socket] = ledger.sockets()
    expect(socket?.carries.map(({ owner }) => owner)).toEqual(['B', 'C', 'A'])
  })
})
