/** Whether something is used, and since when it is not: it is idle once that was long enough. */
import type { Instant } from '../machine.ts'

export class UseTimer {
  /** Without use, until it is idle; 0 = never. */
  afterMs: number
  /** Since when it is not used; undefined while it is, or is idle. */
  unusedSince: Instant | undefined
  isIdle = false

  constructor(afterMs: number) {
    this.afterMs = afterMs
  }

  /** From the first limit on, its time counts from `now`. */
  configure(afterMs: number, now: Instant): void {
    if (this.afterMs === 0 && this.unusedSince !== undefined) this.unusedSince = now
    this.afterMs = afterMs
  }

  /** True when it was idle. */
  begin(): boolean {
    const wasIdle = this.isIdle
    this.isIdle = false
    this.unusedSince = undefined
    return wasIdle
  }

  /** Nothing uses it; may be said again and again. */
  end(now: Instant): void {
    if (!this.isIdle) this.unusedSince ??= now
  }

  /** When it will be idle. */
  next(): Instant | undefined {
    const { afterMs, unusedSince } = this
    return afterMs === 0 || unusedSince === undefined ? undefined : unusedSince + afterMs
  }

  /** True when it is idle from now on. */
  tick(now: Instant): boolean {
    const at = this.next()
    if (at === undefined || at > now) return false
    this.isIdle = true
    this.unusedSince = undefined
    return true
  }
}
