import { describe, expect, test } from 'vitest'
import { canonicalPath } from '../../../../core/http/routes/path.ts'
import { pathFault, plainPath } from '../../../../core/spec/grammar/paths.ts'

const GOOD = [
  '/',
  '/a',
  '/a/b.c',
  '/a/',
  '/.well-known',
  '/a..b',
  '/caf%C3%A9',
  '/a%20b',
  '/a+b=c:d@',
]

describe('a prefix that requests can come under', () => {
  for (const path of GOOD) {
    test(path, () => {
      expect(pathFault(path)).toBeUndefined()
      const plain = plainPath(path)
      expect(plainPath(plain)).toBe(plain)
      expect(canonicalPath(plain)).toBe(canonicalPath(path)?.replace(/(.)\/$/, '$1'))
    })
  }
})

describe('one that none can, or that has a plainer spelling', () => {
  const ROWS: readonly [string, string][] = [
    ['api', 'must begin with a slash: write /api'],
    [
      '/api/*',
      'must be a prefix without a star, not "/api/*"; write /api, which is for all paths under it',
    ],
    ['/**', 'must be a prefix without a star, not "/**"; write /, which is for all paths under it'],
    ['/café', 'must be written as requests have it, not "/café"; write "/caf%C3%A9"'],
    ['/a/../b', 'must not go through . or .., not "/a/../b": no request that does is let through'],
    ['/a/.', 'must not go through . or .., not "/a/.": no request that does is let through'],
    ['//a', 'must not have two slashes in a row, not "//a"; write "/a"'],
    ['/a;b', 'must not hold \\ or ;, not "/a;b": replicas do not agree on what these mean'],
    ['/a\\b', 'must not hold \\ or ;, not "/a\\\\b": replicas do not agree on what these mean'],
    ['/50%', 'has a % that begins no escape, "/50%"; write %25'],
    ['/%61', 'must be written without the escape %61, not "/%61"; write a'],
    ['/a%2Fb', 'must not hold %2F, not "/a%2Fb"'],
    ['/a%00', 'must not hold %00, not "/a%00"'],
    ['/\ud800', 'must be written as requests have it, not "/\\ud800"; write "/%EF%BF%BD"'],
  ]
  for (const [path, fault] of ROWS) test(path, () => expect(pathFault(path)).toBe(fault))

  test('what is no path at all is said so by whoever reads it', () => {
    for (const path of ['', 'a b', '/a b', '/a?b', '/a#b']) expect(pathFault(path)).toBeUndefined()
  })
})
