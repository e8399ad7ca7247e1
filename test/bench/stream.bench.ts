/**
 * The TCP listener beside the least that can be written in Node, `a.pipe(b); b.pipe(a)`, beside nginx
 * and haproxy, where they are installed, and beside no proxy at all; then all of them where TLS ends
 * in them. Each is one process with one worker; so are the service behind and the clients. Rounds
 * alternate between the peers, so that what disturbs the machine disturbs all of them.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { place } from '../shells/node/tls/fixtures.ts'
import { type Bench, type BenchRow, median } from './run.ts'
import type { Work } from './stream/clients.ts'
import type { ProcessReport, ProcessRole, Question } from './stream/processes.ts'
import { startProxy } from './stream/proxies.ts'

type Report = (row: BenchRow) => void

interface Peer {
  readonly what: string
  readonly plain: number
  readonly tls?: number
  /** None for the direct path. */
  readonly pid?: number
}

interface Round {
  /** Bytes, requests, connections or handshakes a second. */
  readonly rate: number
  /** Microseconds of the peer's CPU for one of them. */
  readonly cpu: number
}

interface Load {
  readonly what: string
  readonly work: Work
  readonly isTls?: boolean
  readonly format: (rate: number) => string
  /** Of one of them, of so many microseconds of CPU. */
  readonly formatCpu: (cpu: number) => string
}

const bench: Bench = {
  name: 'stream: TCP forwarding, and TLS that ends here',
  async rows(report) {
    const stops: (() => unknown)[] = []
    const certificates = mkdtempSync(join(tmpdir(), 'weir-bench-certificates-'))
    stops.push(() => rmSync(certificates, { recursive: true }))
    place(certificates, { default: 'a.example' })
    const start = async (role: ProcessRole, ...words: readonly (string | number)[]) => {
      const worker = await startWorker(role, words.map(String))
      stops.push(() => worker.child.kill())
      return worker
    }
    try {
      const upstream = await start('upstream')
      const peers: Peer[] = [{ what: DIRECT, plain: upstream.plain }]
      for (const role of ['bare', 'weir'] as const) {
        const { child, ...ports } = await start(role, upstream.plain, certificates)
        peers.push({ what: NAMES[role], ...ports, pid: child.pid! })
      }
      for (const what of ['nginx', 'haproxy'] as const) {
        const proxy = await startProxy(what, upstream.plain, certificates)
        if (typeof proxy === 'string') {
          report({ what, value: '-', note: proxy })
          continue
        }
        stops.push(proxy.stop)
        peers.push({ what, plain: proxy.plain, tls: proxy.tls, pid: proxy.pid })
      }
      const clients = await start('clients')
      for (const load of LOADS) await reportLoad(clients.child, peers, load, report)
    } finally {
      for (const stop of stops.reverse()) await stop()
    }
  },
}
export default bench

async function reportLoad(
  clients: ChildProcess,
  peers: readonly Peer[],
  load: Load,
  report: Report,
): Promise<void> {
  const rounds = new Map<Peer, Round[]>()
  for (const peer of peers) {
    if (!load.isTls || peer.tls !== undefined) rounds.set(peer, [])
  }
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    for (const [peer, done] of rounds) {
      const result = await measure(clients, peer, load)
      if (round >= 0) done.push(result)
    }
  }
  const medians = new Map(
    [...rounds].map(([{ what }, done]) => [
      what,
      { rate: median(done.map(({ rate }) => rate)), cpu: median(done.map(({ cpu }) => cpu)) },
    ]),
  )
  for (const [what, { rate, cpu }] of medians) {
    report({
      what: `${load.what}: ${what}`,
      value: load.format(rate),
      note: [
        ...(what === DIRECT ? [] : [`CPU ${load.formatCpu(cpu)}`]),
        ...(what === NAMES.weir ? ratiosOf(medians) : []),
      ].join('; '),
    })
  }
}

/** Weir's beside each other one's: how fast, and in brackets how much of the CPU for the same. */
function ratiosOf(medians: ReadonlyMap<string, Round>): string[] {
  const weir = medians.get(NAMES.weir)
  return [...medians].flatMap(([what, other]) =>
    weir === undefined || other === weir || what === DIRECT
      ? []
      : `${(weir.rate / other.rate).toFixed(2)} of ${what} (CPU ${(weir.cpu / other.cpu).toFixed(2)})`,
  )
}

async function measure(clients: ChildProcess, peer: Peer, load: Load): Promise<Round> {
  const before = cpuOf(peer)
  const port = (load.isTls ? peer.tls : peer.plain) as number
  const report = answerOf(clients)
  const question: Question = { port, work: load.work }
  clients.send(question)
  const done = await report
  if (done.type !== 'done') throw new Error('the clients said something else')
  return {
    rate: (done.units * 1_000) / done.elapsedMs,
    cpu: (cpuOf(peer) - before) / done.units,
  }
}

type Started = Extract<ProcessReport, { type: 'ready' }> & { readonly child: ChildProcess }

async function startWorker(role: ProcessRole, words: readonly string[]): Promise<Started> {
  const program = new URL('./stream/processes.ts', import.meta.url)
  const child = fork(program, [role, ...words], { execArgv: ['--no-warnings'] })
  const report = await answerOf(child)
  if (report.type !== 'ready') throw new Error(`${role} did not start`)
  return { ...report, child }
}

function answerOf(child: ChildProcess): Promise<ProcessReport> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null): void => reject(new Error(`a process ended with ${code}`))
    child.once('exit', died)
    child.once('message', (report) => {
      child.off('exit', died)
      resolve(report as ProcessReport)
    })
  })
}

/** Microseconds that all its threads have run so far; the first number of their schedstat. */
function cpuOf({ pid }: Peer): number {
  if (pid === undefined) return 0
  const threads = readdirSync(`/proc/${pid}/task`)
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1_000
}

const DIRECT = 'no proxy at all'
const NAMES = { bare: 'a bare Node pipe', weir: 'weir' } as const

const gigabytes = (rate: number): string => `${(rate / 1e9).toFixed(2)} GB/s`
const perGigabyte = (cpu: number): string => `${((cpu * 1e9) / 1e6).toFixed(2)} s a GB`
const perSecond =
  (unit: string) =>
  (rate: number): string =>
    `${Math.round(rate).toLocaleString('en')} ${unit}/s`
const microseconds = (cpu: number): string => `${cpu.toFixed(1)} µs each`

const LOADS: readonly Load[] = [
  {
    what: 'large transfers, 4 connections',
    work: { type: 'download', connections: 4, durationMs: 500 },
    format: gigabytes,
    formatCpu: perGigabyte,
  },
  {
    what: 'requests of 64 bytes, 32 connections',
    work: { type: 'requests', connections: 32, durationMs: 500 },
    format: perSecond('requests'),
    formatCpu: microseconds,
  },
  {
    what: 'new connections, 32 at a time',
    work: { type: 'connections', connections: 32, durationMs: 500 },
    format: perSecond('connections'),
    formatCpu: microseconds,
  },
  {
    what: 'TLS: large transfers, 4 connections',
    work: { type: 'tls-download', connections: 4, durationMs: 500 },
    isTls: true,
    format: gigabytes,
    formatCpu: perGigabyte,
  },
  {
    what: 'TLS: handshakes, 16 at a time',
    work: { type: 'handshakes', connections: 16, durationMs: 500 },
    isTls: true,
    format: perSecond('handshakes'),
    formatCpu: microseconds,
  },
]
const ROUNDS = 11
const WARM_UP_ROUNDS = 1
