/** After a change of protocol: bytes both ways, each end by itself, until both are over. */
import type { Instant } from '../../../machine.ts'
import { responseFields, responseHead } from '../../forward/response.ts'
import type { ResponseHead } from '../../head/response.ts'
import { awaitTaking } from '../clients/closing.ts'
import {
  type Client,
  enter,
  type IngressState,
  NEVER,
  type Out,
  TUNNEL,
  type Upstream,
} from '../state.ts'
import { setDue } from '../timers.ts'
import { write } from './body.ts'
import { cutOff, fail } from './end.ts'

/** The backend changed the protocol, as the client offered it. */
export function openTunnel(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  head: ResponseHead,
  now: Instant,
  out: Out,
): void {
  const { passage } = client
  const isOffered =
    upstream.reader === undefined ||
    (head.upgrade !== '' && passage.requestUpgrade.split(/[\s,]+/).includes(head.upgrade))
  if (passage.requestUpgrade === '' || !isOffered) {
    fail(state, client, 'bad-response', now, out)
    return
  }
  client.answeredAt = now
  passage.elapsedMs = now - client.beganAt
  client.status = client.isStream ? 200 : head.status
  if (client.isStream) {
    const fields = responseFields(head, passage)
    out.push({ type: 'respond', client: client.id, status: 200, fields, isLast: false })
  } else {
    write(client, responseHead(head, passage), undefined, out)
  }
  enter(client, TUNNEL)
  client.listener!.tunnels += 1
  client.totalAt = NEVER
  upstream.writesChunks = false
  touch(state, client, now)
}

export function relayUp(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): void {
  client.moved += bytes.length - at
  write(upstream, '', at === 0 ? bytes : bytes.subarray(at), out)
  touch(state, client, now)
}

export function relayDown(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): void {
  upstream.moved += bytes.length - at
  write(client, '', at === 0 ? bytes : bytes.subarray(at), out)
  touch(state, client, now)
}

/** Each side's end goes on to the other; when both have all there was, it is over. */
export function settleTunnel(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  now: Instant,
  out: Out,
): void {
  if (client.hasEnded && client.queue === undefined && !client.endsUpstream) {
    client.endsUpstream = true
    out.push({ type: 'end-upstream', upstream: upstream.id })
    if (isHalf(client, upstream)) awaitTaking(state, client, now)
  }
  if (client.isFinished && upstream.isFinished) cutOff(state, client, 'done', false, now, out)
}

/** The end of the backend goes on to the client. */
export function endDown(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  now: Instant,
  out: Out,
): void {
  out.push({ type: 'end-client', client: client.id })
  if (isHalf(client, upstream)) awaitTaking(state, client, now)
}

/** What one side said was delivered with its end: the other has a moment for its own. */
export function awaitEnd(state: IngressState, client: Client, now: Instant): void {
  if (isHalf(client, client.upstream!)) setDue(state, client, now + END_MS)
}

/** A WebSocket that one side has ended: it knows no half of a connection (RFC 6455, 7.1). */
export const isHalf = ({ passage, hasEnded }: Client, upstream: Upstream): boolean =>
  passage.requestUpgrade === 'websocket' && (hasEnded || upstream.hasEnded)

/** Something moved. */
export function touch(state: IngressState, client: Client, now: Instant): void {
  if (isHalf(client, client.upstream!)) return
  const { tunnelIdleMs } = client.settings!
  setDue(state, client, tunnelIdleMs > 0 ? now + tunnelIdleMs : NEVER)
}

const END_MS = 5_000
