import { expect, test } from 'vitest'
import { probeTarget } from '../../../core/services/probe-target.ts'
import type { HealthCheck, ServiceSpec } from '../../../core/spec/deployment.ts'
import { endpointOf, serviceOf } from '../node/obedient-shell.ts'

const http = endpointOf({ name: 'http', port: 8080 })
const sql = endpointOf({ name: 'sql', protocol: 'tcp', port: 5432 })
const dns = endpointOf({ name: 'dns', protocol: 'udp', port: 53 })
const ports = { http: 20_001, sql: 20_002, dns: 20_003 }

const targetOf = (spec: Partial<ServiceSpec>, host = '127.0.0.1') =>
  probeTarget(serviceOf(spec), host, ports)

const withCheck = (check: HealthCheck): Partial<ServiceSpec> => ({
  endpoints: [http, sql],
  health: { startGraceMs: 0, intervalMs: 1, timeoutMs: 1, retries: 1, check },
})

test('services W39: without a check the first endpoint is connected to, whatever its protocol', () => {
  expect(targetOf({ endpoints: [sql] })).toEqual({ type: 'tcp', host: '127.0.0.1', port: 20_002 })
  expect(targetOf({ endpoints: [dns, http] })).toEqual({
    type: 'tcp',
    host: '127.0.0.1',
    port: 20_001,
  })
})

test('a service with only udp endpoints, or none, has nothing to probe', () => {
  expect(targetOf({ endpoints: [dns] })).toBeUndefined()
  expect(targetOf({ endpoints: [] })).toBeUndefined()
})

test('services W44: a port in a check names an endpoint, and the replica’s own port is probed', () => {
  expect(targetOf(withCheck({ type: 'tcp', port: 5432 }))).toMatchObject({ port: 20_002 })
  expect(targetOf(withCheck({ type: 'tcp', port: 0 }))).toMatchObject({ port: 20_001 })
  expect(targetOf(withCheck({ type: 'tcp', port: 9 }))).toMatchObject({ port: 9 })
})

test('services W42: the URL keeps its path, its query and its host; only the address is ours', () => {
  const url = 'http://localhost:8080/localhost/health?full=1#part'
  expect(targetOf(withCheck({ type: 'http', url, expectStatus: 204 }), '::1')).toEqual({
    type: 'http',
    host: '::1',
    port: 20_001,
    path: '/localhost/health?full=1',
    authority: 'localhost:8080',
    expectStatus: 204,
  })
})

test('a health URL may leave out the port and the path', () => {
  const bare = targetOf(withCheck({ type: 'http', url: 'http://localhost', expectStatus: 200 }))
  expect(bare).toMatchObject({ port: 20_001, path: '/', authority: 'localhost' })
  const query = targetOf(
    withCheck({ type: 'http', url: 'http://localhost?a=1', expectStatus: 200 }),
  )
  expect(query).toMatchObject({ path: '/?a=1' })
})
