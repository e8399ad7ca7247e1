/** Connections to backends: made, kept for the next exchange, closed. */
import type { Instant } from '../../../machine.ts'
import { emptyWhenDone } from '../control/use.ts'
import {
  type Client,
  type IngressState,
  type Listener,
  type Out,
  type Target,
  Upstream,
} from '../state.ts'
import { cancelTimer, setIdleDue } from '../timers.ts'

/** For what this client asks; nothing is read from it before it is connected. */
export function connect(
  state: IngressState,
  client: Client,
  listener: Listener,
  target: Target,
  out: Out,
): void {
  const upstream = new Upstream(state, client, listener, target)
  state.upstreams.set(upstream.id, upstream)
  client.upstream = upstream
  const { id: backend, host, port } = target.member.backend
  const protocol = client.settings!.backend
  const { id } = upstream
  out.push({ type: 'connect', upstream: id, listener: listener.id, backend, host, port, protocol })
}

/**
 * The idle connection that was used last, which is the least likely to be closed by its backend
 * just now; none that was idle for `idleMsMax` or longer.
 */
export function checkOut(
  target: Target,
  client: Client,
  idleMsMax: number,
  now: Instant,
): Upstream | undefined {
  const upstream = target.newest
  if (upstream === undefined || upstream.dueAt <= now || now - upstream.idleAt >= idleMsMax) {
    return undefined
  }
  unlink(upstream)
  upstream.client = client
  upstream.isReused = true
  upstream.hasAnswered = false
  upstream.moved = 0
  client.upstream = upstream
  return upstream
}

/** Keeps it for another exchange, if it may. */
export function park(state: IngressState, upstream: Upstream, now: Instant, out: Out): void {
  const { target, listener, keepMs } = upstream
  const mayKeep =
    keepMs > 0 &&
    listener.phase === 'open' &&
    target.member.state === 'serving' &&
    target.idle < state.config.idlePerBackendMax &&
    !upstream.isBlocked
  if (!mayKeep) {
    closeUpstream(state, upstream, false, out)
    return
  }
  if (upstream.isPaused) out.push({ type: 'resume-upstream', upstream: upstream.id })
  upstream.isPaused = false
  upstream.idleAt = now
  upstream.older = target.newest
  if (target.newest !== undefined) target.newest.newer = upstream
  target.newest = upstream
  target.idle += 1
  listener.idle += 1
  setIdleDue(state, upstream, now + keepMs)
}

/** It was idle: nobody misses it. */
export function closeIdle(state: IngressState, upstream: Upstream, out: Out): void {
  unlink(upstream)
  closeUpstream(state, upstream, false, out)
  emptyWhenDone(state, upstream.listener, out)
}

export function closeUpstream(
  state: IngressState,
  upstream: Upstream,
  reset: boolean,
  out: Out,
  isSuspect = false,
): void {
  forgetUpstream(state, upstream)
  const { id } = upstream
  if (isSuspect) out.push({ type: 'close-upstream', upstream: id, reset, isSuspect })
  else out.push({ type: 'close-upstream', upstream: id, reset })
}

export function forgetUpstream(state: IngressState, upstream: Upstream): void {
  cancelTimer(state, upstream, -upstream.id)
  state.upstreams.delete(upstream.id)
}

function unlink(upstream: Upstream): void {
  const { target, newer, older, listener } = upstream
  if (newer === undefined) target.newest = older
  else newer.older = older
  if (older !== undefined) older.newer = newer
  upstream.newer = undefined
  upstream.older = undefined
  target.idle -= 1
  listener.idle -= 1
}
