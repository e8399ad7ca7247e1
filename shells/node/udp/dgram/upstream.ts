/** The socket of one flow, connected to its backend: from then on the kernel lets nobody else in. */
import type { Socket } from 'node:dgram'
import { isIP } from 'node:net'
import type { Attempt } from '../../../../core/machine.ts'
import { type PackedAddress, samePacked } from '../../../../core/net/packed-address.ts'
import type { FlowId } from '../../../../core/udp/flow-id.ts'
import { isUnreachable } from '../../socket-errors.ts'
import type { Names } from '../names.ts'
import type { SendLosses } from '../udp-host.ts'
import type { AddressBook } from './address-book.ts'
import { type SendBudget, SendQueue } from './send-queue.ts'
import type { DgramSockets, ResolvedHost } from './sockets.ts'

/** What the sockets of a listener's flows share, and whom they tell. */
export interface UpstreamOwner {
  readonly sockets: DgramSockets
  readonly names: Names<ResolvedHost>
  readonly book: AddressBook
  readonly budget: SendBudget
  readonly counters: SendLosses
  opened(upstream: Upstream): void
  /** Perhaps more than once, and also after `opened`. */
  failed(upstream: Upstream, error: Error): void
  received(upstream: Upstream, payload: Uint8Array): void
}

export class Upstream {
  readonly flow: FlowId
  readonly attempt: Attempt
  readonly #owner: UpstreamOwner
  #queue: SendQueue | undefined
  #isReleased = false
  /** Waits no longer for an address. */
  #stopLooking: (() => void) | undefined
  /** Where the flow's client is, and the same as text. */
  #client: PackedAddress | undefined
  #clientHost = ''

  constructor(owner: UpstreamOwner, flow: FlowId, attempt: Attempt) {
    this.#owner = owner
    this.flow = flow
    this.attempt = attempt
  }

  /** Ends in `opened` or `failed`, perhaps before it returns. */
  open(host: string, port: number): void {
    const family = isIP(host)
    if (family !== 0) return this.#connect(host, family === 6 ? 6 : 4, port)
    const stop = this.#owner.names.lookUp(host, performance.now(), (answer) => {
      this.#stopLooking = undefined
      if (answer instanceof Error) this.#owner.failed(this, answer)
      else this.#connect(answer.address, answer.family, port)
    })
    this.#stopLooking = stop
  }

  send(header: Uint8Array | undefined, payload: Uint8Array): void {
    if (this.#queue === undefined) this.#owner.counters.sendErrors += 1
    else this.#queue.send(header, payload)
  }

  /** Open, failed or on the way: it tells nothing any more. */
  release(): void {
    this.#isReleased = true
    this.#stopLooking?.()
    this.#queue?.close()
  }

  /** The text of the client's address, which is the same for all datagrams of a flow. */
  hostOf(client: PackedAddress): string {
    if (this.#client === undefined || !samePacked(this.#client, client)) {
      this.#client = client
      this.#clientHost = this.#owner.book.text(client)
    }
    return this.#clientHost
  }

  #connect(address: string, family: 4 | 6, port: number): void {
    const owner = this.#owner
    const failed = (error: Error): void => {
      if (!this.#isReleased) owner.failed(this, error)
    }
    try {
      const socket = owner.sockets.create(family)
      this.#queue = this.#queueOf(socket, failed)
      socket.on('error', failed)
      socket.on('message', (payload) => owner.received(this, payload))
      socket.once('connect', () => {
        if (!this.#isReleased) owner.opened(this)
      })
      socket.once('listening', () => socket.connect(port, address))
      socket.bind({ port: 0, exclusive: true })
    } catch (error) {
      failed(error as Error) // a port out of range, for one
    }
  }

  #queueOf(socket: Socket, failed: (error: Error) => void): SendQueue {
    const { budget, counters } = this.#owner
    return new SendQueue(socket, {
      budget,
      counters,
      bytesMax: WAITING_BYTES_MAX,
      failed: (error) => {
        // As an earlier datagram may have found out.
        if (isUnreachable(error)) failed(error)
      },
    })
  }
}

/** Of one flow; far more than ever waits where the network takes anything at all. */
const WAITING_BYTES_MAX = 256 * 1024
