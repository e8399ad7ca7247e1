import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  backend,
  Client,
  Fixture,
  startBlackHole,
  startEcho,
  startFixture,
  startUpstream,
  until,
} from '../fixture.ts'

const descriptors = (): number => readdirSync('/proc/self/fd').length

describe('nothing is left behind', () => {
  test('the end of the scope closes every descriptor, whatever its connection was doing', async () => {
    const before = descriptors()
    const node = await new Fixture().start()
    const page = Buffer.alloc(1 << 20, 'x')
    const echo = await startEcho()
    const pouring = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.end(page)
    })
    const port = await node.open()
    const version = await node.applyBackends([backend(1, echo.port), backend(2, pouring.port)])
    expect(version).toBe(1)
    const clients: Client[] = []
    for (let count = 0; count < 20; count++) {
      const talking = new Client(port)
      await talking.exchange('hi', 'hi')
      if (count % 2 === 0) talking.socket.end()
      // Its upstream has sent its end behind more than the kernel takes: half-closed and stuck.
      const stalled = new Client(port)
      stalled.socket.pause()
      clients.push(talking, stalled)
    }
    for (let count = 0; count < 10; count++) clients.push(new Client(port)) // perhaps connecting
    await node.stop()
    for (const { socket } of clients) socket.destroy()
    await echo.close()
    await pouring.close()
    await until(() => descriptors() <= before)
  })

  test('a connection being made to a backend that never answers is given up at once', async () => {
    const hole = await startBlackHole()
    const before = descriptors()
    const node = await new Fixture().start()
    const port = await node.open()
    await node.applyBackends([backend(1, hole)])
    const clients = Array.from({ length: 5 }, () => new Client(port))
    await until(() => clients.every(({ socket }) => !socket.connecting))
    await until(() => descriptors() >= before + 1 + 3 * clients.length) // two ends and an attempt
    await node.stop()
    for (const { socket } of clients) socket.destroy()
    await until(() => descriptors() <= before)
  })

  test('an attempt that took too long is closed when the next one is made', async () => {
    const hole = await startBlackHole()
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open(0, { connectTimeoutMs: 100 })
    await node.applyBackends([backend(1, hole), backend(2, echo.port)])
    const before = descriptors()
    await new Client(port).exchange('hi', 'hi')
    await until(() => descriptors() === before + 4) // two ends of two connections, all ours
  })

  test('a failed bind leaves nothing', async () => {
    const node = await startFixture()
    const port = await node.open()
    const before = descriptors()
    for (let count = 0; count < 10; count++) {
      const { attempt } = node.requestBind({ port })
      await node.event('socket-failed', (event) => event.attempt === attempt)
    }
    await until(() => descriptors() <= before)
  })

  test('out of descriptors: clients are turned away, the listener lives and serves again', async () => {
    // Whether the last descriptor goes to a client or to an upstream is a matter of parity.
    const [even, odd] = await Promise.all([crowdUnder(64), crowdUnder(65)])
    for (const { served, ended } of [even, odd]) {
      expect(served).toBeGreaterThan(0)
      expect(served).toBeLessThan(CROWD)
      expect(ended).toBe(false)
    }
    expect(even.printed + odd.printed).not.toContain('backend-failed')
    // A client the kernel could not hand over is told nobody, an upstream is.
    expect(even.printed + odd.printed).toContain('a connection was lost: out of file descriptors')
  })
})

const CROWD = 100

/** Sends a crowd to a listener with so many descriptors, lets it go, and waits to be served. */
async function crowdUnder(
  limit: number,
): Promise<{ served: number; printed: string; ended: boolean }> {
  const echo = await startEcho()
  const program = new URL('./under-limit.ts', import.meta.url).pathname
  const command = `ulimit -n ${limit}; exec "${process.execPath}" "${program}" ${echo.port}`
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  await until(() => printed.includes('\n'))
  const port = Number.parseInt(printed, 10)
  const crowd = Array.from({ length: CROWD }, () => new Client(port))
  for (const client of crowd) client.socket.write('hi')
  await until(() => crowd.every((each) => each.text === 'hi' || each.ended || each.error))
  const served = crowd.filter(({ text }) => text === 'hi').length
  for (const { socket } of crowd) socket.destroy()
  await until(async () => {
    const next = new Client(port)
    next.socket.write('hi')
    await until(() => next.text === 'hi' || next.ended || next.socket.destroyed)
    next.socket.destroy()
    return next.text === 'hi'
  })
  return { served, printed, ended: child.exitCode !== null }
}
