/**
 * The entrance of one TCP socket: what has to be known of a connection before it is somebody's. Who
 * it is from, as a trusted proxy says; what it asks for, as its ClientHello says; that its TLS ends
 * here. Then it is handed to a route, and forgotten.
 */
import { assert, type Instant, type Machine, unreachable } from '../../machine.ts'
import { DeadlineQueue } from '../../time/deadline-queue.ts'
import type { EntranceCommand } from './commands.ts'
import type { EntranceConfig } from './config.ts'
import type { EntranceEvent } from './events.ts'
import { onAccepted, onData, onGone, onSecured, onSecureFailed, refuse } from './greeting.ts'
import { doorOf } from './routes.ts'
import { type EntranceCounters, type EntranceState, zeroEntranceCounters } from './state.ts'

export class StreamEntrance implements Machine<EntranceEvent, EntranceCommand> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: EntranceState

  constructor(config: EntranceConfig) {
    this.state = {
      door: doorOf(config),
      phase: 'open',
      greetings: new Map(),
      timers: new DeadlineQueue(),
      goOnAt: undefined,
      counters: zeroEntranceCounters(),
    }
  }

  step(event: EntranceEvent, now: Instant, out: EntranceCommand[]): void {
    const { state } = this
    switch (event.type) {
      case 'accepted':
        onAccepted(state, event, now, out)
        return
      case 'data':
        onData(state, event, out)
        return
      case 'ended':
      case 'errored':
        onGone(state, event, out)
        return
      case 'secured':
        onSecured(state, event, out)
        return
      case 'secure-failed':
        onSecureFailed(state, event, out)
        return
      case 'configure':
        state.door = doorOf(event.config)
        return
      case 'close':
        state.phase = 'closed'
        endMany(state, now, out)
        return
      case 'tick':
        onTick(state, now, out)
        return
      default:
        unreachable(event)
    }
  }

  deadline(): Instant | undefined {
    return this.state.goOnAt ?? this.state.timers.next()
  }

  /** Connections on their way in. */
  get connections(): number {
    return this.state.greetings.size
  }

  /** Nothing would be lost with this machine. */
  get isEmpty(): boolean {
    return this.state.greetings.size === 0
  }

  get counters(): Readonly<EntranceCounters> {
    return this.state.counters
  }
}

function onTick(state: EntranceState, now: Instant, out: EntranceCommand[]): void {
  if (state.goOnAt !== undefined && now < state.goOnAt) return // spurious
  endMany(state, now, out)
  const next = state.goOnAt ?? state.timers.next()
  assert(next === undefined || next > now, 'busy loop: the next deadline is already due')
}

/** Refuses those whose time is over, and all of a closed entrance; a bounded part of it a step. */
function endMany(state: EntranceState, now: Instant, out: EntranceCommand[]): void {
  state.goOnAt = undefined
  let left = ENDS_PER_STEP_MAX
  if (state.phase === 'closed') {
    for (const greeting of state.greetings.values()) {
      if (left === 0) break
      left -= 1
      refuse(state, greeting, 'closing', out)
    }
  }
  for (; left > 0; left--) {
    const connection = state.timers.pop(now)
    if (connection === undefined) return
    const greeting = state.greetings.get(connection)
    assert(greeting !== undefined, 'who is through has no timer')
    refuse(state, greeting, 'greeting-timeout', out)
  }
  if (state.greetings.size > 0) state.goOnAt = now + GO_ON_AFTER_MS
}

/** So that a mass end never holds up everything else. */
const ENDS_PER_STEP_MAX = 1_024
const GO_ON_AFTER_MS = 1
