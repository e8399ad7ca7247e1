/**
 * The sockets a listener receives its clients' datagrams on: one for each local address.
 *
 * A socket bound to a wildcard address does not say which address a datagram was sent to, and what
 * it sends may leave from another one (udp W27): the client would not take it for an answer. So a
 * wildcard is bound address by address, as interfaces have them now, and looked at again every few
 * seconds. What only a real wildcard socket hears is not served: addresses of 127.0.0.0/8 that no
 * interface has, broadcast and multicast.
 */
import type { RemoteInfo, Socket } from 'node:dgram'
import {
  formatIp,
  formatSocketAddress,
  type IpAddress,
  isUnspecified,
  parseIp,
  unmapped,
} from '../../../../core/net/address.ts'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import { isAddressInUse, reasonOf } from '../../socket-errors.ts'
import type { LocalAddresses } from '../local-addresses.ts'
import type { SendLosses } from '../udp-host.ts'
import type { AddressBook } from './address-book.ts'
import { type SendBudget, SendQueue } from './send-queue.ts'
import { type DgramSockets, resolveHost } from './sockets.ts'

export interface ListeningOptions {
  readonly sockets: DgramSockets
  readonly book: AddressBook
  readonly addresses: LocalAddresses
  readonly budget: SendBudget
  readonly counters: SendLosses
  readonly received: (to: PackedAddress, payload: Uint8Array, remote: RemoteInfo) => void
  readonly hostFailed: (reason: string) => void
  /** Between two looks at the addresses of this machine. */
  readonly lookAgainMs: number
}

interface BoundSocket {
  readonly address: PackedAddress
  readonly socket: Socket
}

export class ListeningSockets {
  readonly #options: ListeningOptions
  readonly #queues = new Map<PackedAddress, SendQueue>()
  /** By their texts: one object for each, also when it goes and comes back. */
  readonly #addresses = new Map<string, PackedAddress>()
  /** Addresses that could not be bound, as was reported. */
  readonly #refused = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  #isClosed = false

  constructor(options: ListeningOptions) {
    this.#options = options
  }

  /**
   * Resolves to the bound address. Rejects with the system's error, and nothing is bound, when
   * one of a wildcard's addresses cannot be.
   */
  async bind(host: string, port: number): Promise<string> {
    const ip = await addressOf(host)
    if (this.#isClosed) throw notAvailable() // while a name was looked up
    const isWildcard = isUnspecified(ip)
    const texts = () => (isWildcard ? this.#options.addresses.of(ip.family) : [formatIp(ip)])
    const bound = await this.#bindEach(texts, port, isWildcard)
    // Nothing was received yet: between the binds there was no turn of the event loop.
    for (const each of bound) this.#serve(each)
    const boundPort = bound[0]!.address.port
    if (isWildcard && !this.#isClosed) {
      const lookAgain = () => void this.#lookAgain(ip.family, boundPort)
      this.#timer = setInterval(lookAgain, this.#options.lookAgainMs).unref()
    }
    return formatSocketAddress({ ip, port: boundPort })
  }

  /** The socket of an address that was given to `received`; undefined when it is gone. */
  queueOf(address: PackedAddress): SendQueue | undefined {
    return this.#queues.get(address)
  }

  /** Resolves when every descriptor is closed. With `now` that does not wait for what is unsent. */
  async close(now: boolean): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    const queues = [...this.#queues.values()]
    this.#queues.clear()
    for (const queue of queues) {
      if (now) queue.abort()
      else queue.close()
    }
    await Promise.all(queues.map((queue) => queue.closed()))
  }

  /** All or none. With port 0 all get the one that the first was given. */
  async #bindEach(
    texts: () => readonly string[],
    port: number,
    isWildcard: boolean,
  ): Promise<BoundSocket[]> {
    for (let tries = 1; ; tries++) {
      const bound: BoundSocket[] = []
      try {
        for (const text of texts()) {
          const binding = this.#bindOne(text, bound[0]?.address.port ?? port)
          const one = await (isWildcard ? binding.catch(unlessGone) : binding)
          if (one !== undefined) bound.push(one)
        }
        if (bound.length === 0) throw notAvailable()
        return bound
      } catch (error) {
        for (const { socket } of bound) socket.close()
        if (port !== 0 || !isAddressInUse(error) || tries === PORT_TRIES_MAX) throw error
      }
    }
  }

  #bindOne(text: string, port: number): Promise<BoundSocket> {
    const socket = this.#options.sockets.create(text.includes(':') ? 6 : 4)
    return new Promise<BoundSocket>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('listening', () => {
        const address = this.#addressOf(text, socket.address().port)
        if (address === undefined) reject(notAvailable())
        else resolve({ address, socket })
      })
      socket.bind({ address: text, port, exclusive: true })
    }).catch((error) => {
      socket.close()
      throw error
    })
  }

  #addressOf(text: string, port: number): PackedAddress | undefined {
    const known = this.#addresses.get(text)
    if (known?.port === port) return known
    const packed = this.#options.book.pack(text)
    if (packed === undefined) return undefined // its interface is just gone
    const address = Object.freeze({ ...packed, port })
    this.#addresses.set(text, address)
    return address
  }

  #serve({ address, socket }: BoundSocket): void {
    const { budget, counters, received, hostFailed } = this.#options
    askForBuffers(socket)
    socket.removeAllListeners('error')
    socket.on('error', (error) => hostFailed(reasonOf(error)))
    // libuv reads at most 32 datagrams of a socket before it looks at the others and at timers:
    // a flood on one listener starves nobody (udp W31).
    socket.on('message', (payload, remote) => received(address, payload, remote))
    const queue = new SendQueue(socket, { budget, counters, bytesMax: WAITING_BYTES_MAX })
    this.#queues.set(address, queue)
    if (this.#isClosed) queue.abort()
  }

  /** Lets go of addresses that are gone, and serves new ones. */
  async #lookAgain(family: 4 | 6, port: number): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const texts = new Set(this.#options.addresses.of(family))
    for (const [text, address] of this.#addresses) {
      if (texts.has(text)) continue
      this.#queues.get(address)?.close()
      this.#queues.delete(address)
    }
    for (const text of this.#refused) if (!texts.has(text)) this.#refused.delete(text)
    for (const text of texts) {
      const address = this.#addresses.get(text)
      if (address !== undefined && this.#queues.has(address)) continue
      await this.#serveLate(text, port)
      if (this.#isClosed) return
    }
    this.#isLooking = false
  }

  async #serveLate(text: string, port: number): Promise<void> {
    try {
      this.#serve(await this.#bindOne(text, port))
      this.#refused.delete(text)
    } catch (error) {
      if (this.#refused.has(text)) return
      this.#refused.add(text)
      this.#options.hostFailed(`${text} is not served: ${reasonOf(error)}`)
    }
  }
}

const addressOf = (host: string): Promise<IpAddress> =>
  new Promise((found, reject) => {
    resolveHost(host, {}, (error, address) => {
      const ip = error === null ? parseIp(address) : undefined
      if (ip !== undefined) found(unmapped(ip))
      else reject(error ?? notAvailable())
    })
  })

/** An address may go, or not be ready yet, while a wildcard is bound: the next look finds it. */
function unlessGone(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'EADDRNOTAVAIL') return undefined
  throw error
}

const notAvailable = (): Error =>
  Object.assign(new Error('no such address here'), { code: 'EADDRNOTAVAIL' })

/** Bursts are short. The system may give less, or nothing. */
function askForBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_BYTES)
    socket.setSendBufferSize(BUFFER_BYTES)
  } catch {
    // Its defaults do as well.
  }
}

const BUFFER_BYTES = 4 * 1024 * 1024
/** Answers for all clients of an address. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** Ports the system gave for the first address, and others have on the next. */
const PORT_TRIES_MAX = 20
