/** Where a chunk begins and ends (RFC 9112, 7.1). */
import { type Payload, post, SMUGGLED } from './payload.ts'

const CHUNKED = ['Transfer-Encoding: chunked']
const refused = { refuseBody: 400 }
const END = '0\r\n\r\n'

const sizes: readonly Payload[] = [
  '+3',
  '-3',
  '0x3',
  '3_',
  '_3',
  ' 3',
  '3 ',
  '\t3',
  '3\t',
  '3\x00',
  '3\x0b',
  '',
  'g',
  '3.0',
  '3,',
  '"3"',
  '3h',
  '0003g',
  '00000000000000003',
  '10000000000000003',
  'ffffffffffffffff',
  '20000000000000',
  '\xff3',
].map((size) => ({
  class: 'chunk-size',
  name: JSON.stringify(size),
  text: post(CHUNKED, `${size}\r\nabc\r\n${END}`),
  strict: refused,
}))

const extensions: readonly Payload[] = [
  {
    class: 'chunk-extension',
    name: 'one that says nothing to us',
    text: post(CHUNKED, `3;name="a;b"\r\nabc\r\n${END}`),
    strict: { forward: ['abc'] },
  },
  {
    class: 'chunk-extension',
    name: 'of the last chunk',
    text: post(CHUNKED, '3\r\nabc\r\n0;a=b\r\n\r\n'),
    strict: { forward: ['abc'] },
  },
  {
    class: 'TERM.EXT',
    name: 'a bare LF ends the line inside an extension',
    text: post(CHUNKED, `3;\nxx\r\nabc\r\n${END}${SMUGGLED}`),
    strict: refused,
  },
  {
    class: 'EXT.TERM',
    name: 'a bare LF right after the size',
    text: post(CHUNKED, `3\nabc\r\n${END}`),
    strict: refused,
  },
  {
    class: 'TERM.EXT',
    name: 'a bare CR inside an extension',
    text: post(CHUNKED, `3;a\rb\r\nabc\r\n${END}`),
    strict: refused,
  },
  {
    class: 'TERM.EXT',
    name: 'a bare CR after the size',
    text: post(CHUNKED, `3\rX\r\nabc\r\n${END}`),
    strict: refused,
  },
  {
    class: 'EXT.TERM',
    name: 'CR CR LF after the size',
    text: post(CHUNKED, `3\r\r\nabc\r\n${END}`),
    strict: refused,
  },
  {
    class: 'TERM.EXT',
    name: 'a quoted string over two lines',
    text: post(CHUNKED, `3;a="\r\nabc\r\n${END}`),
    strict: refused,
  },
  ...(
    [
      ';',
      ';;a',
      ';=b',
      ';a=',
      ';a=;b',
      ';a b',
      ';a="b"c',
      ';a="b',
      ';a=b"c"',
      ';a=="b"',
      ';a="\\"',
      ';a="\x00"',
    ] as const
  ).map((extension) => ({
    class: 'chunk-extension',
    name: `none: ${JSON.stringify(extension)}`,
    text: post(CHUNKED, `3${extension}\r\nabc\r\n${END}`),
    strict: refused,
  })),
  {
    class: 'chunk-extension',
    name: 'with escapes',
    text: post(CHUNKED, `3;a;b=c;d="\\"\\\\;e=";f\r\nabc\r\n${END}`),
    strict: { forward: ['abc'] },
  },
  {
    class: 'chunk-extension',
    name: 'NUL inside',
    text: post(CHUNKED, `3;a\x00b\r\nabc\r\n${END}`),
    strict: refused,
  },
  {
    class: 'chunk-extension',
    name: 'after white space',
    text: post(CHUNKED, `3 ;a=b\r\nabc\r\n${END}`),
    strict: refused,
  },
  {
    class: 'chunk-extension',
    name: 'without end',
    text: post(CHUNKED, `3;${'a'.repeat(4500)}\r\nabc\r\n${END}`),
    strict: refused,
  },
]

const data: readonly Payload[] = [
  {
    class: 'TERM.SPILL',
    name: 'two bytes after the data that are no CRLF',
    text: post(CHUNKED, `5\r\nAAAAAXX${(0x25).toString(16)}\r\n\r\n${END}`),
    strict: refused,
  },
  {
    class: 'SPILL.TERM',
    name: 'a bare LF after the data',
    text: post(CHUNKED, `3\r\nabc\n${END}`),
    strict: refused,
  },
  {
    class: 'SPILL.TERM',
    name: 'a bare CR after the data',
    text: post(CHUNKED, `3\r\nabc\r${END}`),
    strict: refused,
  },
  {
    class: 'SPILL.TERM',
    name: 'nothing after the data',
    text: post(CHUNKED, `3\r\nabc${END}`),
    strict: refused,
  },
  {
    class: 'SPILL.TERM',
    name: 'more data than the size',
    text: post(CHUNKED, `3\r\nabcd\r\n${END}`),
    strict: refused,
  },
  {
    class: 'last chunk',
    name: 'zeros',
    text: post(CHUNKED, '3\r\nabc\r\n0000\r\n\r\n'),
    strict: { forward: ['abc'] },
  },
  {
    class: 'last chunk',
    name: 'ends with a bare LF',
    text: post(CHUNKED, `0\r\n\n${SMUGGLED}`),
    strict: refused,
  },
  {
    class: 'last chunk',
    name: 'CR CR LF at the end',
    text: post(CHUNKED, `0\r\n\r\r\n${SMUGGLED}`),
    strict: refused,
  },
  {
    class: 'last chunk',
    name: 'what follows at once is taken for a trailer',
    text: post(CHUNKED, `0\r\n${SMUGGLED}`),
    strict: refused,
  },
]

const trailers: readonly Payload[] = [
  {
    class: 'trailer',
    name: 'an honest one',
    text: post(CHUNKED, '3\r\nabc\r\n0\r\nDigest: 1\r\n\r\n'),
    strict: { forward: ['abc'] },
  },
  ...(
    [
      ['a length', 'Content-Length: 40\r\n\r\n'],
      ['a coding', 'transfer-encoding: chunked\r\n\r\n'],
      ['a host', 'Host: internal\r\n\r\n'],
      ['the end of the connection', 'Connection: close\r\n\r\n'],
      ['another protocol', 'a: b\r\nUpgrade: h2c\r\n\r\n'],
      ['white space before the colon', 'a : b\r\n\r\n'],
      ['a fold', 'a: b\r\n c\r\n\r\n'],
      ['a bare LF', 'a: b\n\r\n'],
      ['a bare CR', 'a: b\rc: d\r\n\r\n'],
      ['NUL', 'a: \x00\r\n\r\n'],
      ['no name', ': b\r\n\r\n'],
      ['too long', `a: ${'b'.repeat(9000)}\r\n\r\n`],
    ] as const
  ).map(([name, rest]) => ({
    class: 'trailer',
    name,
    text: post(CHUNKED, `3\r\nabc\r\n0\r\n${rest}`),
    strict: { refuseBody: name === 'too long' ? 431 : 400 },
  })),
]

export const CHUNKS: readonly Payload[] = [...sizes, ...extensions, ...data, ...trailers]
