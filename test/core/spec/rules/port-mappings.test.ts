import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deploymentOf, fileOf, problemsOf, type Tree, webOf, webWith } from '../files.ts'

const ONE = { mode: 'fixed', replicas: 1 }
/** `53`, `127.0.0.1:53` or `[::]:53`, leading to a port of the program's own unless it is said. */
function mapping(at: string, container_port = 9000, more: Tree = {}): Tree {
  const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(at)!
  const host_ip = host?.replace(/^\[|\]$/g, '')
  return { host_port: Number(port), container_port, ...(host_ip ? { host_ip } : {}), ...more }
}
const mapped = (...port_mappings: readonly Tree[]): Tree => ({
  command: ['run'],
  scale: ONE,
  image: { name: 'in-a-network-of-its-own' },
  port_mappings,
})
const listening = (endpoint: Tree, ...port_mappings: readonly Tree[]): Tree => ({
  command: ['run'],
  scale: ONE,
  endpoints: [{ name: 'e', protocol: 'tcp', port: 53, ...endpoint }],
  port_mappings,
})
const PUBLIC = { expose: 'public' }

describe('proxy W39: addresses are compared as the kernel does', () => {
  const ROWS: readonly [string, Tree][] = [
    [
      'one port on two addresses, of two services',
      { a: mapped(mapping('127.0.0.1:80')), b: mapped(mapping('10.0.0.1:80')) },
    ],
    [
      'all of IPv4 and all of IPv6, of two services',
      { a: mapped(mapping('0.0.0.0:80')), b: mapped(mapping('[::]:80')) },
    ],
    [
      'one address of IPv6 and all of IPv4',
      { a: mapped(mapping('[fd00::1]:80')), b: mapped(mapping('80')) },
    ],
    [
      'tcp and udp on one address',
      { a: mapped(mapping('80')), b: mapped(mapping('80', 9000, { protocol: 'udp' })) },
    ],
    [
      'an internal endpoint, and another address than loopback',
      { a: listening({}), b: mapped(mapping('10.0.0.1:53'), mapping('127.0.0.2:53')) },
    ],
    [
      'any number of ephemeral ones, also to one port',
      {
        a: mapped(
          { container_port: 80 },
          { container_port: 80 },
          { host_port: 0, container_port: 80 },
        ),
      },
    ],
    [
      'a service and itself: endpoint and mapping to it',
      { a: listening(PUBLIC, mapping('53', 53)) },
    ],
    [
      'a service and itself: two addresses, one inside the other, to one place',
      { a: mapped(mapping('80'), mapping('127.0.0.1:80')) },
    ],
    [
      'a service and itself: two addresses to two places',
      { a: mapped(mapping('10.0.0.1:80'), mapping('10.0.0.2:80', 9001)) },
    ],
    [
      'a service and itself: by target_port',
      { a: listening({ target_port: 5353, expose: 'public' }, mapping('53', 5353)) },
    ],
  ]
  for (const [name, services] of ROWS) {
    test(name, () => expect(problemsOf(fileOf(services))).toEqual([]))
  }

  const AT = '=/services/b/port_mappings/0/host_port'
  const CLASHES: readonly [string, Tree, readonly string[]][] = [
    [
      'all of IPv4 after one address',
      { a: mapped(mapping('10.0.0.1:80')), b: mapped(mapping('80')) },
      [
        `${AT}: a port mapping of service a has tcp port 80 on 10.0.0.1 already; choose another port or address`,
      ],
    ],
    [
      'one address after all of IPv4',
      { a: mapped(mapping('80')), b: mapped(mapping('10.0.0.1:80')) },
      [
        `${AT}: a port mapping of service a has tcp port 80 on 0.0.0.0 already; choose another port or address`,
      ],
    ],
    [
      'one address of IPv6 after all of it',
      { a: mapped(mapping('[::]:80')), b: mapped(mapping('[fd00::1]:80')) },
      [
        `${AT}: a port mapping of service a has tcp port 80 on :: already; choose another port or address`,
      ],
    ],
    [
      'one address, written in two ways',
      { a: mapped(mapping('10.0.0.1:80')), b: mapped(mapping('[::ffff:10.0.0.1]:80')) },
      [
        `${AT}: a port mapping of service a has tcp port 80 on 10.0.0.1 already; choose another port or address`,
      ],
    ],
    [
      'the second of two on other addresses',
      {
        a: mapped(mapping('10.0.0.1:80')),
        c: mapped(mapping('10.0.0.2:80')),
        b: mapped(mapping('10.0.0.2:80')),
      },
      [
        `${AT}: a port mapping of service c has tcp port 80 on 10.0.0.2 already; choose another port or address`,
      ],
    ],
    [
      'a public endpoint of another service, on any address, also when it comes later',
      { b: mapped(mapping('10.0.0.1:53'), mapping('[fd00::1]:53')), a: listening(PUBLIC) },
      [
        `${AT}: endpoint e of service a has tcp port 53 already; choose another port`,
        '=/services/b/port_mappings/1/host_port: endpoint e of service a has tcp port 53 already; choose another port',
      ],
    ],
    [
      'an internal endpoint of another service, on loopback or everywhere',
      {
        a: listening({}),
        b: mapped(mapping('127.0.0.1:53'), mapping('53'), mapping('[::1]:53'), mapping('[::]:53')),
      },
      [0, 1, 2, 3].map(
        (index) =>
          `=/services/b/port_mappings/${index}/host_port: endpoint e of service a has tcp port 53 already; choose another port`,
      ),
    ],
    [
      'a service and itself: one given twice',
      { b: mapped(mapping('80'), mapping('80')) },
      [
        '=/services/b/port_mappings/1/host_port: a port mapping of service b has tcp port 80 on 0.0.0.0 already; choose another port or address',
      ],
    ],
    [
      'a service and itself: two places on one address',
      { b: mapped(mapping('80'), mapping('10.0.0.1:80', 9001)) },
      [
        '=/services/b/port_mappings/1/host_port: a port mapping of service b has tcp port 80 on 0.0.0.0 already; choose another port or address',
      ],
    ],
    [
      'a service and itself: all of IPv4 after two addresses, the second to another place',
      { b: mapped(mapping('10.0.0.1:80'), mapping('10.0.0.2:80', 9001), mapping('80')) },
      [
        '=/services/b/port_mappings/2/host_port: a port mapping of service b has tcp port 80 on 10.0.0.2 already; choose another port or address',
      ],
    ],
    [
      'a service and itself: an endpoint, and a mapping to another place',
      { b: listening(PUBLIC, mapping('10.0.0.1:53')) },
      [
        `${AT}: endpoint e of service b has tcp port 53 already and leads elsewhere; choose another port`,
      ],
    ],
    [
      'the api',
      { b: mapped(mapping('81')) },
      [
        '=/api/bind: a port mapping of service b has tcp port 81 on 0.0.0.0 already; choose another port or address',
      ],
    ],
  ]
  for (const [name, services, problems] of CLASHES) {
    const api = name === 'the api' ? { api: { enabled: true, bind: '127.0.0.1:81' } } : {}
    test(name, () => expect(problemsOf(fileOf(services, api))).toEqual(problems))
  }
})

test('property: mappings are refused exactly when two of them could not both be there', () => {
  const hosts = ['0.0.0.0', '::', '127.0.0.1', '10.0.0.1', '::1']
  const any = fc.record({
    owner: fc.constantFrom('a', 'b'),
    host: fc.constantFrom(...hosts),
    port: fc.constantFrom(80, 80, 81),
    target: fc.constantFrom(9000, 9001),
  })
  const isV6 = (host: string) => host.includes(':')
  const covers = (wide: string, host: string) =>
    isV6(wide) === isV6(host) && (wide === host || wide === (isV6(host) ? '::' : '0.0.0.0'))
  fc.assert(
    fc.property(fc.array(any, { maxLength: 6 }), (all) => {
      const clashes = all.some((x, index) =>
        all.slice(0, index).some((y) => {
          if (x.port !== y.port || !(covers(x.host, y.host) || covers(y.host, x.host))) return false
          return x.owner !== y.owner || x.target !== y.target || x.host === y.host
        }),
      )
      const of = (owner: string) =>
        mapped(
          ...all
            .filter((each) => each.owner === owner)
            .map(({ host, port, target }) => mapping(`[${host}]:${port}`, target)),
        )
      expect(problemsOf(fileOf({ a: of('a'), b: of('b') })).length > 0).toBe(clashes)
    }),
    { numRuns: 1000 },
  )
})

describe('where they lead', () => {
  const endpoints = [
    { name: 'http', protocol: 'http', port: 80 },
    { name: 'dns', protocol: 'udp', port: 53 },
  ]
  const MANY = { mode: 'fixed', replicas: 3 }
  const AT = '=/services/web/port_mappings/0/container_port'

  test('to an endpoint, of any number of replicas', () => {
    const port_mappings = [mapping('8080', 80), mapping('5353', 53, { protocol: 'udp' })]
    expect(problemsOf(webWith({ scale: MANY, endpoints, port_mappings }))).toEqual([])
  })

  test('to a port of the program’s own, of one replica', () => {
    const port_mappings = [{ container_port: 9000 }, { container_port: 9000 }]
    expect(problemsOf(webWith({ scale: ONE, endpoints, port_mappings }))).toEqual([])
    expect(webOf({ scale: ONE, port_mappings }).update).toMatchObject({
      surgeMax: 0,
      unavailableMax: 1,
    })
  })

  const ROWS: readonly [string, Tree, readonly string[]][] = [
    [
      'not to one port of several replicas',
      { scale: MANY, endpoints, port_mappings: [{ container_port: 9000 }] },
      [
        `${AT}: 3 replicas of a process cannot all listen on port 9000; write an endpoint's port, such as 80 for http`,
      ],
    ],
    [
      'not to an endpoint of the other protocol',
      { scale: MANY, endpoints, port_mappings: [{ container_port: 80, protocol: 'udp' }] },
      [
        `${AT}: 3 replicas of a process cannot all listen on port 80; write an endpoint's port, such as 53 for dns`,
      ],
    ],
    [
      'not to one port of several replicas in roles, without any endpoint',
      {
        replica_groups: [
          { role: 'a', count: 1 },
          { role: 'b', count: 1 },
        ],
        port_mappings: [{ container_port: 9000 }],
      },
      [
        `${AT}: 2 replicas of a process cannot all listen on port 9000; add a tcp endpoint with this port, and let the program listen on $PORT`,
      ],
    ],
    [
      'not with a second replica beside the first while updating',
      { scale: ONE, update: { max_surge: 1 }, port_mappings: [{ container_port: 9000 }] },
      [
        "=/services/web/update/max_surge: container_port lets one replica run at a time, so an update cannot add one; write max_surge: 0 or map an endpoint's port",
      ],
    ],
    [
      'not to where Weir itself listens, said once',
      { scale: ONE, port_mappings: [mapping('9000'), { container_port: 9000 }] },
      [
        `${AT}: Weir itself listens on tcp port 9000, for a port mapping of service web, so the program cannot; map the port of an endpoint and let the program listen on $PORT, or choose another port`,
      ],
    ],
    [
      'nothing is concluded from endpoints that are not understood',
      {
        scale: MANY,
        endpoints: [{ name: 'a', protocol: 'tpc', port: 9000 }],
        update: { max_surge: 1 },
        port_mappings: [{ container_port: 9000 }],
      },
      [
        '=/services/web/endpoints/0/protocol: protocol must be http, https, tcp, udp or websocket, not "tpc"; did you mean tcp?',
      ],
    ],
    [
      'addresses that are none',
      {
        scale: ONE,
        port_mappings: [mapping('80', 9000, { host_ip: 'localhost' }), mapping('[::1%]:81')],
      },
      [
        '=/services/web/port_mappings/0/host_ip: host_ip must be an IP address, not "localhost"; write 127.0.0.1',
        '=/services/web/port_mappings/1/host_ip: host_ip must be an IP address, not "::1%"',
      ],
    ],
    [
      'a link-local address, which is the same on every link',
      { scale: ONE, port_mappings: [mapping('[fe80::1]:80'), mapping('[fe80::2%eth0]:80')] },
      [
        '=/services/web/port_mappings/0/host_ip: host_ip is link-local and needs the name of its interface; write fe80::1%eth0, if that is the one',
      ],
    ],
  ]
  for (const [name, keys, problems] of ROWS) {
    test(name, () => expect(problemsOf(webWith(keys))).toEqual(problems))
  }

  test('containers listen wherever they like, all of them', () => {
    const service = { image: { name: 'x' }, scale: MANY, port_mappings: [mapping('9000')] }
    expect(problemsOf(fileOf({ a: service }))).toEqual([])
  })
})

test('addresses have one form, as sockets are told apart by it', () => {
  const written = ['0.0.0.0', '::', '::ffff:10.0.0.1', 'FD00:0:0::1', '0:0:0:0:0:0:0:1']
  const port_mappings = written.map((host_ip) => ({ container_port: 80, host_ip }))
  const { web } = deploymentOf(webWith({ scale: ONE, port_mappings })).services
  expect(web?.portMappings.map(({ hostIp }) => hostIp)).toEqual([
    '0.0.0.0',
    '::',
    '10.0.0.1',
    'fd00::1',
    '::1',
  ])
})
