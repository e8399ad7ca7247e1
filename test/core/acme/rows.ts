/** Names, days and a planner for tests. */

import type { AcmeCommand } from '../../../core/acme/commands.ts'
import type { AcmeEvent, CertificateSpan } from '../../../core/acme/events.ts'
import { checkInvariants } from '../../../core/acme/invariants.ts'
import { type AcmeConfig, AcmePlanner } from '../../../core/acme/planner.ts'

export const SECOND = 1_000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
/** On the wall, when the planner's own clock is at 0. */
export const EPOCH = 1_800_000_000_000

/** Good from 60 days ago for so many days more. */
export const goodFor = (name: string, ms: number, now = 0): CertificateSpan => ({
  name,
  validFromMs: EPOCH + now + ms - 90 * DAY,
  validToMs: EPOCH + now + ms,
})

export const report = (now: number, ...certificates: readonly CertificateSpan[]): AcmeEvent => ({
  type: 'certificates',
  wallClockMs: EPOCH + now,
  certificates,
})

export const issued = (attempt: number, now: number, ms = 90 * DAY): AcmeEvent => {
  const { validFromMs, validToMs } = goodFor('', ms, now)
  return { type: 'issued', attempt, wallClockMs: EPOCH + now, validFromMs, validToMs }
}

/** A planner whose every step is checked. */
export class Bench {
  readonly planner: AcmePlanner
  now = 0

  constructor(config: Partial<AcmeConfig> = {}) {
    this.planner = new AcmePlanner({ seed: 1, ...config })
  }

  /** What it wants done. */
  step(event: AcmeEvent, now = this.now): AcmeCommand[] {
    this.now = now
    const out: AcmeCommand[] = []
    this.planner.step(event, now, out)
    checkInvariants(this.planner, now)
    return out
  }

  names(...names: readonly string[]): AcmeCommand[] {
    return this.step({ type: 'names', names })
  }

  /** At the deadline; it is later then. */
  tick(): AcmeCommand[] {
    const at = this.planner.deadline()
    if (at === undefined) throw new Error('nothing to wait for')
    const out = this.step({ type: 'tick' }, Math.max(at, this.now))
    const next = this.planner.deadline()
    if (next !== undefined && next <= this.now) throw new Error('the deadline stays')
    return out
  }
}

export const texts = (commands: readonly AcmeCommand[]): string[] =>
  commands.flatMap((each) => (each.type === 'notice' ? [`${each.level} ${each.text}`] : []))

export const orders = (commands: readonly AcmeCommand[]): string[] =>
  commands.flatMap((each) => (each.type === 'order' ? [`${each.attempt} ${each.name}`] : []))
