import type { BackendGroup, BackendId, Member } from '../balance/group.ts'
import { type Attempt, assert, type Instant } from '../machine.ts'
import type { AccessList } from '../policy/access.ts'
import type { DeadlineQueue } from '../time/deadline-queue.ts'
import type { UseTimer } from '../time/use-timer.ts'
import type { EndReason, RefuseReason } from './commands.ts'
import type { Peers } from './entrance/events.ts'
import type { ConnectionId, Side, WhenEmpty } from './events.ts'

export interface StreamConfig {
  /** For one attempt. */
  readonly connectTimeoutMs: number
  /** Backends one connection may try, each at most once. */
  readonly connectAttemptsMax: number
  /** Without a byte moving either way; 0 = no limit. */
  readonly idleTimeoutMs: number
  /** Connections at one time; more are refused and counted. */
  readonly connectionsMax: number
  /**
   * Connections to one backend, those being made included; 0 = no limit. Holds for the listener at
   * once; lowering it ends nothing.
   */
  readonly connectionsPerBackendMax: number
  /** Whether upstreams are told who the client is, by a PROXY protocol v2 header before its bytes. */
  readonly proxyProtocol: boolean
  /** Whether upstreams are spoken to in TLS. */
  readonly upstreamTls: boolean
  /** Who may come. With entries, whoever nobody knows may not. */
  readonly access: AccessList
  /** Connections waiting for a backend; more are refused and counted. Holds for the listener at once. */
  readonly heldMax: number
  /** How long one waits for a backend; 0 = it is refused, and `wanted` is said all the same. */
  readonly holdTimeoutMs: number
  /** Without a connection, until `idle` is said; 0 = never. Holds for the listener at once. */
  readonly idleAfterMs: number
}

export const defaultStreamConfig: StreamConfig = {
  connectTimeoutMs: 2000,
  connectAttemptsMax: 4,
  idleTimeoutMs: 3_600_000,
  connectionsMax: 10_000,
  connectionsPerBackendMax: 0,
  proxyProtocol: false,
  upstreamTls: false,
  access: [],
  heldMax: 1_000,
  holdTimeoutMs: 30_000,
  idleAfterMs: 0,
}

/** One client connection and what became of it. */
export interface Pair {
  readonly id: ConnectionId
  /** The one it was accepted under. */
  readonly config: StreamConfig
  readonly peers: Peers | undefined
  link: Link
  toUpstream: Way
  toClient: Way
  /** Backends that failed this connection. */
  tried: readonly BackendId[]
}

export type Link =
  | { readonly type: 'choosing' } // only within a step
  | { readonly type: 'held' } // there is no backend, and one is to come
  | { readonly type: 'connecting'; readonly member: Member; readonly attempt: Attempt }
  | { readonly type: 'joined'; readonly member: Member }
  | { readonly type: 'closed' }

export const LEGAL_LINKS: Record<Link['type'], readonly Link['type'][]> = {
  choosing: ['held', 'connecting', 'closed'],
  held: ['choosing', 'closed'],
  connecting: ['choosing', 'joined', 'closed'],
  joined: ['closed'],
  closed: [],
}

/** One direction. A half-closed connection is one whose ways differ. */
export type Way =
  | 'held' // its source is not read yet
  | 'open'
  | 'blocked' // its destination takes no more: its source is paused
  | 'ending' // its source ended; the rest and the end are being delivered
  | 'finished' // the kernel has all of it, and its end
  | 'broken' // its destination is gone: what still comes is dropped

export const LEGAL_WAYS: Record<Way, readonly Way[]> = {
  held: ['open'],
  open: ['blocked', 'ending', 'broken'],
  blocked: ['open', 'ending', 'broken'],
  ending: ['finished', 'broken'],
  finished: [],
  broken: [],
}

export interface ListenerState {
  config: StreamConfig
  phase: 'accepting' | 'closed' | 'aborting' | 'emptied'
  readonly group: BackendGroup
  readonly pairs: Map<ConnectionId, Pair>
  /** What the group counts, one by one: a cut ends these without looking through all others. */
  readonly pairsOn: Map<Member, Set<Pair>>
  /** Pairs without a backend, who came first first. */
  readonly held: Set<Pair>
  /** What the last set says of whoever comes while there is no backend to choose. */
  whenEmpty: WhenEmpty
  /** Somebody is held, and that was said. */
  isWanted: boolean
  readonly use: UseTimer
  /** One timer a pair: the end of its waiting, of its attempt while connecting, of its idleness when joined. */
  readonly timers: DeadlineQueue<ConnectionId>
  attemptLast: Attempt
  /** Attempts that failed by the backend's fault; none, when it is not said. */
  readonly failures: WeakMap<Member, number>
  /** Backends whose connections are being ended, 1,024 a step. */
  readonly cutting: Set<Member>
  /** When to go on with work too big for one step. */
  goOnAt: Instant | undefined
  readonly counters: StreamCounters
}

/** Everything since the machine was made. `accepted` = live connections + all in `closed`. */
export interface StreamCounters {
  accepted: number
  readonly refused: Record<RefuseReason, number>
  /** How often one had to wait for a backend. */
  held: number
  /** Attempts that succeeded. */
  connected: number
  /** Attempts that failed, timed out, or were given up. */
  attemptsFailed: number
  /** Attempts after a connection's first. */
  retried: number
  /** Answers to attempts that were given up before. */
  staleAnswers: number
  /** Of clients: without PROXY headers. */
  bytesToUpstream: number
  bytesToClient: number
  /** PROXY headers given to upstreams. */
  proxyHeaders: number
  /** From a side whose other side was broken. */
  bytesDropped: number
  readonly closed: Record<EndReason, number>
}

export const zeroCounters = (): StreamCounters => ({
  accepted: 0,
  refused: {
    'connections-max': 0,
    forbidden: 0,
    'no-backend': 0,
    'held-max': 0,
    'backends-full': 0,
    'not-accepting': 0,
  },
  held: 0,
  connected: 0,
  attemptsFailed: 0,
  retried: 0,
  staleAnswers: 0,
  bytesToUpstream: 0,
  bytesToClient: 0,
  proxyHeaders: 0,
  bytesDropped: 0,
  closed: {
    done: 0,
    'client-reset': 0,
    'upstream-reset': 0,
    'connect-failed': 0,
    'hold-timeout': 0,
    'hold-refused': 0,
    'host-limit': 0,
    idle: 0,
    cut: 0,
    aborted: 0,
  },
})

export function enterLink(pair: Pair, next: Link): void {
  const { type } = pair.link
  assert(LEGAL_LINKS[type].includes(next.type), `illegal link: ${type} -> ${next.type}`)
  pair.link = next
}

export const wayTo = (pair: Pair, side: Side): Way =>
  side === 'client' ? pair.toClient : pair.toUpstream

export function enterWay(pair: Pair, to: Side, next: Way): void {
  const way = wayTo(pair, to)
  assert(LEGAL_WAYS[way].includes(next), `illegal way to ${to}: ${way} -> ${next}`)
  if (to === 'client') pair.toClient = next
  else pair.toUpstream = next
}

/** Nothing more will be delivered this way. */
export const isOver = (way: Way): boolean => way === 'finished' || way === 'broken'

export const otherSide = (side: Side): Side => (side === 'client' ? 'upstream' : 'client')
