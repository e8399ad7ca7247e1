/**
 * Datagrams of one length in memory that is received into and sent from as it is: nothing is
 * copied or set up again between the two, so that who measures takes as little as possible.
 */
import { NAME_BYTES, NAME_WORDS } from '../../../shells/node/udp/batch/system/addresses.ts'
import type { Libc, Memory } from '../../../shells/node/udp/batch/system/libc.ts'
import {
  MESSAGE_WORDS,
  NAME,
  NAME_LENGTH,
  PART_COUNT,
  PART_WORDS,
  PARTS,
  pointAt,
} from '../../../shells/node/udp/batch/system/message-layout.ts'

export const DATAGRAM_BYTES = 64
export const DATAGRAM_WORDS = DATAGRAM_BYTES / 4
/** The most one system call receives or sends. */
export const BATCH = 64

export class Vector {
  /** The payloads, one after the other. */
  readonly words: Int32Array
  readonly #libc: Libc
  readonly #messages: Memory
  /** Not to be collected: messages point at it. */
  readonly pointedAt: readonly Memory[]

  /** With room for the names of peers, on a socket that is not connected. */
  constructor(libc: Libc, hasNames: boolean) {
    this.#libc = libc
    this.#messages = libc.allocate(BATCH * MESSAGE_WORDS * 4)
    const data = libc.allocate(BATCH * DATAGRAM_BYTES)
    const parts = libc.allocate(BATCH * PART_WORDS * 4)
    const names = libc.allocate(BATCH * NAME_WORDS * 4)
    this.words = data.words
    this.pointedAt = [data, parts, names]
    const { words } = this.#messages
    for (let index = 0; index < BATCH; index++) {
      const message = index * MESSAGE_WORDS
      pointAt(parts.words, index * PART_WORDS, data, index * DATAGRAM_BYTES)
      parts.words[index * PART_WORDS + 2] = DATAGRAM_BYTES
      pointAt(words, message + PARTS, parts, index * PART_WORDS * 4)
      words[message + PART_COUNT] = 1
      if (!hasNames) continue
      pointAt(words, message + NAME, names, index * NAME_WORDS * 4)
      words[message + NAME_LENGTH] = NAME_BYTES
    }
  }

  /** How many came, up to a batch; 0 when there is nothing. */
  receive(fd: number): number {
    return Math.max(0, this.#libc.recvmmsg(fd, this.#messages.address, BATCH))
  }

  /** Sends the first `count`; how many went. What the system does not take is lost. */
  send(fd: number, count: number): number {
    let sent = 0
    for (let tries = 0; sent < count && tries < count; tries++) {
      const from = this.#messages.address + BigInt(sent * MESSAGE_WORDS * 4)
      sent += Math.max(0, this.#libc.sendmmsg(fd, from, count - sent))
    }
    return sent
  }
}
