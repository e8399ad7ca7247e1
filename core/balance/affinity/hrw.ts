import type { Member } from '../group.ts'
import { RoundRobin } from '../round-robin.ts'
import { type AffinityKey, isPassedOver, type Strategy } from '../strategy.ts'
import { AFFINITY_SEED, AffinityHash, compareHashes } from './hash.ts'
import { type Identified, identified } from './identity.ts'
import { negativeLog } from './logarithm.ts'

/**
 * Highest random weight, or rendezvous hashing (Thaler and Ravishankar 1998; with weights as in
 * Schindelhauer and Schomaker 2005): each key and candidate have a score, the highest one wins.
 * Whoever leaves gives up only the keys it had, whoever comes takes only those it wins. Nothing
 * is remembered, so all processes that know the same candidates agree.
 *
 * Without a key, members take turns.
 */
export class HighestRandomWeight implements Strategy {
  readonly #seed: AffinityKey
  readonly #turns = new RoundRobin()
  readonly #keyed = new AffinityHash()
  /** Of the member looked at, and of the best so far. */
  #hash = new AffinityHash()
  #bestHash = new AffinityHash()
  #candidates: readonly Identified[] = []
  #equalWeights = true

  constructor(seed: AffinityKey = AFFINITY_SEED) {
    this.#seed = seed
  }

  replace(registered: readonly Member[], candidates: readonly Member[]): void {
    this.#turns.replace(registered, candidates)
    const eligible = new Set(candidates)
    this.#candidates = identified(registered).filter(({ member }) => eligible.has(member))
    this.#equalWeights = this.#candidates.every(({ weight }, _, all) => weight === all[0]!.weight)
  }

  /** O(candidates). */
  choose(exclude: readonly Member[], key?: AffinityKey): Member | undefined {
    if (key === undefined) return this.#turns.choose(exclude)
    const keyed = this.#keyed.begin(this.#seed, key)
    let best: Member | undefined
    let bestScore = 0
    for (const { member, weight, identity } of this.#candidates) {
      if (isPassedOver(member, exclude)) continue
      const hash = this.#hash.from(keyed).add(identity).finish()
      // Among equal weights the score rises with the hash, strictly: see the logarithm.
      const score = this.#equalWeights ? 0 : weight / negativeLog(hash)
      if (best !== undefined) {
        if (score < bestScore) continue
        if (score === bestScore && compareHashes(hash, this.#bestHash) <= 0) continue
      }
      best = member
      bestScore = score
      this.#hash = this.#bestHash
      this.#bestHash = hash
    }
    return best
  }

  memory(): readonly number[] {
    return this.#turns.memory()
  }

  recall(memory: readonly number[]): void {
    this.#turns.recall(memory)
  }
}
