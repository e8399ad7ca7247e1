import { describe, expect, test } from 'vitest'
import { contentOf, toBytes, toText } from '../../sim/http/wire/content.ts'
import { type Heard, PlainReader, type Question } from '../../sim/http/wire/plain-reader.ts'
import { simulate } from '../../sim/simulate.ts'

const STEPS = 400

describe('the world of an HTTP ingress', () => {
  test('the same seed gives the same trace', () => {
    for (let seed = 0; seed < 15; seed++) {
      const { hash, steps } = simulate(seed, STEPS, { only: 'http' })
      expect(simulate(seed, STEPS, { only: 'http' })).toMatchObject({ hash, steps })
    }
  })

  test('its trace is one of lines', () => {
    const lines: string[] = []
    simulate(7, STEPS, { only: 'http', sink: (line) => lines.push(line) })
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ kind: 'http', at: 1_000_000 })
    expect(lines.some((line) => line.includes('command connect '))).toBe(true)
  })
})

/** What was found with each, at the time; a seed means the same only as long as the code does. */
const FOUND: readonly { readonly seed: number; readonly story: string }[] = [
  { seed: 7, story: 'a lone head of an h2c answer kept its HTTP/1.1 client waiting for a body' },
  { seed: 31, story: 'a WebSocket over HTTP/2 was opened by a 200 of an HTTP/1.1 backend' },
  { seed: 4, story: 'what may become a preface of HTTP/2 began no exchange, and was never told' },
  { seed: 93, story: 'a held request that was refused was let go of twice' },
  { seed: 397, story: 'a request was repeated at a backend that had gone down meanwhile' },
  { seed: 523, story: 'less room for held requests than there were' },
  { seed: 21, story: 'a challenge opened a tunnel' },
  { seed: 200, story: 'a slow reader lost the end of its answer to the next wait' },
  { seed: 395, story: 'and so did the reader of a stream' },
]

describe('seeds that found something once', () => {
  for (const { seed, story } of FOUND) {
    test(`${seed}: ${story}`, () => {
      expect(simulate(seed, 500, { only: 'http' }).failure).toBeUndefined()
    })
  }
})

/** What the plain reader makes of a text, however it is cut. */
function read(text: string, cut: number, question?: Question): { heard: string; fault?: string } {
  const reader = question === undefined ? new PlainReader() : new PlainReader(() => question)
  const heard: string[] = []
  const hear = (what: Heard): void => {
    const { type } = what
    const last = heard.at(-1)
    if (type === 'content' && last?.startsWith('content ')) heard[heard.length - 1] += what.text
    else if (type === 'content') heard.push(`content ${what.text}`)
    else if (type === 'head') heard.push(`head ${what.head.start.join(' ')} ${what.head.body}`)
    else heard.push(`end ${what.trailers.map((field) => field.join(': ')).join()}`.trimEnd())
  }
  for (let at = 0; at < text.length; at += cut) reader.read(text.slice(at, at + cut), hear)
  const { fault } = reader
  return { heard: heard.join('; '), ...(fault === undefined ? {} : { fault }) }
}

const GET: Question = { method: 'GET', minor: 1 }

const READ: readonly {
  readonly name: string
  readonly text: string
  readonly question?: Question
  readonly heard: string
  readonly fault?: string
}[] = [
  {
    name: 'a request without a body, and the next',
    text: 'GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n',
    heard: 'head GET / HTTP/1.1 0; end; head GET /b HTTP/1.1 0; end',
  },
  {
    name: 'a length',
    text: 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    heard: 'head PUT / HTTP/1.1 3; content abc; end',
  },
  {
    name: 'chunks and trailers',
    text: 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n',
    heard: 'head PUT / HTTP/1.1 chunked; content abc; end X: y',
  },
  {
    name: 'an interim answer, then one until the end',
    text: 'HTTP/1.1 103 \r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc',
    question: GET,
    heard: 'head HTTP/1.1 103  0; head HTTP/1.1 200 OK until-close; content abc',
  },
  {
    name: 'the answer to HEAD',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n',
    question: { method: 'HEAD', minor: 1 },
    heard: 'head HTTP/1.1 200 OK 0; end',
  },
  {
    name: 'a tunnel',
    text: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\r\n\r\n0',
    question: GET,
    heard: 'head HTTP/1.1 101 Switching tunnel; content \r\n\r\n0',
  },
  {
    name: 'two declarations',
    text: 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n',
    heard: '',
    fault: 'a body that is declared twice',
  },
  {
    name: 'no host',
    text: 'GET / HTTP/1.1\r\n\r\n',
    heard: '',
    fault: '0 Host fields',
  },
  {
    name: 'a bare LF',
    text: 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n',
    heard: '',
    fault: 'the field "Host: a\nX: y"',
  },
  {
    name: 'a chunk that is longer than it says',
    text: 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc',
    heard: 'head PUT / HTTP/1.1 chunked; content a',
    fault: 'a chunk does not end where it says',
  },
  {
    name: 'an extension of a chunk, which is not ours to send',
    text: 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n',
    heard: 'head PUT / HTTP/1.1 chunked',
    fault: 'the chunk size "1;x=y"',
  },
  {
    name: 'chunks to a client of HTTP/1.0',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    question: { method: 'GET', minor: 0 },
    heard: '',
    fault: 'chunks to a client of HTTP/1.0',
  },
  {
    name: 'a 204 with a length',
    text: 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    question: GET,
    heard: '',
    fault: 'a 204 that declares a body',
  },
]

describe('the plain reader', () => {
  for (const { name, text, question, heard, fault } of READ) {
    test(`reads ${name}, however it is cut`, () => {
      const expected = { heard, ...(fault === undefined ? {} : { fault }) }
      for (let cut = 1; cut <= text.length; cut++) {
        expect(read(text, cut, question), `in pieces of ${cut}`).toEqual(expected)
      }
    })
  }
})

describe('bodies', () => {
  test('say whose they are, and are the same bytes and text', () => {
    const one = contentOf(5, 300)
    expect(one).toHaveLength(300)
    expect(contentOf(5, 300)).toBe(one)
    expect(contentOf(6, 300)).not.toBe(one)
    expect(toText(toBytes(one))).toBe(one)
  })

  test('are full of what looks like framing', () => {
    const all = contentOf(0, 20_000)
    for (const trap of ['0\r\n\r\n', 'HTTP/1.1 200 OK\r\n', 'GET / HTTP/1.1\r\n']) {
      expect(all).toContain(trap)
    }
  })
})
