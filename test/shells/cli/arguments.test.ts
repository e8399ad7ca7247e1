import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  readSource,
  stateForNode,
  stateOfNode,
  wholeNumber,
} from '../../../shells/cli/arguments.ts'
import { describeFailure, Failure, systemText } from '../../../shells/cli/failure.ts'

let directory: string
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'weir-arguments-')))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('the deployment file', () => {
  test('keeps its name as it was written, and knows its directory', () => {
    const file = join(directory, 'sub', '..', 'weir.yaml')
    writeFileSync(join(directory, 'weir.yaml'), 'version: v1\n')
    mkdirSync(join(directory, 'sub'))
    expect(readSource(file)).toEqual({ text: 'version: v1\n', file, directory })
  })
})

test('what the system says of a file is said once', () => {
  const error = Object.assign(new Error("EACCES: permission denied, open 'x'"), { errno: -13 })
  expect(systemText(error)).toBe('permission denied')
})

describe('the state directory of `up`', () => {
  const rows: readonly [string, string | undefined, Record<string, string>, string][] = [
    ['beside the file', undefined, {}, '/srv/shop/.weir'],
    ['as the environment says', undefined, { WEIR_STATE: '/var/weir' }, '/var/weir'],
    ['an empty variable says nothing', undefined, { WEIR_STATE: '' }, '/srv/shop/.weir'],
    ['as the call says', '/given', { WEIR_STATE: '/var/weir' }, '/given'],
  ]
  for (const [situation, given, env, state] of rows) {
    test(situation, () => expect(stateForNode(given, '/srv/shop', env)).toBe(state))
  }
})

describe('the state directory of a running node', () => {
  test('is found in a directory above', () => {
    const below = join(directory, 'a', 'b')
    mkdirSync(below, { recursive: true })
    mkdirSync(join(directory, '.weir'))
    expect(stateOfNode(undefined, {}, below)).toBe(join(directory, '.weir'))
  })

  test('the nearest one wins, and a file of that name is none', () => {
    const below = join(directory, 'a', 'b')
    mkdirSync(below, { recursive: true })
    mkdirSync(join(directory, '.weir'))
    mkdirSync(join(directory, 'a', '.weir'))
    writeFileSync(join(below, '.weir'), '')
    expect(stateOfNode(undefined, {}, below)).toBe(join(directory, 'a', '.weir'))
  })

  test('the call and the environment go first', () => {
    mkdirSync(join(directory, '.weir'))
    expect(stateOfNode('given', { WEIR_STATE: '/var/weir' }, directory)).toBe(
      join(directory, 'given'),
    )
    expect(stateOfNode(undefined, { WEIR_STATE: '/var/weir' }, directory)).toBe('/var/weir')
  })

  test('none: says what to do', () => {
    expect(() => stateOfNode(undefined, {}, directory)).toThrow(
      `weir: no node was ever started here: there is no .weir in ${directory} or above; ` +
        'start one with `weir up`, or name its state directory with --state DIR',
    )
  })
})

describe('whole numbers', () => {
  const parse = wholeNumber(1, 100)
  for (const text of ['1', '100', '042']) test(text, () => expect(parse(text)).toBe(Number(text)))
  for (const text of ['0', '101', '-1', '1.0', '1e1', '', ' 1', '0x1', '١', '9'.repeat(400)]) {
    test(`not ${JSON.stringify(text.slice(0, 8))}`, () => {
      expect(() => parse(text)).toThrow('Give a whole number from 1 to 100.')
    })
  }
})

describe('failures', () => {
  const named = (name: string, message: string, more: object = {}) =>
    Object.assign(new Error(message), { name }, more)
  const rows: readonly [string, unknown, number, readonly string[]][] = [
    ['our own', new Failure(2, ['weir: no']), 2, ['weir: no']],
    ['no node', named('NotRunning', 'no node\nruns'), 1, ['weir: no node runs']],
    [
      'a refusal',
      named('OperatorError', 'no service wbe', { code: 'not-found', problems: [] }),
      1,
      ['weir: no service wbe'],
    ],
    [
      'a request that makes no sense',
      named('OperatorError', 'web is ambiguous', { code: 'invalid', problems: [] }),
      2,
      ['weir: web is ambiguous'],
    ],
    [
      'problems of a file',
      named('OperatorError', 'refused', { code: 'invalid', problems: ['a:1:1: x', 'a:2:1: y'] }),
      1,
      ['a:1:1: x', 'a:2:1: y'],
    ],
    [
      'of the system',
      named('Error', 'EACCES: permission denied', { code: 'EACCES', syscall: 'open' }),
      1,
      ['weir: EACCES: permission denied'],
    ],
    ['something that is not even an error', 'oops', 1, ['weir: internal error: oops']],
  ]
  for (const [situation, error, exitCode, lines] of rows) {
    test(situation, () => expect(describeFailure(error)).toMatchObject({ exitCode, lines }))
  }
})
