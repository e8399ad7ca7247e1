/** The life of one socket, from the bind to the answer that says it is closed. */
import { assert } from '../../machine.ts'
import type { PortNamespace } from '../claim.ts'
import type { LedgerEvent, SocketId } from '../events.ts'
import { overlaps, type Reach } from './overlap.ts'
import {
  type ClaimRecord,
  dropOwnerIfEmpty,
  dropPortIfEmpty,
  enter,
  isHeld,
  type LedgerState,
  ownerRecord,
  type PortRecord,
  portKey,
  portRecord,
  type SocketRecord,
  type Step,
} from './state.ts'

type Answer<T extends LedgerEvent['type']> = Extract<LedgerEvent, { type: T }>

// It is wanted

/** `waiting`, until {@link setCarries} and {@link bindOrWait} follow. */
export function newSocket(
  { state }: Step,
  namespace: PortNamespace,
  reach: Reach,
  asked: number,
): SocketRecord {
  state.socketLast += 1
  const socket: SocketRecord = {
    id: state.socketLast,
    namespace,
    reach,
    asked,
    port: asked,
    state: 'waiting',
    attempt: 0,
    failures: 0,
    reason: '',
    failedAs: undefined,
    carries: [],
    leavers: [],
  }
  state.sockets.set(socket.id, socket)
  if (asked !== 0) portRecord(state, namespace, asked).sockets.add(socket)
  return socket
}

export function setCarries(
  step: Step,
  socket: SocketRecord,
  carries: readonly ClaimRecord[],
): void {
  const before = socket.carries
  socket.carries = carries
  for (const record of carries) record.socket = socket
  const isSame = before.length === carries.length && carries.every((each, i) => each === before[i])
  if (!isSame) carriesOthers(step, socket)
}

/** Nothing is said of one that is not bound, or was given up by now. */
export function carriesOthers(step: Step, socket: SocketRecord): void {
  const { id, state } = socket
  if (state === 'binding' || state === 'listening') step.out.push({ type: 'carries', socket: id })
  // Somebody minds now that the machine lacks the address, and does not wait to be told.
  if (state === 'absent' && !mayBeAbsent(socket)) bindOrWait(step, socket)
}

/** Binds, unless a socket of ours is in the way. It is being closed: {@link onUnbound} goes on. */
export function bindOrWait({ state, out }: Step, socket: SocketRecord): void {
  const { id, namespace, reach, asked } = socket
  state.timers.cancel(id)
  if (isObstructed(state, socket)) {
    if (socket.state !== 'waiting') enter(socket, 'waiting')
    return
  }
  enter(socket, 'binding')
  socket.attempt += 1
  state.counters.binds += 1
  const { host } = reach
  const isV6Only = reach.width !== 'all'
  const { attempt } = socket
  out.push({ type: 'bind', socket: id, attempt, namespace, host, port: asked, isV6Only })
}

/** Later than it was made: what is walked in one order before a restore is so after it. */
function addInOrder(sockets: Set<SocketRecord>, socket: SocketRecord): void {
  const younger = [...sockets].filter(({ id }) => id > socket.id)
  sockets.add(socket)
  for (const each of younger) {
    sockets.delete(each)
    sockets.add(each)
  }
}

/** Those that stay are never in each other's way. */
export function isObstructed({ ports }: LedgerState, socket: SocketRecord): boolean {
  if (socket.asked === 0) return false
  for (const other of ports.get(portKey(socket.namespace, socket.asked))!.sockets) {
    if (other.state === 'releasing' && overlaps(other.reach, socket.reach)) return true
  }
  return false
}

// The answers to a bind

export function onBound(step: Step, event: Answer<'bound'>): void {
  const { state, out } = step
  const socket = answered(state, event)
  if (socket?.state !== 'binding') return stale(state)
  if (socket.asked === 0) {
    assert(Number.isInteger(event.port) && event.port > 0, 'a bound socket has a port')
    const port = portRecord(state, socket.namespace, event.port)
    socket.port = event.port
    addInOrder(port.sockets, socket)
    if (isClaimed(port, socket.reach)) {
      return giveWay(step, socket, `the system picked port ${event.port}, which is claimed`)
    }
  }
  enter(socket, 'listening')
  socket.failures = 0
  socket.reason = ''
  out.push({ type: 'listening', socket: socket.id })
}

export function onBindFailed(step: Step, event: Answer<'bind-failed'>): void {
  const { state } = step
  const socket = answered(state, event)
  if (socket?.state !== 'binding') return stale(state)
  state.counters.bindsFailed += 1
  const by = event.holder === undefined ? '' : `, held by ${event.holder}`
  const isAbsent = event.isMissing === true && mayBeAbsent(socket)
  tryLater(step, socket, `${event.reason}${by}`, isAbsent ? 'absent' : 'retrying')
}

function tryLater(
  { state, now, out }: Step,
  socket: SocketRecord,
  reason: string,
  as: 'retrying' | 'absent',
): void {
  const { retryFirstMs, retryMaxMs, retryAbsentMs } = state.config
  const isNews = reason !== socket.reason || as !== socket.failedAs
  enter(socket, as)
  socket.failures += 1
  socket.reason = reason
  socket.failedAs = as
  const pauseMs = Math.min(retryFirstMs * 2 ** (socket.failures - 1), retryMaxMs)
  state.timers.set(socket.id, now + (as === 'absent' ? retryAbsentMs : pauseMs))
  out.push({ type: 'listen-failed', socket: socket.id, isNews })
}

const mayBeAbsent = ({ carries }: SocketRecord): boolean =>
  carries.every(({ claim }) => claim.isOptional === true)

export function onTick(step: Step): void {
  const { state, now } = step
  if (state.goOnAt !== undefined && state.goOnAt > now) return
  state.goOnAt = undefined
  for (let left = BINDS_PER_TICK_MAX; left > 0; left--) {
    const id = state.timers.pop(now)
    if (id === undefined) return
    bindOrWait(step, state.sockets.get(id)!)
  }
  const next = state.timers.next()
  if (next !== undefined && next <= now) state.goOnAt = now + GO_ON_AFTER_MS
}

/**
 * A socket whose port the kernel picked leaves it to whoever claims this very port, for another one.
 * With a reason it was never any good, and the next try waits, lest the kernel insist.
 */
export function giveWay(step: Step, socket: SocketRecord, reason?: string): void {
  const { namespace, reach, carries, failures } = socket
  release(step, socket)
  const next = newSocket(step, namespace, reach, 0)
  setCarries(step, next, carries)
  if (reason === undefined) return bindOrWait(step, next)
  next.failures = failures
  next.reason = socket.reason
  next.failedAs = socket.failedAs
  tryLater(step, next, reason, 'retrying')
}

export function isClaimed({ claims }: PortRecord, reach: Reach): boolean {
  for (const record of claims) if (overlaps(record.reach, reach)) return true
  return false
}

// It is not wanted any more

/** What was never bound is forgotten at once; whatever a bind made has to be closed first. */
export function release({ state, out }: Step, socket: SocketRecord): void {
  const owners = [...new Set(socket.carries.map(({ owner }) => owner))]
  const isBound = isHeld(socket)
  for (const record of socket.carries) if (record.socket === socket) record.socket = undefined
  socket.carries = []
  if (!isBound) return forget({ state, out }, socket)
  socket.leavers = owners
  for (const owner of owners) ownerRecord(state, owner).leaving.add(socket)
  enter(socket, 'releasing')
  socket.attempt += 1
  out.push({ type: 'unbind', socket: socket.id, attempt: socket.attempt })
}

export function onUnbound(step: Step, event: Answer<'unbound'>): void {
  const { state } = step
  const socket = answered(state, event)
  if (socket?.state !== 'releasing') return stale(state)
  const others = state.ports.get(portKey(socket.namespace, socket.port))?.sockets
  forget(step, socket)
  for (const other of others ?? []) {
    if (other.state === 'waiting' && overlaps(other.reach, socket.reach)) bindOrWait(step, other)
  }
}

function forget({ state, out }: Pick<Step, 'state' | 'out'>, socket: SocketRecord): void {
  const { id, namespace, leavers } = socket
  state.timers.cancel(id)
  state.sockets.delete(id)
  const port = state.ports.get(portKey(namespace, socket.port))
  if (port?.sockets.delete(socket)) dropPortIfEmpty(state, port)
  for (const owner of leavers) {
    state.owners.get(owner)?.leaving.delete(socket)
    dropOwnerIfEmpty(state, owner)
  }
  state.counters.freed += 1
  out.push({ type: 'freed', socket: id })
}

// Answers

function answered(
  { sockets }: LedgerState,
  { socket, attempt }: { readonly socket: SocketId; readonly attempt: number },
): SocketRecord | undefined {
  const record = sockets.get(socket)
  return record?.attempt === attempt ? record : undefined
}

/** Harmless: the unbind that followed closes whatever a bind made. */
function stale({ counters }: LedgerState): void {
  counters.staleAnswers += 1
}

/** The rest is due one millisecond later. */
export const BINDS_PER_TICK_MAX = 1024
const GO_ON_AFTER_MS = 1
