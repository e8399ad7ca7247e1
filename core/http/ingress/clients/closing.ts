/** How clients are let go of. */
import type { Instant } from '../../../machine.ts'
import { CLOSING, type Client, enter, GONE, type IngressState, type Out } from '../state.ts'
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
  awaitTaking(state, client, now)
  if (client.isPaused && !client.hasEnded) out.push({ type: 'resume-client', client: client.id })
  client.isPaused = false
  // The end of a stream went out with its answer.
  if (!client.isStream) out.push({ type: 'end-client', client: client.id })
}

/**
 * Until it has taken all that was written: what waits in memory, told of as blocked or not, is lost when
 * it is closed, and it shall not take what it has for all of it.
 */
export function awaitTaking(state: IngressState, client: Client, now: Instant): void {
  const { settings, port } = client
  setDue(state, client, now + (settings?.bodyTimeoutMs ?? port.limits.headTimeoutMs))
}

/** It took everything, and the end. */
export function onFinished(state: IngressState, client: Client, now: Instant): void {
  client.isFinished = true
  client.isBlocked = false
  if (client.stage === CLOSING) setDue(state, client, now + LINGER_MS)
}

/** It has asked for nothing for too long, or its port is closed. */
export function endIdle(state: IngressState, client: Client, now: Instant, out: Out): void {
  if (client.requests === 0) closeClient(state, client, false, out)
  else endClient(state, client, false, now, out)
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

const LINGER_MS = 5_000
