/** A copy of the tree to plant mistakes in. */
import { type ChildProcess, fork } from 'node:child_process'
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Mutant, planted } from './mutant.ts'
import type { Task, Verdict } from './tester.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Trial {
  /** `broken`: not a single test could be run. */
  readonly outcome: Verdict['outcome'] | 'hung'
  /** The test that failed first. */
  readonly by: string
  readonly ms: number
}

export class Workshop {
  readonly #home = mkdtempSync(join(tmpdir(), 'weir-mutants-'))
  #tester: ChildProcess | undefined
  /** The file that was changed for the last task. */
  #last = ''

  constructor() {
    for (const path of COPIED) {
      cpSync(join(ROOT, path), join(this.#home, path), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#home, 'node_modules'))
  }

  /** With a mutant, or as it is; what takes longer than `limitMs` hangs. */
  async run(tests: readonly string[], mutant: Mutant | undefined, limitMs: number): Promise<Trial> {
    if (mutant === undefined) return this.#test(tests, limitMs)
    const path = join(this.#home, mutant.file)
    const sound = readFileSync(path, 'utf8')
    const result = planted(sound, mutant)
    if ('why' in result) throw new Error(`${mutant.name}: ${result.why}`)
    writeFileSync(path, result.text)
    try {
      return await this.#test(tests, limitMs, mutant.file)
    } finally {
      writeFileSync(path, sound)
    }
  }

  close(): void {
    this.#dismiss()
    // First the link, by itself: nothing behind it may be deleted.
    unlinkSync(join(this.#home, 'node_modules'))
    rmSync(this.#home, { recursive: true, maxRetries: 5 })
  }

  async #test(tests: readonly string[], limitMs: number, mutated = ''): Promise<Trial> {
    this.#tester ??= await this.#hire()
    const task: Task = { tests, mutated, changed: [this.#last, mutated].filter(Boolean) }
    this.#last = mutated
    const startedAt = performance.now()
    const verdict = await answerOf(this.#tester, task, limitMs)
    const ms = performance.now() - startedAt
    if (verdict === undefined) this.#dismiss()
    switch (verdict?.outcome) {
      case undefined:
        return { outcome: 'hung', by: 'no end', ms }
      case 'passed':
        return { outcome: 'passed', by: 'no test', ms }
      case 'failed':
        return { outcome: 'failed', by: verdict.by, ms }
      case 'broken':
        return { outcome: 'broken', by: verdict.why.slice(0, 400), ms }
    }
  }

  async #hire(): Promise<ChildProcess> {
    const tester = fork(join(ROOT, 'test/mutants/tester.ts'), [this.#home], {
      cwd: this.#home,
      env: { ...process.env, FC_RUNS: '1000', FC_SEED: '1', CI: '1' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true, // a group of its own: what hangs is killed with all it started
    })
    await new Promise<void>((resolve, reject) => {
      tester.once('message', () => resolve())
      tester.once('exit', (code) => reject(new Error(`no tests can be run: exit ${code}`)))
    })
    return tester
  }

  #dismiss(): void {
    const tester = this.#tester
    this.#tester = undefined
    if (tester?.pid === undefined || tester.exitCode !== null) return
    try {
      process.kill(-tester.pid, 'SIGKILL')
    } catch {
      // gone meanwhile
    }
  }
}

/** Undefined when there is none in time. */
function answerOf(tester: ChildProcess, task: Task, limitMs: number): Promise<Verdict | undefined> {
  return new Promise((resolve) => {
    const over = (verdict: Verdict | undefined): void => {
      clearTimeout(timer)
      tester.removeAllListeners()
      resolve(verdict)
    }
    const timer = setTimeout(() => over(undefined), limitMs)
    tester.once('message', (message) => over(message as Verdict))
    tester.once('exit', (code) => over({ outcome: 'broken', why: `exit ${code}` }))
    tester.send(task)
  })
}

const COPIED = [
  'core',
  'sim',
  'test/core',
  'test/mutants/one-seed.ts',
  'package.json',
  'tsconfig.json',
]
