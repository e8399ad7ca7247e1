import { describe, expect, test } from 'vitest'
import { redirectPortOf } from '../../../core/spec/redirect.ts'
import { deploymentOf, fileOf, problemsOf, type Tree } from './files.ts'

const service = (...endpoints: readonly Tree[]): Tree => ({ command: ['run'], endpoints })
const https = (name: string, port: number, more: Tree = {}): Tree => ({
  name,
  protocol: 'https',
  port,
  ...more,
})
const plain = (more: Tree = {}): Tree => ({
  name: 'plain',
  protocol: 'http',
  port: 80,
  http: { redirect_https: true },
  ...more,
})
const HOST = { host: 'a.test' }
const OUT = { expose: 'public' }

describe('requests that come plain are sent to', () => {
  const ROWS: readonly [string, number, Tree][] = [
    ['its own service', 1, { web: service(plain(), https('a', 1)) }],
    ['another, when its own has none', 1, { web: service(plain()), b: service(https('a', 1)) }],
    [
      'its own, whoever is nearer by host',
      2,
      { b: service(https('a', 1, HOST)), web: service(plain(HOST), https('a', 2)) },
    ],
    [
      'the same host before its wildcard, and that before any',
      3,
      {
        b: service(https('a', 1)),
        c: service(https('a', 2, { host: '*.test' })),
        d: service(https('a', 3, HOST)),
        web: service(plain(HOST)),
      },
    ],
    [
      'a wildcard before any',
      2,
      {
        b: service(https('a', 1)),
        c: service(https('a', 2, { host: '*.test' })),
        web: service(plain(HOST)),
      },
    ],
    [
      'the longest path that holds it',
      2,
      {
        web: service(
          plain({ path: '/a/b' }),
          https('a', 1),
          https('b', 2, { path: '/a' }),
          https('c', 3, { path: '/a/b/c' }),
        ),
      },
    ],
    [
      'the first of several that are alike',
      1,
      { web: service(plain(), https('a', 1), https('b', 2)) },
    ],
    [
      'a public one, from a public one',
      2,
      { web: service(plain(OUT), https('a', 1), https('b', 2, OUT)) },
    ],
    ['a public one, from an internal one', 1, { web: service(plain(), https('a', 1, OUT)) }],
  ]
  for (const [name, port, services] of ROWS) {
    test(name, () => {
      const { services: read } = deploymentOf(fileOf(services))
      expect(redirectPortOf(read, 'web', read.web!.endpoints[0]!)).toBe(port)
    })
  }
})

describe('without anywhere to go they are refused', () => {
  const none = (asked: string): string =>
    `=/services/web/endpoints/0/http/redirect_https: redirect_https needs an https endpoint for ${asked}, and there is none in this file;`
  const ADD = 'add one, such as { name: tls, protocol: https, port: 443'
  const ROWS: readonly [string, Tree, string][] = [
    ['no https', { web: service(plain(OUT)) }, `${none('any host')} ${ADD}, expose: public }`],
    [
      'https of another host',
      { web: service(plain(HOST), https('a', 1, { host: 'b.test' })) },
      `${none('a.test')} ${ADD}, host: a.test, expose: internal }`,
    ],
    [
      'https of one host, and any is asked for',
      { web: service(plain(), https('a', 1, HOST)) },
      `${none('any host')} write host: a.test here, too, or give an https endpoint without a host`,
    ],
    [
      'https of a part of the paths',
      {
        web: service(
          plain({ path: '/a' }),
          https('a', 1, { path: '/a/b' }),
          https('b', 1, { path: '/ab' }),
        ),
      },
      `${none('any host, path /a')} ${ADD}, expose: internal }`,
    ],
    [
      'https of a path that only begins alike',
      { web: service(plain({ path: '/ab' }), https('a', 1, { path: '/a' })) },
      `${none('any host, path /ab')} ${ADD}, expose: internal }`,
    ],
    [
      'https of a job, which is not run',
      { web: service(plain()), job: { ...service(https('a', 1)), rtype: 'job' } },
      `${none('any host')} ${ADD}, expose: internal }`,
    ],
    [
      'an internal one, from a public one',
      { web: service(plain(OUT)), b: service(https('a', 1)) },
      '=/services/web/endpoints/0/http/redirect_https: redirect_https leads to endpoint a of service b, which is internal, and this one is public: who is sent there cannot come; write expose: public there',
    ],
  ]
  for (const [name, services, problem] of ROWS) {
    test(name, () => expect(problemsOf(fileOf(services))).toEqual([problem]))
  }

  test('what is meant may be what is not understood', () => {
    const file = fileOf({ web: service(plain(), https('a', 0)), b: 5 })
    expect(problemsOf(file).some((problem) => problem.includes('redirect_https'))).toBe(false)
  })
})
