/** For the copies mutants are planted in: the tests that say most in the least time come first. */
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Whoever plants mutants holds the other end. When it is gone, so is whatever hangs here.
process.stdin.on('end', () => process.kill(-process.pid, 'SIGKILL')).resume()
if ('unref' in process.stdin) process.stdin.unref()

/** How paths in `test/core` begin. */
const TESTS = (process.env.TESTS ?? '').split(' ')

/** The tests of the very file that a mutant is in, if there are any by its name, before all. */
const OWN = (process.env.MUTATED ?? '').replace(/^core\//, '').replace(/\.ts$/, '')
const ORDER = OWN === '' ? TESTS : [`${OWN}.`, `${OWN}/`, ...TESTS]

const rank = ({ moduleId }: TestSpecification): number => {
  const place = ORDER.findIndex((part) => moduleId.includes(`/test/core/${part}`))
  return place < 0 ? ORDER.length : place
}

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((one, other) => rank(one) - rank(other))
  }
}

export default defineConfig({
  cacheDir: '.cache',
  test: {
    include: TESTS.map((each) => `test/core/${each}${each.endsWith('/') ? '**/' : ''}*.test.ts`),
    // Of what no mutant is in, and what takes long.
    exclude: ['**/{page,bundle,flood}.test.ts'],
    setupFiles: ['./test/mutants/one-seed.ts'],
    sequence: { sequencer: InOrder },
    fileParallelism: false,
    isolate: false,
    bail: 1,
    testTimeout: 600_000, // whoever plants them decides what hangs
    reporters: ['json'],
    outputFile: { json: 'report.json' },
  },
})
