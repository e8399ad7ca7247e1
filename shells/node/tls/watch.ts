/** Notices that something in a directory may have changed. */
import { type FSWatcher, statSync, watch } from 'node:fs'

export interface WatchOptions {
  readonly directory: string
  /** Looks; the next call waits for the one before. */
  readonly look: () => Promise<void>
  readonly timing?: WatchTiming
}

export interface WatchTiming {
  /** How long what comes together may take, so that it is seen as one change. */
  readonly gatherMs: number
  /** Between two looks without any sign: for files elsewhere that links lead to. */
  readonly pollMs: number
}

export class DirectoryWatch {
  readonly #directory: string
  readonly #look: () => Promise<void>
  readonly #timing: WatchTiming
  #watcher: FSWatcher | undefined
  /** The directory that is watched, whatever its name leads to now. */
  #watched = ''
  #timer: { readonly at: number; readonly handle: NodeJS.Timeout } | undefined
  #looking: Promise<void> | undefined
  #isClosed = false

  constructor({ directory, look, timing = defaultTiming }: WatchOptions) {
    this.#directory = directory
    this.#look = look
    this.#timing = timing
    this.#watch()
    this.lookIn(timing.pollMs)
  }

  /** Looks then at the latest. */
  lookIn(ms: number): void {
    const at = performance.now() + ms
    if (this.#isClosed || (this.#timer !== undefined && this.#timer.at <= at)) return
    clearTimeout(this.#timer?.handle)
    this.#timer = { at, handle: setTimeout(() => this.#run(), ms) }
  }

  /** Resolves when nothing is looked at any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer?.handle)
    this.#watcher?.close()
    await this.#looking
  }

  #run(): void {
    this.#timer = undefined
    if (this.#looking !== undefined) return this.lookIn(this.#timing.gatherMs)
    this.#watch()
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined
    })
    this.lookIn(this.#timing.pollMs)
  }

  /** Another directory may have taken the name; one that is watched no more is only polled. */
  #watch(): void {
    const now = identityOf(this.#directory)
    if (now === this.#watched) return
    this.#watched = now
    this.#watcher?.close()
    this.#watcher = undefined
    if (now === '') return
    try {
      const watcher = watch(this.#directory, () => this.lookIn(this.#timing.gatherMs))
      watcher.on('error', () => watcher.close())
      this.#watcher = watcher
    } catch {
      // the system watches no more directories for us (inotify's limits): the poll remains
    }
  }
}

/** Empty when it is not there. A number alone is used again for the next directory. */
function identityOf(directory: string): string {
  try {
    const { dev, ino, birthtimeMs } = statSync(directory)
    return `${dev} ${ino} ${birthtimeMs}`
  } catch {
    return ''
  }
}

const defaultTiming: WatchTiming = { gatherMs: 200, pollMs: 10_000 }
