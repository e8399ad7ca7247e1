/** What must not stop a node: its own death, a damaged state directory, a full disk. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { appendFile, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { ReplicaView } from '../../core/node/view.ts'
import { request } from './load.ts'
import { freePorts, missing, newDirectory, RunningNode, runWeir, until } from './running-node.ts'

const SERVER = `
import { createServer } from 'node:http'
process.on('SIGTERM', () => process.exit(0))
createServer((_, answer) => answer.end('pid ' + process.pid)).listen(Number(process.env.PORT), '127.0.0.1')
`

const fileFor = (port: number) => `
version: v1
deployment: sturdy
services:
  web:
    command: [node, server.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints: [ { name: http, protocol: http, port: ${port}, expose: public } ]
`

const nodes: RunningNode[] = []

afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop()
})

async function start(port: number, options: Parameters<typeof RunningNode.start>[1] = {}) {
  const node = await RunningNode.start(
    { 'weir.yaml': fileFor(port), 'server.mjs': SERVER },
    options,
  )
  nodes.push(node)
  return node
}

/** A zombie that nobody has waited for yet is dead. */
const isAlive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

for (const keepsState of [true, false]) {
  const what = keepsState ? 'its state kept' : 'its state directory deleted'
  test(`after kill -9, with ${what}, the next up ends what is left and starts anew`, async () => {
    const [port = 0] = await freePorts(1)
    const first = await start(port)
    await first.ready()
    const pids = (await first.json<ReplicaView[]>('ps')).map((each) => each.pid as number)
    first.signal('SIGKILL')
    await first.exited()
    expect(pids.map(isAlive)).toEqual([true, true])
    if (!keepsState) await rm(first.state, { recursive: true })
    const second = await start(port, { directory: first.directory })
    await second.ready()
    expect(second.output).toMatch(/ended 2 processes of an earlier run/)
    expect(pids.map(isAlive)).toEqual([false, false])
    expect(await request(port)).toMatch(/^pid \d+$/)
  })
}

test('a second up on one state directory is refused with the pid of the first', async () => {
  const [port = 0] = await freePorts(1)
  const first = await start(port)
  await first.ready()
  const second = await runWeir(['up'], first.directory)
  expect(second.code).toBe(1)
  expect(second.err).toContain(`pid ${first.pid}`)
  expect(await request(port)).toMatch(/^pid/)
})

test('a truncated and garbled journal is said, and replayed as far as it goes', async () => {
  const [port = 0] = await freePorts(1)
  const first = await start(port)
  await first.ready()
  first.signal('SIGKILL')
  await first.exited()
  const directory = join(first.state, 'journal')
  const [file = ''] = await readdir(directory)
  const path = join(directory, file)
  await truncate(path, (await stat(path)).size - 7)
  const second = await start(port, { directory: first.directory })
  await second.ready()
  expect(second.output).toMatch(/journal/)
  second.signal('SIGTERM')
  expect(await second.exited()).toBe(0)
  const replay = await runWeir(['replay', directory], first.directory)
  expect(replay.out).toMatch(/identical/)
  await appendFile(path, 'not a record\n')
  expect((await runWeir(['replay', directory], first.directory)).out).toMatch(
    /damaged|garbage|torn/i,
  )
})

test('a state directory full of garbage does not stop up', async () => {
  const directory = await newDirectory()
  const state = join(directory, '.weir')
  const [port = 0] = await freePorts(1)
  await writeFile(state, 'this should be a directory')
  const node = await start(port, { directory })
  await node.ready()
  expect(node.output).toMatch(/\.weir/)
  node.signal('SIGTERM')
  await node.exited()
  for (const name of ['journal', 'logs', 'weir.sock', 'node.json']) {
    await rm(join(state, name), { recursive: true, force: true })
    await writeFile(join(state, name), 'garbage')
  }
  const again = await start(port, { directory })
  await again.ready()
  expect(await request(port)).toMatch(/^pid/)
})

test('a deliberate change in a journal is found at its record', async () => {
  const [port = 0] = await freePorts(1)
  const node = await start(port)
  await node.ready()
  node.signal('SIGTERM')
  await node.exited()
  const directory = join(node.state, 'journal')
  const [file = ''] = await readdir(directory)
  const path = join(directory, file)
  const lines = (await readFile(path, 'utf8')).split('\n')
  const index = lines.findIndex((line) => line.includes('replica-started'))
  lines[index] = (lines[index] as string).replace('replica-started', 'replica-startec')
  await writeFile(path, lines.join('\n'))
  const replay = await runWeir(['replay', directory], node.directory)
  expect(replay.code).toBe(1)
  expect(replay.out + replay.err).toContain(`${file}:${index + 1}`)
})

const lacks = missing('mount', 'unshare')

test.skipIf(lacks !== undefined || process.getuid?.() !== 0)(
  'a full disk does not stop a running node',
  async () => {
    const directory = await newDirectory()
    const small = join(directory, 'small')
    execFileSync('mkdir', [small])
    const [port = 0] = await freePorts(1)
    // a mount namespace of its own: nothing of it outlives the node
    const script = `mount -t tmpfs -o size=256k tmpfs ${small} && exec "$@"`
    const node = await start(port, {
      directory,
      words: ['--state', join(small, 'state')],
      under: ['unshare', '--mount', 'sh', '-c', script, 'sh'],
    })
    await node.ready()
    const root = `/proc/${node.pid}/root${small}`
    execFileSync('sh', ['-c', `cat /dev/zero > ${root}/fill || true`], { stdio: 'ignore' })
    expect(await request(port)).toMatch(/^pid/)
    const [victim] = await psOf(root)
    process.kill(victim?.pid as number, 'SIGKILL')
    await until(async () => {
      const replicas = await psOf(root)
      return (
        replicas.length === 2 &&
        replicas.every((each) => each.state === 'ready' && each.pid !== victim?.pid)
      )
    })
    expect(await request(port)).toMatch(/^pid/)
    await node.says(/journal.*(no space|ENOSPC)/i)
    await rm(join(root, 'fill'))
    await until(async () => {
      const pid = (await psOf(root)).find((each) => each.state === 'ready')?.pid
      if (pid !== undefined) {
        process.kill(pid, 'SIGKILL')
        await until(async () => (await psOf(root)).every((each) => each.pid !== pid))
      }
      return /journal.*(again|recovered|resumed)/i.test(node.output)
    })
  },
)

async function psOf(root: string): Promise<ReplicaView[]> {
  const { out } = await runWeir(['ps', '--json', '--state', `${root}/state`], '/')
  return JSON.parse(out) as ReplicaView[]
}
