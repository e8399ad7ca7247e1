import { describe, expect, test } from 'vitest'
import { fileOf, problemsOf, type Tree } from '../files.ts'

/** `a: ['b']` is a service a that depends on b. */
const file = (graph: Record<string, readonly string[]>, more: Tree = {}): Tree =>
  fileOf(
    Object.fromEntries(
      Object.entries(graph).map(([name, depends]) => [
        name,
        { command: [name], depends: depends.map((service) => ({ service })) },
      ]),
    ),
    more,
  )

interface Row {
  readonly name: string
  readonly tree: Tree
  readonly problems: readonly string[]
}

const ROWS: readonly Row[] = [
  { name: 'none', tree: file({ a: [], b: [] }), problems: [] },
  { name: 'a chain', tree: file({ a: ['b'], b: ['c'], c: [] }), problems: [] },
  { name: 'a diamond', tree: file({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] }), problems: [] },
  {
    name: 'itself',
    tree: file({ a: ['a'] }),
    problems: ['=/services/a/depends/0/service: a depends on itself'],
  },
  {
    name: 'a service that is missing',
    tree: file({ web: ['bd'], db: [] }),
    problems: [
      '=/services/web/depends/0/service: there is no service bd in this file; did you mean db?',
    ],
  },
  {
    name: 'an external',
    tree: file({ web: ['old'] }, { externals: { old: { backends: ['a:1'] } } }),
    problems: [
      '=/services/web/depends/0/service: old is an external; it runs elsewhere and is not waited for',
    ],
  },
  {
    name: 'each other',
    tree: file({ b: ['a'], a: ['b'] }),
    problems: ['=/services/b/depends/0/service: cyclic dependency: a -> b -> a'],
  },
  {
    name: 'three in a ring behind a tail',
    tree: file({ tail: ['x'], z: ['x'], y: ['z'], x: ['y'] }),
    problems: ['=/services/z/depends/0/service: cyclic dependency: x -> y -> z -> x'],
  },
  {
    name: 'two rings that share a service',
    tree: file({ a: ['b', 'c'], b: ['a'], c: ['a'] }),
    problems: [
      '=/services/b/depends/0/service: cyclic dependency: a -> b -> a',
      '=/services/c/depends/0/service: cyclic dependency: a -> c -> a',
    ],
  },
]
describe('depending on', () => {
  for (const { name, tree, problems } of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
})

test('a service that is wrong itself is there to depend on', () => {
  const tree = fileOf({ web: { command: 'web', depends: [{ service: 'db' }] }, db: 5 })
  expect(problemsOf(tree)).toEqual(['=/services/db: db must be a service, not 5'])
})

test('services W56: a cycle is found before anything is deployed, beside every other mistake', () => {
  const tree = file({ a: ['b'], b: ['a', 'nope'], c: ['c'] })
  expect(problemsOf(tree)).toEqual([
    '=/services/b/depends/0/service: cyclic dependency: a -> b -> a',
    '=/services/b/depends/1/service: there is no service nope in this file',
    '=/services/c/depends/0/service: c depends on itself',
  ])
})

test('a ring of five thousand services is found, and drawn in short', () => {
  const graph: Record<string, readonly string[]> = {}
  for (let index = 0; index < 5000; index++) graph[`s${index}`] = [`s${(index + 1) % 5000}`]
  const [problem, ...others] = problemsOf(file(graph))
  expect(others).toEqual([])
  expect(problem).toMatch(/cyclic dependency: s0 -> s1 -> .* -> \(4989 more\) -> s4999 -> s0$/)
})

test('services that all depend on each other get a bounded answer', () => {
  const names = Array.from({ length: 60 }, (_, index) => `s${index}`)
  const graph = Object.fromEntries(
    names.map((name) => [name, names.filter((each) => each !== name)]),
  )
  expect(problemsOf(file(graph))).toHaveLength(100)
})
