/** Programs nobody here wrote, run unchanged. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import type { ReplicaView } from '../../core/node/view.ts'
import { request } from './load.ts'
import { freePorts, missing, RunningNode, runWeir, until } from './running-node.ts'

const run = promisify(execFile)
let node: RunningNode | undefined

afterEach(async () => {
  await node?.stop()
  node = undefined
})

const lacks = missing('python3', 'redis-server', 'redis-cli', 'redis-benchmark')

test.skipIf(lacks !== undefined)(
  `python's http.server and redis-server run side by side${lacks === undefined ? '' : ` (${lacks})`}`,
  async () => {
    const [site = 0, cache = 0] = await freePorts(2)
    node = await RunningNode.start({
      'index.html': 'a page\n',
      'weir.yaml': `
version: v1
deployment: real
services:
  site:
    command: python3 -m http.server --bind 127.0.0.1 $PORT
    scale: { mode: fixed, replicas: 2 }
    endpoints: [ { name: http, protocol: http, port: ${site}, expose: public } ]
    health: { interval: 1s, check: { type: http, url: http://localhost/index.html } }
    depends: [ { service: cache } ]
  cache:
    command: redis-server --port $PORT --bind 127.0.0.1 --save "" --appendonly no
    scale: { mode: fixed, replicas: 1 }
    endpoints: [ { name: redis, protocol: tcp, port: ${cache} } ]
    health: { interval: 1s, check: { type: command, command: redis-cli -p $PORT ping } }
`,
    })
    await node.ready()
    expect(await request(site, '/index.html')).toBe('a page')
    const redis = (...words: string[]) => run('redis-cli', ['-p', String(cache), ...words])
    expect((await redis('set', 'greeting', 'hello')).stdout).toBe('OK\n')
    expect((await redis('get', 'greeting')).stdout).toBe('hello\n')
    const bench = ['-p', String(cache), '-n', '20000', '-c', '50', '-t', 'set,get', '-q']
    const { stdout, stderr } = await run('redis-benchmark', bench)
    expect(stdout).toMatch(/GET: [\d.]+ requests per second/)
    expect(stderr).not.toMatch(/error/i)

    const logs = await node.weir('logs', 'cache', '--tail', '200')
    expect(logs.out).toMatch(/Ready to accept connections/)

    const [victim] = (await node.json<ReplicaView[]>('ps')).filter(
      (each) => each.service === 'cache',
    )
    process.kill(victim?.pid as number, 'SIGKILL')
    await until(async () => {
      const now = await (node as RunningNode).json<ReplicaView[]>('ps')
      return now.some(
        (each) => each.service === 'cache' && each.state === 'ready' && each.pid !== victim?.pid,
      )
    })
    expect((await redis('ping')).stdout).toBe('PONG\n')
    node.signal('SIGINT')
    expect(await node.exited()).toBe(0)
    const replay = await runWeir(['replay', join(node.state, 'journal')], node.directory)
    expect(replay.code, replay.out + replay.err).toBe(0)
  },
)
