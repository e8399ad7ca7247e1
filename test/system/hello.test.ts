/** The hello deployment under load: what an operator is promised. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ListenerView, ReplicaView } from '../../core/node/view.ts'
import type { FlowsAnswer } from '../../shells/node/operator/flows.ts'
import { Load, request } from './load.ts'
import { freePorts, newDirectory, RunningNode, runWeir, until } from './running-node.ts'

const HELLO = fileURLToPath(new URL('../../docs/examples/hello/', import.meta.url))

let node: RunningNode
let port: number
let clockPort: number

beforeEach(async () => {
  const [web = 0, greeter = 0, clock = 0] = await freePorts(3)
  port = web
  clockPort = clock
  const directory = await newDirectory()
  for (const program of ['server.mjs', 'greeter.mjs', 'clock.mjs']) {
    await symlink(join(HELLO, program), join(directory, program))
  }
  const file = (await readFile(join(HELLO, 'weir.yaml'), 'utf8'))
    .replaceAll('8081', String(greeter))
    .replaceAll('8080', String(web))
    .replaceAll('8037', String(clock))
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

/** Which clock answers a client of its own; undefined when its datagram, or the answer, got lost. */
async function askClock(): Promise<string | undefined> {
  const socket = createSocket('udp4')
  const answer = once(socket, 'message', { signal: AbortSignal.timeout(5_000) })
  socket.send('what time is it', clockPort, '127.0.0.1')
  try {
    const [message] = (await answer) as [Buffer]
    return /^\d{4}-.* from clock replica (\d)\n$/.exec(message.toString())?.[1]
  } catch {
    return undefined
  } finally {
    socket.close()
  }
}

test('clients of the clock take turns, and are listed and counted', async () => {
  const asked = [await askClock(), await askClock(), await askClock(), await askClock()]
  expect(asked.toSorted()).toEqual(['1', '1', '2', '2'])
  const { flows, total } = await node.json<FlowsAnswer>('flows', 'clock', '--sort', 'backend')
  expect([total, flows.map((each) => each.datagramsOut)]).toEqual([4, [1, 1, 1, 1]])
  expect((await node.weir('flows', '--backend', 'clock-2')).out).toMatch(/127\.0\.0\.1:\d+ +clock/)
  const metrics = (await node.weir('metrics')).out
  expect(metrics).toMatch(/^weir_udp_datagrams_total\{.*service="clock".*direction="out"\} 4$/m)
  expect((await node.weir('listeners')).out).toMatch(
    /clock +time +udp +\w+ +[\d.]+:\d+ +serving +2/,
  )
  expect(node.output).toContain(`clock  udp://127.0.0.1:${clockPort}`)
})

test('a clock that stops answering is down within its checks, and the other one serves', async () => {
  const victim = (await replicasOf('clock')).find(({ number }) => number === 1)
  process.kill(victim?.pid as number, 'SIGSTOP')
  const upOf = async () =>
    (await node.json<ListenerView[]>('listeners'))
      .find(({ endpoint }) => endpoint === 'time')
      ?.members.map(({ isUp }) => isUp)
  await until(async () => JSON.stringify(await upOf()) === '[false,true]')
  for (let count = 0; count < 4; count++) expect(await askClock()).toBe('2')
  expect((await node.weir('status')).out).toMatch(/clock +2\/2 +degraded/)
  process.kill(victim?.pid as number, 'SIGCONT')
  await until(async () => JSON.stringify(await upOf()) === '[true,true]')
  expect([await askClock(), await askClock()].toSorted()).toEqual(['1', '2'])
})

test('a clock that is killed is replaced, and questions go on', async () => {
  const victim = (await replicasOf('clock')).find(({ number }) => number === 1)
  process.kill(victim?.pid as number, 'SIGKILL')
  await until(async () =>
    (await replicasOf('clock')).every((each) => each.state === 'ready' && each.pid !== victim?.pid),
  )
  const asked = [await askClock(), await askClock(), await askClock(), await askClock()]
  expect(asked.toSorted()).toEqual(['1', '1', '2', '2'])
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
