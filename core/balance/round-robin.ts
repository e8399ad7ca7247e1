import type { Member } from './group.ts'
import { isPassedOver, type Strategy } from './strategy.ts'

/**
 * Takes the member whose last turn is longest ago, whatever its weight. Where nothing is excluded
 * that is plain rotation. Where a member is passed over, it keeps its place and the others go on
 * in their own order: a cursor that merely skips would give the successor of a missing or
 * refusing member two turns in every round (proxy W23).
 *
 * Between two turns of one member, every member that could be chosen meanwhile had a turn.
 */
export class RoundRobin implements Strategy {
  /** A ring: from the cursor on, the longest-waiting member first. */
  #ring: Member[] = []
  #cursor = 0

  replace(_registered: readonly Member[], candidates: readonly Member[]): void {
    this.#ring = waitingAgain(this.#waiting(), candidates)
    this.#cursor = 0
  }

  /** O(excluded and full). */
  choose(exclude: readonly Member[]): Member | undefined {
    const ring = this.#ring
    const cursor = this.#cursor
    for (let passed = 0; passed < ring.length; passed++) {
      const chosen = ring[(cursor + passed) % ring.length]!
      if (isPassedOver(chosen, exclude)) continue
      // What was passed over moves up by one, into the place of the chosen.
      for (let place = passed; place > 0; place--) {
        ring[(cursor + place) % ring.length] = ring[(cursor + place - 1) % ring.length]!
      }
      ring[cursor] = chosen // behind the cursor: the last in the ring
      this.#cursor = (cursor + 1) % ring.length
      return chosen
    }
    return undefined
  }

  memory(): readonly number[] {
    return this.#waiting().map(({ index }) => index)
  }

  recall(memory: readonly number[]): void {
    this.#ring = inRememberedOrder(this.#ring, memory)
    this.#cursor = 0
  }

  #waiting(): Member[] {
    return [...this.#ring.slice(this.#cursor), ...this.#ring.slice(0, this.#cursor)]
  }
}

/** Members that stay keep their order of waiting; new ones wait behind them. */
export function waitingAgain(before: readonly Member[], now: readonly Member[]): Member[] {
  const next = new Set(now)
  const kept = new Set(before.filter((member) => next.has(member)))
  return [...kept, ...[...next].filter((member) => !kept.has(member))]
}

export function inRememberedOrder(members: readonly Member[], memory: readonly number[]): Member[] {
  const places = new Map(memory.map((index, place) => [index, place]))
  const placeOf = ({ index }: Member): number => places.get(index) ?? memory.length
  return members.toSorted((one, other) => placeOf(one) - placeOf(other))
}
