/**
 * Appends to one file: rotated by size, opened anew when somebody moved or deleted it (logrotate,
 * without a signal). Everything is asynchronous: a disk that hangs keeps nobody else waiting.
 */
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface RotatingFileOptions {
  /** Absolute. Rotated ones are beside it: `.1`, the newest, to `.KEEP`. */
  readonly path: string
  /** Before a write would make it larger it is rotated. */
  readonly bytesMax: number
  /** Rotated files; 0: what is full is deleted. */
  readonly keep: number
}

/** One call at a time. */
export class RotatingFile {
  readonly #options: RotatingFileOptions
  #file: OpenFile | undefined
  /** A write ended within a line. */
  #isTorn = false

  constructor(options: RotatingFileOptions) {
    this.#options = options
  }

  /**
   * Whole lines. Answers how many of the bytes are in the file, and why not all of them are; then the
   * next call opens it again. Never throws.
   */
  async append(lines: Buffer): Promise<Written> {
    const bytes = this.#isTorn ? Buffer.concat([LINE_FEED, lines]) : lines
    let written = 0
    try {
      const file = await this.#ready(bytes.length)
      while (written < bytes.length) {
        const count = await writeSome(file.handle, bytes.subarray(written))
        written += count
        file.size += count
      }
      this.#isTorn = false
      return { bytes: lines.length }
    } catch (error) {
      if (written > 0) this.#isTorn = bytes[written - 1] !== LINE_FEED[0]
      await this.close()
      return { bytes: Math.max(0, written - (bytes.length - lines.length)), error }
    }
  }

  /** It is opened again when there is more. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.handle.close().catch(() => {}) // nothing of it was promised
  }

  /** The file to write so many bytes to. */
  async #ready(bytes: number): Promise<OpenFile> {
    if (this.#file !== undefined && !(await isStill(this.#file, this.#options.path))) {
      await this.close()
    }
    this.#file ??= await openFile(this.#options.path)
    const { isRegular, size } = this.#file
    const fits = size === 0 || size + bytes <= this.#options.bytesMax
    if (fits || !isRegular) return this.#file
    await this.close()
    await this.#rotate()
    this.#file = await openFile(this.#options.path)
    return this.#file
  }

  async #rotate(): Promise<void> {
    const { path, keep } = this.#options
    const nameOf = (index: number): string => (index === 0 ? path : `${path}.${index}`)
    if (keep === 0) return rm(path, { force: true })
    for (let index = keep; index > 0; index -= 1) {
      await rename(nameOf(index - 1), nameOf(index)).catch(unlessMissing)
    }
  }
}

export interface Written {
  readonly bytes: number
  readonly error?: unknown
}

interface OpenFile {
  readonly handle: FileHandle
  /**
   * Else a device, a pipe, or a link such as /dev/stdout, whatever it leads to: what has that name is not
   * ours to move or delete, so it is never rotated.
   */
  readonly isRegular: boolean
  readonly device: number
  readonly inode: number
  size: number
}

async function openFile(path: string): Promise<OpenFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 })
  const handle = await open(path, FLAGS, 0o640)
  try {
    const found = await handle.stat()
    const { dev: device, ino: inode, size } = found
    const isRegular = found.isFile() && (await isNamed(path, device, inode))
    return { handle, isRegular, device, inode, size }
  } catch (error) {
    await handle.close().catch(() => {}) // the first error says more
    throw error
  }
}

/** Whether what is written to still has that name. */
const isStill = async ({ isRegular, device, inode }: OpenFile, path: string): Promise<boolean> =>
  !isRegular || (await isNamed(path, device, inode))

/** The name itself, not what a link leads to. */
async function isNamed(path: string, device: number, inode: number): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found?.ino === inode && found.dev === device
}

/** A pipe that is full gets some time. */
async function writeSome(handle: FileHandle, bytes: Buffer): Promise<number> {
  for (let left = FULL_PIPE_TRIES; ; left -= 1) {
    try {
      const { bytesWritten } = await handle.write(bytes)
      if (bytesWritten > 0) return bytesWritten
      throw new Error('nothing could be written')
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN' || left === 0) throw error
      await new Promise((resolve) => setTimeout(resolve, FULL_PIPE_MS))
    }
  }
}

function unlessMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

const LINE_FEED = Buffer.from('\n')
// non-blocking: a pipe that nobody reads must not keep a thread
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK
const FULL_PIPE_MS = 20
const FULL_PIPE_TRIES = 25
