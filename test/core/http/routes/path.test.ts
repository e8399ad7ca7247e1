import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  canonicalPath,
  isEvasive,
  isPlainPath,
  strippedPath,
} from '../../../../core/http/routes/path.ts'

describe('what is left of a path', () => {
  for (const [prefix, path, rest] of [
    ['/api', '/api/users', '/users'],
    ['/api', '/api', '/'],
    ['/api', '/api/', '/'],
    ['/api/v1', '/api/v1/users', '/users'],
    ['/', '/api', '/api'],
    ['/', '/', '/'],
    ['/', '//x', '//x'],
    ['/', '*', '*'],
    ['', '/x', '/x'],
    ['/api/', '/api/users', '/users'],
    ['/api', '//api//users', '/users'],
    ['/api', '/%61pi/us%20ers', '/us%20ers'],
    ['/api', '/api%2Fusers', '/users'],
    ['/api', '/api\\users', '/users'],
    ['/api', '/api;v=1/users;w=2', '/users;w=2'],
    ['/api', '/api//evil.example', '/evil.example'],
    ['/api', '/api/a%2Fb', '/a%2Fb'],
    ['/a%2Fb', '/a/b/c', '/c'],
    ['/a%2Fb', '/a%2Fb/c', '/c'],
    ['/api', '/api/a//b', '/a//b'],
  ] as const) {
    test(`${path} without ${prefix || 'a prefix'}: ${rest}`, () => {
      expect(strippedPath(prefix, path)).toBe(rest)
    })
  }
})

test('only what reads alike to everybody is plain', () => {
  const same = ['/a%20b', '/a%25b', '/caf%C3%A9']
  for (const path of [
    '/',
    '/a',
    '/a/b/',
    '/.well-known/a',
    '/a.b/..c',
    '/a:b@c',
    '*',
    '',
    ...same,
  ]) {
    expect([path, isPlainPath(path)]).toEqual([path, true])
  }
  for (const path of [
    '//',
    '/a//b',
    '/.',
    '/..',
    '/./a',
    '/a/..',
    '/a%61b',
    '/caf%c3%a9',
    '/a%',
    '/a;b',
    '/a\\b',
  ]) {
    expect([path, isPlainPath(path)]).toEqual([path, false])
  }
})

test('what leads outside is told from what is merely not served', () => {
  expect(isEvasive('/a/../b')).toBe(true)
  expect(isEvasive('/a%2f%2e%2e')).toBe(true)
  expect(isEvasive('/a//b')).toBe(false)
  expect(isEvasive('/a')).toBe(false)
})

const odd = fc.constantFrom(
  'a',
  'b',
  '.',
  '..',
  '%2e',
  '%2E',
  '%2f',
  '%5C',
  '\\',
  ';',
  ';x',
  '//',
  '%61',
  '%25',
  '%20',
  '%c3',
  '%C3',
  '%',
)
const path = fc
  .array(fc.oneof(odd, fc.constant('/')), { maxLength: 12 })
  .map((parts) => `/${parts.join('')}`)

/** As a lenient backend does: decodes once, takes backslashes for slashes, drops parameters. */
const lenient = (text: string): string[] =>
  text
    .replace(/%([\da-f]{2})/gi, (escaped, code) =>
      /2[05]|[89a-f]./i.test(code) // can be written in no other way
        ? escaped.toUpperCase()
        : String.fromCharCode(Number.parseInt(code, 16)),
    )
    .replaceAll('\\', '/')
    .split('/')
    .map((part) => part.replace(/;.*/s, ''))
    .filter((part) => part !== '')

test('a path is compared as the most lenient backend reads it, or refused', () => {
  fc.assert(
    fc.property(path, (text) => {
      const canonical = canonicalPath(text)
      const segments = lenient(text)
      if (segments.some((part) => part === '.' || part === '..')) {
        expect(canonical).toBeUndefined()
      } else {
        expect(canonical).toBe(`/${segments.join('/')}`)
      }
      if (isPlainPath(text)) expect(canonical).toBe(text === '/' ? text : text.replace(/\/$/, ''))
    }),
    { numRuns: 3_000 },
  )
})

test('stripping takes the segments of the prefix, and gives an absolute path that is no network path', () => {
  fc.assert(
    fc.property(path, fc.constantFrom('/a', '/a/b', '/b'), (text, prefix) => {
      const canonical = canonicalPath(text)
      if (canonical === undefined || !`${canonical}/`.startsWith(`${prefix}/`)) return
      const rest = strippedPath(prefix, text)
      expect(rest).toMatch(/^\/(?![/\\])/)
      expect(lenient(rest)).toEqual(lenient(text).slice(prefix.split('/').length - 1))
    }),
    { numRuns: 3_000 },
  )
})

test('no path takes long', () => {
  for (const piece of ['/', '%2f', '\\', ';', '/a', '/..', '%2e', '/;', '.']) {
    const long = piece.repeat(16_384 / piece.length)
    canonicalPath(`/a${long}`)
    strippedPath('/a', `/a${long}`)
    strippedPath('/a/b/c', `${long}/a/b/c`)
  }
})
