/**
 * Rise and fall: how many results in a row it takes until something that is up counts as down, and
 * back. One streak is of one kind of probe. Two kinds that share one undo each other's results: a
 * silent service beside an open port would never go down, and never come up again (udp W22).
 */

/** Both are whole numbers from 1 to 1,000. */
export interface StreakLimits {
  /** Successes in a row that bring up. */
  readonly rise: number
  /** Failures in a row that take down. */
  readonly fall: number
}

/** A plain value: keep it, write it down, compare it. */
export interface Streak {
  readonly isUp: boolean
  /** Results in a row that spoke against it. */
  readonly against: number
}

export const defaultStreakLimits: StreakLimits = { rise: 2, fall: 3 }

/** Nothing probed yet. */
export const newStreak = (isUp: boolean): Streak => ({ isUp, against: 0 })

/**
 * The streak after one more result. It changed sides where `isUp` is another than before, and says
 * so once. The limits may be others each time: lower ones count from the next result on.
 */
export function afterResult(
  { isUp, against }: Streak,
  succeeded: boolean,
  { rise, fall }: StreakLimits,
): Streak {
  if (succeeded === isUp) return newStreak(isUp)
  const enough = against + 1 >= (isUp ? fall : rise)
  return enough ? newStreak(!isUp) : { isUp, against: against + 1 }
}

/** What is wrong with the limits, if anything (udp W37). */
export function streakLimitsProblem(limits: StreakLimits): string | undefined {
  for (const name of ['rise', 'fall'] as const) {
    const value = limits[name]
    if (Number.isInteger(value) && value >= 1 && value <= LIMIT_MAX) continue
    return `${name} must be a whole number from 1 to ${LIMIT_MAX}, not ${value}`
  }
  return undefined
}

const LIMIT_MAX = 1000
