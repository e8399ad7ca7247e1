import { describe, expect, test } from 'vitest'
import { fileOf, problemsOf, type Tree } from '../files.ts'

/** A service with endpoints at 443, `e0` and so on. */
const service = (...endpoints: readonly Tree[]): Tree => ({
  command: ['run'],
  scale: { mode: 'fixed', replicas: 1 },
  endpoints: endpoints.map((keys, index) => ({ name: `e${index}`, port: 443, ...keys })),
})
const tls = (host?: string, more: Tree = {}, mode = 'terminate'): Tree => ({
  protocol: 'tcp',
  stream: { tls: mode },
  ...(host === undefined ? {} : { host }),
  ...more,
})
const https = (host?: string, more: Tree = {}): Tree => ({
  protocol: 'https',
  ...(host === undefined ? {} : { host }),
  ...more,
})

describe('one TLS port is shared by server names', () => {
  const ROWS: readonly [string, Tree][] = [
    [
      'of one service, whatever becomes of TLS',
      {
        a: service(
          tls('a.test'),
          tls('b.test', {}, 'passthrough'),
          tls('c.test', {}, 'reoriginate'),
        ),
      },
    ],
    [
      'of two services, one of them for all others',
      { a: service(tls('a.test')), b: service(tls()) },
    ],
    [
      'a wildcard and one of its names',
      { a: service(tls('*.a.test')), b: service(tls('x.a.test')) },
    ],
    [
      'https of one name by path',
      { a: service(https('a.test')), b: service(https('a.test', { path: '/b' })) },
    ],
    ['TLS over tcp and udp', { a: service(tls()), b: service({ protocol: 'udp' }) }],
    [
      'by senders of PROXY headers in another order',
      {
        a: service(
          tls('a', { stream: { tls: true, accept_proxy_protocol: ['10.0.0.0/8', 'fd00::/8'] } }),
          tls('b', { stream: { tls: true, accept_proxy_protocol: ['fd00::/8', '10.0.0.0/8'] } }),
        ),
      },
    ],
  ]
  for (const [name, services] of ROWS) {
    test(name, () => expect(problemsOf(fileOf(services))).toEqual([]))
  }
})

describe('and by nothing else', () => {
  const E0 = 'endpoint e0 of service a'
  const ROWS: readonly [string, Tree, readonly string[]][] = [
    [
      'the same name, in other letters',
      { a: service(tls('A.test')), b: service(tls('a.test')) },
      [
        `=/services/b/endpoints/0/port: ${E0} serves a.test on tcp port 443 already; choose another port or host`,
      ],
    ],
    [
      'two for all other names, of one service',
      { a: service(tls(), tls(undefined, {}, 'passthrough')) },
      [
        `=/services/a/endpoints/1/port: ${E0} serves any host on tcp port 443 already; choose another port or host`,
      ],
    ],
    [
      'https and other TLS, in either order: requests are read at one, bytes pass at the other',
      {
        a: service(https('a.test'), { ...tls('b.test'), port: 444 }),
        b: service(tls('b.test'), { ...https('c.test'), port: 444 }),
      },
      [
        `=/services/b/endpoints/0/port: tcp port 443 is https for ${E0} and would be tcp with TLS here; choose another port`,
        '=/services/b/endpoints/1/port: tcp port 444 is tcp with TLS for endpoint e1 of service a and would be https here; choose another port',
      ],
    ],
    [
      'plain tcp after TLS',
      { a: service(tls('a.test')), b: service({ protocol: 'tcp' }) },
      [
        `=/services/b/endpoints/0/port: tcp port 443 is tcp with TLS for ${E0} and would be plain tcp here; choose another port`,
      ],
    ],
    [
      'TLS after plain tcp',
      { a: service({ protocol: 'tcp' }), b: service(tls('a.test')) },
      [
        `=/services/b/endpoints/0/port: tcp port 443 is plain tcp for ${E0} and would be tcp with TLS here; choose another port`,
      ],
    ],
    [
      'http and TLS, in either order',
      {
        a: service({ protocol: 'http' }, { ...tls('a.test'), port: 444 }),
        b: service(tls('b.test'), { protocol: 'http', port: 444 }),
      },
      [
        `=/services/b/endpoints/0/port: tcp port 443 is http for ${E0} and would be tcp with TLS here; choose another port`,
        '=/services/b/endpoints/1/port: tcp port 444 is tcp with TLS for endpoint e1 of service a and would be http here; choose another port',
      ],
    ],
    [
      'proxy W4: an internal one would be open to everybody through the socket of a public one',
      {
        a: service(tls('a.test', { expose: 'public' }), { ...tls('b.test'), port: 444 }),
        b: service(tls('b.test'), { ...tls('a.test', { expose: 'public' }), port: 444 }),
      },
      [
        `=/services/b/endpoints/0/port: tcp port 443 is public for ${E0} and would be internal here: sharing it would open this one to everybody; give both the same expose, or choose another port`,
        '=/services/b/endpoints/1/port: tcp port 444 is internal for endpoint e1 of service a and would be public here: sharing it would open that one to everybody; give both the same expose, or choose another port',
      ],
    ],
    [
      'PROXY headers come before the name, so all believe the same senders',
      {
        a: service(tls('a.test')),
        b: service(tls('b.test', { stream: { tls: true, accept_proxy_protocol: ['10.0.0.0/8'] } })),
      },
      [
        `=/services/b/endpoints/0/port: ${E0} on tcp port 443 trusts other senders of PROXY headers; give both the same accept_proxy_protocol, or choose another port`,
      ],
    ],
  ]
  for (const [name, services, problems] of ROWS) {
    test(name, () => expect(problemsOf(fileOf(services))).toEqual(problems))
  }
})
