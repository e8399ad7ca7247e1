import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson } from '../../../core/journal/canonical-json.ts'
import { InvariantError } from '../../../core/machine.ts'

describe('canonical JSON', () => {
  test.each([
    [
      'sorted keys at every level',
      { b: 1, a: { d: 1, c: [2, 1] } },
      '{"a":{"c":[2,1],"d":1},"b":1}',
    ],
    ['keys that look like numbers sort as text', { 10: 1, 9: 2, a: 3 }, '{"10":1,"9":2,"a":3}'],
    [
      'keys sort by UTF-16 units',
      { '\u20ac': 1, '\r': 2, '\ud83d\ude00': 3, '\ufb33': 4 },
      '{"\\r":2,"\u20ac":1,"\ud83d\ude00":3,"\ufb33":4}',
    ],
    ['numbers as ECMAScript writes them', [1e21, 0.1, -0, 100, 1e-7], '[1e+21,0.1,0,100,1e-7]'],
    ['a lone surrogate is escaped', '\ud800', '"\\ud800"'],
    ['an own key named __proto__', JSON.parse('{"__proto__":1}'), '{"__proto__":1}'],
    ['empty things', [{}, [], '', null, false], '[{},[],"",null,false]'],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
  ])('%s', (_name, value, text) => {
    expect(canonicalJson(value)).toBe(text)
  })

  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  test.each([
    ['undefined', undefined, '$: undefined'],
    ['a property that is undefined', { a: [{ b: undefined }] }, '$.a[0].b: undefined'],
    ['NaN', [Number.NaN], '$[0]: NaN'],
    ['infinity', { at: Number.POSITIVE_INFINITY }, '$.at: Infinity'],
    ['a function', { f: () => 1 }, '$.f: function'],
    ['a symbol', Symbol('x'), '$: symbol'],
    ['a big integer', [1n], '$[0]: bigint'],
    ['a hole', new Array(2), '$[0]: undefined'],
    ['a date', new Date(0), '$: an object with a class'],
    ['a map', { m: new Map() }, '$.m: an object with a class'],
    ['a cycle', cycle, 'nesting without end'],
  ])('refuses %s', (_name, value, where) => {
    expect(() => canonicalJson(value)).toThrow(InvariantError)
    expect(() => canonicalJson(value)).toThrow(where)
  })

  test('parsed and written again it is the same text, whatever the order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
        expect(canonicalJson(reversed(value))).toBe(text)
      }),
    )
  })
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).reverse()
  return Object.fromEntries(entries.map(([key, member]) => [key, reversed(member)]))
}
