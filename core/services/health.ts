/**
 * The health monitor of one replica: when to probe, and what the answers mean.
 *
 * Probing starts at once and repeats every {@link FIRST_PASS_INTERVAL_MS} until the first pass;
 * within the start grace failures do not count. From then on `interval`, `timeout` and `retries`
 * hold: `retries` failures in a row make it unhealthy, `passes` passes in a row healthy again
 * (services W40: a single lost probe changes nothing, and the interval never shrinks).
 */
import { afterResult, newStreak, type Streak, type StreakLimits } from '../balance/hysteresis.ts'
import { type Attempt, type Instant, type Machine, unreachable } from '../machine.ts'

export interface HealthPolicy {
  readonly startGraceMs: number
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Failures in a row that make it unhealthy, at least 1. */
  readonly retries: number
  /** Passes in a row that make an unhealthy one healthy again, at least 1; the first ever is enough. */
  readonly passes: number
}

export type HealthVerdict = 'unknown' | 'healthy' | 'unhealthy'

export type HealthEvent =
  // an answer to `probe`; stale unless its attempt is the current one
  | {
      readonly type: 'result'
      readonly attempt: Attempt
      readonly ok: boolean
      readonly reason: string
    }
  // something else saw it fail (a refused connection): look now, not at the next interval
  | { readonly type: 'hurry' }
  // the deployment file changed; the verdict stands
  | { readonly type: 'policy'; readonly policy: HealthPolicy }
  | { readonly type: 'stop' }
  | { readonly type: 'tick' }

export type HealthCommand =
  | { readonly type: 'probe'; readonly attempt: Attempt; readonly timeoutMs: number }
  | { readonly type: 'cancel'; readonly attempt: Attempt }
  | { readonly type: 'verdict'; readonly verdict: 'healthy' | 'unhealthy'; readonly reason: string }

export interface HealthState {
  policy: HealthPolicy
  phase: 'waiting' | 'probing' | 'stopped'
  /** The probe under way, or the last one. */
  attempt: Attempt
  verdict: HealthVerdict
  /** Has it passed a check since it started? */
  passed: boolean
  /** Up until it is unhealthy: failures in a row that count, or since then passes in a row. */
  streak: Streak
  /** Why a probe failed last; empty once enough have passed since. */
  reason: string
  startedAt: Instant
  /** Waiting: the next probe. Probing: when the answer is overdue. */
  dueAt: Instant
}

export class HealthMonitor implements Machine<HealthEvent, HealthCommand> {
  readonly state: HealthState

  /** Wants its first `tick` at once. Attempts go on from `attemptLast`. */
  constructor(policy: HealthPolicy, now: Instant, attemptLast?: Attempt)
  constructor(restored: HealthState)
  constructor(from: HealthPolicy | HealthState, now = 0, attemptLast = 0) {
    this.state =
      'phase' in from
        ? from
        : {
            policy: from,
            phase: 'waiting',
            attempt: attemptLast,
            verdict: 'unknown',
            passed: false,
            streak: newStreak(true),
            reason: '',
            startedAt: now,
            dueAt: now,
          }
  }

  /**
   * Of something that worked until now: healthy, and waiting for the result of an attempt that
   * somebody else made, the one after `attemptLast`.
   */
  static suspecting(policy: HealthPolicy, now: Instant, attemptLast: Attempt): HealthMonitor {
    const { state } = new HealthMonitor(policy, now, attemptLast + 1)
    return new HealthMonitor({ ...state, phase: 'probing', verdict: 'healthy', passed: true })
  }

  step(event: HealthEvent, now: Instant, out: HealthCommand[]): void {
    const { state } = this
    if (state.phase === 'stopped') return
    switch (event.type) {
      case 'result':
        if (state.phase !== 'probing' || event.attempt !== state.attempt) return
        return onResult(state, event.ok, event.reason, now, out)
      case 'hurry':
        if (state.phase === 'waiting') probe(state, now, out)
        return
      case 'policy':
        state.policy = event.policy
        if (state.phase === 'waiting') state.dueAt = Math.min(state.dueAt, now + pause(state))
        return judge(state, out)
      case 'stop':
        if (state.phase === 'probing') out.push({ type: 'cancel', attempt: state.attempt })
        state.phase = 'stopped'
        return
      case 'tick':
        if (state.dueAt > now) return
        if (state.phase === 'waiting') return probe(state, now, out)
        out.push({ type: 'cancel', attempt: state.attempt })
        return onResult(state, false, `no answer within ${state.policy.timeoutMs} ms`, now, out)
      default:
        return unreachable(event)
    }
  }

  deadline(): Instant | undefined {
    return this.state.phase === 'stopped' ? undefined : this.state.dueAt
  }
}

function probe(state: HealthState, now: Instant, out: HealthCommand[]): void {
  state.phase = 'probing'
  state.attempt += 1
  // The shell keeps the timeout; the slack lets its own, better worded answer come first.
  state.dueAt = now + state.policy.timeoutMs + ANSWER_SLACK_MS
  out.push({ type: 'probe', attempt: state.attempt, timeoutMs: state.policy.timeoutMs })
}

function onResult(
  state: HealthState,
  ok: boolean,
  reason: string,
  now: Instant,
  out: HealthCommand[],
): void {
  const inGrace = !ok && !state.passed && now - state.startedAt < state.policy.startGraceMs
  state.phase = 'waiting'
  state.passed ||= ok
  if (!ok) state.reason = reason
  if (!inGrace) state.streak = afterResult(state.streak, ok, limitsOf(state))
  judge(state, out)
  state.dueAt = now + pause(state)
}

/** Says what the streak amounts to, by the policy that holds now. */
function judge(state: HealthState, out: HealthCommand[]): void {
  const { rise, fall } = limitsOf(state)
  const { isUp, against } = state.streak
  if (against >= (isUp ? fall : rise)) state.streak = newStreak(!isUp)
  const verdict = !state.streak.isUp ? 'unhealthy' : state.passed ? 'healthy' : 'unknown'
  if (verdict === 'healthy' && state.streak.against === 0) state.reason = ''
  if (verdict === state.verdict) return
  state.verdict = verdict
  if (verdict !== 'unknown') out.push({ type: 'verdict', verdict, reason: state.reason })
}

const limitsOf = ({ policy }: HealthState): StreakLimits => ({
  rise: policy.passes,
  fall: policy.retries,
})

/** Before the first pass a replica is watched closely: it should serve as soon as it can. */
const pause = (state: HealthState): number =>
  Math.max(
    1,
    state.passed
      ? state.policy.intervalMs
      : Math.min(FIRST_PASS_INTERVAL_MS, state.policy.intervalMs),
  )

/** Services reference 1.6. */
export const DEFAULT_HEALTH: HealthPolicy = {
  startGraceMs: 5_000,
  intervalMs: 10_000,
  timeoutMs: 5_000,
  retries: 3,
  passes: 1,
}

export const FIRST_PASS_INTERVAL_MS = 250
export const ANSWER_SLACK_MS = 1_000
