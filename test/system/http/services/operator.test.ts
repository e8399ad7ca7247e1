/** What an operator sees of requests: routes, backends, metrics, the access log; and who may come. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { RouteView } from '../../../../core/node/view.ts'
import type { BackendRow } from '../../../../shells/node/operator/backends.ts'
import { freePorts, missing, type RunningNode, until } from '../../running-node.ts'
import { titleOf } from '../../stream/peers/nodes.ts'
import { curl } from '../peers/curl.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { Seen } from '../peers/programs/origin.ts'

const noCurl = missing('curl')

const startServed = async (
  settings: string,
): Promise<{ node: RunningNode; plain: number; tls: number }> => {
  const [plain = 0, tls = 0] = await freePorts(2)
  const file = deploymentOf(
    originService('site', [
      `name: tls, protocol: https, port: ${tls}`,
      `name: web, protocol: http, port: ${plain}`,
    ]),
    originService(
      'api',
      [`name: web, protocol: http, port: ${plain}, path: /api, http: { strip_prefix: true }`],
      // what is idle stays
      { scale: 'mode: fixed, replicas: 2', env: "KEEP_ALIVE_MS: '600000'" },
    ),
  )
  const node = await startHttpNode({ 'weir.yaml': file, 'node.yaml': settings })
  onTestFinished(async () => void (await node.stop()))
  return { node, plain, tls }
}

/** So many lines of the access log, once they are there. */
async function linesOf({ directory }: RunningNode, count: number): Promise<readonly string[]> {
  let lines: string[] = []
  await until(
    async () => {
      const text = await readFile(join(directory, 'access.log'), 'utf8').catch(() => '')
      lines = text.split('\n').slice(0, -1)
      return lines.length >= count
    },
    () => `${count} lines expected, there are ${JSON.stringify(lines, undefined, 1)}`,
  )
  return lines
}

test.skipIf(noCurl !== undefined)(
  titleOf('routes, backends, metrics and a log in JSON tell of the same requests', noCurl),
  async () => {
    const { node, plain, tls } = await startServed('access_log: { file: access.log }\n')
    const base = `http://127.0.0.1:${plain}`
    for (let count = 0; count < 4; count += 1) await curl(`${base}/api/who?${count}`)
    await curl('-d', '12345', `${base}/echo`)
    const browser = ['-A', 'a "browser"', '-e', 'http://from.example/']
    await curl('--http2', ...browser, `https://localhost:${tls}/small`)
    await curl('-0', `${base}/small`)
    await curl('-H', 'Content-Length: 1, 1', '-d', 'a', `${base}/small`)
    await curl('-d', 'x', `${base}/broken`)

    const lines = (await linesOf(node, 9)).map((line) => JSON.parse(line))
    expect(lines).toHaveLength(9)
    expectLines(lines, `127.0.0.1:${plain}`)
    await expectRoutes(node, plain)
    const backends = await node.json<BackendRow[]>('backends', 'api')
    const ready = [expect.stringMatching(/^served\/api\b/), 'ready', 0]
    expect(backends.map(({ backend, state, live }) => [backend, state, live])).toEqual([
      ready,
      ready,
    ])
    expect(backends.reduce((sum, { idle }) => sum + idle, 0)).toBeGreaterThan(0)
    expectMetrics((await node.weir('metrics')).out)
  },
)

function expectLines(lines: readonly Record<string, number>[], host: string): void {
  expect(lines[0]).toMatchObject({
    ...{ client: '127.0.0.1', method: 'GET', host, target: '/api/who?0', protocol: '1.1' },
    ...{ status: 200, outcome: 'done', retries: 0, route: '*/api' },
    ...{ deployment: 'served', service: 'api', endpoint: 'web' },
    backend: expect.stringMatching(/^api-[12]$/),
  })
  expect(lines[4]).toMatchObject({ method: 'POST', bytes_in: 5, bytes_out: 5, service: 'site' })
  const sent = { user_agent: 'a "browser"', referer: 'http://from.example/' }
  expect(lines[5]).toMatchObject({ protocol: '2', ...sent })
  expect(lines[6]).toMatchObject({ protocol: '1.0', status: 200 })
  const nowhere = { backend: null, service: null }
  expect(lines[7]).toMatchObject({ status: 400, outcome: 'bad-request', ...nowhere })
  expect(lines[8]).toMatchObject({ status: 502, outcome: 'upstream-closed', service: 'site' })
  for (const { first_byte_ms: first = 0, total_ms: all = -1 } of lines.slice(0, 7)) {
    expect(all).toBeGreaterThanOrEqual(first)
  }
}

async function expectRoutes(node: RunningNode, port: number): Promise<void> {
  const routes = (await node.json<RouteView[]>('routes'))
    .filter(({ address }) => address.startsWith('127.'))
    .map(({ service, path, state, stripPrefix, backends }) =>
      [service, path, state, stripPrefix, backends].join(' '),
    )
  expect(routes.sort()).toEqual([
    'api /api serving true 2',
    'site / serving false 1',
    'site / serving false 1',
  ])
  const { out: table } = await node.weir('routes')
  expect(table).toMatch(new RegExp(`${port}\\b.*/api\\b.*without /api.*serving`))
}

function expectMetrics(text: string): void {
  const value = (name: string, ...labels: readonly string[]): number =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) && labels.every((each) => line.includes(each)))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  const total = 'weir_http_requests_total'
  const [api, site, web] = ['service="api"', 'service="site"', 'endpoint="web"'] as const
  expect(value(total, api, 'route="*/api"', 'status="2xx"', 'protocol="1.1"')).toBe(4)
  expect(value(total, site, 'endpoint="tls"', 'protocol="2"')).toBe(1)
  expect(value(total, site, web, 'status="5xx"')).toBe(1)
  expect(value('weir_http_requests_ended_total', site, 'reason="upstream_closed"')).toBe(1)
  expect(value('weir_http_request_duration_seconds_count', api)).toBe(4)
  expect(value('weir_http_requests', site)).toBe(0)
  expect(value('weir_http_bytes_total', web, site, 'direction="in"')).toBe(6)
}

test.skipIf(noCurl !== undefined)(
  titleOf('the Combined Log Format, whatever a client sends', noCurl),
  async () => {
    const { node, plain } = await startServed(
      'access_log: { file: access.log, format: combined }\n',
    )
    await curl(`http://127.0.0.1:${plain}/small`, '-A', 'x" "\\y', '-e', 'http://r/')
    await curl(`http://127.0.0.1:${plain}/nowhere"%0a`)
    const [first, second] = await linesOf(node, 2)
    const time = String.raw`\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\]`
    expect(first).toMatch(
      new RegExp(
        String.raw`^127\.0\.0\.1 - - ${time} "GET /small HTTP/1\.1" 200 3 "http://r/" "x\\" \\"\\\\y"$`,
      ),
    )
    expect(second).toMatch(/"GET \/nowhere\\?"?/)
  },
)

test.skipIf(noCurl !== undefined)(
  titleOf('network policies refuse by address, and believe proxies that are trusted', noCurl),
  async () => {
    const { node, plain, tls } = await startServed(`
access_log: { file: access.log }
trusted_proxies: [127.0.0.1/32]
network_policies:
  - name: guests
    cidrs: [127.0.0.9/32, 203.0.113.0/24]
    access_rules: [{ action: deny, service: api }, { action: allow, ports: [web] }]
`)
    const statusOf = async (...words: readonly string[]): Promise<number> =>
      (await curl(...words)).status
    const api = `http://127.0.0.1:${plain}/api/who`
    const site = `http://127.0.0.1:${plain}/who`
    expect(await statusOf(api)).toBe(200)
    expect(await statusOf('--interface', '127.0.0.9', api)).toBe(403)
    expect(await statusOf('--interface', '127.0.0.9', site)).toBe(200)
    expect(await statusOf('--interface', '127.0.0.9', '-k', `https://127.0.0.1:${tls}/who`)).toBe(
      403,
    )
    const named = ['-H', 'X-Forwarded-For: 203.0.113.7']
    expect(await statusOf(...named, api)).toBe(403)
    // only trusted proxies name others
    expect(await statusOf('--interface', '127.0.0.8', ...named, api)).toBe(200)
    const seen = JSON.parse((await curl(...named, site)).body) as Seen
    expect(seen.headers).toMatchObject({
      'x-forwarded-for': '203.0.113.7, 127.0.0.1',
      'x-real-ip': '203.0.113.7',
    })
    const lines = (await linesOf(node, 7)).map((line) => JSON.parse(line))
    expect(lines[1]).toMatchObject({ client: '127.0.0.9', status: 403, outcome: 'forbidden' })
    expect(lines[4]).toMatchObject({ client: '203.0.113.7', status: 403 })
  },
)
