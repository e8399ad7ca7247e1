/** How clients are let go of. */
import type { Instant } from '../../../machine.ts'
import { CLOSING, type Client, enter, GONE, type IngressState, type Out, READY } from '../state.ts'
import { cancelTimer, setDue } from '../timers.ts'

/**
 * Writes nothing more to it. What it still sends is read and dropped for a while: a socket that is
 * closed with something unread resets, and a reset overtakes the answer (RFC 9112, 9.6).
 * `lingers`: there may be such.
 */
export function endClient(
  state: IngressState,
  client: Client,
  lingers: boolean,
  now: Instant,
  out: Out,
): void {
  enter(client, CLOSING)
  client.lingers = lingers
  client.queue = undefined
  if (client.isBlocked) awaitTaking(state, client, now)
  else setDue(state, client, now + CLOSING_MS_MAX)
  if (client.isPaused && !client.hasEnded) out.push({ type: 'resume-client', client: client.id })
  client.isPaused = false
  // The end of a stream went out with its answer.
  if (!client.isStream) out.push({ type: 'end-client', client: client.id })
}

/** It takes nothing for now of what was written; what waits in memory is lost when it is closed. */
export function awaitTaking(state: IngressState, client: Client, now: Instant): void {
  const { settings, port } = client
  setDue(state, client, now + (settings?.bodyTimeoutMs ?? port.limits.headTimeoutMs))
}

/** It took everything: its time begins anew. */
export function onTaken(state: IngressState, client: Client, now: Instant): void {
  const { stage, port } = client
  if (stage === READY) setDue(state, client, now + port.limits.keepAliveMs)
  if (stage === CLOSING) setDue(state, client, now + CLOSING_MS_MAX)
}

export function closeWhenDone(state: IngressState, client: Client, out: Out): void {
  if (client.stage !== CLOSING || !client.isFinished) return
  if (client.hasEnded || client.isStream || !client.lingers) closeClient(state, client, false, out)
}

export function closeClient(state: IngressState, client: Client, reset: boolean, out: Out): void {
  out.push({ type: 'close-client', client: client.id, reset })
  forgetClient(state, client)
}

export function forgetClient(state: IngressState, client: Client): void {
  enter(client, GONE)
  client.queue = undefined
  cancelTimer(state, client, client.id)
  client.port.clients.delete(client)
  state.clients.delete(client.id)
}

const CLOSING_MS_MAX = 5_000
