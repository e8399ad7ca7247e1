import type { Member } from './group.ts'
import { inRememberedOrder, waitingAgain } from './round-robin.ts'
import { isLighter, isPassedOver, type Strategy } from './strategy.ts'

/**
 * Takes the member with the fewest lives for its weight; of several, the one whose last turn is
 * longest ago, so that an idle group is not always its first member (udp W33).
 */
export class LeastConnections implements Strategy {
  /** The longest-waiting first. */
  #waiting: Member[] = []

  replace(_registered: readonly Member[], candidates: readonly Member[]): void {
    this.#waiting = waitingAgain(this.#waiting, candidates)
  }

  /** O(candidates). */
  choose(exclude: readonly Member[]): Member | undefined {
    const waiting = this.#waiting
    let place = -1
    for (let at = 0; at < waiting.length; at++) {
      if (isPassedOver(waiting[at]!, exclude)) continue
      if (place < 0 || isLighter(waiting[at]!, waiting[place]!)) place = at
    }
    if (place < 0) return undefined
    const chosen = waiting[place]!
    for (; place < waiting.length - 1; place++) waiting[place] = waiting[place + 1]!
    waiting[place] = chosen
    return chosen
  }

  memory(): readonly number[] {
    return this.#waiting.map(({ index }) => index)
  }

  recall(memory: readonly number[]): void {
    this.#waiting = inRememberedOrder(this.#waiting, memory)
  }
}
