/**
 * Runs tests of a copy of the tree, again and again: what did not change is read once. Started with
 * the path of the copy; told what to run, and answers, by messages.
 */
import { join, relative } from 'node:path'
import { BaseSequencer, createVitest, type TestSpecification } from 'vitest/node'

export interface Task {
  /** How paths in `test/core` begin; those that say most in the least time first. */
  readonly tests: readonly string[]
  /** The file that a mutant is in; empty without one. */
  readonly mutated: string
  /** Those that are not what they were at the last task. */
  readonly changed: readonly string[]
}

/** `broken`: not a single test could be run. */
export type Verdict =
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'failed'; readonly by: string }
  | { readonly outcome: 'broken'; readonly why: string }

class AsTheyAre extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files
  }
}

const home = process.argv[2]!
/** Milliseconds of each test file, whenever it ran last. */
const took = new Map<string, number>()
let failed: string | undefined
let problem: string | undefined

const vitest = await createVitest(
  'test',
  {
    root: home,
    config: false,
    watch: false,
    include: ['test/core/**/*.test.ts'],
    // Of what no mutant is in, and what takes long.
    exclude: ['**/{page,bundle,flood}.test.ts'],
    setupFiles: ['./test/mutants/one-seed.ts'],
    sequence: { sequencer: AsTheyAre },
    fileParallelism: false,
    isolate: false,
    bail: 1,
    testTimeout: 600_000, // whoever plants mutants decides what hangs
    reporters: [
      {
        onTestCaseResult(test) {
          if (test.result().state === 'failed') failed ??= test.fullName
        },
        onTestModuleEnd(module) {
          problem ??= module.errors()[0]?.message
          took.set(module.moduleId, module.diagnostic().duration)
        },
      },
    ],
  },
  { cacheDir: '.cache' },
)
const all = await vitest.globTestSpecifications()
const paths = new Map(all.map((each) => [each, relative(join(home, 'test/core'), each.moduleId)]))

process.on('message', async (task: Task) => process.send?.(await run(task)))
// Whoever plants mutants is gone: so is whatever hangs here.
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'))
process.send?.('ready')

async function run({ tests, mutated, changed }: Task): Promise<Verdict> {
  for (const path of changed) vitest.invalidateFile(join(home, path))
  failed = undefined
  problem = undefined
  const order = [...ownTests(mutated), ...tests]
  const rank = (specification: TestSpecification): number => {
    const path = paths.get(specification) ?? ''
    return order.findIndex((prefix) => path.startsWith(prefix))
  }
  const chosen = all
    .filter((each) => tests.some((prefix) => paths.get(each)?.startsWith(prefix)))
    .sort((one, other) => rank(one) - rank(other) || msOf(one) - msOf(other))
  const { unhandledErrors } = await vitest.runTestSpecifications(chosen, false)
  if (failed !== undefined) return { outcome: 'failed', by: failed }
  problem ??= unhandledErrors.map(String)[0]
  return problem === undefined ? { outcome: 'passed' } : { outcome: 'broken', why: problem }
}

const msOf = ({ moduleId }: TestSpecification): number => took.get(moduleId) ?? 0

/** Of the very file that a mutant is in, if there are any by its name, before all. */
function ownTests(mutated: string): readonly string[] {
  const own = mutated.replace(/^core\//, '').replace(/\.ts$/, '')
  return own === '' ? [] : [`${own}.`, `${own}/`]
}
