/** Redis and PostgreSQL behind Weir, asked by their own clients, and replaced under load. */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts, missing, until } from '../running-node.ts'
import { replicasOf, startNode, titleOf } from './peers/nodes.ts'
import { RedisLoad } from './peers/redis-load.ts'

const run = promisify(execFile)

const noRedis = missing('redis-server', 'redis-cli', 'redis-benchmark')

const redisFile = (port: number, replicas: number) => `
version: v1
deployment: stores
services:
  cache:
    command: redis-server --port $PORT --bind 127.0.0.1 --save "" --appendonly no
    scale: { mode: fixed, replicas: ${replicas} }
    endpoints:
      - { name: redis, protocol: tcp, port: ${port}, stream: { drain_timeout: 1s } }
    health: { interval: 1s, check: { type: command, command: redis-cli -p $PORT ping } }
`

test.skipIf(noRedis !== undefined)(
  titleOf('redis-benchmark meets no error, and a large value comes back as it was', noRedis),
  async () => {
    const [port = 0] = await freePorts(1)
    await startNode({ 'weir.yaml': redisFile(port, 1) })
    const bench = (...words: string[]) =>
      run('redis-benchmark', ['-p', String(port), '-q', '-t', 'ping,set,get', '-c', '50', ...words])
    for (const words of [
      ['-n', '20000'],
      ['-n', '100000', '-P', '16'],
    ]) {
      const { stdout, stderr } = await bench(...words)
      for (const what of ['PING_INLINE', 'PING_MBULK', 'SET', 'GET']) {
        expect(stdout).toMatch(new RegExp(`${what}: [\\d.]+ requests per second`))
      }
      expect(stdout + stderr).not.toMatch(/error/i)
    }
    const value = randomBytes(4 << 20).toString('hex')
    const redis = (...words: string[]) => ['-p', String(port), ...words]
    const set = run('redis-cli', redis('-x', 'set', 'large'))
    set.child.stdin?.end(value)
    expect((await set).stdout).toBe('OK\n')
    const maxBuffer = 16 << 20
    const { stdout } = await run('redis-cli', redis('get', 'large'), { maxBuffer })
    expect(stdout === `${value}\n`).toBe(true)
  },
)

test.skipIf(noRedis !== undefined)(
  titleOf('stores replaced under load cost what was in flight on them, and nothing else', noRedis),
  async () => {
    const connections = 20
    const [port = 0] = await freePorts(1)
    const node = await startNode({ 'weir.yaml': redisFile(port, 2) })
    const before = new Set((await replicasOf(node, 'cache')).map(({ pid }) => pid))
    const load = new RedisLoad(port, connections)
    onTestFinished(async () => void (await load.stop()))
    await until(() => load.answered > 1_000)
    expect((await node.weir('restart', 'cache')).code).toBe(0)
    await until(async () => {
      const replicas = await replicasOf(node, 'cache')
      return (
        replicas.length === 2 &&
        replicas.every(({ pid, state }) => state === 'ready' && !before.has(pid))
      )
    })
    const at = load.answered
    await until(() => load.answered > at + 1_000)
    const { lost, unserved, wrong, connected } = await load.stop()
    // a connection is cut at most once with each store that goes
    expect(lost).toBeLessThanOrEqual(connections * 2)
    expect(connected).toBeLessThanOrEqual(connections * 3)
    // who connects meanwhile gets a store that stays
    expect({ unserved, wrong }).toEqual({ unserved: 0, wrong: 0 })
  },
)

const POSTGRES = existsSync('/usr/lib/postgresql')
  ? readdirSync('/usr/lib/postgresql')
      .map((version) => join('/usr/lib/postgresql', version, 'bin'))
      .find((bin) => existsSync(join(bin, 'postgres')))
  : undefined
const needed = POSTGRES === undefined ? ['postgres'] : []
const noPostgres = missing('psql', 'setpriv', ...needed)
const bin = (program: string): string => join(POSTGRES ?? '', program)

/** PostgreSQL refuses to run as root. */
const UNPRIVILEGED =
  process.getuid?.() === 0
    ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups']
    : ['env']

/** A cluster of databases in a directory of its own, which whoever runs it owns. */
async function makeCluster(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-postgres-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  if (process.getuid?.() === 0) {
    const ids = await Promise.all(['-u', '-g'].map((which) => run('id', [which, 'postgres'])))
    const [uid, gid] = ids.map(({ stdout }) => Number(stdout))
    await chown(directory, uid as number, gid as number)
  }
  const [program = '', ...words] = UNPRIVILEGED
  const options = ['--username=postgres', '--auth=trust', '--no-sync', '--no-locale']
  const initdb = [bin('initdb'), '--pgdata', directory, ...options, '--encoding=UTF8']
  await run(program, [...words, ...initdb], { cwd: directory })
  return directory
}

test.skipIf(noPostgres !== undefined)(
  titleOf('psql and pgbench work on PostgreSQL as if they were connected to it', noPostgres),
  async () => {
    const [port = 0] = await freePorts(1)
    const directory = await makeCluster()
    const command = [
      ...['env', `--chdir=${directory}`, ...UNPRIVILEGED, bin('postgres'), '-D', directory],
      ...['-p', '$PORT', '-h', '127.0.0.1', '-k', '', '-c', 'fsync=off'],
    ]
    await startNode({
      'weir.yaml': `
version: v1
deployment: stores
services:
  sql:
    command: ${JSON.stringify(command)}
    stop_signal: SIGINT
    scale: { mode: fixed, replicas: 1 }
    endpoints: [ { name: sql, protocol: tcp, port: ${port} } ]
    health:
      interval: 1s
      check: { type: command, command: ${bin('pg_isready')} -h 127.0.0.1 -p $PORT }
`,
    })
    const reach = ['-h', '127.0.0.1', '-p', String(port), '-U', 'postgres']
    const sql = async (query: string): Promise<string> => {
      const options = ['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', query]
      const { stdout } = await run(bin('psql'), [...reach, ...options], { maxBuffer: 64 << 20 })
      return stdout
    }
    const bench = (...words: string[]) => run(bin('pgbench'), [...reach, ...words, 'postgres'])
    expect(await sql('select inet_server_addr()')).toBe('127.0.0.1\n')
    const rows = await sql('select g, md5(g::text) from generate_series(1, 100000) g')
    expect(rows.split('\n')).toHaveLength(100_001)
    const last = createHash('md5').update('100000').digest('hex')
    expect(rows.endsWith(`\n100000|${last}\n`)).toBe(true)

    await bench('-i', '-q')
    for (const words of [
      ['-c', '8', '-j', '2', '-T', '3'],
      ['-c', '4', '-C', '-T', '1'], // a connection for each transaction
    ]) {
      const { stdout, stderr } = await bench('-n', ...words)
      expect(stdout).toMatch(/number of transactions actually processed: [1-9]/)
      expect(stdout).toMatch(/number of failed transactions: 0 \(0\.000%\)/)
      expect(stderr).not.toMatch(/error|fatal|abort/i)
    }
    // every transaction added one amount in four places
    const sums = await sql(`select (select sum(abalance) from pgbench_accounts),
      (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
      (select sum(delta) from pgbench_history)`)
    expect(new Set(sums.trim().split('|')).size).toBe(1)
  },
)
