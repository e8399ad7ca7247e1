/**
 * The life of one connection: choosing -> connecting -> joined -> closed, held while there is no
 * backend but one is to come, with each direction ending by itself. Nothing is read from a client before its upstream is connected, so that
 * waiting bytes are the kernel's and a second backend can be tried without the client noticing.
 */
import type { BackendId, Member } from '../balance/group.ts'
import { type Attempt, assert, type Instant } from '../machine.ts'
import { localHeader, proxyHeader } from '../net/proxy-v2.ts'
import { admits } from '../policy/access.ts'
import { clientKey } from './affinity.ts'
import type { EndReason, RefuseReason, StreamListenerCommand } from './commands.ts'
import type { Peers } from './entrance/events.ts'
import type { ConnectionId, Side, StreamListenerEvent } from './events.ts'
import {
  enterLink,
  enterWay,
  isOver,
  type ListenerState,
  otherSide,
  type Pair,
  type StreamConfig,
  wayTo,
} from './state.ts'

type Out = StreamListenerCommand[]
type Event<T extends StreamListenerEvent['type']> = Extract<StreamListenerEvent, { type: T }>

export function onAccepted(
  state: ListenerState,
  { connection, peers }: Event<'accepted'>,
  now: Instant,
  out: Out,
): void {
  assert(!state.pairs.has(connection), 'a connection number is used once')
  const refusal = refusalOf(state, peers)
  if (refusal !== undefined) {
    state.counters.refused[refusal] += 1
    out.push({ type: 'close', connection, reason: refusal, reset: true })
    if (refusal === 'no-backend' || refusal === 'held-max') sayWanted(state, out)
    return
  }
  const pair: Pair = {
    id: connection,
    config: state.config,
    peers,
    link: CHOOSING,
    toUpstream: 'held',
    toClient: 'held',
    tried: NONE_TRIED,
  }
  state.pairs.set(connection, pair)
  state.counters.accepted += 1
  chooseUpstream(state, pair, now, out)
}

/** Who may not come is told nothing else, and wakes nobody. */
function refusalOf(state: ListenerState, peers: Peers | undefined): RefuseReason | undefined {
  const { phase, config, group, pairs, held, whenEmpty } = state
  if (phase !== 'accepting') return 'not-accepting'
  if (!isAdmitted(config, peers)) return 'forbidden'
  const isEmpty = group.candidateCount === 0
  if (isEmpty && (whenEmpty === 'refuse' || config.holdTimeoutMs === 0)) return 'no-backend'
  if (pairs.size >= config.connectionsMax) return 'connections-max'
  if (isEmpty) return held.size >= config.heldMax ? 'held-max' : undefined
  return group.openCount === 0 ? 'backends-full' : undefined
}

function isAdmitted({ access }: StreamConfig, peers: Peers | undefined): boolean {
  return access.length === 0 || (peers !== undefined && admits(access, peers.source))
}

function chooseUpstream(state: ListenerState, pair: Pair, now: Instant, out: Out): void {
  assert(pair.link.type === 'choosing', 'only a choosing pair chooses')
  const mayTry = pair.tried.length < pair.config.connectAttemptsMax
  if (mayTry && pair.config.holdTimeoutMs > 0 && mayHold(state)) return hold(state, pair, now, out)
  const key = pair.peers === undefined ? undefined : clientKey(pair.peers.source)
  const member = mayTry ? state.group.choose(pair.tried, key) : undefined
  if (member === undefined) {
    closePair(state, pair, 'connect-failed', true, out)
    return
  }
  arrive(state, pair, member)
  if (pair.tried.length > 0) state.counters.retried += 1
  state.attemptLast += 1
  const attempt = state.attemptLast
  enterLink(pair, { type: 'connecting', member, attempt })
  state.timers.set(pair.id, now + pair.config.connectTimeoutMs)
  const { id, host, port } = member.backend
  const { upstreamTls: tls, proxyProtocol } = pair.config
  const connection = pair.id
  const command = {
    type: 'connect-upstream',
    connection,
    attempt,
    backend: id,
    host,
    port,
    tls,
  } as const
  out.push(tls && proxyProtocol ? { ...command, preface: headerOf(state, pair) } : command)
}

/** There is no backend, one is to come, and there is room to wait for it. */
const mayHold = ({ group, whenEmpty, held, config }: ListenerState): boolean =>
  group.candidateCount === 0 && whenEmpty === 'hold' && held.size < config.heldMax

function hold(state: ListenerState, pair: Pair, now: Instant, out: Out): void {
  enterLink(pair, HELD)
  state.held.add(pair)
  state.counters.held += 1
  state.timers.set(pair.id, now + pair.config.holdTimeoutMs)
  out.push({ type: 'hold', connection: pair.id })
  sayWanted(state, out)
}

/** Where that is of use, and was not said since the last set. */
export function sayWanted(state: ListenerState, out: Out): void {
  if (state.isWanted || state.whenEmpty === 'refuse') return
  state.isWanted = true
  out.push({ type: 'wanted' })
}

/** There is a backend now, or none is to come. */
export function letGoOn(state: ListenerState, pair: Pair, now: Instant, out: Out): void {
  if (state.group.candidateCount === 0) {
    closePair(state, pair, 'hold-refused', true, out)
    return
  }
  state.held.delete(pair)
  enterLink(pair, CHOOSING)
  chooseUpstream(state, pair, now, out)
}

/** Who the client is, as its upstream is told first of all. */
function headerOf(state: ListenerState, { peers }: Pair): Uint8Array {
  state.counters.proxyHeaders += 1
  if (peers === undefined) return localHeader()
  return proxyHeader(peers.source, peers.destination, 'stream')
}

export function onUpstreamConnected(
  state: ListenerState,
  { connection, attempt }: Event<'upstream-connected'>,
  now: Instant,
  out: Out,
): void {
  const pair = awaiting(state, connection, attempt)
  if (pair === undefined) {
    // A success nobody waits for still holds a socket.
    out.push({ type: 'abandon-upstream', connection, attempt })
    return
  }
  state.counters.connected += 1
  enterLink(pair, { type: 'joined', member: pair.link.member })
  enterWay(pair, 'upstream', 'open')
  enterWay(pair, 'client', 'open')
  if (pair.config.idleTimeoutMs === 0) state.timers.cancel(connection)
  else touch(state, pair, now)
  out.push({ type: 'join', connection })
  // With TLS the header went ahead of the handshake, where servers look for it.
  if (!pair.config.proxyProtocol || pair.config.upstreamTls) return
  out.push({ type: 'write', connection, to: 'upstream', bytes: headerOf(state, pair) })
}

export function onUpstreamFailed(
  state: ListenerState,
  { connection, attempt, blame, reason }: Event<'upstream-failed'>,
  now: Instant,
  out: Out,
): void {
  const pair = awaiting(state, connection, attempt)
  if (pair === undefined) return
  if (blame === 'host') {
    // The next backend would fail for the same reason, and none of them is to blame.
    state.counters.attemptsFailed += 1
    closePair(state, pair, 'host-limit', true, out)
    return
  }
  reportFailure(state, pair.link.member, reason, now, out)
  tryNext(state, pair, now, out)
}

export function onConnectTimeout(
  state: ListenerState,
  pair: Connecting,
  now: Instant,
  out: Out,
): void {
  out.push({ type: 'abandon-upstream', connection: pair.id, attempt: pair.link.attempt })
  const reason = `no connection within ${pair.config.connectTimeoutMs} ms`
  reportFailure(state, pair.link.member, reason, now, out)
  tryNext(state, pair, now, out)
}

export function onData(state: ListenerState, event: Event<'data'>, now: Instant, out: Out): void {
  const pair = state.pairs.get(event.connection)
  if (pair === undefined) return
  const { bytes } = event
  const to = otherSide(event.from)
  const way = to === 'client' ? pair.toClient : pair.toUpstream
  if (way === 'broken') {
    state.counters.bytesDropped += bytes.byteLength
    return
  }
  assert(way === 'open' || way === 'blocked', `no data comes from a side whose way is ${way}`)
  touch(state, pair, now)
  if (to === 'client') state.counters.bytesToClient += bytes.byteLength
  else state.counters.bytesToUpstream += bytes.byteLength
  out.push({ type: 'write', connection: pair.id, to, bytes })
}

export function onEnded(
  state: ListenerState,
  { connection, from }: Event<'ended'>,
  now: Instant,
  out: Out,
): void {
  const pair = state.pairs.get(connection)
  if (pair === undefined) return
  const to = otherSide(from)
  if (wayTo(pair, to) === 'broken') return
  enterWay(pair, to, 'ending')
  touch(state, pair, now)
  out.push({ type: 'end', connection, to })
}

export function onFinished(
  state: ListenerState,
  { connection, side }: Event<'finished'>,
  out: Out,
): void {
  const pair = state.pairs.get(connection)
  if (pair === undefined || wayTo(pair, side) !== 'ending') return
  enterWay(pair, side, 'finished')
  const back = wayTo(pair, otherSide(side))
  if (back === 'finished') closePair(state, pair, 'done', false, out)
  else if (back === 'broken') closePair(state, pair, resetOf(otherSide(side)), false, out)
}

export function onBlocked(
  state: ListenerState,
  { connection, side }: Event<'blocked'>,
  out: Out,
): void {
  const pair = state.pairs.get(connection)
  if (pair === undefined || wayTo(pair, side) !== 'open') return
  enterWay(pair, side, 'blocked')
  out.push({ type: 'pause', connection, side: otherSide(side) })
}

export function onWritable(
  state: ListenerState,
  { connection, side }: Event<'writable'>,
  now: Instant,
  out: Out,
): void {
  const pair = state.pairs.get(connection)
  if (pair === undefined) return
  touch(state, pair, now) // a slow reader is not an idle one
  if (wayTo(pair, side) !== 'blocked') return
  enterWay(pair, side, 'open')
  out.push({ type: 'resume', connection, side: otherSide(side) })
}

/**
 * A side that breaks in the middle of what it sends takes the connection with it, by reset. One
 * that had sent everything and its end only loses what was still meant for it: what it sent is
 * delivered first, as it would be without a proxy between.
 */
export function onErrored(
  state: ListenerState,
  { connection, side }: Event<'errored'>,
  out: Out,
): void {
  const pair = state.pairs.get(connection)
  if (pair === undefined) return
  const other = otherSide(side)
  const back = wayTo(pair, side)
  if (wayTo(pair, other) !== 'ending') {
    closePair(state, pair, resetOf(side), wayTo(pair, other) !== 'finished', out)
  } else if (isOver(back)) {
    return // nothing was meant for it any more
  } else {
    enterWay(pair, side, 'broken')
    if (back === 'open') out.push({ type: 'pause', connection, side: other })
  }
}

/** Ends an attempt that failed or is not wanted, and makes the next one. */
export function tryNext(state: ListenerState, pair: Connecting, now: Instant, out: Out): void {
  const { member } = pair.link
  state.counters.attemptsFailed += 1
  pair.tried = [...pair.tried, member.backend.id]
  enterLink(pair, CHOOSING)
  leave(state, pair, member, out)
  chooseUpstream(state, pair, now, out)
}

export function closePair(
  state: ListenerState,
  pair: Pair,
  reason: EndReason,
  reset: boolean,
  out: Out,
): void {
  const { link } = pair
  enterLink(pair, CLOSED)
  state.pairs.delete(pair.id)
  state.timers.cancel(pair.id)
  state.counters.closed[reason] += 1
  out.push({ type: 'close', connection: pair.id, reason, reset })
  if (link.type === 'held') state.held.delete(pair)
  if (link.type === 'connecting' || link.type === 'joined') leave(state, pair, link.member, out)
}

const resetOf = (side: Side): EndReason => (side === 'client' ? 'client-reset' : 'upstream-reset')

export type Connecting = Pair & { readonly link: { readonly type: 'connecting' } }

export const isConnecting = (pair: Pair): pair is Connecting => pair.link.type === 'connecting'

/** The pair that waits for this very attempt. */
function awaiting(
  state: ListenerState,
  connection: ConnectionId,
  attempt: Attempt,
): Connecting | undefined {
  const pair = state.pairs.get(connection)
  if (pair !== undefined && isConnecting(pair) && pair.link.attempt === attempt) return pair
  state.counters.staleAnswers += 1
  return undefined
}

function arrive(state: ListenerState, pair: Pair, member: Member): void {
  const pairs = state.pairsOn.get(member)
  if (pairs === undefined) state.pairsOn.set(member, new Set([pair]))
  else pairs.add(pair)
}

function leave(state: ListenerState, pair: Pair, member: Member, out: Out): void {
  const pairs = state.pairsOn.get(member)
  assert(pairs?.delete(pair) === true, 'a pair leaves the backend it was given')
  if (pairs.size === 0) state.pairsOn.delete(member)
  if (!state.group.release(member)) return
  const { version } = state.group
  out.push({ type: 'backend-drained', backend: member.backend.id, version })
}

function reportFailure(
  state: ListenerState,
  member: Member,
  reason: string,
  now: Instant,
  out: Out,
): void {
  state.failures.set(member, (state.failures.get(member) ?? 0) + 1)
  if (!state.group.shouldReportFailure(member, now)) return
  out.push({ type: 'backend-failed', backend: member.backend.id, reason })
}

/** Two stores in the queue, whatever the number of connections. */
function touch(state: ListenerState, pair: Pair, now: Instant): void {
  const { idleTimeoutMs } = pair.config
  if (idleTimeoutMs > 0) state.timers.set(pair.id, now + idleTimeoutMs)
}

const CHOOSING = { type: 'choosing' } as const
const HELD = { type: 'held' } as const
const CLOSED = { type: 'closed' } as const
const NONE_TRIED: readonly BackendId[] = []
