/** The HTTP/2 connections of clients, of all ports. */
import type { Socket } from 'node:net'
import type { PortId } from '../../../../core/http/events.ts'
import type { Origin } from '../http1-client.ts'
import { ClientSession, type ClientSessionOptions } from './client-session.ts'

export interface ClientSessionsOptions
  extends Omit<ClientSessionOptions, 'limits' | 'misbehaved' | 'closed'> {
  readonly sessionsMax: number
  /** One was turned away: there are as many. */
  readonly full: () => void
}

export class ClientSessions {
  readonly #options: ClientSessionsOptions
  readonly #sessions = new Set<ClientSession>()
  /** Since the start. */
  readonly counters = { accepted: 0, full: 0, broken: 0, misbehaved: 0 }

  constructor(options: ClientSessionsOptions) {
    this.#options = options
  }

  get live(): number {
    return this.#sessions.size
  }

  /** Takes the socket over: paused, with what was read of it put back. */
  open(socket: Socket, origin: Origin, limits: ClientSessionOptions['limits']): void {
    const { counters } = this
    if (this.#sessions.size >= this.#options.sessionsMax) {
      counters.full += 1
      this.#options.full()
      socket.destroy()
      return
    }
    try {
      const session = new ClientSession(socket, origin, {
        ...this.#options,
        limits,
        misbehaved: () => {
          counters.misbehaved += 1
        },
        closed: (session) => this.#sessions.delete(session),
      })
      this.#sessions.add(session)
      counters.accepted += 1
    } catch {
      counters.broken += 1 // it was reset before we got to it
      socket.destroy()
    }
  }

  /** Of this port: they end with their streams, idle ones now. */
  closePort(port: PortId): void {
    for (const session of this.#sessions) if (session.origin.port === port) session.close()
  }

  stop(): void {
    for (const session of this.#sessions) session.destroy()
  }
}
