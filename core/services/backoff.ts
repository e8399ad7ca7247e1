/**
 * When a replica that ended by itself is started again. The first end is answered at once, the
 * next ones after pauses that double; more than {@link CRASHES_MAX} inside the window is a crash
 * loop (services reference 0.1 and 7.2; W47: a pause is never counted as another crash).
 */
import type { Instant } from '../machine.ts'

/** Ends that still count at `now`, oldest first; at most as many as matter. */
export const recentCrashes = (crashedAt: readonly Instant[], now: Instant): Instant[] =>
  crashedAt.filter((at) => now - at < CRASH_WINDOW_MS).slice(-(CRASHES_MAX + 1))

/** Milliseconds to wait after the `count`th crash in the window. */
export function restartDelayMs(count: number): number {
  if (count <= 1) return 0
  if (count > CRASHES_MAX) return CRASH_LOOP_DELAY_MS
  return FIRST_DELAY_MS * 2 ** (count - 2)
}

export const isCrashLoop = (count: number): boolean => count > CRASHES_MAX

export const CRASH_WINDOW_MS = 300_000
export const CRASHES_MAX = 5
export const CRASH_LOOP_DELAY_MS = 30_000
export const FIRST_DELAY_MS = 500
