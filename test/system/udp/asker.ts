/** A UDP client that asks one thing at a time. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

/** Answers `REPLICA PORT TEXT`: who answers, whose port it saw, and what it got. */
export const ANSWERER = `
import { createSocket } from 'node:dgram'
for (const [name, own] of Object.entries(process.env)) {
  if (!name.startsWith('PORT_')) continue
  const socket = createSocket('udp4', (message, { port, address }) =>
    socket.send([process.env.WEIR_REPLICA, port, message].join(' '), port, address))
  process.once('SIGTERM', () => socket.close())
  socket.bind(Number(own), '127.0.0.1')
}
`

export interface Answered {
  readonly replica: string
  readonly upstreamPort: number
  readonly text: string
}

/** Connected: the kernel lets an answer in only from the very address and port that was asked. */
export class Asker {
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static async to(port: number, address = '127.0.0.1', from?: string): Promise<Asker> {
    const socket = createSocket('udp4')
    socket.bind({ port: 0, ...(from === undefined ? {} : { address: from }) })
    await once(socket, 'listening')
    socket.connect(port, address)
    await once(socket, 'connect')
    return new Asker(socket)
  }

  /** Once; rejects when nobody has the port, or when it is certain that no answer comes. */
  async ask(text: string): Promise<Answered> {
    const answer = once(this.#socket, 'message', { signal: AbortSignal.timeout(GIVE_UP_MS) })
    this.#socket.send(text)
    const [message] = (await answer) as [Buffer]
    const [replica = '', port, ...rest] = message.toString().split(' ')
    return { replica, upstreamPort: Number(port), text: rest.join(' ') }
  }

  /** For what gets no answer. */
  tell(text: string): void {
    this.#socket.send(text)
  }

  close(): void {
    this.#socket.close()
  }
}

const GIVE_UP_MS = 60_000
