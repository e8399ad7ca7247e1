import { describe, expect, test } from 'vitest'
import type { Passage } from '../../../../core/http/forward/passage.ts'
import { isRequestId, requestFields, requestHead } from '../../../../core/http/forward/request.ts'
import { CHUNKED } from '../../../../core/http/head/meaning.ts'
import { CLIENT, linesOf, PROXY, passageOf, requestFrom, streamFrom } from './heads.ts'

/** What is added for a client at 192.0.2.7 that asks for this host over plain HTTP/1.1. */
const added = (host = 'shop.example'): string[] => [
  'X-Forwarded-For: 192.0.2.7',
  'X-Forwarded-Proto: http',
  `X-Forwarded-Host: ${host}`,
  'X-Real-IP: 192.0.2.7',
  `Forwarded: for=192.0.2.7;host=${host.includes(':') ? `"${host}"` : host};proto=http`,
  'Via: 1.1 weir',
  'X-Request-Id: r1',
]

interface Row {
  readonly name: string
  readonly given: readonly string[]
  readonly passage?: Partial<Passage>
  /** Without what is always added. */
  readonly then: readonly string[]
  readonly host?: string
}

const GET = 'GET /a?b=c HTTP/1.1'
const HOST = 'Host: shop.example'

const ROWS: readonly Row[] = [
  {
    name: 'a request goes on as it came',
    given: [GET, HOST, 'User-Agent: x', 'accept: */*'],
    then: [GET, HOST, 'User-Agent: x', 'accept: */*'],
  },
  {
    name: 'proxy W42: repeated fields stay repeated, in their order and case, in origin form',
    given: [GET, 'X-a: 1', HOST, 'ACCEPT: text/html', 'x-A: 2', 'Accept: */*'],
    then: [GET, 'X-a: 1', HOST, 'ACCEPT: text/html', 'x-A: 2', 'Accept: */*'],
  },
  {
    name: 'a length with odd white space around it is written anew',
    given: ['POST /a?b=c HTTP/1.1', HOST, 'CONTENT-LENGTH:  5\t ', 'x: 1'],
    passage: { requestBody: 5 },
    then: ['POST /a?b=c HTTP/1.1', HOST, 'CONTENT-LENGTH: 5', 'x: 1'],
  },
  {
    name: 'one without any as well as it came',
    given: ['POST /a?b=c HTTP/1.1', HOST, 'Content-Length:5'],
    passage: { requestBody: 5 },
    then: ['POST /a?b=c HTTP/1.1', HOST, 'Content-Length:5'],
  },
  {
    name: 'OPTIONS passes on one less (RFC 9110, 7.6.2)',
    given: ['OPTIONS /a?b=c HTTP/1.1', HOST, 'Max-Forwards: 10', 'x: 1'],
    then: ['OPTIONS /a?b=c HTTP/1.1', HOST, 'Max-Forwards: 9', 'x: 1'],
  },
  {
    name: 'and no other method',
    given: [GET, HOST, 'Max-Forwards: 10'],
    then: [GET, HOST, 'Max-Forwards: 10'],
  },
  {
    name: 'the path is what a route leaves of it, the query stays',
    given: ['GET /api/users?id=1 HTTP/1.1', HOST],
    passage: { path: '/users' },
    then: ['GET /users?id=1 HTTP/1.1', HOST],
  },
  {
    name: 'absolute form becomes origin form, and its authority Host',
    given: ['GET http://Shop.Example:80/a?b=c HTTP/1.1', 'X: 1', 'Host: Shop.Example:80'],
    then: [GET, 'Host: Shop.Example:80', 'X: 1'],
    host: 'Shop.Example:80',
  },
  {
    name: 'HTTP/1.0 without Host',
    given: ['GET /a?b=c HTTP/1.0'],
    then: [GET, 'Host: '],
    host: '',
  },
  {
    name: 'proxy W46: fields of one connection stay on it, and what Connection lists',
    given: [
      GET,
      'Connection: keep-alive, X-Hop, Upgrade, HTTP2-Settings',
      HOST,
      'Keep-Alive: timeout=5',
      'X-Hop: 1',
      'x-hop: 2',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eA==',
      'Proxy-Authenticate: Basic',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABk',
      'TE: gzip',
      'Accept: */*',
    ],
    then: [GET, HOST, 'Accept: */*'],
  },
  {
    name: 'proxy W44: nothing that Connection lists takes Host, the length or what is added',
    given: [
      'POST /a?b=c HTTP/1.1',
      HOST,
      'Connection: host, content-length, x-forwarded-for, x-forwarded-proto, x-forwarded-host',
      'Connection: x-real-ip, forwarded, via, x-request-id, close, transfer-encoding',
      'Content-Length: 3',
    ],
    passage: { requestBody: 3 },
    then: ['POST /a?b=c HTTP/1.1', HOST, 'Content-Length: 3'],
  },
  {
    name: 'proxy W44: what an untrusted client says of itself is replaced or goes nowhere',
    given: [
      GET,
      HOST,
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-For: 127.0.0.2',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: admin.example',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Prefix: /admin',
      'X-Real-IP: 127.0.0.1',
      'X-Request-Id: mine',
      'Forwarded: for=127.0.0.1',
      'CF-Connecting-IP: 127.0.0.1',
      'True-Client-IP: 127.0.0.1',
      'X-Client-IP: 127.0.0.1',
      'X-Cluster-Client-IP: 127.0.0.1',
    ],
    then: [GET, HOST],
  },
  {
    name: 'proxy W44: nor does what CGI takes for one of these, whoever sends it',
    given: [
      GET,
      HOST,
      'X_Forwarded_For: 127.0.0.1',
      'x-real_ip: 127.0.0.1',
      'X.Forwarded.Proto: https',
      'X_Forwarded_Prefix: /admin',
      'Content_Length: 4',
      'Other_Name: 1',
    ],
    then: [GET, HOST, 'Other_Name: 1'],
  },
  {
    name: 'what a client says of proxies before us is gone on with',
    given: [GET, HOST, 'Via: 1.0 fred'],
    then: [GET, HOST, 'Via: 1.0 fred'],
  },
  {
    name: 'chunks go on as chunks',
    given: ['POST / HTTP/1.1', HOST, 'Transfer-Encoding: chunked', 'Trailer: x-sum'],
    passage: { path: '/', requestBody: CHUNKED },
    then: ['POST / HTTP/1.1', HOST, 'Trailer: x-sum', 'Transfer-Encoding: chunked'],
  },
  {
    name: 'trailers of the answer are taken where the client takes them',
    given: [GET, HOST, 'TE: deflate;q=0.5, Trailers', 'Connection: TE'],
    then: [GET, HOST, 'Connection: TE', 'TE: trailers'],
  },
  {
    name: 'a connection that shall not be used again',
    given: [GET, HOST, 'TE: trailers'],
    passage: { closesUpstream: true },
    then: [GET, HOST, 'Connection: TE, close', 'TE: trailers'],
  },
  {
    name: 'an upgrade goes on with all of its fields',
    given: [
      GET,
      HOST,
      'Connection: Upgrade',
      'Upgrade: WebSocket',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: chat',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Origin: http://shop.example',
    ],
    passage: { requestUpgrade: 'websocket' },
    then: [
      GET,
      HOST,
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Protocol: chat',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Origin: http://shop.example',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ],
  },
  {
    name: 'a body that is not there is not announced',
    given: ['POST /a?b=c HTTP/1.1', HOST],
    then: ['POST /a?b=c HTTP/1.1', HOST],
  },
  {
    name: 'an expectation goes on',
    given: ['PUT /a?b=c HTTP/1.1', HOST, 'Expect: 100-continue', 'Content-Length: 1'],
    then: ['PUT /a?b=c HTTP/1.1', HOST, 'Expect: 100-continue', 'Content-Length: 1'],
  },
  {
    name: 'an expectation that was met does not',
    given: ['PUT /a?b=c HTTP/1.1', HOST, 'Expect: 100-continue', 'Content-Length: 1'],
    passage: { keepsExpect: false },
    then: ['PUT /a?b=c HTTP/1.1', HOST, 'Content-Length: 1'],
  },
]

describe('to an HTTP/1.1 backend', () => {
  for (const { name, given, passage, then, host } of ROWS) {
    test(name, () => {
      const head = requestFrom(...given)
      const text = requestHead(head, passageOf({ path: '/a', ...passage }))
      const version = given[0]!.endsWith('1.0') ? 'Via: 1.0 weir' : 'Via: 1.1 weir'
      const after = added(host).filter(
        (line) => host !== '' || !line.startsWith('X-Forwarded-Host'),
      )
      const expected = after.map((line) =>
        line === 'Via: 1.1 weir' ? version : line.replace('host=;', ''),
      )
      expect(linesOf(text)).toEqual([...then, ...expected])
    })
  }

  test('the end of a head is an empty line', () => {
    const text = requestHead(requestFrom(GET, HOST), passageOf())
    expect(text.endsWith('\r\nX-Request-Id: r1\r\n\r\n')).toBe(true)
  })

  test('IPv6 is in brackets and quotes only in Forwarded, a host with a port in quotes (RFC 7239, 4, 6)', () => {
    const address = '2001:db8::7'
    const passage = passageOf({ clientAddress: address, peerAddress: address, scheme: 'https' })
    const text = requestHead(requestFrom(GET, 'Host: [2001:db8::1]:8443'), passage)
    expect(linesOf(text).slice(2)).toEqual([
      `X-Forwarded-For: ${address}`,
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: [2001:db8::1]:8443',
      `X-Real-IP: ${address}`,
      `Forwarded: for="[${address}]";host="[2001:db8::1]:8443";proto=https`,
      'Via: 1.1 weir',
      'X-Request-Id: r1',
    ])
  })
})

describe('behind a trusted proxy', () => {
  const trusted = (passage: Partial<Passage>, ...lines: string[]): string[] => {
    const given = { peerAddress: PROXY, isTrusted: true, path: '/a', ...passage }
    return linesOf(requestHead(requestFrom(GET, HOST, ...lines), passageOf(given))).slice(2)
  }

  test('what it says is kept, and appended to', () => {
    const passage = { forwardedFor: '1.2.3.4, 192.0.2.7', forwarded: 'for=1.2.3.4, for=192.0.2.7' }
    const lines = trusted(
      passage,
      'X-Forwarded-For: 1.2.3.4',
      'X-Forwarded-For: 192.0.2.7',
      'Forwarded: for=1.2.3.4, for=192.0.2.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: outer.example',
      'X-Forwarded-Port: 443',
      'X-Forwarded-Prefix: /shop',
      'CF-Connecting-IP: 192.0.2.7',
      'Via: 2.0 edge',
    )
    expect(lines).toEqual([
      'X-Forwarded-Port: 443',
      'X-Forwarded-Prefix: /shop',
      'CF-Connecting-IP: 192.0.2.7',
      'Via: 2.0 edge',
      'X-Forwarded-For: 1.2.3.4, 192.0.2.7, 10.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: outer.example',
      'X-Real-IP: 192.0.2.7',
      'Forwarded: for=1.2.3.4, for=192.0.2.7, for=10.0.0.1;host=shop.example;proto=http',
      'Via: 1.1 weir',
      'X-Request-Id: r1',
    ])
  })

  test('a list it does not keep begins with the client', () => {
    const lines = trusted({ forwardedFor: '192.0.2.7' }, 'X-Forwarded-For: 192.0.2.7')
    expect(lines).toContain('Forwarded: for=192.0.2.7, for=10.0.0.1;host=shop.example;proto=http')
    const others = trusted({ forwarded: 'for=192.0.2.7' }, 'Forwarded: for=192.0.2.7')
    expect(others).toContain('X-Forwarded-For: 192.0.2.7, 10.0.0.1')
  })

  test('one that says nothing is the client', () => {
    const lines = trusted({ clientAddress: PROXY })
    expect(lines.slice(0, 5)).toEqual([
      'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: shop.example',
      'X-Real-IP: 10.0.0.1',
      'Forwarded: for=10.0.0.1;host=shop.example;proto=http',
    ])
  })

  test('proxy W44: what it says of scheme and host is not deleted by Connection', () => {
    const lines = trusted(
      {},
      'Connection: x-forwarded-proto, x-forwarded-host',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: outer.example',
    )
    expect(lines).toContain('X-Forwarded-Proto: https')
    expect(lines).toContain('X-Forwarded-Host: outer.example')
  })

  test('its X-Real-IP is not kept: it may have passed on what a client sent', () => {
    const lines = trusted({}, 'X-Real-IP: 127.0.0.1')
    expect(lines.filter((line) => line.startsWith('X-Real-IP'))).toEqual(['X-Real-IP: 192.0.2.7'])
  })
})

describe('HTTP/2', () => {
  test('a request of a stream as HTTP/1.1: Host first, one Cookie (RFC 9113, 8.2.3)', () => {
    const head = streamFrom('GET', ['cookie', 'a=1', 'accept', '*/*', 'cookie', 'b=2'])
    const lines = linesOf(requestHead(head, passageOf()))
    expect(lines.slice(0, 2)).toEqual(['GET / HTTP/1.1', 'Host: shop.example'])
    expect(lines.filter((line) => /^cookie:/i.test(line))).toEqual(['cookie: a=1; b=2'])
    expect(lines).toContain('Via: 2.0 weir')
  })

  test('Host of a stream gives way to its authority', () => {
    const head = streamFrom('GET', ['host', 'SHOP.example'])
    const lines = linesOf(requestHead(head, passageOf()))
    expect(lines.filter((line) => /^host:/i.test(line))).toEqual(['Host: shop.example'])
  })

  test('a body that only the stream ends goes on in chunks', () => {
    const head = streamFrom('POST', [], { isLast: false })
    const lines = linesOf(requestHead(head, passageOf({ requestBody: head.body })))
    expect(lines).toContain('Transfer-Encoding: chunked')
  })

  test('no body where one is expected is told', () => {
    const lines = linesOf(requestHead(streamFrom('POST', []), passageOf()))
    expect(lines).toContain('Content-Length: 0')
    const get = linesOf(requestHead(streamFrom('GET', []), passageOf()))
    expect(get.some((line) => line.startsWith('Content-Length'))).toBe(false)
  })

  test('a WebSocket of a stream as HTTP/1.1 (RFC 8441, 5)', () => {
    const head = streamFrom('CONNECT', ['sec-websocket-version', '13'], { protocol: 'websocket' })
    const passage = passageOf({ requestUpgrade: 'websocket', webSocketKey: 'a2V5' })
    expect(linesOf(requestHead(head, passage)).slice(0, 6)).toEqual([
      'GET / HTTP/1.1',
      'Host: shop.example',
      'sec-websocket-version: 13',
      'Sec-WebSocket-Key: a2V5',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ])
  })

  test('to an HTTP/2 backend: pseudo-headers first, lower case, nothing of a connection', () => {
    const head = requestFrom(
      'POST /a?b=c HTTP/1.1',
      'Host: Shop.example:8080',
      'Connection: close, X-Hop',
      'X-Hop: 1',
      'TE: trailers',
      'Content-Type: application/grpc',
      'Transfer-Encoding: chunked',
      'X-Forwarded-For: 127.0.0.1',
    )
    expect(requestFields(head, passageOf({ path: '/a', requestBody: CHUNKED }))).toEqual([
      ...[
        ':method',
        'POST',
        ':scheme',
        'http',
        ':authority',
        'Shop.example:8080',
        ':path',
        '/a?b=c',
      ],
      ...['content-type', 'application/grpc', 'te', 'trailers'],
      ...['x-forwarded-for', '192.0.2.7', 'x-forwarded-proto', 'http'],
      ...['x-forwarded-host', 'Shop.example:8080', 'x-real-ip', '192.0.2.7'],
      ...['forwarded', 'for=192.0.2.7;host="Shop.example:8080";proto=http'],
      ...['via', '1.1 weir', 'x-request-id', 'r1'],
    ])
  })

  test('a WebSocket to an HTTP/2 backend is an extended CONNECT (RFC 8441, 4)', () => {
    const head = streamFrom('CONNECT', [], { protocol: 'websocket', path: '/chat' })
    const fields = requestFields(head, passageOf({ path: '/chat', requestUpgrade: 'websocket' }))
    expect(fields.slice(0, 10)).toEqual([
      ...[':method', 'CONNECT', ':scheme', 'http', ':authority', 'shop.example'],
      ...[':path', '/chat', ':protocol', 'websocket'],
    ])
  })
})

test('a passage that is used again says what a new one says', () => {
  const passage = passageOf()
  const heads = [
    requestFrom(GET, HOST),
    requestFrom(GET, 'Host: other.example'),
    requestFrom('GET /a HTTP/1.0', 'Host: other.example'),
    requestFrom('GET /a HTTP/1.0'),
  ]
  for (const head of [...heads, ...heads, ...heads.toReversed()]) {
    for (const change of [{}, { requestId: 'r2' }]) {
      Object.assign(passage, change)
      expect(requestHead(head, passage)).toBe(requestHead(head, passageOf(change)))
      Object.assign(passage, { requestId: 'r1' })
    }
  }
})

test('likewise behind a trusted proxy, whatever it says of the same client', () => {
  const passage = passageOf({ peerAddress: PROXY, isTrusted: true })
  const given: (readonly [string, Partial<Passage>])[] = [
    ['X-Forwarded-For: 1.1.1.1, 192.0.2.7', { forwardedFor: '1.1.1.1, 192.0.2.7' }],
    ['X-Forwarded-For: 2.2.2.2, 192.0.2.7', { forwardedFor: '2.2.2.2, 192.0.2.7' }],
    ['Forwarded: for=1.1.1.1, for=192.0.2.7', { forwarded: 'for=1.1.1.1, for=192.0.2.7' }],
    ['Forwarded: for=2.2.2.2, for=192.0.2.7', { forwarded: 'for=2.2.2.2, for=192.0.2.7' }],
    ['X-Forwarded-Proto: https', {}],
    ['X-Forwarded-Host: outer.example', {}],
  ]
  const plain = ['X-Own: 1', {}] as const
  for (const [line, change] of given.flatMap((each) => [each, plain, each, each, plain])) {
    const head = requestFrom(GET, HOST, line)
    const now = { clientAddress: CLIENT, forwardedFor: '', forwarded: '', ...change }
    if (line === 'X-Own: 1') now.clientAddress = PROXY
    Object.assign(passage, now)
    const fresh = passageOf({ peerAddress: PROXY, isTrusted: true, ...now })
    expect(requestHead(head, passage)).toBe(requestHead(head, fresh))
  }
})

test('a request id of a trusted proxy is taken if it is fit to be written anywhere', () => {
  for (const id of ['1', 'a_b-c.d', '1-5759e988-bd862e3fe1be46a994272793', 'YWJj+/=']) {
    expect([id, isRequestId(id)]).toEqual([id, true])
  }
  for (const id of ['', 'a b', '"', '<b>', 'é', 'a\n', 'x'.repeat(129)]) {
    expect([id, isRequestId(id)]).toEqual([id, false])
  }
})
