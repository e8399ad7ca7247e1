import fc from 'fast-check'
import { expect, test } from 'vitest'
import { splitWords } from '../../../../core/spec/grammar/words.ts'

const GOOD: readonly [string, readonly string[]][] = [
  ['node server.mjs', ['node', 'server.mjs']],
  ['  a \t b\nc ', ['a', 'b', 'c']],
  ['', []],
  ["'a b' c", ['a b', 'c']],
  ['"a b"c', ['a bc']],
  [`a'b'"c"`, ['abc']],
  ["''", ['']],
  ['a "" b', ['a', '', 'b']],
  ['a\\ b', ['a b']],
  ["'a\\b'", ['a\\b']],
  ['"a\\"b\\\\c\\d"', ['a"b\\c\\d']],
  ['"\\$PORT" $PORT', ['$PORT', '$PORT']],
  ['a\\\nb', ['ab']],
  ['echo "|" \\| a|b', ['echo', '|', '|', 'a|b']],
  ['ls *.txt ~ #x', ['ls', '*.txt', '~', '#x']],
]
for (const [text, words] of GOOD) {
  test(`${JSON.stringify(text)} splits as a shell would`, () => {
    expect(splitWords(text)).toEqual({ ok: true, words })
  })
}

const BAD: readonly [string, RegExp][] = [
  ["a 'b", /the ' at character 3 is never closed/],
  ['a "b\\"', /the " at character 3 is never closed/],
  ['a \\', /lone backslash/],
  ['a && b', /&& would be an ordinary word.*sh, -c/],
  ['a |', /\| would be/],
  ['a > out.txt', /> would be/],
]
for (const [text, reason] of BAD) {
  test(`${JSON.stringify(text)} cannot be split`, () => {
    expect(splitWords(text)).toEqual({ ok: false, reason: expect.stringMatching(reason) })
  })
}

test('any words, quoted, split into themselves', () => {
  const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (words) => {
      expect(splitWords(words.map(quoted).join(' '))).toEqual({ ok: true, words })
    }),
  )
})

test('any text gives words or a reason', () => {
  const characters = fc.constantFrom(' ', "'", '"', '\\', '$', 'a', '|', '\n')
  fc.assert(
    fc.property(fc.string({ unit: characters }), (text) => {
      const split = splitWords(text)
      expect(
        split.ok ? split.words.every((word) => text.length >= word.length) : split.reason,
      ).toBeTruthy()
    }),
  )
})
