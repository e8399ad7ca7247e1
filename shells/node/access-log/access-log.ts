/**
 * The access log: a line for each HTTP exchange. Writing one costs its caller the making of a text;
 * the file gets them together, at least once a second. Nothing that befalls the file reaches the node:
 * lines are dropped and counted, that is said once, and writing goes on when it can.
 */
import { Effect, type Scope } from 'effect'
import type { ExchangeRecord } from '../../../core/http/commands.ts'
import type { AccessLogSettings } from '../../../core/spec/node/settings.ts'
import { messageOf } from '../journal/format.ts'
import { within } from '../within.ts'
import { lineWriter, type WriteLine } from './line.ts'
import { RotatingFile, type Written } from './rotating-file.ts'

export interface AccessLogOptions {
  /** Its file is absolute. */
  readonly settings: AccessLogSettings
  readonly notice: (level: 'info' | 'warn', text: string) => void
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number
  /** Where lines go; for tests. */
  readonly file?: AppendingFile
  readonly retryMs?: number
}

export interface AccessLog {
  /** Of an exchange that just ended. */
  readonly write: (exchange: ExchangeRecord) => void
  readonly counters: Readonly<AccessLogCounters>
}

export interface AccessLogCounters {
  written: number
  /** The file could not take them, or not so many. */
  dropped: number
}

export interface AppendingFile {
  append(lines: Buffer): Promise<Written>
  close(): Promise<void>
}

/** What was written is in the file when the scope has ended, if the disk takes it within 2 s. */
export const makeAccessLog = (
  options: AccessLogOptions,
): Effect.Effect<AccessLog, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new BufferedLog(options)),
    (log) => Effect.promise(() => log.stop()),
  )

/** Lines that go to the file in one write. */
interface Batch {
  readonly bytes: Buffer
  readonly lines: number
}

class BufferedLog implements AccessLog {
  readonly counters: AccessLogCounters = { written: 0, dropped: 0 }
  readonly #options: AccessLogOptions
  readonly #lineOf: WriteLine
  readonly #wallClock: () => number
  readonly #file: AppendingFile
  readonly #batchCharacters: number
  #text = ''
  #lines = 0
  readonly #queue: Batch[] = []
  #queueBytes = 0
  #timer: NodeJS.Timeout | undefined
  #flushing: Promise<void> | undefined
  /** What was dropped before it began. */
  #trouble: { readonly dropped: number } | undefined
  #stopped = false

  constructor(options: AccessLogOptions) {
    const { file: path, format, bytesMax, keep } = options.settings
    this.#options = options
    this.#lineOf = lineWriter(format)
    this.#wallClock = options.wallClock ?? Date.now
    this.#file = options.file ?? new RotatingFile({ path, bytesMax, keep })
    this.#batchCharacters = Math.min(BATCH_BYTES, bytesMax)
  }

  readonly write = (exchange: ExchangeRecord): void => {
    if (this.#stopped) return
    const line = this.#lineOf(exchange, this.#wallClock() - exchange.timings.totalMs)
    if (this.#queueBytes + this.#text.length + line.length > QUEUE_BYTES_MAX) {
      this.counters.dropped += 1
      this.#enterTrouble('more lines come than it takes')
      return
    }
    // a file that is to be rotated is not overrun by what is written at once
    if (this.#text.length + line.length > this.#batchCharacters) this.#seal()
    this.#text += line
    this.#lines += 1
    if (this.#text.length >= this.#batchCharacters) this.#seal()
    else this.#timer ??= setTimeout(() => this.#onTimer(), FLUSH_MS).unref()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#seal()
    await within(this.#written(), STOP_MS_MAX)
    clearTimeout(this.#timer)
    this.counters.dropped += this.#queue.splice(0).reduce((sum, { lines }) => sum + lines, 0)
  }

  async #written(): Promise<void> {
    await this.#flushing
    // what a disk in trouble left gets one more chance
    await this.#flush()
    await this.#file.close()
  }

  #onTimer(): void {
    this.#timer = undefined
    this.#seal()
    this.#flushSoon()
  }

  #seal(): void {
    if (this.#lines === 0) return
    const bytes = Buffer.from(this.#text, 'latin1')
    this.#queue.push({ bytes, lines: this.#lines })
    this.#queueBytes += bytes.length
    this.#text = ''
    this.#lines = 0
    if (this.#trouble === undefined) this.#flushSoon()
    else this.#timer ??= setTimeout(() => this.#onTimer(), this.#retryMs).unref()
  }

  #flushSoon(): void {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined
      if (this.#queue.length > 0 && !this.#stopped) {
        this.#timer ??= setTimeout(() => this.#onTimer(), this.#retryMs).unref()
      }
    })
  }

  /** Ends with an empty queue, or when the file refuses. */
  async #flush(): Promise<void> {
    for (let batch = this.#queue[0]; batch !== undefined; batch = this.#queue[0]) {
      const { bytes, error } = await this.#file.append(batch.bytes)
      if (this.#queue.shift() === undefined) return // given up meanwhile
      this.#queueBytes -= batch.bytes.length
      const lines = error === undefined ? batch.lines : linesIn(batch.bytes.subarray(0, bytes))
      this.counters.written += lines
      this.counters.dropped += batch.lines - lines
      if (error !== undefined) return this.#enterTrouble(reasonOf(error), batch.lines - lines)
      this.#leaveTrouble()
    }
  }

  get #retryMs(): number {
    return this.#options.retryMs ?? RETRY_MS
  }

  #enterTrouble(reason: string, dropped: number = 1): void {
    if (this.#trouble !== undefined) return
    this.#trouble = { dropped: this.counters.dropped - dropped }
    const { notice, settings } = this.#options
    notice(
      'warn',
      `access log ${settings.file} cannot be written: ${reason}; its lines are dropped until it can`,
    )
  }

  #leaveTrouble(): void {
    // while there is still no room, it is not over
    if (this.#trouble === undefined || this.#queueBytes > QUEUE_BYTES_MAX / 2) return
    const lost = this.counters.dropped - this.#trouble.dropped
    this.#trouble = undefined
    const { notice, settings } = this.#options
    notice('info', `access log ${settings.file} is written again; lines lost: ${lost}`)
  }
}

function linesIn(bytes: Buffer): number {
  let count = 0
  for (const byte of bytes) if (byte === LINE_FEED) count += 1
  return count
}

const reasonOf = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code === 'ENOSPC' ? 'no space left on device' : messageOf(error)

const LINE_FEED = 0x0a
const BATCH_BYTES = 65_536
const QUEUE_BYTES_MAX = 4 * 1_048_576
const FLUSH_MS = 1_000
/** After a failure. */
const RETRY_MS = 1_000
const STOP_MS_MAX = 2_000
