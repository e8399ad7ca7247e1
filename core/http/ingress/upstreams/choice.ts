/** Which backend an exchange goes to, again where one failed it; waiting where there is none. */
import type { Member } from '../../../balance/group.ts'
import type { Instant } from '../../../machine.ts'
import { clientKey } from '../../../stream/affinity.ts'
import type { ExchangeOutcome } from '../../commands.ts'
import { queued } from '../clients/queue.ts'
import { settle } from '../clients/reading.ts'
import { fail, takeFrom } from '../exchange/end.ts'
import { sendQueued } from '../exchange/request.ts'
import {
  ASKING,
  type Client,
  CONNECTING,
  enter,
  HELD,
  type IngressState,
  type Listener,
  NEVER,
  NONE_TRIED,
  type Out,
  type Target,
  type Upstream,
} from '../state.ts'
import { setDue } from '../timers.ts'
import { checkOut, closeUpstream, connect } from './pool.ts'

/**
 * Chooses a backend. After it the client is `asking` (a connection is at hand), `connecting`, `held`
 * or answered; `why` those it tried before failed it. `mayReuse`: an idle connection will do.
 */
export function seek(
  state: IngressState,
  client: Client,
  why: ExchangeOutcome,
  now: Instant,
  out: Out,
  mayReuse = true,
): void {
  const listener = client.listener!
  const { group } = listener
  const key = listener.usesKeys ? clientKey(client.address) : undefined
  const member = group.choose(client.tried, key)
  if (member === undefined) {
    if (isHolding(listener)) hold(state, client, listener, now, out)
    else if (client.tried.length > 0) fail(state, client, why, now, out)
    else fail(state, client, group.candidateCount > 0 ? 'backends-full' : 'no-backend', now, out)
    return
  }
  if (client.chosenAt < 0) client.chosenAt = now
  if (client.tried.length > 0) {
    client.retries += 1
    listener.counters.retried += 1
    state.counters.retried += 1
  }
  const target = targetOf(listener, member)
  client.target = target
  client.backend = member.backend.id
  client.after = target.first
  if (target.first !== undefined) target.first.before = client
  target.first = client
  const idleMsMax = isRepeatable(client) ? NEVER : client.config.freshUpstreamMs
  if (mayReuse && checkOut(target, client, idleMsMax, now) !== undefined) {
    listener.counters.reused += 1
    enter(client, ASKING)
  } else {
    dial(state, client, target, now, out)
  }
}

function dial(state: IngressState, client: Client, target: Target, now: Instant, out: Out): void {
  enter(client, CONNECTING)
  connect(state, client, client.listener!, target, out)
  setDue(state, client, now + client.settings!.connectTimeoutMs)
}

/**
 * Its backend was lost before anything of an answer came. `wasRefused`: it said so, and `upstream` is
 * forgotten. Repeated where that does no harm: nothing
 * was sent; or the method is idempotent, and nothing of a body is gone. An idle connection that the
 * backend closes just as it is used (nginx does after 1,000 requests), or a session of HTTP/2 that it
 * leaves, costs none of the retries: another one to the same backend will do.
 */
export function lose(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  why: ExchangeOutcome,
  wasRefused: boolean,
  now: Instant,
  out: Out,
): void {
  const { stage, target, settings } = client
  const isAsking = stage === ASKING && isBodyWhole(client)
  const isUnsent = stage === CONNECTING || (isAsking && wasRefused)
  const mayRepeat =
    isUnsent || (isAsking && !upstream.hasAnswered && isIdempotent(client.head!.method))
  if (!mayRepeat) {
    fail(state, client, why, now, out)
    return
  }
  const isOld = isUnsent ? upstream.isConnected : upstream.isReused
  // A stream may meet the same session again, so that it is repeated but once.
  const mayBeSame = upstream.reader !== undefined || !client.wasRepeated
  const isStale = isOld && mayBeSame && why === 'upstream-closed'
  if (!wasRefused) {
    if (!isStale && why === 'upstream-closed') target!.failures += 1
    takeFrom(client, upstream)
    closeUpstream(state, upstream, true, out)
  }
  if (isStale) {
    client.wasRepeated = true
    client.listener!.counters.staleReuses += 1
    state.counters.staleReuses += 1
    if (target!.member.isCandidate) {
      dial(state, client, target!, now, out)
      return
    }
    leaveTarget(state, client, out)
    seek(state, client, why, now, out, false)
    return
  }
  leaveTarget(state, client, out)
  client.tried = [...client.tried, target!.member.backend.id]
  if (client.tried.length > settings!.retries) fail(state, client, why, now, out)
  else seekAgain(state, client, why, now, out)
}

/** What was read of it meanwhile waits in its queue. */
function seekAgain(
  state: IngressState,
  client: Client,
  why: ExchangeOutcome,
  now: Instant,
  out: Out,
): void {
  seek(state, client, why, now, out)
  if (client.stage === ASKING) sendQueued(state, client, now, out)
}

/** A life ends. */
export function leaveTarget(state: IngressState, client: Client, out: Out): void {
  const { target, listener, before, after } = client
  if (target === undefined) return
  if (before === undefined) target.first = after
  else before.after = after
  if (after !== undefined) after.before = before
  client.before = undefined
  client.after = undefined
  client.target = undefined
  const { id, group, held } = listener!
  if (group.release(target.member)) {
    const { version } = group.state
    out.push({ type: 'backend-drained', listener: id, backend: target.member.backend.id, version })
  }
  if (held.size > 0) freeHeld(state, listener!)
}

export function reportFailure(
  { id, group }: Listener,
  target: Target,
  reason: string,
  now: Instant,
  out: Out,
): void {
  target.failures += 1
  if (!group.shouldReportFailure(target.member, now)) return
  out.push({ type: 'backend-failed', listener: id, backend: target.member.backend.id, reason })
}

function hold(
  state: IngressState,
  client: Client,
  listener: Listener,
  now: Instant,
  out: Out,
): void {
  const { heldMax, heldBytesMax } = state.config
  const bytes = client.head!.fields.text.length + queued(client)
  want(listener, out)
  if (client.settings!.holdTimeoutMs === 0) {
    fail(state, client, 'no-backend', now, out)
    return
  }
  if (state.heldCount >= heldMax || state.heldBytes + bytes > heldBytesMax) {
    fail(state, client, 'held-max', now, out)
    return
  }
  client.tried = NONE_TRIED
  client.heldBytes = bytes
  state.heldBytes += bytes
  state.heldCount += 1
  listener.held.add(client)
  listener.counters.held += 1
  enter(client, HELD)
  setDue(state, client, now + client.settings!.holdTimeoutMs)
}

export function unhold(state: IngressState, client: Client): void {
  if (!client.listener!.held.delete(client)) return
  state.heldCount -= 1
  state.heldBytes -= client.heldBytes
  client.heldBytes = 0
}

/** Says that something waits, once for each set. */
export function want(listener: Listener, out: Out): void {
  if (listener.wantedSaid) return
  listener.wantedSaid = true
  out.push({ type: 'wanted', listener: listener.id })
}

/** Without a candidate requests wait. */
export const isHolding = ({ group, whenEmpty }: Listener): boolean =>
  whenEmpty === 'hold' && group.candidateCount === 0

/** Those that wait go on, as far as there is room, or are refused. */
export function freeHeld(state: IngressState, listener: Listener): void {
  if (isHolding(listener)) return
  state.chores.push((now, out) => {
    const { held, group } = listener
    if (isHolding(listener) || (group.openCount === 0 && group.candidateCount > 0)) return false
    for (const client of held) {
      unhold(state, client)
      seekAgain(state, client, 'no-backend', now, out)
      settle(state, client, now, out)
      return true
    }
    return false
  })
}

function targetOf(listener: Listener, member: Member): Target {
  const known = listener.targets[member.index]
  if (known?.member === member) return known
  const target: Target = { member, newest: undefined, idle: 0, first: undefined, failures: 0 }
  listener.targets[member.index] = target
  return target
}

/** Nothing of its body was taken. */
const isBodyWhole = ({ moved, left, passage }: Client): boolean =>
  moved === 0 && (left === 0) === (passage.requestBody === 0)

/** RFC 9110, 9.2.2. */
function isIdempotent(method: string): boolean {
  return (
    method === 'GET' ||
    method === 'HEAD' ||
    method === 'PUT' ||
    method === 'DELETE' ||
    method === 'OPTIONS' ||
    method === 'TRACE'
  )
}

const isRepeatable = ({ head, passage }: Client): boolean =>
  passage.requestBody === 0 && isIdempotent(head!.method)
