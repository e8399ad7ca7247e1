/**
 * The TCP listener beside the least that can be written in Node, `a.pipe(b); b.pipe(a)`, in the
 * same run. Each peer is a process of its own; so are the upstream and the clients. Rounds
 * alternate between the peers, so that what disturbs the machine disturbs both.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { type Bench, median } from './run.ts'
import type { ProcessReport, ProcessRole, Work } from './stream-processes.ts'

const bench: Bench = {
  name: 'stream: TCP forwarding against a bare Node pipe',
  async rows(report) {
    const processes: Worker[] = []
    const start = async (role: ProcessRole, port = 0): Promise<Worker> => {
      const worker = await startWorker(role, port)
      processes.push(worker)
      return worker
    }
    try {
      const upstream = await start('upstream')
      const peers = {
        bare: await start('bare', upstream.port),
        weir: await start('weir', upstream.port),
      }
      const clients = await start('clients')
      for (const load of LOADS) {
        const bare: Round[] = []
        const weir: Round[] = []
        for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
          const bareRound = await measure(clients, peers.bare, load.work)
          const weirRound = await measure(clients, peers.weir, load.work)
          if (round < 0) continue
          bare.push(bareRound)
          weir.push(weirRound)
        }
        const [rate, bareRate] = [medianOf(weir, 'rate'), medianOf(bare, 'rate')]
        const [cpu, bareCpu] = [medianOf(weir, 'cpuPerUnit'), medianOf(bare, 'cpuPerUnit')]
        const ratio = (rate / bareRate).toFixed(2)
        const cpuRatio = (cpu / bareCpu).toFixed(2)
        report({
          what: load.what,
          value: load.format(rate),
          note: `${ratio} of a bare pipe (${load.format(bareRate)}); CPU per unit ${cpuRatio} of its`,
        })
      }
    } finally {
      for (const { child } of processes) child.kill()
    }
  },
}
export default bench

interface Worker {
  readonly child: ChildProcess
  readonly port: number
}

interface Round {
  /** Bytes, requests or connections a second. */
  readonly rate: number
  /** Microseconds of the peer's CPU for one of them. */
  readonly cpuPerUnit: number
}

async function startWorker(role: ProcessRole, port: number): Promise<Worker> {
  const program = new URL('./stream-processes.ts', import.meta.url)
  const child = fork(program, [role, String(port)], { execArgv: ['--no-warnings'] })
  const report = await answer(child)
  if (report.type !== 'ready') throw new Error(`${role} did not start`)
  return { child, port: report.port }
}

async function measure(clients: Worker, peer: Worker, work: Work): Promise<Round> {
  const before = await ask(peer, { type: 'cpu' })
  const done = await ask(clients, { type: 'work', port: peer.port, work })
  const after = await ask(peer, { type: 'cpu' })
  if (before.type !== 'cpu' || after.type !== 'cpu' || done.type !== 'done') {
    throw new Error('a process answered something else')
  }
  return {
    rate: done.units / (done.elapsedMs / 1000),
    cpuPerUnit: (after.microseconds - before.microseconds) / done.units,
  }
}

function ask(worker: Worker, question: object): Promise<ProcessReport> {
  const report = answer(worker.child)
  worker.child.send(question)
  return report
}

function answer(child: ChildProcess): Promise<ProcessReport> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void => reject(new Error(`a process ended with ${code}`))
    child.once('exit', died)
    child.once('message', (report) => {
      child.off('exit', died)
      resolve(report as ProcessReport)
    })
  })
}

const medianOf = (rounds: readonly Round[], key: keyof Round): number =>
  median(rounds.map((round) => round[key]))

const LOADS: readonly { what: string; work: Work; format: (rate: number) => string }[] = [
  {
    what: 'large transfers, 4 connections',
    work: { type: 'download', connections: 4, durationMs: 500 },
    format: (rate) => `${(rate / 1e9).toFixed(2)} GB/s`,
  },
  {
    what: 'requests of 64 bytes, 32 connections',
    work: { type: 'requests', connections: 32, durationMs: 500 },
    format: (rate) => `${Math.round(rate)} requests/s`,
  },
  {
    what: 'new connections, 32 at a time',
    work: { type: 'connections', connections: 32, durationMs: 500 },
    format: (rate) => `${Math.round(rate)} connections/s`,
  },
]
const ROUNDS = 11
const WARM_UP_ROUNDS = 1
