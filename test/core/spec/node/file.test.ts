import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeNodeFile, nodeJsonSchema } from '../../../../core/spec/node/file.ts'
import { defaultNodeSettings, type NodeSettings } from '../../../../core/spec/node/settings.ts'
import { type Path, pathKey } from '../../../../core/spec/problem.ts'
import type { JsonSchema } from '../../../../core/spec/schema/shape.ts'
import { faultsBy } from '../schema-faults.ts'

const told = ({ path, message, at }: { path: Path; message: string; at?: string }): string =>
  `${at === 'value' ? '=' : ''}${pathKey(path)}: ${message}`

function settingsOf(tree: unknown): NodeSettings {
  const decoded = decodeNodeFile(tree)
  if (!decoded.ok) throw new Error(decoded.problems.map(told).join('\n'))
  return decoded.settings
}

function problemsOf(tree: unknown): readonly string[] {
  const decoded = decodeNodeFile(tree)
  return decoded.ok ? [] : decoded.problems.map(told)
}

describe('what is said', () => {
  const ROWS: readonly [string, unknown, Partial<NodeSettings>][] = [
    ['nothing', null, {}],
    ['no key', {}, {}],
    ['an empty block', { ports: {}, internal_addresses: [] }, {}],
    [
      'everything',
      {
        ports: { replicas: '10000-10999' },
        internal_addresses: ['10.8.0.2', 'FD00::2'],
        certificates: './certificates',
        metrics: '127.0.0.1:9464',
        drain_timeout: '1m',
      },
      {
        replicaPorts: { from: 10_000, to: 10_999 },
        internalAddresses: ['10.8.0.2', 'fd00::2'],
        certificates: './certificates',
        metrics: { host: '127.0.0.1', port: 9464 },
        drainTimeoutMs: 60_000,
      },
    ],
    [
      'a range with spaces, of one port',
      { ports: { replicas: '1024 - 1024' } },
      { replicaPorts: { from: 1024, to: 1024 } },
    ],
    [
      'an IPv4 address in the form of IPv6',
      { internal_addresses: ['::ffff:10.8.0.2'], metrics: '[::ffff:10.8.0.2]:80' },
      { internalAddresses: ['10.8.0.2'], metrics: { host: '10.8.0.2', port: 80 } },
    ],
    ['metrics everywhere', { metrics: '[::]:1' }, { metrics: { host: '::', port: 1 } }],
    ['no time to drain', { drain_timeout: '0s' }, { drainTimeoutMs: 0 }],
    ['all of an hour', { drain_timeout: '60m' }, { drainTimeoutMs: 3_600_000 }],
  ]
  for (const [name, tree, settings] of ROWS) {
    test(name, () => expect(settingsOf(tree)).toEqual({ ...defaultNodeSettings, ...settings }))
  }
})

describe('what is wrong', () => {
  const RANGE = 'replicas must be a range such as 20000-29999, not'
  const METRICS = 'metrics must be HOST:PORT such as 127.0.0.1:9464, not'
  const advice = (port: number) =>
    `write 127.0.0.1:${port} for this machine only, 0.0.0.0:${port} for everybody`
  const ROWS: readonly [string, unknown, readonly string[]][] = [
    ['a list', [], [': a node file is a map such as drain_timeout: 30s, not an empty list']],
    ['a text', 'x', [': a node file is a map such as drain_timeout: 30s, not "x"']],
    [
      'a misspelt key',
      { internal_adresses: ['10.0.0.1'], port: {} },
      [
        '/internal_adresses: unknown key internal_adresses in the node file; did you mean internal_addresses?',
        '/port: unknown key port in the node file; did you mean ports?',
      ],
    ],
    [
      'keys of another file',
      { version: 'v1', services: {} },
      [
        '/version: unknown key version in the node file; a node file has none; remove it',
        '/services: unknown key services in the node file; it belongs into the deployment file',
      ],
    ],
    [
      'a key whose work is to come',
      { journal: {} },
      ['/journal: journal is not built yet; remove it'],
    ],
    [
      'a key for one whose work is to come is no suggestion',
      { journall: {} },
      ['/journall: unknown key journall in the node file'],
    ],
    ['a number for a range', { ports: { replicas: 20_000 } }, [`=/ports/replicas: ${RANGE} 20000`]],
    ['half a range', { ports: { replicas: '20000-' } }, [`=/ports/replicas: ${RANGE} "20000-"`]],
    ['an empty range', { ports: { replicas: null } }, [`=/ports/replicas: ${RANGE} nothing`]],
    [
      'a range of more digits than any port has',
      { ports: { replicas: '1-99999999999' } },
      [`=/ports/replicas: ${RANGE} "1-99999999999"`],
    ],
    [
      'a range below 1024',
      { ports: { replicas: '1023-2000' } },
      ['=/ports/replicas: replicas must lie within 1024-65535, not 1023-2000'],
    ],
    [
      'a range above 65535',
      { ports: { replicas: '65000-65536' } },
      ['=/ports/replicas: replicas must lie within 1024-65535, not 65000-65536'],
    ],
    [
      'a range from its end',
      { ports: { replicas: '29999-20000' } },
      ['=/ports/replicas: replicas must begin with the smaller number: write 20000-29999'],
    ],
    [
      'addresses that cannot be internal ones',
      { internal_addresses: ['10.0.0', '0.0.0.0', '::', '127.0.0.2', '::1', 7] },
      [
        '=/internal_addresses/0: internal_addresses[0] must be an IP address, not "10.0.0"',
        '=/internal_addresses/1: internal_addresses[1] must be one address, not all of them',
        '=/internal_addresses/2: internal_addresses[2] must be one address, not all of them',
        '=/internal_addresses/3: internal_addresses[3] is loopback, where internal endpoints are anyway while there is no other address; remove it',
        '=/internal_addresses/4: internal_addresses[4] is loopback, where internal endpoints are anyway while there is no other address; remove it',
        '=/internal_addresses/5: internal_addresses[5] must be an IP address, not 7; write it in quotes: "7"',
      ],
    ],
    [
      'an address given twice, in two forms, after one that is none',
      { internal_addresses: ['x', 'fd00::1', 'FD00:0::1'] },
      [
        '=/internal_addresses/0: internal_addresses[0] must be an IP address, not "x"',
        '=/internal_addresses/2: internal_addresses[2] is fd00::1 again; remove one of the two',
      ],
    ],
    [
      'link-local addresses, which need their interface by name',
      { internal_addresses: ['fe80::1', 'fe80::2%3', 'fe80::3%eth0'], metrics: '[febf::1]:80' },
      [
        '=/internal_addresses/0: internal_addresses[0] is link-local and needs the name of its interface; write fe80::1%eth0, if that is the one',
        '=/internal_addresses/1: internal_addresses[1] needs its interface by name, not by number; write fe80::2%eth0, if that is the one',
        '=/metrics: metrics is link-local and needs the name of its interface; write febf::1%eth0, if that is the one',
      ],
    ],
    [
      'one address instead of a list',
      { internal_addresses: '10.0.0.1' },
      [
        '=/internal_addresses: internal_addresses must be a list of IP addresses, not "10.0.0.1"; write each item after a "- "',
      ],
    ],
    [
      'metrics without a host',
      { metrics: ':9464' },
      [`=/metrics: ${METRICS} ":9464"; ${advice(9464)}`],
    ],
    ['metrics as a number', { metrics: 9464 }, [`=/metrics: ${METRICS} 9464; ${advice(9464)}`]],
    [
      'metrics at a name',
      { metrics: 'localhost:80' },
      [`=/metrics: ${METRICS} "localhost:80"; ${advice(80)}`],
    ],
    [
      'metrics at an IPv6 address without brackets',
      { metrics: '::1:9464' },
      [`=/metrics: ${METRICS} "::1:9464"; write "[::1]:9464"`],
    ],
    [
      'metrics at an address alone',
      { metrics: '10.0.0.1' },
      [`=/metrics: ${METRICS} "10.0.0.1"; write "10.0.0.1:9464"`],
    ],
    [
      'metrics at an IPv6 address alone',
      { metrics: 'fd00::1' },
      [`=/metrics: ${METRICS} "fd00::1"; write "[fd00::1]:9464"`],
    ],
    [
      'metrics at any port',
      { metrics: '127.0.0.1:0' },
      [`=/metrics: ${METRICS} "127.0.0.1:0", HOST an IP address and PORT from 1 to 65535`],
    ],
    [
      'metrics at a name of another machine',
      { metrics: 'example.com:80' },
      [`=/metrics: ${METRICS} "example.com:80", HOST an IP address and PORT from 1 to 65535`],
    ],
    [
      'longer drains than an hour',
      { drain_timeout: '1h 1ms' },
      ['=/drain_timeout: drain_timeout must be at most 1h, not "1h 1ms"'],
    ],
    [
      'a certificate for the directory of all',
      { certificates: { cert: 'x' } },
      ['=/certificates: certificates must be the path of a directory, not a map'],
    ],
  ]
  for (const [name, tree, problems] of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
})

describe('replicas inside the range of local ports', () => {
  const ROWS: readonly [string, boolean][] = [
    ['20000-32767', false],
    ['20000-32768', true],
    ['40000-41000', true],
    ['60999-65535', true],
    ['61000-65535', false],
  ]
  for (const [replicas, isWarned] of ROWS) {
    test(`${replicas} ${isWarned ? 'is warned of' : 'is fine'}`, () => {
      const decoded = decodeNodeFile({ ports: { replicas } })
      expect(decoded).toMatchObject({ ok: true })
      const warnings = decoded.ok ? decoded.warnings.map(told) : []
      expect(warnings).toEqual(
        isWarned
          ? [
              `=/ports/replicas: replicas ${replicas} reaches into 32768-60999, from which Linux takes the local ports of connections: a replica may find its port taken`,
            ]
          : [],
      )
    })
  }
})

describe('the schema', () => {
  const schema = nodeJsonSchema()
  const faults = faultsBy(schema)

  test('is plain JSON that names its dialect, with a description for every key', () => {
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
    for (const def of Object.values(schema.$defs as Record<string, JsonSchema>)) {
      for (const property of Object.values(def.properties as Record<string, JsonSchema>)) {
        expect(property.description).toMatch(/^.{3,}\.$/s)
        if ('default' in property) expect(faults(property.default, property)).toEqual([])
      }
    }
  })

  test('refuses what is no key and no form', () => {
    const wrong = [
      [],
      { journal: {} },
      { colour: 1 },
      { metrics: ':80' },
      { ports: { replicas: 1 } },
    ]
    for (const tree of wrong) expect(faults(tree)).not.toEqual([])
  })
})

test('property: any JSON is answered, never thrown at, and good settings are plain JSON', () => {
  const key = fc.constantFrom(
    ...['ports', 'internal_addresses', 'certificates', 'metrics', 'drain_timeout', 'journal'],
    ...['trusted_proxies', 'network_policies', 'access_log', 'limits', 'acme'],
  )
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<unknown>(
      ...['1s', '127.0.0.1:80', { replicas: '2000-3000' }, ['10.0.0.1'], ['10.0.0.0/8'], 'x'],
      ...[{ file: 'x' }, { http_clients: 1 }, [{ name: 'x', cidrs: ['::/0'] }]],
      { email: 'a@b.c', terms_agreed: true },
    ),
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(key, value)), (tree) => {
      const decoded = decodeNodeFile(tree)
      if (decoded.ok) {
        if (tree !== null) expect(faultsBy(nodeJsonSchema())(tree)).toEqual([])
        expect(JSON.parse(JSON.stringify(decoded.settings))).toEqual(decoded.settings)
      } else expect(decoded.problems.length).toBeGreaterThan(0)
    }),
    {
      numRuns: 500,
      examples: [[{ metrics: { toString: 0 } }], [{ ports: { replicas: { toString: null } } }]],
    },
  )
})
