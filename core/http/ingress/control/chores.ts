/** What is done in numbers: timers that are due, ends of many; a bounded part of it a step. */
import { assert, type Instant } from '../../../machine.ts'
import type { ClientId, UpstreamId } from '../../events.ts'
import { onClientDue } from '../clients/connection.ts'
import { settle } from '../clients/reading.ts'
import { CONNECTING, type IngressState, NEVER, type Out } from '../state.ts'
import { setIdleDue } from '../timers.ts'
import { onConnectTimeout } from '../upstreams/connection.ts'
import { closeIdle } from '../upstreams/pool.ts'
import { onIdleTimer } from './use.ts'

export function onTick(state: IngressState, now: Instant, out: Out): void {
  if (state.goOnAt !== undefined && now < state.goOnAt) return // spurious
  doChores(state, now, out, true)
  const next = state.goOnAt ?? state.timers.next()
  assert(next === undefined || next > now, 'busy loop: the next deadline is already due')
}

export function doChores(state: IngressState, now: Instant, out: Out, withTimers: boolean): void {
  const { chores } = state
  let left = ENDS_PER_STEP_MAX
  for (let each = 0; each < chores.length; each++) {
    while (left > 0 && chores[each]!(now, out)) left -= 1
    if (left === 0) {
      chores.splice(0, each)
      state.goOnAt = now + GO_ON_AFTER_MS
      return
    }
  }
  chores.length = 0
  if (withTimers) {
    for (; left > 0; left--) {
      const key = state.timers.pop(now)
      if (key === undefined) break
      onTimer(state, key, now, out)
    }
  }
  // What timers ended may have freed others.
  state.goOnAt = left === 0 || chores.length > 0 ? now + GO_ON_AFTER_MS : undefined
}

function onTimer(state: IngressState, key: number | string, now: Instant, out: Out): void {
  if (typeof key === 'string') {
    const listener = state.listeners.get(key)!
    listener.timerAt = NEVER
    onIdleTimer(state, listener, now, out)
    return
  }
  if (key < 0) {
    const upstream = state.upstreams.get(-key as UpstreamId)!
    upstream.timerAt = NEVER
    if (upstream.client !== undefined) return // set when it is idle again
    if (upstream.dueAt > now) setIdleDue(state, upstream, upstream.dueAt)
    else closeIdle(state, upstream, out)
    return
  }
  const client = state.clients.get(key as ClientId)!
  client.timerAt = NEVER
  if (client.dueAt > now) {
    if (client.dueAt === NEVER) return
    client.timerAt = client.dueAt
    state.timers.set(key, client.dueAt)
  } else if (client.stage === CONNECTING && now < client.totalAt) {
    onConnectTimeout(state, client, now, out)
    settle(state, client, now, out)
  } else {
    onClientDue(state, client, now, out)
    settle(state, client, now, out)
  }
}

/** So that a mass end never holds up everything else. */
const ENDS_PER_STEP_MAX = 1_024
const GO_ON_AFTER_MS = 1
