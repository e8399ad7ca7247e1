/** What all listeners of one worker use: its sockets, its memory, and the batch at hand. */
import type { Names } from '../names.ts'
import type { ResolvedName } from './messages.ts'
import type { QueueBudget } from './outlet.ts'
import type { Libc } from './system/libc.ts'
import type { Poller } from './system/poller.ts'
import { ReceiveVector } from './system/receive-vector.ts'
import { SendVector } from './system/send-vector.ts'
import { Sockets } from './system/sockets.ts'

/** Has datagrams that leave when the batch is over. */
export interface Sender {
  flush(now: number): void
}

export class Gear {
  readonly libc: Libc
  readonly poller: Poller
  readonly sockets: Sockets
  readonly received: ReceiveVector
  readonly vector: SendVector
  readonly budget: QueueBudget
  readonly names: Names<ResolvedName>
  #senders: Sender[] = []

  constructor(
    libc: Libc,
    poller: Poller,
    names: Names<ResolvedName>,
    queuedBytesMax = QUEUED_BYTES_MAX,
  ) {
    this.libc = libc
    this.poller = poller
    this.names = names
    this.sockets = new Sockets(libc)
    this.received = new ReceiveVector(libc)
    this.vector = new SendVector(libc, this.received.data)
    this.budget = { bytesMax: queuedBytesMax, bytes: 0 }
  }

  willFlush(sender: Sender): void {
    this.#senders.push(sender)
  }

  /** Ends the batch: everything leaves, and what was received is not needed any more. */
  flush(now: number): void {
    const senders = this.#senders
    // A sender that learns its backend is gone may bring others.
    for (let index = 0; index < senders.length; index++) senders[index]!.flush(now)
    senders.length = 0
    this.received.clear()
  }
}

/** Of all sockets together. */
const QUEUED_BYTES_MAX = 64 * 1024 * 1024
