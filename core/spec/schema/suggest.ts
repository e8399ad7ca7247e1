/**
 * Did you mean: the nearest of the words that are known. Comparing is bounded for a whole file, so
 * that a file full of mistakes is not slower than its size.
 */

export class Suggestions {
  #comparisonsLeft: number

  constructor(comparisonsMax: number = COMPARISONS_MAX) {
    this.#comparisonsLeft = comparisonsMax
  }

  /** The nearest candidate, the earlier of equals; undefined when none is near. */
  nearest(word: string, candidates: Iterable<string>): string | undefined {
    if (word.length > WORD_MAX) return undefined
    const wanted = plain(word)
    let distance = wanted.length <= 3 ? 1 : wanted.length <= 7 ? 2 : 3
    let nearest: string | undefined
    for (const candidate of candidates) {
      if (this.#comparisonsLeft-- <= 0) return nearest
      const found = editDistance(wanted, plain(candidate), distance)
      if (found === undefined) continue
      nearest = candidate
      if (found === 0) return nearest
      distance = found - 1
    }
    return nearest
  }
}

/** `targetPort`, `target-port` and `target_port` are one word to a person. */
const plain = (word: string): string => word.toLowerCase().replace(/[_-]/g, '')

/**
 * Insertions, deletions, substitutions and swaps of neighbours that lead from one word to the
 * other; undefined when more than `max` are needed, or nothing of the word would be left.
 */
export function editDistance(a: string, b: string, max: number): number | undefined {
  if (Math.abs(a.length - b.length) > max || b.length > WORD_MAX) return undefined
  let older: number[] = []
  let old = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    let best = row
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        old[column]! + 1,
        next[column - 1]! + 1,
        old[column - 1]! + (same ? 0 : 1),
      )
      const swapped =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) cost = Math.min(cost, older[column - 2]! + 1)
      next.push(cost)
      best = Math.min(best, cost)
    }
    if (best > max) return undefined
    older = old
    old = next
  }
  const distance = old[b.length]!
  return distance <= max && distance < a.length ? distance : undefined
}

/** For one file: thousands of misspelt keys still get one; then problems go without. */
const COMPARISONS_MAX = 200_000
/** Longer ones are not misspelt keys. */
const WORD_MAX = 64
