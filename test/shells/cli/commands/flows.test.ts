import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { weirProgram } from '../../../../shells/cli/program.ts'
import { systemTerminal } from '../../../../shells/cli/screen/terminal.ts'
import {
  FLOW_SORTS,
  FLOWS_LIMIT_DEFAULT,
  FLOWS_LIMIT_MAX,
} from '../../../../shells/node/operator/flows.ts'
import { type FakeNode, fakeNode } from '../fake-node.ts'
import { weir } from '../run-weir.ts'
import { backendRow } from '../sample-view.ts'

const FLOW = {
  deployment: 'hello',
  service: 'dns',
  endpoint: 'udp',
  phase: 'open',
  client: '10.0.0.1:40000',
  contacted: '127.0.0.1:53',
  backend: 'hello/dns/2#7',
  answered: true,
  ageMs: 65_000,
  expiresInMs: 29_900,
  datagramsIn: 3,
  bytesIn: 120,
  datagramsOut: 2,
  bytesOut: 90,
}
const ANSWER = { flows: [FLOW], matching: 2, examined: 2, total: 2 }
const BACKENDS = [backendRow('web', 1, { live: 3, idle: 2 }), backendRow('web', 2)]
const METRICS = '# HELP a b\na{x="1"} 2\n'

let directory: string
let node: FakeNode
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weir-flows-'))
  node = await fakeNode(join(directory, '.weir'), {
    'GET /v1/flows': { json: ANSWER },
    'GET /v1/backends': { json: BACKENDS },
    'GET /v1/metrics': (response) => void response.end(METRICS),
  })
})
afterEach(async () => {
  await node.close()
  rmSync(directory, { recursive: true, force: true })
})

const asked = () => node.requests.map(({ path, query }) => ({ path, query }))

test('flows are a table, and what it does not show is said', async () => {
  expect(await weir(['flows'], { cwd: directory })).toEqual({
    code: 0,
    err: '',
    out: [
      'CLIENT          SERVICE  ENDPOINT  BACKEND  PHASE    AGE  EXPIRES       IN     OUT',
      '10.0.0.1:40000  dns      udp       dns-2    open   1m05s      29s  3 (120)  2 (90)',
      'and 1 more: use --limit, or say which',
      '',
    ].join('\n'),
  })
  expect(asked()).toEqual([{ path: '/v1/flows', query: { sort: 'age', limit: '100' } }])
})

test('what is asked for is asked of the node; --json prints its answer', async () => {
  const words = ['flows', 'hello/dns', '--endpoint', 'udp', '--client', '10.0.0.0/8']
  const more = ['--backend', 'dns-2', '--sort', 'bytes', '-n', '5', '--json']
  const { code, out } = await weir([...words, ...more], { cwd: directory })
  expect([code, JSON.parse(out)]).toEqual([0, ANSWER])
  expect(asked()).toEqual([
    {
      path: '/v1/flows',
      query: {
        service: 'hello/dns',
        endpoint: 'udp',
        client: '10.0.0.0/8',
        backend: 'dns-2',
        sort: 'bytes',
        limit: '5',
      },
    },
  ])
})

test('backends are a table, of the service that is asked for', async () => {
  expect(await weir(['backends', 'web'], { cwd: directory })).toEqual({
    code: 0,
    err: '',
    out: [
      'SERVICE  ENDPOINT  PROTOCOL  STRATEGY     BACKEND  ADDRESS          STATE  LIVE  IDLE  FAILURES',
      'web      http      http      round_robin  web-1    127.0.0.1:20001  ready     3     2         0',
      'web      http      http      round_robin  web-2    127.0.0.1:20002  ready     0     0         0',
      '',
    ].join('\n'),
  })
  expect(asked()).toEqual([{ path: '/v1/backends', query: { service: 'web' } }])
})

test('of backends, too, --json prints the answer; without any it is said', async () => {
  const { code, out } = await weir(['backends', '--json'], { cwd: directory })
  expect([code, JSON.parse(out)]).toEqual([0, BACKENDS])
  expect(asked()).toEqual([{ path: '/v1/backends', query: {} }])
  await node.close()
  node = await fakeNode(join(directory, '.weir'), { 'GET /v1/backends': { json: [] } })
  expect((await weir(['backends'], { cwd: directory })).out).toBe('no backends\n')
})

test('a service that is not there is a failure, in the words of the node', async () => {
  await node.close()
  const json = { error: 'no service "db" here', code: 'not-found' }
  node = await fakeNode(join(directory, '.weir'), { 'GET /v1/backends': { status: 404, json } })
  const { code, out, err } = await weir(['backends', 'db'], { cwd: directory })
  expect([code, out]).toEqual([1, ''])
  expect(err).toContain('no service "db" here')
})

test('metrics are printed as they are', async () => {
  expect(await weir(['metrics'], { cwd: directory })).toEqual({ code: 0, err: '', out: METRICS })
})

test('a wrong order is a wrong call, before any node is asked', async () => {
  const { code, err } = await weir(['flows', '--sort', 'size'], { cwd: directory })
  expect(code).toBe(2)
  expect(err).toContain('--sort')
  expect(node.requests).toEqual([])
})

test('help knows what the node knows', () => {
  const program = weirProgram(systemTerminal(), [], () => {})
  const flows = program.commands.find((command) => command.name() === 'flows')
  const option = (long: string) => flows?.options.find((each) => each.long === long)
  expect(option('--sort')?.argChoices).toEqual([...FLOW_SORTS])
  expect(option('--limit')?.defaultValue).toBe(FLOWS_LIMIT_DEFAULT)
  const parse = option('--limit')?.parseArg as (text: string, before: unknown) => number
  expect(parse(String(FLOWS_LIMIT_MAX), undefined)).toBe(FLOWS_LIMIT_MAX)
  expect(() => parse(String(FLOWS_LIMIT_MAX + 1), undefined)).toThrow()
})
