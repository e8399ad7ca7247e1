/** A TCP client that asks one line at a time, and the program that answers it. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'

/** Answers each line with `DEPLOYMENT/SERVICE REPLICA LINE`, and ends after `bye`; at `OWN_PORT`, too. */
export const ANSWERER = `
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
const { WEIR_DEPLOYMENT, WEIR_SERVICE, WEIR_REPLICA } = process.env
for (const [name, own] of Object.entries(process.env)) {
  if (!name.startsWith('PORT_') && name !== 'OWN_PORT') continue
  createServer((socket) => {
    socket.on('error', () => {})
    createInterface({ input: socket }).on('line', (line) => {
      socket.write([WEIR_DEPLOYMENT + '/' + WEIR_SERVICE, WEIR_REPLICA, line].join(' ') + '\\n')
      if (line === 'bye') socket.end()
    })
  }).listen(Number(own), '127.0.0.1')
}
process.once('SIGTERM', () => process.exit())
`

export interface LineAnswer {
  /** `deployment/service`. */
  readonly service: string
  readonly replica: string
  readonly text: string
}

/** Closed with the test it was made in. */
export class LineClient {
  readonly socket: Duplex
  /** Why it is over: the code of the error, or `ended`. */
  readonly over: Promise<string>
  #text = ''
  #isOver = false
  #heard: (() => void) | undefined

  constructor(socket: Duplex) {
    this.socket = socket
    this.over = new Promise((resolve) => {
      let why = 'ended'
      socket.on('error', (error: NodeJS.ErrnoException) => {
        why = error.code ?? error.message
      })
      socket.on('close', () => {
        this.#isOver = true
        this.#heard?.()
        resolve(why)
      })
    })
    socket.on('data', (bytes: Buffer) => {
      this.#text += bytes
      this.#heard?.()
    })
    onTestFinished(() => void socket.destroy())
  }

  /** Rejects when nobody listens there. */
  static async to(port: number, host = '127.0.0.1', localAddress?: string): Promise<LineClient> {
    const socket = connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) })
    await once(socket, 'connect')
    return new LineClient(socket)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get localPort(): number {
    return (this.socket as Socket).localPort as number
  }

  /** The next line of what comes back; rejects when the connection is over before it is whole. */
  async line(text?: string): Promise<string> {
    if (text !== undefined) this.socket.write(`${text}\n`)
    const timer = setTimeout(() => this.socket.destroy(new Error('no answer')), GIVE_UP_MS)
    try {
      for (;;) {
        const end = this.#text.indexOf('\n')
        if (end >= 0) {
          const line = this.#text.slice(0, end)
          this.#text = this.#text.slice(end + 1)
          return line
        }
        if (this.#isOver) throw new Error(`over before an answer: ${await this.over}`)
        await new Promise<void>((resolve) => {
          this.#heard = resolve
        })
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Of an {@link ANSWERER}. */
  async ask(text: string): Promise<LineAnswer> {
    const [service = '', replica = '', ...rest] = (await this.line(text)).split(' ')
    return { service, replica, text: rest.join(' ') }
  }
}

/** One question on a connection of its own. */
export async function askOnce(port: number, host?: string): Promise<LineAnswer> {
  const client = await LineClient.to(port, host)
  const answer = await client.ask('hello')
  client.socket.destroy()
  return answer
}

/** The code that connecting fails with; `connected` when it does not. */
export function attempt(port: number, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.on('connect', () => socket.destroy())
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    socket.on('close', () => resolve('connected'))
  })
}

const GIVE_UP_MS = 60_000
