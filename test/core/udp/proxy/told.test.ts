/** Backends are told who the client is. */
import { describe } from 'vitest'
import { proxyHeader } from '../../../../core/net/proxy-v2.ts'
import {
  address,
  answer,
  backends,
  C1,
  C6,
  configure,
  F1,
  F2,
  failed,
  opened,
  query,
  type Step,
  testRows,
  up,
} from '../rows.ts'

const FIRST = { proxyProtocol: 'first' } as const
const EVERY = { proxyProtocol: 'every' } as const
const HEADER = new Uint8Array(
  Buffer.from('0d0a0d0a000d0a515549540a2112000cc0000201c633640103e90035', 'hex'),
)
const OPENING: readonly Step[] = [backends(1, 'A'), query(C1)]

describe('a header for backends', () => {
  testRows([
    {
      name: 'the first datagram has one: the client, and the address it contacted',
      config: FIRST,
      given: OPENING,
      when: opened(F1),
      then: [up(F1, 'q', { header: HEADER })],
    },
    {
      name: 'only the first',
      config: FIRST,
      given: [...OPENING, query(C1, 'q2')],
      when: opened(F1),
      then: [up(F1, 'q', { header: HEADER }), up(F1, 'q2')],
    },
    {
      name: 'not the second, later',
      config: FIRST,
      given: [...OPENING, opened(F1)],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2')],
    },
    {
      name: 'the first to each backend',
      config: FIRST,
      given: [backends(1, 'AB'), query(C1), opened(F1), failed(F1), query(C1)],
      when: opened(F1, 2),
      then: [up(F1, 'q', { attempt: 2, header: HEADER })],
    },
    {
      name: 'the one that was never sent is still due',
      config: { ...FIRST, heldBytesMax: 0 },
      given: [...OPENING, opened(F1), configure({})],
      when: query(C1),
      then: [up(F1, 'q', { header: HEADER })],
    },
    {
      name: 'an empty datagram has one too',
      config: FIRST,
      given: [backends(1, 'A'), query(C1, '')],
      when: opened(F1),
      then: [up(F1, '', { header: HEADER })],
    },
    {
      name: 'every datagram',
      config: EVERY,
      given: [...OPENING, query(C1, 'q2')],
      when: opened(F1),
      then: [up(F1, 'q', { header: HEADER }), up(F1, 'q2', { header: HEADER })],
    },
    {
      name: 'every later one too',
      config: EVERY,
      given: [...OPENING, opened(F1), answer(F1)],
      when: query(C1, 'q2'),
      then: [up(F1, 'q2', { header: HEADER })],
    },
    { name: 'none', config: {}, given: OPENING, when: opened(F1), then: [up(F1)] },
    {
      name: 'as was said at admission: none',
      given: [...OPENING, configure(EVERY)],
      when: opened(F1),
      then: [up(F1)],
    },
    {
      name: 'as was said at admission: every',
      config: EVERY,
      given: [...OPENING, opened(F1), configure({})],
      when: query(C1),
      then: [up(F1, 'q', { header: HEADER })],
    },
    {
      name: 'of IPv6, both ways',
      config: FIRST,
      given: [backends(1, 'A'), query(C6, 'q', address('[2001:db8::53]:53'))],
      when: opened(F1),
      then: [
        up(F1, 'q', {
          header: new Uint8Array(
            Buffer.from(
              '0d0a0d0a000d0a515549540a21220024' +
                '20010db8000000000000000000000001' +
                '20010db8000000000000000000000053' +
                '03e90035',
              'hex',
            ),
          ),
        }),
      ],
    },
    {
      name: 'the address contacted is the one of this flow',
      config: FIRST,
      given: [backends(1, 'A'), query(C1), query(C1, 'q', address('203.0.113.9:530'))],
      when: opened(F2),
      then: [up(F2, 'q', { header: proxyHeader(C1, address('203.0.113.9:530'), 'dgram') })],
    },
  ])
})
