/**
 * What is behind the sockets of a TCP listener, without a socket: the shell reports what they do and
 * runs what comes back. One machine for each listener, however many sockets lead to it; it holds the
 * listener's backend group.
 */
import { BackendGroup, type BackendId, type GroupOptions } from '../balance/group.ts'
import { assert, type Instant, type Machine, unreachable } from '../machine.ts'
import { DeadlineQueue } from '../time/deadline-queue.ts'
import { UseTimer } from '../time/use-timer.ts'
import type { StreamListenerCommand } from './commands.ts'
import type { StreamListenerEvent } from './events.ts'
import {
  closePair,
  isConnecting,
  letGoOn,
  onAccepted,
  onBlocked,
  onConnectTimeout,
  onData,
  onEnded,
  onErrored,
  onFinished,
  onUpstreamConnected,
  onUpstreamFailed,
  onWritable,
  sayWanted,
  tryNext,
} from './pair.ts'
import {
  defaultStreamConfig,
  type ListenerState,
  type Pair,
  type StreamConfig,
  type StreamCounters,
  zeroCounters,
} from './state.ts'

/** What a listener counts of a backend that is in its set, or drains. */
export interface StreamBackendCounts {
  readonly backend: BackendId
  readonly host: string
  readonly port: number
  readonly isDraining: boolean
  /** Connections, those being made included. */
  readonly live: number
  /** Attempts that failed or timed out, since it is in the set. */
  readonly failures: number
}

export class StreamListener implements Machine<StreamListenerEvent, StreamListenerCommand> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: ListenerState

  constructor(config: StreamConfig = defaultStreamConfig, balance?: GroupOptions) {
    this.state = {
      config,
      phase: 'accepting',
      group: new BackendGroup(balance),
      pairs: new Map(),
      pairsOn: new Map(),
      held: new Set(),
      whenEmpty: 'refuse',
      isWanted: false,
      use: new UseTimer(config.idleAfterMs),
      timers: new DeadlineQueue(),
      attemptLast: 0,
      failures: new WeakMap(),
      cutting: new Set(),
      goOnAt: undefined,
      counters: zeroCounters(),
    }
    this.state.group.limit(config.connectionsPerBackendMax)
  }

  step(event: StreamListenerEvent, now: Instant, out: StreamListenerCommand[]): void {
    const { state } = this
    switch (event.type) {
      case 'data': // first: nothing is as frequent
        onData(state, event, now, out)
        return // nor can it empty the machine
      case 'blocked':
        onBlocked(state, event, out)
        return
      case 'writable':
        onWritable(state, event, now, out)
        return
      case 'accepted':
        onAccepted(state, event, now, out)
        break
      case 'upstream-connected':
        onUpstreamConnected(state, event, now, out)
        break
      case 'upstream-failed':
        onUpstreamFailed(state, event, now, out)
        break
      case 'ended':
        onEnded(state, event, now, out)
        break
      case 'errored':
        onErrored(state, event, out)
        break
      case 'finished':
        onFinished(state, event, out)
        break
      case 'apply-backends':
        onApplyBackends(state, event, now, out)
        break
      case 'cut-backend':
        onCutBackend(state, event, now, out)
        break
      case 'close':
        onClose(state, 'closed')
        if (state.held.size > 0) endMany(state, now, out)
        break
      case 'abort-all':
        onClose(state, 'aborting')
        endMany(state, now, out)
        break
      case 'configure':
        state.config = event.config
        state.group.limit(event.config.connectionsPerBackendMax)
        state.use.configure(event.config.idleAfterMs, now)
        break
      case 'rebalance':
        state.group.rebalance(event.balance)
        if (state.held.size > 0) endMany(state, now, out)
        break
      case 'tick':
        onTick(state, now, out)
        break
      default:
        unreachable(event)
    }
    if (state.phase === 'accepting') noteUse(state, now, out)
    else if (state.phase !== 'emptied') emptyWhenDone(state, out)
  }

  deadline(): Instant | undefined {
    const { goOnAt, timers, phase, use } = this.state
    // While work is left over, timers that are due are part of it.
    const at = goOnAt ?? timers.next()
    const idleAt = phase === 'accepting' ? use.next() : undefined
    return at === undefined || idleAt === undefined ? (at ?? idleAt) : Math.min(at, idleAt)
  }

  /** Live connections, held ones included. */
  get connections(): number {
    return this.state.pairs.size
  }

  /** Those that wait for a backend. */
  get heldConnections(): number {
    return this.state.held.size
  }

  /** Live connections to one backend, those still being made included. */
  connectionsOn(backend: string): number {
    return this.state.group.liveOn(backend)
  }

  /** O(backends). */
  backendCounts(): readonly StreamBackendCounts[] {
    const { group, failures } = this.state
    const { serving, draining } = group.state
    return [...serving.values(), ...draining.values()].map((member) => {
      const { id: backend, host, port } = member.backend
      const isDraining = member.state === 'draining'
      const { live } = member
      return { backend, host, port, isDraining, live, failures: failures.get(member) ?? 0 }
    })
  }

  /** Neither connections nor backends: nothing would be lost with this machine. */
  get isEmpty(): boolean {
    // Without connections no backend drains.
    return this.state.pairs.size === 0 && this.state.group.servingCount === 0
  }

  get counters(): Readonly<StreamCounters> {
    return this.state.counters
  }
}

function onApplyBackends(
  state: ListenerState,
  { version, backends, whenEmpty }: Extract<StreamListenerEvent, { type: 'apply-backends' }>,
  now: Instant,
  out: StreamListenerCommand[],
): void {
  const isNews = version > state.group.version
  // Connections being made to a backend that is missing now count as live until they are done.
  const left = state.group.apply(version, backends)
  const inForce = state.group.version
  out.push({ type: 'backends-applied', version: inForce })
  for (const member of left) {
    if (member.state !== 'gone') continue
    out.push({ type: 'backend-drained', backend: member.backend.id, version: inForce })
  }
  if (!isNews) return
  state.whenEmpty = state.phase === 'accepting' ? whenEmpty : 'refuse'
  state.isWanted = false
  if (state.held.size === 0) return
  // Whoever sent this may have been in no position to hear it the first time.
  if (isHolding(state)) sayWanted(state, out)
  else endMany(state, now, out)
}

function onCutBackend(
  state: ListenerState,
  { backend }: Extract<StreamListenerEvent, { type: 'cut-backend' }>,
  now: Instant,
  out: StreamListenerCommand[],
): void {
  const member = state.group.find(backend)
  if (member === undefined) return
  state.cutting.add(member)
  endMany(state, now, out)
}

function onClose(state: ListenerState, phase: 'closed' | 'aborting'): void {
  if (state.phase !== 'emptied' && state.phase !== 'aborting') state.phase = phase
  state.whenEmpty = 'refuse' // nobody wakes what is behind a listener that is going
}

function onTick(state: ListenerState, now: Instant, out: StreamListenerCommand[]): void {
  if (state.phase === 'accepting' && state.use.tick(now)) out.push({ type: 'idle' })
  if (state.goOnAt !== undefined && now < state.goOnAt) return // spurious
  endMany(state, now, out)
  const next = state.goOnAt ?? state.timers.next()
  assert(next === undefined || next > now, 'busy loop: the next deadline is already due')
}

/**
 * What happens to connections in numbers: an abort, cuts, timers, an end to their waiting; a bounded
 * part of it a step.
 */
function endMany(state: ListenerState, now: Instant, out: StreamListenerCommand[]): void {
  const left = endCuts(state, now, out, endTimers(state, now, out, endAll(state, out)))
  const isLeft = endHolding(state, now, out, left) === 0
  state.goOnAt = isLeft ? now + GO_ON_AFTER_MS : undefined
}

function endAll(state: ListenerState, out: StreamListenerCommand[]): number {
  let left = ENDS_PER_STEP_MAX
  if (state.phase !== 'aborting') return left
  for (const pair of state.pairs.values()) {
    if (left === 0) break
    left -= 1
    closePair(state, pair, 'aborted', true, out)
  }
  return left
}

function endTimers(
  state: ListenerState,
  now: Instant,
  out: StreamListenerCommand[],
  budget: number,
): number {
  for (let left = budget; left > 0; left--) {
    const connection = state.timers.pop(now)
    if (connection === undefined) return left
    const pair = state.pairs.get(connection)
    assert(pair !== undefined, 'a closed connection has no timer')
    if (isConnecting(pair)) onConnectTimeout(state, pair, now, out)
    else if (pair.link.type === 'held') closePair(state, pair, 'hold-timeout', true, out)
    else closePair(state, pair, 'idle', false, out)
  }
  return 0
}

function endCuts(
  state: ListenerState,
  now: Instant,
  out: StreamListenerCommand[],
  budget: number,
): number {
  let left = budget
  for (const member of state.cutting) {
    for (const pair of state.pairsOn.get(member) ?? NO_PAIRS) {
      if (left === 0) return 0
      left -= 1
      cut(state, pair, now, out)
    }
    state.cutting.delete(member)
  }
  return left
}

/** A client that was not joined yet has nothing to lose: it goes to another backend. */
function cut(state: ListenerState, pair: Pair, now: Instant, out: StreamListenerCommand[]): void {
  if (!isConnecting(pair)) {
    closePair(state, pair, 'cut', true, out)
    return
  }
  out.push({ type: 'abandon-upstream', connection: pair.id, attempt: pair.link.attempt })
  tryNext(state, pair, now, out)
}

function endHolding(
  state: ListenerState,
  now: Instant,
  out: StreamListenerCommand[],
  budget: number,
): number {
  let left = budget
  if (isHolding(state)) return left
  for (const pair of state.held) {
    if (left === 0) return 0
    left -= 1
    letGoOn(state, pair, now, out)
  }
  return left
}

/** What waits for a backend goes on waiting. */
const isHolding = ({ group, whenEmpty }: ListenerState): boolean =>
  group.candidateCount === 0 && whenEmpty === 'hold'

function noteUse({ pairs, use }: ListenerState, now: Instant, out: StreamListenerCommand[]): void {
  if (pairs.size === 0) use.end(now)
  else if (use.begin()) out.push({ type: 'busy' })
}

function emptyWhenDone(state: ListenerState, out: StreamListenerCommand[]): void {
  if (state.pairs.size > 0) return
  // A parent that still has backends here may yet take them away, and waits for the answer.
  if (state.phase === 'closed' && state.group.servingCount > 0) return
  state.phase = 'emptied'
  out.push({ type: 'emptied' })
}

/** So that a mass close never holds up everything else. */
const ENDS_PER_STEP_MAX = 1024
const GO_ON_AFTER_MS = 1

const NO_PAIRS: readonly never[] = []
