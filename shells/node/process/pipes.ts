/**
 * Pipes for what programs print.
 *
 * Node gives a child socket pairs, and a socket cannot be opened by its path: `echo oops >
 * /dev/stderr` in a script or `access_log /dev/stdout` in a configuration fails under it. So each
 * output is a named pipe, opened at both ends and unlinked. Its path stays visible in
 * `/proc/PID/fd`, with the node's name in it: a program that overwrites its own environment
 * (redis, nginx, postgres do, for their process titles) can be recognised by it all the same.
 */
import { execFile } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { Effect, type Scope } from 'effect'

export class OutputPipe {
  /** For the child; blocking, as programs expect. */
  readonly writeEnd: number
  /** No other pipe has it, and it is unlinked; `/proc/PID/fd` shows it still. */
  readonly path: string
  #readEnd: number | Socket | undefined
  #writing = true

  constructor(path: string, readEnd: number, writeEnd: number) {
    this.path = path
    this.#readEnd = readEnd
    this.writeEnd = writeEnd
  }

  /** Once the child has its copy; from here on the reader sees the end when all copies are closed. */
  handedOver(): void {
    if (this.#writing) closeSync(this.writeEnd)
    this.#writing = false
  }

  reader(): Readable {
    if (this.#readEnd === undefined) return Readable.from([])
    if (typeof this.#readEnd !== 'number') return this.#readEnd
    this.#readEnd = new Socket({ fd: this.#readEnd, readable: true, writable: false })
    return this.#readEnd
  }

  close(): void {
    this.handedOver()
    if (typeof this.#readEnd === 'number') closeSync(this.#readEnd)
    else this.#readEnd?.destroy()
    this.#readEnd = undefined
  }
}

/** What the path of every pipe of this name holds, whatever the temporary directory was. */
export const pipeMark = (name: string): string => `/weir-${name}-`

/**
 * Makes pipes, a handful at a time. Clears away the directories an earlier pool of this name left
 * behind, so a name belongs to one pool at a time.
 */
export const makePipePool = (name: string): Effect.Effect<PipePool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new PipePool(name)),
    (pool) => Effect.sync(() => pool.close()),
  )

export class PipePool {
  readonly #name: string
  readonly #ready: string[] = []
  #directory: string | undefined
  #refilling: Promise<boolean> | undefined
  #made = 0
  #closed = false

  constructor(name: string) {
    this.#name = name
    clearAway(name)
  }

  /** Undefined where named pipes cannot be made; the caller falls back to what Node offers. */
  async take(): Promise<OutputPipe | undefined> {
    for (let tries = 0; tries < TRIES; tries++) {
      while (this.#ready.length === 0) {
        this.#refilling ??= this.#refill().finally(() => {
          this.#refilling = undefined
        })
        if (!(await this.#refilling)) return undefined
      }
      const pipe = openPipe(this.#ready.shift() ?? '')
      if (pipe !== undefined) return pipe
      // somebody may have cleaned up the temporary directory: make new ones
      this.#discard()
    }
    return undefined
  }

  close(): void {
    this.#closed = true
    this.#discard()
  }

  #discard(): void {
    if (this.#directory !== undefined) removeDirectory(this.#directory)
    this.#directory = undefined
    this.#ready.length = 0
  }

  async #refill(): Promise<boolean> {
    if (this.#closed) return false
    this.#discard()
    try {
      this.#directory = mkdtempSync(join(tmpdir(), pipeMark(this.#name)))
    } catch {
      return false
    }
    const directory = this.#directory
    const paths = Array.from({ length: PIPES_AT_ONCE }, () => join(directory, `${this.#made++}`))
    if (!(await makeFifos(paths))) return false
    if (this.#closed) removeDirectory(directory)
    else this.#ready.push(...paths)
    return !this.#closed
  }
}

async function makeFifos(paths: readonly string[]): Promise<boolean> {
  try {
    await run('mkfifo', ['-m', '600', ...paths], { timeout: MKFIFO_MS })
    return true
  } catch {
    return false
  }
}

function openPipe(path: string): OutputPipe | undefined {
  let readEnd: number | undefined
  try {
    // the reader first and without waiting, then the writer finds it there and need not wait
    readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const writeEnd = openSync(path, constants.O_WRONLY)
    unlinkSync(path)
    return new OutputPipe(path, readEnd, writeEnd)
  } catch {
    if (readEnd !== undefined) closeSync(readEnd)
    return undefined
  }
}

function clearAway(name: string): void {
  try {
    for (const entry of readdirSync(tmpdir())) {
      if (`/${entry}`.startsWith(pipeMark(name))) removeDirectory(join(tmpdir(), entry))
    }
  } catch {
    // what cannot be listed cannot be cleared; the pipes in it are a few empty files
  }
}

function removeDirectory(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch {
    // the same
  }
}

const run = promisify(execFile)
const TRIES = 2
const PIPES_AT_ONCE = 16
const MKFIFO_MS = 5_000
