/** Runs seeds with a planted bug until the checker that is there for it speaks. */
import { expect, test } from 'vitest'
import type { CheckerName } from '../../sim/checkers/checker.ts'
import { type RunFailure, simulate } from '../../sim/simulate.ts'
import type { Breed } from '../../sim/world.ts'

export interface Planted {
  readonly bug: string
  readonly breed: Breed
  readonly checker: CheckerName | 'liveness' | 'none'
  /** What the checker says. */
  readonly says: RegExp
  /** It says so within so many seeds of 300 steps. */
  readonly seeds: number
}

export function testPlanted(planted: readonly Planted[]): void {
  for (const { bug, breed, checker, says, seeds } of planted) {
    test(
      `${bug}: by ${checker}, within ${seeds} seeds`,
      () => {
        const others: RunFailure[] = []
        for (let seed = 0; seed < seeds; seed++) {
          const { failure } = simulate(seed, STEPS, { breed, only: 'node' })
          if (failure === undefined) continue
          if (failure.checker === checker && says.test(failure.message)) return
          others.push(failure)
        }
        expect(others, 'nothing was found, or something else').toEqual('caught')
      },
      TIMEOUT_MS,
    )
  }
}

const STEPS = 300
/** The number of seeds is the limit, not the time they take. */
const TIMEOUT_MS = 180_000
