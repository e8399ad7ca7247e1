/** For the copies mutants are planted in: the tests that say most in the least time come first. */
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// Whoever plants mutants holds the other end. When it is gone, so is whatever hangs here.
process.stdin.on('end', () => process.kill(-process.pid, 'SIGKILL')).resume()
if ('unref' in process.stdin) process.stdin.unref()

const ORDER = [
  '/life/',
  '/backends/',
  '/proxy/',
  '/storage/',
  '/sheet',
  '/weak',
  '/config',
  '/snapshot',
]

/** The tests of the very file that a mutant is in, if there are any by its name, before all. */
const OWN = ['/snapshot', '/storage/'].filter((part) => process.env.MUTATED?.includes(part))

const rank = ({ moduleId }: TestSpecification): number => {
  const order = [...OWN, ...ORDER]
  const place = order.findIndex((part) => moduleId.includes(`/test/core/udp${part}`))
  return place < 0 ? order.length : place
}

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((one, other) => rank(one) - rank(other))
  }
}

export default defineConfig({
  cacheDir: '.cache',
  test: {
    include: ['test/core/udp/**/*.test.ts'],
    // Of what no mutant is in, and what takes long.
    exclude: ['**/{page,bundle,flood}.test.ts'],
    sequence: { sequencer: InOrder },
    fileParallelism: false,
    isolate: false,
    bail: 1,
    testTimeout: 600_000, // whoever plants them decides what hangs
    reporters: ['json'],
    outputFile: { json: 'report.json' },
  },
})
