import { describe, expect, test } from 'vitest'
import { deploymentOf, problemsOf, type Tree, webWith } from '../files.ts'

const PROBE = { type: 'udp_probe', request: 'ping' }
const TCP = { name: 'dns-tcp', protocol: 'tcp', port: 53, target_port: 5353 }

const withHealth = (health: unknown, more: readonly Tree[] = []): Tree =>
  webWith({
    scale: { mode: 'fixed', replicas: 1 },
    endpoints: [{ name: 'dns', protocol: 'udp', port: 53, udp: { health } }, ...more],
  })

const healthOf = (tree: Tree) => deploymentOf(tree).services.web?.endpoints[0]?.udp?.health

const TIMES = { intervalMs: 5_000, timeoutMs: 2_000 }

describe('what is good', () => {
  test('one check is a list of one', () => {
    expect(healthOf(withHealth(PROBE))).toEqual([{ ...PROBE, ...TIMES }])
  })

  test('udp W22: both at once, each by itself', () => {
    expect(healthOf(withHealth([{ type: 'tcp_connect' }, PROBE]))).toEqual([
      { type: 'tcp_connect', ...TIMES },
      { ...PROBE, ...TIMES },
    ])
  })

  test('udp 8: absent values become interval 5 s, timeout 2 s, rise and fall; the port is kept', () => {
    const tree = withHealth({ type: 'tcp_connect', port: 53 }, [TCP])
    expect(healthOf(tree)).toEqual([{ type: 'tcp_connect', port: 53, ...TIMES }])
    const balance = deploymentOf(tree).services.web?.endpoints[0]?.balance
    expect(balance).toEqual({ strategy: 'hrw', rise: 1, fall: 3, failOpen: true })
  })

  test('udp 8: a configured payload is kept as it was written', () => {
    const check = { ...PROBE, request: '\\x00\\x01', expect: '\\xff' }
    expect(healthOf(withHealth(check))).toMatchObject([check])
  })

  test('the target_port of an endpoint names it too', () => {
    expect(problemsOf(withHealth({ type: 'tcp_connect', port: 5353 }, [TCP]))).toEqual([])
  })
})

const AT = '/services/web/endpoints/0/udp/health'
const BAD: readonly [string, Tree, readonly string[]][] = [
  [
    'a port of no tcp endpoint',
    withHealth({ type: 'tcp_connect', port: 54 }, [TCP]),
    [
      `=${AT}/port: no tcp endpoint has port 54; leave the port out for the number of the udp port, or write 53 for dns-tcp`,
    ],
  ],
  [
    'the port of the udp endpoint itself, in a list',
    withHealth([PROBE, { type: 'tcp_connect', port: 53 }]),
    [
      `=${AT}/1/port: no tcp endpoint has port 53; leave the port out for the number of the udp port`,
    ],
  ],
  [
    'two of one type',
    withHealth([PROBE, PROBE]),
    [`=${AT}/1/type: type udp_probe is given twice; an endpoint has one check of each type`],
  ],
  ['none', withHealth([]), [`${AT}: health is empty; give a list of udp health checks`]],
  [
    'bytes that are none',
    withHealth({ type: 'udp_probe', request: '\\q' }),
    [
      `=${AT}/request: request has a \\ that begins no byte; write \\xNN, \\0, \\t, \\n, \\r, or \\\\ for itself: "\\\\q"`,
    ],
  ],
  [
    'a request that no datagram holds',
    withHealth({ type: 'udp_probe', request: 'x'.repeat(65_508) }),
    [`=${AT}/request: request is 65508 bytes long; a datagram holds 65507`],
  ],
  [
    'udp W37: an interval and a timeout of 0',
    withHealth({ ...PROBE, interval: '0s', timeout: '0s' }),
    [
      `=${AT}/interval: interval must be at least 10ms, not "0s"`,
      `=${AT}/timeout: timeout must be at least 1ms, not "0s"`,
    ],
  ],
]
describe('what is not', () => {
  for (const [name, tree, problems] of BAD) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
})

describe('udp W37: values that cannot be meant', () => {
  const udp = (block: Tree): Tree =>
    webWith({ endpoints: [{ name: 'dns', protocol: 'udp', port: 53, udp: block }] })
  const at = '=/services/web/endpoints/0'
  const ROWS: readonly [string, Tree, string][] = [
    ['front_timeout', { front_timeout: '0s' }, 'must be at least 1ms, not "0s"'],
    ['back_timeout', { back_timeout: '0s' }, 'must be at least 1ms, not "0s"'],
    ['half_open_timeout', { half_open_timeout: '0s' }, 'must be at least 1ms, not "0s"'],
    ['half_open_timeout', { half_open_timeout: '61s' }, 'must be at most 1m, not "61s"'],
    ['max_datagram', { max_datagram: 0 }, 'must be a whole number from 1 to 65507, not 0'],
    [
      'max_flows',
      { max_flows: 1_048_577 },
      'must be a whole number from 0 to 1048576, not 1048577',
    ],
    [
      'max_flows_per_source',
      { max_flows_per_source: -1 },
      'must be a whole number from 0 to 1048576, not -1',
    ],
    [
      'responses',
      { responses: 4_294_967_296 },
      'must be a whole number from 0 to 4294967295, not 4294967296',
    ],
    ['requests', { requests: 0.5 }, 'must be a whole number from 0 to 4294967295, not 0.5'],
  ]
  for (const [key, block, fault] of ROWS) {
    test(key, () => expect(problemsOf(udp(block))).toEqual([`${at}/udp/${key}: ${key} ${fault}`]))
  }

  for (const key of ['rise', 'fall']) {
    test(key, () => {
      const tree = webWith({
        endpoints: [{ name: 'dns', protocol: 'udp', port: 53, balance: { [key]: 0 } }],
      })
      expect(problemsOf(tree)).toEqual([
        `${at}/balance/${key}: ${key} must be a whole number from 1 to 1000, not 0`,
      ])
    })
  }

  test('what is 0 for no limit is 0', () => {
    const block = { max_lifetime: '0s', max_flows: 0, max_flows_per_source: 0, responses: 0 }
    expect(problemsOf(udp(block))).toEqual([])
  })

  test('the PROXY protocol of a udp endpoint is in its udp block', () => {
    const stream = { proxy_protocol: true, accept_proxy_protocol: ['10.0.0.0/8'] }
    const tree = webWith({ endpoints: [{ name: 'dns', protocol: 'udp', port: 53, stream }] })
    expect(problemsOf(tree)).toEqual([
      '/services/web/endpoints/0/stream/accept_proxy_protocol: accept_proxy_protocol of a udp endpoint belongs into its udp block',
      '/services/web/endpoints/0/stream/proxy_protocol: proxy_protocol of a udp endpoint belongs into its udp block',
    ])
  })
})
