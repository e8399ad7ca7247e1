import type { Member } from '../../../../core/balance/group.ts'
import type { AffinityKey, Strategy } from '../../../../core/balance/strategy.ts'

/** Always the first, and remembers the keys it was asked with. */
export class Remembering implements Strategy {
  readonly keys: (AffinityKey | undefined)[] = []
  #candidates: readonly Member[] = []

  replace(_registered: readonly Member[], candidates: readonly Member[]): void {
    this.#candidates = candidates
  }

  choose(exclude: readonly Member[], key?: AffinityKey): Member | undefined {
    this.keys.push(key)
    return this.#candidates.find((member) => !exclude.includes(member))
  }
}
