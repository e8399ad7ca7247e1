/** The listening socket of one listener. */
import { type PackedAddress, samePacked } from '../../../../core/net/packed-address.ts'
import type { SendLosses } from '../udp-host.ts'
import type { Gear, Sender } from './gear.ts'
import { Outlet } from './outlet.ts'
import { emptyAddress, type Family, familyOf } from './system/addresses.ts'
import { type Endpoint, ERROR, READABLE, WRITABLE } from './system/poller.ts'
import { SLOTS } from './system/receive-vector.ts'
import type { Outgoing } from './system/send-vector.ts'
import type { BoundSocket } from './system/sockets.ts'

/** Whose clients these are. */
export interface ListeningOwner {
  readonly gear: Gear
  /** `to` is one object for each local address. */
  arrived(from: PackedAddress, to: PackedAddress, payload: Uint8Array, now: number): void
  /** Something is wrong with us. */
  broken(error: unknown): void
}

export class Listening implements Endpoint, Sender {
  readonly address: PackedAddress
  readonly #owner: ListeningOwner
  readonly #fd: number
  readonly #family: Family
  readonly #isWildcard: boolean
  readonly #outlet: Outlet
  readonly #locals = new Map<string, PackedAddress>()
  readonly #contacted = emptyAddress()
  #local: PackedAddress
  #isOpen = true

  constructor(owner: ListeningOwner, socket: BoundSocket, losses: SendLosses) {
    const { fd, address, isWildcard } = socket
    this.#owner = owner
    this.#fd = fd
    this.#family = familyOf(address)
    this.#isWildcard = isWildcard
    this.address = address
    this.#local = address
    this.#contacted.port = address.port
    const kind = { family: this.#family, isNamed: true, hasPacketInfo: isWildcard }
    this.#outlet = new Outlet(owner.gear, fd, kind, QUEUE_BYTES_MAX, losses)
  }

  /** Borrowed until the batch is over. */
  send(datagram: Outgoing): void {
    if (this.#outlet.add(datagram)) this.#owner.gear.willFlush(this)
  }

  flush(): void {
    if (!this.#isOpen) return
    try {
      // That one client cannot be reached is no news.
      this.#outlet.flush()
    } catch (error) {
      this.#owner.broken(error)
    }
  }

  ready(events: number, now: number): void {
    try {
      // Taken, or it would be ready again and again.
      if ((events & ERROR) !== 0) this.#owner.gear.sockets.takeError(this.#fd)
      if ((events & WRITABLE) !== 0) this.#outlet.writable()
      if ((events & READABLE) !== 0) this.#read(now)
    } catch (error) {
      this.#owner.broken(error)
    }
  }

  /** Sends what gathered, as far as the socket takes it; then the port is free. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#outlet.flush()
    this.#outlet.discard()
    const { poller, libc } = this.#owner.gear
    poller.forget(this.#fd)
    libc.close(this.#fd)
  }

  #read(now: number): void {
    const { gear } = this.#owner
    for (let batch = 0; batch < BATCHES_MAX; batch++) {
      if (gear.received.free < SLOTS / 2) gear.flush(now)
      if (!this.#isOpen) return // the last flow ended in the flush
      const first = gear.received.used
      const asked = gear.received.free
      const count = gear.received.receiveFrom(this.#fd, asked, this.#family)
      for (let index = first; index < first + count && this.#isOpen; index++) {
        const { received } = gear
        const to = this.#isWildcard ? this.#localOf(index) : this.address
        this.#owner.arrived(received.from(index), to, received.payload(index), now)
      }
      if (count < asked) return
    }
  }

  /** Clients mostly contact the address that the client before them contacted. */
  #localOf(index: number): PackedAddress {
    const contacted = this.#contacted
    const isKnown = this.#owner.gear.received.contacted(index, this.#family, contacted)
    if (!isKnown) return this.address
    if (samePacked(contacted, this.#local)) return this.#local
    const key = `${contacted.a},${contacted.b},${contacted.c},${contacted.d}`
    let local = this.#locals.get(key)
    if (local === undefined) {
      // A few for a host, but 16 million for who plays with 127.0.0.0/8.
      if (this.#locals.size >= LOCALS_MAX) this.#locals.clear()
      local = { ...contacted }
      this.#locals.set(key, local)
    }
    this.#local = local
    return local
  }
}

/** Batches of one listener before others have their turn (udp W31). */
const BATCHES_MAX = 4
const QUEUE_BYTES_MAX = 4 * 1024 * 1024
const LOCALS_MAX = 4_096
