/**
 * Where things are in an array of `mmsghdr` and in what it points to (recvmmsg(2)), in words of 32
 * bits. Pointers and lengths of 64 bits are written as two words, the low one first. musl has
 * padding where glibc has the upper half of a length, which stays zero here.
 */
import { AF_INET, type Family } from './addresses.ts'
import type { Memory } from './libc.ts'

/** One `mmsghdr`: a `msghdr`, then how many bytes came. */
export const MESSAGE_WORDS = 16
export const NAME = 0
export const NAME_LENGTH = 2
export const PARTS = 4
export const PART_COUNT = 6
export const CONTROL = 8
export const CONTROL_LENGTH = 10
export const LENGTH = 14

/** One `iovec`: where, and how many bytes. */
export const PART_WORDS = 4

/** Room for a local address and a length, as words. */
export const CONTROL_WORDS = 16

/** A kind of control message (cmsg(3)). */
export interface ControlKind {
  readonly level: number
  readonly type: number
  /** With the header, as the header says it. */
  readonly bytes: number
  /** With the padding behind it. */
  readonly spaceBytes: number
}

/** In a control message, as words; its length is the first. */
export const CONTROL_LEVEL = 2
export const CONTROL_TYPE = 3
export const CONTROL_DATA = 4

/** in_pktinfo: interface, local address, destination in the header. */
const PACKET_INFO_4: ControlKind = { level: 0, type: 8, bytes: 28, spaceBytes: 32 }
/** in6_pktinfo: address, interface. */
const PACKET_INFO_6: ControlKind = { level: 41, type: 50, bytes: 36, spaceBytes: 40 }

/** How long the datagrams of a train are: 16 bits. */
export const SEGMENT: ControlKind = { level: 17, type: 103, bytes: 18, spaceBytes: 24 }

/** The local address of a datagram. */
export const packetInfoOf = (family: Family): ControlKind =>
  family === AF_INET ? PACKET_INFO_4 : PACKET_INFO_6

/** Writes a pointer to the byte at `offset` of a memory. */
export function pointAt(words: Int32Array, at: number, memory: Memory, offset: number): void {
  const pointer = memory.address + BigInt(offset)
  words[at] = Number(pointer & 0xffff_ffffn)
  words[at + 1] = Number(pointer >> 32n)
}

/** The same for who writes many: arithmetic on 64 bits is slow, and needs memory each time. */
export class Pointers {
  readonly #low: number
  readonly #high: number

  constructor(memory: Memory) {
    this.#low = Number(memory.address & 0xffff_ffffn)
    this.#high = Number(memory.address >> 32n)
  }

  write(words: Int32Array, at: number, offset: number): void {
    const low = this.#low + offset
    words[at] = low | 0
    words[at + 1] = low < 2 ** 32 ? this.#high : this.#high + 1
  }
}
