import { describe, expect, test } from 'vitest'
import { fileOf, problemsOf, type Tree } from '../files.ts'

type Endpoint = readonly [protocol: string, port: number, more?: Tree]

const service = (...endpoints: readonly Endpoint[]): Tree => ({
  command: ['run'],
  scale: { mode: 'fixed', replicas: 1 },
  endpoints: endpoints.map(([protocol, port, more], index) => ({
    name: `e${index}`,
    protocol,
    port,
    ...more,
  })),
})
interface Row {
  readonly name: string
  readonly services: Tree
  /** The later one of each conflict. */
  readonly problems: readonly string[]
}

const APART: readonly Row[] = [
  {
    name: 'udp W35: tcp and udp of one service',
    services: { a: service(['tcp', 53], ['udp', 53]) },
    problems: [],
  },
  {
    name: 'udp W35: tcp and udp of two services',
    services: { a: service(['tcp', 53]), b: service(['udp', 53]) },
    problems: [],
  },
  {
    name: 'http under different paths',
    services: {
      a: service(['http', 80, { path: '/a' }]),
      b: service(['http', 80, { path: '/b' }]),
    },
    problems: [],
  },
  {
    name: 'http for different hosts, and for any',
    services: {
      a: service(['http', 80, { host: 'a.test' }]),
      b: service(['http', 80, { host: 'b.test' }], ['websocket', 80]),
    },
    problems: [],
  },
  {
    name: 'https of two services by host',
    services: { a: service(['https', 443, { host: 'a' }]), b: service(['https', 443]) },
    problems: [],
  },
  {
    name: 'http of one host by path, of three services, one with a path inside of another',
    services: {
      a: service(['http', 80, { host: 'a.test' }]),
      b: service(['http', 80, { host: 'a.test', path: '/b' }]),
      c: service(['websocket', 80, { host: 'a.test', path: '/b/live' }]),
    },
    problems: [],
  },
  {
    name: 'a wildcard, one of its names, and any host',
    services: {
      a: service(['http', 80, { host: '*.a.test' }]),
      b: service(['http', 80, { host: 'b.a.test' }], ['http', 80]),
    },
    problems: [],
  },
  {
    name: 'http and udp',
    services: { a: service(['http', 443]), b: service(['udp', 443]) },
    problems: [],
  },
  {
    name: 'two endpoints to the port a program itself listens on',
    services: {
      a: service(['http', 80, { target_port: 9000 }], ['tcp', 81, { target_port: 9000 }]),
    },
    problems: [],
  },
]
const CLASHES: readonly Row[] = [
  {
    name: 'tcp of two services',
    services: { a: service(['tcp', 5432]), b: service(['tcp', 5432]) },
    problems: [
      '=/services/b/endpoints/0/port: endpoint e0 of service a has tcp port 5432 already; a tcp port belongs to one service',
    ],
  },
  {
    name: 'udp of two services',
    services: { a: service(['udp', 53]), b: service(['udp', 53]) },
    problems: [
      '=/services/b/endpoints/0/port: endpoint e0 of service a has udp port 53 already; a udp port belongs to one service',
    ],
  },
  {
    name: 'two tcp endpoints of one service',
    services: { a: service(['tcp', 53], ['tcp', 53, { expose: 'public' }]) },
    problems: [
      '=/services/a/endpoints/1/port: endpoint e0 of service a has tcp port 53 already; choose another port',
    ],
  },
  {
    name: 'http after tcp, of one service too',
    services: { a: service(['tcp', 80], ['http', 80]) },
    problems: [
      '=/services/a/endpoints/1/port: tcp port 80 is plain tcp for endpoint e0 of service a and would be http here; choose another port',
    ],
  },
  {
    name: 'tcp after http',
    services: { a: service(['http', 80]), b: service(['tcp', 80]) },
    problems: [
      '=/services/b/endpoints/0/port: tcp port 80 is http for endpoint e0 of service a and would be plain tcp here; choose another port',
    ],
  },
  {
    name: 'proxy W4: http and https',
    services: { a: service(['http', 80]), b: service(['https', 80, { path: '/b' }]) },
    problems: [
      '=/services/b/endpoints/0/port: tcp port 80 is http for endpoint e0 of service a and would be https here; choose another port',
    ],
  },
  {
    name: 'proxy W11: an equal host and path within one service',
    services: { a: service(['http', 80, { path: '/a' }], ['websocket', 80, { path: '/a/' }]) },
    problems: [
      '=/services/a/endpoints/1/port: endpoint e0 of service a serves any host, path /a on tcp port 80 already; choose another port, host or path',
    ],
  },
  {
    name: 'an equal host and path of https',
    services: {
      a: service(['https', 443, { host: 'a.test' }], ['https', 443]),
      b: service(['https', 443, { host: 'A.test', path: '/' }], ['https', 443]),
    },
    problems: [
      '=/services/b/endpoints/0/port: endpoint e0 of service a serves a.test/ on tcp port 443 already; choose another port, host or path',
      '=/services/b/endpoints/1/port: endpoint e1 of service a serves any host, path / on tcp port 443 already; choose another port, host or path',
    ],
  },
  {
    name: 'proxy W4: an internal one behind the socket of a public one, and the reverse',
    services: {
      a: service(['http', 80, { expose: 'public' }], ['http', 81]),
      b: service(['http', 80, { path: '/b' }], ['http', 81, { path: '/b', expose: 'public' }]),
    },
    problems: [
      '=/services/b/endpoints/0/port: tcp port 80 is public for endpoint e0 of service a and would be internal here: sharing it would open this one to everybody; give both the same expose, or choose another port',
      '=/services/b/endpoints/1/port: tcp port 81 is internal for endpoint e1 of service a and would be public here: sharing it would open that one to everybody; give both the same expose, or choose another port',
    ],
  },
  {
    name: 'PROXY headers come before requests, so all believe the same senders',
    services: {
      a: service(['http', 80]),
      b: service(['http', 80, { path: '/b', stream: { accept_proxy_protocol: ['10.0.0.0/8'] } }]),
    },
    problems: [
      '=/services/b/endpoints/0/port: endpoint e0 of service a on tcp port 80 trusts other senders of PROXY headers; give both the same accept_proxy_protocol, or choose another port',
    ],
  },
  {
    name: 'an equal host and path, however written',
    services: {
      a: service(['http', 80, { host: 'A.test', path: '/api/' }]),
      b: service(['websocket', 80, { host: 'a.test', path: '/api' }]),
    },
    problems: [
      '=/services/b/endpoints/0/port: endpoint e0 of service a serves a.test/api on tcp port 80 already; choose another port, host or path',
    ],
  },
  {
    name: 'a program and Weir itself at one port',
    services: { a: service(['http', 80, { target_port: 80 }]) },
    problems: [
      '=/services/a/endpoints/0/target_port: Weir itself listens on tcp port 80, for endpoint e0 of service a, so the program cannot; remove target_port and let the program listen on $PORT, or choose another target_port',
    ],
  },
  {
    name: 'a program and the endpoint of a later service',
    services: { a: service(['http', 80, { target_port: 90 }]), b: service(['tcp', 90]) },
    problems: [
      '=/services/a/endpoints/0/target_port: Weir itself listens on tcp port 90, for endpoint e0 of service b, so the program cannot; remove target_port and let the program listen on $PORT, or choose another target_port',
    ],
  },
  {
    name: 'the programs of two services',
    services: {
      a: service(['http', 80, { target_port: 90 }]),
      b: service(['http', 81, { target_port: 90 }]),
    },
    problems: [
      '=/services/b/endpoints/0/target_port: the program of service a listens on tcp port 90 already; remove target_port and let the program listen on $PORT, or choose another target_port',
    ],
  },
]

describe('who may be on one port', () => {
  for (const { name, services } of APART) {
    test(name, () => expect(problemsOf(fileOf(services))).toEqual([]))
  }
})

describe('services W32: who may not', () => {
  for (const { name, services, problems } of CLASHES) {
    test(name, () => expect(problemsOf(fileOf(services))).toEqual(problems))
  }
})

describe('what is not understood conflicts with nothing', () => {
  const HOST = '=/services/b/endpoints/0/host'
  const ROWS: readonly [string, Tree, string][] = [
    [
      'a host',
      service(['http', 80, { host: 'x.test:80' }]),
      `${HOST}: host must be without the port, which is a key of its own: write x.test`,
    ],
    [
      'a path',
      service(['http', 80, { path: '/api/*' }]),
      '=/services/b/endpoints/0/path: path must be a prefix without a star, not "/api/*"; write /api, which is for all paths under it',
    ],
    [
      'a key that is misspelt',
      service(['http', 80, { hots: 'x.test' }]),
      '/services/b/endpoints/0/hots: unknown key hots in an endpoint; did you mean host?',
    ],
    [
      'who may come',
      service(['http', 82, { path: '/b', expose: 'pubic' }], ['http', 82, { expose: 'public' }]),
      '=/services/b/endpoints/0/expose: expose must be public or internal, not "pubic"; did you mean public?',
    ],
    [
      'who is believed',
      service(
        ['http', 82, { path: '/b', stream: { accept_proxy_protocol: ['x'] } }],
        ['http', 82, { stream: { accept_proxy_protocol: ['10.0.0.0/8'] } }],
      ),
      '=/services/b/endpoints/0/stream/accept_proxy_protocol/0: accept_proxy_protocol[0] must be a network such as 10.0.0.0/8, not "x"',
    ],
    [
      'whether there is TLS',
      service(['tcp', 81, { stream: { tls: 'termiante' }, host: 'x.test' }]),
      '=/services/b/endpoints/0/stream/tls: tls must be off, terminate, reoriginate or passthrough, not "termiante"; did you mean terminate?',
    ],
  ]
  const a = service(['http', 80], ['tcp', 81, { stream: { tls: true } }])
  for (const [name, b, problem] of ROWS) {
    test(name, () => expect(problemsOf(fileOf({ a, b }))).toEqual([problem]))
  }

  test('and what is understood still does', () => {
    const b = service(['https', 80, { host: 'x.test:80' }])
    expect(problemsOf(fileOf({ a, b }))).toHaveLength(2)
  })
})

test('in containers a target port is nobody else’s', () => {
  const inContainer = { ...service(['http', 80, { target_port: 80 }]), image: { name: 'nginx' } }
  expect(problemsOf(fileOf({ a: inContainer }))).toEqual([])
})

test('externals and the api hold ports too', () => {
  const more = {
    externals: {
      old: { backends: ['b:1'], endpoints: [{ name: 'x', protocol: 'tcp', port: 80 }] },
    },
    api: { enabled: true, bind: '127.0.0.1:81' },
  }
  expect(problemsOf(fileOf({ a: service(['tcp', 80], ['http', 81]) }, more))).toEqual([
    '=/api/bind: endpoint e1 of service a has tcp port 81 already; choose another port',
    '=/externals/old/endpoints/0/port: endpoint e0 of service a has tcp port 80 already; a tcp port belongs to one service',
  ])
  expect(
    problemsOf(fileOf({ a: service(['http', 81]) }, { api: { bind: '127.0.0.1:81' } })),
  ).toEqual([])
})
