/** Services that change, or lose a replica, under load: no client notices. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePorts, missing, newDirectory, type RunningNode, until } from '../../running-node.ts'
import { deploy, replicasOf, titleOf } from '../../stream/peers/nodes.ts'
import { curl } from '../peers/curl.ts'
import { nginxCommand, nginxFiles } from '../peers/nginx.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { Seen } from '../peers/programs/origin.ts'
import { LOSSLESS, Wrk } from '../peers/wrk.ts'

const noWrk = missing('wrk')
const noNginx = missing('nginx')
const noCurl = missing('curl')

let node: RunningNode
let [port, nginxPort]: readonly number[] = []
let fileWith: (version: string) => string

beforeAll(async () => {
  const directory = await newDirectory()
  let own = 0
  ;[port, nginxPort, own = 0] = await freePorts(3)
  fileWith = (version) =>
    deploymentOf(
      originService('site', [`name: web, protocol: http, port: ${port}`], {
        scale: 'mode: fixed, replicas: 3',
        env: `VERSION: ${version}`,
      }),
      ...(noNginx === undefined
        ? [
            originService(
              'nginx',
              [`name: web, protocol: http, port: ${nginxPort}, target_port: ${own}`],
              { command: nginxCommand(directory) },
            ),
          ]
        : []),
    )
  // it closes connections all the time, after 100 requests each
  const server = 'keepalive_requests 100; location / { return 200 ok; }'
  node = await startHttpNode(
    { 'weir.yaml': fileWith('one'), ...nginxFiles(own, server) },
    directory,
  )
})
afterAll(() => node?.stop())

const lost = async (wrk: Wrk) => {
  const { requests, ...report } = await wrk.stop()
  console.log(`${requests} requests`)
  return report
}

describe.skipIf(noWrk !== undefined)(titleOf('under wrk', noWrk), () => {
  test('a rolling restart, and a deploy of a new version, lose nothing', async () => {
    const before = await pids()
    const wrk = new Wrk(`http://127.0.0.1:${port}/small`, 32)
    expect(await node.weir('restart', 'site')).toMatchObject({ code: 0 })
    const between = await replaced(before)
    await deploy(node, fileWith('two'))
    await replaced(between)
    expect(await lost(wrk)).toEqual(LOSSLESS)
  })

  test('proxy W19: a replica that is killed loses nothing that may be repeated', async () => {
    const wrk = new Wrk(`http://127.0.0.1:${port}/small`, 32)
    for (let count = 0; count < 3; count += 1) {
      const [victim] = await pids()
      process.kill(victim as number, 'SIGKILL')
      await replaced([victim as number])
    }
    expect(await lost(wrk)).toEqual(LOSSLESS)
  })

  test('replicas that close idle connections without a word cost nobody a request', async () => {
    const wrk = new Wrk(`http://127.0.0.1:${port}/parting`, 32)
    await until(async () => (await counted('weir_http_stale_reuses_total', 'site')) > 100)
    expect(await lost(wrk)).toEqual(LOSSLESS)
  })

  test.skipIf(noNginx !== undefined)(
    titleOf('a backend that closes after every 100 requests loses none', noNginx),
    async () => {
      const wrk = new Wrk(`http://127.0.0.1:${nginxPort}/`, 32)
      await until(async () => (await counted('weir_http_connects_total', 'nginx')) > 200)
      expect(await lost(wrk)).toEqual(LOSSLESS)
    },
  )
})

test.skipIf(noCurl !== undefined)(titleOf('three replicas share what comes', noCurl), async () => {
  const seen = new Set<string>()
  for (let count = 0; count < 9; count += 1) {
    seen.add((JSON.parse((await curl(`http://127.0.0.1:${port}/who`)).body) as Seen).replica)
  }
  expect(seen.size).toBe(3)
})

/** Three are there, and none of those before. */
async function replaced(before: readonly number[]): Promise<readonly number[]> {
  let there: readonly number[] = []
  await until(async () => {
    there = await pids()
    return there.length === 3 && !there.some((pid) => before.includes(pid))
  })
  return there
}

const pids = async (): Promise<readonly number[]> =>
  (await replicasOf(node, 'site'))
    .filter(({ state, health }) => state === 'ready' && health === 'healthy')
    .flatMap(({ pid }) => pid ?? [])

async function counted(metric: string, service: string): Promise<number> {
  const { out } = await node.weir('metrics')
  const lines = out
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) && line.includes(`"${service}"`))
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
