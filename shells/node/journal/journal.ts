/**
 * Writes down all that happens to a node, before the commands it causes are run. A journal that
 * cannot be written never stops the node: it goes on, says so once, and what is missing is marked
 * by a gap record with a fresh snapshot, from which a replay goes on.
 *
 * Why writeSync and no fsync: a record survives the death of the process as soon as the kernel has
 * it, and that is what a replay is for. Losing power may lose the last seconds, which the
 * checksums show.
 */
import fs from 'node:fs'
import path from 'node:path'
import { Digest } from '../../../core/journal/digest.ts'
import type { Instant } from '../../../core/machine.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'
import { makeDirectory } from '../state/make-directory.ts'
import { moveAside } from '../state/move-aside.ts'
import {
  commandText,
  encodeRecord,
  journalFileName,
  LINE_START,
  type Life,
  listJournal,
  messageOf,
  type SnapshotRecord,
} from './format.ts'

export interface JournalOptions {
  readonly directory: string
  readonly life: Life
  /** The machine's exact snapshot. */
  readonly snapshot: (now: Instant) => JsonValue
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
  /** ISO 8601. */
  readonly wallClock: () => string
  readonly limits?: JournalLimits
  readonly disk?: JournalDisk
}

export interface JournalLimits {
  /** A file about this large is followed by the next one. Default 16 MiB. */
  readonly bytesMax?: number
  /** Older files are deleted. Default 8. */
  readonly filesMax?: number
}

/** The system calls a journal makes, so that tests can let them fail. */
export type JournalDisk = Pick<
  typeof fs,
  | 'openSync'
  | 'writeSync'
  | 'readSync'
  | 'closeSync'
  | 'ftruncateSync'
  | 'fstatSync'
  | 'statSync'
  | 'readdirSync'
  | 'unlinkSync'
>

interface OpenFile {
  readonly fd: number
  readonly name: string
  readonly number: number
  readonly dev: number
  readonly ino: number
  /** Up to here every record is whole. */
  bytes: number
  /** When it has this many, the next file begins. */
  rotateBytes: number
}

interface Outage {
  readonly reason: string
  /** Events not written. */
  lost: number
  retryAt: Instant
  retryMs: number
}

export class Journal {
  readonly #options: JournalOptions
  readonly #disk: JournalDisk
  readonly #bytesMax: number
  readonly #filesMax: number
  readonly #digest = Digest.empty()
  #file: OpenFile | undefined
  #outage: Outage | undefined
  #written = 0
  #pending: string[] = []
  #rotateRetryAt: Instant = Number.NEGATIVE_INFINITY

  constructor(options: JournalOptions) {
    this.#options = options
    this.#disk = options.disk ?? fs
    this.#bytesMax = options.limits?.bytesMax ?? BYTES_MAX
    this.#filesMax = Math.max(1, options.limits?.filesMax ?? FILES_MAX)
  }

  /** Opens the directory and begins this life with its `boot` record. */
  begin(now: Instant): void {
    try {
      this.#prepareDirectory()
      this.#file = this.#reopenNewest() ?? this.#create()
      this.#writeSnapshot('boot', now)
      this.#prune()
    } catch (error) {
      this.#fail(now, messageOf(error), 0)
    }
  }

  /** Before the events of a turn: goes on after an outage, and to the next file when one is full. */
  ready(now: Instant): void {
    if (this.#outage === undefined) this.#checkFile(now)
    if (this.#outage !== undefined && now >= this.#outage.retryAt) this.#recover(this.#outage, now)
    const full = this.#file !== undefined && this.#file.bytes >= this.#file.rotateBytes
    if (full && this.#outage === undefined && now >= this.#rotateRetryAt) this.#rotate(now)
  }

  /** One event and all commands it caused. On disk after the next {@link flush}. */
  record(now: Instant, event: unknown, commands: readonly unknown[]): void {
    for (const command of commands) this.#digest.text(commandText(command))
    const n = this.#written + this.#pending.length
    this.#pending.push(
      encodeRecord({
        type: 'event',
        n,
        now,
        event: event as JsonValue,
        digest: this.#digest.hex(),
      }),
    )
  }

  /** Ends the life with the event its machine could not take. */
  fault(now: Instant, event: unknown, error: unknown): void {
    this.flush(now)
    const n = this.#written
    this.#pending.push(
      encodeRecord({ type: 'fault', n, now, event: event as JsonValue, error: messageOf(error) }),
    )
    this.flush(now)
  }

  /** One write for all records of a turn. Their commands may run when it returns. */
  flush(now: Instant): void {
    const lines = this.#pending
    if (lines.length === 0) return
    this.#pending = []
    if (this.#outage !== undefined) {
      this.#outage.lost += lines.length
      return
    }
    try {
      this.#append(lines.join(''))
      this.#written += lines.length
    } catch (error) {
      this.#fail(now, messageOf(error), lines.length)
    }
  }

  close(now: Instant): void {
    this.flush(now)
    if (this.#outage !== undefined) this.#recover(this.#outage, now)
    if (this.#file !== undefined) this.#closeFile(this.#file)
    this.#file = undefined
  }

  /** Where the newest record is, for messages: `000003.jsonl, record 17`. */
  position(): string {
    if (this.#file === undefined) return 'not in the journal'
    return `${this.#file.name}, record ${Math.max(0, this.#written - 1)}`
  }

  /** Writing to a deleted file would succeed, into nowhere. */
  #checkFile(now: Instant): void {
    if (this.#file === undefined || this.#isInPlace(this.#file)) return
    this.#fail(now, `${this.#file.name} was removed`, 0)
    if (this.#outage !== undefined) this.#outage.retryAt = now
  }

  #fail(now: Instant, reason: string, lost: number): void {
    this.#keepWhole()
    this.#outage = { reason, lost, retryAt: now + RETRY_MS, retryMs: RETRY_MS }
    this.#options.log(
      'error',
      `journal: cannot be written (${reason}); the node goes on, but a replay will have a gap`,
    )
  }

  #recover(outage: Outage, now: Instant): void {
    this.#keepWhole()
    const created = this.#file === undefined
    try {
      this.#prepareDirectory()
      this.#file ??= this.#create()
      this.#writeSnapshot('gap', now, outage)
    } catch {
      if (created && this.#file !== undefined) this.#discard(this.#file)
      if (created) this.#file = undefined
      outage.retryMs = Math.min(outage.retryMs * 2, RETRY_MS_MAX)
      outage.retryAt = now + outage.retryMs
      return
    }
    this.#outage = undefined
    const missing = outage.lost === 1 ? '1 event is' : `${outage.lost} events are`
    this.#options.log('warn', `journal: written again, ${missing} missing from it`)
    this.#prune()
  }

  /** Cuts off what a failed write left; a file where that is impossible is given up. */
  #keepWhole(): void {
    if (this.#file === undefined) return
    if (this.#isInPlace(this.#file) && this.#cutToWhole(this.#file)) return
    this.#closeFile(this.#file)
    this.#file = undefined
  }

  #isInPlace(file: OpenFile): boolean {
    const found = this.#stat(path.join(this.#options.directory, file.name))
    return found !== undefined && found.ino === file.ino && found.dev === file.dev
  }

  #rotate(now: Instant): void {
    const full = this.#file!
    let next: OpenFile | undefined
    try {
      next = this.#create()
      this.#file = next
      this.#writeSnapshot('continue', now)
    } catch (error) {
      if (next !== undefined) this.#discard(next)
      this.#file = full
      if (this.#rotateRetryAt === Number.NEGATIVE_INFINITY) {
        this.#options.log('warn', `journal: cannot begin its next file (${messageOf(error)})`)
      }
      this.#rotateRetryAt = now + RETRY_MS
      return
    }
    this.#rotateRetryAt = Number.NEGATIVE_INFINITY
    this.#closeFile(full)
    this.#prune()
  }

  #writeSnapshot(type: SnapshotRecord['type'], now: Instant, outage?: Outage): void {
    const { life, snapshot, wallClock } = this.#options
    const missing = outage === undefined ? {} : { lost: outage.lost, reason: outage.reason }
    this.#append(
      encodeRecord({
        type,
        ...life,
        n: this.#written,
        at: wallClock(),
        now,
        digest: this.#digest.hex(),
        snapshot: snapshot(now),
        ...missing,
      }),
    )
    this.#written += 1
    const file = this.#file!
    // Room for events after a snapshot of any size, or each event would begin a file of its own.
    file.rotateBytes = Math.max(this.#bytesMax, file.bytes + this.#bytesMax / 2)
  }

  #append(text: string): void {
    const file = this.#file
    if (file === undefined) throw new Error('no file is open')
    const bytes = Buffer.from(text, 'utf8')
    for (let done = 0; done < bytes.length; ) {
      done += this.#disk.writeSync(file.fd, bytes, done, bytes.length - done)
    }
    file.bytes += bytes.length
  }

  #prepareDirectory(): void {
    const { directory, log } = this.#options
    const found = this.#stat(directory)
    if (found !== undefined && !found.isDirectory()) {
      const moved = moveAside(directory)
      if (moved !== undefined) log('warn', `journal: ${directory} is no directory, now ${moved}`)
    }
    makeDirectory(directory)
  }

  /** The newest file, cut to whole records, when there is room in it; what is none moves aside. */
  #reopenNewest(): OpenFile | undefined {
    const { directory, log } = this.#options
    const newest = listJournal(directory, this.#disk).at(-1)
    if (newest === undefined) return undefined
    const full = path.join(directory, newest.name)
    if (!this.#stat(full)?.isFile()) {
      log('warn', `journal: ${newest.name} is no file, now ${moveAside(full) ?? 'left alone'}`)
      return undefined
    }
    const file = this.#open(newest.number, 'a+')
    const head = Buffer.alloc(Math.min(file.bytes, LINE_START.length))
    this.#disk.readSync(file.fd, head, 0, head.length, 0)
    if (!LINE_START.startsWith(head.toString('latin1'))) {
      this.#closeFile(file)
      log('warn', `journal: ${newest.name} is garbage, now ${moveAside(full) ?? 'left alone'}`)
      return undefined
    }
    const whole = this.#wholeBytes(file)
    if (whole < file.bytes) {
      const torn = file.bytes - whole
      log('warn', `journal: dropped a torn record of ${torn} bytes at the end of ${newest.name}`)
      file.bytes = whole
    }
    if (file.bytes < this.#bytesMax && this.#cutToWhole(file)) return file
    this.#cutToWhole(file)
    this.#closeFile(file)
    return undefined
  }

  /** Up to and with the last line feed. */
  #wholeBytes(file: OpenFile): number {
    const chunk = Buffer.alloc(64 * 1024)
    for (let end = file.bytes; end > 0; ) {
      const from = Math.max(0, end - chunk.length)
      const read = this.#disk.readSync(file.fd, chunk, 0, end - from, from)
      const at = chunk.subarray(0, read).lastIndexOf(10)
      if (at !== -1) return from + at + 1
      end = from
    }
    return 0
  }

  #create(): OpenFile {
    const newest = listJournal(this.#options.directory, this.#disk).at(-1)?.number ?? 0
    return this.#open(Math.max(newest, this.#file?.number ?? 0) + 1, 'ax')
  }

  #open(number: number, flags: 'a+' | 'ax'): OpenFile {
    const name = journalFileName(number)
    const fd = this.#disk.openSync(path.join(this.#options.directory, name), flags, 0o600)
    const { dev, ino, size } = this.#disk.fstatSync(fd)
    return { fd, name, number, dev, ino, bytes: size, rotateBytes: this.#bytesMax }
  }

  #cutToWhole(file: OpenFile): boolean {
    try {
      this.#disk.ftruncateSync(file.fd, file.bytes)
      return true
    } catch {
      return false
    }
  }

  #discard(file: OpenFile): void {
    this.#closeFile(file)
    try {
      this.#disk.unlinkSync(path.join(this.#options.directory, file.name))
    } catch {
      // It stays as an empty or torn file, which a replay reports.
    }
  }

  #closeFile(file: OpenFile): void {
    try {
      this.#disk.closeSync(file.fd)
    } catch {
      // The kernel frees the descriptor whatever close() says.
    }
  }

  #prune(): void {
    try {
      const { directory } = this.#options
      for (const { name } of listJournal(directory, this.#disk).slice(0, -this.#filesMax)) {
        this.#disk.unlinkSync(path.join(directory, name))
      }
    } catch (error) {
      this.#options.log('warn', `journal: an old file cannot be deleted (${messageOf(error)})`)
    }
  }

  #stat(where: string): fs.Stats | undefined {
    try {
      return this.#disk.statSync(where)
    } catch {
      return undefined
    }
  }
}

const BYTES_MAX = 16 * 1024 * 1024
const FILES_MAX = 8
const RETRY_MS = 1_000
const RETRY_MS_MAX = 30_000
