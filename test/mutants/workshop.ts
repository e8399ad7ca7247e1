/** A copy of the tree to plant mistakes in. */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
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

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Trial {
  /** `broken`: not a single test could be run. */
  readonly outcome: 'passed' | 'failed' | 'hung' | 'broken'
  /** The test that failed first. */
  readonly by: string
  readonly ms: number
}

export class Workshop {
  readonly #home = mkdtempSync(join(tmpdir(), 'weir-mutants-'))
  readonly #report = join(this.#home, 'report.json')
  #child: ChildProcess | undefined

  constructor() {
    for (const path of COPIED) {
      cpSync(join(ROOT, path), join(this.#home, path), { recursive: true })
    }
    cpSync(join(ROOT, 'test/mutants/vitest.config.ts'), join(this.#home, 'vitest.config.ts'))
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
    kill(this.#child)
    // First the link, by itself: nothing behind it may be deleted.
    unlinkSync(join(this.#home, 'node_modules'))
    rmSync(this.#home, { recursive: true })
  }

  async #test(tests: readonly string[], limitMs: number, file = ''): Promise<Trial> {
    const startedAt = performance.now()
    rmSync(this.#report, { force: true })
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
    const child = spawn(process.execPath, [vitest, 'run'], {
      cwd: this.#home,
      env: {
        ...process.env,
        TESTS: tests.join(' '),
        MUTATED: file,
        FC_RUNS: '1000',
        FC_SEED: '1',
        CI: '1',
      },
      // The pipe to it is never written to: it ends when this process does, however that comes about.
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true, // a group of its own: what hangs is killed with all it started
    })
    this.#child = child
    let isHung = false
    const timer = setTimeout(() => {
      isHung = true
      kill(child)
    }, limitMs)
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
    clearTimeout(timer)
    this.#child = undefined
    const ms = performance.now() - startedAt
    if (isHung) return { outcome: 'hung', by: 'no end', ms }
    if (code === 0) return { outcome: 'passed', by: 'no test', ms }
    const failed = this.#firstFailure()
    if (failed === undefined) return { outcome: 'broken', by: said.slice(0, 400), ms }
    return { outcome: 'failed', by: failed, ms }
  }

  #firstFailure(): string | undefined {
    if (!existsSync(this.#report)) return undefined
    const report = JSON.parse(readFileSync(this.#report, 'utf8')) as Report
    const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults)
    return tests.find(({ status }) => status === 'failed')?.fullName
  }
}

function kill(child: ChildProcess | undefined): void {
  if (child?.pid === undefined || child.exitCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // gone meanwhile
  }
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

const COPIED = [
  'core',
  'sim',
  'test/core',
  'test/mutants/one-seed.ts',
  'package.json',
  'tsconfig.json',
]
