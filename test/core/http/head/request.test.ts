import { describe, expect, test } from 'vitest'
import { statusOf } from '../../../../core/http/head/fault.ts'
import { latin1Of } from '../../../../core/http/head/latin1.ts'
import type { HeadLimits } from '../../../../core/http/head/lines.ts'
import { type RequestHead, RequestReader } from '../../../../core/http/head/request.ts'
import { LIMITS, octets, pairsOf, waysToSend } from '../messages.ts'

const HOST = 'Host: example.com'
const requestLine = (target: string, method = 'GET'): string => `${method} ${target} HTTP/1.1\r\n`
const get = (...fields: readonly string[]): string =>
  `${requestLine('/')}${fields.map((field) => `${field}\r\n`).join('')}\r\n`

type Told = Partial<Omit<RequestHead, 'fields'>> & { fields?: readonly (readonly string[])[] }

/** Reads one head in all ways, and what each of them says in the same words. */
function read(text: string, limits: HeadLimits = LIMITS): string | RequestHead {
  let told: string | RequestHead | undefined
  let first: unknown
  for (const pieces of waysToSend(octets(text))) {
    const reader = new RequestReader(latin1Of)
    let reading = 'more'
    for (const piece of pieces) {
      reading = reader.read(piece, 0, limits)
      if (reading !== 'more') break
    }
    told = reading === 'head' ? reader.head : `${reader.fault ?? reading}`
    const plain =
      reading === 'head' ? { ...reader.head, fields: pairsOf(reader.head.fields) } : told
    first ??= plain
    expect(plain).toEqual(first)
    if (reading === 'refused') expect(reader.status).toBe(statusOf(reader.fault!))
  }
  return told!
}

describe('a head that is taken', () => {
  test.each<{ name: string; text: string; head: Told }>([
    {
      name: 'a request of a browser',
      text: get(HOST, 'Accept: text/html;q=0.9, */*', 'X-Empty:', 'x-odd:\t a\tb \t'),
      head: {
        method: 'GET',
        target: '/',
        path: '/',
        query: '',
        minor: 1,
        isStream: false,
        authority: 'example.com',
        body: 0,
        wantsClose: false,
        expectsContinue: false,
        upgrade: '',
        fields: [
          ['Host', 'example.com'],
          ['Accept', 'text/html;q=0.9, */*'],
          ['X-Empty', ''],
          ['x-odd', 'a\tb'],
        ],
      },
    },
    {
      name: 'a query, with what browsers send unescaped',
      text: `${requestLine('/a|b^c?d={"e"}?f\\')}${HOST}\r\n\r\n`,
      head: { target: '/a|b^c?d={"e"}?f\\', path: '/a|b^c', query: '?d={"e"}?f\\' },
    },
    {
      name: 'an empty query',
      text: `${requestLine('/a?')}${HOST}\r\n\r\n`,
      head: { path: '/a', query: '?' },
    },
    {
      name: 'HTTP/1.0 without Host',
      text: 'GET / HTTP/1.0\r\n\r\n',
      head: { minor: 0, authority: '', wantsClose: true, fields: [] },
    },
    {
      name: 'HTTP/1.0 that stays',
      text: 'GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n',
      head: { minor: 0, wantsClose: false },
    },
    {
      name: 'HTTP/1.0 knows no upgrade and no expectation',
      text: 'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: a\r\nExpect: b\r\n\r\n',
      head: { upgrade: '', expectsContinue: false },
    },
    { name: 'close', text: get(HOST, 'Connection: CLOSE'), head: { wantsClose: true } },
    {
      name: 'close in a list, in the second of two',
      text: get(HOST, 'Connection: x-a', 'Connection: keep-alive , close'),
      head: { wantsClose: true },
    },
    {
      name: 'a WebSocket',
      text: get(HOST, 'Connection: keep-alive, Upgrade', 'Upgrade: WebSocket'),
      head: { upgrade: 'websocket', wantsClose: false },
    },
    {
      name: 'several protocols to choose from',
      text: get(HOST, 'Connection: upgrade', 'Upgrade: h2c', 'Upgrade: IRC/6.9'),
      head: { upgrade: 'h2c, irc/6.9' },
    },
    {
      name: 'proxy W43: an Upgrade that Connection does not name is none',
      text: get(HOST, 'Upgrade: websocket'),
      head: { upgrade: '' },
    },
    {
      name: 'proxy W43: a body beside an upgrade is a body',
      text: get(HOST, 'Connection: upgrade', 'Upgrade: h2c', 'Content-Length: 5'),
      head: { upgrade: 'h2c', body: 5 },
    },
    { name: 'a length', text: get(HOST, 'Content-Length: 42'), head: { body: 42 } },
    {
      name: 'the largest length',
      text: get(HOST, 'Content-Length: 9007199254740991'),
      head: { body: Number.MAX_SAFE_INTEGER },
    },
    { name: 'a length of nothing', text: get(HOST, 'Content-Length: 0'), head: { body: 0 } },
    { name: 'chunks', text: get(HOST, 'Transfer-Encoding: Chunked'), head: { body: -1 } },
    {
      name: 'an expectation',
      text: get(HOST, 'Expect: 100-Continue'),
      head: { expectsContinue: true },
    },
    {
      name: 'absolute-form',
      text: `${requestLine('HTTP://Example.com:80/a/b?c/d?e')}Host: example.COM:80\r\n\r\n`,
      head: { path: '/a/b', query: '?c/d?e', authority: 'example.COM:80' },
    },
    {
      name: 'absolute-form with a query alone',
      text: `${requestLine('http://example.com?a/b')}${HOST}\r\n\r\n`,
      head: { path: '/', query: '?a/b' },
    },
    {
      name: 'absolute-form in HTTP/1.0 without Host',
      text: 'GET https://example.com HTTP/1.0\r\n\r\n',
      head: { path: '/', query: '', authority: 'example.com' },
    },
    {
      name: 'asterisk-form',
      text: `${requestLine('*', 'OPTIONS')}${HOST}\r\n\r\n`,
      head: { method: 'OPTIONS', path: '*', query: '', target: '*' },
    },
    {
      name: 'the same as an absolute URI (RFC 9112, 3.2.4)',
      text: `${requestLine('http://example.com', 'OPTIONS')}${HOST}\r\n\r\n`,
      head: { path: '*' },
    },
    {
      name: 'CONNECT',
      text: `${requestLine('example.com:443', 'CONNECT')}Host: example.com:443\r\n\r\n`,
      head: { method: 'CONNECT', path: '', authority: 'example.com:443' },
    },
    {
      name: 'any method',
      text: `${requestLine('/', "M-SEARCH.!#$%&'*+^_`|~")}${HOST}\r\n\r\n`,
      head: { method: "M-SEARCH.!#$%&'*+^_`|~" },
    },
    {
      name: 'an IPv4 host',
      text: get('Host: 127.0.0.1:8080'),
      head: { authority: '127.0.0.1:8080' },
    },
    { name: 'an IPv6 host', text: get('Host: [::1]:8080'), head: { authority: '[::1]:8080' } },
    {
      name: 'an IPv6 host, no port',
      text: get('Host: [fe80::A]'),
      head: { authority: '[fe80::A]' },
    },
    { name: 'underscores', text: get('Host: a_b.c-d.'), head: { authority: 'a_b.c-d.' } },
    {
      name: 'obs-text in a value',
      text: get(HOST, 'X: \xff\x80'),
      head: {
        fields: [
          ['Host', 'example.com'],
          ['X', '\xff\x80'],
        ],
      },
    },
    {
      name: 'an empty line first',
      text: `\r\n\r\n${get(HOST)}`,
      head: { method: 'GET', path: '/' },
    },
  ])('$name', ({ text, head }) => {
    const told = read(text)
    expect(told).toBeTypeOf('object')
    const { fields, ...rest } = told as RequestHead
    expect({ ...rest, fields: pairsOf(fields) }).toMatchObject(head)
  })

  test('the usual methods, and what is nearly one', () => {
    for (const method of [
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'DELETE',
      'OPTIONS',
      'PATCH',
      'G',
      'GE',
      'GOT',
      'Get',
    ]) {
      expect(read(`${requestLine('/', method)}${HOST}\r\n\r\n`)).toMatchObject({ method })
    }
  })
})

describe('a head that is refused', () => {
  test.each([
    { fault: 'blank-lines', text: `${'\r\n'.repeat(5)}${get(HOST)}` },
    { fault: 'line-end', text: `\rX${get(HOST)}` },
    { fault: 'method', text: `\n${get(HOST)}` },
    { fault: 'method', text: '\x16\x03\x01\x02' },
    { fault: 'request-line', text: 'GET /\r\n' },
    { fault: 'target', text: 'GET /a#b HTTP/1.1\r\n' },
    { fault: 'version', text: 'PRI * HTTP/2.0\r\n' },
    { fault: 'request-line', text: 'GET / HTTP/1.1 \r\n' },
    { fault: 'line-end', text: 'GET / HTTP/1.1\n' },
    { fault: 'fold', text: get(HOST, ' a: b') },
    { fault: 'field-name', text: get(HOST, 'a : b') },
    { fault: 'field-name', text: get(HOST, 'a') },
    { fault: 'field-name', text: get(HOST, ': b') },
    { fault: 'field-value', text: get(HOST, 'a: \x00') },
    { fault: 'line-end', text: get(HOST, 'a: b\rc') },
    { fault: 'line-end', text: get(HOST, 'a: b\nc: d') },
    { fault: 'line-end', text: get(HOST, 'a\rb: c') },
    { fault: 'line-end', text: get(HOST, 'a\nb: c') },
    { fault: 'host', text: get() },
    { fault: 'host', text: get(HOST, HOST) },
    { fault: 'host', text: get('Host: a,b') },
    { fault: 'host', text: get(`Host: ${'a'.repeat(263)}`) },
    { fault: 'authority', text: `${requestLine('http://a/')}Host: b\r\n\r\n` },
    { fault: 'length', text: get(HOST, 'Content-Length: 1', 'Content-Length: 1') },
    { fault: 'length', text: get(HOST, 'Content-Length: 10000000000000000') },
    { fault: 'two-lengths', text: get(HOST, 'Content-Length: 1', 'Transfer-Encoding: chunked') },
    { fault: 'transfer-encoding', text: get(HOST, 'Transfer-Encoding: gzip') },
    { fault: 'transfer-encoding', text: get(HOST, 'Transfer-Encoding: chunked, chunked') },
    { fault: 'coding', text: get(HOST, 'Transfer-Encoding: gzip, chunked') },
    { fault: 'expectation', text: get(HOST, 'Expect: 200-ok') },
  ])('$fault: $text', ({ fault, text }) => {
    expect(read(text)).toBe(fault)
  })

  test('each by its status', () => {
    expect(statusOf('target-too-long')).toBe(414)
    expect(statusOf('expectation')).toBe(417)
    expect(statusOf('line-too-long')).toBe(431)
    expect(statusOf('head-too-large')).toBe(431)
    expect(statusOf('too-many-fields')).toBe(431)
    expect(statusOf('coding')).toBe(501)
    expect(statusOf('version')).toBe(505)
    expect(statusOf('host')).toBe(400)
  })

  test('what can no longer become a head is refused before its line ends', () => {
    const reader = new RequestReader(latin1Of)
    expect(reader.read(octets('\x16'), 0, LIMITS)).toBe('refused')
    const other = new RequestReader(latin1Of)
    expect(other.read(octets('GET /\x01'), 0, LIMITS)).toBe('refused')
  })
})

describe('limits, at the most and one above', () => {
  const limits = { headBytesMax: 200, lineBytesMax: 60, fieldsMax: 4 }
  const line = (bytes: number): string => `a: ${'b'.repeat(bytes - 3)}`
  const target = (bytes: number): string => `/${'a'.repeat(bytes - 1)}`

  test.each([
    // `GET ` and ` HTTP/1.1` are 13 of the line.
    { name: 'target', text: `${requestLine(target(47))}${HOST}\r\n\r\n`, told: 'object' },
    { name: 'target', text: `${requestLine(target(48))}${HOST}\r\n\r\n`, told: 'target-too-long' },
    { name: 'endless target', text: `GET /${'a'.repeat(300)}`, told: 'target-too-long' },
    { name: 'endless version', text: `GET / ${'a'.repeat(300)}`, told: 'target-too-long' },
    { name: 'endless method', text: 'G'.repeat(300), told: 'method' },
    { name: 'line', text: get(HOST, line(60)), told: 'object' },
    { name: 'line', text: get(HOST, line(61)), told: 'line-too-long' },
    { name: 'endless value', text: `${requestLine('/')}${line(300)}`, told: 'line-too-long' },
    { name: 'endless name', text: `${requestLine('/')}${'a'.repeat(300)}`, told: 'line-too-long' },
    { name: 'fields', text: get(HOST, 'a:', 'a:', 'a:'), told: 'object' },
    { name: 'fields', text: get(HOST, 'a:', 'a:', 'a:', 'a:'), told: 'too-many-fields' },
    // 16 of the request line, 19 of Host, 2 at the end: 163 are left for two of 62 and one of 39.
    { name: 'head', text: get(HOST, line(60), line(60), line(37)), told: 'object' },
    { name: 'head', text: get(HOST, line(60), line(60), line(38)), told: 'head-too-large' },
    { name: 'head', text: get(HOST, line(60), line(60), line(60)), told: 'head-too-large' },
  ])('$name: $told', ({ text, told }) => {
    const result = read(text, limits)
    expect(typeof result === 'string' ? result : typeof result).toBe(told)
  })

  test('a body does not count', () => {
    expect(read(`${get(HOST, 'Content-Length: 400')}${'a'.repeat(400)}`, limits)).toBeTypeOf(
      'object',
    )
  })
})

describe('a connection', () => {
  test('goes on where its head ended', () => {
    const reader = new RequestReader(latin1Of)
    const bytes = octets(`xx${get(HOST)}${get(HOST, 'A: b')}rest`)
    expect(reader.isEmpty).toBe(true)
    expect(reader.read(bytes, 2, LIMITS)).toBe('head')
    expect(reader.end).toBe(2 + get(HOST).length)
    expect(reader.read(bytes, reader.end, LIMITS)).toBe('head')
    expect(reader.head.fields.count).toBe(2)
    expect(reader.end).toBe(bytes.length - 4)
    expect(reader.read(bytes, reader.end, LIMITS)).toBe('more')
    expect(reader.isEmpty).toBe(false)
  })

  test('an index counts in the bytes last read, whatever was gathered before', () => {
    const text = get(HOST)
    for (let at = 1; at < text.length; at++) {
      const reader = new RequestReader(latin1Of)
      expect(reader.read(octets(`..${text.slice(0, at)}`), 2, LIMITS)).toBe('more')
      expect(reader.read(octets(`...${text.slice(at)}!`), 3, LIMITS)).toBe('head')
      expect(reader.end).toBe(3 + text.length - at)
      expect(reader.isEmpty).toBe(true)
    }
  })

  test('empty lines between two requests are none, also in pieces', () => {
    const reader = new RequestReader(latin1Of)
    expect(reader.read(octets('\r\n'), 0, LIMITS)).toBe('more')
    expect(reader.isEmpty).toBe(true)
    expect(reader.read(octets('\r'), 0, LIMITS)).toBe('more')
    expect(reader.read(octets('\n'), 0, LIMITS)).toBe('more')
    expect(reader.isEmpty).toBe(true)
    expect(reader.read(octets(get(HOST)), 0, LIMITS)).toBe('head')
    expect(reader.read(octets(`\r\n\r\n\r\n\r\n${get(HOST)}`), 0, LIMITS)).toBe('head')
  })

  // What was read of the fields before is used again when they are the same: whatever else changed.
  test.each([
    {
      name: 'method and target',
      then: `${requestLine('/b?c', 'PUT')}${HOST}\r\nContent-Length: 1\r\n\r\n`,
    },
    {
      name: 'one letter of a value',
      then: `${requestLine('/')}Host: example.org\r\nContent-Length: 1\r\n\r\n`,
    },
    {
      name: 'one digit of a length',
      then: `${requestLine('/')}${HOST}\r\nContent-Length: 2\r\n\r\n`,
    },
    {
      name: 'one letter of a name',
      then: `${requestLine('/')}${HOST}\r\nContent-Lengtn: 1\r\n\r\n`,
    },
    { name: 'the version', then: `GET / HTTP/1.0\r\n${HOST}\r\nContent-Length: 1\r\n\r\n` },
    {
      name: 'a target of another host',
      then: `${requestLine('http://b/')}${HOST}\r\nContent-Length: 1\r\n\r\n`,
    },
    {
      name: 'a length more',
      then: `${requestLine('/')}${HOST}\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n`,
    },
    { name: 'an empty line less', then: `${requestLine('/')}${HOST}\r\nContent-Length: 1\r\n` },
    { name: 'fewer fields', then: `${requestLine('/')}${HOST}\r\n\r\n` },
    {
      name: 'a first line that takes more',
      then: `${requestLine(`/${'a'.repeat(16_330)}`)}${HOST}\r\nContent-Length: 1\r\n\r\n`,
    },
    { name: 'nothing', then: `${requestLine('/')}${HOST}\r\nContent-Length: 1\r\n\r\n` },
  ])('a second head that differs in: $name', ({ then }) => {
    const first = `${requestLine('/')}${HOST}\r\nContent-Length: 1\r\n\r\n`
    const limits = { ...LIMITS, lineBytesMax: 16_384 }
    const used = new RequestReader(latin1Of)
    const fresh = new RequestReader(latin1Of)
    const bytes = octets(`${then}body of this request\r\n\r\n`)
    expect(used.read(octets(first), 0, limits)).toBe('head')
    const readings = [used.read(bytes, 0, limits), fresh.read(bytes, 0, limits)]
    expect(readings[0]).toBe(readings[1])
    expect(used.fault).toBe(fresh.fault)
    if (readings[1] !== 'head') return
    expect({ ...used.head, fields: pairsOf(used.head.fields) }).toEqual({
      ...fresh.head,
      fields: pairsOf(fresh.head.fields),
    })
    expect(used.end).toBe(fresh.end)
  })

  test('a head that ends earlier, where its body looks like the end of the one before', () => {
    const reader = new RequestReader(latin1Of)
    const first = get(HOST, 'Content-Length: 1')
    expect(reader.read(octets(first), 0, LIMITS)).toBe('head')
    const short = get(HOST)
    const body = `${'x'.repeat(first.length - short.length - 4)}\r\n\r\n`
    expect(reader.read(octets(`${short}${body}`), 0, LIMITS)).toBe('head')
    expect(reader.end).toBe(short.length)
    expect(reader.head.fields.text).toBe(short)
  })

  test('other limits hold for fields that were taken before', () => {
    const reader = new RequestReader(latin1Of)
    expect(reader.read(octets(get(HOST, 'a: b')), 0, LIMITS)).toBe('head')
    expect(reader.read(octets(get(HOST, 'a: b')), 0, { ...LIMITS, fieldsMax: 1 })).toBe('refused')
  })

  test('HTTP/1.0 without Host keeps none of a target before it', () => {
    const reader = new RequestReader(latin1Of)
    const fields = 'Connection: keep-alive\r\n\r\n'
    expect(reader.read(octets(`GET http://a/ HTTP/1.0\r\n${fields}`), 0, LIMITS)).toBe('head')
    expect(reader.head.authority).toBe('a')
    expect(reader.read(octets(`GET / HTTP/1.0\r\n${fields}`), 0, LIMITS)).toBe('head')
    expect(reader.head.authority).toBe('')
    expect(reader.read(octets(`GET http://b/ HTTP/1.0\r\n${fields}`), 0, LIMITS)).toBe('head')
    expect(reader.head.authority).toBe('b')
  })
})
