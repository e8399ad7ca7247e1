import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { NodeMachine } from '../../../core/node/node.ts'
import type { NodeSnapshot } from '../../../core/node/snapshot.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'
import { type ReplaySubject, readJournal, replay } from '../../../shells/node/journal/replay.ts'
import { connect } from '../../../shells/node/operator/client.ts'
import { readProcess, runs } from '../../../shells/node/process/processes.ts'
import { type NodeHandle, type NodeOptions, startNode } from '../../../shells/node/run.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const SUBJECT: ReplaySubject<NodeEvent, NodeCommand> = {
  restore: (snapshot, now) => NodeMachine.restore(snapshot as unknown as NodeSnapshot, now),
  snapshot: (machine, now) => (machine as NodeMachine).snapshot(now) as unknown as JsonValue,
}

/** Answers with its replica and pid. */
const PROGRAM = `
import http from 'node:http'
const { PORT, WEIR_REPLICA } = process.env
http.createServer((request, response) => response.end(\`\${WEIR_REPLICA} \${process.pid}\`))
  .listen(Number(PORT), '127.0.0.1', () => console.log('listening'))
`

interface Running {
  readonly node: NodeHandle
  readonly said: string[]
  readonly close: () => Promise<void>
}

async function start(stateDirectory: string, options: Partial<NodeOptions> = {}): Promise<Running> {
  const said: string[] = []
  const scope = Scope.makeUnsafe()
  const starting = startNode({
    stateDirectory,
    version: '1.2.3',
    seed: 7,
    log: (level, text) => said.push(`${level} ${text}`),
    ...options,
  })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= Effect.runPromise(Scope.close(scope, Exit.void))
    return closing
  }
  onTestFinished(close)
  return { node: await Effect.runPromise(Scope.provide(starting, scope)), said, close }
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

function deployment(directory: string, port: number) {
  fs.writeFileSync(path.join(directory, 'server.mjs'), PROGRAM)
  const text = [
    'version: v1',
    'deployment: test-shop',
    'services:',
    '  web:',
    '    rtype: service',
    '    command: [node, server.mjs]',
    '    env: { TOKEN: "$E:TEST_SECRET" }',
    '    scale: { mode: fixed, replicas: 2 }',
    '    endpoints:',
    `      - { name: http, protocol: http, port: ${port}, path: /, expose: public }`,
    '',
  ].join('\n')
  return { text, file: 'weir.yaml', directory }
}

/** `[replica, pid]` of whoever answers a connection of its own. */
async function ask(port: number): Promise<[replica: string, pid: number]> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, agent: false }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () => resolve(body))
      response.on('error', reject)
    })
    request.on('error', reject)
  })
  const [replica = '', pid = ''] = text.split(' ')
  return [replica, Number(pid)]
}

/** A zombie is not: who collects an orphan is the system's affair. */
const alive = (pid: number): boolean => {
  const found = readProcess(pid)
  return found !== undefined && runs(found)
}

const waitFor = <A>(check: () => A | Promise<A>): Promise<A> =>
  vi.waitFor(check, { timeout: 20_000, interval: 25 })

describe('a node', () => {
  test('runs a deployment, heals, scales, removes, stops, and its journal replays', async () => {
    const root = temporaryDirectory()
    const state = path.join(root, '.weir')
    const port = await freePort()
    process.env.TEST_SECRET = 'hunter2-in-nobodys-journal'
    const { node, close } = await start(state, { journal: { bytesMax: 3_000, filesMax: 100 } })
    const notices: string[] = []
    node.onNotice(({ text }) => notices.push(text))
    let changes = 0
    node.onChange(() => {
      changes += 1
    })

    const answer = await node.deploy(deployment(root, port))
    expect(answer).toMatchObject({ ok: true, name: 'test-shop', warnings: [] })
    expect(await node.settled('test-shop')).toEqual({ outcome: 'ready', problems: [] })
    expect(await node.settled('test-shop')).toEqual({ outcome: 'ready', problems: [] })
    const before = new Map([await ask(port), await ask(port)])
    expect([...before.keys()].sort()).toEqual(['1', '2'])

    process.kill(before.get('1')!, 'SIGKILL')
    await waitFor(async () => {
      const now = new Map([await ask(port), await ask(port)])
      expect([...now.keys()].sort()).toEqual(['1', '2'])
      expect(now.get('1')).not.toBe(before.get('1'))
      expect(now.get('2')).toBe(before.get('2'))
    })

    const client = await connect(state)
    expect(await client.version()).toMatchObject({ pid: process.pid, node: node.nodeId, state })
    await client.scale('web', 3)
    await waitFor(async () => {
      expect((await client.status()).services[0]?.replicas).toMatchObject({ ready: 3 })
    })
    for await (const line of client.logs({ service: 'web', replica: 3 })) {
      expect(line).toMatchObject({ replica: 3, stream: 'out', text: 'listening' })
    }
    await expect(client.scale('nothing', 3)).rejects.toMatchObject({ status: 404 })
    await expect(
      client.deploy({ text: 'services: 3', file: 'f', directory: '/' }),
    ).rejects.toMatchObject({
      status: 422,
      problems: expect.arrayContaining([expect.stringMatching(/^f:1:1: /)]),
    })

    const pids = node.view().replicas.map(({ pid }) => pid ?? 0)
    expect(await client.remove('test-shop')).toMatchObject({ text: expect.any(String) })
    expect(pids.filter(alive)).toEqual([])
    expect(node.view()).toMatchObject({
      deployments: [],
      services: [],
      replicas: [],
      listeners: [],
    })
    expect(await node.settled('test-shop')).toMatchObject({ outcome: 'failed' })
    await expect(ask(port)).rejects.toThrow('ECONNREFUSED')
    await expect(client.settled('test-shop')).rejects.toMatchObject({ status: 404 })

    await node.shutdown('drain')
    expect(node.failure()).toBeUndefined()
    expect(changes).toBeGreaterThan(5)
    expect(notices.some((text) => text.includes('healthy'))).toBe(true)
    expect(await client.version()).toMatchObject({ pid: process.pid }) // until the very end
    await close()
    expect(fs.readdirSync(state).sort()).toEqual(['journal', 'logs'])

    const report = replay(state, SUBJECT, '1.2.3')
    expect(report).toMatchObject({ outcome: 'identical', lives: 1, notes: [] })
    expect(report.files).toBeGreaterThan(1)
    expect(report.events).toBeGreaterThan(20)
    const journal = [...readJournal(state)].map((item) => JSON.stringify(item)).join('\n')
    expect(journal).toContain('$E:TEST_SECRET')
    expect(journal).not.toContain('hunter2')
  })

  test('ends with its scope: programs killed, ports and socket free, the journal whole', async () => {
    const root = temporaryDirectory()
    const state = path.join(root, '.weir')
    const port = await freePort()
    const { node, close } = await start(state)
    await node.deploy(deployment(root, port))
    await node.settled('test-shop')
    const [, pid] = await ask(port)
    const removing = node.remove('nothing')
    const settling = node.settled('nothing')
    await close()
    expect(alive(pid)).toBe(false)
    await expect(ask(port)).rejects.toThrow('ECONNREFUSED')
    await node.stopped
    expect(await removing).toMatchObject({ ok: false })
    expect(await settling).toMatchObject({ outcome: 'failed' })
    expect(await node.scale('web', 3)).toMatchObject({ ok: false, code: 'stopping' })

    const again = await start(state)
    await again.node.deploy(deployment(root, port))
    expect(await again.node.settled('test-shop')).toMatchObject({ outcome: 'ready' })
    await again.node.shutdown('abort')
    await again.close()
    expect(replay(state, SUBJECT, '1.2.3')).toMatchObject({ outcome: 'identical', lives: 2 })
  })

  test('goes on when its state directory is deleted', async () => {
    const root = temporaryDirectory()
    const state = path.join(root, '.weir')
    const port = await freePort()
    const { node, said, close } = await start(state)
    await node.deploy(deployment(root, port))
    await node.settled('test-shop')
    fs.rmSync(state, { recursive: true })
    expect(await node.scale('web', 1)).toMatchObject({ ok: true })
    await waitFor(() => expect(node.view().replicas).toHaveLength(1))
    expect((await ask(port))[0]).toMatch(/^[12]$/)
    await node.shutdown('drain')
    await close()
    expect(said.join('\n')).toMatch(/journal: cannot be written .* was removed/)
    expect(replay(state, SUBJECT, '1.2.3')).toMatchObject({ outcome: 'identical' })
  })

  test('a second one is refused while the first lives', async () => {
    const state = temporaryDirectory()
    const { close } = await start(state)
    await expect(start(state)).rejects.toMatchObject({ _tag: 'AlreadyRunning', pid: process.pid })
    await close()
    await start(state)
  })

  test('a machine that breaks ends the node at once, and says on what', async () => {
    const root = temporaryDirectory()
    const state = path.join(root, '.weir')
    const port = await freePort()
    const { node, said, close } = await start(state)
    await node.deploy(deployment(root, port))
    await node.settled('test-shop')
    const [, pid] = await ask(port)
    const step = NodeMachine.prototype.step
    const breaking = vi.spyOn(NodeMachine.prototype, 'step').mockImplementation(function (
      this: NodeMachine,
      ...args
    ) {
      if (args[0].type === 'scale') throw new Error('an invariant does not hold')
      step.apply(this, args)
    })
    const reply = await node.scale('web', 5)
    await node.stopped
    breaking.mockRestore()
    expect(reply).toMatchObject({ ok: false, code: 'stopping' })
    expect(node.failure()).toMatch(/an invariant does not hold/)
    expect(node.failure()).toContain('"type":"scale"')
    expect(node.failure()).toMatch(/journal: 000001\.jsonl, record \d+/)
    expect(said).toContainEqual(`error ${node.failure()}`)
    await waitFor(() => expect(alive(pid)).toBe(false))
    await close()
    await expect(ask(port)).rejects.toThrow('ECONNREFUSED')
    // The code is mended: the replay says where it broke, and that it does not any more.
    const { outcome, difference } = replay(state, SUBJECT, '1.2.3')
    expect(outcome).toBe('different')
    expect(difference).toMatchObject({
      event: { type: 'scale', service: 'web', replicas: 5 },
      expected: 'an invariant does not hold',
      got: 'no error',
    })
  })

  test('a file nested without end is refused, not written down', async () => {
    const root = temporaryDirectory()
    const { node } = await start(path.join(root, '.weir'))
    const { text, ...rest } = deployment(root, await freePort())
    const deep = `${'['.repeat(300)}${']'.repeat(300)}`
    const nested = text.replace(
      '    scale:',
      `    init: { steps: [{ id: a, uses: b, with: { x: ${deep} } }] }\n    scale:`,
    )
    const answer = await node.deploy({ text: nested, ...rest })
    expect(answer).toMatchObject({ ok: false, code: 'invalid' })
    expect(node.failure()).toBeUndefined()
  })
})

test('what a killed node left is reaped, and its journal replays', async () => {
  const root = temporaryDirectory()
  const state = path.join(root, '.weir')
  const port = await freePort()
  const { text, directory } = deployment(root, port)
  fs.writeFileSync(path.join(root, 'weir.yaml'), text)
  const script = path.join(import.meta.dirname, 'run-node.ts')
  const child = spawn(process.execPath, [script, state, path.join(root, 'weir.yaml'), directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const [, pid] = await ask(port)
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  expect(alive(pid)).toBe(true)

  const { node, close } = await start(state)
  await node.deploy(deployment(root, port))
  expect(await node.settled('test-shop')).toMatchObject({ outcome: 'ready' })
  expect(alive(pid)).toBe(false)
  expect((await ask(port))[1]).not.toBe(pid)
  await node.shutdown('abort')
  await close()
  expect(replay(state, SUBJECT, '1.2.3')).toMatchObject({ outcome: 'identical', lives: 2 })
})
