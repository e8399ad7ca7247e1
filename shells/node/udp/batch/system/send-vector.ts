/**
 * What one `sendmmsg` sends: filled from datagrams, whose payloads it points at where they are in
 * the receive vector, and copies where they are anywhere else.
 */
import { type PackedAddress, samePacked } from '../../../../../core/net/packed-address.ts'
import {
  AF_INET,
  AF_INET6,
  type Family,
  isLinkLocal,
  isMulticast,
  NAME_WORDS,
  nameBytes,
  writeName,
} from './addresses.ts'
import type { Libc, Memory, Pointer } from './libc.ts'
import {
  CONTROL,
  CONTROL_DATA,
  CONTROL_LENGTH,
  CONTROL_LEVEL,
  CONTROL_TYPE,
  CONTROL_WORDS,
  MESSAGE_WORDS,
  NAME,
  NAME_LENGTH,
  PART_COUNT,
  PART_WORDS,
  PARTS,
  Pointers,
  packetInfoOf,
  pointAt,
  SEGMENT,
} from './message-layout.ts'

/** One datagram on its way out. */
export interface Outgoing {
  /** Goes before the payload. */
  readonly header?: Uint8Array | undefined
  readonly payload: Uint8Array
  /** Not used on a connected socket. */
  readonly to?: PackedAddress
  /** The local address to leave from; used where the socket is bound to all of them. */
  readonly from?: PackedAddress
}

/** What all datagrams of a socket have in common. */
export interface SocketKind {
  readonly family: Family
  /** Who gets a datagram is said with each of them. */
  readonly isNamed: boolean
  /** Likewise where it leaves from. */
  readonly hasPacketInfo: boolean
}

/**
 * Datagrams of one length from one place to another may be joined into a train: one message that
 * passes through the kernel's network stack once and is cut up at its far end, by the card if it
 * can (UDP_SEGMENT, udp(7)). Only the last may be shorter.
 */
export class SendVector {
  readonly #libc: Libc
  readonly #received: Memory
  readonly #receivedPointers: Pointers
  readonly #staging: Memory
  readonly #stagingPointers: Pointers
  readonly #messages: Memory
  readonly #parts: Memory
  readonly #partPointers: Pointers
  readonly #names: Memory
  readonly #namePointers: Pointers
  readonly #control: Memory
  readonly #pointers: readonly Pointer[]
  /** By message: how many datagrams are in those before it. One more than there are messages. */
  readonly #firsts = new Int32Array(DATAGRAMS + 1)
  #count = 0
  #partsUsed = 0
  #stagedBytes = 0

  /** Payloads within `received` are sent from there. */
  constructor(libc: Libc, received: Memory) {
    this.#libc = libc
    this.#received = received
    this.#receivedPointers = new Pointers(received)
    this.#staging = libc.allocate(STAGING_BYTES)
    this.#stagingPointers = new Pointers(this.#staging)
    this.#messages = libc.allocate(DATAGRAMS * MESSAGE_WORDS * 4)
    this.#parts = libc.allocate(DATAGRAMS * 2 * PART_WORDS * 4)
    this.#partPointers = new Pointers(this.#parts)
    this.#names = libc.allocate(DATAGRAMS * NAME_WORDS * 4)
    this.#namePointers = new Pointers(this.#names)
    this.#control = libc.allocate(DATAGRAMS * CONTROL_WORDS * 4)
    const pointers: Pointer[] = []
    for (let index = 0; index < DATAGRAMS; index++) {
      const message = index * MESSAGE_WORDS
      pointAt(this.#messages.words, message + CONTROL, this.#control, index * CONTROL_WORDS * 4)
      pointers.push(this.#messages.address + BigInt(message * 4))
    }
    this.#pointers = pointers
  }

  /**
   * Takes datagrams from `first` on, as many as fit, at least one: how many. They are to be sent
   * before others are taken, and before the receive vector is cleared.
   */
  take(datagrams: readonly Outgoing[], first: number, kind: SocketKind, mayJoin: boolean): number {
    this.#count = 0
    this.#partsUsed = 0
    this.#stagedBytes = 0
    const end = Math.min(datagrams.length, first + DATAGRAMS)
    let train: Train | undefined
    let index = first
    for (; index < end; index++) {
      const datagram = datagrams[index]!
      if (this.#stagedBytes + this.#stagingOf(datagram) > STAGING_BYTES) break
      if (train !== undefined && joins(train, datagram)) {
        this.#join(train, datagram)
        continue
      }
      const message = this.#begin(index - first, datagram, kind)
      train = mayJoin ? trainOf(message, datagram) : undefined
    }
    this.#firsts[this.#count] = index - first
    return index - first
  }

  /** Messages that were taken, of one datagram or of several. */
  get count(): number {
    return this.#count
  }

  /** How many datagrams were taken before those of a message; for all messages, how many were. */
  datagramsBefore(message: number): number {
    return this.#firsts[message]!
  }

  isTrain(message: number): boolean {
    return this.lengthOf(message) > 1
  }

  /** How many datagrams are in a message. */
  lengthOf(message: number): number {
    return this.#firsts[message + 1]! - this.#firsts[message]!
  }

  /** Sends the messages from `first` on: how many went, or the errno below zero. */
  send(fd: number, first: number): number {
    return this.#libc.sendmmsg(fd, this.#pointers[first]!, this.#count - first)
  }

  #begin(before: number, datagram: Outgoing, kind: SocketKind): number {
    const message = this.#count
    this.#count += 1
    this.#firsts[message] = before
    const { words } = this.#messages
    const at = message * MESSAGE_WORDS
    words[at + PART_COUNT] = 0
    this.#partPointers.write(words, at + PARTS, this.#partsUsed * PART_WORDS * 4)
    this.#putName(message, datagram, kind)
    this.#putControl(message, datagram, kind)
    if (datagram.header !== undefined) this.#putPart(message, datagram.header)
    this.#putPart(message, datagram.payload)
    return message
  }

  #join(train: Train, { payload }: Outgoing): void {
    const { message } = train
    if (train.datagrams === 1) this.#putSegment(message, train.length)
    this.#putPart(message, payload)
    train.datagrams += 1
    train.isComplete = payload.byteLength < train.length
  }

  #putPart(message: number, bytes: Uint8Array): void {
    const { words } = this.#parts
    const part = this.#partsUsed * PART_WORDS
    this.#partsUsed += 1
    this.#messages.words[message * MESSAGE_WORDS + PART_COUNT]! += 1
    words[part + 2] = bytes.byteLength
    if (bytes.buffer === this.#received.buffer) {
      this.#receivedPointers.write(words, part, bytes.byteOffset)
      return
    }
    this.#staging.bytes.set(bytes, this.#stagedBytes)
    this.#stagingPointers.write(words, part, this.#stagedBytes)
    this.#stagedBytes += bytes.byteLength
  }

  #stagingOf({ header, payload }: Outgoing): number {
    const isReceived = payload.buffer === this.#received.buffer
    return (header?.byteLength ?? 0) + (isReceived ? 0 : payload.byteLength)
  }

  #putName(index: number, { to }: Outgoing, { isNamed, family }: SocketKind): void {
    const { words } = this.#messages
    const message = index * MESSAGE_WORDS
    if (!isNamed || to === undefined) {
      words[message + NAME] = 0
      words[message + NAME + 1] = 0
      words[message + NAME_LENGTH] = 0
      return
    }
    const name = index * NAME_WORDS
    writeName(this.#names.words, name, family, to)
    this.#namePointers.write(words, message + NAME, name * 4)
    words[message + NAME_LENGTH] = nameBytes(family)
  }

  /** Behind whatever control there is: where the train is to be cut. */
  #putSegment(message: number, length: number): void {
    const lengthAt = message * MESSAGE_WORDS + CONTROL_LENGTH
    const usedBytes = this.#messages.words[lengthAt]!
    const control = message * CONTROL_WORDS + usedBytes / 4
    const { words } = this.#control
    words[control] = SEGMENT.bytes
    words[control + 1] = 0 // what was here before may have been longer
    words[control + CONTROL_LEVEL] = SEGMENT.level
    words[control + CONTROL_TYPE] = SEGMENT.type
    words[control + CONTROL_DATA] = length
    this.#messages.words[lengthAt] = usedBytes + SEGMENT.spaceBytes
  }

  #putControl(index: number, { from }: Outgoing, { hasPacketInfo, family }: SocketKind): void {
    const lengthAt = index * MESSAGE_WORDS + CONTROL_LENGTH
    // Nothing can leave from a multicast address: the kernel picks one, as without packet info.
    if (!hasPacketInfo || from === undefined || (family === AF_INET6 && isMulticast(from.a))) {
      this.#messages.words[lengthAt] = 0
      return
    }
    const info = packetInfoOf(family)
    this.#messages.words[lengthAt] = info.spaceBytes
    const { words } = this.#control
    const control = index * CONTROL_WORDS
    words[control] = info.bytes
    words[control + 1] = 0
    words[control + CONTROL_LEVEL] = info.level
    words[control + CONTROL_TYPE] = info.type
    const data = control + CONTROL_DATA
    if (family === AF_INET) {
      words[data] = 0 // any interface
      words[data + 1] = from.d
      return
    }
    const scope = isLinkLocal(from.a) ? from.b : 0
    words[data] = from.a
    words[data + 1] = scope === 0 ? from.b : 0
    words[data + 2] = from.c
    words[data + 3] = from.d
    words[data + 4] = scope
  }
}

interface Train {
  readonly message: number
  /** Of each datagram but the last. */
  readonly length: number
  readonly first: Outgoing
  datagrams: number
  /** It had its last. */
  isComplete: boolean
}

/** A train of one so far, where the datagram is one that others can join. */
function trainOf(message: number, first: Outgoing): Train | undefined {
  const length = first.payload.byteLength
  if (first.header !== undefined || length === 0 || length > TRAIN_PAYLOAD_MAX) return undefined
  return { message, length, first, datagrams: 1, isComplete: false }
}

function joins({ first, length, datagrams, isComplete }: Train, next: Outgoing): boolean {
  const { byteLength } = next.payload
  if (isComplete || byteLength > length || byteLength === 0 || next.header !== undefined) {
    return false
  }
  if ((datagrams + 1) * length > TRAIN_BYTES_MAX || next.from !== first.from) return false
  return next.to === first.to || (!!next.to && !!first.to && samePacked(next.to, first.to))
}

/** One receive batch has as many. */
const DATAGRAMS = 64
/** Four of the longest datagrams, or a batch of short ones. */
const STAGING_BYTES = 262_144
/** What fits into a packet of IPv6 on Ethernet: what does not is refused, not fragmented. */
const TRAIN_PAYLOAD_MAX = 1_452
/** Less than the longest packet there is. */
const TRAIN_BYTES_MAX = 65_000
