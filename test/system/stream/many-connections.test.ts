/** Thousands of connections at one time: every byte arrives, in order, and so does every end. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { fixture } from '../../shells/node/tls/fixtures.ts'
import { freePorts, until } from '../running-node.ts'
import { LineClient } from './peers/line-client.ts'
import {
  certificateDirectory,
  descriptorsOf,
  replicasOf,
  residentBytes,
  startNode,
  titleOf,
} from './peers/nodes.ts'
import { type Outcome, type Play, playOf } from './peers/play.ts'
import { Swarm } from './peers/swarm.ts'
import type { Progress } from './peers/swarm-server.ts'

const PROCESSES = 2
const SEED = 7
const SERVER = fileURLToPath(new URL('peers/swarm-server.ts', import.meta.url))

const fileFor = (port: number, control: number, tls: string) => `
version: v1
deployment: many
services:
  swarm:
    command: ${JSON.stringify([process.execPath, '--no-warnings', SERVER])}
    scale: { mode: fixed, replicas: 1 }
    endpoints:
      - { name: swarm, protocol: tcp, port: ${port}, stream: { tls: ${tls} } }
      - { name: control, protocol: tcp, port: ${control} }
    # no check opens anything while descriptors are counted
    health: { interval: 10m, check: { type: tcp, port: ${port} } }
`

/** What the other side is to see of one, at the end. */
function expected({ connection, way, up, down }: Play, side: 'client' | 'server', tls: string) {
  if (way.endsWith('-resets')) {
    const isOwn = way === `${side}-resets`
    // Node may hide a client's reset from TLS: then it looks like an end.
    const mayHide = tls === 'terminate' && side === 'server'
    const end = isOwn ? 'ended' : mayHide ? expect.stringMatching(/^(ended|reset)$/) : 'reset'
    return { connection, isIntact: true, end, got: expect.any(Number) }
  }
  return { connection, isIntact: true, end: 'ended', got: side === 'client' ? down : up }
}

const allowed = Number(
  /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1],
)

/** Each takes two in the node, and all of them are in one server. */
function tooFewFor(connections: number): string | undefined {
  const needed = connections * 2 + 200
  return allowed < needed && process.env.WEIR_REQUIRE_SYSTEM !== '1'
    ? `needs ${needed} descriptors, may have ${allowed}`
    : undefined
}

/** More the node never takes for what stalls. */
const GROWTH_BYTES_MAX = 160 << 20

async function play(connections: number, tls: 'off' | 'terminate'): Promise<void> {
  const [port = 0, control = 0] = await freePorts(2)
  const certificates = await certificateDirectory({ default: 'default' })
  const node = await startNode({
    'weir.yaml': fileFor(port, control, tls),
    'node.yaml': `certificates: ${certificates}\n`,
  })
  const [server] = await replicasOf(node, 'swarm')
  // past the node, whose connections are counted
  const direct = await LineClient.to(Number(server?.addresses.control?.split(':')[1]))
  const ask = async <Answer>(what: string) => JSON.parse(await direct.line(what)) as Answer
  await ask('progress') // so it has been accepted
  const quiet = descriptorsOf(node.pid)
  const serverQuiet = descriptorsOf(server?.pid as number)

  const plays = Array.from({ length: connections }, (_, number) => playOf(number, SEED))
  expect(new Set(plays.map(({ way }) => way)).size).toBe(7)
  const plan = { port, seed: SEED, count: connections / PROCESSES }
  const ca = tls === 'off' ? {} : { ca: fixture('ca.crt') }
  const swarms = Array.from(
    { length: PROCESSES },
    (_, number) => new Swarm({ ...plan, ...ca, first: number * plan.count }),
  )
  await Promise.all(swarms.map((swarm) => swarm.connected()))
  await until(() => descriptorsOf(node.pid) === quiet + connections * 2)

  const before = residentBytes(node.pid)
  await Promise.all(swarms.map((swarm) => swarm.begin()))
  const stalled = plays.filter(({ way }) => way.endsWith('-stalls')).length
  let moved = -1
  // what stalls is all that is left, and the system takes no more of it
  await until(async () => {
    const { live, sent, got } = await ask<Progress>('progress')
    const last = moved
    moved = sent + got
    if (live === stalled && moved === last) return true
    await new Promise((resolve) => setTimeout(resolve, 250))
    return false
  })
  expect(residentBytes(node.pid) - before).toBeLessThan(GROWTH_BYTES_MAX)
  await until(() => descriptorsOf(node.pid) === quiet + stalled * 2)

  const released = swarms.map((swarm) => swarm.release())
  await ask('release')
  const byClients = (await Promise.all(released)).flat()
  await until(async () => (await ask<Progress>('progress')).live === 0)
  const byServer = await ask<readonly Outcome[]>('outcomes')
  const sorted = (outcomes: readonly Outcome[]) =>
    outcomes.toSorted((a, b) => a.connection - b.connection)
  expect(sorted(byClients)).toEqual(plays.map((each) => expected(each, 'client', tls)))
  expect(sorted(byServer)).toEqual(plays.map((each) => expected(each, 'server', tls)))
  await until(() => descriptorsOf(node.pid) === quiet)
  await until(() => descriptorsOf(server?.pid as number) === serverQuiet)
}

const KINDS = [
  // six times as much as the node may take is on its way, and stalls
  { connections: 2_000, tls: 'off' },
  { connections: 500, tls: 'terminate' },
] as const

for (const { connections, tls } of KINDS) {
  const tooFew = tooFewFor(connections)
  const title = `${connections} connections, TLS ${tls}, with half-closes, resets and stalled readers`
  test.skipIf(tooFew !== undefined)(titleOf(title, tooFew), () => play(connections, tls))
}
