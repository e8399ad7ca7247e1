/** Messages that are right, or nearly: what two parsers could read differently is likely in them. */
import fc from 'fast-check'

const often = <T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 60 * odd.length, arbitrary: fc.constant(usual) },
    ...odd.map((each) => fc.constant(each)),
  )

const end = often('\r\n', '\n', '\r', '\r\r\n', '\r\n ', '\n\r\n')
const space = often(' ', '', '  ', '\t', '\x0b', '\r\n ', '\xa0')

const name = fc.oneof(
  fc.constantFrom('X-A', 'accept', 'Connection', 'Date', 'x_y', 'A', 'Cookie', 'Keep-Alive'),
  fc.constantFrom('Content-Length', 'content-length', 'Transfer-Encoding', 'TE', 'Host', 'Trailer'),
  {
    weight: 1,
    arbitrary: fc.constantFrom('', 'a b', 'a ', '\x00', 'Content_Length', '\xe9', 'a\t'),
  },
)
const value = fc.oneof(
  fc.constantFrom('', 'a', 'a b', 'a\tb', 'close', 'keep-alive', 'x, close', 'example.com', '\xff'),
  fc.constantFrom(
    '0',
    '5',
    '05',
    '+5',
    '5, 5',
    '5 5',
    '0x5',
    'chunked',
    'Chunked',
    'gzip, chunked',
  ),
  {
    weight: 1,
    arbitrary: fc.constantFrom('a\x00b', 'a\rb', 'a\nb', 'a\r\n b', '\x7f', 'chunked, chunked'),
  },
)
const cleanField = fc.constantFrom(
  'X-A: b\r\n',
  'accept:*/*\r\n',
  'Connection: keep-alive\r\n',
  'Connection: x-a , Close\r\n',
  'Cookie: a=b; c="d"  \r\n',
  'Empty:\r\n',
  'Empty: \t \r\n',
  'x_y.z: \xff\r\n',
)
const oddField = fc
  .tuple(name, often(':', ' :', '', '::'), space, value, often('', ' ', '\t'), end)
  .map((parts) => parts.join(''))
const field = fc.oneof({ weight: 12, arbitrary: cleanField }, oddField)
const host = often(
  'Host: example.com\r\n',
  '',
  'host:example.com:80\r\n',
  'Host: a,b\r\n',
  'Host: \r\n',
)

const size = fc.oneof(
  { weight: 150, arbitrary: fc.nat(12).map((bytes) => bytes.toString(16)) },
  fc.constantFrom(
    '0',
    '00',
    '+1',
    '0x1',
    ' 1',
    '1 ',
    '',
    'g',
    '00000000000000001',
    '1_',
    'A',
    '-1',
  ),
)
const chunk = fc
  .tuple(
    size,
    often('', ';a', ';a="b;c"', ';a="b\\"c";d=e', ';', ';a="', ';a b', ';\x00', ' ;a', ';a\rb'),
    end,
    fc.nat(60),
    end,
  )
  .map(([digits, extension, first, wrong, last]) => {
    const bytes = Number.parseInt(digits, 16) || 0
    const data = 'abcdefghijklmnop'.slice(0, wrong === 60 && bytes > 1 ? bytes - 1 : bytes)
    return `${digits}${extension}${first}${data}${last}`
  })
const chunks = fc
  .tuple(
    fc.array(chunk, { maxLength: 3 }),
    often('0', '000', '0;a', '0 '),
    end,
    fc.array(field, { maxLength: 2 }),
    end,
  )
  .map(
    ([all, zero, first, trailers, last]) => all.join('') + zero + first + trailers.join('') + last,
  )

/** What says how long a body is, with a body of that kind. */
const framed = fc.oneof(
  { weight: 3, arbitrary: fc.constant(['', '']) },
  {
    weight: 3,
    arbitrary: fc
      .nat(9)
      .map((bytes) => [`Content-Length: ${bytes}\r\n`, 'GET / HTTP'.slice(0, bytes)]),
  },
  { weight: 3, arbitrary: chunks.map((body) => ['Transfer-Encoding: chunked\r\n', body]) },
  chunks.map((body) => ['Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', body]),
  chunks.map((body) => ['Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', body]),
  chunks.map((body) => ['Transfer-Encoding: identity\r\n', body]),
)

const version = often('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ')
const requestLine = fc
  .tuple(
    often('GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'get', 'G T', ''),
    space,
    often(
      '/',
      '/a?b=c',
      '*',
      'http://example.com/a',
      'http://b/',
      '/a b',
      '/a#b',
      '/\xe9',
      'a',
      '/"|^',
    ),
    space,
    version,
    end,
  )
  .map((parts) => parts.join(''))
const statusLine = fc
  .tuple(
    version,
    space,
    often('200', '204', '304', '404', '101', '100', '099', '600', '20', '2000', 'abc'),
    often(' OK', ' ', '', ' Not Here', ' \xe9', '\tOK', ' O\x00K'),
    end,
  )
  .map((parts) => parts.join(''))

const messageOf = (
  start: fc.Arbitrary<string>,
  first: fc.Arbitrary<string>,
): fc.Arbitrary<string> =>
  fc
    .tuple(
      start,
      first,
      fc.array(field, { maxLength: 2 }),
      framed,
      fc.array(field, { maxLength: 1 }),
      end,
    )
    .map(([line, one, before, [lengths, body], after, last]) =>
      [line, one, ...before, lengths, ...after, last, body].join(''),
    )

/** What a client sends, one character a byte: a few requests, the first of which may be broken. */
export const anyRequests: fc.Arbitrary<string> = fc
  .array(messageOf(requestLine, host), { minLength: 1, maxLength: 3 })
  .map((each) => each.join(''))

export const anyResponses: fc.Arbitrary<string> = fc
  .array(messageOf(statusLine, fc.constant('')), { minLength: 1, maxLength: 2 })
  .map((each) => each.join(''))

/** Where a text is cut into pieces, as fractions of its length. */
export const anyCuts: fc.Arbitrary<readonly number[]> = fc.array(
  fc.double({ min: 0, max: 1, noNaN: true }),
  { maxLength: 5 },
)

export function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const ends = [...cuts.map((each) => Math.floor(each * bytes.length)), bytes.length]
  ends.sort((a, b) => a - b)
  return ends
    .map((at, n) => bytes.subarray(n === 0 ? 0 : ends[n - 1], at))
    .filter((piece) => piece.length > 0)
}
