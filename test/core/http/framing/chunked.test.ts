import { describe, expect, test } from 'vitest'
import {
  CHUNK_END,
  ChunkedReader,
  chunkHead,
  LAST_CHUNK,
  lastChunk,
  TRAILERS_KEPT,
} from '../../../../core/http/framing/chunked.ts'
import { Fields } from '../../../../core/http/head/fields.ts'
import { latin1Of } from '../../../../core/http/head/latin1.ts'
import { octets, pairsOf, waysToSend } from '../messages.ts'

interface Outcome {
  readonly data: string
  /** Bytes taken. */
  readonly taken: number
  readonly isDone: boolean
  readonly fault: string | undefined
  readonly trailers: readonly (readonly string[])[] | undefined
}

/** Reads one body in all ways, and checks that they say the same. */
function read(text: string): Outcome {
  let outcome: Outcome | undefined
  for (const pieces of waysToSend(octets(text))) {
    const reader = new ChunkedReader(latin1Of)
    const { data, taken } = feed(reader, pieces)
    const { isDone, fault, trailers } = reader
    const each = {
      data,
      taken: fault ? 0 : taken,
      isDone,
      fault,
      trailers: trailers && pairsOf(trailers),
    }
    outcome ??= each
    expect(each).toEqual(outcome)
  }
  return outcome!
}

function feed(
  reader: ChunkedReader,
  pieces: readonly Uint8Array[],
): { data: string; taken: number } {
  let data = ''
  let taken = 0
  for (const piece of pieces) {
    if (reader.isDone || reader.fault !== undefined) break
    const spans: number[] = []
    // What is before the index is another message's.
    const shifted = new Uint8Array(piece.length + 2)
    shifted.set(piece, 2)
    const end = reader.read(shifted, 2, spans)
    for (let n = 0; n < spans.length; n += 2) data += latin1Of(shifted, spans[n]!, spans[n + 1]!)
    taken += end - 2
    if (!reader.isDone && reader.fault === undefined) expect(end).toBe(shifted.length)
  }
  return { data, taken }
}

describe('a body that is taken', () => {
  test.each([
    { name: 'nothing', text: '0\r\n\r\n', data: '' },
    { name: 'one chunk', text: '5\r\nhello\r\n0\r\n\r\n', data: 'hello' },
    {
      name: 'several',
      text: '1\r\na\r\n0002\r\nbc\r\nA\r\n0123456789\r\n00\r\n\r\n',
      data: 'abc0123456789',
    },
    { name: 'line ends in it', text: '4\r\n\r\n\r\n\r\n0\r\n\r\n', data: '\r\n\r\n' },
    {
      name: 'sixteen digits',
      text: '0000000000000001\r\na\r\n0000000000000000\r\n\r\n',
      data: 'a',
    },
    { name: 'extensions', text: '1;a;b=c;d="e;\\"f"\r\na\r\n0;x\r\n\r\n', data: 'a' },
  ])('$name', ({ text, data }) => {
    const expected = {
      data,
      taken: text.length,
      isDone: true,
      fault: undefined,
      trailers: undefined,
    }
    expect(read(text)).toEqual(expected)
    expect(read(`${text}GET / HTTP/1.1\r\n`)).toEqual(expected)
  })

  test('with trailers', () => {
    const text = '1\r\na\r\n0\r\nDigest: b\r\nX:  c \r\n\r\n'
    const trailers = [
      ['Digest', 'b'],
      ['X', 'c'],
    ]
    expect(read(`${text}0`)).toMatchObject({
      data: 'a',
      taken: text.length,
      isDone: true,
      trailers,
    })
  })

  test('part of one', () => {
    const text = '5\r\nhello\r\n0\r\n\r\n'
    for (let at = 1; at < text.length; at++) {
      expect(read(text.slice(0, at))).toMatchObject({ taken: at, isDone: false, fault: undefined })
    }
  })
})

describe('a body that is refused', () => {
  test.each([
    { fault: 'chunk-size', text: '\r\n' },
    { fault: 'chunk-size', text: ' 1\r\n' },
    { fault: 'chunk-size', text: '1 \r\n' },
    { fault: 'chunk-size', text: '+1\r\n' },
    { fault: 'chunk-size', text: '0x1\r\n' },
    { fault: 'chunk-size', text: '1_0\r\n' },
    { fault: 'chunk-size', text: ';a\r\n' },
    { fault: 'chunk-size', text: '00000000000000001\r\n' },
    { fault: 'chunk-size', text: '20000000000000\r\n' },
    { fault: 'line-end', text: '1\na' },
    { fault: 'line-end', text: '1\ra' },
    { fault: 'line-end', text: '1;a\nb' },
    { fault: 'line-end', text: '1;a\rb' },
    { fault: 'line-end', text: '1;a="\n' },
    { fault: 'chunk-extension', text: '1;\r\n' },
    { fault: 'chunk-extension', text: '1;a="\r\n' },
    { fault: 'chunk-extension', text: '1;a b\r\n' },
    { fault: 'chunk-end', text: '1\r\nab' },
    { fault: 'chunk-end', text: '1\r\na\n' },
    { fault: 'chunk-end', text: '1\r\na\rb' },
    { fault: 'fold', text: '0\r\n a: b\r\n\r\n' },
    { fault: 'field-name', text: '0\r\na : b\r\n\r\n' },
    { fault: 'field-value', text: '0\r\na: \x00\r\n\r\n' },
    { fault: 'trailer', text: '0\r\nContent-Length: 1\r\n\r\n' },
    { fault: 'too-many-fields', text: `0\r\n${'a: b\r\n'.repeat(65)}\r\n` },
  ])('$fault: $text', ({ fault, text }) => {
    expect(read(text)).toMatchObject({ isDone: false, fault })
  })

  test('the largest size is a safe integer', () => {
    expect(read('1fffffffffffff\r\na')).toMatchObject({
      data: 'a',
      isDone: false,
      fault: undefined,
    })
  })
})

describe('extensions cost no more than what they go with', () => {
  const signed = (bytes: number): string =>
    `${bytes.toString(16)};chunk-signature=${'a'.repeat(64)}\r\n${'x'.repeat(bytes)}\r\n`
  const faultOf = (text: string): string | undefined => {
    const reader = new ChunkedReader(latin1Of)
    feed(reader, [octets(text)])
    return reader.fault
  }

  test('signatures of chunks of 8 kB go on for ever', () => {
    expect(faultOf(signed(8192).repeat(200))).toBeUndefined()
  })

  test('of single bytes they do not', () => {
    expect(faultOf(signed(1).repeat(20))).toBeUndefined()
    expect(faultOf(signed(1).repeat(200))).toBe('chunk-extension')
  })

  test('small ones of small chunks do', () => {
    expect(faultOf('1;a=b\r\na\r\n'.repeat(5000))).toBeUndefined()
  })

  test('one, at the most and one above', () => {
    expect(faultOf(`1;${'a'.repeat(4095)}\r\n`)).toBeUndefined()
    expect(faultOf(`1;${'a'.repeat(4096)}\r\n`)).toBe('chunk-extension')
  })
})

describe('the next body', () => {
  const text = '1;a\r\na\r\n0\r\nDigest: b\r\n\r\n'

  test('is read anew', () => {
    const reader = new ChunkedReader(latin1Of)
    for (let round = 0; round < 3; round++) {
      expect(feed(reader, [octets(text)]).data).toBe('a')
      expect(reader.isDone).toBe(true)
      expect(reader.trailers?.count).toBe(1)
      reader.reset()
      expect(reader.trailers).toBeUndefined()
      expect(reader.isDone).toBe(false)
    }
    expect(feed(reader, [octets('0\r\n\r\n')]).taken).toBe(5)
    expect(reader.trailers).toBeUndefined()
  })

  test('also after one that was cut anywhere', () => {
    for (let at = 0; at < text.length; at++) {
      const reader = new ChunkedReader(latin1Of)
      feed(reader, [octets(text.slice(0, at))])
      reader.reset()
      expect(feed(reader, [octets(text)])).toEqual({ data: 'a', taken: text.length })
      expect(reader.isDone).toBe(true)
    }
  })
})

describe('written', () => {
  test('what is read', () => {
    const text = `${chunkHead(26)}${'x'.repeat(26)}${CHUNK_END}${LAST_CHUNK}`
    expect(text.slice(0, 4)).toBe('1a\r\n')
    expect(read(text)).toMatchObject({ data: 'x'.repeat(26), isDone: true })
  })

  test('trailers that may be', () => {
    const trailers = Fields.of([
      'Digest',
      'a',
      'server-timing',
      'b',
      'set-cookie',
      'c',
      'X-Real-IP',
      'd',
      'X_Real_IP',
      'e',
    ])
    expect(lastChunk(trailers)).toBe('0\r\nDigest: a\r\nserver-timing: b\r\n\r\n')
    expect(trailers.pairs(TRAILERS_KEPT)).toEqual(['digest', 'a', 'server-timing', 'b'])
    expect(lastChunk(undefined)).toBe('0\r\n\r\n')
  })
})
