/**
 * A ledger that survives its process. Which socket carries what is not written down: it follows
 * from the claims, as always. Instants are stored as what remains.
 */
import { assert, type Instant } from '../machine.ts'
import type { Claim, Owner, PortNamespace, PublishedBackend } from './claim.ts'
import type { SocketId } from './events.ts'
import { reachOf } from './ports/overlap.ts'
import { plannedSockets } from './ports/plan.ts'
import {
  type ClaimRecord,
  dropPortIfEmpty,
  type LedgerState,
  ownerRecord,
  portRecord,
  type SocketRecord,
} from './ports/state.ts'
import type { LedgerConfig, LedgerCounters, SocketState } from './view.ts'

export interface LedgerSnapshot {
  readonly version: 1
  readonly config: LedgerConfig
  /** By owner, and for each owner in the order of its last wish. */
  readonly claims: readonly ClaimSnapshot[]
  /** By id. */
  readonly sockets: readonly SocketSnapshot[]
  /** In the order in which they fire. */
  readonly timers: readonly (readonly [socket: SocketId, remainsMs: number])[]
  readonly goOnMs?: number
  readonly socketLast: SocketId
  readonly orderLast: number
  readonly counters: LedgerCounters
}

export interface ClaimSnapshot {
  readonly owner: Owner
  readonly claim: Claim
  readonly order: number
  readonly backends: readonly PublishedBackend[]
  /** Of a claim of port 0, whose socket is its own. */
  readonly socket?: SocketId
}

export interface SocketSnapshot {
  readonly id: SocketId
  readonly namespace: PortNamespace
  readonly host: string
  readonly isV6Only: boolean
  readonly asked: number
  readonly port: number
  readonly state: SocketState
  readonly attempt: number
  readonly failures: number
  readonly reason: string
  readonly failedAs?: 'retrying' | 'absent'
  readonly leavers: readonly Owner[]
}

export function takeSnapshot(state: LedgerState, now: Instant): LedgerSnapshot {
  const owners = [...state.owners].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    version: 1,
    config: state.config,
    claims: owners.flatMap(([, { claims }]) => [...claims.values()].map(claimSnapshot)),
    sockets: [...state.sockets.values()].map(socketSnapshot),
    timers: state.timers.entries().map(([id, at]) => [id, at - now] as const),
    ...(state.goOnAt === undefined ? {} : { goOnMs: state.goOnAt - now }),
    socketLast: state.socketLast,
    orderLast: state.orderLast,
    counters: { ...state.counters },
  }
}

function claimSnapshot({ owner, claim, order, backends, socket }: ClaimRecord): ClaimSnapshot {
  const own = claim.port === 0 && socket !== undefined ? { socket: socket.id } : {}
  return { owner, claim, order, backends: [...backends.values()], ...own }
}

function socketSnapshot(socket: SocketRecord): SocketSnapshot {
  const { id, namespace, reach, asked, port, state, attempt, failures, reason, leavers } = socket
  const failed = socket.failedAs === undefined ? {} : { failedAs: socket.failedAs }
  const { host } = reach
  const isV6Only = reach.width !== 'all'
  const where = { id, namespace, host, isV6Only, asked, port }
  return { ...where, state, attempt, failures, reason, ...failed, leavers }
}

/** Into a ledger just made, with the configuration the other one had. */
export function restoreSnapshot(
  state: LedgerState,
  snapshot: LedgerSnapshot,
  now: Instant,
  sockets: 'kept' | 'lost',
): void {
  assert(snapshot.version === 1, `a snapshot of version 1, not ${String(snapshot.version)}`)
  state.socketLast = snapshot.socketLast
  state.orderLast = snapshot.orderLast
  Object.assign(state.counters, snapshot.counters)
  for (const each of snapshot.sockets) {
    if (sockets === 'kept') restoreSocket(state, each)
    else if (each.state === 'releasing') state.counters.freed += 1
    else restoreSocket(state, lost(each))
  }
  for (const each of snapshot.claims) restoreClaim(state, each)
  for (const port of state.ports.values()) orderClaims(state, port.claims)
  if (sockets === 'lost') {
    for (const id of state.sockets.keys()) state.timers.set(id, now)
    return
  }
  for (const [id, ms] of snapshot.timers) state.timers.set(id, now + ms)
  if (snapshot.goOnMs !== undefined) state.goOnAt = now + snapshot.goOnMs
}

/** Answers to the attempt before can come no more, but its number is not used again. */
const lost = ({ failedAs: _, ...socket }: SocketSnapshot): SocketSnapshot => ({
  ...socket,
  port: socket.asked,
  state: 'waiting',
  failures: 0,
  reason: '',
})

function restoreSocket(state: LedgerState, snapshot: SocketSnapshot): void {
  const { host, isV6Only, leavers, failedAs, ...rest } = snapshot
  const socket: SocketRecord = {
    ...rest,
    reach: reachOf(host, isV6Only),
    failedAs,
    carries: [],
    leavers,
  }
  state.sockets.set(socket.id, socket)
  if (socket.port !== 0) portRecord(state, socket.namespace, socket.port).sockets.add(socket)
  for (const owner of leavers) ownerRecord(state, owner).leaving.add(socket)
}

function restoreClaim(state: LedgerState, snapshot: ClaimSnapshot): void {
  const { owner, claim, order } = snapshot
  const record: ClaimRecord = {
    owner,
    claim,
    reach: reachOf(claim.host, claim.isV6Only),
    order,
    backends: new Map(snapshot.backends.map((each) => [each.id, each])),
    socket: undefined,
  }
  state.claims += 1
  ownerRecord(state, owner).claims.set(claim.id, record)
  if (claim.port !== 0) {
    portRecord(state, claim.namespace, claim.port).claims.add(record)
  } else if (snapshot.socket !== undefined) {
    carry(state.sockets.get(snapshot.socket)!, [record])
  }
}

/** The claims of a port in their order, on the sockets of that port. */
function orderClaims(state: LedgerState, claims: Set<ClaimRecord>): void {
  const sorted = [...claims].sort((a, b) => a.order - b.order)
  claims.clear()
  for (const record of sorted) claims.add(record)
  const [first] = sorted
  if (first === undefined) return
  const port = portRecord(state, first.claim.namespace, first.claim.port)
  const planned = plannedSockets(claims)
  for (const socket of port.sockets) {
    const plan = planned.get(socket.reach.key)
    if (plan === undefined || socket.asked === 0 || socket.state === 'releasing') continue
    carry(socket, plan.carries)
  }
  dropPortIfEmpty(state, port)
}

function carry(socket: SocketRecord, carries: readonly ClaimRecord[]): void {
  socket.carries = carries
  for (const record of carries) record.socket = socket
}
