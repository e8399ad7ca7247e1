import { describe, expect, test } from 'vitest'
import { unbuilt } from '../../../core/spec/built.ts'
import { everything } from './everything.ts'
import { deploymentOf, fileOf, type Tree, webWith } from './files.ts'

const warnedOf = (tree: Tree): readonly string[] =>
  unbuilt(deploymentOf(tree)).map(({ message }) => message)

const levelsOf = (tree: Tree): readonly string[] =>
  unbuilt(deploymentOf(tree)).map(({ level, path }) => `${level} ${path.join('.')}`)

const endpoint = (more: Tree): Tree =>
  webWith({ endpoints: [{ name: 'a', protocol: 'tcp', port: 80, ...more }] })

/** Every key, and none as it is when not said. */
const HTTP: Tree = {
  strip_prefix: true,
  redirect_https: true,
  backend: 'h2c',
  head_timeout: '1s',
  body_timeout: '1s',
  connect_timeout: '1s',
  response_timeout: '1s',
  total_timeout: '1s',
  idle_timeout: '1s',
  tunnel_idle_timeout: '0s',
  max_head: '8Ki',
  retries: 0,
  hold_timeout: '0s',
  max_requests_per_backend: 1,
  hsts: false,
  drain_timeout: '0s',
}

describe('what is built passes in silence', () => {
  const ROWS: readonly [string, Tree][] = [
    ['nothing but a command', webWith({})],
    [
      'scale, groups, roles',
      webWith({
        replica_groups: [
          { role: 'a', count: 1, env: { X: '1' }, command: 'a' },
          { role: 'b', count: 2 },
        ],
        endpoints: [{ name: 'a', protocol: 'tcp', port: 80, target_role: 'b', expose: 'public' }],
      }),
    ],
    ['adaptive without targets', webWith({ scale: { mode: 'adaptive', min: 2, max: 4 } })],
    ['manual', webWith({ scale: { mode: 'manual' } })],
    [
      'dependencies',
      fileOf({
        a: { command: 'a' },
        b: { command: 'b', depends: [{ service: 'a', condition: 'ready' }] },
      }),
    ],
    [
      'health, stopping, errors, updates, logs',
      webWith({
        health: { check: { type: 'command', command: 'x' }, retries: 1 },
        stop_signal: 'INT',
        stop_grace_period: '5s',
        errors: { on_panic: { action: 'isolate' } },
        update: { max_surge: 2, max_unavailable: 1, min_ready: '1s' },
        logs: { max_size_bytes: 65_536 },
        restart_policy: { kind: 'always' },
      }),
    ],
    ['environments', webWith({ env: { A: '$E:HOME' }, env_inherit: true, labels: { a: 'b' } })],
    [
      'http and websocket at ports of their own',
      webWith({
        endpoints: [
          { name: 'a', protocol: 'http', port: 80, expose: 'public' },
          { name: 'b', protocol: 'websocket', port: 81 },
        ],
      }),
    ],
    [
      'limits of a stream',
      endpoint({
        stream: {
          connect_timeout: '1s',
          idle_timeout: '5s',
          max_connections: 5,
          drain_timeout: '1s',
        },
      }),
    ],
    [
      'udp, with all of its block',
      endpoint({
        protocol: 'udp',
        expose: 'public',
        balance: { strategy: 'maglev', rise: 2, fall: 4, fail_open: false },
        stream: { drain_timeout: '5s', health_check: { type: 'tcp_connect' } },
        udp: {
          affinity: 'source_ip',
          responses: 1,
          max_flows: 42,
          proxy_protocol: 'first',
          accept_proxy_protocol: ['10.0.0.0/8'],
          health: { type: 'udp_probe', request: 'ping' },
        },
      }),
    ],
    [
      'proxy W30: every key of a stream but session_timeout',
      endpoint({
        host: '*.a.test',
        stream: {
          tls: 'reoriginate',
          backend_ca: 'ca.pem',
          backend_name: 'a.test',
          proxy_protocol: true,
          accept_proxy_protocol: ['10.0.0.0/8'],
          max_connections_per_backend: 5,
        },
      }),
    ],
    [
      'https by server name, of two services at one port',
      fileOf({
        a: { command: 'a', endpoints: [{ name: 'x', protocol: 'https', port: 443, host: 'a' }] },
        b: { command: 'b', endpoints: [{ name: 'x', protocol: 'https', port: 443 }] },
      }),
    ],
    [
      'port mappings',
      webWith({
        endpoints: [{ name: 'a', protocol: 'tcp', port: 80 }],
        port_mappings: [{ container_port: 80 }, { host_port: 53, container_port: 9000 }],
      }),
    ],
    [
      'every strategy, rise and fall of tcp and http, and failing closed',
      webWith({
        endpoints: [
          { name: 'a', protocol: 'tcp', port: 80, balance: { strategy: 'least_connections' } },
          { name: 'c', protocol: 'tcp', port: 82, balance: { strategy: 'maglev', fall: 2 } },
          { name: 'd', protocol: 'http', port: 83, balance: { strategy: 'hrw', rise: 2 } },
          {
            name: 'b',
            protocol: 'tcp',
            port: 81,
            balance: { strategy: 'power_of_two', rise: 2, fail_open: false },
            stream: { health_check: { type: 'tcp_connect' } },
          },
        ],
      }),
    ],
    [
      'proxy W11: http by host and path, of two services at one port, with all of its block',
      fileOf({
        a: {
          command: 'a',
          endpoints: [
            { name: 'y', protocol: 'https', port: 443, host: '10.0.0.1', path: '/y' },
            { name: 'z', protocol: 'https', port: 443, host: 'a.test' },
            { name: 'x', protocol: 'http', port: 80, host: 'a.test', http: HTTP },
          ],
        },
        b: {
          command: 'b',
          endpoints: [
            { name: 'x', protocol: 'websocket', port: 80, host: 'a.test', path: '/live' },
            { name: 'y', protocol: 'https', port: 443, http: { backend: 'h2c' } },
          ],
        },
      }),
    ],
    [
      'what comes before the requests',
      endpoint({
        protocol: 'http',
        stream: {
          accept_proxy_protocol: ['10.0.0.0/8'],
          health_check: { type: 'tcp_connect' },
        },
      }),
    ],
    [
      'scaling to zero',
      webWith({
        scale: { mode: 'adaptive', min: 0, max: 3, idle_after: '1m' },
        endpoints: [
          { name: 'a', protocol: 'http', port: 80, http: { hold_timeout: '5s' } },
          { name: 'b', protocol: 'tcp', port: 81, stream: { hold_timeout: '5s' } },
        ],
      }),
    ],
    ['loopback', webWith({ localhost_reachability: 'never', host_network: true })],
  ]
  for (const [name, tree] of ROWS) test(name, () => expect(levelsOf(tree)).toEqual([]))
})

describe('what is not', () => {
  const ROWS: readonly [string, Tree, readonly string[]][] = [
    ['an image', fileOf({ web: { image: { name: 'x' } } }), ['refuse services.web.image']],
    [
      'an image beside runtime: process',
      fileOf({ web: { image: { name: 'x' }, runtime: 'process', command: 'x' } }),
      ['warn services.web.image'],
    ],
    [
      'datagrams to a service that may be at zero',
      webWith({
        scale: { mode: 'adaptive', min: 0, max: 1 },
        endpoints: [
          { name: 'a', protocol: 'tcp', port: 80 },
          { name: 'b', protocol: 'udp', port: 80 },
        ],
      }),
      ['warn services.web.endpoints.1.protocol'],
    ],
    ['a secret', webWith({ env: { A: '$S:a' } }), ['refuse services.web.env.A']],
    [
      'targets',
      webWith({ scale: { mode: 'adaptive', min: 1, max: 2, targets: { cpu: 1 } } }),
      ['refuse services.web.scale.targets'],
    ],
    [
      'a job is registered, and nothing in it matters yet',
      fileOf({ job: { rtype: 'job', image: { name: 'x' } } }),
      ['warn services.job.rtype'],
    ],
    [
      'waiting for a job',
      fileOf({
        job: { rtype: 'job', command: 'x' },
        web: { command: 'x', depends: [{ service: 'job' }] },
      }),
      ['warn services.job.rtype', 'refuse services.web.depends.0.service'],
    ],
    [
      'rise and fall of no check, as nothing is learnt of udp by the way',
      endpoint({ protocol: 'udp', balance: { fall: 2 } }),
      ['warn services.web.endpoints.0.balance'],
    ],
    [
      'the session_timeout of tcp',
      endpoint({ stream: { session_timeout: '1s' } }),
      ['warn services.web.endpoints.0.stream.session_timeout'],
    ],
    [
      'limits of tcp that come last, at a udp endpoint',
      endpoint({ protocol: 'udp', stream: { max_connections_per_backend: 1 } }),
      ['warn services.web.endpoints.0.stream'],
    ],
    [
      'waiting for what no datagram wakes',
      endpoint({ protocol: 'udp', stream: { hold_timeout: '1s' } }),
      ['warn services.web.endpoints.0.stream'],
    ],
    [
      'limits of tcp at a udp endpoint',
      endpoint({ protocol: 'udp', stream: { idle_timeout: '1s', session_timeout: '1s' } }),
      [
        'warn services.web.endpoints.0.stream.session_timeout',
        'warn services.web.endpoints.0.stream',
      ],
    ],
    ['limits', webWith({ resources: { pids_limit: 5 } }), ['warn services.web.resources']],
    ['a user', webWith({ user: 'nobody' }), ['refuse services.web.user']],
    ['what is said to be off', webWith({ privileged: false, tty: false, lifecycle: {} }), []],
    [
      'a restart policy',
      webWith({ restart_policy: { kind: 'no' } }),
      ['refuse services.web.restart_policy.kind'],
    ],
    [
      'a check over https',
      webWith({
        endpoints: [{ name: 'a', protocol: 'tcp', port: 80 }],
        health: { check: { type: 'http', url: 'https://localhost/' } },
      }),
      ['refuse services.web.health.check.url'],
    ],
  ]
  for (const [name, tree, levels] of ROWS) test(name, () => expect(levelsOf(tree)).toEqual(levels))
})

test('every place named is a place of the file', () => {
  const tree = everything()
  const { db } = tree.services as Record<string, Tree>
  // the problem names the key itself, not its other name
  db!.capabilities = db!.cap_add
  delete db!.cap_add
  const found = unbuilt(deploymentOf(tree))
  expect(found.length).toBeGreaterThan(40)
  for (const { path, message } of found) {
    let node: unknown = tree
    for (const part of path) {
      expect(node, `${path.join('.')}: ${message}`).toHaveProperty([part])
      node = (node as Record<string, unknown>)[part]
    }
  }
})

describe('a first endpoint that only redirects', () => {
  const plain = { name: 'plain', protocol: 'http', port: 80, http: { redirect_https: true } }
  const tls = { name: 'tls', protocol: 'https', port: 443 }
  const other = fileOf({ b: { command: 'b', endpoints: [tls] } }).services as Tree
  const WARNED = [
    'plain only redirects, and as the first endpoint its port is $PORT, to which nobody comes; write it after the others, or let the program listen on their $PORT_NAME',
  ]

  test('is warned of beside one that does not, of another site', () => {
    const endpoints = [plain, { ...plain, name: 'other', http: {}, port: 81 }]
    expect(warnedOf(fileOf({ web: { command: 'w', endpoints }, ...other }))).toEqual(WARNED)
    // It shares the port of the https one.
    expect(warnedOf(webWith({ endpoints: [plain, tls] }))).toEqual([])
    expect(levelsOf(fileOf({ web: { command: 'w', endpoints }, ...other }))).toEqual([
      'warn services.web.endpoints.0.http.redirect_https',
    ])
  })

  test('is fine as the last, and alone', () => {
    expect(warnedOf(webWith({ endpoints: [tls, plain] }))).toEqual([])
    expect(warnedOf(fileOf({ web: { command: 'w', endpoints: [plain] }, ...other }))).toEqual([])
    const both = [plain, { ...plain, name: 'p2', port: 81 }]
    expect(warnedOf(fileOf({ web: { command: 'w', endpoints: both }, ...other }))).toEqual([])
  })
})

describe('an http check of replicas that speak HTTP/2', () => {
  const rpc = { name: 'rpc', protocol: 'http', port: 80, http: { backend: 'h2c' } }
  const plain = { name: 'plain', protocol: 'http', port: 81 }
  const checked = (url: string, ...endpoints: Tree[]): Tree =>
    webWith({ endpoints, health: { check: { type: 'http', url } } })
  const WARNED = [
    'the check speaks HTTP/1.1, and rpc is backend: h2c: unless the program speaks both, write check: { type: tcp }',
  ]

  test('is warned of, for it speaks HTTP/1.1', () => {
    expect(warnedOf(checked('http://localhost/up', rpc, plain))).toEqual(WARNED)
    expect(warnedOf(checked('http://localhost:80/up', plain, rpc))).toEqual(WARNED)
    expect(levelsOf(checked('http://localhost/up', rpc))).toEqual([
      'warn services.web.health.check.url',
    ])
  })

  test('is not, where it asks another endpoint or asks by tcp', () => {
    expect(warnedOf(checked('http://localhost:81/up', rpc, plain))).toEqual([])
    expect(warnedOf(checked('http://localhost/up', plain, rpc))).toEqual([])
    expect(warnedOf(webWith({ endpoints: [rpc], health: { check: { type: 'tcp' } } }))).toEqual([])
    expect(warnedOf(webWith({ endpoints: [rpc] }))).toEqual([])
  })
})

test('what is not used is named, with what to write', () => {
  const said = { stream: { session_timeout: '1s' } }
  expect(warnedOf(endpoint(said))).toEqual(['session_timeout is not used; write idle_timeout'])
  expect(warnedOf(endpoint({ protocol: 'udp', udp: { health: CHECK }, ...said }))).toEqual([
    'session_timeout is not used; write front_timeout into the udp block',
  ])
})

const CHECK = { type: 'udp_probe', request: 'x' }
