/** The HTTP example as a consumer has it: another process, real sockets, the package's own rooms. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { entryTexts } from '../../build.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EXAMPLE = join(ROOT, 'docs/examples/http-balancer')
const ROOMS = ['http', 'net']
const HOST = '127.0.0.1'
const PATIENTLY = { timeout: 10_000 }

let directory: string
const servers: Server[] = []
const processes: ChildProcess[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-http-balancer-'))
  // The rooms it imports, from the sources instead of a build.
  for (const room of ROOMS) {
    const text = entryTexts().get(`core/${room}`)!
    await writeFile(join(directory, `${room}.ts`), text.replaceAll('../../../', ROOT))
  }
  let text = await readFile(join(EXAMPLE, 'balancer.mjs'), 'utf8')
  for (const room of ROOMS) text = text.replaceAll(`'weir/core/${room}'`, `'./${room}.ts'`)
  await writeFile(join(directory, 'balancer.mjs'), text)
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
})

afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
})

afterEach(() => {
  for (const child of processes.splice(0)) child.kill('SIGKILL')
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

async function startBackend(listener: RequestListener): Promise<{ server: Server; at: string }> {
  const server = createServer(listener)
  servers.push(server)
  server.listen(0, HOST)
  await once(server, 'listening')
  return { server, at: `${HOST}:${(server.address() as AddressInfo).port}` }
}

const named =
  (name: string): RequestListener =>
  (request, response) => {
    request.resume().on('end', () => response.end(`${name} ${request.url}`))
  }

interface Balancer {
  readonly child: ChildProcess
  readonly at: string
  readonly port: number
  /** Lines it wrote, without the first. */
  readonly said: readonly string[]
  readonly complaints: readonly string[]
}

async function startBalancer(...backends: readonly { readonly at: string }[]): Promise<Balancer> {
  const args = ['balancer.mjs', `${HOST}:0`, ...backends.map(({ at }) => at)]
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  processes.push(child)
  const complaints: string[] = []
  createInterface(child.stderr).on('line', (line) => complaints.push(line))
  const lines = createInterface(child.stdout)
  const [line] = (await once(lines, 'line')) as [string]
  const said: string[] = []
  lines.on('line', (each) => said.push(each))
  const port = Number(/^listening on port (\d+)$/.exec(line)![1])
  return { child, at: `http://${HOST}:${port}`, port, said, complaints }
}

const textOf = async (url: string): Promise<string> => (await fetch(url)).text()

test('requests are shared out, and each is told', async () => {
  const [a, b] = [await startBackend(named('a')), await startBackend(named('b'))]
  const { at, said, complaints } = await startBalancer(a, b)
  const answers: string[] = []
  for (const path of ['/1', '/2', '/3', '/4']) answers.push(await textOf(`${at}${path}`))
  expect(answers).toEqual(['a /1', 'b /2', 'a /3', 'b /4'])
  await expect
    .poll(() => said, PATIENTLY)
    .toEqual(
      [a, b, a, b].map((backend, index) => `GET ${at.slice(7)}/${index + 1} 200 by ${backend.at}`),
    )
  expect(complaints).toEqual([])
})

test('when a backend dies its requests go to the other one', async () => {
  const [a, b] = [await startBackend(named('a')), await startBackend(named('b'))]
  const { at, complaints } = await startBalancer(a, b)
  a.server.close()
  a.server.closeAllConnections()
  for (const path of ['/1', '/2', '/3']) expect(await textOf(`${at}${path}`)).toBe(`b ${path}`)
  await expect.poll(() => complaints[0], PATIENTLY).toContain(`${a.at} connect ECONNREFUSED`)
})

test('nobody there is 502', async () => {
  const { server, at } = await startBackend(named('a'))
  server.close()
  const balancer = await startBalancer({ at })
  expect((await fetch(balancer.at)).status).toBe(502)
})

test('large bodies go both ways, as fast as they are taken', async () => {
  const backend = await startBackend((request, response) => request.pipe(response))
  const { at, complaints } = await startBalancer(backend)
  const body = Buffer.alloc(8 * 1024 ** 2, 'weir')
  const answer = await fetch(at, { method: 'POST', body })
  expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true)
  expect(complaints).toEqual([])
})

test('a tunnel goes through, and ends when both sides have', async () => {
  const backend = await startBackend(named('a'))
  backend.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  const { port } = await startBalancer(backend)
  const socket = connect({ port, host: HOST, allowHalfOpen: true })
  let heard = ''
  socket.on('data', (bytes) => {
    heard += bytes
  })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  await expect.poll(() => heard, PATIENTLY).toMatch(/^HTTP\/1.1 101 /)
  socket.end('ahoy')
  await once(socket, 'end')
  expect(heard).toMatch(/\r\n\r\nahoy$/)
})

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends it when all is answered', async (signal) => {
  const answers: (() => void)[] = []
  const backend = await startBackend((_request, response) => {
    answers.push(() => response.end('at last'))
  })
  const { child, at, port } = await startBalancer(backend)
  const idle = connect(port, HOST)
  await once(idle, 'connect')
  const asked = fetch(at)
  await expect.poll(() => answers.length, PATIENTLY).toBe(1)
  const [ended, closed] = [once(child, 'exit'), once(idle, 'close')]
  idle.resume()
  child.kill(signal)
  await closed
  answers[0]!()
  expect(await (await asked).text()).toBe('at last')
  expect(await ended).toEqual([0, null])
})

test.each([
  [['here:80'], 'here:80 is no address like 127.0.0.1:8000'],
  [[], 'usage: node balancer.mjs LISTEN BACKEND...'],
])('arguments it cannot use are named: %j', async (args, complaint) => {
  const run = promisify(execFile)(process.execPath, ['balancer.mjs', ...args], { cwd: directory })
  await expect(run).rejects.toThrow(complaint)
})

test('it is short: 100 lines without comments', async () => {
  const text = await readFile(join(EXAMPLE, 'balancer.mjs'), 'utf8')
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const lines = code.split('\n').filter((line) => line.trim() !== '')
  expect(lines.length).toBeGreaterThan(50) // and the comments were told from the code
  expect(lines.length).toBeLessThanOrEqual(100)
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
  const config = { compilerOptions: options, files: ['balancer.mjs'] }
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify(config))
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const run = promisify(execFile)(tsc, ['-p', directory])
  const { stdout } = await run.catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
}, 60_000)
