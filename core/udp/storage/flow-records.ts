/**
 * The record of a flow: 32 words, two lines of cache. The first holds what finding a flow and
 * forwarding on it touch, the second what answering, closing and telling about it need.
 */
import type { PackedAddress } from '../../net/packed-address.ts'
import { PAGE_BITS, Records } from './records.ts'
import type { KeyedRecords } from './slot-index.ts'

export class FlowRecords extends Records implements KeyedRecords {
  constructor() {
    super(RECORD_WORDS)
  }

  hasKey(slot: number, key: Int32Array): boolean {
    const words = this.words[slot >> PAGE_BITS]!
    const at = this.offset(slot)
    return (
      words[at] === key[0] &&
      words[at + 1] === key[1] &&
      words[at + 2] === key[2] &&
      words[at + 3] === key[3] &&
      words[at + 4] === key[4] &&
      words[at + 5] === key[5]
    )
  }

  /** The client's socket. */
  peer(slot: number): PackedAddress {
    const words = this.words[slot >> PAGE_BITS]!
    const at = this.offset(slot) + PEER
    return {
      a: words[at]!,
      b: words[at + 1]!,
      c: words[at + 2]!,
      d: words[at + 3]!,
      port: words[at + 4]! & 0xffff,
    }
  }

  /** The number of the local address the client contacted. */
  local(slot: number): number {
    return this.words[slot >> PAGE_BITS]![this.offset(slot) + PEER_PORT]! >>> 16
  }

  setPeer(slot: number, { a, b, c, d, port }: PackedAddress, local: number): void {
    const words = this.words[slot >> PAGE_BITS]!
    const at = this.offset(slot) + PEER
    words[at] = a
    words[at + 1] = b
    words[at + 2] = c
    words[at + 3] = d
    words[at + 4] = port | (local << 16)
  }
}

export const RECORD_WORDS = 32

// Word offsets; those marked f64 are two words and even.

/** The padded key: six words. */
export const KEY = 0
export const KEY_WORDS = 6
/** f64, in units. */
export const DEADLINE = 6
/** f64 */
export const BYTES_UP = 8
/** f64 */
export const BYTES_DOWN = 10
/** Unsigned; stops at the top. */
export const DATAGRAMS_UP = 12
/** Unsigned; stops at the top. */
export const DATAGRAMS_DOWN = 13
/** Answers it waits for; stops at 2^31 - 1. */
export const OWED = 14
export const FLAGS = 15
/** Four words of the address, then the port and, above it, the number of the local address. */
const PEER = 16
export const PEER_PORT = 20
/** Unsigned. */
export const SERIAL = 21
export const ATTEMPT = 22
/** The index of its member. */
export const BACKEND = 23
/** Of the list of its timer's bucket. */
export const NEXT = 24
export const PREVIOUS = 25
/** f64: the unit whose bucket it is in; never after its deadline, but for one in the past. */
export const ARMED = 26
/** f64: the instant. */
export const ADMITTED = 28
/** Slot + 1 of its source; 0 when sources are not counted for it. */
export const SOURCE = 30
/** The number of its configuration. */
export const CONFIG = 31

// Flags

/** 0 is a free record. */
export const PHASE_MASK = 3
export const OPENING = 1
export const OPEN = 2
export const ANSWERING = 3
export const ANSWERED = 4
/** The next datagram upstream gets a PROXY protocol header. */
export const HEADER_DUE = 8
/** A trusted proxy announced its client. */
export const ANNOUNCED = 16
/** Its socket was of a process that is gone. */
export const SOCKET_LOST = 32
/** Above: 8 bits of failures in a row, then 3 of the last word of its key. */
export const FAILURES_SHIFT = 8
export const FAILURES_MASK = 0xff << FAILURES_SHIFT
export const KEY_LAST_SHIFT = 16

/** Where counts of datagrams stop. */
export const COUNT_MAX = 2 ** 32 - 1
