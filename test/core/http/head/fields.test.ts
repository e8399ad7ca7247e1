import { describe, expect, test } from 'vitest'
import { FIELD, type FieldId, Fields, keepsAllBut } from '../../../../core/http/head/fields.ts'
import { latin1Of } from '../../../../core/http/head/latin1.ts'
import { RequestReader } from '../../../../core/http/head/request.ts'
import { LIMITS, octets } from '../messages.ts'

/** The lines of a head, read as such. */
function read(...lines: readonly string[]): Fields {
  const reader = new RequestReader(latin1Of)
  const text = ['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n')
  expect(reader.read(octets(text), 0, LIMITS)).toBe('head')
  return reader.head.fields
}

const ALL = keepsAllBut([])

describe('which field it is', () => {
  const known = Object.entries(FIELD).filter(([, id]) => id > FIELD.xForwardedOther)
  const nameOf = (key: string): string =>
    key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

  test.each(known)('%s, in any case', (key, id) => {
    const name = nameOf(key)
    const mixed = name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase())
    for (const spelling of [name, mixed, name.toUpperCase()]) {
      const fields = Fields.of([spelling, 'v'])
      expect(fields.id(0)).toBe(id)
      expect(fields.lowerName(0)).toBe(name)
      expect(fields.has(id)).toBe(true)
    }
    // One letter more, less or other is another field.
    for (const other of [`${name}s`, name.slice(1), `${name.slice(0, -1)}q`, `q${name.slice(1)}`]) {
      if (known.some(([each]) => nameOf(each) === other) || other === '') continue
      expect([FIELD.other, FIELD.xForwardedOther]).toContain(Fields.of([other, 'v']).id(0))
    }
  })

  test('proxy W44: what a gateway would take for one of them', () => {
    for (const name of [
      'X_Real_IP',
      'x.real.ip',
      'X-Forwarded_For',
      'Content_Length',
      'X_Forwarded_Prefix',
    ]) {
      expect(Fields.of([name, 'v']).id(0)).toBe(FIELD.lookalike)
    }
    for (const name of [
      'X_Real',
      'Under_Score',
      'XaRealaIP',
      'X1Real1IP',
      'Xx',
      'x',
      'X_Forwarded',
    ]) {
      expect(Fields.of([name, 'v']).id(0)).toBe(FIELD.other)
    }
    expect(read('X_Real_IP: 1.2.3.4', 'A: b').lines(ALL)).toBe('Host: a\r\nA: b\r\n')
  })

  test('what else is forwarded', () => {
    const fields = Fields.of([
      'X-Forwarded-Prefix',
      '/a',
      'X-Forwarded-',
      'b',
      'X-Forwarded-For',
      'c',
    ])
    expect([0, 1, 2].map((n) => fields.id(n))).toEqual([
      FIELD.xForwardedOther,
      FIELD.other,
      FIELD.xForwardedFor,
    ])
    expect(fields.lowerName(0)).toBe('x-forwarded-prefix')
  })

  test('a name that text would wrap into another', () => {
    expect(Fields.of(['\u0148ost', 'v']).id(0)).toBe(FIELD.other)
  })
})

describe('what is asked of them', () => {
  const fields = read('Accept: a', 'X-Odd:b', 'accept:\t c ', 'Empty:')

  test('one by one', () => {
    expect(fields.count).toBe(5)
    expect(fields.name(3)).toBe('accept')
    expect(fields.value(3)).toBe('c')
    expect(fields.lowerName(2)).toBe('x-odd')
    expect(fields.value(4)).toBe('')
  })

  test('by what they are', () => {
    expect(fields.get(FIELD.accept)).toBe('a')
    expect(fields.joined(FIELD.accept)).toBe('a, c')
    expect(fields.isRepeated(FIELD.accept)).toBe(true)
    expect(fields.isRepeated(FIELD.host)).toBe(false)
    expect(fields.first(FIELD.accept)).toBe(1)
    const missing: FieldId[] = [FIELD.via, FIELD.vary, FIELD.wwwAuthenticate]
    for (const id of missing) {
      expect(fields.has(id)).toBe(false)
      expect(fields.get(id)).toBeUndefined()
      expect(fields.joined(id)).toBeUndefined()
      expect(fields.first(id)).toBe(-1)
    }
  })

  test('fields of both halves of all ids, once and twice', () => {
    const many = read('Age: 1', 'Vary: a', 'Vary: b', 'TE: trailers', 'Te: trailers')
    expect([FIELD.age, FIELD.vary, FIELD.te].map((id) => many.isRepeated(id))).toEqual([
      false,
      true,
      true,
    ])
  })

  test('what was there twice in the head before is forgotten', () => {
    const reader = new RequestReader(latin1Of)
    const head = 'GET / HTTP/1.1\r\nHost: a\r\n'
    reader.read(octets(`${head}Via: a\r\nVia: b\r\nVary: a\r\nVary: b\r\n\r\n`), 0, LIMITS)
    const { fields } = reader.head
    expect([FIELD.via, FIELD.vary].map((id) => fields.isRepeated(id))).toEqual([true, true])
    reader.read(octets(`${head}Via: a\r\nVary: a\r\n\r\n`), 0, LIMITS)
    expect([FIELD.via, FIELD.vary].map((id) => fields.isRepeated(id))).toEqual([false, false])
  })

  test('lines, as they came, without what is left out', () => {
    expect(fields.lines(ALL)).toBe('Host: a\r\nAccept: a\r\nX-Odd:b\r\naccept:\t c \r\nEmpty:\r\n')
    expect(fields.lines(keepsAllBut([FIELD.accept]))).toBe('Host: a\r\nX-Odd:b\r\nEmpty:\r\n')
    expect(fields.lines(keepsAllBut([FIELD.host]))).toBe(
      'Accept: a\r\nX-Odd:b\r\naccept:\t c \r\nEmpty:\r\n',
    )
    expect(fields.lines(keepsAllBut([FIELD.other]))).toBe(
      'Host: a\r\nAccept: a\r\naccept:\t c \r\n',
    )
    expect(new Fields().lines(ALL)).toBe('')
  })

  test('lines of what came since they were asked for', () => {
    const made = Fields.of(['a', 'b'])
    expect(made.lines(ALL)).toBe('a: b\r\n')
    expect(made.lines(ALL)).toBe('a: b\r\n')
    made.append('c', 'd')
    expect(made.lines(ALL)).toBe('a: b\r\nc: d\r\n')
    const reader = new RequestReader(latin1Of)
    for (const name of ['x', 'y', 'y', 'z']) {
      reader.read(octets(`GET / HTTP/1.1\r\nHost: ${name}\r\n\r\n`), 0, LIMITS)
      expect(reader.head.fields.lines(ALL)).toBe(`Host: ${name}\r\n`)
    }
  })

  test('pairs, in lower case', () => {
    expect(fields.pairs(keepsAllBut([FIELD.host]))).toEqual([
      'accept',
      'a',
      'x-odd',
      'b',
      'accept',
      'c',
      'empty',
      '',
    ])
  })

  test('the same of pairs as of lines', () => {
    const made = Fields.of(['x-a', 'b', 'cookie', ''])
    expect(made.lines(ALL)).toBe('x-a: b\r\ncookie: \r\n')
    expect(made.get(FIELD.cookie)).toBe('')
  })
})

describe('what Connection names', () => {
  test('goes no further', () => {
    const fields = read('Connection: x-a, close,,X-B', 'X-A: 1', 'x-b: 2', 'X-AB: 3')
    expect(fields.nominated).toBe(',x-a,x-b,')
    expect(fields.lines(keepsAllBut([FIELD.connection]))).toBe('Host: a\r\nX-AB: 3\r\n')
    expect(fields.pairs(keepsAllBut([FIELD.connection]))).toEqual(['host', 'a', 'x-ab', '3'])
  })

  test('proxy W44: but not what a message needs', () => {
    const fields = read(
      'Connection: host, content-length, user-agent',
      'Content-Length: 0',
      'User-Agent: b',
    )
    expect(fields.lines(keepsAllBut([FIELD.connection]))).toBe('Host: a\r\nContent-Length: 0\r\n')
  })

  test('is forgotten with the next head', () => {
    const reader = new RequestReader(latin1Of)
    const head = (option: string): Uint8Array =>
      octets(`GET / HTTP/1.1\r\nHost: a\r\nConnection: ${option}\r\n\r\n`)
    reader.read(head('x-abcde'), 0, LIMITS)
    expect(reader.head.fields.nominated).toBe(',x-abcde,')
    reader.read(head('upgrade'), 0, LIMITS)
    expect(reader.head.fields.nominated).toBe('')
  })
})

test('bytes as text, of any length', () => {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, at) => at & 255)
  expect(latin1Of(bytes, 3, 9999)).toBe(Buffer.from(bytes).toString('latin1', 3, 9999))
  expect(latin1Of(bytes, 5, 5)).toBe('')
})
