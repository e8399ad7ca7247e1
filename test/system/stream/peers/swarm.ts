/** A child process with very many TCP clients. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { Outcome } from './play.ts'
import type { SwarmOrder, SwarmPlan, SwarmReport } from './swarm-clients.ts'

const PROGRAM = fileURLToPath(new URL('swarm-clients.ts', import.meta.url))

type Told<T extends SwarmReport['type']> = Extract<SwarmReport, { type: T }>

/** Gone with the test it was made in. */
export class Swarm {
  readonly #child: ChildProcess

  constructor(plan: SwarmPlan) {
    this.#child = fork(PROGRAM, [JSON.stringify(plan)], { execArgv: ['--no-warnings'] })
    onTestFinished(() => this.#stop())
  }

  async connected(): Promise<void> {
    await this.#told('connected')
  }

  /** Resolves when all that do not stall are over. */
  async begin(): Promise<void> {
    const stalled = this.#told('stalled')
    this.#order('begin')
    await stalled
  }

  /** Resolves when all are over. */
  async release(): Promise<readonly Outcome[]> {
    const done = this.#told('done')
    this.#order('release')
    return (await done).outcomes
  }

  #order(order: SwarmOrder): void {
    this.#child.send(order)
  }

  #told<T extends SwarmReport['type']>(type: T): Promise<Told<T>> {
    return new Promise((resolve, reject) => {
      const child = this.#child
      const ended = (code: number | null) =>
        reject(new Error(`clients ended with ${code} before they were ${type}`))
      child.once('exit', ended)
      child.on('message', (report: SwarmReport) => {
        if (report.type !== type) return
        child.off('exit', ended)
        resolve(report as Told<T>)
      })
    })
  }

  async #stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}
