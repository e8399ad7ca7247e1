/**
 * Standard output for a process that must never wait for its reader. Node writes to a terminal
 * synchronously: one Ctrl-S would stop every connection that the node forwards. Here a stalled
 * reader costs a bounded backlog; beyond it the newest text is dropped, and counted.
 */
import { write } from 'node:fs'

export class SteadyOutput {
  readonly #descriptor: number
  readonly #backlogBytesMax: number
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #busy = false
  #closed = false
  #dropped = 0
  #idle: (() => void)[] = []

  constructor(descriptor: number, backlogBytesMax: number = BACKLOG_BYTES_MAX) {
    this.#descriptor = descriptor
    this.#backlogBytesMax = backlogBytesMax
  }

  /** Texts dropped because the reader was too far behind. */
  get dropped(): number {
    return this.#dropped
  }

  /** Something written earlier has not reached the reader yet. */
  get busy(): boolean {
    return this.#busy
  }

  write(text: string): void {
    if (this.#closed || text === '') return
    const bytes = Buffer.from(text)
    if (this.#waitingBytes + bytes.length > this.#backlogBytesMax) {
      this.#dropped += 1
      return
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (!this.#busy) this.#next()
  }

  /** Waits until all of it is written, the reader is gone, or the time is over. */
  async flush(timeoutMs: number): Promise<void> {
    if (!this.#busy) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, timeoutMs)
    this.#idle.push(resolve)
    await promise
    clearTimeout(timer)
  }

  #next(): void {
    const bytes = this.#waiting[0]
    this.#busy = bytes !== undefined
    if (bytes === undefined) {
      for (const resolve of this.#idle.splice(0)) resolve()
      return
    }
    write(this.#descriptor, bytes, (error, written) => this.#written(error, written, bytes))
  }

  #written(error: NodeJS.ErrnoException | null, written: number, bytes: Buffer): void {
    // another program that shares the pipe may have made it non-blocking
    if (error?.code === 'EAGAIN') {
      setTimeout(() => this.#next(), RETRY_MS)
      return
    }
    if (error !== null) {
      // the reader is gone (EPIPE) or the terminal is (EIO): nobody is left to tell
      this.#closed = true
      this.#waiting.length = 0
      this.#waitingBytes = 0
    } else {
      this.#waitingBytes -= written
      if (written < bytes.length) this.#waiting[0] = bytes.subarray(written)
      else this.#waiting.shift()
    }
    this.#next()
  }
}

const BACKLOG_BYTES_MAX = 1_048_576
const RETRY_MS = 20
