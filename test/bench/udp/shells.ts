/**
 * What goes through Weir's two shells, beside nginx, a bare `dgram` proxy and no proxy at all. Each
 * is a process of its own; so are the clients and the service behind. Rounds alternate between
 * the peers, so that what disturbs the machine disturbs all of them.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type BenchRow, median } from '../run.ts'
import type { Load, LoadResult } from './clients.ts'
import { startNginx } from './nginx.ts'
import type { ProcessReport, ProcessRole, Question } from './processes.ts'

interface Peer {
  readonly what: string
  readonly port: number
  /** None for the direct path. */
  readonly pid?: number
}

interface Round {
  /** Round trips a second. */
  readonly rate: number
  /** Microseconds of the peer's CPU for one of them. */
  readonly cpu: number
  readonly result: LoadResult
}

type Report = (row: BenchRow) => void

export async function reportShells(report: Report): Promise<void> {
  const stops: (() => unknown)[] = []
  try {
    const start = async (role: ProcessRole, port = 0): Promise<Started> => {
      const started = await startProcess(role, port)
      stops.push(() => started.child.kill())
      return started
    }
    const clients = await start('clients')
    if (clients.missing !== undefined) {
      report({ what: 'the shells', value: '-', note: `no clients to ask: ${clients.missing}` })
      return
    }
    const echo = await start('echo')
    const peers: Peer[] = [{ what: 'no proxy at all', port: echo.port }]
    const nginx = await startNginx(echo.port)
    if (typeof nginx === 'string') report({ what: 'nginx', value: '-', note: nginx })
    else {
      stops.push(nginx.stop)
      peers.push({ what: 'nginx', ...nginx })
    }
    for (const [role, what] of ROLES) {
      const { child, port, missing } = await start(role, echo.port)
      if (missing !== undefined) report({ what, value: '-', note: missing })
      else peers.push({ what, port, pid: child.pid! })
    }
    const rounds = await measure(clients.child, peers)
    reportRounds(peers, rounds, report)
    await reportPaced(clients.child, peers, rounds, report)
  } finally {
    for (const stop of stops.reverse()) await stop()
  }
}

async function measure(clients: ChildProcess, peers: readonly Peer[]): Promise<Map<Peer, Round[]>> {
  const rounds = new Map<Peer, Round[]>(peers.map((peer) => [peer, []]))
  for (const peer of peers) await waitForAnswers(clients, peer)
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    for (const peer of peers) {
      const before = cpuOf(peer)
      const result = await work(clients, peer, { durationMs: ROUND_MS })
      const cpu = (cpuOf(peer) - before) / result.answered
      const rate = (result.answered * 1000) / ROUND_MS
      if (round >= 0) rounds.get(peer)!.push({ rate, cpu, result })
    }
  }
  return rounds
}

function reportRounds(
  peers: readonly Peer[],
  rounds: ReadonlyMap<Peer, Round[]>,
  report: Report,
): void {
  const rateOf = (what: string): number | undefined => {
    const peer = peers.find((each) => each.what === what)
    return peer && median(rounds.get(peer)!.map(({ rate }) => rate))
  }
  for (const peer of peers) {
    const rate = rateOf(peer.what)!
    const cpu = median(rounds.get(peer)!.map((round) => round.cpu))
    const goal = GOALS[peer.what]
    const other = goal && rateOf(goal.beside)
    const notes = [
      ...(peer.pid === undefined ? [] : [`${cpu.toFixed(1)} µs of CPU each`]),
      lossOf(rounds.get(peer)!.map(({ result }) => result)),
      ...(other ? [`${(rate / other).toFixed(2)} of ${goal.beside}, goal ${goal.ratio}`] : []),
    ]
    report({ what: peer.what, value: `${whole(rate)} round trips/s`, note: notes.join('; ') })
  }
}

/** At half of what each can do, with pauses between datagrams instead of after answers. */
async function reportPaced(
  clients: ChildProcess,
  peers: readonly Peer[],
  rounds: ReadonlyMap<Peer, Round[]>,
  report: Report,
): Promise<void> {
  for (const peer of peers) {
    const most = Math.min(...rounds.get(peer)!.map(({ rate }) => rate))
    const perSecond = Math.round(most / 2)
    const result = await work(clients, peer, { durationMs: PACED_MS, perSecond }, PACED_WINDOW)
    const reached = (result.answered * 1000) / PACED_MS
    report({
      what: `${peer.what}, at half of that`,
      value: `${whole(reached)} round trips/s`,
      note: `${lossOf([result])}, goal 0`,
    })
  }
}

function lossOf(results: readonly LoadResult[]): string {
  const total = (count: (result: LoadResult) => number): number =>
    results.reduce((sum, result) => sum + count(result), 0)
  const strays = total((result) => result.strays)
  const lost = `${whole(total((result) => result.lost))} lost of ${whole(total(({ sent }) => sent))}`
  return strays === 0 ? lost : `${lost}; ${whole(strays)} answers to the wrong client`
}

/** Starting takes some of them a moment. */
async function waitForAnswers(clients: ChildProcess, peer: Peer): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { answered } = await work(clients, peer, { durationMs: 50 })
    if (answered > 0) return
  }
  throw new Error(`${peer.what} answers nothing`)
}

async function work(
  clients: ChildProcess,
  { port }: Peer,
  load: Load,
  window = WINDOW,
): Promise<LoadResult> {
  const report = answerOf(clients)
  const question: Question = { port, sockets: SOCKETS, window, ...load }
  clients.send(question)
  const done = await report
  if (done.type !== 'done') throw new Error('the clients said something else')
  return done
}

interface Started {
  readonly child: ChildProcess
  readonly port: number
  /** Why it does not serve. */
  readonly missing?: string
}

async function startProcess(role: ProcessRole, port: number): Promise<Started> {
  const program = new URL('./processes.ts', import.meta.url)
  const env = { ...process.env, WEIR_UDP: undefined }
  const child = fork(program, [role, String(port)], { execArgv: ['--no-warnings'], env })
  const report = await answerOf(child)
  if (report.type === 'unavailable') return { child, port: 0, missing: report.reason }
  if (report.type !== 'ready') throw new Error(`${role} did not start`)
  return { child, port: report.port }
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

/** Microseconds of all its threads so far; proc_pid_stat(5), where ticks are hundredths. */
function cpuOf({ pid }: Peer): number {
  if (pid === undefined) return 0
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')

const ROLES: readonly (readonly [role: ProcessRole, what: string])[] = [
  ['batch', 'weir, batch'],
  ['bare', 'a bare dgram proxy'],
  ['dgram', 'weir, dgram'],
]
const GOALS: Readonly<Record<string, { readonly beside: string; readonly ratio: number }>> = {
  'weir, batch': { beside: 'nginx', ratio: 1.3 },
  'weir, dgram': { beside: 'a bare dgram proxy', ratio: 0.95 },
}

/** Client sockets, and requests each of them has on their way. */
const SOCKETS = 64
const WINDOW = 4
const PACED_WINDOW = 64
const WARM_UP_ROUNDS = 1
const ROUNDS = 5
const ROUND_MS = 1_000
const PACED_MS = 3_000
