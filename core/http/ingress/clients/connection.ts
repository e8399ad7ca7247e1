/** A client from when it is let in until it is gone. */
import type { Instant } from '../../../machine.ts'
import { assert } from '../../../machine.ts'
import type { ClientEvent } from '../../events.ts'
import { statusOf } from '../../head/fault.ts'
import { fieldsOf, requestOf } from '../../head/stream-head.ts'
import { begin } from '../exchange/begin.ts'
import { cutOff, fail } from '../exchange/end.ts'
import { isHalf } from '../exchange/tunnel.ts'
import {
  ANSWERING,
  CLOSING,
  Client,
  DELIVERING,
  HELD,
  IN_HEAD,
  type IngressState,
  isAsked,
  type Out,
  READY,
  TUNNEL,
} from '../state.ts'
import { setDue } from '../timers.ts'
import { closeClient, endIdle } from './closing.ts'
import { beginRequest } from './reading.ts'

type Event<T extends ClientEvent['type']> = Extract<ClientEvent, { type: T }>

export function onAccepted(
  state: IngressState,
  event: Event<'accepted'>,
  now: Instant,
  out: Out,
): void {
  const client = admit(state, event, out)
  if (client === undefined) return
  client.port.clients.add(client)
  setDue(state, client, now + client.port.limits.headTimeoutMs)
  out.push({ type: 'read', client: client.id })
}

export function onStreamOpened(
  state: IngressState,
  event: Event<'stream-opened'>,
  now: Instant,
  out: Out,
): void {
  const client = admit(state, event, out)
  if (client === undefined) return
  beginRequest(state, client, now)
  const head = requestOf(event.head, event.isLast, client.port.limits)
  client.hasEnded = event.isLast
  if (typeof head === 'string') {
    client.fault = head
    fail(state, client, 'bad-request', now, out, statusOf(head))
  } else {
    begin(state, client, head, NO_BYTES, 0, now, out)
  }
}

function admit(
  state: IngressState,
  event: Event<'accepted'> | Event<'stream-opened'>,
  out: Out,
): Client | undefined {
  const { client: id, peers, tls } = event
  assert(!state.clients.has(id), 'a client number is used once')
  const port = state.ports.get(event.port)
  const isFull = state.clients.size >= state.config.clientsMax
  if (port === undefined || isFull) {
    state.counters.refused[port === undefined ? 'not-accepting' : 'clients-max'] += 1
    out.push({ type: 'close-client', client: id, reset: true })
    return undefined
  }
  state.counters.accepted += 1
  const isStream = event.type === 'stream-opened'
  const client = new Client(state, id, port, peers, tls !== undefined, isStream)
  state.clients.set(id, client)
  return client
}

export function onClientTrailers(client: Client, { fields }: Event<'client-trailers'>): void {
  const trailers = fieldsOf(fields, client.port.limits)
  // Trailers may be left out (RFC 9110, 6.5.1), and bad ones are.
  if (typeof trailers !== 'string') client.trailers = trailers
  client.hasEnded = true
}

export function onClientBroken(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { stage } = client
  if (stage === READY || stage === CLOSING) {
    closeClient(state, client, true, out)
    return
  }
  // A tunnel that both have ended owes nobody anything.
  const isOver = stage === TUNNEL && client.hasEnded && client.upstream!.hasEnded
  cutOff(state, client, isOver ? 'done' : 'client-gone', true, now, out)
}

/** Its time is over. */
export function onClientDue(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { stage, upstream } = client
  const isTotal = now >= client.totalAt
  if (stage === CLOSING) {
    closeClient(state, client, !client.isFinished, out)
  } else if (stage === READY) {
    if (client.isBlocked) closeClient(state, client, true, out)
    else endIdle(state, client, now, out)
  } else if (stage === IN_HEAD) {
    client.mustClose = true
    fail(state, client, 'request-timeout', now, out)
  } else if (stage === DELIVERING) {
    cutOff(state, client, isTotal ? 'total-timeout' : 'request-timeout', true, now, out)
  } else if (stage === TUNNEL) {
    const isLate = client.isBlocked || (upstream!.hasEnded && !client.isFinished)
    const isDone = !isLate && isHalf(client, upstream!)
    cutOff(state, client, isDone ? 'done' : 'idle', isLate, now, out)
  } else if (isTotal) {
    fail(state, client, 'total-timeout', now, out)
  } else if (stage === HELD) {
    fail(state, client, 'hold-timeout', now, out)
  } else if (stage === ANSWERING) {
    fail(state, client, client.isBlocked ? 'request-timeout' : 'response-timeout', now, out)
  } else {
    const isItsTurn = client.isBlocked || (!isAsked(client) && !upstream!.isBlocked)
    fail(state, client, isItsTurn ? 'request-timeout' : 'response-timeout', now, out)
  }
}

const NO_BYTES = new Uint8Array(0)
