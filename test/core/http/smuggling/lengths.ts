/** Which of two framings holds, and how long a body is (RFC 9112, 6). */
import { lines, type Payload, post, SMUGGLED, SMUGGLED_CHUNK } from './payload.ts'

const CHUNKED = 'Transfer-Encoding: chunked'
const refused = { refuse: 400 }

const both: readonly Payload[] = [
  {
    class: 'CL.TE',
    name: 'a length that covers what follows the last chunk',
    text: post([`Content-Length: ${5 + SMUGGLED.length}`, CHUNKED], `0\r\n\r\n${SMUGGLED}`),
    strict: refused,
  },
  {
    class: 'CL.TE',
    name: 'the published one of six bytes',
    text: post(['Content-Length: 6', CHUNKED], '0\r\n\r\nG'),
    strict: refused,
  },
  {
    class: 'TE.CL',
    name: 'a length that ends inside the first chunk head',
    text: post([CHUNKED, 'Content-Length: 4'], SMUGGLED_CHUNK),
    strict: refused,
  },
  {
    class: 'TE.CL',
    name: 'a length of nothing before chunks',
    text: post(['Content-Length: 0', CHUNKED], SMUGGLED_CHUNK),
    strict: refused,
  },
  {
    class: 'CL.TE',
    name: 'both with agreeing lengths',
    text: post(['Content-Length: 5', CHUNKED], '0\r\n\r\n'),
    strict: refused,
  },
]

const lengths: readonly Payload[] = [
  ...(
    [
      ['two, different', ['Content-Length: 0', `Content-Length: ${SMUGGLED.length}`]],
      ['two, equal', [`Content-Length: ${SMUGGLED.length}`, `Content-Length: ${SMUGGLED.length}`]],
      ['a list of equal ones', [`Content-Length: ${SMUGGLED.length}, ${SMUGGLED.length}`]],
      ['a list of different ones', [`Content-Length: 0, ${SMUGGLED.length}`]],
      ['two, in different case', ['content-length: 0', `CONTENT-LENGTH: ${SMUGGLED.length}`]],
    ] as const
  ).map(([name, fields]) => ({
    class: 'CL.CL',
    name,
    text: post(fields, SMUGGLED),
    strict: refused,
  })),
  ...[
    '+5',
    '-5',
    '5 ,',
    '5;',
    '0x5',
    '5e0',
    '5.0',
    '5_0',
    '5 5',
    '"5"',
    '',
    '٥',
    '05',
    '9007199254740992',
    '18446744073709551621',
    '5\u00a0',
    "'5'",
  ].map((value) => ({
    class: 'CL',
    name: `a length that is no plain number: ${JSON.stringify(value)}`,
    text: post([`Content-Length: ${value.replace('٥', '\xd9\xa5')}`], 'aaaaa'),
    strict: refused,
  })),
  {
    class: 'CL',
    name: 'white space around a plain length',
    text: post(['Content-Length: \t 5 \t'], 'aaaaa'),
    strict: { forward: ['aaaaa'] },
  },
  {
    class: 'CL.0',
    name: 'a request in the body of a POST',
    text: post([`Content-Length: ${SMUGGLED.length}`], SMUGGLED),
    strict: { forward: [SMUGGLED] },
  },
  {
    class: 'CL.0',
    name: 'a request in the body of a GET',
    text: `${lines('GET /image.png HTTP/1.1', 'Host: example.com', `Content-Length: ${SMUGGLED.length}`, '')}${SMUGGLED}`,
    strict: { forward: [SMUGGLED] },
  },
  {
    class: '0.CL',
    name: 'a length that hides behind an expectation',
    text: post(['Expect: 100-continue', `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
    strict: { forward: [SMUGGLED] },
  },
  {
    class: '0.CL',
    name: 'an expectation that is none',
    text: post(['Expect: y 100-continue', `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
    strict: { refuse: 417 },
  },
  {
    class: '0.CL',
    name: 'an expectation said twice',
    text: post(
      ['Expect: 100-continue', 'Expect: 100-continue', `Content-Length: ${SMUGGLED.length}`],
      SMUGGLED,
    ),
    strict: { refuse: 417 },
  },
  {
    class: 'no body',
    name: 'a POST without any length, and a second request',
    text: `${post([], '')}${SMUGGLED}`,
    strict: { forward: ['', ''] },
  },
  {
    class: 'pipelining',
    name: 'an honest second request after a body in chunks',
    text: `${post([CHUNKED], '3\r\nabc\r\n0\r\n\r\n')}${SMUGGLED}`,
    strict: { forward: ['abc', ''] },
  },
]

const codings: readonly Payload[] = [
  ...[
    'xchunked',
    'chunkedx',
    'chunked, chunked',
    'chunked, identity',
    'identity',
    'cow',
    'chunked;q=1',
    '"chunked"',
    'chunked ,',
    ', chunked',
    'chunked\x0b',
    'chunked\x00',
    '\x0bchunked',
    'chu\tnked',
    'chunked chunked',
    'chunked\xa0',
    '\xa0chunked',
    'chunK\xe9d',
    '',
    '[chunked]',
    'chunked-',
  ].map((value) => ({
    class: 'TE.TE',
    name: `not exactly chunked: ${JSON.stringify(value)}`,
    text: post([`Transfer-Encoding: ${value}`], SMUGGLED_CHUNK),
    strict: refused,
  })),
  ...[
    ['gzip, chunked', 501],
    ['identity,chunked', 501],
  ].map(([value, status]) => ({
    class: 'TE.TE',
    name: `a coding before chunked: ${value}`,
    text: post([`Transfer-Encoding: ${value}`], SMUGGLED_CHUNK),
    strict: { refuse: Number(status) },
  })),
  ...(
    [
      ['two of the same', [CHUNKED, CHUNKED]],
      ['one real, one not', [CHUNKED, 'Transfer-encoding: cow']],
      ['one not, one real', ['Transfer-Encoding: identity', CHUNKED]],
      ['an empty one first', ['Transfer-Encoding:', CHUNKED]],
    ] as const
  ).map(([name, fields]) => ({
    class: 'TE.TE',
    name,
    text: post(fields, SMUGGLED_CHUNK),
    strict: refused,
  })),
  {
    class: 'TE.0',
    name: 'chunks whose data is a request',
    text: post([CHUNKED], SMUGGLED_CHUNK),
    strict: { forward: [SMUGGLED] },
  },
  {
    class: 'TE.0',
    name: 'chunks of an OPTIONS',
    text: `${lines('OPTIONS / HTTP/1.1', 'Host: example.com', CHUNKED, '')}${SMUGGLED_CHUNK}`,
    strict: { forward: [SMUGGLED] },
  },
  {
    class: 'TE.TE',
    name: 'in any case',
    text: post(['TRANSFER-ENCODING: \tChUnKeD '], '3\r\nabc\r\n0\r\n\r\n'),
    strict: { forward: ['abc'] },
  },
  {
    class: 'TE in 1.0',
    name: 'chunked in HTTP/1.0',
    text: `${lines('POST / HTTP/1.0', 'Host: example.com', CHUNKED, '')}${SMUGGLED_CHUNK}`,
    strict: refused,
  },
  {
    class: 'TE in 1.0',
    name: 'chunked in HTTP/1.0 with a length and keep-alive',
    text: `${lines('POST / HTTP/1.0', 'Host: example.com', 'Connection: keep-alive', 'Content-Length: 5', CHUNKED, '')}${SMUGGLED_CHUNK}`,
    strict: refused,
  },
  {
    class: 'hop-by-hop',
    name: 'Connection names Content-Length',
    text: post(['Connection: Content-Length', `Content-Length: ${SMUGGLED.length}`], SMUGGLED),
    strict: { forward: [SMUGGLED] },
  },
  {
    class: 'hop-by-hop',
    name: 'Connection names Transfer-Encoding',
    text: post(['Connection: Transfer-Encoding', CHUNKED], SMUGGLED_CHUNK),
    strict: { forward: [SMUGGLED] },
  },
]

export const LENGTHS: readonly Payload[] = [...both, ...lengths, ...codings]
