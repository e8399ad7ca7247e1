import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  ClientHelloReader,
  HELLO_BYTES_MAX,
  HELLO_RECORDS_MAX,
} from '../../../../core/stream/entrance/client-hello.ts'
import {
  bytesOf,
  type Extension,
  helloFor,
  helloMessage,
  inRecords,
  realHello,
  serverName,
  uint16,
  vector16,
} from './hellos.ts'

type Outcome = ReturnType<ClientHelloReader['read']>

/** Of bytes that come in pieces that end at these places, and at the end. */
function readIn(bytes: Uint8Array, ends: readonly number[], from = 0): Outcome {
  const reader = new ClientHelloReader(from)
  for (const end of ends) {
    const outcome = reader.read(bytes.subarray(0, end))
    if (outcome !== 'partial') return outcome
  }
  return reader.read(bytes)
}

const whole = (bytes: Uint8Array): Outcome => readIn(bytes, [])

const helloWith = (...extensions: readonly Extension[]): Uint8Array =>
  inRecords(helloMessage({ extensions }))

const NAMED = { serverName: 'a.example' }
const NAMELESS = { serverName: undefined }

/** As browsers send them, to keep servers from getting used to what is there (RFC 8701). */
const GREASE: Extension = { type: 0x5a5a, body: bytesOf(0) }
const ALPN: Extension = { type: 16, body: vector16(bytesOf(2, 'h2')) }
const extension = (
  type: number,
  ...body: readonly (number | string | Uint8Array)[]
): Extension => ({
  type,
  body: bytesOf(...body),
})

/** Changed after it was built: `at` counts from the record's beginning. */
const changed = (bytes: Uint8Array, at: number, ...values: readonly number[]): Uint8Array => {
  const copy = bytes.slice()
  copy.set(values, at)
  return copy
}

const SAMPLES: readonly (readonly [name: string, bytes: Uint8Array, outcome: Outcome])[] = [
  ['a name', helloFor('a.example'), NAMED],
  ['a name behind other extensions', helloWith(ALPN, GREASE, serverName('a.example')), NAMED],
  ['a name before other extensions', helloWith(serverName('a.example'), GREASE, ALPN), NAMED],
  ['no name', helloWith(ALPN), NAMELESS],
  ['no extension', helloWith(), NAMELESS],
  ['an end before the extensions', inRecords(helloMessage({})), NAMELESS],
  [
    'no session',
    inRecords(helloMessage({ sessionIdBytes: 0, extensions: [serverName('a.example')] })),
    NAMED,
  ],
  ['a name in upper case', helloFor('A.eXample'), NAMED],
  ['a dot at the end', helloFor('a.example.'), NAMED],
  ['one label', helloFor('localhost'), { serverName: 'localhost' }],
  ['an underscore', helloFor('_a.b_c'), { serverName: '_a.b_c' }],
  ['an address, which no name may be', helloFor('192.0.2.7'), { serverName: '192.0.2.7' }],
  ['an IPv6 address', helloFor('2001:db8::7'), NAMELESS],
  [
    'the longest label',
    helloFor(`${'a'.repeat(63)}.example`),
    { serverName: `${'a'.repeat(63)}.example` },
  ],
  ['a label that is longer', helloFor(`${'a'.repeat(64)}.example`), NAMELESS],
  ['the longest name', helloFor(`${'abc.'.repeat(63)}d`), { serverName: `${'abc.'.repeat(63)}d` }],
  [
    'the longest name and a dot',
    helloFor(`${'abc.'.repeat(63)}d.`),
    { serverName: `${'abc.'.repeat(63)}d` },
  ],
  ['a name that is longer', helloFor(`${'abc.'.repeat(63)}de`), NAMELESS],
  ['an endless name', helloFor('a.'.repeat(7_000)), NAMELESS],
  ['an empty label', helloFor('a..example'), NAMELESS],
  ['a dot before', helloFor('.a.example'), NAMELESS],
  ['only a dot', helloFor('.'), NAMELESS],
  ['an empty name', helloFor(''), NAMELESS],
  ['a NUL in a name', helloFor('a.example\0.evil'), NAMELESS],
  ['a line end in a name', helloFor('a.example\n'), NAMELESS],
  ['a space in a name', helloFor('a .example'), NAMELESS],
  ['letters beyond ASCII', helloFor('\xe4.example'), NAMELESS],
  ['a star', helloFor('*.example'), NAMELESS],
  [
    'a name of another type, then a host name',
    helloWith(
      extension(0, vector16(bytesOf(9, vector16(bytesOf('x')), 0, vector16(bytesOf('a.example'))))),
    ),
    NAMED,
  ],
  [
    'only a name of another type',
    helloWith(extension(0, vector16(bytesOf(9, vector16(bytesOf('x')))))),
    NAMELESS,
  ],
  ['what follows the hello', bytesOf(helloFor('a.example'), 'more'), NAMED],
  [
    'what follows it in its record',
    inRecords(bytesOf(helloMessage({ extensions: [serverName('a.example')] }), 20)),
    NAMED,
  ],
  [
    'records of 100 bytes',
    inRecords(helloMessage({ extensions: [serverName('a.example')] }), 100),
    NAMED,
  ],
  [
    'records of one byte',
    inRecords(helloMessage({ extensions: [serverName('a.example')] }), 1),
    NAMED,
  ],
  ['TLS 1.3 in its outer version', changed(helloFor('a.example'), 1, 3, 4), NAMED],
  // Not a ClientHello.
  ['HTTP', bytesOf('GET / HTTP/1.1\r\n\r\n'), 'invalid'],
  ['a PROXY line', bytesOf('PROXY UNKNOWN\r\n'), 'invalid'],
  ['application data', changed(helloFor('a.example'), 0, 23), 'invalid'],
  ['an alert', bytesOf(21, 3, 3, 0, 2, 1, 0), 'invalid'],
  ['SSL 2', bytesOf(0x80, 0x2e, 1, 3, 1), 'invalid'],
  ['DTLS', bytesOf(22, 254, 253, 0, 0), 'invalid'],
  ['an empty record', bytesOf(22, 3, 1, 0, 0), 'invalid'],
  ['a record that is too long', bytesOf(22, 3, 1, 0x40, 1), 'invalid'],
  ['a ServerHello', changed(helloFor('a.example'), 5, 2), 'invalid'],
  [
    'another record inside',
    bytesOf(
      helloFor('a.example').subarray(0, 3),
      0,
      4,
      helloMessage({}).subarray(0, 4),
      23,
      3,
      3,
      0,
      1,
      0,
    ),
    'invalid',
  ],
  // A ClientHello whose parts do not fit into each other.
  [
    'a name beyond its list',
    helloWith(extension(0, vector16(bytesOf(0, uint16(9), 'short')))),
    'invalid',
  ],
  [
    'a list beyond its extension',
    helloWith(extension(0, uint16(20), 0, vector16(bytesOf('a.example')))),
    'invalid',
  ],
  [
    'a list that is shorter than its extension',
    helloWith(extension(0, vector16(bytesOf(0, vector16(bytesOf('a')))), 0)),
    'invalid',
  ],
  ['half a name entry', helloWith(extension(0, vector16(bytesOf(0, 0)))), 'invalid'],
  ['no list', helloWith(extension(0)), 'invalid'],
  ['two host names', helloWith(serverName('a.example', 'b.example')), 'invalid'],
  ['two lists', helloWith(serverName('a.example'), serverName('a.example')), 'invalid'],
  [
    'an extension beyond the end',
    changed(helloFor('a.example'), helloFor('a.example').length - 16, 255),
    'invalid',
  ],
  ['a session beyond the end', changed(helloFor('a.example'), 43, 255), 'invalid'],
  ['suites beyond the end', changed(helloFor('a.example'), 76, 255), 'invalid'],
  [
    'a message that ends within the random',
    inRecords(bytesOf(1, 0, 0, 20, new Uint8Array(20))),
    'invalid',
  ],
  ['an empty message', inRecords(bytesOf(1, 0, 0, 0)), 'invalid'],
  [
    'something behind the extensions',
    inRecords(
      bytesOf(
        1,
        0,
        0,
        47,
        bytesOf(3, 3),
        new Uint8Array(32),
        0,
        vector16(bytesOf(1, 2)),
        bytesOf(1, 0),
        vector16(bytesOf()),
        bytesOf(90, 90, 0, 0),
      ),
    ),
    'invalid',
  ],
]

describe('what a TLS connection begins with', () => {
  test.each(SAMPLES)('%s', (_, bytes, outcome) => {
    expect(whole(bytes)).toEqual(outcome)
  })

  test.each(SAMPLES)('%s: byte by byte', (_, bytes, outcome) => {
    expect(readIn(bytes, [...bytes.keys()])).toEqual(outcome)
  })

  test.each(SAMPLES)('%s: in two, wherever it is cut', (_, bytes, outcome) => {
    for (let at = 0; at <= Math.min(bytes.length, 700); at++) {
      expect(readIn(bytes, [at]), `cut at ${at}`).toEqual(outcome)
    }
  })

  test.each(SAMPLES.filter(([, , outcome]) => typeof outcome === 'object'))(
    '%s: while a byte of it is missing, that is all there is to say',
    (_, bytes) => {
      const reader = new ClientHelloReader()
      const at = bytes.findIndex((_, end) => reader.read(bytes.subarray(0, end)) !== 'partial')
      const end = at < 0 ? bytes.length : at
      expect(whole(bytes.subarray(0, end - 1))).toBe('partial')
    },
  )

  test('what is no TLS is told by its first byte, and what has another version by its second', () => {
    expect(whole(bytesOf('G'))).toBe('invalid')
    expect(whole(bytesOf(22))).toBe('partial')
    expect(whole(bytesOf(22, 2))).toBe('invalid')
    expect(whole(bytesOf())).toBe('partial')
  })

  test('it may begin behind a PROXY header', () => {
    const line = bytesOf('PROXY UNKNOWN\r\n')
    expect(readIn(bytesOf(line, helloFor('a.example')), [15, 20, 90], 15)).toEqual(NAMED)
  })
})

describe('it is bounded', () => {
  const padded = (bodyBytes: number): Uint8Array => {
    const bare = helloMessage({ extensions: [serverName('a.example'), extension(21)] })
    const padding = new Uint8Array(bodyBytes - (bare.length - 4))
    return helloMessage({ extensions: [serverName('a.example'), extension(21, padding)] })
  }

  test('the longest message is read, in several records', () => {
    expect(whole(inRecords(padded(HELLO_BYTES_MAX)))).toEqual(NAMED)
  })

  test('one byte more is refused as soon as the message says so', () => {
    const long = inRecords(padded(HELLO_BYTES_MAX + 1))
    expect(whole(long)).toBe('invalid')
    expect(whole(long.subarray(0, 8))).toBe('partial')
    expect(whole(long.subarray(0, 9))).toBe('invalid')
  })

  test('a length is of three bytes', () => {
    const message = padded(1_000)
    message[1] = 1 // 65,536 more
    expect(whole(inRecords(message))).toBe('invalid')
  })

  test('the most records are read, and one more is refused', () => {
    const message = padded(HELLO_RECORDS_MAX - 4)
    expect(whole(inRecords(message, 1))).toEqual(NAMED)
    expect(whole(inRecords(padded(HELLO_RECORDS_MAX - 3), 1))).toBe('invalid')
  })

  test('what was looked at is not looked at again: byte by byte costs a few looks for each byte', () => {
    const bytes = inRecords(padded(HELLO_BYTES_MAX), 100)
    let there = 0
    let looks = 0
    let pieces = 0
    const watched = new Proxy(bytes, {
      get: (target, key) => {
        if (key === 'length') return there
        if (key === 'subarray') {
          return (from: number, to: number) => {
            looks += to - from
            pieces += 1
            return target.subarray(from, to)
          }
        }
        looks += 1
        return Reflect.get(target, key)
      },
    })
    const reader = new ClientHelloReader()
    while (there < bytes.length - 1) {
      there += 1
      expect(reader.read(watched)).toBe('partial')
    }
    expect(looks).toBeLessThan(12 * bytes.length)
    there = bytes.length
    pieces = 0
    expect(reader.read(watched)).toEqual(NAMED)
    expect(pieces, 'put together of the records, not of the segments').toBeLessThan(200)
  })
})

describe('whatever comes', () => {
  test('it never throws, and decides within its bounds', () => {
    const begin = fc.constantFrom(
      bytesOf(),
      bytesOf(22, 3, 1),
      bytesOf(22, 3, 1, 2, 0, 1, 0, 1),
      helloFor('a.example').subarray(0, 60),
      helloFor('a.example').subarray(0, 90),
    )
    fc.assert(
      fc.property(begin, fc.uint8Array({ maxLength: 600 }), fc.nat(600), (some, rest, cut) => {
        const bytes = bytesOf(some, rest)
        expect(readIn(bytes, [cut])).toEqual(whole(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  test('one byte changed never throws, and is read alike however it is cut', () => {
    const sample = helloWith(GREASE, serverName('a.example'), ALPN)
    fc.assert(
      fc.property(fc.nat(sample.length - 1), fc.nat(255), fc.nat(200), (at, value, cut) => {
        const bytes = changed(sample, at, value)
        expect(readIn(bytes, [cut])).toEqual(whole(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  test('a name that was put in comes out, however it is cut and fragmented', () => {
    const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/)
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((all) => all.join('.'))
    const other = fc.record({
      type: fc.integer({ min: 1, max: 65_535 }),
      body: fc.uint8Array({ maxLength: 300 }),
    })
    const parts = fc.record({
      sessionIdBytes: fc.nat(32),
      cipherSuites: fc.integer({ min: 1, max: 60 }),
      before: fc.array(other, { maxLength: 4 }),
      after: fc.array(other, { maxLength: 4 }),
    })
    const cuts = fc.array(fc.nat(4000), { maxLength: 6 })
    const size = fc.integer({ min: 4, max: 2000 })
    fc.assert(
      fc.property(name, parts, size, cuts, (text, { before, after, ...rest }, records, ends) => {
        const extensions = [...before, serverName(text.toUpperCase()), ...after]
        const bytes = inRecords(helloMessage({ ...rest, extensions }), records)
        const inOrder = ends.map((end) => Math.min(end, bytes.length)).sort((a, b) => a - b)
        expect(readIn(bytes, inOrder)).toEqual({ serverName: text })
      }),
      { numRuns: 500 },
    )
  })
})

describe('real clients', () => {
  const hellos: { bytes: Uint8Array; name: string | undefined }[] = []

  beforeAll(async () => {
    const many = Array.from({ length: 60 }, (_, at) => `${'p'.repeat(240)}${at}`)
    for (const [options, name, fragmentBytes] of [
      [{ servername: 'a.example' }, 'a.example'],
      [{}, undefined],
      [{ servername: 'A.Example', maxVersion: 'TLSv1.2' }, 'a.example'],
      [{ servername: 'a.example', ALPNProtocols: ['h2', 'http/1.1'] }, 'a.example'],
      [{ servername: 'a.example', ALPNProtocols: many }, 'a.example'],
      [{ servername: 'a.example', ALPNProtocols: many }, 'a.example', 512],
    ] as const) {
      const bytes = await realHello(
        { ...options, ALPNProtocols: [...(options.ALPNProtocols ?? [])] },
        fragmentBytes,
      )
      hellos.push({ bytes, name })
    }
  })

  test('say their name, whole, byte by byte and cut anywhere', () => {
    for (const { bytes, name } of hellos) {
      const hello = { serverName: name }
      expect(whole(bytes)).toEqual(hello)
      expect(readIn(bytes, [...bytes.keys()])).toEqual(hello)
      for (let at = 0; at < bytes.length; at += bytes.length > 5000 ? 37 : 1) {
        expect(readIn(bytes, [at])).toEqual(hello)
      }
    }
  })

  test('big ones come in several records', () => {
    const { bytes } = hellos.at(-1)!
    expect(bytes.length).toBeGreaterThan(14_000)
    expect(bytes[3]! * 256 + bytes[4]!).toBe(512)
  })
})
