/**
 * Deterministic random integers for the simulator: sfc32 (Chris Doty-Humphrey's Small Fast
 * Counting generator, 32-bit, public domain), seeded by splitmix32. Integers only: a chance is a
 * ratio, so that a run is the same on every machine and reads the same in a printed option.
 */

/** `times` in `outOf`; never when `times` is 0. */
export interface Ratio {
  readonly times: number
  readonly outOf: number
}

export const NEVER: Ratio = { times: 0, outOf: 1 }
export const ratio = (times: number, outOf: number): Ratio => ({ times, outOf })

export class Prng {
  private a: number
  private b: number
  private c: number
  private counter = 1

  /** The stream `name` of a seed. Streams with different names are independent of each other. */
  constructor(seed: number, name: string) {
    let state = seed | 0
    for (let i = 0; i < name.length; i++) state = splitmix32(state ^ name.charCodeAt(i))
    this.a = splitmix32(state)
    this.b = splitmix32(state + GOLDEN)
    this.c = splitmix32(state + 2 * GOLDEN)
    // The first outputs still show the seed; the author of sfc32 throws twelve away.
    for (let i = 0; i < 12; i++) this.next()
  }

  /** 0 to 2^32 - 1. */
  next(): number {
    const sum = (this.a + this.b + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** 0 to `limit` - 1. The modulo favours low numbers by less than `limit` in 2^32. */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.next() % limit
  }

  /** Both ends included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  chance(of: Ratio): boolean {
    // A chance that is never taken draws nothing: switching one fault off moves no other draw
    // within a run that has it off from the start.
    return of.times > 0 && this.below(of.outOf) < of.times
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('pick from an empty list')
    return item
  }

  /** An index into `weights`, as often as its weight says; -1 when all are 0. */
  weighted(weights: readonly number[]): number {
    let total = 0
    for (const weight of weights) total += weight
    if (total === 0) return -1
    let left = this.below(total)
    for (let index = 0; index < weights.length; index++) {
      left -= weights[index] ?? 0
      if (left < 0) return index
    }
    return -1
  }
}

/**
 * One stream for each concern, so that a draw added to one leaves the others alone.
 * `swarm` decides the run, `schedule` breaks ties and delays answers, `faults` says what goes
 * wrong, `workload` what operators do, `clients` who connects and for how long.
 */
export interface Draws {
  readonly swarm: Prng
  readonly schedule: Prng
  readonly faults: Prng
  readonly workload: Prng
  readonly clients: Prng
}

export const drawsOf = (seed: number): Draws => ({
  swarm: new Prng(seed, 'swarm'),
  schedule: new Prng(seed, 'schedule'),
  faults: new Prng(seed, 'faults'),
  workload: new Prng(seed, 'workload'),
  clients: new Prng(seed, 'clients'),
})

const GOLDEN = 0x9e3779b9

function splitmix32(state: number): number {
  let mixed = (state + GOLDEN) | 0
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  return mixed ^ (mixed >>> 15)
}
