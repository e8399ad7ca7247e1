/** `weir up` and its companions for real: processes, sockets, signals, a terminal. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ReplicaView } from '../../../core/node/view.ts'
import { environment, MAIN, startWeir, weir } from './run-weir.ts'

const PROGRAM = `
import { createServer } from 'node:http'
const { PORT, WEIR_REPLICA } = process.env
createServer((request, response) => {
  console.log(request.method, request.url)
  response.setHeader('Connection', 'close')
  response.end(WEIR_REPLICA)
}).listen(Number(PORT), '127.0.0.1', () => console.log('listening'))
process.on('SIGTERM', () => process.exit(0))
`

let directory: string
let port: number
const running = new Set<ChildProcessWithoutNullStreams>()

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weir-up-'))
  port = await freePort()
  writeFileSync(join(directory, 'program.mjs'), PROGRAM)
  deployment(2)
})

afterEach(async () => {
  for (const child of running) {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
  }
  running.clear()
  rmSync(directory, { recursive: true, force: true })
})

function deployment(replicas: number, command: string[] = [process.execPath, 'program.mjs']): void {
  const endpoint = `{ name: http, protocol: http, port: ${port}, expose: public }`
  writeDeployment('weir.yaml', 'hello', 'web', endpoint, replicas, command)
}

function writeDeployment(
  file: string,
  name: string,
  service: string,
  endpoint: string,
  replicas: number = 1,
  command: string[] = [process.execPath, 'program.mjs'],
): void {
  const text = `version: v1
deployment: ${name}
services:
  ${service}:
    rtype: service
    command: ${JSON.stringify(command)}
    scale: { mode: fixed, replicas: ${replicas} }
    endpoints:
      - ${endpoint}
`
  writeFileSync(join(directory, file), text)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port: free } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return free
}

interface Up {
  readonly child: ChildProcessWithoutNullStreams
  /** All of standard output and standard error so far. */
  out(): string
  err(): string
  /** Matches what people see: without colours and the like. */
  until(pattern: RegExp): Promise<void>
  readonly exit: Promise<[number | null, NodeJS.Signals | null]>
}

function follow(child: ChildProcessWithoutNullStreams): Up {
  running.add(child)
  let out = ''
  let err = ''
  child.stdout.on('data', (data: Buffer) => {
    out += data
  })
  child.stderr.on('data', (data: Buffer) => {
    err += data
  })
  const exit = once(child, 'close') as Up['exit']
  const until = (pattern: RegExp) =>
    eventually(() => {
      if (child.exitCode !== null) throw new Error(`it ended:\n${out}\n${err}`)
      return pattern.test(plain(out))
    })
  return { child, out: () => out, err: () => err, until, exit }
}

const plain = (text: string): string => stripVTControlCharacters(text).replaceAll('\r', '')

const up = (...words: string[]): Up => follow(startWeir(['up', ...words], { cwd: directory }))

/** Until the condition holds; the test's own timeout is the limit. */
async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

const call = async (...words: string[]) => weir(words, { cwd: directory })
const replicas = async (): Promise<ReplicaView[]> => JSON.parse((await call('ps', '--json')).out)
const request = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/`)).text()

describe('piped', () => {
  test('a deployment from its first line to a clean end, and its journal', async () => {
    const node = up()
    await node.until(/^ready$/m)
    expect(node.out()).toMatch(/^web {2}http:\/\/\S+:\d+$/m)
    expect(new Set([await request(), await request()])).toEqual(new Set(['1', '2']))

    const before = await replicas()
    expect(before.map(({ number, health }) => [number, health])).toEqual([
      [1, 'healthy'],
      [2, 'healthy'],
    ])
    expect((await call('listeners')).out).toContain(`:${port} `)
    expect((await call('logs', 'web', '--replica', '1')).out).toContain('web-1 | listening\n')

    expect((await call('scale', 'web', '3')).code).toBe(0)
    await eventually(
      async () => (await replicas()).filter((each) => each.health === 'healthy').length === 3,
    )

    const second = await call('up')
    expect([second.code, second.out]).toEqual([1, ''])
    expect(second.err).toMatch(
      new RegExp(`^weir: a node already runs on this state \\(pid ${node.child.pid}, .*\\n$`),
    )

    node.child.kill('SIGTERM')
    expect(await node.exit).toEqual([0, null])
    expect(node.out()).toMatch(/^stopping for \d+s: 3 replicas left: web-1 /m)
    expect([node.out().endsWith('\nstopped\n'), node.err()]).toEqual([true, ''])
    expect(await call('ps')).toMatchObject({ code: 1, out: '' })

    const replayed = await call('replay')
    expect([replayed.code, replayed.err]).toEqual([0, ''])
    expect(replayed.out).toMatch(/^identical: \d+ events/)
    const shown = await call('replay', '.weir/journal', '--show')
    expect(shown.out).toMatch(/^\S+000001\.jsonl:1 {2}n 0 .* boot /)
  })

  test('weir down stops it; a deploy changes it before', async () => {
    const node = up()
    await node.until(/^ready$/m)
    deployment(1)
    const deployed = await call('deploy')
    expect([deployed.code, deployed.out.endsWith('\nready\n'), deployed.err]).toEqual([0, true, ''])
    expect(await replicas()).toHaveLength(1)
    const down = await call('down')
    expect([down.code, down.out.endsWith('stopped\n')]).toEqual([0, true])
    expect(await node.exit).toEqual([0, null])
  })

  test('of three deployments that publish one loopback port, two are refused by name', async () => {
    const endpoint = `{ name: http, protocol: tcp, port: ${port} }`
    writeDeployment('weir.yaml', 'one', 'web', endpoint)
    writeDeployment('two.yaml', 'two', 'api', endpoint)
    writeDeployment('three.yaml', 'three', 'db', endpoint)
    const node = up()
    await node.until(/^ready$/m)
    const before = await replicas()
    for (const requester of ['two/api', 'three/db']) {
      const file = `${requester.split('/')[0]}.yaml`
      const refused = await call('deploy', file)
      expect([refused.code, refused.out]).toEqual([1, ''])
      const [line, ...others] = refused.err.trimEnd().split('\n')
      expect(line).toMatch(
        new RegExp(
          `^weir: ${file}: port-conflict: tcp port ${port} .*belongs to one/web, ` +
            `so ${requester} cannot have it; .*take it out of one/web`,
        ),
      )
      expect(others).toEqual([])
    }
    expect(await request()).toBe('1')
    const after = await replicas()
    expect(after.map(({ id, pid }) => [id, pid])).toEqual(before.map(({ id, pid }) => [id, pid]))
    const { out } = await call('status', '--json')
    expect(JSON.parse(out).deployments.map(({ name }: { name: string }) => name)).toEqual(['one'])
    node.child.kill('SIGTERM')
    expect(await node.exit).toEqual([0, null])
  })

  test('remove answers when its port can be bound again', async () => {
    const stream = '{ drain_timeout: 100ms }'
    const endpoint = `{ name: http, protocol: tcp, port: ${port}, expose: public, stream: ${stream} }`
    writeDeployment('weir.yaml', 'hello', 'web', endpoint)
    const node = up()
    await node.until(/^ready$/m)
    const client = connect(port, '127.0.0.1').on('error', () => undefined)
    await once(client, 'connect')
    const removed = await call('remove', 'hello')
    expect([removed.code, removed.err]).toEqual([0, ''])
    const server = createServer().listen(port, '0.0.0.0')
    await once(server, 'listening')
    server.close()
    client.destroy()
    expect((await call('listeners')).out).toBe('no listeners\n')
    node.child.kill('SIGTERM')
    expect(await node.exit).toEqual([0, null])
  })

  test('settings come from a node file', async () => {
    const metrics = await freePort()
    writeFileSync(join(directory, 'node.yaml'), `metrics: 127.0.0.1:${metrics}\n`)
    const node = up('--node', 'node.yaml')
    await node.until(/^ready$/m)
    const answer = await fetch(`http://127.0.0.1:${metrics}/metrics`)
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('weir_')])
    expect((await call('status')).out).toContain(`, metrics on 127.0.0.1:${metrics}\n`)
    node.child.kill('SIGTERM')
    expect(await node.exit).toEqual([0, null])
  })

  test('a node file with mistakes starts nothing', async () => {
    const file = join(directory, 'node.yaml')
    writeFileSync(file, 'ports: { replicas: many }\n')
    const { code, out, err } = await call('up', '--node', 'node.yaml')
    expect([code, out, err]).toEqual([1, '', expect.stringMatching(/^node\.yaml:1:\d+: /)])
    writeFileSync(file, 'certificates: nowhere\n')
    const missing = await call('up', '--node', 'node.yaml')
    expect([missing.code, missing.out]).toEqual([1, ''])
    const nowhere = join(directory, 'nowhere')
    const reason = `certificates cannot be read: ${nowhere}: it is not there`
    expect(missing.err).toBe(`node.yaml:1:15: ${reason}\n`)
  })

  test('a reader that goes away does not end it', async () => {
    const node = up()
    await node.until(/^ready$/m)
    node.child.stdout.destroy()
    await call('scale', 'web', '1')
    await eventually(async () => (await replicas()).length === 1)
    expect(await request()).toBe('1')
    node.child.kill('SIGHUP')
    expect(await node.exit).toEqual([0, null])
  })

  test('a deployment that cannot run says why, and goes on until it is mended', async () => {
    deployment(1, ['./no-such-program'])
    const node = up()
    await node.until(/^failed: /m)
    deployment(1)
    await call('deploy', '--no-wait')
    await node.until(/^ready$/m)
    node.child.kill('SIGINT')
    expect(await node.exit).toEqual([0, null])
  })

  test('a file with mistakes starts nothing', async () => {
    writeFileSync(join(directory, 'weir.yaml'), 'version: v1\ndeployment: hello\nservces: {}\n')
    const { code, out, err } = await call('up')
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^weir\.yaml:\d+:\d+: /)
    expect(existsSync(join(directory, '.weir'))).toBe(false)
  })

  test('the journal that was changed is found out', async () => {
    const node = up('--state', join(directory, 'elsewhere'), '--seed', '7')
    await node.until(/^ready$/m)
    node.child.kill('SIGTERM')
    await node.exit
    const journal = join(directory, 'elsewhere', 'journal')
    const cut = join(journal, readdirSync(journal)[0]!)
    const lines = readFileSync(cut, 'utf8').split('\n')
    writeFileSync(cut, [...lines.slice(0, 3), ...lines.slice(4)].join('\n'))
    const replayed = await call('replay', journal, '--json')
    expect([replayed.code, JSON.parse(replayed.out).outcome]).not.toContain('identical')
    expect(replayed.code).toBe(1)
  })
})

const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0

describe.skipIf(!hasPython)('on a terminal (skipped where there is no python3 to make one)', () => {
  /** Relays a command on a pseudo-terminal of 60 columns; bytes from stdin are its keyboard. */
  const TERMINAL = `
import fcntl, os, pty, select, struct, sys, termios
pid, screen = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 60, 0, 0))
while True:
    ready, _, _ = select.select([screen, 0], [], [])
    try:
        if screen in ready:
            os.write(1, os.read(screen, 65536))
        if 0 in ready:
            os.write(screen, os.read(0, 1024))
    except OSError:
        break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

  test('a table is redrawn, Ctrl-C drains, the cursor comes back', async () => {
    const words = ['-c', TERMINAL, process.execPath, MAIN, 'up']
    const node = follow(
      spawn('python3', words, { cwd: directory, env: environment({ TERM: 'xterm-256color' }) }),
    )
    await node.until(/^ready$/m)
    await node.until(/^SERVICE +READY +STATE .*\nweb +2\/2 +healthy/m)
    expect(node.out()).toContain('\x1b[?25l')
    expect(node.out()).toContain('\x1b[32mhealthy\x1b[39m')
    node.child.stdin.write('\x03')
    expect(await node.exit).toEqual([0, null])
    expect(node.out()).toMatch(/stopping for 0s: 2 replicas left/)
    expect(node.out().lastIndexOf('\x1b[?25h')).toBeGreaterThan(node.out().lastIndexOf('\x1b[?25l'))
  })
})
