/**
 * The node's clock and its one timer. The clock leaps forward (a host that slept, a virtual
 * machine moved) while the programs notice nothing; ticks come early, late and twice.
 */
import type { Prng, Ratio } from '../prng.ts'

export interface ClockFaults {
  readonly tickEarly: Ratio
  readonly tickLate: Ratio
  readonly tickTwice: Ratio
  readonly skewMsMax: number
}

export class SimClock {
  /** How far the node's clock is ahead of the world's. */
  aheadMs = 0
  private readonly faults: ClockFaults

  constructor(faults: ClockFaults) {
    this.faults = faults
  }

  leap(byMs: number): void {
    this.aheadMs += byMs
  }

  /** When a timer of `waitMs` really fires; `againMs` is a second, uncalled-for tick. */
  timer(waitMs: number, healed: boolean, draw: Prng): { waitMs: number; againMs?: number } {
    if (healed) return { waitMs }
    const { tickEarly, tickLate, tickTwice, skewMsMax } = this.faults
    const firesMs = draw.chance(tickEarly)
      ? Math.max(0, waitMs - draw.between(1, skewMsMax))
      : draw.chance(tickLate)
        ? waitMs + draw.between(1, skewMsMax)
        : waitMs
    if (!draw.chance(tickTwice)) return { waitMs: firesMs }
    return { waitMs: firesMs, againMs: firesMs + draw.below(skewMsMax) }
  }
}
