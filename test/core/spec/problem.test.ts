import { expect, test } from 'vitest'
import {
  formatProblem,
  type Positions,
  pathKey,
  positionOf,
  valueKey,
} from '../../../core/spec/problem.ts'

const positions: Positions = new Map([
  ['', { line: 1, column: 1 }],
  ['/a', { line: 2, column: 3 }],
  [valueKey('/a'), { line: 2, column: 6 }],
  ['/a~1b', { line: 4, column: 1 }],
])

test('a path is a JSON pointer', () => {
  expect(pathKey([])).toBe('')
  expect(pathKey(['services', 'a/b~c', 0])).toBe('/services/a~1b~0c/0')
})

test('a place is its key, or its value where that is known, or what it is in', () => {
  expect(positionOf(['a'], positions)).toEqual({ line: 2, column: 3 })
  expect(positionOf(['a'], positions, 'value')).toEqual({ line: 2, column: 6 })
  expect(positionOf(['a', 'x', 1], positions, 'value')).toEqual({ line: 2, column: 3 })
  expect(positionOf(['a/b'], positions, 'value')).toEqual({ line: 4, column: 1 })
  expect(positionOf(['other'], positions)).toEqual({ line: 1, column: 1 })
  expect(positionOf(['other'], new Map())).toEqual({ line: 1, column: 1 })
})

test('a problem is a line to jump from', () => {
  const problem = { path: ['a'], message: 'must be 1', at: 'value' } as const
  expect(formatProblem(problem, 'weir.yaml', positions)).toBe('weir.yaml:2:6: must be 1')
})
