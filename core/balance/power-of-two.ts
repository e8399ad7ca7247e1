import type { Member } from './group.ts'
import { isLighter, isPassedOver, type Strategy } from './strategy.ts'

/**
 * Draws two different members and takes the one with fewer lives for its weight; of two alike,
 * the one drawn first. Nearly as even as looking at all of them, and never a stampede to the one
 * that looked best a moment ago (Mitzenmacher, 2001). One asks the load of both: an "otherwise" that
 * also catches the heavier would undo it (udp W33).
 */
export class PowerOfTwo implements Strategy {
  #candidates: readonly Member[] = []
  /** Of SplitMix32: a counter whose every value is mixed into a draw. */
  #drawn: number

  /** Draws of one seed are the same in every process; any integer. */
  constructor(seed: number) {
    this.#drawn = (seed + Math.imul(Math.trunc(seed / 0x1_0000_0000), 0x85ebca6b)) | 0
  }

  replace(_registered: readonly Member[], candidates: readonly Member[]): void {
    this.#candidates = candidates
  }

  /** O(1); O(candidates) where some are excluded, or the lighter of the two is full. */
  choose(exclude: readonly Member[]): Member | undefined {
    if (exclude.length === 0) {
      const chosen = this.#lighterOfTwo(this.#candidates)
      if (chosen?.isFull !== true) return chosen
    }
    return this.#lighterOfTwo(this.#candidates.filter((each) => !isPassedOver(each, exclude)))
  }

  #lighterOfTwo(members: readonly Member[]): Member | undefined {
    const { length } = members
    if (length < 2) return members[0]
    const first = this.#below(length)
    const rest = this.#below(length - 1)
    const second = rest < first ? rest : rest + 1
    const [one, other] = [members[first]!, members[second]!]
    return isLighter(other, one) ? other : one
  }

  memory(): readonly number[] {
    return [this.#drawn]
  }

  recall(memory: readonly number[]): void {
    this.#drawn = memory[0] ?? this.#drawn
  }

  /** 0 to `limit` - 1. */
  #below(limit: number): number {
    this.#drawn = (this.#drawn + 0x9e3779b9) | 0
    let mixed = this.#drawn
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    mixed ^= mixed >>> 15
    return Math.floor(((mixed >>> 0) * limit) / 0x1_0000_0000)
  }
}
