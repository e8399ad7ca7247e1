/**
 * One log on disk: lines in, rotated by size, read from the end.
 *
 * Nothing here throws, and nothing waits for the disk in the caller's stead. Lines queue up to a
 * bound, then the caller is asked to pause its program. A disk that refuses or hangs never stops
 * the program: lines are dropped and counted, that is said once, and writing goes on when it can.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  write as writeToFile,
} from 'node:fs'
import { dirname } from 'node:path'
import { formatLine } from './lines.ts'
import { countFeeds, endsTorn, FILES, readLastLines, rotatedPaths } from './tail.ts'

export interface LogFileOptions {
  /** Absolute; the rotated files are beside it, `.1` (the newest) to `.3`. */
  readonly path: string
  /** For all files together. */
  readonly bytesMax: number
  /** Rotated files older than this go. 0: as long as there is room. */
  readonly retentionMs: number
  /** Whose log it is, for notices: `hello/web-1`. */
  readonly label: string
  readonly notice: (text: string) => void
  readonly retryMs?: number
  readonly stallMs?: number
  /** fs.write, replaced by tests. */
  readonly write?: typeof writeToFile
}

export interface LogSink {
  /** Whole lines with their line feeds. False: enough for now, wait for {@link whenDrained}. */
  append(text: string): boolean
  /** Once, when there is room again (perhaps at once). */
  whenDrained(resume: () => void): void
  /** The last lines, oldest first, without line feeds. */
  tail(linesMax: number): string[]
  close(): Promise<void>
  readonly linesLost: number
}

interface Trouble {
  readonly reason: string
  lost: number
  /** A line about the loss is on its way to the file, so long. */
  marked: boolean
  markBytes: number
}

export class LogFile implements LogSink {
  linesLost = 0
  readonly #options: LogFileOptions
  readonly #fileBytesMax: number
  #file: { readonly descriptor: number; size: number } | undefined
  #queue: Buffer[] = []
  #queueBytes = 0
  #writing: Buffer | undefined
  #drainers: (() => void)[] = []
  #trouble: Trouble | undefined
  #checkAt = 0
  #stall: NodeJS.Timeout | undefined
  #stalled = false
  #closed: { readonly done: Promise<void>; readonly finish: () => void } | undefined

  constructor(options: LogFileOptions) {
    this.#options = options
    this.#fileBytesMax = Math.max(FILE_BYTES_MIN, Math.floor(options.bytesMax / FILES))
    this.#ready()
  }

  append(text: string): boolean {
    const bytes = Buffer.from(text)
    if (this.#closed !== undefined || this.#stalled || !this.#ready()) {
      this.#lose(bytes)
      return true
    }
    if (this.#trouble !== undefined) this.#markLoss()
    this.#enqueue(bytes)
    this.#flush()
    const full = this.#queueBytes >= QUEUE_BYTES_MAX
    if (full) this.#stall ??= setTimeout(() => this.#onStall(), this.#options.stallMs ?? STALL_MS)
    return !full
  }

  whenDrained(resume: () => void): void {
    if (this.#queueBytes < QUEUE_BYTES_MAX) resume()
    else this.#drainers.push(resume)
  }

  tail(linesMax: number): string[] {
    // what the system has not confirmed yet is ours to show; the file counts only up to `size`
    const pending = Buffer.concat([this.#writing ?? EMPTY, ...this.#queue])
    return readLastLines(rotatedPaths(this.#options.path), linesMax, pending, this.#file?.size)
  }

  /** Writes what is queued, as long as the disk takes it, and closes. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#closed = { done: promise, finish: resolve }
      this.#flush()
      this.#finishIfDone()
    }
    return this.#closed.done
  }

  /** Removes rotated files that are too old. */
  prune(): void {
    const { path, retentionMs } = this.#options
    if (retentionMs <= 0) return
    const oldest = Date.now() - retentionMs
    for (const rotated of rotatedPaths(path).slice(1)) {
      quietly(() => {
        if (statSync(rotated).mtimeMs < oldest) unlinkSync(rotated)
      })
    }
  }

  // writing

  #enqueue(bytes: Buffer): void {
    this.#queue.push(bytes)
    this.#queueBytes += bytes.length
  }

  #flush(): void {
    while (this.#writing === undefined && this.#queue.length > 0 && this.#file !== undefined) {
      const batch = this.#nextBatch(this.#file.size)
      if (batch === undefined) {
        this.#rotate()
        continue
      }
      this.#writing = batch
      this.#write(this.#file.descriptor, batch)
    }
  }

  /** As many whole lines as the file has room for; undefined when it must be rotated first. */
  #nextBatch(size: number): Buffer | undefined {
    const all = this.#queue.length === 1 ? (this.#queue[0] ?? EMPTY) : Buffer.concat(this.#queue)
    const room = this.#fileBytesMax - size
    let end = all.length
    if (all.length > room) {
      end = room > 0 ? all.lastIndexOf(LINE_FEED, room - 1) + 1 : 0
      if (end === 0 && size > 0) return undefined
      // a line longer than a whole file has a file to itself
      if (end === 0) end = all.indexOf(LINE_FEED) + 1 || all.length
    }
    this.#queue = end === all.length ? [] : [all.subarray(end)]
    this.#queueBytes = all.length - end
    return all.subarray(0, end)
  }

  #write(descriptor: number, bytes: Buffer): void {
    const write = this.#options.write ?? writeToFile
    write(descriptor, bytes, 0, bytes.length, null, (error, written) => {
      this.#onWritten(error, written, bytes)
    })
  }

  #onWritten(error: NodeJS.ErrnoException | null, written: number, bytes: Buffer): void {
    if (this.#file !== undefined) this.#file.size += written
    const rest = bytes.subarray(written)
    if (error === null && written > 0 && rest.length > 0 && this.#file !== undefined) {
      this.#writing = rest
      this.#write(this.#file.descriptor, rest)
      return
    }
    this.#writing = undefined
    this.#stalled = false
    if (rest.length > 0) {
      this.#fail(error === null ? 'nothing could be written' : reasonOf(error), rest, written)
    } else this.#recovered()
    this.#flush()
    this.#drain()
    this.#finishIfDone()
  }

  #drain(): void {
    if (this.#queueBytes >= QUEUE_BYTES_MAX / 2) return
    clearTimeout(this.#stall)
    this.#stall = undefined
    for (const resume of this.#drainers.splice(0)) resume()
  }

  #finishIfDone(): void {
    if (this.#closed === undefined || this.#writing !== undefined) return
    if (this.#queue.length > 0 && this.#file !== undefined) return
    clearTimeout(this.#stall)
    this.#closeFile()
    this.#closed.finish()
  }

  /** The disk has kept a paused program waiting for too long. */
  #onStall(): void {
    this.#stall = undefined
    this.#stalled = true
    this.#enterTrouble('the disk does not answer')
    this.#dropQueue()
    this.#drain()
  }

  // trouble and recovery

  #fail(reason: string, rest: Buffer = EMPTY, written = 0): void {
    this.#closeFile()
    this.#checkAt = performance.now() + (this.#options.retryMs ?? RETRY_MS)
    this.#enterTrouble(reason)
    this.#lose(rest)
    // the line about the loss is first in its batch, and none of the program's
    if (written < (this.#trouble?.markBytes ?? 0)) this.#uncountMark()
    this.#dropQueue()
  }

  #enterTrouble(reason: string): void {
    if (this.#trouble !== undefined) return
    this.#trouble = { reason, lost: 0, marked: false, markBytes: 0 }
    const { label, notice } = this.#options
    notice(`log of ${label} cannot be written: ${reason}; its lines are dropped until it can`)
  }

  /** Readers of the log must see that something is missing, and where. */
  #markLoss(): void {
    if (this.#trouble === undefined || this.#trouble.marked) return
    this.#trouble.marked = true
    const { lost, reason } = this.#trouble
    if (lost === 0) return
    const text = `weir: lines lost here: ${lost} (${reason})`
    const mark = Buffer.from(formatLine({ at: new Date().toISOString(), stream: 'err', text }))
    this.#trouble.markBytes = mark.length
    this.#enqueue(mark)
  }

  #uncountMark(): void {
    if (this.#trouble === undefined) return
    this.#trouble.lost--
    this.linesLost--
  }

  /** A write went through. Before the mark is written, it was one from before the trouble. */
  #recovered(): void {
    if (this.#trouble?.marked !== true) return
    const { label, notice } = this.#options
    notice(`log of ${label} is written again; lines lost: ${this.#trouble.lost}`)
    this.#trouble = undefined
  }

  #dropQueue(): void {
    for (const bytes of this.#queue.splice(0)) this.#lose(bytes)
    this.#queueBytes = 0
    if (this.#trouble === undefined) return
    this.#trouble.marked = false
    this.#trouble.markBytes = 0
  }

  #lose(bytes: Buffer): void {
    const lines = countFeeds(bytes)
    this.linesLost += lines
    if (this.#trouble !== undefined) this.#trouble.lost += lines
  }

  // files

  /** Opens the file, or opens it again; false while that is not to be tried. */
  #ready(): boolean {
    const now = performance.now()
    if (now < this.#checkAt) return this.#file !== undefined
    if (this.#writing !== undefined) return true
    this.#checkAt = now + (this.#options.retryMs ?? RETRY_MS)
    // somebody may have deleted the file, or the whole directory
    if (this.#file !== undefined && isLinked(this.#file.descriptor)) return true
    this.#closeFile()
    return this.#open()
  }

  #open(): boolean {
    const { path } = this.#options
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      const descriptor = openSync(path, OPEN_FLAGS, 0o600)
      this.#file = { descriptor, size: fstatSync(descriptor).size }
      // a line torn by a full disk or a power cut ends here
      if (endsTorn(descriptor, this.#file.size)) this.#queue.unshift(Buffer.from('\n'))
      this.prune()
      return true
    } catch (error) {
      this.#fail(reasonOf(error))
      return false
    }
  }

  #closeFile(): void {
    if (this.#file === undefined) return
    quietly(() => closeSync(this.#file?.descriptor ?? -1))
    this.#file = undefined
  }

  #rotate(): void {
    this.#closeFile()
    const paths = rotatedPaths(this.#options.path)
    for (let index = paths.length - 1; index > 0; index--) {
      quietly(() => renameSync(paths[index - 1] ?? '', paths[index] ?? ''))
    }
    if (!this.#open()) return
    // still full: it could not be moved away, and writing on would grow it without bound
    if ((this.#file?.size ?? 0) >= this.#fileBytesMax) this.#fail('it cannot be rotated')
  }
}

function isLinked(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).nlink > 0
  } catch {
    return false
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' ? 'no space left on device' : (message ?? String(error))
}

function quietly(work: () => void): void {
  try {
    work()
  } catch {
    // a file that is not there, or not ours: what follows finds out and says so
  }
}

const EMPTY = Buffer.alloc(0)
const LINE_FEED = 0x0a
const FILE_BYTES_MIN = 4 * 1024
const QUEUE_BYTES_MAX = 256 * 1024
const RETRY_MS = 1_000
const STALL_MS = 5_000
// non-blocking: should somebody put a named pipe there, opening it must not hang the node
const OPEN_FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK
