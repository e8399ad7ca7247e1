/**
 * What programs print: captured line by line with its time, kept per replica, read back and
 * followed by operators. On disk it is `DIRECTORY/DEPLOYMENT/SERVICE/NUMBER.log`, with rotated
 * files beside it; a new process under an old number goes on in the same log.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { Effect, type Scope } from 'effect'
import { parseReplicaId, type ReplicaId, replicaLabel } from '../../../core/services/identity.ts'
import type { LogsSpec } from '../../../core/spec/deployment.ts'
import { within } from '../within.ts'
import { LogFile, type LogFileOptions, type LogSink } from './file.ts'
import { formatLine, LineSplitter, type LogStream, parseLine } from './lines.ts'
import { LogMemory } from './memory.ts'
import { readLastLines, rotatedPaths } from './tail.ts'

export interface LogLine {
  /** ISO 8601 in UTC, when the line was complete. */
  readonly at: string
  readonly deployment: string
  readonly service: string
  readonly replica: number
  readonly stream: LogStream
  readonly text: string
}

/** What is left out is not asked for. */
export interface LogFilter {
  readonly deployment?: string
  readonly service?: string
  readonly replica?: number
}

export interface LogStore {
  /** Never fails: a log that cannot be written drops its lines, counts them and says so. */
  open(replica: ReplicaId, logs: LogsSpec): LogWriter
  /** The last `tail` lines of all that match, sorted by time; also of replicas long gone. */
  read(filter: LogFilter & { readonly tail: number }): LogLine[]
  /** Calls for each new line that matches, until the function it returns is called. */
  follow(filter: LogFilter, onLine: (line: LogLine) => void): () => void
  /** Since the start: lines that could not be kept. */
  linesLost(): number
}

/** The output of one process. */
export interface LogWriter {
  /** False: enough for now, wait for {@link whenDrained}. */
  write(stream: LogStream, chunk: Buffer): boolean
  whenDrained(resume: () => void): void
  /** Reads all of it, pausing it when the disk is slow. Resolves at its end; never rejects. */
  capture(stream: LogStream, output: Readable): Promise<void>
  /** Ends unfinished lines and gives the last ones of this process; for people: long ones are cut. */
  tail(): string[]
  /** Ends unfinished lines and writes out what is queued. */
  close(): Promise<void>
}

export interface LogStoreOptions {
  /** Absolute; made when the first line is written. */
  readonly directory: string
  readonly notice: (text: string) => void
  /** For tests. */
  readonly files?: Pick<LogFileOptions, 'retryMs' | 'stallMs' | 'write'>
}

export const makeLogStore = (
  options: LogStoreOptions,
): Effect.Effect<LogStore, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Logs(options)),
    (logs) => Effect.promise(() => logs.close()),
  )

interface Log {
  readonly name: LogName
  readonly sink: LogSink
  writers: number
}

type LogName = Pick<LogLine, 'deployment' | 'service' | 'replica'>

class Logs implements LogStore {
  readonly #options: LogStoreOptions
  /** Those being written, and those in memory for as long as they are kept. */
  readonly #open = new Map<string, Log>()
  readonly #followers = new Set<{ filter: LogFilter; onLine: (line: LogLine) => void }>()
  readonly #pruning: NodeJS.Timeout
  #lostBefore = 0

  constructor(options: LogStoreOptions) {
    this.#options = options
    this.#pruning = setInterval(() => this.#prune(), PRUNE_MS).unref()
  }

  open(replica: ReplicaId, logs: LogsSpec): LogWriter {
    const { deployment, service, number } = parseReplicaId(replica)
    const name = { deployment, service, replica: number }
    const key = keyOf(name)
    let log = this.#open.get(key)
    const fits = (logs.destination === 'memory') === log?.sink instanceof LogMemory
    if (log === undefined || (log.writers === 0 && !fits)) {
      log = { name, sink: this.#makeSink(replica, name, logs), writers: 0 }
    }
    // the newest last, so that the oldest memory is the first to go
    this.#open.delete(key)
    this.#open.set(key, log)
    log.writers++
    return new ReplicaWriter(log, this)
  }

  read(filter: LogFilter & { readonly tail: number }): LogLine[] {
    const linesMax = Math.min(Math.max(0, Math.floor(filter.tail)), READ_LINES_MAX)
    if (!(linesMax > 0)) return []
    const dated: { sortBy: string; line: LogLine }[] = []
    for (const name of this.#names(filter)) {
      // a clock set back must not shuffle the lines of one program
      let sortBy = ''
      for (const text of this.#tail(name, linesMax)) {
        const line = parseLine(text)
        if (line === undefined) continue
        if (line.at > sortBy) sortBy = line.at
        dated.push({ sortBy, line: { ...name, ...line } })
      }
    }
    // stable: lines of one instant stay in the order of their replicas
    dated.sort((a, b) => (a.sortBy < b.sortBy ? -1 : a.sortBy > b.sortBy ? 1 : 0))
    return dated.slice(-linesMax).map(({ line }) => line)
  }

  follow(filter: LogFilter, onLine: (line: LogLine) => void): () => void {
    const follower = { filter, onLine }
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  linesLost(): number {
    return [...this.#open.values()].reduce((sum, log) => sum + log.sink.linesLost, this.#lostBefore)
  }

  /** Appends complete lines; called by the writers. */
  append(log: Log, stream: LogStream, texts: readonly string[]): boolean {
    if (texts.length === 0) return true
    const at = new Date().toISOString()
    for (const { filter, onLine } of this.#followers) {
      if (!matches(filter, log.name)) continue
      for (const text of texts) onLine({ ...log.name, at, stream, text })
    }
    return log.sink.append(texts.map((text) => formatLine({ at, stream, text })).join(''))
  }

  async release(log: Log): Promise<void> {
    if (--log.writers > 0) return
    if (log.sink instanceof LogMemory) return this.#forgetOldest()
    // forgotten first: who opens it again meanwhile must not write into what is being closed
    this.#open.delete(keyOf(log.name))
    await within(log.sink.close(), CLOSE_MS)
    this.#lostBefore += log.sink.linesLost
  }

  async close(): Promise<void> {
    clearInterval(this.#pruning)
    this.#followers.clear()
    await Promise.all([...this.#open.values()].map((log) => within(log.sink.close(), CLOSE_MS)))
  }

  #makeSink(replica: ReplicaId, name: LogName, logs: LogsSpec): LogSink {
    if (logs.destination === 'memory') return new LogMemory(logs.bytesMax)
    return new LogFile({
      ...this.#options.files,
      path: this.#path(name),
      bytesMax: logs.bytesMax,
      retentionMs: logs.retentionMs,
      label: `${name.deployment}/${replicaLabel(replica)}`,
      notice: this.#options.notice,
    })
  }

  #path({ deployment, service, replica }: LogName): string {
    return join(this.#options.directory, deployment, service, `${replica}.log`)
  }

  #tail(name: LogName, linesMax: number): string[] {
    const open = this.#open.get(keyOf(name))
    if (open !== undefined) return open.sink.tail(linesMax)
    return readLastLines(rotatedPaths(this.#path(name)), linesMax)
  }

  /** All logs there are, of this life and of earlier ones; sorted. */
  #names(filter: LogFilter): LogName[] {
    const names = new Map<string, LogName>()
    const { directory } = this.#options
    const add = (name: LogName): void => {
      if (matches(filter, name)) names.set(keyOf(name), name)
    }
    for (const log of this.#open.values()) add(log.name)
    // a name asked for is only compared with what is listed, never made into a path
    for (const deployment of list(directory)) {
      if (deployment !== (filter.deployment ?? deployment)) continue
      for (const service of list(join(directory, deployment))) {
        if (service !== (filter.service ?? service)) continue
        for (const file of list(join(directory, deployment, service))) {
          const number = LOG_NAME.exec(file)?.[1]
          if (number !== undefined) add({ deployment, service, replica: Number(number) })
        }
      }
    }
    return [...names.values()].sort(byName)
  }

  #forgetOldest(): void {
    const idle = [...this.#open].filter(
      ([, log]) => log.writers === 0 && log.sink instanceof LogMemory,
    )
    for (const [key] of idle.slice(0, -MEMORY_LOGS_MAX)) this.#open.delete(key)
  }

  #prune(): void {
    for (const { sink } of this.#open.values()) if (sink instanceof LogFile) sink.prune()
  }
}

class ReplicaWriter implements LogWriter {
  readonly #log: Log
  readonly #logs: Logs
  readonly #splitters = { out: new LineSplitter(), err: new LineSplitter() }
  #tail: string[] = []
  #closed: Promise<void> | undefined

  constructor(log: Log, logs: Logs) {
    this.#log = log
    this.#logs = logs
  }

  write(stream: LogStream, chunk: Buffer): boolean {
    return this.#append(stream, this.#splitters[stream].push(chunk))
  }

  whenDrained(resume: () => void): void {
    this.#log.sink.whenDrained(resume)
  }

  capture(stream: LogStream, output: Readable): Promise<void> {
    return new Promise((resolve) => {
      output.on('data', (chunk: Buffer) => {
        const goOn = (): void => void output.resume()
        if (!this.write(stream, chunk)) {
          output.pause()
          this.whenDrained(goOn)
        } else if (chunk.length >= FLOOD_BYTES) {
          // a program that floods takes turns with the connections and probes of all others
          output.pause()
          setImmediate(goOn)
        }
      })
      // a pipe that fails has ended, too; what it had is captured
      output.on('error', () => output.destroy())
      output.once('close', () => {
        this.#append(stream, this.#splitters[stream].end())
        resolve()
      })
    })
  }

  tail(): string[] {
    this.#endLines()
    return this.#tail.map((line) =>
      line.length > TAIL_LINE_MAX ? `${line.slice(0, TAIL_LINE_MAX)}…` : line,
    )
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#endLines()
      await this.#logs.release(this.#log)
    })()
    return this.#closed
  }

  #endLines(): void {
    for (const stream of ['out', 'err'] as const) {
      this.#append(stream, this.#splitters[stream].end())
    }
  }

  #append(stream: LogStream, lines: readonly string[]): boolean {
    if (lines.length > 0)
      this.#tail = [...this.#tail, ...lines.slice(-TAIL_LINES)].slice(-TAIL_LINES)
    // closed: the log may belong to the next process already
    return this.#closed !== undefined ? true : this.#logs.append(this.#log, stream, lines)
  }
}

const keyOf = (name: LogName): string => `${name.deployment}/${name.service}/${name.replica}`

const matches = (filter: LogFilter, name: LogName): boolean =>
  (filter.deployment ?? name.deployment) === name.deployment &&
  (filter.service ?? name.service) === name.service &&
  (filter.replica ?? name.replica) === name.replica

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const byName = (a: LogName, b: LogName): number =>
  compare(a.deployment, b.deployment) || compare(a.service, b.service) || a.replica - b.replica

function list(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

const LOG_NAME = /^([1-9]\d*)\.log$/
const FLOOD_BYTES = 16 * 1024
const TAIL_LINES = 40
const TAIL_LINE_MAX = 1_000
const READ_LINES_MAX = 20_000
const MEMORY_LOGS_MAX = 64
const CLOSE_MS = 2_000
const PRUNE_MS = 3_600_000
