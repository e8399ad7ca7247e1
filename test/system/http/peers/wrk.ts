/** `wrk`: as many requests as there can be, over connections that are kept. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

export interface WrkReport {
  readonly requests: number
  /** Answers that were neither 2xx nor 3xx. */
  readonly failed: number
  /** Connections not made, cut or reset, and requests without an answer for 2 s. */
  readonly socketErrors: {
    readonly connect: number
    readonly read: number
    readonly write: number
    readonly timeout: number
  }
}

export class Wrk {
  readonly #child
  readonly #ended
  #said = ''

  constructor(url: string, connections: number) {
    // it ends when it is told to
    const words = ['-t', '1', '-c', String(connections), '-d', '1h', '--timeout', '30s', url]
    this.#child = spawn('wrk', words, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child.stdout.on('data', (bytes: Buffer) => {
      this.#said += bytes
    })
    this.#ended = once(this.#child, 'close')
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  async stop(): Promise<WrkReport> {
    this.#child.kill('SIGINT')
    await this.#ended
    const said = this.#said
    const number = (pattern: RegExp): number => Number(pattern.exec(said)?.[1] ?? 0)
    if (!/requests in/.test(said)) throw new Error(`wrk said ${said}`)
    return {
      requests: number(/(\d+) requests in/),
      failed: number(/Non-2xx or 3xx responses: (\d+)/),
      socketErrors: {
        connect: number(/connect (\d+)/),
        read: number(/read (\d+)/),
        write: number(/write (\d+)/),
        timeout: number(/timeout (\d+)/),
      },
    }
  }
}

/** Of a report: nothing was lost. */
export const LOSSLESS = { failed: 0, socketErrors: { connect: 0, read: 0, write: 0, timeout: 0 } }
