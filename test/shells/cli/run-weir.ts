/** Runs the real command as a child process. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'

// a start of the command takes a fraction of a second; on a machine with much to do it can take long
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

export const MAIN = fileURLToPath(new URL('../../../shells/cli/main.ts', import.meta.url))

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Options of Node itself. */
  readonly node?: readonly string[]
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export async function weir(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return outcomeOf(startWeir(words, options))
}

export function startWeir(
  words: readonly string[],
  options: RunOptions = {},
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [...(options.node ?? []), MAIN, ...words], {
    cwd: options.cwd,
    env: environment(options.env),
  })
}

export async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Ran> {
  let out = ''
  let err = ''
  child.stdout.on('data', (data: Buffer) => {
    out += data
  })
  child.stderr.on('data', (data: Buffer) => {
    err += data
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, out, err }
}

/** The tests' own environment, without what would change the output. */
export function environment(over: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { FORCE_COLOR: _, NO_COLOR: __, WEIR_STATE: ___, NODE_OPTIONS: ____, ...rest } = process.env
  return { ...rest, ...over }
}
