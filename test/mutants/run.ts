/**
 * Plants mistakes in copies of the tree, one at a time, and runs the tests of what they are in:
 * `npm run mutants`, or `npm run mutants -- WORDS` for those whose names hold one of the words.
 * Prints who was caught, by which test, and `caught/total`. Exit code 1 when one was missed, 2
 * when a mutant does not fit any more or the tests fail without one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Mutant, planted } from './mutant.ts'
import { admission } from './udp/admission.ts'
import { backends } from './udp/backends.ts'
import { forwarding } from './udp/forwarding.ts'
import { headers } from './udp/headers.ts'
import { snapshot } from './udp/snapshot.ts'
import { storage } from './udp/storage.ts'
import { table } from './udp/table.ts'
import { teardown } from './udp/teardown.ts'
import { upstream } from './udp/upstream.ts'
import { ROOT, Workshop } from './workshop.ts'

const ALL: readonly Mutant[] = [
  ...admission,
  ...forwarding,
  ...upstream,
  ...backends,
  ...teardown,
  ...table,
  ...snapshot,
  ...storage,
  ...headers,
]

const FIRST_RUN_MS_MAX = 600_000
const words = process.argv.slice(2)
const chosen = ALL.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
)

function problems(mutants: readonly Mutant[]): string[] {
  const names = new Set<string>()
  return mutants.flatMap((mutant) => {
    const isKnown = names.has(mutant.name)
    names.add(mutant.name)
    const result = planted(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant)
    const why = isKnown ? "its name is another one's" : 'why' in result ? result.why : undefined
    return why === undefined ? [] : [`${mutant.name} (${mutant.file}): ${why}`]
  })
}

const unfit = problems(ALL)
if (unfit.length > 0) {
  for (const line of unfit) console.error(line)
  console.error(`${unfit.length} of ${ALL.length} mutants do not fit the code`)
  process.exit(2)
}

const startedAt = performance.now()
const workshops = [new Workshop(), new Workshop()]
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    for (const workshop of workshops) workshop.close()
    process.exit(code)
  })
}
try {
  process.exitCode = await runAll()
} finally {
  for (const workshop of workshops) workshop.close()
}

async function runAll(): Promise<number> {
  const [sound] = await Promise.all(
    workshops.map((workshop) => workshop.run(undefined, FIRST_RUN_MS_MAX)),
  )
  if (sound?.outcome !== 'passed') {
    console.error(`without a mutant the tests fail: ${sound?.by}`)
    return 2
  }
  console.log(`without a mutant the tests pass, in ${seconds(sound.ms)}`)
  // Generous: on a machine that is busier by then, slow must not pass for hung.
  const limitMs = Math.max(45_000, 4 * sound.ms)
  const waiting = [...chosen]
  const missed: string[] = []
  let done = 0
  const work = async (workshop: Workshop): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const { outcome, by, ms } = await workshop.run(mutant, limitMs)
      done += 1
      const isCaught = outcome === 'failed' || outcome === 'hung'
      if (!isCaught) missed.push(mutant.name)
      const verdict = isCaught ? 'caught' : outcome === 'passed' ? 'MISSED' : 'BROKEN'
      const place = `${done}/${chosen.length}`.padStart(7)
      console.log(`${place}  ${verdict}  ${mutant.name}  (${by}, ${seconds(ms)})`)
    }
  }
  await Promise.all(workshops.map(work))
  for (const name of missed) console.log(`missed: ${name}`)
  const total = seconds(performance.now() - startedAt)
  console.log(`caught ${chosen.length - missed.length}/${chosen.length} in ${total}`)
  return missed.length > 0 ? 1 : 0
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
