/** A node with settings of its own, end to end: certificates, metrics, addresses, the end of patience. */
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import { Effect, Exit, Scope } from 'effect'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { NodeMachine } from '../../../core/node/node.ts'
import type { NodeSnapshot } from '../../../core/node/snapshot.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'
import { defaultNodeSettings, type NodeSettings } from '../../../core/spec/node/settings.ts'
import { type ReplaySubject, replay } from '../../../shells/node/journal/replay.ts'
import type { ShutdownStep } from '../../../shells/node/operator/api.ts'
import { connect } from '../../../shells/node/operator/client.ts'
import { type NodeHandle, startNode } from '../../../shells/node/run.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { fixture, place } from './tls/fixtures.ts'

vi.setConfig({ testTimeout: 120_000 })

const SUBJECT: ReplaySubject<NodeEvent, NodeCommand> = {
  restore: (snapshot, now) => NodeMachine.restore(snapshot as unknown as NodeSnapshot, now),
  snapshot: (machine, now) => (machine as NodeMachine).snapshot(now) as unknown as JsonValue,
}

/** Repeats what it is told, until the other side ends. */
const PROGRAM = `
import { createServer } from 'node:net'
createServer({ allowHalfOpen: true }, (peer) => peer.on('error', () => {}).pipe(peer))
  .listen(Number(process.env.PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
`

interface Running {
  readonly node: NodeHandle
  readonly said: string[]
  readonly state: string
  readonly close: () => Promise<void>
}

async function start(root: string, settings: Partial<NodeSettings>): Promise<Running> {
  const said: string[] = []
  const scope = Scope.makeUnsafe()
  const state = path.join(root, '.weir')
  const starting = startNode({
    stateDirectory: state,
    version: '1.2.3',
    seed: 7,
    log: (level, text) => said.push(`${level} ${text}`),
    settings: { ...defaultNodeSettings, ...settings },
  })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= Effect.runPromise(Scope.close(scope, Exit.void))
    return closing
  }
  onTestFinished(close)
  return { node: await Effect.runPromise(Scope.provide(starting, scope)), said, state, close }
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function source(directory: string, endpoint: string) {
  fs.writeFileSync(path.join(directory, 'echo.mjs'), PROGRAM)
  const text = `version: v1
deployment: lines
services:
  echo:
    rtype: service
    command: [node, echo.mjs]
    endpoints:
      - { name: lines, protocol: tcp, ${endpoint} }
`
  return { text, file: 'weir.yaml', directory }
}

const waitFor = <A>(check: () => A | Promise<A>): Promise<A> =>
  vi.waitFor(check, { timeout: 60_000, interval: 20 })

/** A client of the TLS endpoint; its first words are answered. */
async function talk(port: number): Promise<tls.TLSSocket> {
  const options = { host: '127.0.0.1', port, servername: 'a.example', ca: fixture('ca.crt') }
  const client = tls.connect(options)
  onTestFinished(() => void client.destroy())
  client.on('error', () => {})
  client.write('ahoy')
  await new Promise<void>((resolve, reject) => {
    client.once('data', (data) => {
      expect(data.toString()).toBe('ahoy')
      resolve()
    })
    client.once('close', () => reject(new Error('closed')))
  })
  return client
}

async function text(port: number, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port, path: target, agent: false }, (response) => {
        let body = ''
        response.on('data', (data) => {
          body += data
        })
        response.on('end', () => resolve(body))
      })
      .on('error', reject)
  })
}

const lineOf = (metrics: string, name: string): string | undefined =>
  metrics.split('\n').find((line) => line.startsWith(name))

test('proxy W41: TLS ends here, certificates are swapped live; all of it is counted, and cut at the end', async () => {
  const root = temporaryDirectory()
  const certificates = path.join(root, 'certificates')
  fs.mkdirSync(certificates)
  place(certificates, { 'a.example': 'a.example' })
  const metrics = { host: '127.0.0.1', port: await freePort() }
  const { node, said, state, close } = await start(root, {
    certificates,
    metrics,
    drainTimeoutMs: 1_000,
  })
  const port = await freePort()
  const lines = source(root, `port: ${port}, expose: public, stream: { tls: terminate }`)
  expect(await node.deploy(lines)).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining('no default certificate')],
  })
  expect(await node.settled('lines')).toEqual({ outcome: 'ready', problems: [] })

  const first = await waitFor(() => talk(port))
  expect(first.getPeerX509Certificate()?.subject).toBe('CN=a.example')
  place(certificates, { 'a.example': 'a.example.new' })
  await waitFor(() =>
    expect(said).toContain('info certificates: a.example: in use, until 2120-01-01'),
  )
  const second = await talk(port)
  expect(second.getPeerX509Certificate()?.subject).toBe('CN=a.example.new')
  // a key that is not the certificate's is refused, and the pair before stays
  fs.writeFileSync(path.join(certificates, 'a.example.key'), fixture('a.example.key'))
  await waitFor(() => expect(said.at(-1)).toContain('is not the key of a.example.crt'))
  const third = await talk(port)
  expect(third.getPeerX509Certificate()?.subject).toBe('CN=a.example.new')
  third.destroy()

  const client = await connect(state)
  await waitFor(async () =>
    expect(await node.load()).toEqual({ connections: 2, requests: 0, flows: 0 }),
  )
  const told = await text(metrics.port, '/metrics')
  const labels = '{deployment="lines",service="echo",endpoint="lines"'
  expect(lineOf(told, `weir_stream_connections${labels}`)).toBe(
    `weir_stream_connections${labels}} 2`,
  )
  expect(lineOf(told, 'weir_stream_tls_handshakes_total')).toMatch(/ [3-9]$/)
  expect(lineOf(told, 'weir_certificate_expiry_timestamp_seconds{name="a.example"}')).toBeDefined()
  const names = (all: string) => all.split('\n').map((line) => line.replace(/ \S+$/, ''))
  expect(names(await client.metrics())).toEqual(names(told))
  const rows = (await client.listeners()).filter(({ state }) => state !== 'absent')
  expect(rows).toContainEqual(
    expect.objectContaining({
      ...{ deployment: 'lines', service: 'echo', endpoint: 'lines', purpose: 'public' },
      ...{ address: `0.0.0.0:${port}`, state: 'serving', connections: 2, requests: 0, flows: 0 },
    }),
  )
  expect(rows.at(-1)).toMatchObject({
    purpose: 'metrics',
    address: `127.0.0.1:${metrics.port}`,
    state: 'serving',
  })

  // both connections would go on for as long as they like: they are cut when patience is over
  const cut = [first, second].map((each) => new Promise((resolve) => each.once('close', resolve)))
  const steps: ShutdownStep[] = []
  const stopping = (async () => {
    for await (const step of client.shutdown('drain')) steps.push(step)
  })()
  await Promise.all(cut)
  await node.stopped
  await close()
  await stopping
  expect(steps[0]).toMatchObject({
    type: 'progress',
    work: { connections: 2, requests: 0, flows: 0 },
  })
  const [begun] = steps
  const remainsMs = begun?.type === 'progress' ? begun.view.drain?.remainsMs : undefined
  expect(remainsMs).toBeLessThanOrEqual(1_000)
  expect(steps.at(-1)).toEqual({ type: 'stopped' })
  await expect(text(metrics.port, '/metrics')).rejects.toThrow('ECONNREFUSED')
  expect(replay(state, SUBJECT, '1.2.3')).toMatchObject({ outcome: 'identical' })
})

test('without a directory of certificates, what ends TLS is refused at its position', async () => {
  const root = temporaryDirectory()
  const { node } = await start(root, {})
  const answer = await node.deploy(source(root, 'port: 7443, stream: { tls: terminate }'))
  expect(answer).toEqual({
    ok: false,
    code: 'invalid',
    problems: [expect.stringMatching(/^weir\.yaml:8:\d+: .*needs certificates/)],
  })
})

test('a directory of certificates that is not there keeps a node from starting, and nothing is touched', async () => {
  const root = temporaryDirectory()
  const certificates = path.join(root, 'none')
  await expect(start(root, { certificates })).rejects.toMatchObject({
    _tag: 'CertificatesUnusable',
    path: certificates,
    reason: 'it is not there',
  })
  expect(fs.readdirSync(root)).toEqual([])
})

test('internal endpoints move to the addresses given later; replicas have ports of the range', async () => {
  const root = temporaryDirectory()
  const from = 20_100 + (process.pid % 90) * 100
  const { node, said } = await start(root, {
    internalAddresses: ['127.0.0.2'],
    replicaPorts: { from, to: from + 99 },
  })
  const port = await freePort()
  await node.deploy(source(root, `port: ${port}, expose: internal`))
  expect(await node.settled('lines')).toMatchObject({ outcome: 'ready' })
  const internal = () =>
    node
      .view()
      .listeners.filter(({ purpose, state }) => purpose === 'internal' && state !== 'closing')
      .map(({ address, state }) => `${address} ${state}`)
  expect(internal()).toEqual([`127.0.0.2:${port} serving`])
  const [address = ''] = Object.values(node.view().replicas[0]!.addresses)
  const replicaPort = Number(address.split(':').at(-1))
  expect(replicaPort).toBeGreaterThanOrEqual(from)
  expect(replicaPort).toBeLessThanOrEqual(from + 99)

  node.internalAddresses(['127.0.0.3', 'nowhere', '::ffff:127.0.0.3'])
  expect(said.slice(1)).toEqual(['warn internal address left out: "nowhere" is no IP address'])
  await waitFor(() => expect(internal()).toEqual([`127.0.0.3:${port} serving`]))
  const echo = net.connect(port, '127.0.0.3')
  onTestFinished(() => void echo.destroy())
  echo.end('hello')
  const [data] = (await echo.toArray()) as Buffer[]
  expect(data?.toString()).toBe('hello')
  await node.shutdown('abort')
})

test('rules of network policies are compared with all that is deployed', async () => {
  const root = temporaryDirectory()
  const ports = [await freePort(), await freePort()]
  const rule = { service: 'echo', deployment: '*', ports, action: 'allow' } as const
  const policy = { name: 'office', cidrs: ['10.0.0.0/8'], members: [], accessRules: [rule] }
  const { node } = await start(root, { networkPolicies: [policy] })
  const first = source(root, `port: ${ports[0]}`)
  const second = source(root, `port: ${ports[1]}`)
  const other = { ...second, text: second.text.replace('deployment: lines', 'deployment: other') }
  const warning = `access rule 1 of policy office in the node file names port ${ports[1]}, which`
  expect(await node.deploy(first)).toMatchObject({
    ok: true,
    warnings: [expect.stringContaining(warning)],
  })
  expect(await node.settled('lines')).toEqual({ outcome: 'ready', problems: [] })
  expect(await node.deploy(other)).toMatchObject({ ok: true, warnings: [] })
  expect(await node.settled('other')).toEqual({ outcome: 'ready', problems: [] })
  expect(await node.deploy(first)).toMatchObject({ ok: true, warnings: [] })
})
