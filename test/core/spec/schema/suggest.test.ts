import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editDistance, Suggestions } from '../../../../core/spec/schema/suggest.ts'

const ROWS: readonly [string, readonly string[], string | undefined][] = [
  ['comand', ['command', 'env'], 'command'],
  ['replcias', ['replicas'], 'replicas'],
  ['htp', ['https', 'http'], 'http'],
  ['targetPort', ['target_port'], 'target_port'],
  ['stop-signal', ['stop_signal'], 'stop_signal'],
  ['db', ['bd', 'web'], 'bd'],
  ['x', ['y'], undefined],
  ['banana', ['command', 'health'], undefined],
  ['', ['a'], undefined],
  ['a'.repeat(65), ['a'.repeat(64)], undefined],
]
for (const [word, candidates, nearest] of ROWS) {
  test(`${word} among ${candidates}`, () => {
    expect(new Suggestions().nearest(word, candidates)).toBe(nearest)
  })
}

test('past its limit of comparisons it says nothing', () => {
  const suggestions = new Suggestions(2)
  expect(suggestions.nearest('comand', ['command'])).toBe('command')
  expect(suggestions.nearest('comand', ['env', 'command'])).toBeUndefined()
  expect(suggestions.nearest('comand', ['command'])).toBeUndefined()
})

test('the distance is how many single edits were made, at most', () => {
  const edits = fc.array(fc.tuple(fc.constantFrom('drop', 'add', 'swap'), fc.nat(20)), {
    maxLength: 3,
  })
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{6,12}$/), edits, (word, made) => {
      let edited = word
      for (const [kind, at] of made) {
        const left = edited.slice(0, at)
        const right = edited.slice(at)
        if (kind === 'drop') edited = left + right.slice(1)
        else if (kind === 'add') edited = `${left}x${right}`
        else edited = left + (right[1] ?? '') + (right[0] ?? '') + right.slice(2)
      }
      // edits that overlap may need one more than were made: the swap is the restricted one
      expect(editDistance(word, edited, 6)).toBeLessThanOrEqual(made.length * 2)
      expect(editDistance(word, word, 0)).toBe(0)
    }),
  )
})
