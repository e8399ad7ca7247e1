/** Makes the UDP sockets of one host, and knows when the last one is closed. */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram'
import { lookup } from 'node:dns'
import { isIP } from 'node:net'
import { Names } from '../names.ts'

export type CreateSocket = (options: SocketOptions) => Socket

export class DgramSockets {
  readonly #create: CreateSocket
  #open = 0
  #waiting: (() => void)[] = []

  constructor(create: CreateSocket = createSocket) {
    this.#create = create
  }

  /** Not bound yet. It shares its address with no other socket. */
  create(family: 4 | 6): Socket {
    const socket = this.#create({
      type: family === 4 ? 'udp4' : 'udp6',
      lookup: answerAtOnce,
    })
    this.#open += 1
    socket.once('close', () => {
      this.#open -= 1
      if (this.#open === 0) for (const tell of this.#waiting.splice(0)) tell()
    })
    return socket
  }

  /** Resolves when no socket is open. */
  allClosed(): Promise<void> {
    if (this.#open === 0) return Promise.resolve()
    return new Promise((tell) => this.#waiting.push(tell))
  }
}

/** `dns.lookup`, but an IP address is answered at once. */
export const resolveHost: NonNullable<SocketOptions['lookup']> = (host, options, answer) => {
  const family = isIP(host)
  if (family === 0) lookup(host, options, answer)
  else answer(null, host, family)
}

export type ResolvedHost = { readonly address: string; readonly family: 4 | 6 } | Error

/** The names of a host's backends: a flood of new clients must not be one of look-ups. */
export function hostNames(resolve: typeof resolveHost = resolveHost): Names<ResolvedHost> {
  const names: Names<ResolvedHost> = new Names((host) =>
    resolve(host, {}, (error, address, family) => {
      const found = { address, family: family === 6 ? 6 : 4 } as const
      names.resolved(host, error ?? found, performance.now())
    }),
  )
  return names
}

/**
 * What sockets are given are IP addresses, and Node asks about each, for each datagram too. Its
 * own lookup waits a tick: what a step sends would leave after the step, and not at all where
 * that closes the socket.
 */
const answerAtOnce: NonNullable<SocketOptions['lookup']> = (host, _, answer) =>
  answer(null, host, 0)
