/** A client from when it is let in until it is gone. */
import type { Instant } from '../../../machine.ts'
import { assert } from '../../../machine.ts'
import type { ClientEvent } from '../../events.ts'
import { statusOf } from '../../head/fault.ts'
import { fieldsOf, requestOf } from '../../head/stream-head.ts'
import { begin } from '../exchange/begin.ts'
import { complete, cutOff, fail } from '../exchange/end.ts'
import { closeTunnelWhenDone } from '../exchange/tunnel.ts'
import { Client, type IngressState, type Out, STAGE } from '../state.ts'
import { setDue } from '../timers.ts'
import { steerUpstream } from '../upstreams/steering.ts'
import { closeClient, closeWhenDone } from './closing.ts'
import { beginRequest, settle, steer } from './reading.ts'

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
  if (typeof head === 'string') fail(state, client, 'bad-request', now, out, statusOf(head))
  else begin(state, client, head, NO_BYTES, 0, now, out)
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

export function onClientEnded(state: IngressState, client: Client, now: Instant, out: Out): void {
  client.hasEnded = true
  settle(state, client, now, out)
}

export function onClientTrailers(
  state: IngressState,
  client: Client,
  { fields }: Event<'client-trailers'>,
  now: Instant,
  out: Out,
): void {
  const trailers = fieldsOf(fields, client.port.limits)
  // Trailers may be left out (RFC 9110, 6.5.1), and bad ones are.
  if (typeof trailers !== 'string') client.trailers = trailers
  onClientEnded(state, client, now, out)
}

export function onClientBroken(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { stage } = client
  if (stage === STAGE.ready || stage === STAGE.closing) closeClient(state, client, true, out)
  else cutOff(state, client, 'client-gone', true, now, out)
}

export function onClientBlocked(client: Client, out: Out): void {
  client.isBlocked = true
  if (client.upstream !== undefined) steerUpstream(client.upstream, out)
  steer(client, out)
}

export function onClientWritable(
  state: IngressState,
  client: Client,
  now: Instant,
  out: Out,
): void {
  client.isBlocked = false
  if (client.stage === STAGE.delivering) complete(state, client, client.outcome, now, out)
  if (client.upstream !== undefined) steerUpstream(client.upstream, out)
  settle(state, client, now, out)
}

export function onClientFinished(
  state: IngressState,
  client: Client,
  now: Instant,
  out: Out,
): void {
  client.isFinished = true
  if (client.stage === STAGE.tunnel) closeTunnelWhenDone(state, client, now, out)
  else closeWhenDone(state, client, out)
}

/** Its time is over. */
export function onClientDue(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { stage, upstream } = client
  const isTotal = now >= client.totalAt
  if (stage === STAGE.ready || stage === STAGE.closing) {
    closeClient(state, client, false, out)
  } else if (stage === STAGE.head) {
    client.mustClose = true
    fail(state, client, 'request-timeout', now, out)
  } else if (stage === STAGE.delivering) {
    cutOff(state, client, isTotal ? 'total-timeout' : 'request-timeout', true, now, out)
  } else if (stage === STAGE.tunnel) {
    cutOff(state, client, 'idle', false, now, out)
  } else if (isTotal) {
    fail(state, client, 'total-timeout', now, out)
  } else if (stage === STAGE.held) {
    fail(state, client, 'hold-timeout', now, out)
  } else if (stage === STAGE.answering) {
    fail(state, client, client.isBlocked ? 'request-timeout' : 'response-timeout', now, out)
  } else {
    const isItsTurn = client.isBlocked || (client.left !== 0 && !upstream!.isBlocked)
    fail(state, client, isItsTurn ? 'request-timeout' : 'response-timeout', now, out)
  }
  if (client.stage !== STAGE.gone) settle(state, client, now, out)
}

const NO_BYTES = new Uint8Array(0)
