/** Who has a port of the machine, and where an endpoint is reached. */

import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { NodeView } from '../../../core/node/view.ts'
import { freePorts, until } from '../running-node.ts'
import { askOnce, attempt, LineClient } from './peers/line-client.ts'
import {
  bound,
  closed,
  deploy,
  listenersOf,
  replicasOf,
  startNode,
  titleOf,
} from './peers/nodes.ts'

interface Wanted {
  readonly port: number
  readonly protocol?: 'tcp' | 'http'
  readonly expose?: 'public' | 'internal'
  readonly replicas?: number
  readonly reachability?: 'auto' | 'always' | 'never'
}

const serviceOf = (
  name: string,
  { port, protocol = 'tcp', expose = 'internal', replicas = 1, reachability = 'auto' }: Wanted,
): string => `
  ${name}:
    command: [node, answerer.mjs]
    scale: { mode: fixed, replicas: ${replicas} }
    localhost_reachability: ${reachability}
    endpoints: [ { name: lines, protocol: ${protocol}, port: ${port}, expose: ${expose} } ]`

const fileOf = (deployment: string, ...services: readonly string[]): string => `
version: v1
deployment: ${deployment}
services: ${services.join('')}
`

const fileFor = (wanted: Wanted): string => fileOf('one', serviceOf('lines', wanted))

const outside = Object.values(networkInterfaces())
  .flatMap((addresses = []) => addresses)
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address
const noOutside = outside === undefined ? 'needs an IPv4 address beside loopback' : undefined

const hasIpv6 = Object.values(networkInterfaces()).some((addresses = []) =>
  addresses.some(({ address }) => address === '::1'),
)
const noIpv6 = hasIpv6 ? undefined : 'needs ::1'

const NETWORKS = [
  { where: 'there is no internal network', lacks: undefined, addresses: '[]' },
  { where: 'internal endpoints are elsewhere', lacks: noOutside, addresses: `[${outside}]` },
]

describe.each(NETWORKS)('where $where', ({ lacks, addresses }) => {
  test.skipIf(lacks !== undefined)(
    titleOf(
      'proxy W36: of three deployments that publish one loopback port the first has it',
      lacks,
    ),
    async () => {
      const [port = 0] = await freePorts(1)
      const cacheOf = (deployment: string) => fileOf(deployment, serviceOf('cache', { port }))
      const node = await startNode({
        'weir.yaml': cacheOf('one'),
        'node.yaml': `internal_addresses: ${addresses}\n`,
      })
      const live = await LineClient.to(port)
      expect((await live.ask('before')).service).toBe('one/cache')
      for (const deployment of ['two', 'three']) {
        await writeFile(join(node.directory, 'next.yaml'), cacheOf(deployment))
        const { code, out, err } = await node.weir('deploy', 'next.yaml')
        expect(code).toBe(1)
        expect(out + err).toMatch(
          new RegExp(`port ${port}.*belongs to one/cache.*${deployment}/cache`),
        )
        expect(await live.ask(deployment)).toMatchObject({ service: 'one/cache', text: deployment })
      }
      const asked = await Promise.all(Array.from({ length: 20 }, () => askOnce(port)))
      expect(new Set(asked.map(({ service }) => service))).toEqual(new Set(['one/cache']))
      const { deployments, replicas } = await node.json<NodeView>('status')
      expect(deployments).toMatchObject([{ name: 'one', state: 'ready' }])
      expect(replicas).toHaveLength(1)

      live.socket.destroy()
      expect((await node.weir('remove', 'one')).code).toBe(0)
      await deploy(node, cacheOf('two'))
      expect((await askOnce(port)).service).toBe('two/cache')
    },
  )
})

test('proxy W3: of two deployments that ask at once one gets the port, and the other is told', async () => {
  const [first = 0, port = 0] = await freePorts(2)
  const node = await startNode({ 'weir.yaml': fileFor({ port: first }) })
  const names = ['left', 'right']
  const answers = await Promise.all(
    names.map(async (name) => {
      await writeFile(join(node.directory, `${name}.yaml`), fileOf(name, serviceOf('it', { port })))
      return node.weir('deploy', `${name}.yaml`)
    }),
  )
  expect(answers.map(({ code }) => code).toSorted()).toEqual([0, 1])
  const winner = names[answers.findIndex(({ code }) => code === 0)]
  const refused = answers.find(({ code }) => code === 1)
  expect((refused?.out ?? '') + refused?.err).toMatch(`belongs to ${winner}/it`)
  expect((await askOnce(port)).service).toBe(`${winner}/it`)
})

test.each(['tcp', 'http'] as const)(
  'proxy W2, W34: a %s port that somebody else has is said with the holder, and waited for',
  async (protocol) => {
    const [port = 0] = await freePorts(1)
    const stranger = await bound(port, '127.0.0.1')
    const [other = 0] = await freePorts(1)
    const node = await startNode({ 'weir.yaml': fileFor({ port: other }) })
    const both = fileOf(
      'one',
      serviceOf('lines', { port: other }),
      serviceOf('more', { port, protocol, expose: 'public' }),
    )
    await deploy(node, both, '--no-wait')
    const holder = `(pid ${process.pid})`
    await node.says(
      new RegExp(`cannot listen on 0\\.0\\.0\\.0:${port}: .*held by .*\\(pid ${process.pid}\\)`),
    )
    const row = async () =>
      (await listenersOf(node)).find(({ address }) => address === `0.0.0.0:${port}`)
    await until(async () => {
      const now = await row()
      return now?.state === 'retrying' && now.detail.includes(holder)
    })
    for (const command of ['listeners', 'status']) {
      await until(async () => (await node.weir(command)).out.includes(holder))
    }
    expect((await askOnce(other)).service).toBe('one/lines')
    await closed(stranger)
    await until(async () => (await row())?.state === 'serving')
    await deploy(node, both)
    if (protocol === 'tcp') expect((await askOnce(port)).service).toBe('one/more')
    // Its program answers, and what it says is no HTTP.
    else expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(502)
  },
)

test('proxy W1: the address follows when an endpoint is exposed otherwise, and connections stay', async () => {
  const [port = 0] = await freePorts(1)
  // any address but the one that internal endpoints are on
  const elsewhere = '127.0.0.2'
  const node = await startNode({ 'weir.yaml': fileFor({ port, expose: 'public' }) })
  const clients = [await LineClient.to(port), await LineClient.to(port, elsewhere)]
  const askAll = async (text: string) => {
    for (const client of clients) expect((await client.ask(text)).text).toBe(text)
  }
  await askAll('while it is public')

  await deploy(node, fileFor({ port, expose: 'internal' }))
  expect(await attempt(port, elsewhere)).toBe('ECONNREFUSED')
  expect(await askOnce(port)).toMatchObject({ service: 'one/lines' })
  await closed(await bound(port, elsewhere))
  await askAll('while it is internal')

  await deploy(node, fileFor({ port, expose: 'public' }))
  expect(await askOnce(port, elsewhere)).toMatchObject({ service: 'one/lines' })
  await askAll('and again')
  for (const { socket } of clients) socket.destroy()
  expect((await node.weir('remove', 'one')).code).toBe(0)
  await bound(port, '0.0.0.0')
})

test('proxy W38: a port that an endpoint moves away from is anybody’s, and connections stay', async () => {
  const [port = 0, next = 0] = await freePorts(2)
  const node = await startNode({ 'weir.yaml': fileFor({ port, expose: 'public' }) })
  const live = await LineClient.to(port)
  await live.ask('here')
  const [before] = await replicasOf(node, 'lines')
  await deploy(node, fileFor({ port: next, expose: 'public' }))
  await bound(port, '0.0.0.0')
  expect(await askOnce(next)).toMatchObject({ service: 'one/lines' })
  expect((await live.ask('still here')).text).toBe('still here')
  expect((await replicasOf(node, 'lines')).map(({ pid }) => pid)).toEqual([before?.pid])
})

test.skipIf(noIpv6 !== undefined)(
  titleOf('proxy W32: public and internal endpoints are on ::1 as on 127.0.0.1', noIpv6),
  async () => {
    const [seen = 0, hidden = 0] = await freePorts(2)
    await startNode({
      'weir.yaml': fileOf(
        'one',
        serviceOf('seen', { port: seen, expose: 'public' }),
        serviceOf('hidden', { port: hidden }),
      ),
    })
    for (const host of ['127.0.0.1', '::1', 'localhost']) {
      expect((await askOnce(seen, host)).service).toBe('one/seen')
      expect((await askOnce(hidden, host)).service).toBe('one/hidden')
    }
    expect(await attempt(hidden, '127.0.0.2')).toBe('ECONNREFUSED')
  },
)

test.skipIf(noOutside !== undefined)(
  titleOf(
    'localhost_reachability decides who is on loopback beside an internal network',
    noOutside,
  ),
  async () => {
    const ports = await freePorts(5)
    const [single = 0, several = 0, always = 0, never = 0, open = 0] = ports
    const node = await startNode({
      'weir.yaml': fileOf(
        'one',
        serviceOf('single', { port: single }),
        serviceOf('several', { port: several, replicas: 2 }),
        serviceOf('always', { port: always, replicas: 2, reachability: 'always' }),
        serviceOf('never', { port: never, reachability: 'never' }),
        serviceOf('open', { port: open, reachability: 'never', expose: 'public' }),
      ),
      'node.yaml': `internal_addresses: [${outside}]\n`,
    })
    for (const port of ports) expect(await attempt(port, outside)).toBe('connected')
    expect(await Promise.all(ports.map((port) => attempt(port)))).toEqual([
      'connected',
      'ECONNREFUSED',
      'connected',
      'ECONNREFUSED',
      'connected',
    ])
    // on loopback it is published, so with its last replica it is gone from there alone
    const onLoopback = async () => [await attempt(single), await attempt(single, '::1')]
    expect((await node.weir('scale', 'single', '0')).code).toBe(0)
    await until(async () => (await onLoopback())[0] === 'ECONNREFUSED')
    await closed(await bound(single, '127.0.0.1'))
    await expect(bound(single, outside as string)).rejects.toThrow(/EADDRINUSE/)
    expect((await node.weir('scale', 'single', '1')).code).toBe(0)
    await until(async () => (await onLoopback())[0] === 'connected')
    expect((await askOnce(single)).service).toBe('one/single')
  },
)
