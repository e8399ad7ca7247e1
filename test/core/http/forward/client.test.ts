import { describe, expect, test } from 'vitest'
import { addressText, clientOf, trusts } from '../../../../core/http/forward/client.ts'
import { addressOf, networks, PROXY, requestFrom } from './heads.ts'

const TRUSTED = networks('10.0.0.0/8', 'fd00::/8')
const peer = addressOf(PROXY)

const originOf = (...lines: readonly string[]) =>
  clientOf(peer, requestFrom('GET / HTTP/1.1', 'Host: a', ...lines).fields, TRUSTED)

interface Row {
  readonly name: string
  readonly given: readonly string[]
  readonly client: string
  readonly forwardedFor?: string
  readonly forwarded?: string
}

const list = (name: string, value: string, client: string): Row => ({
  name,
  given: [`X-Forwarded-For: ${value}`],
  client,
  forwardedFor: value,
})
const elements = (name: string, value: string, client: string, forwarded = value): Row => ({
  name,
  given: [`Forwarded: ${value}`],
  client,
  forwarded,
})

const rows = (given: readonly Row[]): void => {
  for (const { name, given: lines, client, forwardedFor = '', forwarded = '' } of given) {
    test(name, () => {
      const origin = originOf(...lines)
      const said = { ...origin, address: addressText(origin.address) }
      expect(said).toEqual({ address: client, forwardedFor, forwarded })
    })
  }
}

describe('X-Forwarded-For', () => {
  rows([
    list('proxy W44: one address', '192.0.2.7', '192.0.2.7'),
    list(
      'proxy W44: the right-most counts, what is left of it may be forged',
      '127.0.0.1, 192.0.2.7',
      '192.0.2.7',
    ),
    list(
      'trusted proxies on the way are passed',
      '1.1.1.1, 192.0.2.7,10.0.0.3 , 10.0.0.2',
      '192.0.2.7',
    ),
    list('where all are trusted, the first of them', '10.0.0.3, 10.0.0.2', '10.0.0.3'),
    list('a port is left out', '192.0.2.7:4711', '192.0.2.7'),
    list('IPv6', '2001:db8::7', '2001:db8::7'),
    list('IPv6 in brackets', '[2001:db8::7]', '2001:db8::7'),
    list('IPv6 in brackets with a port', '1.1.1.1, [2001:db8::7]:443, fd00::1', '2001:db8::7'),
    list('an IPv4-mapped address', '::ffff:192.0.2.7', '192.0.2.7'),
    list('an IPv4-mapped address of a trusted proxy', '192.0.2.7, ::ffff:10.0.0.9', '192.0.2.7'),
    list('what is no address ends the walk', '192.0.2.7, unknown, 10.0.0.2', '10.0.0.2'),
    list('also when it is the first', '192.0.2.7, 10.2', PROXY),
    list('an empty entry ends the walk', '192.0.2.7, , 10.0.0.2', '10.0.0.2'),
    list('a zone is no address for us', 'fe80::1%eth0', PROXY),
    list('the walk is bounded', `192.0.2.7${', 10.0.0.2'.repeat(64)}`, '10.0.0.2'),
    list('up to there', `192.0.2.7${', 10.0.0.2'.repeat(63)}`, '192.0.2.7'),
    {
      name: 'several lines are one list',
      given: [
        'X-Forwarded-For: 1.1.1.1',
        'X-Forwarded-For: 192.0.2.7',
        'x-forwarded-for: 10.0.0.2',
      ],
      client: '192.0.2.7',
      forwardedFor: '1.1.1.1, 192.0.2.7, 10.0.0.2',
    },
    { name: 'an empty one is none', given: ['X-Forwarded-For:'], client: PROXY },
  ])
})

describe('Forwarded (RFC 7239)', () => {
  rows([
    elements('an element', 'for=192.0.2.7', '192.0.2.7'),
    elements(
      'among other parameters, in any case',
      'proto=https; FOR="192.0.2.7:80" ;by=_x',
      '192.0.2.7',
    ),
    elements(
      'proxy W44: the right-most counts',
      'for=127.0.0.1, for=192.0.2.7;host="a:1"',
      '192.0.2.7',
    ),
    elements('IPv6', 'for="[2001:db8::7]:4711", for=10.0.0.2', '2001:db8::7'),
    elements('who is hidden ends the walk', 'for=1.1.1.1, for=_hidden, for=10.0.0.2', '10.0.0.2'),
    elements('who is unknown ends the walk', 'for=unknown', PROXY),
    elements('an element without `for` ends the walk', 'for=1.1.1.1, proto=https', PROXY),
    elements(
      'what is malformed ends the walk, and does not go on',
      'for=1.1.1.1, for=10.0.0.2;x',
      PROXY,
      '',
    ),
    elements('also left of the client', 'for="1.1.1.1, for=192.0.2.7', '192.0.2.7', ''),
    elements('nothing hides in a quoted string', 'host="a;for=1.1.1.1"', PROXY, ''),
    elements('nor behind a quoted comma', 'host="a, for=1.1.1.1"', PROXY, ''),
    elements('nobody is named twice', 'for=1.1.1.1;for=2.2.2.2', PROXY, ''),
  ])
})

describe('both', () => {
  const both = (
    name: string,
    one: string,
    other: string,
    client: string,
    forwarded: string,
  ): Row => ({
    name,
    given: [`Forwarded: ${other}`, `X-Forwarded-For: ${one}`],
    client,
    forwardedFor: one,
    forwarded,
  })
  rows([
    both('that agree go on', '192.0.2.7', 'for=192.0.2.7', '192.0.2.7', 'for=192.0.2.7'),
    both(
      'where they differ, Forwarded is what a client made up',
      '192.0.2.7',
      'for=127.0.0.1',
      '192.0.2.7',
      '',
    ),
  ])
})

test('proxy W44: nothing else says who a client is', () => {
  const origin = originOf(
    'CF-Connecting-IP: 192.0.2.7',
    'X-Real-IP: 192.0.2.7',
    'True-Client-IP: 192.0.2.7',
  )
  expect(origin.address).toBe(peer)
})

test('trust is a matter of networks', () => {
  expect(trusts(TRUSTED, addressOf('10.255.0.1'))).toBe(true)
  expect(trusts(TRUSTED, addressOf('::ffff:10.0.0.1'))).toBe(true)
  expect(trusts(TRUSTED, addressOf('11.0.0.1'))).toBe(false)
  expect(trusts([], addressOf('127.0.0.1'))).toBe(false)
})

test('addresses are written without their interface', () => {
  expect(addressText(addressOf('fe80::1%2'))).toBe('fe80::1')
  expect(addressText(addressOf('::ffff:192.0.2.7'))).toBe('192.0.2.7')
})
