/** How exchanges end: with an answer, a refusal, or a cut; each is told exactly once. */
import type { Instant } from '../../../machine.ts'
import type { ExchangeOutcome } from '../../commands.ts'
import { type Answer, answerText, errorAnswer } from '../../forward/answer.ts'
import { FIELD } from '../../head/fields.ts'
import { awaitTaking, closeClient, endClient } from '../clients/closing.ts'
import { leaveListener } from '../control/use.ts'
import {
  ASKING,
  type Client,
  DELIVERING,
  enter,
  HELD,
  type IngressState,
  NEVER,
  NONE_TRIED,
  type Out,
  READY,
  TUNNEL,
  type Upstream,
} from '../state.ts'
import { setDue } from '../timers.ts'
import { leaveTarget, unhold } from '../upstreams/choice.ts'
import { closeUpstream } from '../upstreams/pool.ts'

/**
 * No answer of a backend comes: one of our own does, or what was begun of another one is cut.
 * `status`: of what is wrong with the request.
 */
export function fail(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  now: Instant,
  out: Out,
  status = 0,
): void {
  if (client.stage > ASKING) {
    cutOff(state, client, outcome, true, now, out)
    return
  }
  dropUpstream(state, client, outcome, true, out)
  const accept = client.head?.fields.get(FIELD.accept) ?? ''
  const answer = errorAnswer(outcome, status, accept, client.passage.requestId, client.fault)
  answerOwn(state, client, answer, outcome, now, out)
}

export function answerOwn(
  state: IngressState,
  client: Client,
  answer: Answer,
  outcome: ExchangeOutcome,
  now: Instant,
  out: Out,
): void {
  const { status, fields, body } = answer
  const { id } = client
  const method = client.head?.method ?? ''
  const isLast = body === '' || method === 'HEAD'
  client.status = status
  if (!isLast) client.bytesOut += body.length
  if (client.isStream) {
    out.push({ type: 'respond', client: id, status, fields, isLast })
    if (!isLast) {
      out.push({ type: 'write-client', client: id, head: body, bytes: undefined })
      out.push({ type: 'end-client', client: id })
    }
  } else {
    // What comes of its body is not read, and must not be taken for a request.
    if (client.left !== 0 || client.port.isClosing) client.mustClose = true
    const kept = client.passage.clientMinor === 0 ? 'keep-alive' : ''
    const head = answerText(answer, client.mustClose ? 'close' : kept, method)
    out.push({ type: 'write-client', client: id, head, bytes: undefined })
  }
  finish(state, client, outcome, now, out)
}

/** All of the answer is written. */
export function finish(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  now: Instant,
  out: Out,
): void {
  if (client.stage === HELD) unhold(state, client)
  leaveTarget(state, client, out)
  if (!client.isBlocked) {
    complete(state, client, outcome, now, out)
    return
  }
  // It takes no next request before it has taken this answer.
  client.outcome = outcome
  enter(client, DELIVERING)
  awaitTaking(state, client, now)
}

export function complete(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  now: Instant,
  out: Out,
): void {
  const { queue, port } = client
  const isWhole = client.left === 0
  record(state, client, outcome, now, out)
  const mustClose = client.mustClose || port.isClosing || (client.hasEnded && queue === undefined)
  if (client.isStream || mustClose) {
    endClient(state, client, !client.isStream && (!isWhole || queue !== undefined), now, out)
  } else {
    enter(client, READY)
    setDue(state, client, now + port.limits.keepAliveMs)
  }
}

/** Ends the exchange with its client, in the middle of whatever it was. */
export function cutOff(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  reset: boolean,
  now: Instant,
  out: Out,
): void {
  dropUpstream(state, client, outcome, reset, out)
  if (client.stage === HELD) unhold(state, client)
  leaveTarget(state, client, out)
  record(state, client, outcome, now, out)
  closeClient(state, client, reset, out)
}

/** It has no backend so far, and waits for no answer; those before it may be on their way yet. */
export function leave(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  now: Instant,
  out: Out,
): void {
  if (client.requests < 2) {
    cutOff(state, client, outcome, false, now, out)
    return
  }
  if (client.stage === HELD) unhold(state, client)
  record(state, client, outcome, now, out)
  endClient(state, client, false, now, out)
}

/** Closes it: it is not fit for another exchange. */
function dropUpstream(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  reset: boolean,
  out: Out,
): void {
  const { upstream } = client
  if (upstream === undefined) return
  const isLate = outcome === 'response-timeout'
  const isItsFault = isLate || outcome === 'bad-response' || outcome === 'upstream-closed'
  if (isItsFault && client.stage !== TUNNEL) upstream.target.failures += 1
  takeFrom(client, upstream)
  closeUpstream(state, upstream, reset, out, isLate && upstream.reader === undefined)
}

/** They have nothing to do with each other any more. */
export function takeFrom(client: Client, upstream: Upstream): void {
  client.bytesOut += upstream.moved
  client.upstream = undefined
  upstream.client = undefined
}

function record(
  state: IngressState,
  client: Client,
  outcome: ExchangeOutcome,
  now: Instant,
  out: Out,
): void {
  const { head, listener, passage } = client
  out.push({
    type: 'exchanged',
    exchange: {
      client: client.id,
      listener: listener?.id,
      route: client.hasRoute ? client.routeName : '',
      backend: client.backend,
      protocol: client.isStream ? '2' : passage.clientMinor === 1 ? '1.1' : '1.0',
      method: head?.method ?? '',
      host: head?.authority ?? '',
      target: head?.target ?? '',
      clientAddress: passage.clientAddress,
      requestId: passage.requestId,
      status: client.status,
      outcome,
      fault: client.fault,
      bytesIn: client.moved,
      bytesOut: client.bytesOut,
      retries: client.retries,
      timings: {
        headMs: since(client, client.headAt),
        chosenMs: since(client, client.chosenAt),
        sentMs: since(client, client.sentAt),
        firstByteMs: since(client, client.answeredAt),
        totalMs: now - client.beganAt,
      },
      userAgent: head?.fields.get(FIELD.userAgent) ?? '',
      referer: head?.fields.get(FIELD.referer) ?? '',
    },
  })
  state.counters.outcomes[outcome] += 1
  if (listener !== undefined) {
    const { counters } = listener
    counters.outcomes[outcome] += 1
    counters.bytesIn += client.moved
    counters.bytesOut += client.bytesOut
    if (client.stage === TUNNEL) listener.tunnels -= 1
    const isUse = outcome !== 'forbidden' && outcome !== 'redirected'
    leaveListener(state, listener, isUse, now, out)
  }
  client.head = undefined
  client.listener = undefined
  client.tried = NONE_TRIED
  client.retries = 0
  client.wasRepeated = false
  client.fault = undefined
  client.left = 0
  client.moved = 0
  client.status = 0
  client.backend = undefined
  client.bytesOut = 0
  client.headAt = -1
  client.chosenAt = -1
  client.sentAt = -1
  client.answeredAt = -1
  client.totalAt = NEVER
}

const since = ({ beganAt }: Client, at: Instant): number | undefined =>
  at < 0 ? undefined : at - beganAt
