/**
 * UDP the plain way: sockets of `node:dgram`, on the event loop of the process. It needs nothing
 * but Node; each datagram is a system call and an event of its own.
 */
import { AddressBook } from './dgram/address-book.ts'
import { type DgramContext, DgramListener } from './dgram/listener.ts'
import { SendBudget } from './dgram/send-queue.ts'
import { type CreateSocket, DgramSockets, hostNames } from './dgram/sockets.ts'
import { LocalAddresses, type ReadInterfaces } from './local-addresses.ts'
import type { UdpHost, UdpListener, UdpListenerOptions } from './udp-host.ts'

export interface DgramHostOptions {
  /** What all sockets together may have waiting to be sent; 64 MiB. */
  readonly waitingBytesMax?: number
  /** Between two looks at the addresses of this machine, for listeners on all of them; 5,000. */
  readonly lookAgainMs?: number
  /** `createSocket` of `node:dgram`, or a stand-in. */
  readonly createSocket?: CreateSocket
  /** `networkInterfaces` of `node:os`, or a stand-in. */
  readonly readInterfaces?: ReadInterfaces
}

export class DgramHost implements UdpHost {
  readonly kind = 'dgram'
  readonly #context: DgramContext
  readonly #listeners = new Set<DgramListener>()

  constructor(options: DgramHostOptions = {}) {
    const addresses = new LocalAddresses(options.readInterfaces)
    this.#context = {
      sockets: new DgramSockets(options.createSocket),
      names: hostNames(),
      addresses,
      book: new AddressBook(addresses),
      budget: new SendBudget(options.waitingBytesMax ?? WAITING_BYTES_MAX),
      lookAgainMs: options.lookAgainMs ?? LOOK_AGAIN_MS,
    }
  }

  open(options: UdpListenerOptions): UdpListener {
    const listener: DgramListener = new DgramListener(this.#context, options, () =>
      this.#listeners.delete(listener),
    )
    this.#listeners.add(listener)
    return listener
  }

  async stop(): Promise<void> {
    for (const listener of [...this.#listeners]) listener.abort()
    // A listener closes its own socket last, when the last of its flows is gone.
    await this.#context.sockets.allClosed()
  }
}

const WAITING_BYTES_MAX = 64 * 1024 * 1024
const LOOK_AGAIN_MS = 5_000
