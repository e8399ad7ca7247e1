/** A constant load of HTTP requests, one connection each. */
import { connect } from 'node:net'

export interface LoadReport {
  readonly sent: number
  readonly answered: number
  /** Why the others were not, each counted. */
  readonly lost: Readonly<Record<string, number>>
  /** Answers by body, trimmed. */
  readonly bodies: Readonly<Record<string, number>>
}

export class Load {
  #running = true
  #sent = 0
  #answered = 0
  readonly #lost: Record<string, number> = {}
  readonly #bodies: Record<string, number> = {}
  readonly #workers: Promise<void>[]

  constructor(port: number, concurrency: number, path = '/') {
    this.#workers = Array.from({ length: concurrency }, () => this.#work(port, path))
  }

  get answered(): number {
    return this.#answered
  }

  async stop(): Promise<LoadReport> {
    this.#running = false
    await Promise.all(this.#workers)
    return { sent: this.#sent, answered: this.#answered, lost: this.#lost, bodies: this.#bodies }
  }

  async #work(port: number, path: string): Promise<void> {
    while (this.#running) {
      this.#sent += 1
      try {
        const body = await request(port, path)
        this.#answered += 1
        this.#bodies[body] = (this.#bodies[body] ?? 0) + 1
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        this.#lost[why] = (this.#lost[why] ?? 0) + 1
      }
    }
  }
}

/** One GET on a connection of its own; the trimmed body, or a rejection that says what went wrong. */
export function request(port: number, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ port, host: '127.0.0.1' })
    socket.setTimeout(20_000, () => socket.destroy(new Error('no answer within 20 s')))
    socket.on('connect', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
    )
    socket.on('data', (data) => {
      text += data
    })
    socket.on('error', reject)
    socket.on('close', () => {
      const [head = '', body = ''] = text.split('\r\n\r\n')
      if (!/^HTTP\/1\.[01] 200/.test(head)) reject(new Error(head.split('\r\n')[0] || 'no answer'))
      else resolve(bodyOf(head, body).trim())
    })
  })
}

const bodyOf = (head: string, body: string): string =>
  /transfer-encoding: chunked/i.test(head) ? body.replace(/^[0-9a-f]+\r\n|\r\n0\r\n/gi, '') : body
