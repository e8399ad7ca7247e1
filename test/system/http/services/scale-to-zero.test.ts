/** Services that are at zero until somebody comes. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RouteView, ServiceView } from '../../../../core/node/view.ts'
import { freePorts, missing, type RunningNode, until } from '../../running-node.ts'
import { replicasOf, titleOf } from '../../stream/peers/nodes.ts'
import { curl } from '../peers/curl.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { Seen } from '../peers/programs/origin.ts'

const noCurl = missing('curl')

let node: RunningNode
let [port, other]: readonly number[] = []

beforeAll(async () => {
  ;[port, other] = await freePorts(2)
  const scale = 'mode: adaptive, min: 0, max: 1, idle_after: 2s'
  const file = deploymentOf(
    originService('site', [`name: web, protocol: http, port: ${port}`], { scale }),
    originService(
      'broken',
      [`name: web, protocol: http, port: ${other}, http: { hold_timeout: 3s }`],
      { scale, command: '[sh, -c, "echo no; exit 3"]' },
    ),
  )
  node = await startHttpNode({ 'weir.yaml': file })
})
afterAll(() => node?.stop())

const routeOf = async (service: string): Promise<string | undefined> =>
  (await node.json<RouteView[]>('routes')).find((route) => route.service === service)?.state

const running = async (service: string): Promise<readonly number[]> =>
  (await replicasOf(node, service)).flatMap(({ pid }) => pid ?? [])

const asleep = (): Promise<void> =>
  until(async () => (await routeOf('site')) === 'asleep' && (await running('site')).length === 0)

test.skipIf(noCurl !== undefined)(
  titleOf('50 that come at one time wait for one start, and it sleeps again', noCurl),
  async () => {
    await asleep()
    const first = Array.from({ length: 50 }, () => curl(`http://127.0.0.1:${port}/who`))
    const pids = (await Promise.all(first)).map((got) => {
      expect(got).toMatchObject({ code: 0, status: 200 })
      return (JSON.parse(got.body) as Seen).pid
    })
    expect(new Set(pids).size).toBe(1)
    expect(await running('site')).toEqual([pids[0]])
    expect(node.output.match(/served\/site is woken/g)).toHaveLength(1)
    await asleep()
    expect(await curl('-d', 'held', `http://127.0.0.1:${port}/echo`)).toMatchObject({
      status: 200,
      body: 'held',
    })
    await asleep()
  },
)

test('who leaves before the start is over is forgotten, and others are not', async () => {
  await asleep()
  const leaving = connect(port as number, '127.0.0.1')
  await once(leaving, 'connect')
  leaving.write('GET /who HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(async () => (await routeOf('site')) !== 'asleep')
  leaving.destroy()
  await until(async () => (await routeOf('site')) === 'serving')
  await asleep()
})

test.skipIf(noCurl !== undefined)(
  titleOf('a program that cannot start: 503, and when to come again', noCurl),
  async () => {
    for (let count = 0; count < 3; count += 1) {
      const got = await curl(`http://127.0.0.1:${other}/`)
      expect(got).toMatchObject({ code: 0, status: 503 })
      expect(Number(got.fields['retry-after'])).toBeGreaterThan(0)
    }
    const views = await node.json<{ services: ServiceView[] }>('status')
    expect(views.services.map(({ service }) => service)).toContain('broken')
  },
)
