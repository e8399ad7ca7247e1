import { describe, expect, test } from 'vitest'
import { isSingleMember } from '../../../core/publish/bindings.ts'
import {
  mappingEndpoint,
  membershipOf,
  ownPortsOf,
  targetOf,
} from '../../../core/services/port-mappings.ts'
import type { PortMappingSpec } from '../../../core/spec/deployment.ts'
import { plainEndpoint } from '../../../core/spec/plain-endpoint.ts'
import { type Tree, webOf } from '../spec/files.ts'

const endpoints = webOf({
  endpoints: [
    { name: 'admin', protocol: 'http', port: 9000, target_port: 8081 },
    { name: 'sql', protocol: 'tcp', port: 5432, target_port: 9000, stream: { idle_timeout: '1m' } },
    { name: 'dns', protocol: 'udp', port: 5432 },
    { name: 'secure', protocol: 'https', port: 443, host: 'a.test', expose: 'public' },
    { name: 'again', protocol: 'tcp', port: 444, target_port: 8081 },
  ],
  image: { name: 'in-a-network-of-its-own' },
}).endpoints
const mapping = (containerPort: number, more: Partial<PortMappingSpec> = {}): PortMappingSpec => ({
  containerPort,
  protocol: 'tcp',
  hostIp: '0.0.0.0',
  ...more,
})

describe('a mapping leads', () => {
  const ROWS: readonly [string, PortMappingSpec, object][] = [
    ['to a target_port rather than a port', mapping(9000), { endpoint: 'sql' }],
    ['to a port', mapping(443), { endpoint: 'secure' }],
    ['to the first of two', mapping(8081), { endpoint: 'admin' }],
    ['to tcp', mapping(5432), { endpoint: 'sql' }],
    ['to udp', mapping(5432, { protocol: 'udp' }), { endpoint: 'dns' }],
    ['to the program itself', mapping(1234), { port: 1234 }],
    ['to the program itself over udp', mapping(9000, { protocol: 'udp' }), { port: 9000 }],
  ]
  for (const [name, from, to] of ROWS)
    test(name, () => expect(targetOf(from, endpoints)).toEqual(to))
})

describe('it behaves as', () => {
  test('the endpoint it leads to, at another place', () => {
    const [, sql, , secure] = endpoints
    const { host: _, ...anybody } = secure!
    expect(mappingEndpoint(mapping(9000, { hostPort: 6432 }), endpoints)).toEqual({
      ...sql,
      name: 'mapping 9000 tcp',
      port: 6432,
    })
    expect(mappingEndpoint(mapping(443), endpoints)).toEqual({
      ...anybody,
      name: 'mapping 443 tcp',
      port: 0,
      expose: 'internal',
    })
  })

  test('a plain one, where the program itself listens', () => {
    expect(mappingEndpoint(mapping(53, { protocol: 'udp', hostPort: 5353 }), endpoints)).toEqual(
      plainEndpoint('mapping 53 udp', 'udp', 5353, 53),
    )
  })
})

test('a program’s own ports are those of endpoints and those beside them, each once', () => {
  const portMappings = [mapping(9000), mapping(1234), mapping(1234, { hostPort: 80 })]
  expect(ownPortsOf({ endpoints, portMappings })).toEqual([
    { namespace: 'tcp', port: 8081 },
    { namespace: 'tcp', port: 9000 },
    { namespace: 'tcp', port: 1234 },
  ])
})

describe('how many replicas a file may come to', () => {
  const group = (count: number, role = 'a') => ({ role, count })
  const ROWS: readonly [string, Tree, boolean][] = [
    ['says nothing', {}, false],
    ['one', { scale: { mode: 'fixed', replicas: 1 } }, true],
    ['two', { scale: { mode: 'fixed', replicas: 2 } }, false],
    ['one at the most', { scale: { mode: 'adaptive', min: 1, max: 1 } }, true],
    ['by hand', { scale: { mode: 'manual' } }, true],
    ['one of one role', { replica_groups: [group(1)] }, true],
    ['two of one role', { replica_groups: [group(2)] }, false],
    ['one of each of two roles', { replica_groups: [group(1), group(1, 'b')] }, false],
  ]
  for (const [name, keys, single] of ROWS) {
    test(name, () => expect(isSingleMember(membershipOf(webOf(keys)))).toBe(single))
  }
})
