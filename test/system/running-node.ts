/** A real `weir up` in a directory of its own, driven as an operator would drive it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Not imported from the tests of the command: benchmarks use this file, without vitest.
const MAIN = fileURLToPath(new URL('../../shells/cli/main.ts', import.meta.url))

export interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

export class RunningNode {
  readonly directory: string
  readonly state: string
  output = ''
  readonly #child: ChildProcess
  readonly #exit: Promise<number | null>

  private constructor(directory: string, words: readonly string[], under: readonly string[]) {
    this.directory = directory
    this.state = join(directory, '.weir')
    const [program, ...rest] = [...under, process.execPath, MAIN, 'up', ...words]
    this.#child = spawn(program as string, rest, {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const collect = (data: Buffer) => {
      this.output += data
    }
    this.#child.stdout?.on('data', collect)
    this.#child.stderr?.on('data', collect)
    this.#exit = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)))
  }

  /** Starts it; `files` are written first, `under` is a program that runs it. */
  static async start(
    files: Readonly<Record<string, string>>,
    options: { directory?: string; words?: readonly string[]; under?: readonly string[] } = {},
  ): Promise<RunningNode> {
    const directory = options.directory ?? (await newDirectory())
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
    return new RunningNode(directory, options.words ?? [], options.under ?? [])
  }

  get pid(): number {
    return this.#child.pid as number
  }

  async says(pattern: RegExp): Promise<void> {
    await until(
      () => pattern.test(this.output),
      () => `no ${pattern} in:\n${this.output}`,
    )
  }

  ready(): Promise<void> {
    return this.says(/^ready$/m)
  }

  weir(...words: string[]): Promise<Answer> {
    return runWeir([...words, '--state', this.state], this.directory)
  }

  async json<Value>(...words: string[]): Promise<Value> {
    const { out } = await this.weir(...words, '--json')
    return JSON.parse(out) as Value
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  exited(): Promise<number | null> {
    return this.#exit
  }

  /** Stops it in order and clears its directory away. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal('SIGTERM')
    const code = await this.#exit
    await rm(this.directory, { recursive: true, force: true })
    return code
  }
}

export const newDirectory = (): Promise<string> => mkdtemp(join(tmpdir(), 'weir-system-'))

export function runWeir(words: readonly string[], cwd: string): Promise<Answer> {
  const maxBuffer = 64 * 1024 * 1024 // a list of thousands of flows is long
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...words], { cwd, maxBuffer }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err })
    })
  })
}

/** Waits for a condition, not for a time; the limit only ends a test that hangs. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  complaint: () => string = () => 'the condition never held',
  limitMs = 60_000,
): Promise<void> {
  for (const end = performance.now() + limitMs; ; ) {
    if (await condition()) return
    if (performance.now() > end) throw new Error(complaint())
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Ports from the kernel, all different, free when this returns. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/**
 * Says why a test cannot run here, or undefined. With WEIR_REQUIRE_SYSTEM=1 a missing program is
 * a failure, not a reason to skip.
 */
export function missing(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => !isInstalled(program))
  if (absent.length === 0) return undefined
  const reason = `needs ${absent.join(', ')}`
  if (process.env.WEIR_REQUIRE_SYSTEM === '1') throw new Error(`${reason}: install it`)
  return reason
}

function isInstalled(program: string): boolean {
  const places = (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/sbin')
  return places.some((place) => {
    try {
      accessSync(join(place, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
