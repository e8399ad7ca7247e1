/** The socket of one flow, connected to its backend. */
import type { FlowId } from '../../../../core/udp/flow-id.ts'
import type { SendLosses } from '../udp-host.ts'
import type { Gear, Sender } from './gear.ts'
import { Outlet } from './outlet.ts'
import { AF_INET } from './system/addresses.ts'
import { type Endpoint, ERROR, READABLE, WRITABLE } from './system/poller.ts'
import type { Outgoing, SocketKind } from './system/send-vector.ts'

/** Whose flows these are. */
export interface UpstreamOwner {
  readonly gear: Gear
  /** `count` datagrams are in the receive vector, from `first` on. */
  received(upstream: Upstream, first: number, count: number, now: number): void
  /** The way to the backend gave an error. */
  failed(upstream: Upstream, errno: number, now: number): void
  /** Something is wrong with us. */
  broken(error: unknown): void
}

export class Upstream implements Endpoint, Sender {
  readonly flow: FlowId
  readonly attempt: number
  readonly #owner: UpstreamOwner
  readonly #fd: number
  readonly #outlet: Outlet
  #isOpen = true

  constructor(owner: UpstreamOwner, flow: FlowId, attempt: number, fd: number, losses: SendLosses) {
    this.flow = flow
    this.attempt = attempt
    this.#owner = owner
    this.#fd = fd
    this.#outlet = new Outlet(owner.gear, fd, CONNECTED, QUEUE_BYTES_MAX, losses)
  }

  /** Borrowed until the batch is over. */
  send(datagram: Outgoing): void {
    if (this.#outlet.add(datagram)) this.#owner.gear.willFlush(this)
  }

  flush(now: number): void {
    if (!this.#isOpen) return
    try {
      this.#tell(this.#outlet.flush(), now)
    } catch (error) {
      this.#owner.broken(error)
    }
  }

  ready(events: number, now: number): void {
    try {
      // Taken, or it would be ready again and again.
      if ((events & ERROR) !== 0) this.#tell(this.#owner.gear.sockets.takeError(this.#fd), now)
      if ((events & WRITABLE) !== 0 && this.#isOpen) this.#tell(this.#outlet.writable(), now)
      if ((events & READABLE) !== 0 && this.#isOpen) this.#read(now)
    } catch (error) {
      this.#owner.broken(error)
    }
  }

  /** Sends what gathered, as far as the socket takes it; then the descriptor is gone. */
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
    if (gear.received.free < READ_MAX) gear.flush(now)
    if (!this.#isOpen) return
    const first = gear.received.used
    const count = gear.received.receive(this.#fd, READ_MAX)
    if (count > 0) this.#owner.received(this, first, count, now)
    else this.#tell(-count, now)
  }

  #tell(errno: number, now: number): void {
    if (errno !== 0 && this.#isOpen) this.#owner.failed(this, errno, now)
  }
}

/** No names: the family is not used. */
const CONNECTED: SocketKind = { family: AF_INET, isNamed: false, hasPacketInfo: false }
/** Of one flow, while its socket takes nothing. */
const QUEUE_BYTES_MAX = 256 * 1024
/** One backend that floods must not keep the others waiting (udp W31). */
const READ_MAX = 16
