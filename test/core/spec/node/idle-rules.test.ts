import { describe, expect, test } from 'vitest'
import type { PolicyRule } from '../../../../core/policy/policy.ts'
import { decodeNodeFile } from '../../../../core/spec/node/file.ts'
import { unmetNeeds } from '../../../../core/spec/node/needs.ts'
import { deploymentOf, fileOf, type Tree } from '../files.ts'

const TREE = fileOf({
  web: {
    command: ['web'],
    endpoints: [
      { name: 'http', protocol: 'http', port: 8080 },
      { name: 'admin', protocol: 'http', port: 9000 },
    ],
    port_mappings: [{ host_port: 18080, container_port: 8080 }],
  },
  db: { command: ['db'], endpoints: [{ name: 'sql', protocol: 'tcp', port: 5432 }] },
})
const OTHERS = [{ deployment: 'shop', service: 'cart', endpoint: 'api', port: 7000 }]

function warned(rules: readonly Tree[], others = OTHERS.slice(1)): readonly string[] {
  const policy = { name: 'office', cidrs: ['10.0.0.0/8'], access_rules: rules }
  const node = decodeNodeFile({ network_policies: [policy] })
  if (!node.ok) throw new Error(JSON.stringify(node.problems))
  return unmetNeeds(deploymentOf(TREE), node.settings, { others }).map(
    ({ level, path, message }) => `${level} ${path.join('.')}: ${message}`,
  )
}

const RULE = 'access rule 1 of policy office in the node file'
const ELSEWHERE = 'where it is for another deployment, name that in it'

describe('a rule that matches something is not warned of', () => {
  const ROWS: readonly (Partial<PolicyRule> & { readonly ports?: (string | number)[] })[] = [
    {},
    { service: 'web' },
    { service: 'web', ports: [8080, '8080', 'http', 18080] },
    { ports: ['sql', 9000] },
    { service: 'web', deployment: 'test', ports: ['admin'] },
    // of another deployment, which nothing is known of
    { service: 'cart', deployment: 'shop' },
    { service: 'typo', deployment: 'shop', ports: ['x'] },
  ]
  for (const rule of ROWS) {
    test(JSON.stringify(rule), () => expect(warned([{ ...rule }])).toEqual([]))
  }
})

describe('a rule that matches nothing is', () => {
  const ROWS: readonly [string, Tree, readonly string[]][] = [
    [
      'no such service',
      { service: 'typo', action: 'deny' },
      [
        `warn services: ${RULE} is for service typo, and there is none of this name here; ${ELSEWHERE}`,
      ],
    ],
    [
      'a service that nearly is',
      { service: 'wbe', deployment: 'test' },
      [
        `warn services: ${RULE} is for service wbe, and there is none of this name here; did you mean web?`,
      ],
    ],
    [
      'an endpoint of another service, and a port of nobody',
      { service: 'db', deployment: 'test', ports: ['http', 5433, 'sqll'] },
      [
        `warn services.db: ${RULE} names endpoint http, which service db here has not`,
        `warn services.db: ${RULE} names port 5433, which service db here has not`,
        `warn services.db: ${RULE} names endpoint sqll, which service db here has not; did you mean sql?`,
      ],
    ],
    [
      'an endpoint of any service',
      { ports: ['nosuchep', 'http'] },
      [`warn services: ${RULE} names endpoint nosuchep, which no service here has; ${ELSEWHERE}`],
    ],
    [
      'a deployment that is nearly this one',
      { deployment: 'tset' },
      [`warn deployment: ${RULE} is for deployment tset; did you mean test?`],
    ],
  ]
  for (const [name, rule, found] of ROWS) {
    test(name, () => expect(warned([rule])).toEqual(found))
  }

  test('each is told by its number', () => {
    const found = warned([{ service: 'web' }, { service: 'x1' }, { service: 'y1' }])
    expect(found.map((text) => /access rule \d/.exec(text)![0])).toEqual([
      'access rule 2',
      'access rule 3',
    ])
  })
})

test('what is known of other deployments counts', () => {
  const rules = [
    { service: 'cart' },
    { service: 'cart', ports: ['api', 7000] },
    { ports: ['api', 7000] },
  ]
  expect(warned(rules)).toHaveLength(4)
  expect(warned(rules, OTHERS)).toEqual([])
  expect(warned([{ service: 'cart', deployment: 'test' }], OTHERS)).toHaveLength(1)
  expect(warned([{ deployment: 'tset' }], [{ ...OTHERS[0]!, deployment: 'tset' }])).toEqual([])
})
