/** How fast the simulator runs: steps of all phases, checkers and invariants included. */
import { simulate } from '../../sim/simulate.ts'
import { type Bench, median } from './run.ts'

const SEEDS = 200
const STEPS = 500
const ROUNDS = 3

const bench: Bench = {
  name: 'sim',
  async rows(report) {
    simulateMany(20) // the first runs are the compiler's
    const rounds = Array.from({ length: ROUNDS }, () => simulateMany(SEEDS))
    const pace = median(rounds.map(({ steps, seconds }) => steps / seconds))
    const perSeed = median(rounds.map(({ seconds }) => seconds / SEEDS))
    report({
      what: 'simulated steps',
      value: `${Math.round(pace)} steps/s`,
      note: `${SEEDS} seeds of ${STEPS} steps and what healing takes, one thread`,
    })
    report({
      what: 'weir sim --seeds 0..10000 --steps 500',
      value: `${((perSeed * 10_001) / 60).toFixed(1)} min`,
      note: 'reckoned from the same runs',
    })
  },
}

export default bench

function simulateMany(seeds: number): { steps: number; seconds: number } {
  const started = performance.now()
  let steps = 0
  for (let seed = 0; seed < seeds; seed++) steps += simulate(seed, STEPS).steps
  return { steps, seconds: (performance.now() - started) / 1000 }
}
