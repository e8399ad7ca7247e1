/** A histogram of how long closed flows lasted. */
import { type DurationCounts, durationBoundsMs } from './udp-host.ts'

export class FlowDurations {
  /** By bucket, the last one without a bound. */
  readonly #counts = new Array<number>(durationBoundsMs.length + 1).fill(0)
  #sumMs = 0

  add(durationMs: number): void {
    let bucket = 0
    while (durationMs > (durationBoundsMs[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1
    this.#counts[bucket]! += 1
    this.#sumMs += durationMs
  }

  read(): DurationCounts {
    let count = 0
    const sums = this.#counts.map((inBucket) => (count += inBucket))
    return { count, sumMs: this.#sumMs, upTo: sums.slice(0, -1) }
  }
}
