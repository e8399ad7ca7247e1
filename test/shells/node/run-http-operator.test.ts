/** What an operator sees of HTTP, end to end: routes, backends, listeners, metrics, the access log. */
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { expect, onTestFinished, test, vi } from 'vitest'
import { defaultNodeSettings } from '../../../core/spec/node/settings.ts'
import { connect } from '../../../shells/node/operator/client.ts'
import { startNode } from '../../../shells/node/run.ts'
import { linesOf } from './metrics/reading.ts'
import { temporaryDirectory } from './temporary-directory.ts'

vi.setConfig({ testTimeout: 120_000 })

/** Answers at once, and at `/slow` when `/go` is asked for. */
const PROGRAM = `
import { createServer } from 'node:http'
let slow
createServer((request, response) => {
  if (request.url === '/slow') return void (slow = response)
  if (request.url === '/go') slow?.end('late')
  request.resume().on('end', () => response.end(request.url))
}).listen(Number(process.env.PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
`

const sourceOf = (directory: string, port: number) => ({
  text: `version: v1
deployment: shop
services:
  web:
    rtype: service
    command: [node, program.mjs]
    endpoints:
      - { name: http, protocol: http, port: ${port}, path: /, expose: internal }
  api:
    rtype: service
    command: [node, program.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints:
      - { name: http, protocol: http, port: ${port}, host: a.example, path: /api, http: { strip_prefix: true } }
`,
  file: 'weir.yaml',
  directory,
})

async function start() {
  const root = temporaryDirectory()
  fs.writeFileSync(path.join(root, 'program.mjs'), PROGRAM)
  const file = path.join(root, 'log', 'access.log')
  const scope = Scope.makeUnsafe()
  const state = path.join(root, '.weir')
  const starting = startNode({
    stateDirectory: state,
    version: '1.2.3',
    seed: 7,
    log: () => {},
    settings: {
      ...defaultNodeSettings,
      accessLog: { file, format: 'json', bytesMax: 1_048_576, keep: 1 },
    },
  })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= Effect.runPromise(Scope.close(scope, Exit.void))
    return closing
  }
  onTestFinished(close)
  const node = await Effect.runPromise(Scope.provide(starting, scope))
  const port = await freePort()
  expect(await node.deploy(sourceOf(root, port))).toMatchObject({ ok: true })
  expect(await node.settled('shop')).toEqual({ outcome: 'ready', problems: [] })
  const logged = () =>
    fs
      .readFileSync(file, 'latin1')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  return { node, client: await connect(state), port, logged, close }
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The status and body of an answer; its own connection, unless there is an agent. */
function ask(
  port: number,
  target: string,
  { host = 'localhost', agent }: { host?: string; agent?: http.Agent } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { host, 'user-agent': 'te"st' }
    const options = { host: '127.0.0.1', port, path: target, headers, agent: agent ?? false }
    http
      .get(options, (response) => {
        let text = `${response.statusCode} `
        response.on('data', (data) => {
          text += data
        })
        response.on('end', () => resolve(text))
      })
      .on('error', reject)
  })
}

const waitFor = <A>(check: () => A | Promise<A>): Promise<A> =>
  vi.waitFor(check, { timeout: 60_000, interval: 20 })

test('routes, backends, listeners, metrics and the access log tell of the same requests', async () => {
  const { node, client, port, logged, close } = await start()
  expect(
    (await client.routes())
      .filter(({ address }) => address === `127.0.0.1:${port}`)
      .map(({ service, host, path, stripPrefix, backends, ready, state }) => [
        `${service} ${host}${path} ${stripPrefix}`,
        `${ready}/${backends} ${state}`,
      ]),
  ).toEqual([
    ['web / false', '1/1 serving'],
    ['api a.example/api true', '2/2 serving'],
  ])

  const agent = new http.Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  expect(await ask(port, '/hello?a=b', { agent })).toBe('200 /hello?a=b')
  for (let turn = 0; turn < 2; turn += 1) {
    expect(await ask(port, '/api/x', { host: 'a.example', agent })).toBe('200 /x')
  }
  const slow = ask(port, '/slow')
  await waitFor(async () => {
    expect(await node.load()).toEqual({ connections: 0, requests: 1, flows: 0 })
    expect((await client.backends('web')).map(({ live }) => live)).toEqual([1])
  })
  const rows = (await client.listeners()).filter(({ service }) => service === 'web')
  expect(rows.map(({ requests }) => requests)).toContain(1)
  const api = await client.backends('api')
  expect(
    api.map(({ backend, state, strategy, failures }) => [
      backend.slice(0, 10),
      state,
      strategy,
      failures,
    ]),
  ).toEqual([
    ['shop/api/1', 'ready', 'round_robin', 0],
    ['shop/api/2', 'ready', 'round_robin', 0],
  ])
  expect(api.map(({ address }) => address)).toEqual(
    node
      .view()
      .replicas.filter(({ service }) => service === 'api')
      .map(({ addresses }) => addresses.http),
  )
  // Each of them was asked once, and its connection is kept.
  expect(api.map(({ live, idle }) => [live, idle])).toEqual([
    [0, 1],
    [0, 1],
  ])

  const metric = async (name: string, labels: object = {}) =>
    linesOf(await client.metrics()).flatMap((line) =>
      line.name === `weir_http_${name}` &&
      Object.entries(labels).every(([key, each]) => line.labels[key] === each)
        ? [line.value]
        : [],
    )
  expect(await metric('requests', { service: 'web' })).toEqual([1])
  expect(await metric('requests', { service: 'api' })).toEqual([0])
  expect(await metric('requests_total', { service: 'api', status: '2xx' })).toEqual([2])
  expect(await metric('request_duration_seconds_count', { service: 'web' })).toEqual([1])
  expect(await metric('connects_total', { service: 'api' })).toEqual([2])
  expect(await metric('client_connections')).toEqual([2])

  // A line is in the file within about a second, without a stop.
  await waitFor(() => expect(logged().length).toBe(3))
  const stopping = node.shutdown('drain')
  await waitFor(() => expect(node.view().phase).toBe('draining'))
  expect((await node.load()).requests).toBe(1)
  const [address = ''] = node
    .view()
    .replicas.filter(({ service }) => service === 'web')
    .map(({ addresses }) => addresses.http)
  await ask(Number(address.split(':').at(-1)), '/go')
  expect(await slow).toBe('200 late')
  await stopping
  await close()

  const lines = logged()
  expect(
    lines.map((line) => [
      `${line.client} ${line.method} ${line.host} ${line.target} ${line.protocol}`,
      `${line.status} ${line.outcome} ${line.service} ${line.bytes_out} ${line.user_agent}`,
    ]),
  ).toEqual([
    ['127.0.0.1 GET localhost /hello?a=b 1.1', '200 done web 10 te"st'],
    ['127.0.0.1 GET a.example /api/x 1.1', '200 done api 2 te"st'],
    ['127.0.0.1 GET a.example /api/x 1.1', '200 done api 2 te"st'],
    ['127.0.0.1 GET localhost /slow 1.1', '200 done web 4 te"st'],
  ])
  expect(new Set(lines.slice(1, 3).map(({ backend }) => backend))).toEqual(
    new Set(['api-1', 'api-2']),
  )
  for (const { head_ms, chosen_ms, sent_ms, first_byte_ms, total_ms } of lines) {
    const times = [head_ms, chosen_ms, sent_ms, first_byte_ms, total_ms]
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  }
  expect(new Set(lines.map(({ request_id }) => request_id)).size).toBe(4)
})

test('a request that leads nowhere, and one that cannot be read, are told of as well', async () => {
  const { client, port, logged, close } = await start()
  expect(await ask(port, '/api/x', { host: 'b.example' })).toMatch(/^200 /) // web is at any host
  const peer = net.connect(port, '127.0.0.1')
  peer.write('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')
  let text = ''
  for await (const data of peer) text += data
  expect(text).toMatch(/^HTTP\/1.1 400 /)
  const ended = linesOf(await client.metrics()).filter(
    ({ name, labels, value }) =>
      name === 'weir_http_requests_ended_total' && labels.deployment === '' && value > 0,
  )
  expect(ended.map(({ labels, value }) => [labels.reason, value])).toEqual([['bad_request', 1]])
  await close()
  const last = logged().at(-1)
  expect(last).toMatchObject({ status: 400, outcome: 'bad-request', service: null, route: '' })
})
