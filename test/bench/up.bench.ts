/** How long an operator waits: from `weir up` to `ready`, and for a replacement after a crash. */
import { execFile } from 'node:child_process'
import type { ReplicaView } from '../../core/node/view.ts'
import { request } from '../system/load.ts'
import { freePorts, RunningNode } from '../system/running-node.ts'
import { type Bench, median } from './run.ts'

const RUNS = 5

/** Listens at once: what is measured is Weir and the start of Node itself. */
const SERVER = `
import { createServer } from 'node:net'
createServer((socket) => socket.end('HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n' + process.pid))
  .listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
`

const bench: Bench = {
  name: 'up',
  async rows(report) {
    const [port = 0] = await freePorts(1)
    const file = `
version: v1
deployment: bench
services:
  web:
    command: [node, server.mjs]
    scale: { mode: fixed, replicas: 1 }
    endpoints: [ { name: http, protocol: http, port: ${port}, expose: public } ]
    health: { interval: 1s, check: { type: http, url: http://localhost/ } }
`
    const upMs: number[] = []
    const backMs: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const from = performance.now()
      const node = await RunningNode.start({ 'weir.yaml': file, 'server.mjs': SERVER })
      try {
        await node.ready()
        upMs.push(performance.now() - from)
        backMs.push(await timeReplacement(node, port))
      } finally {
        await node.stop()
      }
    }
    const programMs = median(await Promise.all([timeProgram(), timeProgram(), timeProgram()]))
    const start = `an empty node program alone takes ${programMs.toFixed(0)} ms`
    report({
      what: 'from `weir up` to `ready`, one replica',
      value: `${median(upMs).toFixed(0)} ms`,
      note: start,
    })
    const goal = 'goal: 1,000 ms; the only replica, killed with SIGKILL, answers again'
    report({
      what: 'replacement of a killed replica',
      value: `${median(backMs).toFixed(0)} ms`,
      note: goal,
    })
  },
}

export default bench

async function timeReplacement(node: RunningNode, port: number): Promise<number> {
  const [victim] = await node.json<ReplicaView[]>('ps')
  process.kill(victim?.pid as number, 'SIGKILL')
  const from = performance.now()
  for (;;) {
    const body = await request(port).catch(() => '')
    if (body !== '' && body !== String(victim?.pid)) return performance.now() - from
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function timeProgram(): Promise<number> {
  const from = performance.now()
  await new Promise((resolve) => execFile(process.execPath, ['-e', ''], resolve))
  return performance.now() - from
}
