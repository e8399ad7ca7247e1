/** The request on its way to a backend. */
import type { Instant } from '../../../machine.ts'
import { requestFields, requestHead } from '../../forward/request.ts'
import { statusOf } from '../../head/fault.ts'
import { CHUNKED } from '../../head/meaning.ts'
import { takeQueue } from '../clients/queue.ts'
import { ASKING, type Client, type IngressState, isAsked, type Out } from '../state.ts'
import { setDue } from '../timers.ts'
import { relay, relayEnd } from './body.ts'
import { cutOff, fail } from './end.ts'

/** Its head, and what is there of its body; returns where what was not taken of `bytes` begins. */
export function send(
  state: IngressState,
  client: Client,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const { passage, left } = client
  const head = client.head!
  const upstream = client.upstream!
  client.sentAt = now
  if (upstream.reader === undefined) {
    const isLast = left === 0 && passage.requestUpgrade === ''
    const fields = requestFields(head, passage)
    out.push({ type: 'request', upstream: upstream.id, fields, isLast })
    return forward(state, client, '', bytes, at, now, out)
  }
  upstream.writesChunks = left === CHUNKED
  return forward(state, client, requestHead(head, passage), bytes, at, now, out)
}

export function sendQueued(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { queue } = client
  if (queue === undefined) send(state, client, NO_BYTES, 0, now, out)
  else takeQueue(client, queue, send(state, client, queue, client.queueFrom, now, out))
}

/** What of `bytes` is its body, behind `prefix`. */
export function forward(
  state: IngressState,
  client: Client,
  prefix: string,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const to = relay(client, client.upstream!, prefix, bytes, at, out)
  if (to < 0) {
    const fault = client.chunks!.fault!
    client.fault = fault
    fail(state, client, 'bad-request', now, out, statusOf(fault))
    return bytes.length
  }
  awaitMore(state, client, now)
  return to
}

/** Something moved: of the request, until it is whole; then the answer is to come. */
export function awaitMore(state: IngressState, client: Client, now: Instant): void {
  const { settings, stage } = client
  const isAnswerDue = stage === ASKING && isAsked(client)
  setDue(state, client, now + (isAnswerDue ? settings!.responseTimeoutMs : settings!.bodyTimeoutMs))
}

/** Of a stream, when all that came of it was forwarded: its end is that of the body. */
export function endStreamBody(state: IngressState, client: Client, now: Instant, out: Out): void {
  // RFC 9113, 8.1.1: the length it told was another one.
  if (client.left > 0) {
    cutOff(state, client, 'bad-request', true, now, out)
    return
  }
  relayEnd(client, client.upstream!, client.trailers, out)
  awaitMore(state, client, now)
}

const NO_BYTES = new Uint8Array(0)
