/** What a ledger knows: claims by owner and by port, sockets by number and by port. */
import { type Attempt, assert, type Instant } from '../../machine.ts'
import { DeadlineQueue } from '../../time/deadline-queue.ts'
import type { Claim, ClaimId, Owner, PortNamespace, PublishedBackend } from '../claim.ts'
import type { LedgerCommand } from '../commands.ts'
import type { SocketId } from '../events.ts'
import type { LedgerConfig, LedgerCounters, SocketState } from '../view.ts'
import type { Reach } from './overlap.ts'

export interface LedgerState {
  readonly config: LedgerConfig
  readonly owners: Map<Owner, OwnerRecord>
  /** `tcp:8080` to what there is at this port number, on any address. */
  readonly ports: Map<string, PortRecord>
  /** By number, so in the order in which they were made. */
  readonly sockets: Map<SocketId, SocketRecord>
  /** Of sockets to be bound later. */
  readonly timers: DeadlineQueue<SocketId>
  claims: number
  socketLast: SocketId
  /** Of the claim granted last. */
  orderLast: number
  /** The last tick left work undone; the next one is to be then. */
  goOnAt: Instant | undefined
  readonly counters: LedgerCounters
}

/** Gone when both are empty. */
export interface OwnerRecord {
  /** In the order of the last wish. */
  claims: Map<ClaimId, ClaimRecord>
  /** Sockets being closed that last carried claims of this owner. */
  readonly leaving: Set<SocketRecord>
}

/** Gone when both are empty. */
export interface PortRecord {
  readonly key: string
  /** Except claims of port 0; in the order of {@link ClaimRecord.order}. */
  readonly claims: Set<ClaimRecord>
  /** Bound here or to be, also those of port 0 that the kernel put here; in the order of ids. */
  readonly sockets: Set<SocketRecord>
}

/** A claim that is granted again with another content is another record. */
export interface ClaimRecord {
  readonly owner: Owner
  readonly claim: Claim
  readonly reach: Reach
  /** Counts claims as they are granted. */
  readonly order: number
  readonly backends: Map<string, PublishedBackend>
  socket: SocketRecord | undefined
}

export interface SocketRecord {
  readonly id: SocketId
  readonly namespace: PortNamespace
  readonly reach: Reach
  /** 0: the kernel picks. */
  readonly asked: number
  /** The one asked for, or the one the kernel picked; 0 until then. */
  port: number
  state: SocketState
  /** Counts what was asked of the shell. */
  attempt: Attempt
  failures: number
  reason: string
  /** What the last failure was announced as. */
  failedAs: 'retrying' | 'absent' | undefined
  /** Empty while it is releasing, never before. */
  carries: readonly ClaimRecord[]
  /** Whose claims it carried when it was released; empty before. */
  leavers: readonly Owner[]
}

/** One step of the machine. */
export interface Step {
  readonly state: LedgerState
  readonly now: Instant
  readonly out: LedgerCommand[]
}

export const newState = (config: LedgerConfig): LedgerState => ({
  config,
  owners: new Map(),
  ports: new Map(),
  sockets: new Map(),
  timers: new DeadlineQueue(),
  claims: 0,
  socketLast: 0,
  orderLast: 0,
  goOnAt: undefined,
  counters: {
    claimsGranted: 0,
    claimsRefused: 0,
    binds: 0,
    bindsFailed: 0,
    freed: 0,
    published: 0,
    withdrawn: 0,
    publishRefused: 0,
    staleAnswers: 0,
  },
})

export const portKey = (namespace: PortNamespace, port: number): string => `${namespace}:${port}`

export function portRecord(
  { ports }: LedgerState,
  namespace: PortNamespace,
  port: number,
): PortRecord {
  const key = portKey(namespace, port)
  const present = ports.get(key)
  if (present !== undefined) return present
  const record: PortRecord = { key, claims: new Set(), sockets: new Set() }
  ports.set(key, record)
  return record
}

export function dropPortIfEmpty({ ports }: LedgerState, port: PortRecord): void {
  if (port.claims.size === 0 && port.sockets.size === 0) ports.delete(port.key)
}

export function ownerRecord({ owners }: LedgerState, owner: Owner): OwnerRecord {
  const present = owners.get(owner)
  if (present !== undefined) return present
  const record: OwnerRecord = { claims: new Map(), leaving: new Set() }
  owners.set(owner, record)
  return record
}

export function dropOwnerIfEmpty({ owners }: LedgerState, owner: Owner): void {
  const record = owners.get(owner)
  if (record?.claims.size === 0 && record.leaving.size === 0) owners.delete(owner)
}

/** Whether there is to be a socket for it now. */
export const isWanted = ({ claim, backends }: ClaimRecord): boolean =>
  claim.bind === 'always' || (claim.bind === 'published' && backends.size > 0)

/** Whether the kernel may have something of it at its port. */
export const isHeld = ({ state }: SocketRecord): boolean =>
  state === 'binding' || state === 'listening' || state === 'releasing'

export function enter(socket: SocketRecord, next: SocketState): void {
  assert(LEGAL[socket.state].includes(next), `socket ${socket.id}: ${socket.state} to ${next}`)
  socket.state = next
}

/** From any state but `binding` and `listening` it may also be forgotten. */
export const LEGAL: Readonly<Record<SocketState, readonly SocketState[]>> = {
  waiting: ['binding', 'retrying'],
  binding: ['listening', 'retrying', 'absent', 'releasing'],
  listening: ['releasing'],
  retrying: ['binding', 'waiting'],
  absent: ['binding', 'waiting'],
  releasing: [],
}
