/** Which lines a head has, whose names they bear, and whom a request is for (RFC 9112, 2, 3 and 5). */
import { lines, type Payload, post, SMUGGLED, SMUGGLED_CHUNK } from './payload.ts'

const CHUNKED = 'Transfer-Encoding: chunked'
const refused = { refuse: 400 }
const get = (target: string, ...fields: readonly string[]): string =>
  lines(`GET ${target} HTTP/1.1`, ...fields, '')

const names: readonly Payload[] = [
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  ' Transfer-Encoding: chunked',
  '\tTransfer-Encoding: chunked',
  'Transfer-Encoding\x0b: chunked',
  'Transfer-Encoding\x00: chunked',
  'Transfer-Encoding\x7f: chunked',
  'Transfer Encoding: chunked',
  'Transfer-Encoding\xa0: chunked',
  '\x00Transfer-Encoding: chunked',
  '\xffTransfer-Encoding: chunked',
  '(Transfer-Encoding): chunked',
  '"Transfer-Encoding": chunked',
  'Transfer-Encoding',
  'Transfer-Encoding chunked',
  ': chunked',
  ':Transfer-Encoding: chunked',
  'Foo\r\nbar: b',
  'Content-Length\x00: 5',
  'Content-Length : 5',
  ' : 5',
].map((line) => ({
  class: 'header-name',
  name: JSON.stringify(line),
  text: post(['X: y', line], SMUGGLED_CHUNK),
  strict: refused,
}))

const terminators: readonly Payload[] = [
  ...(
    [
      ['LF everywhere', post([], '').replaceAll('\r\n', '\n')],
      ['LF after the request line', 'GET / HTTP/1.1\nHost: example.com\r\n\r\n'],
      ['LF after a field', 'GET / HTTP/1.1\r\nHost: example.com\nX: y\r\n\r\n'],
      ['LF as the empty line', `GET / HTTP/1.1\r\nHost: example.com\r\n\n${SMUGGLED}`],
      ['CR as the empty line', `GET / HTTP/1.1\r\nHost: example.com\r\n\r${SMUGGLED}`],
      ['CR inside a value', 'GET / HTTP/1.1\r\nHost: example.com\r\nX: a\rb\r\n\r\n'],
      ['CR CR LF after a field', 'GET / HTTP/1.1\r\nHost: example.com\r\nX: a\r\r\n\r\n'],
      ['CR hides a length', post([`X: y\rContent-Length: ${SMUGGLED.length}`], SMUGGLED)],
      ['LF hides chunks', post([`X: y\n${CHUNKED}`, 'Content-Length: 5'], SMUGGLED_CHUNK)],
      ['CR LF CR before a field', post([`X: y\r\n\r${CHUNKED}`], SMUGGLED_CHUNK)],
      ['NUL in a value', get('/', 'Host: example.com', 'X: a\x00b')],
      ['DEL in a value', get('/', 'Host: example.com', 'X: a\x7fb')],
      ['vertical tab in a value', get('/', 'Host: example.com', 'X: a\x0bb')],
      ['form feed before a value', get('/', 'Host: example.com', 'X:\x0cb')],
      ['CR before the request line', `\r${SMUGGLED}`],
      ['LF before the request line', `\n${SMUGGLED}`],
      ['spaces before the request line', ` ${SMUGGLED}`],
      ['many empty lines before the request line', `${'\r\n'.repeat(8)}${SMUGGLED}`],
    ] as const
  ).map(([name, text]) => ({ class: 'line-terminator', name, text, strict: refused })),
  {
    class: 'line-terminator',
    name: 'an empty line before the request line',
    text: `\r\n${SMUGGLED}`,
    strict: { forward: [''] },
  },
]

const folds: readonly Payload[] = (
  [
    ['a value that goes on', ['X: a', ' b']],
    ['chunked in the second line', ['Transfer-Encoding:', ' chunked']],
    ['chunked after another coding', ['Transfer-Encoding: identity', '\tchunked']],
    ['a length in the second line', ['Content-Length: 1', ' 0']],
    ['of nothing', ['X: a', ' ']],
  ] as const
).map(([name, fields]) => ({
  class: 'obs-fold',
  name,
  text: post(fields, SMUGGLED_CHUNK),
  strict: refused,
}))

const folding: readonly Payload[] = [
  {
    class: 'obs-fold',
    name: 'before the first field',
    text: lines('GET / HTTP/1.1', ' Host: example.com', 'Host: example.com', ''),
    strict: refused,
  },
]

const requestLines: readonly Payload[] = [
  ...(
    [
      ['HTTP/0.9', 'GET /\r\n\r\n', 400],
      ['HTTP/0.9 with a space', 'GET / \r\n\r\n', 400],
      ['HTTP/0.9 with a head', 'GET /\r\nHost: example.com\r\n\r\n', 400],
      ['HTTP/2.0', lines('GET / HTTP/2.0', 'Host: example.com', ''), 505],
      ['HTTP/1.2', lines('GET / HTTP/1.2', 'Host: example.com', ''), 505],
      ['HTTP/3', lines('GET / HTTP/3', 'Host: example.com', ''), 400],
      ['HTTP/1.10', lines('GET / HTTP/1.10', 'Host: example.com', ''), 400],
      ['HTTP/01.1', lines('GET / HTTP/01.1', 'Host: example.com', ''), 400],
      ['lower case', lines('GET / http/1.1', 'Host: example.com', ''), 400],
      ['another protocol', lines('GET / HTTX/1.1', 'Host: example.com', ''), 400],
      ['ICY', lines('GET / ICY/1.1', 'Host: example.com', ''), 400],
      ['a space after the version', lines('GET / HTTP/1.1 ', 'Host: example.com', ''), 400],
      ['two spaces before the target', lines('GET  / HTTP/1.1', 'Host: example.com', ''), 400],
      ['two spaces after the target', lines('GET /  HTTP/1.1', 'Host: example.com', ''), 400],
      ['tabs', lines('GET\t/\tHTTP/1.1', 'Host: example.com', ''), 400],
      ['a space inside the target', lines('GET /a b HTTP/1.1', 'Host: example.com', ''), 400],
      [
        'a version inside the target',
        lines('GET / HTTP/1.1 HTTP/1.1', 'Host: example.com', ''),
        400,
      ],
      ['NUL in the target', lines('GET /a\x00b HTTP/1.1', 'Host: example.com', ''), 400],
      ['CR in the target', lines('GET /a\rb HTTP/1.1', 'Host: example.com', ''), 400],
      ['a fragment', lines('GET /a#b HTTP/1.1', 'Host: example.com', ''), 400],
      ['beyond ASCII', lines('GET /\xc3\xa9 HTTP/1.1', 'Host: example.com', ''), 400],
      ['no slash', lines('GET a HTTP/1.1', 'Host: example.com', ''), 400],
      ['no target', lines('GET  HTTP/1.1', 'Host: example.com', ''), 400],
      ['a colon in the method', lines('GE:T / HTTP/1.1', 'Host: example.com', ''), 400],
      ['a control in the method', lines('GE\x01T / HTTP/1.1', 'Host: example.com', ''), 400],
      ['no method', lines(' / HTTP/1.1', 'Host: example.com', ''), 400],
      ['a query alone', lines('GET ?a HTTP/1.1', 'Host: example.com', ''), 400],
      ['an asterisk of a GET', lines('GET * HTTP/1.1', 'Host: example.com', ''), 400],
      ['an asterisk and more', lines('OPTIONS *a HTTP/1.1', 'Host: example.com', ''), 400],
      ['an authority of a GET', lines('GET example.com:80 HTTP/1.1', 'Host: example.com', ''), 400],
      ['a path of a CONNECT', lines('CONNECT / HTTP/1.1', 'Host: example.com', ''), 400],
      [
        'a CONNECT without port',
        lines('CONNECT example.com HTTP/1.1', 'Host: example.com', ''),
        400,
      ],
    ] as const
  ).map(([name, text, status]) => ({
    class: 'request-line',
    name,
    text,
    strict: { refuse: status },
  })),
]

const hosts: readonly Payload[] = [
  ...(
    [
      ['missing', []],
      ['two, different', ['Host: example.com', 'Host: internal']],
      ['two, equal', ['Host: example.com', 'Host: example.com']],
      ['two, in different case', ['Host: example.com', 'HOST: internal']],
      ['empty', ['Host:']],
      ['a space inside', ['Host: example.com internal']],
      ['a comma', ['Host: example.com, internal']],
      ['a user', ['Host: user@example.com']],
      ['a path', ['Host: example.com/internal']],
      ['a query', ['Host: example.com?internal']],
      ['a fragment', ['Host: example.com#internal']],
      ['a backslash', ['Host: example.com\\internal']],
      ['a port that is none', ['Host: example.com:80x']],
      ['two ports', ['Host: example.com:80:81']],
      ['an empty port', ['Host: example.com:']],
      ['a large port', ['Host: example.com:65536']],
      ['no name', ['Host: :80']],
      ['an open bracket', ['Host: [::1']],
      ['brackets and more', ['Host: [::1]a']],
      ['an escape', ['Host: ex%61mple.com']],
      ['beyond ASCII', ['Host: ex\xe4mple.com']],
      ['a control', ['Host: example\x01.com']],
      ['folded', ['Host:', ' example.com']],
      ['white space before the colon', ['Host : example.com']],
    ] as const
  ).map(([name, fields]) => ({
    class: 'host',
    name,
    text: get('/', ...fields),
    strict: refused,
  })),
  ...(
    [
      ['another host', 'http://internal/', 'Host: example.com'],
      ['another port', 'http://example.com:81/', 'Host: example.com:80'],
      ['a user', 'http://user@example.com/', 'Host: example.com'],
      ['no host', 'http:///a', 'Host: example.com'],
      ['another scheme', 'ftp://example.com/', 'Host: example.com'],
      ['one slash', 'http:/example.com/', 'Host: example.com'],
      ['no scheme', '://example.com/', 'Host: example.com'],
      ['a backslash', 'http://example.com\\@internal/', 'Host: example.com'],
    ] as const
  ).map(([name, target, host]) => ({
    class: 'absolute-form',
    name,
    text: get(target, host),
    strict: refused,
  })),
  {
    class: 'absolute-form',
    name: 'of that very host',
    text: get('http://Example.com/a?b', 'Host: example.COM'),
    strict: { forward: [''] },
  },
  {
    class: 'absolute-form',
    name: 'without a Host',
    text: get('http://example.com/'),
    strict: refused,
  },
]

export const HEADS: readonly Payload[] = [
  ...names,
  ...terminators,
  ...folds,
  ...folding,
  ...requestLines,
  ...hosts,
]
