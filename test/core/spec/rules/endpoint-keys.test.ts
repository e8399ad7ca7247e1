import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../../../core/spec/deployment.ts'
import { plainEndpoint, plainHttp } from '../../../../core/spec/plain-endpoint.ts'
import { deploymentOf, endpointWith, fileOf, problemsOf, type Tree, webOf } from '../files.ts'

const AT = '/services/web/endpoints/0'
const tcp = (stream: Tree, more: Tree = {}): Tree =>
  endpointWith({ protocol: 'tcp', stream, ...more })
const endpointOf = (keys: Tree): EndpointSpec =>
  webOf({ endpoints: [{ name: 'a', protocol: 'tcp', port: 80, ...keys }] }).endpoints[0]!

describe('keys that cannot work are refused', () => {
  const NEEDS_TLS =
    'host needs tls: plain tcp does not say whom it is for; remove it, or write stream: { tls: terminate }'
  const ROWS: readonly [string, Tree, readonly string[]][] = [
    ['a host of plain tcp', tcp({}, { host: 'a.test' }), [`${AT}/host: ${NEEDS_TLS}`]],
    [
      'a host without any stream block',
      endpointWith({ protocol: 'tcp', host: 'a.test' }),
      [`${AT}/host: ${NEEDS_TLS}`],
    ],
    [
      'what is for TLS, while it is not known whether there is any',
      tcp({ tls: 'teminate', backend_name: 'b.test' }, { host: 'a.test' }),
      [
        `=${AT}/stream/tls: tls must be off, terminate, reoriginate or passthrough, not "teminate"; did you mean terminate?`,
      ],
    ],
    [
      'an address for a server name',
      tcp({ tls: 'passthrough' }, { host: '10.0.0.1' }),
      [
        `=${AT}/host: host must be a name: a client never asks TLS for an address (RFC 6066, 3); remove it, or write the name`,
      ],
    ],
    [
      'a wildcard in the middle, and one too many',
      tcp({ tls: true }, { host: 'a.*.test' }),
      [`=${AT}/host: host must be a host such as example.com or *.example.com, not "a.*.test"`],
    ],
    [
      'a name longer than DNS has',
      tcp({ tls: true }, { host: `${'a.'.repeat(126)}ab` }),
      [`=${AT}/host: host is longer than 253 characters`],
    ],
    [
      'how a replica is known, where no TLS is spoken to it',
      tcp({ tls: 'terminate', backend_ca: 'ca.pem', backend_name: 'db' }),
      [
        `${AT}/stream/backend_ca: backend_ca is for tls: reoriginate; remove it, or write that`,
        `${AT}/stream/backend_name: backend_name is for tls: reoriginate; remove it, or write that`,
      ],
    ],
    [
      'how a replica is known, at a udp endpoint',
      endpointWith({ protocol: 'udp', stream: { backend_name: 'db' } }),
      [`${AT}/stream/backend_name: backend_name means nothing for a udp endpoint; remove it`],
    ],
    [
      'names of a replica that are none',
      tcp({ tls: 'reoriginate', backend_ca: '', backend_name: '10.0.0.1' }),
      [
        `=${AT}/stream/backend_ca: backend_ca must be the path of a file, not ""`,
        `=${AT}/stream/backend_name: backend_name must be a name, not "10.0.0.1": TLS asks for names only (RFC 6066, 3)`,
      ],
    ],
    [
      'a wildcard for the name of a replica',
      tcp({ tls: 'reoriginate', backend_name: '*.test' }),
      [`=${AT}/stream/backend_name: backend_name must be a name such as db.internal, not "*.test"`],
    ],
    [
      'numbers of connections that are none',
      tcp({ max_connections: 0, max_connections_per_backend: -1 }),
      [
        `=${AT}/stream/max_connections: max_connections must be a whole number from 1 to 1000000, not 0`,
        `=${AT}/stream/max_connections_per_backend: max_connections_per_backend must be a whole number from 0 to 1000000, not -1`,
      ],
    ],
    [
      'keys of a stream block for tcp, where requests are read',
      endpointWith({
        stream: {
          tls: false,
          proxy_protocol: true,
          connect_timeout: '1s',
          idle_timeout: '1s',
          max_connections: 5,
          max_connections_per_backend: 5,
          hold_timeout: '1s',
          drain_timeout: '30s',
          backend_ca: 'ca.pem',
          accept_proxy_protocol: [],
        },
      }),
      [
        `${AT}/stream/backend_ca: backend_ca is for tcp and means nothing for http; TLS towards replicas is for tcp with tls: reoriginate; remove it`,
        `${AT}/stream/connect_timeout: connect_timeout is for tcp and means nothing for http; write it into the http block`,
        `${AT}/stream/drain_timeout: drain_timeout is for tcp and means nothing for http; write it into the http block`,
        `${AT}/stream/hold_timeout: hold_timeout is for tcp and means nothing for http; write it into the http block`,
        `${AT}/stream/idle_timeout: idle_timeout is for tcp and means nothing for http; write http: { idle_timeout } for connections, tunnel_idle_timeout for WebSockets`,
        `${AT}/stream/max_connections: max_connections is for tcp and means nothing for http; write limits: { http_clients } into the node file`,
        `${AT}/stream/max_connections_per_backend: max_connections_per_backend is for tcp and means nothing for http; write http: { max_requests_per_backend }`,
        `${AT}/stream/proxy_protocol: proxy_protocol is for tcp and means nothing for http; replicas are told the client in X-Forwarded-For and Forwarded; remove it`,
        `${AT}/stream/tls: tls is for tcp and means nothing for http; write protocol: https`,
      ],
    ],
    [
      'TLS of https, which is ended here anyway, and a check that asks by datagrams',
      endpointWith({
        protocol: 'https',
        stream: { tls: 'terminate', health_check: { type: 'udp_probe', request: 'x' } },
      }),
      [
        `${AT}/stream/tls: tls is for tcp and means nothing for https; TLS is ended here anyway; remove it`,
        `=${AT}/stream/health_check/type: udp_probe cannot check a https endpoint; write tcp_connect`,
      ],
    ],
    [
      'once, when such a key is wrong in itself as well',
      endpointWith({ stream: { idle_timeout: 5, idle_timout: '1s' } }),
      [
        `${AT}/stream/idle_timout: unknown key idle_timout in a stream block; did you mean idle_timeout?`,
        `=${AT}/stream/idle_timeout: idle_timeout needs a unit: write 5s or 5ms`,
      ],
    ],
    [
      'the same of an external',
      fileOf(
        {},
        {
          externals: {
            old: {
              backends: ['b:1'],
              endpoints: [{ name: 'x', protocol: 'http', port: 80, stream: { tls: true } }],
            },
          },
        },
      ),
      [
        '/externals/old/endpoints/0/stream/tls: tls is for tcp and means nothing for http; write protocol: https',
      ],
    ],
    [
      'https that is sent to https',
      endpointWith({ protocol: 'https', http: { redirect_https: true } }),
      [
        `${AT}/http/redirect_https: redirect_https is for plain endpoints, and this is https; remove it`,
      ],
    ],
    [
      'sizes and numbers of an http block that are none',
      endpointWith({
        http: { retries: -1, hold_timeout: '2h', total_timeout: 30, hsts: 'no' },
      }),
      [
        `=${AT}/http/hold_timeout: hold_timeout must be at most 1h, not "2h"`,
        `=${AT}/http/hsts: hsts must be true or false, not "no"`,
        `=${AT}/http/retries: retries must be a whole number from 0 to 100, not -1`,
        `=${AT}/http/total_timeout: total_timeout needs a unit: write 30s or 30ms`,
      ],
    ],
    [
      'a head that nobody needs',
      endpointWith({ http: { max_head: '2Mi' } }),
      [`=${AT}/http/max_head: max_head must be from 1Ki to 1Mi, not 2Mi`],
    ],
    [
      'another word for HTTP/2',
      endpointWith({ http: { backend: 'http2' } }),
      [`=${AT}/http/backend: backend must be http1 or h2c, not "http2"; write h2c`],
    ],
    [
      'a host with its port',
      endpointWith({ host: 'a.test:8080' }),
      [`=${AT}/host: host must be without the port, which is a key of its own: write a.test`],
    ],
    [
      'an IPv6 address without brackets',
      endpointWith({ host: 'FD00::1' }),
      [`=${AT}/host: host must be in brackets: write "[FD00::1]"`],
    ],
    [
      'an IPv6 address with its port',
      endpointWith({ host: '[::1]:8080' }),
      [`=${AT}/host: host must be without the port, which is a key of its own: write "[::1]"`],
    ],
    [
      'brackets around anything else',
      endpointWith({ host: '[10.0.0.1]' }),
      [`=${AT}/host: host must be an IPv6 address in brackets, not "[10.0.0.1]"`],
    ],
    [
      'an IPv6 address for TLS over tcp',
      tcp({ tls: true }, { host: '[::1]' }),
      [
        `=${AT}/host: host must be a name: a client never asks TLS for an address (RFC 6066, 3); remove it, or write the name`,
      ],
    ],
    [
      'a URL for a host',
      endpointWith({ host: 'https://a.test/x' }),
      [`=${AT}/host: host must be a name, not a URL: write a.test`],
    ],
    [
      'a star for every host',
      endpointWith({ host: '*' }),
      [`=${AT}/host: host must not be "*"; remove it to have every host`],
    ],
  ]
  for (const [name, tree, problems] of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
})

describe('what is settled', () => {
  test('proxy W40: TLS of https is ended here', () => {
    expect(endpointOf({ protocol: 'https' }).stream.tls).toBe('terminate')
    expect(endpointOf({ protocol: 'http' }).stream.tls).toBe('off')
  })

  test('a replica goes by the host’s name, unless that is many or it has one of its own', () => {
    const nameOf = (host: string | undefined, stream: Tree) =>
      endpointOf({ stream, ...(host === undefined ? {} : { host }) }).stream.backendName
    const tls = 'reoriginate'
    expect(nameOf('Db.test', { tls })).toBe('db.test')
    expect(nameOf('*.test', { tls })).toBeUndefined()
    expect(nameOf(undefined, { tls })).toBeUndefined()
    expect(nameOf('a.test', { tls, backend_name: 'Db.internal' })).toBe('db.internal')
    expect(nameOf('a.test', { tls: 'terminate' })).toBeUndefined()
  })

  test('names are in lower case, paths as they are written', () => {
    const { host, stream } = endpointOf({
      host: '*.Example.COM',
      stream: { tls: 'reoriginate', backend_ca: './CA.pem', max_connections_per_backend: 7 },
    })
    expect(host).toBe('*.example.com')
    expect(stream).toMatchObject({ backendCa: './CA.pem', connectionsPerBackendMax: 7 })
  })

  test('a plain endpoint is one that says nothing else', () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      const read = endpointOf({ protocol, target_port: 9000 })
      expect(plainEndpoint('a', protocol, 80, 9000)).toEqual(read)
    }
    expect(plainHttp).toEqual(endpointOf({ protocol: 'http' }).http)
  })

  test('a prefix has one spelling', () => {
    const pathOf = (path: string) => endpointOf({ protocol: 'http', path }).path
    expect(['/', '/a', '/a/', '/caf%c3%a9/', '/a%20b'].map(pathOf)).toEqual([
      '/',
      '/a',
      '/a',
      '/caf%C3%A9',
      '/a%20b',
    ])
  })

  test('every key of an http block', () => {
    const { http } = endpointOf({
      protocol: 'http',
      http: {
        strip_prefix: true,
        backend: 'h2c',
        head_timeout: '1s',
        body_timeout: '2s',
        connect_timeout: '3s',
        response_timeout: '4s',
        total_timeout: '5s',
        idle_timeout: '6s',
        tunnel_idle_timeout: '0s',
        max_head: '8Ki',
        retries: 0,
        hold_timeout: '0s',
        max_requests_per_backend: 7,
        hsts: false,
        drain_timeout: '0s',
      },
    })
    expect(http).toEqual({
      stripPrefix: true,
      redirectHttps: false,
      backend: 'h2c',
      headTimeoutMs: 1_000,
      bodyTimeoutMs: 2_000,
      connectTimeoutMs: 3_000,
      responseTimeoutMs: 4_000,
      totalTimeoutMs: 5_000,
      idleTimeoutMs: 6_000,
      tunnelIdleTimeoutMs: 0,
      headBytesMax: 8_192,
      retries: 0,
      holdTimeoutMs: 0,
      requestsPerBackendMax: 7,
      hsts: false,
      drainTimeoutMs: 0,
    })
  })
})

test('a host may be an address, IPv6 in brackets and in its usual form', () => {
  const hostOf = (host: string) =>
    deploymentOf(endpointWith({ host })).services.web!.endpoints[0]!.host
  expect(hostOf('10.0.0.1')).toBe('10.0.0.1')
  expect(hostOf('[FD00:0::1]')).toBe('[fd00::1]')
  expect(hostOf('A.Test')).toBe('a.test')
})
