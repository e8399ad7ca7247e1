/**
 * Where a batch of datagrams is received: slots that are filled one after the other, from any
 * number of sockets, until {@link ReceiveVector.clear}. What a slot gives away is good until then.
 */
import type { PackedAddress } from '../../../../../core/net/packed-address.ts'
import {
  AF_INET,
  emptyAddress,
  type Family,
  isLinkLocal,
  type MutableAddress,
  NAME_BYTES,
  NAME_WORDS,
  readName,
} from './addresses.ts'
import type { Libc, Memory } from './libc.ts'
import {
  CONTROL,
  CONTROL_DATA,
  CONTROL_LENGTH,
  CONTROL_WORDS,
  LENGTH,
  MESSAGE_WORDS,
  NAME,
  NAME_LENGTH,
  PART_COUNT,
  PART_WORDS,
  PARTS,
  pointAt,
} from './message-layout.ts'

export const SLOTS = 64

export class ReceiveVector {
  readonly #libc: Libc
  readonly #data: Memory
  readonly #names: Memory
  readonly #control: Memory
  /** Messages with room for a name and for packet information. */
  readonly #named: Memory
  /** Messages without: for sockets with one peer. */
  readonly #bare: Memory
  readonly #slots: readonly Slot[]
  /** Slots in use. */
  #used = 0

  constructor(libc: Libc) {
    this.#libc = libc
    this.#data = libc.allocate(SLOTS * (SLOT_BYTES + PART_WORDS * 4))
    this.#names = libc.allocate(SLOTS * NAME_WORDS * 4)
    this.#control = libc.allocate(SLOTS * CONTROL_WORDS * 4)
    this.#named = libc.allocate(SLOTS * MESSAGE_WORDS * 4)
    this.#bare = libc.allocate(SLOTS * MESSAGE_WORDS * 4)
    const slots: Slot[] = []
    for (let index = 0; index < SLOTS; index++) {
      // In the same memory, which is not given back while the kernel may be shown it.
      const part = (SLOTS * SLOT_BYTES) / 4 + index * PART_WORDS
      pointAt(this.#data.words, part, this.#data, index * SLOT_BYTES)
      this.#data.words[part + 2] = DATAGRAM_BYTES
      for (const { words } of [this.#named, this.#bare]) {
        const message = index * MESSAGE_WORDS
        pointAt(words, message + PARTS, this.#data, part * 4)
        words[message + PART_COUNT] = 1
      }
      this.#pointAtName(index)
      const bytes = BigInt(index * MESSAGE_WORDS * 4)
      slots.push({
        payload: new Uint8Array(this.#data.buffer, index * SLOT_BYTES, 0),
        from: emptyAddress(),
        hasInfo: false,
        named: this.#named.address + bytes,
        bare: this.#bare.address + bytes,
      })
    }
    this.#slots = slots
  }

  /** Slots in use: the next datagram comes into the slot of this number. */
  get used(): number {
    return this.#used
  }

  get free(): number {
    return SLOTS - this.#used
  }

  /** The memory payloads are in, for who sends them on without a copy. */
  get data(): Memory {
    return this.#data
  }

  clear(): void {
    this.#used = 0
  }

  /** Reads up to `max` datagrams of a connected socket; how many, or the errno below zero. */
  receive(fd: number, max: number): number {
    const count = Math.min(max, this.free)
    const received = this.#libc.recvmmsg(fd, this.#slots[this.#used]!.bare, count)
    if (received > 0) this.#take(received, this.#bare.words)
    return received
  }

  /** Likewise of a listening socket, with who sent them and whom they were sent to. */
  receiveFrom(fd: number, max: number, family: Family): number {
    const first = this.#used
    const count = Math.min(max, this.free)
    const received = this.#libc.recvmmsg(fd, this.#slots[first]!.named, count)
    if (received <= 0) return received
    const { words } = this.#named
    this.#take(received, words)
    for (let index = first; index < first + received; index++) {
      const slot = this.#slots[index]!
      readName(this.#names.words, index * NAME_WORDS, family, slot.from)
      // The kernel wrote over the room it was offered with what it used of it.
      const message = index * MESSAGE_WORDS
      slot.hasInfo = words[message + CONTROL_LENGTH]! > CONTROL_DATA * 4
      words[message + NAME_LENGTH] = NAME_BYTES
      words[message + CONTROL_LENGTH] = CONTROL_WORDS * 4
    }
    return received
  }

  payload(index: number): Uint8Array {
    return this.#slots[index]!.payload
  }

  from(index: number): PackedAddress {
    return this.#slots[index]!.from
  }

  /**
   * The local address a datagram came to, where packet information was asked for; false when it
   * is not there. The port is left alone.
   */
  contacted(index: number, family: Family, into: MutableAddress): boolean {
    if (!this.#slots[index]!.hasInfo) return false
    const { words } = this.#control
    const data = index * CONTROL_WORDS + CONTROL_DATA
    if (family === AF_INET) {
      // The second address, not the third: for a broadcast it is one to answer from.
      into.a = 0
      into.b = 0
      into.c = MAPPED
      into.d = words[data + 1]!
      return true
    }
    const a = words[data]!
    into.a = a
    into.b = isLinkLocal(a) ? words[data + 4]! : words[data + 1]!
    into.c = words[data + 2]!
    into.d = words[data + 3]!
    return true
  }

  #take(received: number, messages: Int32Array): void {
    const end = this.#used + received
    for (let index = this.#used; index < end; index++) {
      const slot = this.#slots[index]!
      const length = messages[index * MESSAGE_WORDS + LENGTH]!
      // Views cost more than anything else here, and datagrams of one kind are often as long.
      if (slot.payload.byteLength !== length) {
        slot.payload = new Uint8Array(this.#data.buffer, index * SLOT_BYTES, length)
      }
    }
    this.#used = end
  }

  #pointAtName(index: number): void {
    const { words } = this.#named
    const message = index * MESSAGE_WORDS
    pointAt(words, message + NAME, this.#names, index * NAME_WORDS * 4)
    words[message + NAME_LENGTH] = NAME_BYTES
    pointAt(words, message + CONTROL, this.#control, index * CONTROL_WORDS * 4)
    words[message + CONTROL_LENGTH] = CONTROL_WORDS * 4
  }
}

interface Slot {
  /** As long as the datagram that came last. */
  payload: Uint8Array
  readonly from: MutableAddress
  /** Packet information came with it. */
  hasInfo: boolean
  readonly named: bigint
  readonly bare: bigint
}

/** More than any UDP datagram carries. */
const DATAGRAM_BYTES = 65_536
/** A little apart: multiples of a page would share the same few lines of the processor's cache. */
const SLOT_BYTES = DATAGRAM_BYTES + 64
/** The third word of `::ffff:0:0`. */
const MAPPED = -65_536
