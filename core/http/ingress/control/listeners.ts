/** Listeners: their settings, their backends, their ends. */
import { BackendGroup } from '../../../balance/group.ts'
import type { Instant } from '../../../machine.ts'
import type { ControlEvent } from '../../events.ts'
import { settle } from '../clients/reading.ts'
import { zeroListenerCounters } from '../counters.ts'
import { fail } from '../exchange/end.ts'
import {
  ASKING,
  type Client,
  CONNECTING,
  type IngressState,
  type Listener,
  NEVER,
  type Out,
  type Target,
} from '../state.ts'
import { setIdleTimer } from '../timers.ts'
import { freeHeld, isHolding, lose, want } from '../upstreams/choice.ts'
import { closeIdle } from '../upstreams/pool.ts'
import { emptyWhenDone } from './use.ts'

type Event<T extends ControlEvent['type']> = Extract<ControlEvent, { type: T }>

export function onConfigureListener(
  state: IngressState,
  { listener: id, config, balance }: Event<'configure-listener'>,
  now: Instant,
): void {
  const { lineBytesMax, fieldsMax } = state.config
  const limits = { headBytesMax: config.headBytesMax, lineBytesMax, fieldsMax }
  let listener = state.listeners.get(id)
  const idleAfterBefore = listener?.config.idleAfterMs
  if (listener === undefined) {
    listener = {
      id,
      config,
      limits,
      usesKeys: false,
      phase: 'open',
      group: new BackendGroup(balance),
      targets: [],
      whenEmpty: 'refuse',
      held: new Set(),
      wantedSaid: false,
      idleSaid: false,
      usedAt: now,
      timerAt: NEVER,
      live: 0,
      tunnels: 0,
      idle: 0,
      counters: zeroListenerCounters(),
    }
    state.listeners.set(id, listener)
  } else if (balance !== undefined) {
    listener.group.rebalance(balance)
  }
  // Strategies that know affinity ask for a key, as their second parameter.
  if (balance !== undefined) listener.usesKeys = (balance.strategy?.choose.length ?? 1) > 1
  listener.config = config
  listener.limits = limits
  listener.group.limit(config.requestsPerBackendMax)
  if (config.idleAfterMs > 0 && config.idleAfterMs !== idleAfterBefore) {
    setIdleTimer(state, listener, listener.usedAt + config.idleAfterMs)
  }
  if (listener.held.size > 0) freeHeld(state, listener)
}

export function onApplyBackends(
  state: IngressState,
  { listener: id, version, backends, whenEmpty }: Event<'apply-backends'>,
  out: Out,
): void {
  const listener = state.listeners.get(id)
  if (listener === undefined) return
  const { group, held } = listener
  const isNews = version > group.state.version
  const left = group.apply(version, backends)
  const inForce = group.state.version
  out.push({ type: 'backends-applied', listener: id, version: inForce })
  for (const member of left) {
    if (member.state !== 'gone') continue
    out.push({
      type: 'backend-drained',
      listener: id,
      backend: member.backend.id,
      version: inForce,
    })
  }
  if (!isNews) return
  for (const target of listener.targets) {
    if (target !== undefined && target.member.state !== 'serving') closePool(state, target)
  }
  listener.whenEmpty = listener.phase === 'open' ? whenEmpty : 'refuse'
  listener.wantedSaid = false
  if (held.size > 0) {
    if (isHolding(listener)) want(listener, out)
    else freeHeld(state, listener)
  }
  emptyWhenDone(state, listener, out)
}

export function onCutBackend(
  state: IngressState,
  { listener: id, backend }: Event<'cut-backend'>,
): void {
  const listener = state.listeners.get(id)
  const member = listener?.group.find(backend)
  const target = member && listener!.targets[member.index]
  if (target?.member !== member || target === undefined) return
  closePool(state, target)
  state.chores.push((now, out) => {
    const { first } = target
    if (first !== undefined) cut(state, first, now, out)
    return first !== undefined
  })
}

export function onCloseListener(
  state: IngressState,
  { listener: id }: Event<'close-listener'>,
  out: Out,
): void {
  const listener = state.listeners.get(id)
  if (listener === undefined || listener.phase !== 'open') return
  listener.phase = 'closed'
  listener.whenEmpty = 'refuse' // nobody wakes what is behind a listener that is going
  for (const target of listener.targets) if (target !== undefined) closePool(state, target)
  if (listener.held.size > 0) freeHeld(state, listener)
  emptyWhenDone(state, listener, out)
}

export function onAbortListener(
  state: IngressState,
  { listener: id }: Event<'abort-listener'>,
  out: Out,
): void {
  const listener = state.listeners.get(id)
  if (listener === undefined || listener.phase === 'aborting') return
  listener.phase = 'aborting'
  listener.whenEmpty = 'refuse'
  state.chores.push((now, out) => abortOne(state, listener, now, out))
  for (const target of listener.targets) if (target !== undefined) closePool(state, target)
  emptyWhenDone(state, listener, out)
}

function abortOne(state: IngressState, listener: Listener, now: Instant, out: Out): boolean {
  const client = anyOf(listener)
  if (client === undefined) return false
  fail(state, client, 'aborted', now, out)
  settle(state, client, now, out)
  return true
}

function anyOf({ held, targets }: Listener): Client | undefined {
  for (const client of held) return client
  for (let last = targets.at(-1); targets.length > 0; last = targets.at(-1)) {
    if (last?.first !== undefined) return last.first
    targets.pop()
  }
  return undefined
}

/** A request that nothing was sent of has nothing to lose: it goes to another backend. */
function cut(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { stage, upstream } = client
  if (stage === CONNECTING || stage === ASKING) {
    lose(state, client, upstream!, 'cut', false, now, out)
  } else {
    fail(state, client, 'cut', now, out)
  }
  settle(state, client, now, out)
}

/** Ends its idle connections. */
function closePool(state: IngressState, target: Target): void {
  if (target.newest === undefined) return
  state.chores.push((_now, out) => {
    const { newest } = target
    if (newest === undefined) return false
    closeIdle(state, newest, out)
    return true
  })
}
