/**
 * HTTP through `weir up` as an operator runs it, beside nginx and haproxy where they are installed,
 * `http-proxy`, undici behind `node:http`, and the least that moves bytes to and fro in Node: one
 * process each, in front of the same backend. Rounds alternate between the peers, so that what disturbs
 * the machine disturbs all of them; rates still depend on who else computes, and CPU is the fairer
 * figure: what the proxy's own process took, by request, when its code is compiled.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts } from '../system/running-node.ts'
import { hasH2load, hasWrk, type Load, type Result, request, requestByHttp2 } from './http/load.ts'
import type { MachineCosts } from './http/machine-process.ts'
import {
  HAPROXY,
  isInstalled,
  listening,
  NGINX,
  type Place,
  startHaproxy,
  startNginx,
} from './http/programs.ts'
import { startWeir } from './http/weir-peer.ts'
import { type Bench, type BenchRow, median } from './run.ts'

type Report = (row: BenchRow) => void
type Stops = (() => unknown)[]

interface Peer {
  readonly what: string
  readonly plain: number
  readonly tls?: number
  readonly pid: number
  /** It knows no end of a message, let alone that a connection ends with one. */
  readonly isBare?: boolean
}

interface Round extends Result {
  /** Microseconds of the peer's CPU for a request. */
  readonly cpu: number
}

interface Kind extends Omit<Load, 'url'> {
  readonly what: string
  readonly path: string
  readonly rounds: number
  readonly isTls?: boolean
  /** Over HTTP/2, so many at a time on each connection. */
  readonly streams?: number
}

const bench: Bench = {
  name: 'http: requests forwarded',
  async rows(report) {
    await reportMachine(report)
    if (!isInstalled(NGINX)) return report({ what: 'proxies', value: '-', note: NO_BACKEND })
    if (!hasWrk)
      report({ what: 'load', value: '-', note: 'wrk is not installed: a slow one in Node' })
    const stops: Stops = []
    try {
      const { peers, backend } = await startPeers(stops, report)
      await Promise.all(peers.map((peer) => measure(peer, WARM_UP)))
      for (const kind of KINDS) await reportKind(peers, kind, report)
      await reportRoutes(stops, backend, report)
    } finally {
      for (const stop of stops.reverse()) await stop()
    }
  },
}
export default bench

async function startPeers(
  stops: Stops,
  report: Report,
): Promise<{ peers: readonly Peer[]; backend: number }> {
  const [backend = 0, plain = 0, tls = 0] = await freePorts(3)
  const { certificates, pid, stop } = await startWeir({ plain, tls }, backend)
  stops.push(stop)
  const peers: Peer[] = [{ what: WEIR, plain, tls, pid }]
  for (const [what, needs, start] of [
    ['nginx', NGINX, startNginx],
    ['haproxy', HAPROXY, startHaproxy],
  ] as const) {
    if (!isInstalled(needs)) {
      report({ what, value: '-', note: `${needs} is not installed` })
      continue
    }
    const directory = mkdtempSync(join(tmpdir(), `weir-bench-${what}-`))
    stops.push(() => rmSync(directory, { recursive: true, force: true }))
    const place: Place = { directory, certificates, backend, ...(await freePair()) }
    const child = await start(place)
    stops.push(() => ended(child))
    peers.push({ what, plain: place.plain, tls: place.tls, pid: child.pid as number })
  }
  for (const [role, what] of Object.entries(NODE_PEERS)) {
    const [port = 0] = await freePorts(1)
    const child = await startNode(stops, 'node-peers.ts', [role, port, backend], port)
    peers.push({ what, plain: port, pid: child.pid as number, isBare: role === 'bare' })
  }
  return { peers, backend }
}

async function freePair(): Promise<{ plain: number; tls: number }> {
  const [plain = 0, tls = 0] = await freePorts(2)
  return { plain, tls }
}

async function startNode(
  stops: Stops,
  file: string,
  words: readonly (string | number)[],
  port: number,
): Promise<ChildProcess> {
  const path = join(import.meta.dirname, 'http', file)
  const child = spawn(process.execPath, [path, ...words.map(String)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  stops.push(() => ended(child))
  await listening(port)
  return child
}

/** What it writes until then is in its directory. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill()
  await exit
}

async function reportKind(peers: readonly Peer[], kind: Kind, report: Report): Promise<void> {
  if (kind.streams !== undefined && !hasH2load) {
    report({ what: kind.what, value: '-', note: 'h2load is not installed' })
    return
  }
  const rounds = new Map<Peer, Round[]>()
  for (const peer of peers) {
    const isLacking = kind.isTls ? peer.tls === undefined : kind.isFresh && peer.isBare
    if (!isLacking) rounds.set(peer, [])
  }
  // A first one is not counted: connections are made, and code is compiled.
  for (let round = -1; round < kind.rounds; round++) {
    for (const [peer, done] of rounds) {
      const result = await measure(peer, kind)
      if (round >= 0) done.push(result)
    }
  }
  const medians = [...rounds].map(([{ what }, done]) => ({ what, ...medianOf(done) }))
  const weir = medians.find(({ what }) => what === WEIR)
  for (const { what, ...figures } of medians) {
    report({
      what: `${kind.what}: ${what}`,
      value: `${count(figures.perSecond)}/s`,
      note: [
        `CPU ${figures.cpu.toFixed(1)} µs`,
        ...(Number.isNaN(figures.p50) ? [] : [latencies(figures)]),
        ...(weir === undefined || what === WEIR ? [] : [ratio(weir, figures)]),
      ].join('; '),
    })
  }
}

/** How a node's listeners move with their number of routes. */
async function reportRoutes(stops: Stops, backend: number, report: Report): Promise<void> {
  const peers: Peer[] = []
  for (const routes of [1, 100, 10_000]) {
    const [plain = 0] = await freePorts(1)
    const child = await startNode(stops, 'routes-process.ts', [plain, backend, routes], plain)
    peers.push({ what: `${count(routes)} routes`, plain, pid: child.pid as number })
  }
  await Promise.all(peers.map((peer) => measure(peer, { ...ROUTED, seconds: WARM_UP.seconds })))
  await reportKind(peers, ROUTED, report)
}

async function reportMachine(report: Report): Promise<void> {
  const path = join(import.meta.dirname, 'http', 'machine-process.ts')
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', path])
  const costs = JSON.parse(stdout) as MachineCosts
  const row = (what: string, ns: number, note = ''): void =>
    report({ what: `the machine alone: ${what}`, value: `${count(ns)} ns`, note })
  row('an exchange', costs.exchange, `two steps, 9 fields; it makes ${count(costs.bytes)} bytes`)
  row('reading a request', costs.readRequest, 'whose fields are those of the last one')
  row('reading another request', costs.readOtherRequest, 'each with another cookie')
  row('writing its head', costs.writeRequest)
  row('reading a response', costs.readResponse, 'whose fields are those of the last one')
  row('writing its head', costs.writeResponse)
  const [one = 0, hundred = 0, many = 0] = costs.find
  row('finding a route of 1', one)
  row('finding a route of 100', hundred)
  row('finding a route of 10,000', many)
}

async function measure(peer: Peer, kind: Kind): Promise<Round> {
  const { isTls, path, streams, ...load } = kind
  const url = isTls
    ? `https://127.0.0.1:${peer.tls}${path}`
    : `http://127.0.0.1:${peer.plain}${path}`
  const before = cpuOf(peer)
  const whole = { ...load, url }
  const result = await (streams === undefined ? request(whole) : requestByHttp2(whole, streams))
  return { ...result, cpu: (cpuOf(peer) - before) / result.requests }
}

/** Microseconds that all its threads have run so far; the first number of their schedstat. */
function cpuOf({ pid }: Peer): number {
  const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) => {
    try {
      return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    } catch {
      return 0 // a thread that ended meanwhile
    }
  })
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1_000
}

function medianOf(rounds: readonly Round[]): Round {
  const of = (key: keyof Round): number => median(rounds.map((round) => round[key]))
  return {
    requests: of('requests'),
    perSecond: of('perSecond'),
    p50: of('p50'),
    p99: of('p99'),
    p999: of('p999'),
    cpu: of('cpu'),
  }
}

const latencies = ({ p50, p99, p999 }: Result): string =>
  `${[p50, p99, p999].map((ms) => ms.toFixed(2)).join(' / ')} ms`

/** Weir's beside the other one's: how fast, and in brackets how many times the CPU. */
const ratio = (weir: Round, other: Round): string =>
  `weir ${(weir.perSecond / other.perSecond).toFixed(2)} of it, by CPU ${(other.cpu / weir.cpu).toFixed(2)}`

const count = (value: number): string => Math.round(value).toLocaleString('en')

const WEIR = 'weir'
const NODE_PEERS = { bare: 'bare sockets in Node', 'http-proxy': 'http-proxy', undici: 'undici' }
const NO_BACKEND = `${NGINX}, which is the backend, is not installed`
const small = { path: '/', connections: 32, seconds: 1, rounds: 5 }
const large = { ...small, path: '/large', rounds: 3 }
/** Longer, for it begins with as many connections. */
const many = { connections: 256, seconds: 3, rounds: 3 }
/** Longer: handshakes come first. */
const secure = { isTls: true, seconds: 3, rounds: 3 }
const KINDS: readonly Kind[] = [
  { ...small, what: 'small, 32 kept', rounds: 9 },
  { ...small, ...many, what: 'small, 256 kept' },
  { ...large, what: '64 kB, 32 kept' },
  { ...large, ...many, what: '64 kB, 256 kept' },
  { ...small, what: 'small, 32 fresh', isFresh: true },
  { ...small, ...many, what: 'small, 256 fresh', isFresh: true, seconds: 1 },
  { ...large, what: '64 kB, 32 fresh', isFresh: true },
  { ...large, ...many, what: '64 kB, 256 fresh', isFresh: true, seconds: 1 },
  { ...small, ...secure, what: 'TLS: small, 32 kept' },
  { ...large, ...secure, what: 'TLS: 64 kB, 32 kept' },
  { ...small, ...secure, what: 'HTTP/2: small, 4 x 32 streams', connections: 4, streams: 32 },
]
const ROUTED = { ...small, what: 'small, 32 kept', path: '/some/path', host: 'last.example' }
/** All at once: V8 compiles well what ran some ten thousands of times. */
const WARM_UP = { ...small, what: 'warm-up', connections: 16, seconds: 20 }
