/** Ten thousand connections that are kept and do nothing. */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { freePorts, until } from '../../running-node.ts'
import { descriptorsOf, residentBytes } from '../../stream/peers/nodes.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { IdleReport } from '../peers/programs/idle-clients.ts'

const PROGRAM = fileURLToPath(new URL('../peers/programs/idle-clients.ts', import.meta.url))
const PROCESSES = 2
/** As many as there may be, of what is wanted. */
const allowed = Number(
  /^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1],
)
const COUNT = Math.min(10_000, allowed - 500)
/** Of memory, each: 2 kB are Node's own for a socket that was written to. */
const BYTES_EACH_MAX = 24 * 1024

test(`${COUNT} idle keep-alive connections are open until they are asked again`, async () => {
  const [port = 0] = await freePorts(1)
  const file = originService('site', [
    `name: web, protocol: http, port: ${port}, http: { idle_timeout: 10m }`,
  ])
  const node = await startHttpNode({ 'weir.yaml': deploymentOf(file) })
  onTestFinished(async () => void (await node.stop()))
  const quiet = descriptorsOf(node.pid)
  const before = residentBytes(node.pid)
  const clients = Array.from({ length: PROCESSES }, () => start(port, COUNT / PROCESSES))
  await Promise.all(clients.map((client) => told(client, 'idle')))
  expect(descriptorsOf(node.pid)).toBeGreaterThanOrEqual(COUNT)
  const each = (residentBytes(node.pid) - before) / COUNT
  console.log(`${COUNT} idle connections take ${(each / 1024).toFixed(1)} kB each`)
  expect(each).toBeLessThan(BYTES_EACH_MAX)

  const done = clients.map((client) => told(client, 'done'))
  for (const client of clients) client.send('again')
  for (const report of await Promise.all(done)) {
    expect(report).toEqual({ type: 'done', answered: COUNT / PROCESSES, over: 0 })
  }
  // those kept to the replica may stay a while
  await until(() => descriptorsOf(node.pid) < quiet + 200)
})

function start(port: number, count: number): ChildProcess {
  const child = fork(PROGRAM, [`${port}`, `${count}`], { execArgv: ['--no-warnings'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

function told(child: ChildProcess, type: IdleReport['type']): Promise<IdleReport> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) =>
      reject(new Error(`clients ended with ${code} before ${type}`))
    child.once('exit', ended)
    child.on('message', (report: IdleReport) => {
      if (report.type !== type) return
      child.off('exit', ended)
      resolve(report)
    })
  })
}
