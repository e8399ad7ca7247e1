import { describe, expect, test } from 'vitest'
import { latin1Of } from '../../../../core/http/head/latin1.ts'
import { type ResponseHead, ResponseReader } from '../../../../core/http/head/response.ts'
import { LIMITS, octets, pairsOf, waysToSend } from '../messages.ts'

const lines = (...each: readonly string[]): string => each.map((line) => `${line}\r\n`).join('')
const ok = (...fields: readonly string[]): string => lines('HTTP/1.1 200 OK', ...fields, '')

type Told = Partial<Omit<ResponseHead, 'fields'>> & { fields?: readonly (readonly string[])[] }

function read(text: string, method = 'GET'): string | ResponseHead {
  let told: string | ResponseHead | undefined
  let first: unknown
  for (const pieces of waysToSend(octets(text))) {
    const reader = new ResponseReader(latin1Of)
    let reading = 'more'
    for (const piece of pieces) {
      reading = reader.read(piece, 0, LIMITS, method)
      if (reading !== 'more') break
    }
    told = reading === 'head' ? reader.head : `${reader.fault ?? reading}`
    const plain =
      reading === 'head' ? { ...reader.head, fields: pairsOf(reader.head.fields) } : told
    first ??= plain
    expect(plain).toEqual(first)
  }
  return told!
}

describe('a head that is taken', () => {
  test.each<{ name: string; text: string; head: Told; method?: string }>([
    {
      name: 'a usual one',
      text: ok('Content-Length: 5', 'Set-Cookie: a', 'Set-Cookie: b'),
      head: {
        status: 200,
        reason: 'OK',
        minor: 1,
        body: 5,
        wantsClose: false,
        keepAliveMs: undefined,
        upgrade: '',
        fields: [
          ['Content-Length', '5'],
          ['Set-Cookie', 'a'],
          ['Set-Cookie', 'b'],
        ],
      },
    },
    {
      name: 'chunks',
      text: ok('Transfer-Encoding: chunked'),
      head: { body: -1, wantsClose: false },
    },
    { name: 'no length', text: ok(), head: { body: -2, wantsClose: true } },
    {
      name: 'no length of HTTP/1.0',
      text: lines('HTTP/1.0 200 OK', ''),
      head: { minor: 0, body: -2, wantsClose: true },
    },
    {
      name: 'HTTP/1.0 that does not say that it stays',
      text: lines('HTTP/1.0 200 OK', 'Content-Length: 1', ''),
      head: { minor: 0, body: 1, wantsClose: true },
    },
    {
      name: 'HTTP/1.0 that stays',
      text: lines('HTTP/1.0 200 OK', 'Connection: keep-alive', 'Content-Length: 1', ''),
      head: { minor: 0, body: 1, wantsClose: false },
    },
    {
      name: 'close',
      text: ok('Connection: close', 'Content-Length: 1'),
      head: { wantsClose: true },
    },
    {
      name: 'no reason',
      text: lines('HTTP/1.1 404 ', 'Content-Length: 0', ''),
      head: { status: 404, reason: '' },
    },
    {
      name: 'no reason and no space before it',
      text: lines('HTTP/1.1 404', 'Content-Length: 0', ''),
      head: { status: 404, reason: '' },
    },
    {
      name: 'a long reason',
      text: lines('HTTP/1.1 404 No \xe9 one  here ', ''),
      head: { reason: 'No \xe9 one  here ' },
    },
    {
      name: 'an interim one',
      text: lines('HTTP/1.1 103 Early Hints', 'Link: <a>', ''),
      head: { status: 103, body: 0, wantsClose: false },
    },
    {
      name: 'no content',
      text: lines('HTTP/1.1 204 No Content', ''),
      head: { body: 0, wantsClose: false },
    },
    {
      name: 'no content, and its length',
      text: lines('HTTP/1.1 204 No Content', 'Content-Length: 0', ''),
      head: { body: 0 },
    },
    {
      name: 'not modified, with the length it would have',
      text: lines('HTTP/1.1 304 Not Modified', 'Content-Length: 5', ''),
      head: { body: 0 },
    },
    {
      name: 'of HEAD, with a length',
      method: 'HEAD',
      text: ok('Content-Length: 5'),
      head: { body: 0 },
    },
    {
      name: 'of HEAD, with chunks',
      method: 'HEAD',
      text: ok('Transfer-Encoding: chunked'),
      head: { body: 0 },
    },
    {
      name: 'of HEAD, without anything',
      method: 'HEAD',
      text: ok(),
      head: { body: 0, wantsClose: false },
    },
    { name: 'of CONNECT', method: 'CONNECT', text: ok('Content-Length: 5'), head: { body: 0 } },
    {
      name: 'of CONNECT, refused',
      method: 'CONNECT',
      text: lines('HTTP/1.1 403 No', 'Content-Length: 5', ''),
      head: { body: 5 },
    },
    {
      name: 'proxy W42: switching protocols keeps all its fields',
      text: lines(
        'HTTP/1.1 101 Switching Protocols',
        'Connection: Upgrade',
        'Upgrade: WebSocket',
        'Sec-WebSocket-Accept: a=',
        'Sec-WebSocket-Protocol: b',
        '',
      ),
      head: {
        status: 101,
        body: 0,
        upgrade: 'websocket',
        fields: [
          ['Connection', 'Upgrade'],
          ['Upgrade', 'WebSocket'],
          ['Sec-WebSocket-Accept', 'a='],
          ['Sec-WebSocket-Protocol', 'b'],
        ],
      },
    },
    {
      name: 'kept so long',
      text: ok('Keep-Alive: timeout=5, max=100'),
      head: { keepAliveMs: 5000 },
    },
    {
      name: 'kept so long, in other words',
      text: ok('Keep-Alive: max=5 , TIMEOUT=15'),
      head: { keepAliveMs: 15_000 },
    },
    {
      name: 'kept for some time',
      text: ok('Keep-Alive: xtimeout=5, timeout=5s'),
      head: { keepAliveMs: undefined },
    },
  ])('$name', ({ text, head, method }) => {
    const told = read(text, method)
    expect(told).toBeTypeOf('object')
    const { fields, ...rest } = told as ResponseHead
    expect({ ...rest, fields: pairsOf(fields) }).toMatchObject(head)
  })
})

describe('a head that is refused', () => {
  test.each([
    { fault: 'status-line', text: '\r\nHTTP/1.1 200 OK\r\n\r\n' },
    { fault: 'status-line', text: 'X' },
    { fault: 'status-line', text: 'HTTX/1.1 200 OK\r\n' },
    { fault: 'status-line', text: '<html>\r\n' },
    { fault: 'status-line', text: lines('HTTP/1.1', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 20', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 2000 OK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 2x0 OK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 099 OK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 600 OK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1  200 OK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1\t200 OK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 200\tOK', '') },
    { fault: 'status-line', text: lines('HTTP/1.1 200 O\x00K', '') },
    { fault: 'status-line', text: lines('ICY 200 OK and more', '') },
    { fault: 'version', text: lines('HTTP/2.0 200 OK', '') },
    { fault: 'version', text: lines('HTTP/1.2 200 OK', '') },
    { fault: 'version', text: lines('HTTP/0.9 200 OK', '') },
    { fault: 'line-end', text: 'HTTP/1.1 200 OK\n\n' },
    { fault: 'line-end', text: 'HTTP/1.1 200 OK\rX\r\n' },
    { fault: 'line-end', text: 'HTTP/1.1 200 OK\r\nA: b\n\n' },
    { fault: 'fold', text: ok('A: b', ' c') },
    { fault: 'field-name', text: ok('A : b') },
    { fault: 'two-lengths', text: ok('Content-Length: 1', 'Transfer-Encoding: chunked') },
    { fault: 'length', text: ok('Content-Length: 1', 'Content-Length: 1') },
    { fault: 'length', text: ok('Content-Length: 1, 1') },
    { fault: 'length', text: ok('Content-Length: +1') },
    { fault: 'transfer-encoding', text: ok('Transfer-Encoding: gzip') },
    { fault: 'coding', text: ok('Transfer-Encoding: gzip, chunked') },
    {
      fault: 'transfer-encoding',
      text: lines('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked', ''),
    },
    { fault: 'length', text: lines('HTTP/1.1 204 No Content', 'Content-Length: 5', '') },
    {
      fault: 'transfer-encoding',
      text: lines('HTTP/1.1 204 No Content', 'Transfer-Encoding: chunked', ''),
    },
    { fault: 'length', text: lines('HTTP/1.1 100 Continue', 'Content-Length: 5', '') },
  ])('$fault: $text', ({ fault, text }) => {
    expect(read(text)).toBe(fault)
  })

  test('of HEAD too, when its lengths say two things', () => {
    expect(read(ok('Content-Length: 1', 'Content-Length: 2'), 'HEAD')).toBe('length')
  })

  test('a status line without end', () => {
    expect(read(`HTTP/1.1 200 ${'a'.repeat(9000)}`)).toBe('line-too-long')
  })
})

// What was read of the fields before is used again when they are the same.
test.each([
  { name: 'the same', then: ok('Content-Length: 5'), method: 'GET' },
  { name: 'of HEAD', then: ok('Content-Length: 5'), method: 'HEAD' },
  {
    name: 'not modified',
    then: lines('HTTP/1.1 304 Not Modified', 'Content-Length: 5', ''),
    method: 'GET',
  },
  {
    name: 'no content',
    then: lines('HTTP/1.1 204 No Content', 'Content-Length: 5', ''),
    method: 'GET',
  },
  { name: 'HTTP/1.0', then: lines('HTTP/1.0 200 OK', 'Content-Length: 5', ''), method: 'GET' },
  { name: 'another length', then: ok('Content-Length: 6'), method: 'GET' },
  {
    name: 'another reason',
    then: lines('HTTP/1.1 200 Yes', 'Content-Length: 5', ''),
    method: 'GET',
  },
])('a second head: $name', ({ then, method }) => {
  const used = new ResponseReader(latin1Of)
  const fresh = new ResponseReader(latin1Of)
  expect(used.read(octets(ok('Content-Length: 5')), 0, LIMITS, 'GET')).toBe('head')
  const bytes = octets(`${then}12345`)
  const readings = [used.read(bytes, 0, LIMITS, method), fresh.read(bytes, 0, LIMITS, method)]
  expect(readings[0]).toBe(readings[1])
  expect(used.fault).toBe(fresh.fault)
  if (readings[1] !== 'head') return
  expect({ ...used.head, fields: pairsOf(used.head.fields) }).toEqual({
    ...fresh.head,
    fields: pairsOf(fresh.head.fields),
  })
  expect(used.end).toBe(fresh.end)
})
