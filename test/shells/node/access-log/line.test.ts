import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lineWriter } from '../../../../shells/node/access-log/line.ts'
import { exchange } from './exchange.ts'

const AT = Date.parse('2000-10-10T13:55:36.042Z')
const NEVER = { headMs: 0.1, chosenMs: undefined, sentMs: undefined, firstByteMs: undefined }

describe('a JSON object', () => {
  test('with all that is known', () => {
    expect(lineWriter('json')(exchange(), AT)).toBe(
      '{"time":"2000-10-10T13:55:36.042Z","client":"203.0.113.7","method":"GET",' +
        '"host":"a.example.com","target":"/a?b=c","protocol":"1.1","status":200,"outcome":"done",' +
        '"fault":null,"bytes_in":3,"bytes_out":2326,"head_ms":0.000,"chosen_ms":0.250,"sent_ms":0.500,' +
        '"first_byte_ms":2.000,"total_ms":2.500,"deployment":"shop","service":"web",' +
        '"endpoint":"http","route":"a.example.com/","backend":"web-2","retries":1,' +
        '"request_id":"r-1","user_agent":"Mozilla/4.08","referer":"http://a.example.com/start.html"}\n',
    )
  })

  test('has the same keys, whatever is missing', () => {
    const write = lineWriter('json')
    const missing = exchange({
      listener: undefined,
      backend: undefined,
      route: '',
      status: 0,
      outcome: 'client-gone',
      timings: { ...NEVER, totalMs: 61_000.9996 },
    })
    const keys = Object.keys(JSON.parse(write(exchange(), AT)))
    const told = JSON.parse(write(missing, AT))
    expect(Object.keys(told)).toEqual(keys)
    expect(told).toMatchObject({ deployment: null, service: null, endpoint: null, backend: null })
    expect(told).toMatchObject({ chosen_ms: null, sent_ms: null, first_byte_ms: null })
    expect([told.status, told.outcome, told.total_ms]).toEqual([0, 'client-gone', 61_001])
  })

  test('has the millisecond of each, also when the clock goes back', () => {
    const write = lineWriter('json')
    const times = [AT, AT + 957, AT + 958, AT - 43].map(
      (at) => JSON.parse(write(exchange(), at)).time,
    )
    expect(times).toEqual([
      '2000-10-10T13:55:36.042Z',
      '2000-10-10T13:55:36.999Z',
      '2000-10-10T13:55:37.000Z',
      '2000-10-10T13:55:35.999Z',
    ])
  })

  test('says what is wrong with a request that was refused for it', () => {
    const refused = exchange({ status: 400, outcome: 'bad-request', fault: 'two-lengths' })
    const told = JSON.parse(lineWriter('json')(refused, AT))
    expect(told).toMatchObject({ outcome: 'bad-request', fault: 'two-lengths' })
  })

  test('reads back as what the client sent, byte for byte', () => {
    const write = lineWriter('json')
    fc.assert(
      fc.property(latin1, latin1, latin1, (target, userAgent, referer) => {
        const line = write(exchange({ target, userAgent, referer }), AT)
        expect(JSON.parse(line)).toMatchObject({ target, user_agent: userAgent, referer })
        expectOneLine(line)
      }),
    )
  })
})

describe("Apache's combined format", () => {
  const rows: readonly [situation: string, over: Parameters<typeof exchange>[0], line: string][] = [
    [
      'the usual',
      {},
      '203.0.113.7 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b=c HTTP/1.1" 200 2326 ' +
        '"http://a.example.com/start.html" "Mozilla/4.08"',
    ],
    [
      'HTTP/2, nothing of what clients may say',
      { protocol: '2', userAgent: '', referer: '', bytesOut: 0, status: 204 },
      '203.0.113.7 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b=c HTTP/2.0" 204 - "-" "-"',
    ],
    [
      'a request that could not be read',
      { method: '', target: '', status: 400, bytesOut: 11, userAgent: '', referer: '' },
      '203.0.113.7 - - [10/Oct/2000:13:55:36 +0000] "-" 400 11 "-" "-"',
    ],
    [
      'no answer',
      { status: 0, bytesOut: 0, clientAddress: '2001:db8::1', userAgent: '', referer: '' },
      '2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b=c HTTP/1.1" - - "-" "-"',
    ],
    [
      'what is escaped as Apache escapes it',
      { target: '/"\\', userAgent: 'a"\n\r\t\b\v\f\0\x1b[2J\x7f', referer: '\xc3\xa9' },
      '203.0.113.7 - - [10/Oct/2000:13:55:36 +0000] "GET /\\"\\\\ HTTP/1.1" 200 2326 ' +
        '"\\xc3\\xa9" "a\\"\\n\\r\\t\\b\\v\\x0c\\x00\\x1b[2J\\x7f"',
    ],
  ]
  for (const [situation, over, line] of rows) {
    test(situation, () => expect(lineWriter('combined')(exchange(over), AT)).toBe(`${line}\n`))
  }

  test('no client writes more than its own places of its own line', () => {
    const write = lineWriter('combined')
    fc.assert(
      fc.property(latin1, latin1, latin1, (target, userAgent, referer) => {
        const line = write(exchange({ target, userAgent, referer }), AT)
        expectOneLine(line)
        const quoted = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => text)
        expect(quoted).toHaveLength(3)
        expect(quoted[0]).toBe(`GET ${escaped(target)} HTTP/1.1`)
        expect(quoted.slice(1).map(unescaped)).toEqual([referer || '-', userAgent || '-'])
      }),
    )
  })
})

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
})

function expectOneLine(line: string): void {
  expect(line).toMatch(/^[\x20-\x7e]*\n$/)
}

const ESCAPES: Record<string, string> = { b: '\b', n: '\n', r: '\r', t: '\t', v: '\v' }

const unescaped = (text: string): string =>
  text.replace(/\\(?:x(..)|(.))/g, (_all, hex?: string, letter = '') =>
    hex === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
  )

/** One character after the other, as ap_escape_logitem does it. */
const escaped = (text: string): string =>
  [...text]
    .map((each) => {
      const letter = Object.entries(ESCAPES).find(([, meant]) => meant === each)?.[0]
      if (letter !== undefined) return `\\${letter}`
      if (each === '"' || each === '\\') return `\\${each}`
      return /[ -~]/.test(each) ? each : `\\x${each.charCodeAt(0).toString(16).padStart(2, '0')}`
    })
    .join('') || '-'
