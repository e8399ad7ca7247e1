import type { Backend, Member } from './group.ts'

/**
 * What a life has in common with others that should meet the same backend, as 64 bits: the hash of
 * a client's address, say. Both words are 32 bits; their sign does not matter.
 */
export interface AffinityKey {
  readonly high: number
  readonly low: number
}

/**
 * Which member of a group is next. Counting lives, draining and failures are the group's.
 */
export interface Strategy {
  /**
   * `registered` is the whole set, `candidates` those of it that may be chosen now; members that
   * stay are the same objects as before. Called whenever one of the two changed.
   */
  replace(registered: readonly Member[], candidates: readonly Member[]): void
  /**
   * The next candidate outside `exclude` that is not full, or undefined when there is none.
   * Strategies that do not know affinity ignore the key; those that do take turns without one.
   */
  choose(exclude: readonly Member[], key?: AffinityKey): Member | undefined
  /** What it remembers from one choice to the next; without it, a restored group begins anew. */
  memory?(): readonly number[]
  /** Goes on where another of its kind was, after `replace` with the same members. */
  recall?(memory: readonly number[]): void
}

/** 1-65,535, whatever a set says. */
export const weightOf = ({ weight = 1 }: Backend): number =>
  weight > 1 ? Math.min(Math.floor(weight), WEIGHT_MAX) : 1

/** Whether a strategy has to go past this one. */
export const isPassedOver = (member: Member, exclude: readonly Member[]): boolean =>
  member.isFull || (exclude.length > 0 && exclude.includes(member))

/** Whether `one` carries less than `other` for its weight. Exact: no quotient is rounded. */
export const isLighter = (one: Member, other: Member): boolean =>
  one.live * weightOf(other.backend) < other.live * weightOf(one.backend)

const WEIGHT_MAX = 65_535
