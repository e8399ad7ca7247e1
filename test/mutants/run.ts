/**
 * Plants mistakes in copies of the tree, one at a time, and runs the tests of what they are in:
 * `npm run mutants`, or `npm run mutants -- WORDS` for those whose names or files hold one of the
 * words; a name begins with its subject, `stream: `. Prints who was caught, by which test, and
 * `caught/total`. Exit code 1 when one was missed, 2 when a mutant does not fit any more or the
 * tests fail without one. Words that nothing holds run none, and tell whether all of them fit.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Mutant, planted } from './mutant.ts'
import { SUBJECTS, type Subject } from './subjects.ts'
import { ROOT, Workshop } from './workshop.ts'

interface Job {
  readonly subject: Subject
  readonly mutant: Mutant
  /** With its subject; unique. */
  readonly name: string
}

const ALL = SUBJECTS.flatMap((subject) =>
  subject.mutants.map((mutant): Job => {
    return { subject, mutant, name: `${subject.name}: ${mutant.name}` }
  }),
)

const FIRST_RUN_MS_MAX = 600_000
const words = process.argv.slice(2)
const chosen = ALL.filter(
  ({ name, mutant: { file } }) =>
    words.length === 0 || words.some((word) => name.includes(word) || file.includes(word)),
)

function problems(jobs: readonly Job[]): string[] {
  const names = new Set<string>()
  return jobs.flatMap(({ name, mutant }) => {
    const isKnown = names.has(name)
    names.add(name)
    const result = planted(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant)
    const why = isKnown ? "its name is another one's" : 'why' in result ? result.why : undefined
    return why === undefined ? [] : [`${name} (${mutant.file}): ${why}`]
  })
}

const asked = chosen.length > 0 ? chosen : ALL
const unfit = problems(asked)
if (unfit.length > 0) {
  for (const line of unfit) console.error(line)
  console.error(`${unfit.length} of ${asked.length} mutants do not fit the code`)
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
  const limits = await runSound([...new Set(chosen.map(({ subject }) => subject))])
  if (limits === undefined) return 2
  const missed: string[] = []
  let done = 0
  await inTurns(chosen, async ({ subject, mutant, name }, workshop) => {
    const { outcome, by, ms } = await workshop.run(subject.tests, mutant, limits.get(subject)!)
    done += 1
    const isCaught = outcome === 'failed' || outcome === 'hung'
    if (!isCaught) missed.push(name)
    const verdict = isCaught ? 'caught' : outcome === 'passed' ? 'MISSED' : 'BROKEN'
    const place = `${done}/${chosen.length}`.padStart(7)
    console.log(`${place}  ${verdict}  ${name}  (${by}, ${seconds(ms)})`)
  })
  for (const name of missed) console.log(`missed: ${name}`)
  const total = seconds(performance.now() - startedAt)
  console.log(`caught ${chosen.length - missed.length}/${chosen.length} in ${total}`)
  return missed.length > 0 ? 1 : 0
}

/** How long each subject's tests may take with a mutant; undefined when they fail without one. */
async function runSound(
  subjects: readonly Subject[],
): Promise<ReadonlyMap<Subject, number> | undefined> {
  const limits = new Map<Subject, number>()
  await inTurns(subjects, async (subject, workshop) => {
    const sound = await workshop.run(subject.tests, undefined, FIRST_RUN_MS_MAX)
    if (sound.outcome !== 'passed') {
      console.error(`without a mutant the tests of ${subject.name} fail: ${sound.by}`)
      return
    }
    console.log(`without a mutant the tests of ${subject.name} pass, in ${seconds(sound.ms)}`)
    // Generous: on a machine that is busier by then, slow must not pass for hung.
    limits.set(subject, Math.max(45_000, 4 * sound.ms))
  })
  return limits.size === subjects.length ? limits : undefined
}

/** Each by whichever workshop is free. */
async function inTurns<Each>(
  all: readonly Each[],
  work: (each: Each, workshop: Workshop) => Promise<void>,
): Promise<void> {
  const waiting = [...all]
  const workOff = async (workshop: Workshop): Promise<void> => {
    for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
      await work(each, workshop)
    }
  }
  await Promise.all(workshops.map(workOff))
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
