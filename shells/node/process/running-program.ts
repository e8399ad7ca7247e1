/** One spawned program: its process group, its output, its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import type { Readable } from 'node:stream'
import type { LogWriter } from '../log/store.ts'
import { within } from '../within.ts'
import type { OutputPipe } from './pipes.ts'
import { ProcessGroup } from './process-group.ts'

export interface Launch {
  readonly argv: readonly string[]
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  /** The entry of `env` that marks this very instance. */
  readonly mark: string
  /** Undefined: Node's own pipes, which are sockets. */
  readonly pipes: { readonly out: OutputPipe; readonly err: OutputPipe } | undefined
  /** Reads its output. */
  readonly log: Pick<LogWriter, 'capture'>
}

export interface ProgramEnd {
  readonly code: number | null
  readonly signal: string | null
}

export class RunningProgram {
  readonly group: ProcessGroup
  /** Exited, and its output read to the end (or for {@link DRAIN_MS} after the exit). */
  readonly ended: Promise<ProgramEnd>
  /** The system has confirmed the spawn. */
  readonly spawned: Promise<void>
  readonly #child: ChildProcess
  #exited = false

  constructor(child: ChildProcess, pid: number, launch: Launch) {
    this.#child = child
    // at once: until the loop runs, the process cannot have been collected
    this.group = new ProcessGroup(pid, launch.mark)
    const drained = Promise.all([
      capture(launch.log, 'out', launch.pipes?.out.reader() ?? child.stdout),
      capture(launch.log, 'err', launch.pipes?.err.reader() ?? child.stderr),
    ])
    launch.pipes?.out.handedOver()
    launch.pipes?.err.handedOver()
    this.spawned = new Promise((resolve) => child.once('spawn', resolve))
    const exit = new Promise<ProgramEnd>((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exited = true
        this.group.leaderExited()
        resolve({ code, signal })
      })
    })
    this.ended = exit.then(async (end) => {
      // somebody else may hold the pipe open for ever
      await within(drained, DRAIN_MS)
      return end
    })
  }

  alive(): boolean {
    return !this.#exited && this.group.leaderRuns()
  }

  /** Kills whatever is left and waits until it is gone; false when something survives that. */
  async destroy(boundMs: number): Promise<boolean> {
    const gone = await this.group.killUntilGone(boundMs)
    if (gone) await within(this.ended, boundMs)
    // what escaped from the group may hold them open
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
    return gone
  }
}

/** Spawns at once. The answer to a failure comes later: the system's reason, for people. */
export function launch(wanted: Launch): RunningProgram | { readonly failed: Promise<string> } {
  const [file = '', ...args] = wanted.argv
  let child: ChildProcess
  try {
    child = spawn(file, args, {
      cwd: wanted.directory,
      env: { ...wanted.env },
      // a session and a process group of its own
      detached: true,
      stdio: ['ignore', wanted.pipes?.out.writeEnd ?? 'pipe', wanted.pipes?.err.writeEnd ?? 'pipe'],
    })
  } catch (error) {
    return { failed: Promise.resolve(spawnFailure(error as NodeJS.ErrnoException, wanted)) }
  }
  const failed = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(spawnFailure(error, wanted)))
  })
  return child.pid === undefined ? { failed } : new RunningProgram(child, child.pid, wanted)
}

/** What went wrong, in words an operator can act on. */
function spawnFailure(
  error: NodeJS.ErrnoException,
  { argv, directory, env }: Pick<Launch, 'argv' | 'directory' | 'env'>,
): string {
  const name = argv[0] ?? ''
  const program = `program "${name}"`
  if (name === '') return 'no program is given'
  if (!isDirectory(directory)) return `directory ${directory} does not exist`
  switch (error.code) {
    case 'ENOENT':
      if (isExecutable(name, directory, env)) {
        return `${program} cannot be run: the interpreter its first line names is missing`
      }
      return name.includes('/')
        ? `${program} does not exist (in ${directory})`
        : `${program} not found in PATH`
    case 'EACCES':
      return `${program} may not be executed (permission denied)`
    case 'ENOEXEC':
      return `${program} is neither a binary for this system nor a script with a #! line`
    case 'E2BIG':
      return `${program} cannot be run: its arguments and environment are too long`
    case 'EAGAIN':
      return `${program} cannot be run: the limit of processes is reached`
    case 'EMFILE':
    case 'ENFILE':
      return `${program} cannot be run: no file descriptors are left`
    case 'ENOMEM':
      return `${program} cannot be run: no memory is left`
    default:
      return `${program} cannot be run: ${error.message}`
  }
}

function capture(
  log: Launch['log'],
  stream: 'out' | 'err',
  output: Readable | null,
): Promise<void> {
  return output === null ? Promise.resolve() : log.capture(stream, output)
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function isExecutable(
  name: string,
  directory: string,
  env: Readonly<Record<string, string>>,
): boolean {
  const places = name.includes('/') ? [directory] : (env.PATH ?? '').split(':')
  return places.some((place) => {
    try {
      accessSync(resolvePath(directory, place, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const DRAIN_MS = 200
