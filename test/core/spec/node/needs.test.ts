import { describe, expect, test } from 'vitest'
import { acmeHostsOf } from '../../../../core/spec/node/acme-hosts.ts'
import { unmetNeeds } from '../../../../core/spec/node/needs.ts'
import {
  type AcmeSettings,
  defaultNodeSettings,
  type NodeSettings,
} from '../../../../core/spec/node/settings.ts'
import { deploymentOf, fileOf, type Tree, webWith } from '../files.ts'

const needs = (tree: Tree, settings: Partial<NodeSettings> = {}): readonly string[] =>
  unmetNeeds(deploymentOf(tree), { ...defaultNodeSettings, ...settings }).map(
    ({ level, path }) => `${level} ${path.join('.')}`,
  )

const tls = (mode: string, port: number): Tree => ({
  name: mode,
  protocol: 'tcp',
  port,
  stream: { tls: mode },
})

test('what ends TLS needs certificates', () => {
  const tree = webWith({
    endpoints: [
      { name: 'plain', protocol: 'tcp', port: 1 },
      tls('terminate', 2),
      tls('reoriginate', 3),
      tls('passthrough', 4),
      { name: 'https', protocol: 'https', port: 5 },
      { name: 'http', protocol: 'http', port: 6 },
      { name: 'udp', protocol: 'udp', port: 7 },
    ],
  })
  expect(needs(tree)).toEqual([
    'refuse services.web.endpoints.1.stream.tls',
    'refuse services.web.endpoints.2.stream.tls',
    'refuse services.web.endpoints.4.protocol',
  ])
  expect(needs(tree, { certificates: '/certificates' })).toEqual([])
})

test('staying off loopback needs another address to be internal at', () => {
  const never = (expose: string) =>
    webWith({
      localhost_reachability: 'never',
      endpoints: [{ name: 'a', protocol: 'tcp', port: 80, expose }],
    })
  expect(needs(never('internal'))).toEqual(['warn services.web.localhost_reachability'])
  expect(needs(never('internal'), { internalAddresses: ['10.0.0.1'] })).toEqual([])
  expect(needs(never('public'))).toEqual([])
})

test('what is not run needs nothing', () => {
  const job = { rtype: 'job', command: 'x', endpoints: [tls('terminate', 80)] }
  expect(needs(fileOf({ job }))).toEqual([])
})

describe('names that nobody has a certificate for', () => {
  const TREE = webWith({
    endpoints: [
      { ...tls('terminate', 1), host: 'a.w.test' },
      { name: 'wild', protocol: 'https', port: 2, host: '*.w.test' },
      tls('reoriginate', 3),
      { ...tls('passthrough', 4), host: 'p.test' },
      { name: 'https', protocol: 'https', port: 5, host: 'b.test' },
    ],
  })
  const warned = (...names: string[]): readonly string[] => {
    const settings = { ...defaultNodeSettings, certificates: '/certs' }
    const found = unmetNeeds(deploymentOf(TREE), settings, { certificateNames: new Set(names) })
    return found.map(
      ({ level, path, message }) => `${level} ${path.slice(2).join('.')}: ${message}`,
    )
  }
  const A =
    'warn endpoints.0.host: endpoint terminate of service web: no certificate in /certs is for a.w.test; put a.w.test.crt and a.w.test.key there, or those of default'
  const WILD =
    'warn endpoints.1.host: endpoint wild of service web: no certificate in /certs is for *.w.test; put _.w.test.crt and _.w.test.key there, or those of default'
  const REST =
    'warn endpoints.2.stream.tls: endpoint reoriginate of service web has no host and /certs no default certificate: who asks for a name without a pair of its own there is turned away; put default.crt and default.key there'
  const B =
    'warn endpoints.4.host: endpoint https of service web: no certificate in /certs is for b.test; put b.test.crt and b.test.key there, or those of default'
  const ROWS: readonly [string, readonly string[], readonly string[]][] = [
    ['none at all', [], [A, WILD, REST, B]],
    ['a name of its own', ['a.w.test'], [WILD, REST, B]],
    ['a wildcard in the place of the first label', ['*.w.test'], [REST, B]],
    ['the default is for all', ['default'], []],
  ]
  for (const [name, names, found] of ROWS) {
    test(name, () => expect(warned(...names)).toEqual(found))
  }

  test('an address, which TLS never asks for, has only the default', () => {
    const tree = webWith({
      endpoints: [{ name: 'a', protocol: 'https', port: 1, host: '10.0.0.1' }],
    })
    const settings = { ...defaultNodeSettings, certificates: '/certs' }
    const messagesWith = (...names: string[]): readonly string[] =>
      unmetNeeds(deploymentOf(tree), settings, { certificateNames: new Set(names) }).map(
        ({ message }) => message,
      )
    expect(messagesWith('10.0.0.1')).toEqual([
      'endpoint a of service web is for an address, which TLS never asks for (RFC 6066, 3), and /certs has no default certificate; put default.crt and default.key there',
    ])
    expect(messagesWith('default')).toEqual([])
    const six = webWith({ endpoints: [{ name: 'a', protocol: 'https', port: 1, host: '[::1]' }] })
    const found = unmetNeeds(deploymentOf(six), settings, { certificateNames: new Set(['[::1]']) })
    expect(found.map(({ message }) => message)).toEqual([
      expect.stringContaining('is for an address'),
    ])
  })

  test('what is not known is not judged', () => {
    expect(unmetNeeds(deploymentOf(TREE), { ...defaultNodeSettings, certificates: '/x' })).toEqual(
      [],
    )
  })
})

describe('names that the node gets certificates for', () => {
  const acme: AcmeSettings = {
    directory: 'https://ca.test/dir',
    email: 'a@a.test',
    hosts: 'auto',
    renewBeforeMs: 1,
  }
  const OUT = { protocol: 'https', expose: 'public' }
  const TREE = webWith({
    endpoints: [
      { name: 'a', port: 1, host: 'a.test', ...OUT },
      { name: 'b', port: 1, host: 'b.test', ...OUT },
      { name: 'wild', port: 1, host: '*.w.test', ...OUT },
      { name: 'address', port: 1, host: '10.0.0.1', ...OUT },
      { name: 'local', port: 1, host: 'localhost', ...OUT },
      { name: 'six', port: 1, host: '[64:ff9b::1.2.3.4]', ...OUT },
      { name: 'inside', port: 2, host: 'i.test', protocol: 'https' },
      { name: 'lines', port: 3, host: 'l.test', ...OUT, protocol: 'tcp', stream: { tls: true } },
    ],
  })
  const { services } = deploymentOf(TREE)
  const found = (more: Partial<AcmeSettings>): readonly string[] =>
    unmetNeeds(
      deploymentOf(TREE),
      { ...defaultNodeSettings, certificates: '/certs', acme: { ...acme, ...more } },
      { certificateNames: new Set() },
    ).map(({ path }) => path.slice(2).join('.'))

  test('auto: those of public https, of all services, each once', () => {
    const job = { rtype: 'job', endpoints: services.web!.endpoints } as const
    expect(acmeHostsOf(acme, Object.values(services))).toEqual(['a.test', 'b.test'])
    expect(acmeHostsOf(acme, [services.web!, services.web!])).toEqual(['a.test', 'b.test'])
    expect(acmeHostsOf(acme, [job])).toEqual([])
  })

  test('or those that are named', () => {
    expect(acmeHostsOf({ hosts: ['z.test', 'i.test'] }, [services.web!])).toEqual([
      'i.test',
      'z.test',
    ])
  })

  test('are not missed in the directory', () => {
    expect(found({})).toEqual([2, 3, 4, 5, 6, 7].map((index) => `endpoints.${index}.host`))
    expect(found({ hosts: ['i.test', 'l.test', 'a.test', 'b.test'] })).toEqual(
      [2, 3, 4, 5].map((index) => `endpoints.${index}.host`),
    )
  })
})

describe('the port of metrics', () => {
  const mapping = (host_ip: string, host_port: number, more: Tree = {}): Tree => ({
    port_mappings: [{ host_ip, host_port, container_port: 80, ...more }],
    endpoints: [{ name: 'a', protocol: more.protocol ?? 'tcp', port: 80 }],
  })
  const at = (expose: string, more: Tree = {}): Tree => ({
    endpoints: [{ name: 'a', protocol: 'tcp', port: 9464, expose, ...more }],
  })
  const ENDPOINT = ['refuse services.web.endpoints.0.port']
  const MAPPING = ['refuse services.web.port_mappings.0.host_port']
  const AUTO = { localhost_reachability: 'auto', scale: { mode: 'fixed', replicas: 1 } }
  const OVERLAY = { internalAddresses: ['10.0.0.1'] }
  const ROWS: readonly [string, Tree, string, Partial<NodeSettings>, readonly string[]][] = [
    ['a public endpoint is everywhere', at('public'), '127.0.0.1', {}, ENDPOINT],
    ['of IPv6 as well', at('public'), 'fd00::1', {}, ENDPOINT],
    ['an internal one is on loopback', at('internal'), '127.0.0.1', {}, ENDPOINT],
    ['and nowhere else', at('internal'), '10.0.0.1', {}, []],
    ['under metrics for everybody', at('internal'), '0.0.0.0', {}, ENDPOINT],
    ['an internal one at its own address', at('internal'), '10.0.0.1', OVERLAY, ENDPOINT],
    [
      'and on loopback, with one replica',
      { ...at('internal'), ...AUTO },
      '127.0.0.1',
      OVERLAY,
      ENDPOINT,
    ],
    [
      'but not with more',
      { ...at('internal'), ...AUTO, scale: { mode: 'fixed', replicas: 2 } },
      '127.0.0.1',
      OVERLAY,
      [],
    ],
    ['udp is apart', at('public', { protocol: 'udp' }), '127.0.0.1', {}, []],
    ['another port', at('public', { port: 9465 }), '127.0.0.1', {}, []],
    ['a mapping', mapping('127.0.0.1', 9464), '0.0.0.0', {}, MAPPING],
    ['a mapping elsewhere', mapping('127.0.0.2', 9464), '127.0.0.1', {}, []],
    ['a mapping of udp', mapping('0.0.0.0', 9464, { protocol: 'udp' }), '127.0.0.1', {}, []],
    ['IPv6 alone', mapping('::', 9464), '127.0.0.1', {}, []],
    [
      'a program may listen anywhere',
      {
        scale: { mode: 'fixed', replicas: 1 },
        endpoints: [{ name: 'a', protocol: 'tcp', port: 80, target_port: 9464 }],
      },
      '10.0.0.1',
      {},
      ['refuse services.web.endpoints.0.target_port'],
    ],
    [
      'also one that a mapping leads to',
      {
        scale: { mode: 'fixed', replicas: 1 },
        port_mappings: [{ host_port: 81, container_port: 9464 }],
      },
      '::1',
      {},
      ['refuse services.web.port_mappings.0.container_port'],
    ],
  ]
  for (const [name, keys, host, settings, found] of ROWS) {
    test(name, () => {
      expect(needs(webWith(keys), { metrics: { host, port: 9464 }, ...settings })).toEqual(found)
    })
  }

  test('is named with its owner', () => {
    const settings = { ...defaultNodeSettings, metrics: { host: '::1', port: 9464 } }
    const [found] = unmetNeeds(deploymentOf(webWith(at('public'))), settings)
    expect(found?.message).toBe(
      "tcp port 9464 is the node's own, for metrics ([::1]:9464 in the node file); choose another port",
    )
  })
})
