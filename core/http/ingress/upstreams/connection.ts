/** What connections to backends, and streams to them, do. */
import type { Instant } from '../../../machine.ts'
import type { UpstreamEvent } from '../../events.ts'
import { UNTIL_CLOSE } from '../../head/meaning.ts'
import { fieldsOf, responseOf } from '../../head/stream-head.ts'
import { endAnswerBody, onAnswerBytes, onFinalHead, onInterimHead } from '../exchange/answer.ts'
import { cutOff, fail, takeFrom } from '../exchange/end.ts'
import { sendQueued } from '../exchange/request.ts'
import { endDown } from '../exchange/tunnel.ts'
import {
  ANSWERING,
  ASKING,
  type Client,
  enter,
  type IngressState,
  type Out,
  TUNNEL,
  type Upstream,
} from '../state.ts'
import { lose, reportFailure } from './choice.ts'
import { closeIdle, forgetUpstream } from './pool.ts'

type Event<T extends UpstreamEvent['type']> = Extract<UpstreamEvent, { type: T }>

export function onUpstreamData(
  state: IngressState,
  upstream: Upstream,
  bytes: Uint8Array,
  now: Instant,
  out: Out,
): void {
  const { client } = upstream
  if (client === undefined) {
    // Whatever it means, it answers nothing.
    loseIdle(state, upstream, out)
  } else {
    onAnswerBytes(state, client, upstream, bytes, now, out)
  }
}

export function onUpstreamConnected(
  state: IngressState,
  upstream: Upstream,
  now: Instant,
  out: Out,
): void {
  const client = upstream.client!
  upstream.isConnected = true
  upstream.listener.counters.connected += 1
  state.counters.connected += 1
  enter(client, ASKING)
  sendQueued(state, client, now, out)
}

export function onUpstreamFailed(
  state: IngressState,
  upstream: Upstream,
  { blame, reason }: Event<'upstream-failed'>,
  now: Instant,
  out: Out,
): void {
  const client = upstream.client!
  const { listener, target } = upstream
  takeFrom(client, upstream)
  forgetUpstream(state, upstream)
  if (!upstream.isConnected) countFailure(state, upstream)
  if (blame === 'host') {
    // The next backend would fail for the same reason, and none of them is to blame.
    fail(state, client, 'host-limit', now, out)
  } else if (upstream.isConnected) {
    lose(state, client, upstream, 'upstream-closed', true, now, out)
  } else {
    reportFailure(listener, target, reason, now, out)
    lose(state, client, upstream, 'connect-failed', true, now, out)
  }
}

export function onConnectTimeout(
  state: IngressState,
  client: Client,
  now: Instant,
  out: Out,
): void {
  const upstream = client.upstream!
  const { listener, target } = upstream
  countFailure(state, upstream)
  const reason = `no connection within ${client.settings!.connectTimeoutMs} ms`
  reportFailure(listener, target, reason, now, out)
  lose(state, client, upstream, 'connect-timeout', false, now, out)
}

/** Of a stream. */
export function onUpstreamHead(
  state: IngressState,
  upstream: Upstream,
  { status, fields, isLast }: Event<'upstream-head'>,
  now: Instant,
  out: Out,
): void {
  const client = upstream.client!
  if (client.stage !== ASKING) return // two heads: the session should not let it through
  upstream.hasAnswered = true
  if (status >= 200) upstream.hasEnded = isLast
  const head = responseOf(status, fields, client.head!.method, isLast, upstream.listener.limits)
  if (typeof head === 'string') fail(state, client, 'bad-response', now, out)
  else if (status < 200) onInterimHead(state, client, upstream, head, now, out)
  else onFinalHead(state, client, upstream, head, NO_BYTES, 0, now, out)
}

/** It sends no more. `fields`: the trailers of a stream. */
export function onUpstreamEnded(
  state: IngressState,
  upstream: Upstream,
  fields: readonly string[],
  now: Instant,
  out: Out,
): void {
  const { client } = upstream
  upstream.hasEnded = true
  if (client === undefined) {
    loseIdle(state, upstream, out)
    return
  }
  const { left, reader, listener } = upstream
  if (client.stage === TUNNEL) {
    endDown(state, client, upstream, now, out)
  } else if (client.stage !== ANSWERING) {
    lose(state, client, upstream, 'upstream-closed', false, now, out)
  } else if (reader === undefined ? left < 0 : left === UNTIL_CLOSE) {
    const trailers = fieldsOf(fields, listener.limits)
    const kept = typeof trailers === 'string' ? undefined : trailers
    endAnswerBody(state, client, upstream, kept, now, out)
  } else {
    cutOff(state, client, 'upstream-closed', true, now, out)
  }
}

export function onUpstreamBroken(
  state: IngressState,
  upstream: Upstream,
  now: Instant,
  out: Out,
): void {
  const { client } = upstream
  if (client === undefined) {
    loseIdle(state, upstream, out)
    return
  }
  if (client.stage === ASKING) {
    lose(state, client, upstream, 'upstream-closed', false, now, out)
  } else {
    fail(state, client, 'upstream-closed', now, out)
  }
}

function countFailure(state: IngressState, { listener }: Upstream): void {
  listener.counters.connectsFailed += 1
  state.counters.connectsFailed += 1
}

function loseIdle(state: IngressState, upstream: Upstream, out: Out): void {
  state.counters.idleLost += 1
  closeIdle(state, upstream, out)
}

const NO_BYTES = new Uint8Array(0)
