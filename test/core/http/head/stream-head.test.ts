import { describe, expect, test } from 'vitest'
import type { StreamHead } from '../../../../core/http/events.ts'
import { FIELD } from '../../../../core/http/head/fields.ts'
import type { RequestHead } from '../../../../core/http/head/request.ts'
import type { ResponseHead } from '../../../../core/http/head/response.ts'
import { fieldsOf, requestOf, responseOf } from '../../../../core/http/head/stream-head.ts'
import { LIMITS, pairsOf } from '../messages.ts'

const HEAD: StreamHead = {
  method: 'GET',
  scheme: 'https',
  authority: 'example.com',
  path: '/',
  fields: [],
}

describe('requestOf', () => {
  type Told = Partial<Omit<RequestHead, 'fields'>>
  test.each<{ name: string; head: Partial<StreamHead>; isLast?: boolean; told: Told }>([
    {
      name: 'a usual one',
      head: { path: '/a?b', fields: ['accept', '*/*'] },
      told: {
        method: 'GET',
        target: '/a?b',
        path: '/a',
        query: '?b',
        minor: 1,
        isStream: true,
        authority: 'example.com',
        body: 0,
        wantsClose: false,
        expectsContinue: false,
        upgrade: '',
      },
    },
    {
      name: 'a body of a length',
      isLast: false,
      head: { fields: ['content-length', '5'] },
      told: { body: 5 },
    },
    { name: 'a body up to its end', isLast: false, head: {}, told: { body: -1 } },
    { name: 'no body of length 0', head: { fields: ['content-length', '0'] }, told: { body: 0 } },
    {
      name: 'only Host',
      head: { authority: '', fields: ['host', 'a:1'] },
      told: { authority: 'a:1' },
    },
    { name: 'both', head: { fields: ['host', 'EXAMPLE.com'] }, told: { authority: 'example.com' } },
    { name: 'asterisk', head: { method: 'OPTIONS', path: '*' }, told: { path: '*', query: '' } },
    {
      name: 'a WebSocket (RFC 8441)',
      isLast: false,
      head: { method: 'CONNECT', protocol: 'websocket', path: '/chat' },
      told: { method: 'CONNECT', upgrade: 'websocket', path: '/chat' },
    },
    {
      name: 'CONNECT',
      isLast: false,
      head: { method: 'CONNECT', path: '', scheme: '', authority: 'a:443' },
      told: { method: 'CONNECT', target: 'a:443', path: '', upgrade: '' },
    },
    {
      name: 'gRPC',
      isLast: false,
      head: { method: 'POST', fields: ['te', 'trailers'] },
      told: { body: -1 },
    },
    {
      name: 'an expectation',
      isLast: false,
      head: { fields: ['expect', '100-continue'] },
      told: { expectsContinue: true },
    },
  ])('$name', ({ head, isLast = true, told }) => {
    const result = requestOf({ ...HEAD, ...head }, isLast, LIMITS)
    expect(result).toBeTypeOf('object')
    const { fields: _, ...rest } = result as RequestHead
    expect(rest).toMatchObject(told)
  })

  test('crumbs of cookies become one (RFC 9113, 8.2.3)', () => {
    const head = requestOf(
      { ...HEAD, fields: ['cookie', 'a=b', 'x', 'y', 'cookie', 'c=d'] },
      true,
      LIMITS,
    )
    expect((head as RequestHead).fields.get(FIELD.cookie)).toBe('a=b; c=d')
    expect((head as RequestHead).fields.isRepeated(FIELD.cookie)).toBe(false)
  })

  // H2.CL, H2.TE and request splitting (Kettle, HTTP/2: The Sequel is Always Worse, 2021).
  test.each<{ name: string; head: Partial<StreamHead>; isLast?: boolean; fault: string }>([
    {
      name: 'H2.TE',
      head: { fields: ['transfer-encoding', 'chunked'] },
      fault: 'connection-field',
    },
    {
      name: 'H2.CL, two',
      head: { fields: ['content-length', '0', 'content-length', '5'] },
      fault: 'length',
    },
    { name: 'H2.CL, none', head: { fields: ['content-length', '+5'] }, fault: 'length' },
    {
      name: 'H2.CL, but nothing follows',
      head: { fields: ['content-length', '5'] },
      fault: 'length',
    },
    { name: 'Connection', head: { fields: ['connection', 'close'] }, fault: 'connection-field' },
    {
      name: 'Keep-Alive',
      head: { fields: ['keep-alive', 'timeout=5'] },
      fault: 'connection-field',
    },
    {
      name: 'Proxy-Connection',
      head: { fields: ['proxy-connection', 'close'] },
      fault: 'connection-field',
    },
    { name: 'Upgrade', head: { fields: ['upgrade', 'h2c'] }, fault: 'connection-field' },
    { name: 'TE', head: { fields: ['te', 'gzip'] }, fault: 'connection-field' },
    { name: 'a line in a value', head: { fields: ['a', 'b\r\nc: d'] }, fault: 'field-value' },
    { name: 'LF in a value', head: { fields: ['a', 'b\nc'] }, fault: 'field-value' },
    { name: 'NUL in a value', head: { fields: ['a', 'b\0'] }, fault: 'field-value' },
    { name: 'beyond Latin-1 in a value', head: { fields: ['a', '\u010d'] }, fault: 'field-value' },
    { name: 'white space around a value', head: { fields: ['a', ' b'] }, fault: 'field-value' },
    { name: 'a line in a name', head: { fields: ['a\r\nb', 'c'] }, fault: 'field-name' },
    { name: 'a colon in a name', head: { fields: ['a: b', 'c'] }, fault: 'field-name' },
    { name: 'a space in a name', head: { fields: ['a b', 'c'] }, fault: 'field-name' },
    { name: 'upper case', head: { fields: ['Accept', 'b'] }, fault: 'field-name' },
    { name: 'no name', head: { fields: ['', 'b'] }, fault: 'field-name' },
    { name: 'another pseudo-header', head: { fields: [':status', '200'] }, fault: 'field-name' },
    {
      name: 'a name that wraps into another',
      head: { fields: ['\u0174e', 'b'] },
      fault: 'field-name',
    },
    { name: 'a line in the method', head: { method: 'GET / HTTP/1.1\r\nA: b' }, fault: 'method' },
    { name: 'no method', head: { method: '' }, fault: 'method' },
    {
      name: 'a line in the path',
      head: { path: '/ HTTP/1.1\r\nHost: b\r\n\r\nGET /' },
      fault: 'target',
    },
    { name: 'a space in the path', head: { path: '/ a' }, fault: 'target' },
    { name: 'a fragment', head: { path: '/#a' }, fault: 'target' },
    { name: 'no path', head: { path: '' }, fault: 'target' },
    { name: 'no slash', head: { path: 'a' }, fault: 'target' },
    { name: 'an absolute path', head: { path: 'http://a/' }, fault: 'target' },
    { name: 'an asterisk of a GET', head: { path: '*' }, fault: 'target' },
    { name: 'no authority', head: { authority: '' }, fault: 'host' },
    { name: 'a line in the authority', head: { authority: 'a\r\nb: c' }, fault: 'host' },
    { name: 'a path in the authority', head: { authority: 'a/b' }, fault: 'host' },
    { name: 'a user', head: { authority: 'a@b' }, fault: 'host' },
    { name: 'another Host', head: { fields: ['host', 'b'] }, fault: 'authority' },
    {
      name: 'two Hosts',
      head: { fields: ['host', 'example.com', 'host', 'example.com'] },
      fault: 'host',
    },
    { name: 'CONNECT without port', head: { method: 'CONNECT', path: '' }, fault: 'target' },
    { name: 'CONNECT with a path', head: { method: 'CONNECT', authority: 'a:1' }, fault: 'target' },
    { name: 'a protocol of a GET', head: { protocol: 'websocket' }, fault: 'method' },
    {
      name: 'a line in the protocol',
      head: { method: 'CONNECT', protocol: 'a\r\nb' },
      fault: 'method',
    },
    { name: 'an expectation', head: { fields: ['expect', 'more'] }, fault: 'expectation' },
  ])('refuses: $name', ({ head, isLast = true, fault }) => {
    expect(requestOf({ ...HEAD, ...head }, isLast, LIMITS)).toBe(fault)
  })

  test('limits, at the most and one above', () => {
    const limits = { headBytesMax: 100, lineBytesMax: 40, fieldsMax: 4 }
    const told = (fields: readonly string[], path = '/'): string => {
      const head = requestOf({ ...HEAD, path, fields }, true, limits)
      return typeof head === 'string' ? head : 'head'
    }
    const many = (count: number): string[] => Array.from({ length: 2 * count }, () => 'a')
    expect(told(many(4))).toBe('head')
    expect(told(many(5))).toBe('too-many-fields')
    expect(told(['a', 'b'.repeat(39)])).toBe('head')
    expect(told(['a', 'b'.repeat(40)])).toBe('line-too-long')
    expect(told(['a', 'b'.repeat(39), 'a', 'b'.repeat(39), 'a', 'b'.repeat(7)])).toBe('head')
    expect(told(['a', 'b'.repeat(39), 'a', 'b'.repeat(39), 'a', 'b'.repeat(8)])).toBe(
      'head-too-large',
    )
    expect(
      told(['cookie', 'b'.repeat(30), 'cookie', 'b'.repeat(30), 'cookie', 'b'.repeat(34)]),
    ).toBe('head')
    expect(
      told([
        'cookie',
        'b'.repeat(30),
        'cookie',
        'b'.repeat(30),
        'cookie',
        'b'.repeat(34),
        'a',
        'b',
      ]),
    ).toBe('head-too-large')
    expect(told([], `/${'a'.repeat(39)}`)).toBe('head')
    expect(told([], `/${'a'.repeat(40)}`)).toBe('target-too-long')
  })
})

describe('responseOf', () => {
  const of = (status: number, fields: readonly string[], isLast = false, method = 'GET') =>
    responseOf(status, fields, method, isLast, LIMITS)

  test('the same as on HTTP/1.1', () => {
    const head = of(200, [
      'content-length',
      '5',
      'set-cookie',
      'a',
      'set-cookie',
      'b',
    ]) as ResponseHead
    expect(head).toMatchObject({
      status: 200,
      reason: '',
      minor: 1,
      body: 5,
      wantsClose: false,
      upgrade: '',
    })
    expect(pairsOf(head.fields)).toEqual([
      ['content-length', '5'],
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ])
    expect(of(200, [])).toMatchObject({ body: -1 })
    expect(of(200, [], true)).toMatchObject({ body: 0 })
    expect(of(103, [])).toMatchObject({ body: 0 })
    expect(of(304, ['content-length', '5'], true)).toMatchObject({ body: 0 })
    expect(of(200, ['content-length', '5'], true, 'HEAD')).toMatchObject({ body: 0 })
  })

  test('what is no answer', () => {
    expect(of(99, [])).toBe('status-line')
    expect(of(600, [])).toBe('status-line')
    expect(of(Number.NaN, [])).toBe('status-line')
    expect(of(200.5, [])).toBe('status-line')
    expect(of(101, [])).toBe('status-line')
    expect(of(200, ['content-length', '5'], true)).toBe('length')
    expect(of(200, ['content-length', '5', 'content-length', '5'])).toBe('length')
    expect(of(200, ['connection', 'close'])).toBe('connection-field')
    expect(of(200, ['a', 'b\n'])).toBe('field-value')
  })
})

test('trailers', () => {
  const fields = fieldsOf(['grpc-status', '0', 'grpc-message', ''], LIMITS)
  expect(typeof fields === 'string' ? fields : pairsOf(fields)).toEqual([
    ['grpc-status', '0'],
    ['grpc-message', ''],
  ])
})
