/**
 * What a socket was given and has not sent yet. `node:dgram` never says that a socket would block:
 * it keeps whatever it is given, so that a slow network would fill the memory. Here bytes are
 * counted, of one socket and of all (udp W21); above the bound the new datagram is dropped.
 */
import type { Socket } from 'node:dgram'
import type { SendLosses } from '../udp-host.ts'

/** What all sockets of a host may have waiting. */
export class SendBudget {
  readonly bytesMax: number
  /** Given to sockets, and not known to be sent. */
  bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
}

export interface SendQueueOptions {
  readonly budget: SendBudget
  readonly bytesMax: number
  readonly counters: SendLosses
  readonly failed?: (error: Error) => void
}

/** Owns its socket: sends through it, and closes it. */
export class SendQueue {
  readonly #socket: Socket
  readonly #options: SendQueueOptions
  /** Datagrams given to the socket whose callback is still to come, and what they cost. */
  #waiting = 0
  #waitingBytes = 0
  #state: 'open' | 'closing' | 'closed' = 'open'
  #lingering: NodeJS.Timeout | undefined

  constructor(socket: Socket, options: SendQueueOptions) {
    this.#socket = socket
    this.#options = options
  }

  /** For a connected socket. */
  send(header: Uint8Array | undefined, payload: Uint8Array): void {
    const bytes = payload.byteLength + (header === undefined ? 0 : header.byteLength)
    if (!this.#admit(bytes)) return
    try {
      this.#socket.send(header === undefined ? payload : [header, payload], this.#sent)
    } catch (error) {
      this.#sent(error as Error, 0)
    }
  }

  /** `host` is an IP address. */
  sendTo(payload: Uint8Array, port: number, host: string): void {
    if (!this.#admit(payload.byteLength)) return
    try {
      this.#socket.send(payload, port, host, this.#sent)
    } catch (error) {
      this.#sent(error as Error, 0) // port 0, which a forged source may have
    }
  }

  /**
   * Closes the socket: at once when nothing waits, as nearly always, else when that is sent, and
   * after {@link LINGER_MS} at the latest.
   */
  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#socket.removeAllListeners('message')
    // Callbacks come a tick after the system call: what libuv holds is what counts.
    if (this.#socket.getSendQueueCount() === 0) this.#release()
    else this.#lingering = setTimeout(() => this.#release(), LINGER_MS)
  }

  /** Closes the socket at once, whatever waits. */
  abort(): void {
    this.#socket.removeAllListeners('message')
    this.#release()
  }

  /** Resolves when a socket that is closed or closing has no descriptor any more. */
  closed(): Promise<void> {
    if (this.#state === 'closed') return Promise.resolve()
    return new Promise((tell) => this.#socket.once('close', () => tell()))
  }

  #admit(bytes: number): boolean {
    const { budget, bytesMax, counters } = this.#options
    const cost = bytes + OVERHEAD_BYTES
    if (this.#state !== 'open') {
      counters.sendErrors += 1
      return false
    }
    if (this.#waitingBytes + cost > bytesMax || budget.bytes + cost > budget.bytesMax) {
      counters.queueFull += 1
      return false
    }
    this.#waiting += 1
    this.#waitingBytes += cost
    budget.bytes += cost
    return true
  }

  /** One for all datagrams. */
  readonly #sent = (error: Error | null, bytes: number): void => {
    const { counters, failed } = this.#options
    this.#waiting -= 1
    // Node does not say how long a datagram was that failed. Its share is given back when
    // nothing waits any more, which is soon, for a socket that is full is given nothing.
    if (this.#waiting === 0) this.#giveBack(this.#waitingBytes)
    else if (error === null) this.#giveBack(bytes + OVERHEAD_BYTES)
    if (error !== null) {
      counters.sendErrors += 1
      failed?.(error)
    }
    if (this.#waiting === 0 && this.#state === 'closing') this.#release()
  }

  #giveBack(cost: number): void {
    const bytes = Math.min(cost, this.#waitingBytes) // nothing is left of a released socket
    this.#waitingBytes -= bytes
    this.#options.budget.bytes -= bytes
  }

  #release(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    clearTimeout(this.#lingering)
    this.#giveBack(this.#waitingBytes)
    this.#socket.close()
  }
}

/** What a datagram costs besides its bytes: there must not be any number of empty ones. */
const OVERHEAD_BYTES = 256
/** A network that takes nothing for as long is not worth a port. */
const LINGER_MS = 1_000
