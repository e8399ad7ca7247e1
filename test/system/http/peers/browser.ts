/** A browser without a window, driven over its debugging pipe. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { onTestFinished } from 'vitest'

interface Told {
  readonly id?: number
  readonly result?: { readonly [name: string]: unknown }
  readonly error?: { readonly message: string }
}

/** Chromium; gone with the test it was started in. */
export class Browser {
  readonly #commands: Writable
  readonly #waiting = new Map<number, (told: Told) => void>()
  #heard = ''
  #last = 0
  #session: string | undefined

  private constructor(child: ChildProcess) {
    this.#commands = child.stdio[3] as Writable
    const answers = child.stdio[4] as Readable
    answers.on('data', (bytes: Buffer) => {
      const parts = (this.#heard + bytes).split('\0')
      this.#heard = parts.pop() ?? ''
      for (const part of parts) {
        const told = JSON.parse(part) as Told
        if (told.id !== undefined) this.#waiting.get(told.id)?.(told)
      }
    })
  }

  static async start(): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), 'weir-browser-'))
    const words = [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...['--no-first-run', '--disable-background-networking', '--ignore-certificate-errors'],
      ...['--remote-debugging-pipe', `--user-data-dir=${profile}`, 'about:blank'],
    ]
    const child = spawn('chromium', words, {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    })
    const ended = once(child, 'exit')
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await ended
      await rm(profile, { recursive: true, force: true, maxRetries: 10 })
    })
    return new Browser(child)
  }

  async open(url: string): Promise<void> {
    const { targetId } = await this.#do('Target.createTarget', { url })
    const { sessionId } = await this.#do('Target.attachToTarget', { targetId, flatten: true })
    this.#session = sessionId as string
  }

  /** What an expression is in the page that is open. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.#do('Runtime.evaluate', { expression })
    return (result as { readonly value?: unknown }).value
  }

  #do(method: string, params: object): Promise<{ readonly [name: string]: unknown }> {
    const id = ++this.#last
    const session = this.#session === undefined ? {} : { sessionId: this.#session }
    this.#commands.write(`${JSON.stringify({ id, method, params, ...session })}\0`)
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        this.#waiting.delete(id)
        if (result === undefined) reject(new Error(error?.message ?? 'no result'))
        else resolve(result)
      })
    })
  }
}
