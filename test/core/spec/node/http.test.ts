import { describe, expect, test } from 'vitest'
import { decodeNodeFile } from '../../../../core/spec/node/file.ts'
import { defaultNodeSettings, type NodeSettings } from '../../../../core/spec/node/settings.ts'
import { type Problem, pathKey } from '../../../../core/spec/problem.ts'

const told = ({ path, message, at }: Problem): string =>
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

function warningsOf(tree: unknown): readonly string[] {
  const decoded = decodeNodeFile(tree)
  return decoded.ok ? decoded.warnings.map(told) : ['not understood']
}

const ACME = { email: 'admin@a.test', terms_agreed: true }
const acmeOf = (keys: object) => ({ certificates: 'c', acme: { ...ACME, ...keys } })
const policyOf = (keys: object) => ({
  network_policies: [{ name: 'office', cidrs: ['10.0.0.0/8'], ...keys }],
})

describe('what is said', () => {
  const ROWS: readonly [string, unknown, Partial<NodeSettings>][] = [
    ['nobody is believed', { trusted_proxies: [] }, { trustedProxies: [] }],
    [
      'proxies of two families',
      { trusted_proxies: ['10.0.0.0/8', 'fd00::/8'] },
      { trustedProxies: ['10.0.0.0/8', 'fd00::/8'] },
    ],
    [
      'a policy with all of its keys',
      {
        network_policies: [
          {
            name: 'office',
            description: 'the people upstairs',
            cidrs: ['10.0.0.0/8'],
            members: [{ name: 'fd00::/8', kind: 'cidr' }],
            access_rules: [
              { service: 'api', deployment: 'shop', ports: [80, 'admin'], action: 'deny' },
              {},
            ],
          },
        ],
      },
      {
        networkPolicies: [
          {
            name: 'office',
            description: 'the people upstairs',
            cidrs: ['10.0.0.0/8'],
            members: [{ name: 'fd00::/8', kind: 'cidr' }],
            accessRules: [
              { service: 'api', deployment: 'shop', ports: [80, 'admin'], action: 'deny' },
              { service: '*', deployment: '*', action: 'allow' },
            ],
          },
        ],
      },
    ],
    [
      'an access log',
      { access_log: { file: 'log/access.log' } },
      { accessLog: { file: 'log/access.log', format: 'json', bytesMax: 64 * 1024 ** 2, keep: 3 } },
    ],
    [
      'an access log with all of its keys',
      { access_log: { file: '/a', format: 'combined', max_bytes: '1Mi', keep: 0 } },
      { accessLog: { file: '/a', format: 'combined', bytesMax: 1024 ** 2, keep: 0 } },
    ],
    [
      'limits',
      { limits: { http_clients: 10, held_requests: 0, held_bytes: '1Mi' } },
      { limits: { httpClientsMax: 10, heldRequestsMax: 0, heldBytesMax: 1024 ** 2 } },
    ],
    [
      'acme',
      acmeOf({}),
      {
        certificates: 'c',
        acme: {
          directory: 'https://acme-v02.api.letsencrypt.org/directory',
          email: 'admin@a.test',
          hosts: 'auto',
          renewBeforeMs: 30 * 86_400_000,
        },
      },
    ],
    [
      'acme with all of its keys',
      acmeOf({
        directory: 'https://ca.test:14000/dir',
        hosts: ['A.test', 'b.a.test'],
        renew_before: '1d',
        ca: './ca.pem',
      }),
      {
        certificates: 'c',
        acme: {
          directory: 'https://ca.test:14000/dir',
          email: 'admin@a.test',
          hosts: ['a.test', 'b.a.test'],
          renewBeforeMs: 86_400_000,
          ca: './ca.pem',
        },
      },
    ],
  ]
  for (const [name, tree, settings] of ROWS) {
    test(name, () => expect(settingsOf(tree)).toEqual({ ...defaultNodeSettings, ...settings }))
  }

  test('the trial server by its word', () => {
    expect(settingsOf(acmeOf({ directory: 'staging' })).acme?.directory).toBe(
      'https://acme-staging-v02.api.letsencrypt.org/directory',
    )
  })
})

describe('what is wrong', () => {
  const AT = '/network_policies/0'
  const nobody = (who: string): string =>
    `nothing here knows ${who}, only where a connection comes from; write cidrs`
  const ROWS: readonly [string, unknown, readonly string[]][] = [
    [
      'an address for a network',
      { trusted_proxies: ['10.0.0.1', '10.0.0.1/8'] },
      [
        '=/trusted_proxies/0: trusted_proxies[0] must be a network such as 10.0.0.0/8, not "10.0.0.1"; for this one address write 10.0.0.1/32',
        '=/trusted_proxies/1: trusted_proxies[1] has bits set behind the prefix, "10.0.0.1/8"; write 10.0.0.0/8, or 10.0.0.1/32 for the one address',
      ],
    ],
    [
      'proxy W15: members that nothing here could recognise',
      policyOf({
        members: [
          { name: 'alice', kind: 'user' },
          { name: 'staff', kind: 'group' },
          { name: 'n1', kind: 'node' },
          { name: 'bob' },
          { name: 'carol', kind: 'cidr' },
        ],
      }),
      [
        `=${AT}/members/0/kind: kind must be cidr, not "user"; ${nobody('users')}`,
        `=${AT}/members/1/kind: kind must be cidr, not "group"; ${nobody('groups')}`,
        `=${AT}/members/2/kind: kind must be cidr, not "node"; ${nobody('other nodes')}`,
        `${AT}/members/3: missing key kind in a member`,
        `=${AT}/members/4/name: name must be a network such as 10.0.0.0/8, not "carol"`,
      ],
    ],
    [
      'a policy for nobody, and its name again',
      { network_policies: [{ name: 'a' }, { name: 'a', cidrs: ['::/0'] }] },
      [
        `${AT}: policy a governs nobody; give cidrs: [10.0.0.0/8] or the like`,
        '=/network_policies/1/name: name a is given twice; each policy has one of its own',
      ],
    ],
    [
      'networks that are none are not missed as well',
      { network_policies: [{ name: 'a', cidrs: ['x'] }] },
      [`=${AT}/cidrs/0: cidrs[0] must be a network such as 10.0.0.0/8, not "x"`],
    ],
    [
      'rules that match nothing',
      policyOf({
        access_rules: [
          { service: 'shop/api' },
          { service: 'Web_1', deployment: 'x' },
          { ports: [] },
          { ports: [0, 'a/b'] },
          { action: 'permit' },
          { port: 80 },
        ],
      }),
      [
        `=${AT}/access_rules/0/service: service must be without its deployment, not "shop/api"; write service: api, deployment: shop`,
        `=${AT}/access_rules/1/service: service cannot be a name, it is not a DNS label; use 1-63 lower-case letters, digits and inner hyphens, for instance web-1`,
        `=${AT}/access_rules/1/deployment: deployment must be 3-63 letters, digits and hyphens, beginning with a letter or digit, not "x"`,
        `${AT}/access_rules/2/ports: ports is empty; give a list of ports and names of endpoints`,
        `=${AT}/access_rules/3/ports/0: ports[0] must be a number from 1 to 65535, not 0`,
        `=${AT}/access_rules/3/ports/1: ports[1] must be the name of an endpoint, not "a/b"`,
        `=${AT}/access_rules/4/action: action must be allow or deny, not "permit"`,
        `${AT}/access_rules/5/port: unknown key port in an access rule; write ports: [PORT]`,
      ],
    ],
    [
      'an access log as a text',
      { access_log: 'access.log' },
      [
        '=/access_log: access_log must be an access_log block, not "access.log"; write a map with file',
      ],
    ],
    [
      'an access log of another format, with sizes that are none',
      { access_log: { path: 'x', format: 'common', max_bytes: '1Ki', keep: -1 } },
      [
        '/access_log: missing key file in an access_log block',
        '=/access_log/format: format must be json or combined, not "common"; write combined',
        '=/access_log/max_bytes: max_bytes must be from 64Ki to 1Ti, not 1Ki',
        '=/access_log/keep: keep must be a whole number from 0 to 1000, not -1',
        '/access_log/path: unknown key path in an access_log block; write file',
      ],
    ],
    [
      'limits that are none',
      { limits: { http_clients: 0, held_bytes: '2Gi' } },
      [
        '=/limits/http_clients: http_clients must be a whole number from 1 to 1000000, not 0',
        '=/limits/held_bytes: held_bytes must be from 64Ki to 1Gi, not 2Gi',
      ],
    ],
    [
      'acme without a place for what it gets',
      { acme: ACME },
      ['/acme: acme needs certificates, a directory where it keeps what it gets'],
    ],
    [
      'acme without the least',
      { certificates: 'c', acme: {} },
      [
        '/acme: missing key email in an acme block',
        '/acme: missing key terms_agreed in an acme block',
      ],
    ],
    [
      'acme against the terms, at a plain URL, for names that cannot be proved over http',
      acmeOf({
        terms_agreed: false,
        email: 'admin',
        directory: 'http://ca.test/dir',
        hosts: ['*.a.test', '10.0.0.1', 'localhost', 'a.test', 'A.test'],
        renew_before: '90d',
      }),
      [
        '=/acme/directory: directory must be letsencrypt, staging or an https URL, not "http://ca.test/dir"; ACME is spoken over https (RFC 8555, 6.1)',
        '=/acme/email: email must be an address such as admin@example.com, not "admin"',
        '=/acme/terms_agreed: terms_agreed must be true, not false: the server gives certificates to those only who agree to its terms of service',
        '=/acme/hosts/0: hosts[0] must not be a wildcard, "*.a.test": those are proved over DNS, and here names are proved over http; put a certificate for it into certificates',
        '=/acme/hosts/1: hosts[1] must be a name, not the address 10.0.0.1',
        '=/acme/hosts/2: hosts[2] must be a name such as example.com, not "localhost"',
        '=/acme/hosts: a.test is given twice; remove one of the two',
        '=/acme/renew_before: renew_before must be at most 60d, not "90d"',
      ],
    ],
    [
      'no name at all, and another word for all of them',
      { ...acmeOf({ hosts: [] }), trusted_proxies: 'all' },
      [
        '=/trusted_proxies: trusted_proxies must be a list of networks, not "all"; write each item after a "- "',
        '/acme/hosts: hosts is empty; give a list of names',
      ],
    ],
  ]
  for (const [name, tree, problems] of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
})

describe('what works and had better be otherwise', () => {
  test('proxies that are everybody', () => {
    expect(warningsOf({ trusted_proxies: ['10.0.0.0/8', '0.0.0.0/0', '::/0'] })).toEqual([
      '=/trusted_proxies/1: 0.0.0.0/0 is everybody: any client can then say which address it has',
      '=/trusted_proxies/2: ::/0 is everybody: any client can then say which address it has',
    ])
  })

  test('policies that allow nothing', () => {
    const message =
      'policy office allows nothing, so whom it governs reaches nothing; add { action: allow } for the rest'
    expect(warningsOf(policyOf({}))).toEqual([`/network_policies/0: ${message}`])
    const denies = policyOf({ access_rules: [{ service: 'admin', action: 'deny' }] })
    expect(warningsOf(denies)).toEqual([`/network_policies/0: ${message}`])
    expect(warningsOf(policyOf({ access_rules: [{ service: 'api' }] }))).toEqual([])
  })
})
