/** What goes through a listener, as its parent wants to know: idle or busy, and gone at last. */
import type { Instant } from '../../../machine.ts'
import type { IngressState, Listener, Out } from '../state.ts'
import { cancelTimer, setIdleTimer } from '../timers.ts'

export function sayBusy(listener: Listener, out: Out): void {
  if (!listener.idleSaid) return
  listener.idleSaid = false
  out.push({ type: 'busy', listener: listener.id })
}

/** Who may not come is no use of it. */
export function leaveListener(
  state: IngressState,
  listener: Listener,
  wasUse: boolean,
  now: Instant,
  out: Out,
): void {
  listener.live -= 1
  if (wasUse) listener.usedAt = now
  if (listener.live > 0) return
  if (listener.phase !== 'open') emptyWhenDone(state, listener, out)
  else if (listener.config.idleAfterMs > 0) {
    setIdleTimer(state, listener, listener.usedAt + listener.config.idleAfterMs)
  }
}

export function onIdleTimer(state: IngressState, listener: Listener, now: Instant, out: Out): void {
  const { live, usedAt, idleSaid } = listener
  const { idleAfterMs } = listener.config
  if (live > 0 || idleAfterMs === 0 || idleSaid) return
  if (usedAt + idleAfterMs > now) {
    setIdleTimer(state, listener, usedAt + idleAfterMs)
    return
  }
  listener.idleSaid = true
  out.push({ type: 'idle', listener: listener.id })
}

/** The last word of a listener. */
export function emptyWhenDone(state: IngressState, listener: Listener, out: Out): void {
  const { phase, live, idle, group, id } = listener
  if (phase === 'open' || live > 0 || idle > 0 || state.listeners.get(id) !== listener) return
  // A parent that still has backends here may yet take them away, and waits for the answer.
  if (phase === 'closed' && group.servingCount > 0) return
  cancelTimer(state, listener, id)
  state.listeners.delete(id)
  out.push({ type: 'emptied', listener: id })
}
