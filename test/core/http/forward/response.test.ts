import { describe, expect, test } from 'vitest'
import type { Passage } from '../../../../core/http/forward/passage.ts'
import { responseFields, responseHead, wantsHsts } from '../../../../core/http/forward/response.ts'
import { CHUNKED, UNTIL_CLOSE } from '../../../../core/http/head/meaning.ts'
import { linesOf, passageOf, responseFrom, streamResponseFrom } from './heads.ts'

interface Row {
  readonly name: string
  readonly given: readonly string[]
  readonly passage?: Partial<Passage>
  readonly then: readonly string[]
}

const OK = 'HTTP/1.1 200 OK'
const LENGTH = 'Content-Length: 2'
const OURS = ['Server-Timing: proxy;dur=1.5', 'X-Request-Id: r1']
const HSTS = 'Strict-Transport-Security: max-age=31536000; includeSubDomains'

const ROWS: readonly Row[] = [
  {
    name: 'an answer goes on as it came',
    given: [OK, LENGTH, 'x-A: 1'],
    then: [OK, LENGTH, 'x-A: 1', ...OURS],
  },
  {
    name: 'proxy W42: repeated fields stay repeated',
    given: [
      OK,
      'Set-Cookie: a=1',
      LENGTH,
      'set-cookie: b=2',
      'Set-Cookie: c=3; Expires=Mon, 1 Jan',
    ],
    then: [
      OK,
      'Set-Cookie: a=1',
      LENGTH,
      'set-cookie: b=2',
      'Set-Cookie: c=3; Expires=Mon, 1 Jan',
      ...OURS,
    ],
  },
  {
    name: 'proxy W46: fields of one connection stay on it, and what Connection lists',
    given: [
      OK,
      'Connection: keep-alive, x-hop',
      'Keep-Alive: timeout=5',
      LENGTH,
      'X-Hop: 1',
      'Proxy-Connection: close',
      'Proxy-Authenticate: Basic',
      'Upgrade: h2c',
    ],
    then: [OK, LENGTH, ...OURS],
  },
  {
    name: 'a length is not told where there is no body',
    given: ['HTTP/1.1 204 No Content', 'Content-Length: 0', 'x: 1'],
    then: ['HTTP/1.1 204 No Content', 'x: 1', ...OURS],
  },
  {
    name: 'nor of an interim answer',
    given: ['HTTP/1.1 103 Early Hints', 'Content-Length: 0', 'Link: </a>'],
    then: ['HTTP/1.1 103 Early Hints', 'Link: </a>'],
  },
  {
    name: 'an id that a backend gives stays alone',
    given: [OK, LENGTH, 'X-Request-Id: own'],
    then: [OK, LENGTH, 'X-Request-Id: own', OURS[0]!],
  },
  {
    name: 'a length with odd white space around it is written anew',
    given: [OK, 'x: 1', 'content-length:\t 2\t', 'y: 2'],
    then: [OK, 'x: 1', 'content-length: 2', 'y: 2', ...OURS],
  },
  {
    name: 'what a backend says of its own timing stays beside ours',
    given: [OK, LENGTH, 'Server-Timing: db;dur=53'],
    then: [OK, LENGTH, 'Server-Timing: db;dur=53', ...OURS],
  },
  {
    name: 'chunks are announced',
    given: ['HTTP/1.1 200 Fine', 'Transfer-Encoding: chunked', 'Trailer: x-sum'],
    passage: { responseBody: CHUNKED },
    then: ['HTTP/1.1 200 Fine', 'Trailer: x-sum', 'Transfer-Encoding: chunked', ...OURS],
  },
  {
    name: 'a body up to the end of the connection',
    given: ['HTTP/1.1 200', 'Transfer-Encoding: chunked'],
    passage: { responseBody: UNTIL_CLOSE, closesClient: true, clientMinor: 0 },
    then: ['HTTP/1.1 200 ', 'Connection: close', ...OURS],
  },
  {
    name: 'the last answer of a connection says so',
    given: [OK, LENGTH],
    passage: { closesClient: true },
    then: [OK, LENGTH, 'Connection: close', ...OURS],
  },
  {
    name: 'a client of HTTP/1.0 is told that its connection stays',
    given: ['HTTP/1.0 200 OK', LENGTH],
    passage: { clientMinor: 0 },
    then: [OK, LENGTH, 'Connection: keep-alive', ...OURS],
  },
  {
    name: 'an interim answer has nothing added',
    given: ['HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload', 'Connection: x'],
    passage: { closesClient: true, hsts: true },
    then: ['HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload'],
  },
  {
    name: 'proxy W42: a change of protocol keeps the fields of its handshake',
    given: [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: chat',
      'Sec-WebSocket-Extensions: permessage-deflate',
    ],
    passage: { closesClient: true },
    then: [
      'HTTP/1.1 101 Switching Protocols',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Sec-WebSocket-Protocol: chat',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Connection: Upgrade',
      'Upgrade: websocket',
      ...OURS,
    ],
  },
  {
    name: 'what must be changed to is said by 426',
    given: ['HTTP/1.1 426 Upgrade Required', 'Upgrade: websocket', 'Connection: upgrade', LENGTH],
    passage: { closesClient: true },
    then: [
      ...['HTTP/1.1 426 Upgrade Required', LENGTH],
      ...['Connection: Upgrade, close', 'Upgrade: websocket', ...OURS],
    ],
  },
  {
    name: 'TLS is said to stay',
    given: [OK, LENGTH],
    passage: { hsts: true },
    then: [OK, LENGTH, ...OURS, HSTS],
  },
  {
    name: 'what a backend says of it stays',
    given: [OK, LENGTH, 'strict-transport-security: max-age=0'],
    passage: { hsts: true },
    then: [OK, LENGTH, 'strict-transport-security: max-age=0', ...OURS],
  },
]

describe('to an HTTP/1 client', () => {
  for (const { name, given, passage, then } of ROWS) {
    test(name, () => {
      const text = responseHead(responseFrom(...given), passageOf({ elapsedMs: 1.5, ...passage }))
      expect(linesOf(text)).toEqual(then)
      expect(text.endsWith('\r\n\r\n')).toBe(true)
    })
  }

  test('durations', () => {
    for (const [ms, text] of [
      [0, '0.0'],
      [0.04, '0.0'],
      [0.96, '1.0'],
      [12_345.678, '12345.7'],
    ] as const) {
      const head = responseHead(responseFrom(OK, LENGTH), passageOf({ elapsedMs: ms }))
      expect(head).toContain(`Server-Timing: proxy;dur=${text}\r\n`)
    }
  })
})

describe('to an HTTP/2 client', () => {
  test('an answer of HTTP/1.1: lower case, nothing of a connection', () => {
    const head = responseFrom(
      ...[OK, 'Connection: keep-alive, X-Hop', 'X-Hop: 1', 'Keep-Alive: timeout=5'],
      ...['Transfer-Encoding: chunked', 'Set-Cookie: a=1', 'SET-COOKIE: b=2'],
    )
    const passage = passageOf({
      elapsedMs: 1.5,
      hsts: true,
      closesClient: true,
      responseBody: CHUNKED,
    })
    expect(responseFields(head, passage)).toEqual([
      ...[
        'set-cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'server-timing',
        'proxy;dur=1.5',
        'x-request-id',
        'r1',
      ],
      ...['strict-transport-security', 'max-age=31536000; includeSubDomains'],
    ])
  })

  test('an interim answer has nothing added', () => {
    const head = streamResponseFrom(103, ['link', '</a>'])
    expect(responseFields(head, passageOf({ hsts: true }))).toEqual(['link', '</a>'])
  })

  test('a WebSocket has no key to accept (RFC 8441, 5)', () => {
    const head = responseFrom(
      'HTTP/1.1 101 Switching Protocols',
      ...[
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Accept: x',
        'Sec-WebSocket-Protocol: a',
      ],
    )
    expect(responseFields(head, passageOf())).toEqual(['sec-websocket-protocol', 'a'])
  })
})

test('TLS is said to stay of names, but not of this machine', () => {
  for (const authority of [
    'a.example',
    'a.example:8443',
    'localhost.example',
    'xlocalhost',
    'a1',
    '1a.b2',
  ]) {
    expect([authority, wantsHsts(authority)]).toEqual([authority, true])
  }
  for (const authority of [
    ...[
      '',
      'localhost',
      'LocalHost:8443',
      'localhost.',
      'a.b.localhost:1',
      '127.0.0.1',
      '10.0.0.1:443',
    ],
    ...['[::1]', '[2001:db8::1]:443', '2130706433', '192.0.2.7.'],
  ]) {
    expect([authority, wantsHsts(authority)]).toEqual([authority, false])
  }
})
