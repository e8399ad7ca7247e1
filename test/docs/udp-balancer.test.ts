/** The UDP example as a consumer has it: another process, real sockets, the package's own rooms. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { entryTexts } from '../../build.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EXAMPLE = join(ROOT, 'docs/examples/udp-balancer')
const FILES = ['balancer.mjs', 'main.mjs', 'sockets.mjs']
const ROOMS = ['udp', 'net']
const HOST = '127.0.0.1'

let directory: string
const sockets: Socket[] = []
const processes: ChildProcess[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-udp-balancer-'))
  // The rooms it imports, from the sources instead of a build.
  for (const room of ROOMS) {
    const text = entryTexts().get(`core/${room}`)!
    await writeFile(join(directory, `${room}.ts`), text.replaceAll('../../../', ROOT))
  }
  for (const file of FILES) {
    let text = await readFile(join(EXAMPLE, file), 'utf8')
    for (const room of ROOMS) text = text.replaceAll(`'weir/core/${room}'`, `'./${room}.ts'`)
    await writeFile(join(directory, file), text)
  }
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
})

afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
})

afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL')
  for (const socket of sockets.splice(0)) socket.close()
})

async function boundSocket(): Promise<Socket & { readonly port: number }> {
  const socket = createSocket('udp4')
  sockets.push(socket)
  socket.bind(0, HOST)
  await once(socket, 'listening')
  return Object.assign(socket, { port: socket.address().port })
}

/** Answers with its name before what it was sent. */
async function startBackend(name: string): Promise<{ readonly at: string; close(): void }> {
  const socket = await boundSocket()
  socket.on('message', (query, { port, address }) => socket.send(`${name} ${query}`, port, address))
  const close = (): void => {
    sockets.splice(sockets.indexOf(socket), 1)
    socket.close()
  }
  return { at: `${HOST}:${socket.port}`, close }
}

interface Balancer {
  readonly child: ChildProcess
  readonly port: number
  /** Lines it wrote to stderr. */
  readonly complaints: readonly string[]
}

async function startBalancer(...backends: readonly { readonly at: string }[]): Promise<Balancer> {
  const args = ['main.mjs', `${HOST}:0`, ...backends.map(({ at }) => at)]
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  processes.push(child)
  const complaints: string[] = []
  createInterface(child.stderr).on('line', (line) => complaints.push(line))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const [, port] = /^listening on port (\d+)$/.exec(line)!
  return { child, port: Number(port), complaints }
}

/** A client that asks until it is answered: UDP may lose what it is sent. */
async function ask(client: Socket, port: number, query: string): Promise<string> {
  for (;;) {
    client.send(query, port, HOST)
    const answers = once(client, 'message', { signal: AbortSignal.timeout(500) })
    const [answer] = (await answers.catch(() => [''])) as [Buffer | string]
    if (String(answer).endsWith(` ${query}`)) return String(answer)
  }
}

const clientsOf = (count: number): Promise<Socket[]> =>
  Promise.all(Array.from({ length: count }, boundSocket))

test('each client is answered by one backend, and both backends have clients', async () => {
  const { port, complaints } = await startBalancer(await startBackend('a'), await startBackend('b'))
  const clients = await clientsOf(20)
  const answers = await Promise.all(
    clients.map(async (client, number) => {
      const got: string[] = []
      for (let round = 0; round < 5; round++) {
        got.push(await ask(client, port, `client ${number} round ${round}`))
      }
      return got
    }),
  )
  expect(answers.filter(([first]) => first?.startsWith('a'))).toHaveLength(10)
  const expected = answers.map(([answer = ''], number) =>
    Array.from({ length: 5 }, (_, round) => `${answer[0]} client ${number} round ${round}`),
  )
  expect(answers).toEqual(expected)
  expect(complaints).toEqual([])
})

test('when a backend dies its clients go on with the other one', async () => {
  const [a, b] = [await startBackend('a'), await startBackend('b')]
  const { port, complaints } = await startBalancer(a, b)
  const clients = await clientsOf(4)
  const before = await Promise.all(clients.map((client) => ask(client, port, 'before')))
  expect(before.toSorted()).toEqual(['a before', 'a before', 'b before', 'b before'])
  a.close()
  const after = await Promise.all(clients.map((client) => ask(client, port, 'after')))
  expect(after).toEqual(new Array(4).fill('b after'))
  await expect.poll(() => complaints[0]).toBe(`${a.at} failed: ECONNREFUSED`)
})

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it, and lets go of the port', async (signal) => {
  const { child, port } = await startBalancer(await startBackend('a'))
  const [client] = await clientsOf(1)
  await ask(client!, port, 'here')
  const ended = once(child, 'exit')
  child.kill(signal)
  expect(await ended).toEqual([0, null])
  const next = createSocket('udp4')
  sockets.push(next)
  next.bind(port, HOST)
  await once(next, 'listening')
})

test('it waits for an answer that is on its way', async () => {
  const silent = await boundSocket()
  const { child, port } = await startBalancer({ at: `${HOST}:${silent.port}` })
  const [client] = await clientsOf(1)
  const asked = once(silent, 'message')
  client!.send('query', port, HOST)
  const [, balancer] = (await asked) as [Buffer, { port: number }]
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const answered = once(client!, 'message')
  silent.send('answer', balancer.port, HOST)
  expect(String((await answered)[0])).toBe('answer')
  expect(await ended).toEqual([0, null])
})

test('it does not wait for ever for an answer', async () => {
  const silent = await boundSocket()
  const { child, port } = await startBalancer({ at: `${HOST}:${silent.port}` })
  const [client] = await clientsOf(1)
  const asked = once(silent, 'message')
  client!.send('query', port, HOST)
  await asked
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

test.each([
  [['here:53'], 'here:53 is no address like 127.0.0.1:53'],
  [[`${HOST}:0`, `${HOST}:0`], `${HOST}:0 has no port`],
  [[], 'usage: node main.mjs LISTEN BACKEND...'],
])('arguments it cannot use are named: %j', async (args, complaint) => {
  const run = promisify(execFile)(process.execPath, ['main.mjs', ...args], { cwd: directory })
  await expect(run).rejects.toThrow(complaint)
})

test('the event loop is short: 45 lines without comments', async () => {
  const text = await readFile(join(EXAMPLE, 'balancer.mjs'), 'utf8')
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const lines = code.split('\n').filter((line) => line.trim() !== '')
  expect(lines.length).toBeGreaterThan(20) // and the comments were told from the code
  expect(lines.length).toBeLessThanOrEqual(45)
})

test('its types are right', async () => {
  const options = {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    allowJs: true,
    checkJs: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: ['node'],
  }
  const config = { compilerOptions: options, files: ['main.mjs'] }
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const run = promisify(execFile)(tsc, ['-p', directory])
  const { stdout } = await run.catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
})
