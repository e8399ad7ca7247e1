/**
 * Timers that cost a number to move: the one in the queue fires no later than it must, and is set
 * again where its owner has got more time since. A connection in use costs the queue one operation
 * in many seconds, however many requests it carries.
 */
import type { Instant } from '../../machine.ts'
import { type Client, type IngressState, type Listener, NEVER, type Upstream } from './state.ts'

/** Not later than the exchange may last. */
export function setDue(state: IngressState, client: Client, at: Instant): void {
  const dueAt = at < client.totalAt ? at : client.totalAt
  client.dueAt = dueAt
  if (dueAt < client.timerAt) queue(state, client, client.id, dueAt)
}

export function setIdleDue(state: IngressState, upstream: Upstream, at: Instant): void {
  upstream.dueAt = at
  if (at < upstream.timerAt) queue(state, upstream, -upstream.id, at)
}

/** When it may say that it is idle. */
export function setIdleTimer(state: IngressState, listener: Listener, at: Instant): void {
  if (at < listener.timerAt) queue(state, listener, listener.id, at)
}

export function cancelTimer(
  state: IngressState,
  owner: { timerAt: Instant },
  key: number | string,
): void {
  if (owner.timerAt !== NEVER) state.timers.cancel(key)
}

function queue(
  state: IngressState,
  owner: { timerAt: Instant },
  key: number | string,
  at: Instant,
): void {
  owner.timerAt = at
  state.timers.set(key, at)
}
