/** A constant load on Redis over connections that stay, each replaced when it is lost. */
import { connect, type Socket } from 'node:net'

export interface RedisReport {
  readonly answered: number
  /** Requests that were under way when their connection ended. */
  readonly lost: number
  /** Connections that were refused, or ended without having had one answer. */
  readonly unserved: number
  /** Answers that were not to the question. */
  readonly wrong: number
  readonly connected: number
}

export class RedisLoad {
  #isRunning = true
  readonly #counts = { answered: 0, lost: 0, unserved: 0, wrong: 0, connected: 0 }
  readonly #workers: Promise<void>[]

  constructor(port: number, connections: number) {
    this.#workers = Array.from({ length: connections }, (_, at) => this.#work(port, at))
  }

  get answered(): number {
    return this.#counts.answered
  }

  async stop(): Promise<RedisReport> {
    this.#isRunning = false
    await Promise.all(this.#workers)
    return this.#counts
  }

  async #work(port: number, worker: number): Promise<void> {
    while (this.#isRunning) await this.#askUntilOver(connect({ port, host: '127.0.0.1' }), worker)
  }

  /** One question at a time; resolves when the connection is over. */
  #askUntilOver(socket: Socket, worker: number): Promise<void> {
    const counts = this.#counts
    return new Promise((resolve) => {
      let answers = 0
      let expected = ''
      let got = ''
      const ask = (): void => {
        const text = `${worker} ${answers}`
        expected = `$${text.length}\r\n${text}\r\n`
        got = ''
        socket.write(`*2\r\n$4\r\nECHO\r\n${expected}`)
      }
      socket.on('connect', () => {
        counts.connected += 1
        ask()
      })
      socket.on('data', (bytes) => {
        got += bytes
        if (got.length < expected.length) return
        if (got !== expected) counts.wrong += 1
        answers += 1
        counts.answered += 1
        expected = ''
        if (this.#isRunning) ask()
        else socket.destroy()
      })
      socket.on('error', () => {}) // a close follows
      socket.on('close', () => {
        if (expected !== '') counts.lost += 1
        if (answers === 0) counts.unserved += 1
        resolve()
      })
    })
  }
}
