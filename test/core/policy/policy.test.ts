import { describe, expect, test } from 'vitest'
import { parseIp } from '../../../core/net/address.ts'
import { packAddress } from '../../../core/net/packed-address.ts'
import { admits } from '../../../core/policy/access.ts'
import {
  accessListOf,
  accessOf,
  type NetworkPolicy,
  type PolicyPlace,
  type PolicyRule,
} from '../../../core/policy/policy.ts'

const WEB: PolicyPlace = { deployment: 'shop', service: 'web', endpoint: 'http', port: 8080 }
const ADMIN: PolicyPlace = { deployment: 'shop', service: 'web', endpoint: 'admin', port: 9001 }
const API: PolicyPlace = { deployment: 'shop', service: 'api', endpoint: 'http', port: 8081 }
const OTHER_WEB: PolicyPlace = { deployment: 'blog', service: 'web', endpoint: 'http', port: 8090 }
const PLACES = { web: WEB, admin: ADMIN, api: API, other: OTHER_WEB }

const rule = (given: Partial<PolicyRule>): PolicyRule => ({
  service: '*',
  deployment: '*',
  action: 'allow',
  ...given,
})

const policy = (
  cidrs: readonly string[],
  ...accessRules: readonly PolicyRule[]
): NetworkPolicy => ({
  name: 'office',
  cidrs,
  members: [],
  accessRules,
})

const isAdmitted = (
  policies: readonly NetworkPolicy[],
  source: string,
  place: PolicyPlace,
): boolean =>
  admits(accessListOf(accessOf(policies, place)), packAddress({ ip: parseIp(source)!, port: 1 })!)

interface Row {
  readonly name: string
  readonly policies: readonly NetworkPolicy[]
  /** The places that somebody at 10.1.2.3 may reach. */
  readonly reaches: readonly (keyof typeof PLACES)[]
}

const LAN = ['10.0.0.0/8']
const ALL = ['web', 'admin', 'api', 'other'] as const

const ROWS: readonly Row[] = [
  { name: 'no policy: all', policies: [], reaches: ALL },
  { name: 'none that governs it: all', policies: [policy(['192.168.0.0/16'])], reaches: ALL },
  { name: 'one without rules: nothing', policies: [policy(LAN)], reaches: [] },
  { name: 'all are allowed', policies: [policy(LAN, rule({}))], reaches: ALL },
  {
    name: 'proxy W15: a rule means the service, not one of its endpoints',
    policies: [policy(LAN, rule({ service: 'web' }))],
    reaches: ['web', 'admin', 'other'],
  },
  {
    name: 'proxy W15: a denied service is denied at each of its endpoints',
    policies: [policy(LAN, rule({}), rule({ service: 'web', action: 'deny' }))],
    reaches: ['api'],
  },
  {
    name: 'a deny wins, wherever it is written',
    policies: [policy(LAN, rule({ service: 'api', action: 'deny' }), rule({}))],
    reaches: ['web', 'admin', 'other'],
  },
  {
    name: 'a deny of another policy wins too',
    policies: [
      policy(LAN, rule({})),
      policy(['10.1.0.0/16'], rule({ service: 'api', action: 'deny' })),
    ],
    reaches: ['web', 'admin', 'other'],
  },
  {
    name: 'an allow of one policy is enough',
    policies: [policy(LAN), policy(['0.0.0.0/0'], rule({ service: 'api' }))],
    reaches: ['api'],
  },
  {
    name: 'proxy W15: a rule of one deployment',
    policies: [policy(LAN, rule({ service: 'web', deployment: 'blog' }))],
    reaches: ['other'],
  },
  {
    name: 'proxy W15: a port is the one that clients connect to',
    policies: [policy(LAN, rule({ ports: [8080, 8090] }))],
    reaches: ['web', 'other'],
  },
  {
    name: 'an endpoint by its name',
    policies: [policy(LAN, rule({}), rule({ ports: ['admin'], action: 'deny' }))],
    reaches: ['web', 'api', 'other'],
  },
  {
    name: 'ports and names, as numbers or as text',
    policies: [policy(LAN, rule({ ports: ['8081', 'admin'] }))],
    reaches: ['admin', 'api'],
  },
  { name: 'no port is none', policies: [policy(LAN, rule({ ports: [] }))], reaches: [] },
  {
    name: 'proxy W15: a member that is a network counts as one, others say nothing of addresses',
    policies: [
      {
        ...policy([], rule({ service: 'api' })),
        members: [
          { name: '10.1.2.0/24', kind: 'cidr' },
          { name: 'anna', kind: 'user' },
          { name: '10.9.0.0/16', kind: 'node' },
        ],
      },
    ],
    reaches: ['api'],
  },
]

describe('who reaches what', () => {
  for (const { name, policies, reaches } of ROWS) {
    test(name, () => {
      const reached = ALL.filter((place) => isAdmitted(policies, '10.1.2.3', PLACES[place]))
      expect(reached).toEqual(reaches)
    })
  }

  test('proxy W14: sources are what a policy says, of either family, and nothing is built in', () => {
    const overlay = [policy(['fd42::/16', '10.200.0.0/16'], rule({ service: 'web' }))]
    expect(isAdmitted(overlay, 'fd42::1', WEB)).toBe(true)
    expect(isAdmitted(overlay, 'fd42::1', API)).toBe(false)
    expect(isAdmitted(overlay, '::ffff:10.200.0.1', API)).toBe(false)
    expect(isAdmitted(overlay, '127.0.0.1', API)).toBe(true)
    expect(isAdmitted([], '10.200.0.1', WEB)).toBe(true)
  })

  test('proxy W15: a member that is no network governs nobody', () => {
    const members = [{ name: '10.0.0.0/8', kind: 'node' as const }]
    expect(isAdmitted([{ ...policy(['10.9.0.0/16']), members }], '10.1.2.3', WEB)).toBe(true)
  })

  test('families do not meet: a rule for all of one is none for the other', () => {
    expect(isAdmitted([policy(['::/0'])], '10.1.2.3', WEB)).toBe(true)
    expect(isAdmitted([policy(['0.0.0.0/0'])], 'fd42::1', WEB)).toBe(true)
    expect(isAdmitted([policy(['0.0.0.0/0', '::/0'])], 'fd42::1', WEB)).toBe(false)
  })
})

test('what a policy comes to is plain data, in the order of the policies', () => {
  const policies = [
    policy(['10.0.0.0/8', '10.0.0.0/8', 'fd00::/8'], rule({ service: 'api' })),
    policy([], rule({})),
    policy(['192.0.2.0/24'], rule({}), rule({ service: 'web', action: 'deny' })),
  ]
  const access = accessOf(policies, WEB)
  expect(access).toEqual([
    { sources: ['10.0.0.0/8', 'fd00::/8'], verdict: 'none' },
    { sources: ['192.0.2.0/24'], verdict: 'deny' },
  ])
  expect(JSON.parse(JSON.stringify(access))).toEqual(access)
})

test('a single address is a network of one, and what cannot be read is none', () => {
  const list = accessListOf([
    { sources: ['10.1.2.3', 'fd00::1', 'x', '10.0.0.1/8'], verdict: 'deny' },
  ])
  expect(list[0]!.sources.map(({ bits }) => bits)).toEqual([128, 128, 104])
  const from = (text: string): boolean =>
    admits(list, packAddress({ ip: parseIp(text)!, port: 1 })!)
  expect(['10.1.2.3', 'fd00::1', 'fd00::2', '11.0.0.1'].map(from)).toEqual([
    false,
    false,
    true,
    true,
  ])
})

test('who is governed and allowed nowhere is refused; nobody governed is admitted', () => {
  const source = packAddress({ ip: parseIp('10.1.2.3')!, port: 1 })!
  const entry = (verdict: 'allow' | 'deny' | 'none', network = '10.0.0.0/8') => ({
    sources: [network],
    verdict,
  })
  expect(admits([], source)).toBe(true)
  expect(admits(accessListOf([entry('none')]), source)).toBe(false)
  expect(admits(accessListOf([entry('none'), entry('allow')]), source)).toBe(true)
  expect(admits(accessListOf([entry('allow'), entry('deny')]), source)).toBe(false)
  expect(admits(accessListOf([entry('deny', '11.0.0.0/8')]), source)).toBe(true)
})
