/** Services that are at zero until somebody comes. */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RouteView, ServiceView } from '../../../../core/node/view.ts'
import { request } from '../../load.ts'
import { freePorts, missing, type RunningNode, until } from '../../running-node.ts'
import { replicasOf, titleOf } from '../../stream/peers/nodes.ts'
import { curl } from '../peers/curl.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { Seen } from '../peers/programs/origin.ts'

const noCurl = missing('curl')

let node: RunningNode
let [port, stuck, broken]: readonly number[] = []

beforeAll(async () => {
  ;[port, stuck, broken] = await freePorts(3)
  const scale = 'mode: adaptive, min: 0, max: 1, idle_after: 2s'
  const endpointAt = (at: number | undefined, http: string): string =>
    `name: web, protocol: http, port: ${at}, http: { ${http} }`
  const file = deploymentOf(
    originService('site', [endpointAt(port, '')], { scale }),
    // it runs, and never listens
    originService('stuck', [endpointAt(stuck, 'hold_timeout: 10m')], {
      ...{ scale, command: "[sleep, '600']" },
    }),
    originService('broken', [endpointAt(broken, 'hold_timeout: 3s')], {
      ...{ scale, command: '[sh, -c, "echo no; exit 3"]' },
    }),
  )
  node = await startHttpNode({ 'weir.yaml': file })
})
afterAll(() => node?.stop())

/** It stays so until somebody comes. */
const asleep = (): Promise<void> =>
  until(async () => {
    const routes = await node.json<RouteView[]>('routes')
    const isAsleep = routes.every(({ service, state }) => service !== 'site' || state === 'asleep')
    return isAsleep && (await replicasOf(node, 'site')).every(({ pid }) => pid === undefined)
  })

/** Sum of a metric of a service. */
async function value(metric: string, service: string, label = ''): Promise<number> {
  const { out } = await node.weir('metrics')
  return out
    .split('\n')
    .filter((line) => line.startsWith(`${metric}{`) && line.includes(`"${service}"`))
    .filter((line) => line.includes(label))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const wakeUps = (service: string): number =>
  node.output.split(`served/${service} is woken`).length - 1

test('50 that come at one time wait for one start, and it sleeps again', async () => {
  await asleep()
  const first = Array.from({ length: 50 }, () => request(port as number, '/who'))
  const pids = (await Promise.all(first)).map((body) => (JSON.parse(body) as Seen).pid)
  expect(new Set(pids).size).toBe(1)
  expect(wakeUps('site')).toBe(1)
  expect(await value('weir_http_requests_held_total', 'site')).toBe(50)
  await asleep()
  const again = JSON.parse(await request(port as number, '/who')) as Seen
  expect(again.pid).not.toBe(pids[0])
  expect(wakeUps('site')).toBe(2)
})

test.skipIf(noCurl !== undefined)(
  titleOf('what a held request has sent is not lost', noCurl),
  async () => {
    await asleep()
    const words = ['-H', 'Expect:', '-d', 'held '.repeat(1_000)]
    const got = await curl(...words, `http://127.0.0.1:${port}/echo`)
    expect(got).toMatchObject({ code: 0, status: 200, body: 'held '.repeat(1_000) })
  },
)

test('a held request is forgotten when its client leaves', async () => {
  const held = () => value('weir_http_requests_held', 'stuck')
  const clients = Array.from({ length: 3 }, () => connect(stuck as number, '127.0.0.1'))
  for (const client of clients) client.write('GET /who HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(async () => (await held()) === 3)
  clients[0]?.resetAndDestroy()
  clients[1]?.end()
  await until(async () => (await held()) === 1)
  clients[2]?.destroy()
  await until(async () => (await held()) === 0)
  const ended = 'weir_http_requests_ended_total'
  expect(await value(ended, 'stuck', 'reason="client_gone"')).toBe(3)
  expect(wakeUps('stuck')).toBe(1)
})

test.skipIf(noCurl !== undefined)(
  titleOf('a program that cannot start: 503, and when to come again', noCurl),
  async () => {
    for (let count = 0; count < 3; count += 1) {
      const got = await curl(`http://127.0.0.1:${broken}/`)
      expect(got).toMatchObject({ code: 0, status: 503 })
      expect(Number(got.fields['retry-after'])).toBeGreaterThan(0)
    }
    const views = await node.json<{ services: ServiceView[] }>('status')
    expect(views.services.map(({ service }) => service)).toContain('broken')
  },
)
