/** The hello deployment under load: what an operator is promised. */
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ReplicaView } from '../../core/node/view.ts'
import { Load, request } from './load.ts'
import { freePorts, newDirectory, RunningNode, runWeir, until } from './running-node.ts'

const HELLO = fileURLToPath(new URL('../../docs/examples/hello/', import.meta.url))

let node: RunningNode
let port: number

beforeEach(async () => {
  const [web = 0, greeter = 0] = await freePorts(2)
  port = web
  const directory = await newDirectory()
  for (const program of ['server.mjs', 'greeter.mjs']) {
    await symlink(join(HELLO, program), join(directory, program))
  }
  const file = (await readFile(join(HELLO, 'weir.yaml'), 'utf8'))
    .replaceAll('8081', String(greeter))
    .replaceAll('8080', String(web))
  node = await RunningNode.start({ 'weir.yaml': file }, { directory })
  await node.ready()
})

afterEach(async () => {
  await node.stop()
})

const replicasOf = async (service: string) =>
  (await node.json<ReplicaView[]>('ps')).filter((each) => each.service === service)

test('six requests reach all three replicas', async () => {
  const bodies: string[] = []
  for (let count = 0; count < 6; count++) bodies.push(await request(port))
  const replicas = bodies.map((body) => /replica (\d)/.exec(body)?.[1])
  expect([...new Set(replicas)].sort()).toEqual(['1', '2', '3'])
})

test('a replica killed under load costs what was in flight on it, and is replaced', async () => {
  const concurrency = 8
  const [victim] = await replicasOf('web')
  const load = new Load(port, concurrency)
  await until(() => load.answered > 500)
  process.kill(-(victim?.pid as number), 'SIGKILL')
  await until(async () => {
    const replicas = await replicasOf('web')
    return (
      replicas.filter((each) => each.state === 'ready' && each.pid !== victim?.pid).length === 3
    )
  })
  const at = load.answered
  await until(() => load.answered > at + 500)
  const report = await load.stop()
  const lost = report.sent - report.answered
  expect(lost, JSON.stringify(report.lost)).toBeLessThanOrEqual(concurrency)
  expect((await node.weir('status')).out).toMatch(/web\s+3\/3\s+healthy\s+1/)
})

test('scaling up and down under load loses no request', async () => {
  const load = new Load(port, 8)
  await until(() => load.answered > 200)
  expect((await node.weir('scale', 'web', '5')).code).toBe(0)
  await until(
    async () => (await replicasOf('web')).filter((each) => each.state === 'ready').length === 5,
  )
  expect((await node.weir('scale', 'web', '2')).code).toBe(0)
  await until(async () => (await replicasOf('web')).length === 2)
  const at = load.answered
  await until(() => load.answered > at + 200)
  const report = await load.stop()
  expect(report.lost).toEqual({})
  expect(Object.keys(report.bodies).length).toBeGreaterThanOrEqual(5)
})

test('a rolling restart under load loses no request', async () => {
  const before = new Set((await replicasOf('web')).map((each) => each.pid))
  const load = new Load(port, 8)
  await until(() => load.answered > 200)
  expect((await node.weir('restart', 'web')).code).toBe(0)
  await until(async () => {
    const replicas = await replicasOf('web')
    return (
      replicas.length === 3 &&
      replicas.every((each) => each.state === 'ready' && !before.has(each.pid))
    )
  })
  const report = await load.stop()
  expect(report.lost).toEqual({})
})

test('the journal of all this replays identically', async () => {
  await node.weir('scale', 'web', '4')
  await until(
    async () => (await replicasOf('web')).filter((each) => each.state === 'ready').length === 4,
  )
  node.signal('SIGTERM')
  expect(await node.exited()).toBe(0)
  const replay = await runWeir(['replay', join(node.state, 'journal')], node.directory)
  expect(replay.out).toMatch(/identical/)
  expect(replay.code).toBe(0)
})
