import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { HttpRoute } from '../../../../core/http/config.ts'
import { hostOf, RouteTable } from '../../../../core/http/routes/table.ts'

/** `HOST/PATH`; the listener is named like that. */
const route = (text: string): HttpRoute => {
  const slash = text.indexOf('/')
  const [host, path] = [text.slice(0, slash), text.slice(slash)]
  return { ...(host !== '' && { host }), path, listener: text }
}

const table = (...routes: readonly string[]): RouteTable => new RouteTable(routes.map(route))

const rows = (
  routes: readonly string[],
  found: readonly (readonly [string, string, string?])[],
) => {
  const made = table(...routes)
  for (const [host, path, listener] of found) {
    test(`${host || 'no host'} ${path}: ${listener ?? 'none'}`, () => {
      expect(made.find(host, path)?.listener).toBe(listener)
    })
  }
}

describe('proxy W12: hosts in any case, with a port, with a dot at the end', () => {
  rows(
    ['app.example.com/'],
    [
      ['app.example.com', '/', 'app.example.com/'],
      ['App.Example.COM', '/', 'app.example.com/'],
      ['app.example.com:8080', '/', 'app.example.com/'],
      ['app.example.com.', '/', 'app.example.com/'],
      ['APP.example.com.:80', '/', 'app.example.com/'],
      ['example.com', '/'],
      ['app.example.com.evil', '/'],
      ['', '/'],
    ],
  )
})

describe('addresses are hosts', () => {
  rows(
    ['[::1]/', '[2001:db8::1]/', '127.0.0.1/'],
    [
      ['[::1]', '/', '[::1]/'],
      ['[::1]:8080', '/', '[::1]/'],
      ['[2001:DB8::1]:80', '/', '[2001:db8::1]/'],
      ['127.0.0.1:80', '/', '127.0.0.1/'],
      ['[::2]', '/'],
      ['[::1', '/'],
    ],
  )
})

describe('proxy W13: the exact host, then a wildcard of one label, then any, in whatever order they are written', () => {
  rows(
    ['/', '*.example.com/', '*.a.example.com/', 'b.example.com/'],
    [
      ['b.example.com', '/', 'b.example.com/'],
      ['c.example.com', '/', '*.example.com/'],
      ['a.example.com', '/', '*.example.com/'],
      ['x.a.example.com', '/', '*.a.example.com/'],
      ['x.y.example.com', '/', '/'],
      ['example.com', '/', '/'],
      ['.example.com', '/', '/'],
      ['other', '/', '/'],
      ['', '/', '/'],
    ],
  )
})

describe('the longest prefix of whole segments', () => {
  rows(
    ['/', '/api', '/api/v1', '/api/v1/users/', '/x/y'],
    [
      ['h', '/', '/'],
      ['h', '/api', '/api'],
      ['h', '/api/', '/api'],
      ['h', '/apiary', '/'],
      ['h', '/api/v1', '/api/v1'],
      ['h', '/api/v1/', '/api/v1'],
      ['h', '/api/v1x', '/api'],
      ['h', '/api/v2', '/api'],
      ['h', '/api/v1/users', '/api/v1/users/'],
      ['h', '/api/v1/users/1', '/api/v1/users/'],
      ['h', '/API', '/'],
      ['h', '/x', '/'],
      ['h', '*', '/'],
    ],
  )
})

describe('a host that has no prefix of a path leaves it to the next', () => {
  rows(
    ['a.example.com/api', '*.example.com/docs', '/'],
    [
      ['a.example.com', '/api/1', 'a.example.com/api'],
      ['a.example.com', '/docs', '*.example.com/docs'],
      ['a.example.com', '/other', '/'],
    ],
  )
})

describe('without a route for all', () => {
  rows(
    ['/api', 'a/x'],
    [
      ['h', '/'],
      ['h', '/ap'],
      ['h', '*'],
      ['a', '/'],
      ['a', '/x', 'a/x'],
    ],
  )
})

describe('paths that read differently to others', () => {
  rows(
    ['/', '/admin', '/m%C3%BCll', '/a%2Fb'],
    [
      ['h', '/%61dmin', '/admin'],
      ['h', '//admin', '/admin'],
      ['h', '/admin//x', '/admin'],
      ['h', '/admin%2Fx', '/admin'],
      ['h', '/admin%2fx', '/admin'],
      ['h', '/admin;v=1/x', '/admin'],
      ['h', '/admin\\x', '/admin'],
      ['h', '/%5cadmin', '/admin'],
      ['h', '/admin%5C', '/admin'],
      ['h', '/%2561dmin', '/'],
      ['h', '/m%C3%BCll/x', '/m%C3%BCll'],
      ['h', '/m%c3%bcll', '/m%C3%BCll'],
      ['h', '/a/b', '/a%2Fb'],
      ['h', '/100%', '/'],
      ['h', '/.well-known/x', '/'],
      ['h', '/...', '/'],
      ['h', '/a/../admin'],
      ['h', '/..'],
      ['h', '/./'],
      ['h', '/a/.'],
      ['h', '/%2e%2E/x'],
      ['h', '/.%2e'],
      ['h', '/a/..%2fadmin'],
      ['h', '/a%5c..%5cadmin'],
      ['h', '/a\\..\\admin'],
      ['h', '/a/..;/admin'],
      ['h', '/a/..%3bx/admin'],
      ['h', '/admin%00'],
    ],
  )
})

test('of two routes for one host and path the first counts', () => {
  const made = new RouteTable([
    { host: 'A.example', path: '/x', listener: 'first' },
    { host: 'a.example.', path: '/x/', listener: 'second' },
    { path: '', listener: 'third' },
    { path: '/', listener: 'fourth' },
  ])
  expect(made.find('a.example', '/x')?.listener).toBe('first')
  expect(made.find('b', '/x')?.listener).toBe('third')
  expect(made.routes).toHaveLength(4)
})

test('proxy W11: a table is of one port', () => {
  const [one, other] = [table('/'), table('/api')]
  expect([one.find('h', '/api')?.listener, other.find('h', '/api')?.listener]).toEqual([
    '/',
    '/api',
  ])
})

test('a name of an object is no host and no path', () => {
  const made = table('a/x')
  for (const name of ['constructor', '__proto__', 'toString']) {
    expect(made.find(name, '/x')).toBeUndefined()
    expect(made.find('a', `/${name}`)).toBeUndefined()
  }
})

/** Reads all routes for each request, and decides by the words of the rule. */
function slow(
  routes: readonly HttpRoute[],
  authority: string,
  path: string,
): HttpRoute | undefined {
  const host = hostOf(authority)
  const segments = (text: string): string[] => text.split('/').filter((part) => part !== '')
  const asked = segments(path)
  let best: { route: HttpRoute; rank: readonly number[] } | undefined
  for (const each of routes) {
    const labels = (each.host ?? '').split('.')
    const isWild = labels[0] === '*'
    const suffix = host.split('.').slice(1).join('.')
    const isWildMatch =
      isWild && host.includes('.') && host[0] !== '.' && suffix === labels.slice(1).join('.')
    if (each.host !== undefined && !(isWild ? isWildMatch : each.host === host)) continue
    const prefix = segments(each.path)
    if (!prefix.every((part, at) => asked[at] === part)) continue
    const rank = [each.host === undefined ? 0 : isWild ? 1 : 2, prefix.length]
    const isBetter =
      best === undefined ||
      rank[0]! > best.rank[0]! ||
      (rank[0] === best.rank[0] && rank[1]! > best.rank[1]!)
    if (isBetter) best = { route: each, rank }
  }
  return best?.route
}

test('a table finds what a plain search finds', () => {
  const label = fc.constantFrom('a', 'b', 'c')
  const hostText = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'))
  const pathText = fc
    .array(fc.constantFrom('x', 'y', 'xy', ''), { maxLength: 4 })
    .map((parts) => `/${parts.join('/')}`)
  const one = fc.record(
    {
      host: fc.oneof(
        hostText,
        hostText.map((text) => `*.${text}`),
      ),
      path: pathText,
    },
    { requiredKeys: ['path'] },
  )
  fc.assert(
    fc.property(fc.array(one, { maxLength: 30 }), hostText, pathText, (given, authority, path) => {
      const routes = given.map((each, at) => ({ ...each, listener: String(at) }) as HttpRoute)
      const found = new RouteTable(routes).find(authority, path)
      expect(found?.listener).toBe(slow(routes, authority, path)?.listener)
    }),
    { numRuns: 3_000 },
  )
})

test('a look costs what the lengths of prefixes cost, not the routes or the path', () => {
  const routes = Array.from({ length: 10_000 }, (_, at) => route(`a/p${at}`))
  const made = new RouteTable(routes)
  expect(made.find('a', '/p9999/x')?.listener).toBe('a/p9999')
  expect(made.find('a', `/${'x/'.repeat(15_000)}`)).toBeUndefined()
})
