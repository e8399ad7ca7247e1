/**
 * Requests that two readers could read differently, and others that must go no further. Those with
 * a flaw in the head are refused as a whole; of those with one in the body no backend ever sees
 * the end. What they smuggle bears a number that no backend may see.
 */
import type { StreamHead } from '../../../core/http/events.ts'
import type { Prng } from '../../prng.ts'
import type { Field } from './plain-reader.ts'

export interface Flaw {
  readonly name: string
  readonly in: 'head' | 'body' | 'stream'
}

interface Head {
  readonly line: string
  readonly fields: Field[]
}

/** The number of what is smuggled along with message `number`. */
export const smuggledWith = (number: number): number => number + SMUGGLED

export const isSmuggled = (number: number): boolean => number >= SMUGGLED

export function drawFlaw(isStream: boolean, draw: Prng): Flaw {
  if (isStream) return { name: draw.pick(Object.keys(IN_STREAMS)), in: 'stream' }
  const inBody = draw.below(3) === 0
  return inBody
    ? { name: draw.pick(Object.keys(IN_BODIES)), in: 'body' }
    : { name: draw.pick(Object.keys(IN_HEADS)), in: 'head' }
}

export const spoil = {
  head(head: Head, flaw: Flaw | undefined, number: number): string {
    if (flaw?.in !== 'head') return textOf(head)
    const plain = { ...head, fields: head.fields.filter(([name]) => !FRAMING.test(name)) }
    return IN_HEADS[flaw.name]!(plain, smuggledRequest(number))
  },
  body: (framed: string, flaw: Flaw | undefined, number: number): string =>
    flaw?.in === 'body' ? IN_BODIES[flaw.name]!(framed, smuggledRequest(number)) : framed,
  stream: (head: StreamHead, flaw: Flaw | undefined, number: number): StreamHead =>
    flaw?.in === 'stream' ? IN_STREAMS[flaw.name]!(head, smuggledRequest(number)) : head,
}

const textOf = ({ line, fields }: Head): string =>
  `${line}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`

const smuggledRequest = (number: number): string =>
  `GET /api HTTP/1.1\r\nHost: a.example\r\nX-Number: ${smuggledWith(number)}\r\n\r\n`

type Spoiler<T> = (sound: T, smuggled: string) => string

const withFields =
  (...more: Field[]): Spoiler<Head> =>
  (head, smuggled) =>
    `${textOf({ ...head, fields: [...head.fields, ...more] })}0\r\n\r\n${smuggled}`

/** Lines put in just before the end of the head, byte by byte as they are. */
const withLines =
  (lines: string): Spoiler<Head> =>
  (head, smuggled) =>
    `${textOf(head).slice(0, -2)}${lines}\r\n\r\n0\r\n\r\n${smuggled}`

const withLine =
  (change: (line: string) => string): Spoiler<Head> =>
  ({ line, fields }, smuggled) =>
    textOf({ line: change(line), fields }) + smuggled

const withHosts =
  (...hosts: string[]): Spoiler<Head> =>
  ({ line, fields }, smuggled) => {
    const others = fields.filter(([name]) => name !== 'Host')
    return (
      textOf({ line, fields: [...hosts.map((host): Field => ['Host', host]), ...others] }) +
      smuggled
    )
  }

const IN_HEADS: Readonly<Record<string, Spoiler<Head>>> = {
  'length and chunked': withFields(['Content-Length', '5'], ['Transfer-Encoding', 'chunked']),
  'chunked and length': withFields(['Transfer-Encoding', 'chunked'], ['Content-Length', '5']),
  'two lengths': withFields(['Content-Length', '5'], ['Content-Length', '0']),
  'one length twice': withFields(['Content-Length', '5'], ['Content-Length', '5']),
  'lengths in a list': withFields(['Content-Length', '5, 5']),
  'a signed length': withFields(['Content-Length', '+5']),
  'a negative length': withFields(['Content-Length', '-5']),
  'a length in hexadecimal': withFields(['Content-Length', '0x5']),
  'an empty length': withFields(['Content-Length', '']),
  'a length with a space': withFields(['Content-Length', '5 0']),
  'an endless length': withFields(['Content-Length', '99999999999999999999']),
  'chunked twice': withFields(['Transfer-Encoding', 'chunked, chunked']),
  'chunked in two fields': withFields(
    ['Transfer-Encoding', 'chunked'],
    ['Transfer-Encoding', 'chunked'],
  ),
  'chunked and then not': withFields(['Transfer-Encoding', 'chunked, identity']),
  'another coding': withFields(['Transfer-Encoding', 'gzip']),
  'a misspelt coding': withFields(['Transfer-Encoding', 'xchunked']),
  'a quoted coding': withFields(['Transfer-Encoding', '"chunked"']),
  identity: withFields(['Transfer-Encoding', 'identity']),
  'an empty coding': withFields(['Transfer-Encoding', '']),
  'a vertical tab': withLines('Transfer-Encoding:\x0bchunked'),
  'a space before the colon': withLines('Transfer-Encoding : chunked'),
  'a tab before the colon': withLines('Content-Length\t: 5'),
  'a folded line': withLines('X-Fold: a\r\n b'),
  'a folded coding': withLines('Transfer-Encoding:\r\n chunked'),
  'a bare LF': withLines('X-Bare: a\nTransfer-Encoding: chunked'),
  'a bare CR': withLines('X-Bare: a\rTransfer-Encoding: chunked'),
  'a NUL': withLines('X-Nul: a\0b'),
  'a control character': withLines('X-Bell: a\x07b'),
  'no name': withLines(': chunked'),
  'no colon': withLines('Transfer-Encoding chunked'),
  'a name with a space': withLines('Transfer Encoding: chunked'),
  'a name of other letters': withLines('Trans\xadfer-Encoding: chunked'),
  'chunked in HTTP/1.0': (head, smuggled) =>
    withFields(['Transfer-Encoding', 'chunked'])(
      { ...head, line: head.line.replace(/1$/, '0') },
      smuggled,
    ),
  'no host': withHosts(),
  'two hosts': withHosts('a.example', 'b.example'),
  'one host twice': withHosts('a.example', 'a.example'),
  'a host with a space': withHosts('a.example b.example'),
  'a host with a path': withHosts('a.example/x'),
  'a host with a user': withHosts('me@a.example'),
  'another host in the target': withLine((line) => line.replace(' /', ' http://else.example/')),
  'HTTP/0.9': (_head, smuggled) => `GET /api\r\n${smuggled}`,
  'HTTP/2.0 in words': withLine((line) => line.replace(/HTTP\/1\..$/, 'HTTP/2.0')),
  'HTTP in lower case': withLine((line) => line.replace('HTTP', 'http')),
  'a version too long': withLine((line) => line.replace(/HTTP\/1\..$/, 'HTTP/1.10')),
  'two spaces': withLine((line) => line.replace(' ', '  ')),
  'a tab for a space': withLine((line) => line.replace(' ', '\t')),
  'a space at the end': withLine((line) => `${line} `),
  'a space in front': withLine((line) => ` ${line}`),
  'a method in brackets': withLine((line) => `(${line}`),
  'a target with a bare CR': withLine((line) => line.replace(' /', ' /\r')),
  'a target of no form': withLine((line) => line.replace(' /', ' x')),
}

const IN_BODIES: Readonly<Record<string, Spoiler<string>>> = {
  'a size with a prefix': (_, smuggled) => `0x5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a negative size': (_, smuggled) => `-5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a signed size': (_, smuggled) => `+5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a size with a space before': (_, smuggled) => ` 5\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a size without digits': (_, smuggled) => `\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'an endless size': (_, smuggled) => `FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a size that ends with LF': (_, smuggled) => `5\nhello\r\n0\r\n\r\n${smuggled}`,
  'a size that ends with CR': (_, smuggled) => `5\rhello\r\n0\r\n\r\n${smuggled}`,
  'a chunk too short': (_, smuggled) => `8\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a chunk too long': (_, smuggled) => `3\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a chunk that ends with LF': (_, smuggled) => `5\r\nhello\n0\r\n\r\n${smuggled}`,
  'a bare LF in an extension': (_, smuggled) => `5;a=b\nc\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a NUL in an extension': (_, smuggled) => `5;a=\0\r\nhello\r\n0\r\n\r\n${smuggled}`,
  'a last chunk that ends with LF': (_, smuggled) => `5\r\nhello\r\n0\n\n${smuggled}`,
  'a folded trailer': (_, smuggled) => `5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n${smuggled}`,
  'a trailer without a name': (_, smuggled) => `5\r\nhello\r\n0\r\n: b\r\n\r\n${smuggled}`,
  'a trailer with a space': (_, smuggled) => `5\r\nhello\r\n0\r\nX A: b\r\n\r\n${smuggled}`,
}

type StreamSpoiler = (sound: StreamHead, smuggled: string) => StreamHead

const withPairs =
  (...more: string[]): StreamSpoiler =>
  (head) => ({ ...head, fields: [...head.fields, ...more] })

const IN_STREAMS: Readonly<Record<string, StreamSpoiler>> = {
  'a coding': withPairs('transfer-encoding', 'chunked'),
  'a connection field': withPairs('connection', 'close'),
  'an upgrade': withPairs('upgrade', 'websocket'),
  'two lengths': withPairs('content-length', '5', 'content-length', '6'),
  'a signed length': withPairs('content-length', '+5'),
  'upper case': withPairs('X-Upper', 'a'),
  'a line end in a value': (head, smuggled) => ({
    ...head,
    fields: [...head.fields, 'x-cut', `a\r\n\r\n${smuggled}`],
  }),
  'a line end in a name': withPairs('x-cut\r\nx-more', 'a'),
  'a NUL': withPairs('x-nul', 'a\0b'),
  'an empty name': withPairs('', 'a'),
  'a space in a name': withPairs('x cut', 'a'),
  'another te': withPairs('te', 'gzip'),
  'a line end in the path': (head, smuggled) => ({
    ...head,
    path: `/ HTTP/1.1\r\nHost: a.example\r\n\r\n${smuggled}`,
  }),
  'a space in the path': (head) => ({ ...head, path: '/a b' }),
  'an empty path': (head) => ({ ...head, path: '' }),
  'a bad method': (head) => ({ ...head, method: 'GET /x' }),
  'another host': withPairs('host', 'else.example'),
}

const FRAMING = /^(content-length|transfer-encoding|expect|trailer)$/i
const SMUGGLED = 1_000_000
