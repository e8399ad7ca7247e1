import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { replicaId } from '../../../../core/services/identity.ts'
import { harness, node, pidIn, programOf, REPLICA, runs, shell, until } from './runtime-harness.ts'

const SLEEPER = ['sleep', '1000']

describe('the life of a replica', () => {
  test('every question is answered once, in order, and the exit is reported once', async () => {
    const { ask, runtime, events, directory, exited } = await harness()
    const program = programOf(shell('echo hello; echo oops >&2; exit 3'), directory)
    await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })
    await ask({ type: 'start-replica', replica: REPLICA, attempt: 2 })
    await ask({ type: 'resolve-address', replica: REPLICA, attempt: 3 })
    await exited()
    await ask({ type: 'verify-replica', replica: REPLICA, attempt: 4 })
    await ask({ type: 'remove-replica', replica: REPLICA, attempt: 5 })
    const rest = { replica: REPLICA }
    const sorted = events.map((event) =>
      event.type === 'replica-exited' ? { ...event, logTail: [...event.logTail].sort() } : event,
    )
    expect(sorted.toSorted((a, b) => rank(a.type) - rank(b.type))).toEqual([
      { type: 'replica-created', ...rest, attempt: 1 },
      { type: 'replica-started', ...rest, attempt: 2, pid: expect.any(Number) },
      { type: 'address-resolved', ...rest, attempt: 3, host: '127.0.0.1' },
      { type: 'replica-exited', ...rest, code: 3, signal: null, logTail: ['hello', 'oops'] },
      { type: 'replica-verified', ...rest, attempt: 4, alive: false },
      { type: 'replica-removed', ...rest, attempt: 5 },
    ])
    expect(runtime.environmentOf(REPLICA)).toBeUndefined()
  })

  test('what is printed right before the exit is in the log tail: the last 40 lines', async () => {
    const { start, exited } = await harness()
    await start(shell('seq 1 300000; printf unfinished'))
    const wanted = Array.from({ length: 39 }, (_, index) => String(299_962 + index))
    expect((await exited()).logTail).toEqual([...wanted, 'unfinished'])
  })

  test('services W43: the pid is known with the start, and an instant crash is seen', async () => {
    const { start, exited, ask } = await harness()
    const pid = await start(shell('exit 1'))
    expect(pid).toBeGreaterThan(1)
    expect(await exited()).toMatchObject({ code: 1, signal: null })
    const answer = await ask({ type: 'verify-replica', replica: REPLICA, attempt: 1 })
    expect(answer).toMatchObject({ alive: false })
  })

  test('a program that runs is alive', async () => {
    const { start, ask } = await harness()
    await start(SLEEPER)
    const answer = await ask({ type: 'verify-replica', replica: REPLICA, attempt: 1 })
    expect(answer).toMatchObject({ type: 'replica-verified', alive: true })
  })

  test('a second start of the same replica, and one of an unknown replica, fail', async () => {
    const { start, ask } = await harness()
    await start(SLEEPER)
    expect(await ask({ type: 'start-replica', replica: REPLICA, attempt: 1 })).toMatchObject({
      type: 'replica-start-failed',
      reason: 'hello/web-1 was started already',
    })
    const unknown = replicaId({ deployment: 'hello', service: 'db', number: 2, incarnation: 1 })
    expect(await ask({ type: 'start-replica', replica: unknown, attempt: 2 })).toMatchObject({
      type: 'replica-start-failed',
      reason: 'hello/db-2 is not created',
    })
  })

  test('a replica exists once', async () => {
    const { start, ask, directory } = await harness()
    await start(SLEEPER)
    const program = programOf(SLEEPER, directory)
    const again = await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })
    expect(again).toMatchObject({ reason: 'hello/web-1 exists already', portsTaken: [] })
  })
})

describe('the environment', () => {
  test('a program has its own variables, marks and little of the host', async () => {
    const host = { PATH: process.env.PATH, HOME: '/h', LC_TIME: 'C', SECRET: 's3', EMPTY: '' }
    const { start, exited, runtime, nodeId, notices } = await harness({ ...host, OTHER: 'no' })
    const env = { PORT: '20001', DB: '$E:SECRET', NONE: '$E:EMPTY', TEXT: 'a $E:SECRET' }
    await start(node('console.log(JSON.stringify(process.env))'), { env })
    const printed = JSON.parse((await exited()).logTail[0] ?? '') as Record<string, string>
    const wanted = {
      ...{ PATH: process.env.PATH, HOME: '/h', LC_TIME: 'C' },
      ...{ PORT: '20001', DB: 's3', NONE: '', TEXT: 'a $E:SECRET' },
      ...{ WEIR_NODE: nodeId, WEIR_INSTANCE: REPLICA },
    }
    expect(printed).toEqual(wanted)
    expect(runtime.environmentOf(REPLICA)?.env).toEqual(wanted)
    expect(notices).toEqual([
      'variable NONE of service hello/web: EMPTY is empty in the environment of weir',
    ])
  })

  test('the directory of the program is its working directory', async () => {
    const { start, exited, directory } = await harness()
    await start(shell('pwd -P'))
    expect((await exited()).logTail).toEqual([directory])
  })

  test('outputs can be opened by their names, as scripts and configurations do', async () => {
    const { start, exited } = await harness()
    await start(shell('echo one > /dev/stdout && echo two > /dev/stderr'))
    const { code, logTail } = await exited()
    expect({ code, lines: [...logTail].sort() }).toEqual({ code: 0, lines: ['one', 'two'] })
  })
})

describe('what can go wrong at the start', () => {
  const ROWS: readonly {
    name: string
    argv: string[]
    env?: Record<string, string>
    reason: RegExp
  }[] = [
    {
      name: 'no such program',
      argv: ['no-such-prog'],
      reason: /^program "no-such-prog" not found in PATH$/,
    },
    {
      name: 'no such file',
      argv: ['./nothing'],
      reason: /^program ".\/nothing" does not exist \(in /,
    },
    {
      name: 'not executable',
      argv: ['./plain'],
      reason: /^program ".\/plain" may not be executed/,
    },
    {
      name: 'interpreter missing',
      argv: ['./lost'],
      reason: /interpreter its first line names is missing$/,
    },
    { name: 'nothing given', argv: [], reason: /^no program is given$/ },
    {
      name: 'a host variable is missing',
      argv: SLEEPER,
      env: { DB: '$E:NOT_SET_ANYWHERE' },
      reason: /^variable DB of service hello\/web: NOT_SET_ANYWHERE is not set in the environment/,
    },
    {
      name: 'no secrets provider',
      argv: SLEEPER,
      env: { DB: '$S:db/password' },
      reason: /^variable DB of service hello\/web: there is no secrets provider/,
    },
    {
      name: 'too long',
      argv: SLEEPER,
      env: { HUGE: 'x'.repeat(4 * 1024 * 1024) },
      reason: /arguments and environment are too long$/,
    },
    { name: 'a zero byte', argv: ['sleep', '1\0'], reason: /cannot be run: .*null bytes/ },
  ]
  for (const row of ROWS) {
    test(row.name, async () => {
      const { ask, directory, events } = await harness()
      writeFileSync(join(directory, 'plain'), 'x', { mode: 0o644 })
      writeFileSync(join(directory, 'lost'), '#!/no/such/interpreter\n', { mode: 0o755 })
      const program = { ...programOf(row.argv, directory), env: row.env ?? {} }
      await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })
      const failed = await ask({ type: 'start-replica', replica: REPLICA, attempt: 2 })
      expect(failed).toEqual({
        type: 'replica-start-failed',
        replica: REPLICA,
        attempt: 2,
        reason: expect.stringMatching(row.reason),
      })
      await ask({ type: 'remove-replica', replica: REPLICA, attempt: 3 })
      expect(events.map((event) => event.type)).toEqual([
        'replica-created',
        'replica-start-failed',
        'replica-removed',
      ])
    })
  }

  test('a failed start may be tried again', async () => {
    const { ask, directory, exited } = await harness()
    const program = programOf(['./late'], directory)
    await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })
    await ask({ type: 'start-replica', replica: REPLICA, attempt: 2 })
    writeFileSync(join(directory, 'late'), '#!/bin/sh\necho here\n', { mode: 0o755 })
    const again = await ask({ type: 'start-replica', replica: REPLICA, attempt: 3 })
    expect(again.type).toBe('replica-started')
    expect((await exited()).logTail).toEqual(['here'])
  })

  test('the directory is gone', async () => {
    const { ask, directory } = await harness()
    const gone = join(directory, 'gone')
    const create = (attempt: number) =>
      ask({ type: 'create-replica', replica: REPLICA, attempt, program: programOf(SLEEPER, gone) })
    const reason = `directory ${gone} does not exist`
    expect(await create(1)).toMatchObject({ type: 'replica-create-failed', reason, portsTaken: [] })
    mkdirSync(gone)
    expect(await create(2)).toMatchObject({ type: 'replica-created' })
    rmSync(gone, { recursive: true })
    const start = await ask({ type: 'start-replica', replica: REPLICA, attempt: 3 })
    expect(start).toMatchObject({ type: 'replica-start-failed', reason })
  })

  for (const host of ['127.0.0.1', '0.0.0.0', '::', '127.0.0.2']) {
    test(`a port is taken on ${host}`, async () => {
      const { ask, directory } = await harness()
      const taken = await listen(host)
      const free = await freePort()
      const ports = { http: free, admin: taken }
      const program = { ...programOf(SLEEPER, directory), ports }
      expect(await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })).toEqual({
        type: 'replica-create-failed',
        replica: REPLICA,
        attempt: 1,
        reason: `port ${taken} is in use by another program`,
        portsTaken: [taken],
      })
      // the same replica with other ports, and the free one was given back
      const second = { ...program, ports: { http: free } }
      const created = await ask({
        type: 'create-replica',
        replica: REPLICA,
        attempt: 2,
        program: second,
      })
      expect(created.type).toBe('replica-created')
      await listen('127.0.0.1', free)
    })
  }

  for (const host of ['127.0.0.1', '0.0.0.0']) {
    test(`a udp port is taken on ${host}; tcp at the same number is another port`, async () => {
      const { ask, directory } = await harness()
      const taken = await boundOfUdpAlone(host)
      const program = { ...programOf(SLEEPER, directory), ports: { dns: taken } }
      const create = (attempt: number, udpEndpoints: readonly string[]) => {
        const asked = { type: 'create-replica', replica: REPLICA, attempt } as const
        return ask({ ...asked, program: { ...program, udpEndpoints } })
      }
      expect(await create(1, ['dns'])).toMatchObject({
        reason: `port ${taken} is in use by another program`,
        portsTaken: [taken],
      })
      expect(await create(2, [])).toMatchObject({ type: 'replica-created' })
    })
  }

  test('a number for tcp and udp is tried for both', async () => {
    const { ask, directory } = await harness()
    const taken = await listen('127.0.0.1')
    const ports = { dns: taken, 'dns-tcp': taken }
    const program = { ...programOf(SLEEPER, directory), ports, udpEndpoints: ['dns'] }
    const answer = await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })
    expect(answer).toMatchObject({ portsTaken: [taken] })
  })
})

describe('signals and the end', () => {
  test('a signal reaches the whole group, and the exit names it', async () => {
    const { start, runtime, exited, directory } = await harness()
    const file = join(directory, 'pid')
    await start(shell(`sleep 1000 & echo $! > ${file}; wait`))
    const grandchild = await until(() => pidIn(file))
    runtime.apply({ type: 'signal-replica', replica: REPLICA, signal: 'SIGTERM' })
    expect(await exited()).toMatchObject({ code: null, signal: 'SIGTERM' })
    await until(() => !runs(grandchild))
  })

  test('a program that ignores SIGTERM goes on until it is killed', async () => {
    const { start, runtime, exited, ask, logs } = await harness()
    await start(shell('trap "echo no" TERM; echo ready; while :; do sleep 0.05; done'))
    const printed = (text: string) => logs.read({ tail: 10 }).some((line) => line.text === text)
    await until(() => printed('ready'))
    runtime.apply({ type: 'signal-replica', replica: REPLICA, signal: 'SIGTERM' })
    await until(() => printed('no'))
    expect(await ask({ type: 'verify-replica', replica: REPLICA, attempt: 1 })).toMatchObject({
      alive: true,
    })
    runtime.apply({ type: 'signal-replica', replica: REPLICA, signal: 'SIGKILL' })
    expect(await exited()).toMatchObject({ code: null, signal: 'SIGKILL' })
  })

  test('a signal right after the start is not lost', async () => {
    const { runtime, ask, exited, directory } = await harness()
    const program = programOf(SLEEPER, directory)
    await ask({ type: 'create-replica', replica: REPLICA, attempt: 1, program })
    runtime.apply({ type: 'start-replica', replica: REPLICA, attempt: 2 })
    runtime.apply({ type: 'signal-replica', replica: REPLICA, signal: 'SIGINT' })
    expect(await exited()).toMatchObject({ signal: 'SIGINT' })
  })

  test('a grandchild that keeps the output open delays the exit only a little', async () => {
    const { start, exited, ask, directory, events } = await harness()
    const file = join(directory, 'pid')
    await start(shell(`sleep 1000 & echo $! > ${file}; echo done; exit 4`))
    expect(await exited()).toMatchObject({ code: 4, logTail: ['done'] })
    const grandchild = await until(() => pidIn(file))
    expect(runs(grandchild)).toBe(true)
    // its leader is gone, but the group is known to be ours
    await ask({ type: 'remove-replica', replica: REPLICA, attempt: 9 })
    expect(runs(grandchild)).toBe(false)
    expect(events.filter((event) => event.type === 'replica-exited')).toHaveLength(1)
  })

  test('removing kills a running group first, and says so before it answers', async () => {
    const { start, ask, events, directory } = await harness()
    const file = join(directory, 'pid')
    const pid = await start(shell(`trap "" TERM; sleep 1000 & echo $! > ${file}; wait`))
    const grandchild = await until(() => pidIn(file))
    const twice = [1, 2].map((attempt) =>
      ask({ type: 'remove-replica', replica: REPLICA, attempt }),
    )
    await Promise.all(twice)
    expect(events.map((event) => event.type).slice(2)).toEqual([
      'replica-exited',
      'replica-removed',
      'replica-removed',
    ])
    expect([runs(pid), runs(grandchild)]).toEqual([false, false])
  })

  test('removing answers for a replica that is unknown, or created only, or being created', async () => {
    const { ask, runtime, directory, events } = await harness()
    await ask({ type: 'remove-replica', replica: REPLICA, attempt: 1 })
    const program = programOf(SLEEPER, directory)
    await ask({ type: 'create-replica', replica: REPLICA, attempt: 2, program })
    await ask({ type: 'remove-replica', replica: REPLICA, attempt: 3 })
    runtime.apply({ type: 'create-replica', replica: REPLICA, attempt: 4, program })
    await ask({ type: 'remove-replica', replica: REPLICA, attempt: 5 })
    expect(events.map((event) => event.type)).toEqual([
      'replica-removed',
      'replica-created',
      'replica-removed',
      'replica-created',
      'replica-removed',
    ])
  })

  test('killAll ends everything at once', async () => {
    const { start, runtime, exited } = await harness()
    await start(shell('trap "" TERM; while :; do sleep 0.05; done'))
    runtime.killAll()
    expect(await exited()).toMatchObject({ signal: 'SIGKILL' })
  })

  test('the end of the scope kills what runs, and reports nothing more', async () => {
    const { start, events, close, directory } = await harness()
    const file = join(directory, 'pid')
    const pid = await start(shell(`sleep 1000 & echo $! > ${file}; wait`))
    const grandchild = await until(() => pidIn(file))
    const before = [...events]
    await close()
    expect([runs(pid), runs(grandchild)]).toEqual([false, false])
    expect(events).toEqual(before)
  })
})

describe('output', () => {
  test('a flood fills neither memory nor disk, and the program gets through', async () => {
    const { start, exited, directory } = await harness()
    const before = process.memoryUsage.rss()
    await start(shell('yes a line of some length to print | head -c 100000000'))
    expect(await exited()).toMatchObject({ code: 0 })
    // a hundred megabytes came by
    expect(process.memoryUsage.rss() - before).toBeLessThan(150 * 1024 * 1024)
    const service = join(directory, 'logs', 'hello', 'web')
    const sizes = readdirSync(service).map((file) => statSync(join(service, file)).size)
    expect(sizes).toHaveLength(4)
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(1024 * 1024)
  })

  test('a log that cannot be written stops nothing', async () => {
    const { start, exited, directory, notices } = await harness()
    writeFileSync(join(directory, 'logs'), 'a file where the directory should be')
    await start(shell('seq 1 1000; exit 5'))
    expect(await exited()).toMatchObject({ code: 5, logTail: expect.arrayContaining(['1000']) })
    expect(notices).toEqual([expect.stringMatching(/^log of hello\/web-1 cannot be written: /)])
  })

  test('a new process under the old number goes on in the same log', async () => {
    const { start, exited, ask, directory } = await harness()
    await start(shell('echo first'))
    await exited()
    await ask({ type: 'remove-replica', replica: REPLICA, attempt: 1 })
    const next = replicaId({ deployment: 'hello', service: 'web', number: 1, incarnation: 8 })
    await start(shell('echo second'), {}, next)
    expect(await exited(next)).toMatchObject({ logTail: ['second'] })
    await ask({ type: 'remove-replica', replica: next, attempt: 2 })
    const text = readFileSync(join(directory, 'logs', 'hello', 'web', '1.log'), 'utf8')
    expect(text.replaceAll(/^\S{24} /gm, '')).toBe('out first\nout second\n')
  })
})

const ORDER = ['created', 'started', 'resolved', 'exited', 'verified', 'removed']
const rank = (type: string): number => ORDER.findIndex((word) => type.endsWith(word))

function listen(host: string, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    onTestFinished(() => void server.close())
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The number of a UDP socket that is nobody's for TCP, as far as can be told. */
async function boundOfUdpAlone(host: string): Promise<number> {
  for (;;) {
    const socket = createSocket('udp4')
    onTestFinished(() => void socket.close())
    socket.bind(0, host)
    await once(socket, 'listening')
    const { port } = socket.address()
    const probe = createServer().listen(port, '0.0.0.0')
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    )
    if (isFree) {
      await new Promise((resolve) => probe.close(resolve))
      return port
    }
  }
}
