/** Who may come to a listener, and what it tells of its use, by what was seen to happen. */
import { expect } from 'vitest'
import type { AccessList } from '../../../../core/policy/access.ts'
import type { WhenEmpty } from '../../../../core/stream/events.ts'
import type { StreamConfig } from '../../../../core/stream/state.ts'
import { address } from '../rows.ts'

/** Clients are 192.0.2.0 to 192.0.2.6, or not known: who of them a list refuses. */
export const POLICIES = new Map<AccessList, (client: number | undefined) => boolean>([
  [[], () => false],
  [
    [{ sources: [{ network: address('192.0.2.4:0'), bits: 126 }], verdict: 'deny' }],
    (client) => client === undefined || client >= 4,
  ],
  [
    [
      { sources: [{ network: address('192.0.2.0:0'), bits: 120 }], verdict: 'none' },
      { sources: [{ network: address('192.0.2.2:0'), bits: 127 }], verdict: 'allow' },
    ],
    (client) => client === undefined || (client !== 2 && client !== 3),
  ],
])

export class UseWatch {
  #isWantedSaid = false
  /** One who came in this step, though it might have waited. */
  #isTurnedAway = false
  #isIdleSaid = false
  /** Since when nobody is there, or since it was first to tell. */
  #quietSince = 0

  onStep(): void {
    this.#isTurnedAway = false
  }

  onSet(): void {
    this.#isWantedSaid = false
  }

  onConfigure({ idleAfterMs }: StreamConfig, now: number): void {
    if (idleAfterMs === 0) this.#quietSince = now
  }

  onTurnedAway(): void {
    this.#isTurnedAway = true
  }

  onEmpty(now: number): void {
    this.#quietSince = Math.min(this.#quietSince, now)
  }

  onWanted(held: number, whenEmpty: WhenEmpty): void {
    expect(this.#isWantedSaid, 'wanted once').toBe(false)
    expect(held > 0 || this.#isTurnedAway, 'somebody waits').toBe(true)
    expect(whenEmpty).toBe('hold')
    this.#isWantedSaid = true
  }

  onIdle({ idleAfterMs }: StreamConfig, now: number): void {
    expect(this.#isIdleSaid, 'idle once').toBe(false)
    expect(idleAfterMs).toBeGreaterThan(0)
    expect(now - this.#quietSince, 'idle in time').toBeGreaterThanOrEqual(idleAfterMs)
    this.#isIdleSaid = true
  }

  onBusy(): void {
    expect(this.#isIdleSaid, 'busy after idle').toBe(true)
    this.#isIdleSaid = false
  }

  /** After a step, with so many who are there, and who wait. */
  check(open: number, held: number, whenEmpty: WhenEmpty): void {
    const isMissed = held > 0 || (this.#isTurnedAway && whenEmpty === 'hold')
    if (isMissed) expect(this.#isWantedSaid, 'somebody waits, and nobody knows').toBe(true)
    if (open === 0) return
    expect(this.#isIdleSaid, 'it is used, and nobody knows').toBe(false)
    this.#quietSince = Number.POSITIVE_INFINITY
  }
}
