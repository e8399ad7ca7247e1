/**
 * Decides which certificates to get and when, one at a time: of the names that shall have one, those
 * that have none or whose own ends soon, after pauses where there were failures. Getting one (RFC 8555)
 * is somebody else's work.
 */
import { type Attempt, type Instant, type Machine, unreachable } from '../machine.ts'
import { type AcmeCause, CAUSES } from './causes.ts'
import type { AcmeCommand } from './commands.ts'
import type { AcmeEvent, CertificateSpan, Span } from './events.ts'
import { aboutText, drawOf, PAUSE_MAX_MS, PAUSE_MIN_MS, pauseMs } from './pauses.ts'
import {
  type AcmeConfig,
  type AcmeCounters,
  type AcmeState,
  defaultAcmeConfig,
  dueAtOf,
  newAcmeState,
  type WantedName,
} from './state.ts'

export { type AcmeConfig, type AcmeCounters, defaultAcmeConfig } from './state.ts'

export class AcmePlanner implements Machine<AcmeEvent, AcmeCommand> {
  /** For `checkInvariants`; nobody else reads it. */
  readonly state: AcmeState

  constructor(config: Partial<AcmeConfig> = {}) {
    this.state = newAcmeState({ ...defaultAcmeConfig, ...config })
  }

  step(event: AcmeEvent, now: Instant, out: AcmeCommand[]): void {
    const { state } = this
    switch (event.type) {
      case 'names':
        onNames(state, event.names, now, out)
        break
      case 'certificates':
        onCertificates(state, event, now, out)
        break
      case 'issued':
        onIssued(state, event, now, out)
        break
      case 'failed':
        if (event.attempt === state.order?.attempt) fail(state, event, now, out)
        break
      case 'tick':
        onTick(state, now, out)
        break
      default:
        return unreachable(event)
    }
    orderNext(state, now, out)
  }

  deadline(): Instant | undefined {
    const { order, nextLookAt, names, hasLooked, pausedUntil } = this.state
    let at = nextLookAt
    if (order !== undefined) at = Math.min(at, order.giveUpAt)
    else if (hasLooked) {
      for (const name of names.values()) at = Math.min(at, Math.max(dueAtOf(name), pausedUntil))
    }
    return Number.isFinite(at) ? at : undefined
  }

  get counters(): Readonly<AcmeCounters> {
    return this.state.counters
  }

  /** How many names there are of each kind. */
  nameCounts(now: Instant): Readonly<Record<'good' | 'ending' | 'missing', number>> {
    const counts = { good: 0, ending: 0, missing: 0 }
    for (const { span } of this.state.names.values()) {
      if (span === undefined || span.endsAt <= now) counts.missing += 1
      else counts[span.renewAt <= now ? 'ending' : 'good'] += 1
    }
    return counts
  }
}

/** Names that leave are not renewed any more. */
function onNames(
  state: AcmeState,
  given: readonly string[],
  now: Instant,
  out: AcmeCommand[],
): void {
  const { names, order, config } = state
  const wanted = new Set([...given].sort().slice(0, config.namesMax))
  const leftOut = new Set(given).size - wanted.size
  if (leftOut > 0 && !state.hasSaidLeftOut) {
    const text = `acme: ${leftOut} names are left out: there are ${config.namesMax} already`
    out.push({ type: 'notice', level: 'warn', text })
  }
  state.hasSaidLeftOut = leftOut > 0
  for (const name of [...names.keys()]) if (!wanted.has(name)) names.delete(name)
  if (order !== undefined && !wanted.has(order.name)) {
    state.order = undefined
    out.push({ type: 'cancel-order', attempt: order.attempt })
  }
  for (const name of wanted) {
    if (names.has(name)) continue
    const record: WantedName = {
      name,
      span: undefined,
      issuedAt: undefined,
      failures: 0,
      retryAt: 0,
      said: undefined,
    }
    names.set(name, record)
  }
  state.hasLooked = false
  look(state, now, out)
}

function look(state: AcmeState, now: Instant, out: AcmeCommand[]): void {
  if (state.names.size === 0) {
    state.nextLookAt = Number.POSITIVE_INFINITY
    return
  }
  state.nextLookAt = now + state.config.lookEveryMs
  out.push({ type: 'look' })
}

function onCertificates(
  state: AcmeState,
  { wallClockMs, certificates }: Extract<AcmeEvent, { type: 'certificates' }>,
  now: Instant,
  out: AcmeCommand[],
): void {
  state.hasLooked = true
  const byName = new Map<string, CertificateSpan>()
  for (const each of certificates) byName.set(each.name, each)
  for (const name of state.names.values()) {
    // As clients are shown one: its own, whatever its wildcard's is like.
    const inUse = byName.get(name.name) ?? byName.get(name.name.replace(/^[^.]*/, '*'))
    const span = inUse === undefined ? undefined : spanOf(state, inUse, wallClockMs, now)
    const isGood = span !== undefined && span.renewAt > now
    if (name.issuedAt !== undefined && !isGood) {
      if (now - name.issuedAt < SETTLE_MS) continue // it may not be seen yet
      name.issuedAt = undefined
      name.span = span
      state.counters.failed.unused += 1
      failName(state, name, 'unused', '', PAUSE_MAX_MS, now, out)
      continue
    }
    name.span = span
    if (isGood) forgive(name)
  }
}

function onIssued(
  state: AcmeState,
  event: Extract<AcmeEvent, { type: 'issued' }>,
  now: Instant,
  out: AcmeCommand[],
): void {
  const { order } = state
  if (order === undefined || order.attempt !== event.attempt) return // the next look finds it
  const name = state.names.get(order.name)!
  state.order = undefined
  state.counters.issued += 1
  state.failures = 0
  state.said = undefined
  forgive(name)
  name.span = spanOf(state, event, event.wallClockMs, now)
  name.issuedAt = now
  // Whatever the span says: a clock that is wrong must not make orders one after the other.
  name.retryAt = now + ISSUE_GAP_MS
  state.nextLookAt = Math.min(state.nextLookAt, now + SETTLE_MS)
  out.push({ type: 'notice', level: 'info', text: `acme: ${order.name} has a new certificate` })
}

function onTick(state: AcmeState, now: Instant, out: AcmeCommand[]): void {
  const { order } = state
  if (order !== undefined && order.giveUpAt <= now) {
    const { attempt } = order
    out.push({ type: 'cancel-order', attempt })
    const text = `after ${Math.round(state.config.orderTimeoutMs / 1_000)} s`
    fail(state, { attempt, cause: 'timeout', text }, now, out)
  }
  if (state.nextLookAt <= now) look(state, now, out)
}

interface Failure {
  readonly attempt: Attempt
  readonly cause: AcmeCause
  readonly text: string
  readonly retryAfterMs?: number
}

/** Of the order under way. */
function fail(
  state: AcmeState,
  { cause, text, retryAfterMs = 0 }: Failure,
  now: Instant,
  out: AcmeCommand[],
): void {
  const name = state.names.get(state.order!.name)!
  state.order = undefined
  state.counters.failed[cause] += 1
  const askedMs = Math.min(Math.max(0, retryAfterMs), RETRY_AFTER_MAX_MS)
  if (CAUSES[cause].concerns === 'name') {
    state.failures = 0
    state.said = undefined
    failName(state, name, cause, text, askedMs, now, out)
    return
  }
  state.failures += 1
  const pause = Math.max(
    pauseMs(state.failures, drawOf(state.config.seed, state.attempts)),
    // What the server limits may be this name alone: the others wait no longer than that for it.
    Math.min(askedMs, PAUSE_OF_OTHERS_MAX_MS),
  )
  state.pausedUntil = now + pause
  name.retryAt = now + Math.max(PAUSE_MIN_MS, askedMs)
  if (state.said === cause) return
  state.said = cause
  sayFailure(name, cause, text, Math.max(pause, askedMs), now, out)
}

function failName(
  state: AcmeState,
  name: WantedName,
  cause: AcmeCause,
  text: string,
  waitMs: number,
  now: Instant,
  out: AcmeCommand[],
): void {
  name.failures += 1
  const own = pauseMs(name.failures, drawOf(state.config.seed, state.attempts))
  const pause = Math.max(own, waitMs)
  name.retryAt = now + pause
  if (name.said === cause) return
  name.said = cause
  sayFailure(name, cause, text, pause, now, out)
}

function sayFailure(
  { name, span }: WantedName,
  cause: AcmeCause,
  text: string,
  pause: number,
  now: Instant,
  out: AcmeCommand[],
): void {
  const { what, advice } = CAUSES[cause]
  const said = text === '' ? what : `${what}: ${text}`
  const rest = span === undefined || span.endsAt <= now ? '' : '; the one before stays in use'
  const next = `next attempt in ${aboutText(pause)}`
  const message = `acme: no new certificate for ${name}: ${said}; ${advice}; ${next}${rest}`
  out.push({ type: 'notice', level: 'warn', text: message })
}

function forgive(name: WantedName): void {
  name.issuedAt = undefined
  name.failures = 0
  name.retryAt = 0
  name.said = undefined
}

/** Of those that are due: who has none first, then who is due longest. */
function orderNext(state: AcmeState, now: Instant, out: AcmeCommand[]): void {
  if (state.order !== undefined || !state.hasLooked || now < state.pausedUntil) return
  let next: WantedName | undefined
  for (const name of state.names.values()) {
    if (dueAtOf(name) > now) continue
    if (next === undefined || isBefore(name, next, now)) next = name
  }
  if (next === undefined) return
  const attempt = ++state.attempts
  const giveUpAt = now + state.config.orderTimeoutMs
  state.order = { attempt, name: next.name, giveUpAt }
  state.counters.orders += 1
  out.push({ type: 'order', attempt, name: next.name })
}

function isBefore(one: WantedName, other: WantedName, now: Instant): boolean {
  const [a, b] = [endOf(one, now), endOf(other, now)]
  if (a !== b) return a < b
  // Turn by turn, where several fail.
  return one.retryAt === other.retryAt ? one.name < other.name : one.retryAt < other.retryAt
}

const endOf = ({ span }: WantedName, now: Instant): Instant => Math.max(now, span?.endsAt ?? 0)

function spanOf(
  { config }: AcmeState,
  { validFromMs, validToMs }: Span,
  wallClockMs: number,
  now: Instant,
): NonNullable<WantedName['span']> {
  const endsAt = now + (validToMs - wallClockMs)
  // Certificates of a few days would be renewed again at once.
  const before = Math.min(config.renewBeforeMs, Math.max(0, validToMs - validFromMs) / 2)
  return { endsAt, renewAt: Math.floor(endsAt - before) }
}

/** Until a pair that was put into the directory counts as one that is not used. */
const SETTLE_MS = 60_000
/** Between two certificates for one name. */
const ISSUE_GAP_MS = 60 * 60_000
const RETRY_AFTER_MAX_MS = 7 * 24 * 60 * 60_000
const PAUSE_OF_OTHERS_MAX_MS = 60 * 60_000
