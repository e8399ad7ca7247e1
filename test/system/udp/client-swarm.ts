/** A child process with very many UDP clients. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SwarmCounts, SwarmPlan, SwarmReport } from './many-clients.ts'

const PROGRAM = fileURLToPath(new URL('many-clients.ts', import.meta.url))

type Told<T extends SwarmReport['type']> = Extract<SwarmReport, { type: T }>

export class ClientSwarm {
  readonly #child: ChildProcess

  constructor(plan: SwarmPlan) {
    this.#child = fork(PROGRAM, [JSON.stringify(plan)], { execArgv: [] })
  }

  /** The ports of all its sockets, when they are there. */
  async bound(): Promise<readonly number[]> {
    return (await this.#told('bound')).ports
  }

  /** What came of it, when all of it is over. */
  async run(): Promise<SwarmCounts> {
    this.#child.send('go')
    const { sent, returned, foreign, lost } = await this.#told('done')
    return { sent, returned, foreign, lost }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
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
}
