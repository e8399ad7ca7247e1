/** The real system calls, with a way to see what is sent and to have calls fail. */
import type { Libc, Memory, Pointer } from '../../../../shells/node/udp/batch/system/libc.ts'

/** One message handed to `sendmmsg`. */
export interface SentMessage {
  /** All its parts together. */
  readonly bytes: Buffer
  readonly parts: number
  /** Where a train is to be cut; undefined for a single datagram. */
  readonly segment: number | undefined
}

export class WatchedLibc {
  readonly libc: Libc
  /** Every call of `sendmmsg`, with what it was given. */
  readonly sends: { readonly fd: number; readonly messages: SentMessage[] }[] = []
  /** Descriptors that sockets were given and not closed since. */
  readonly open = new Set<number>()
  /** Replaces calls: what they give, or undefined for the real one. */
  fail: {
    socket?: () => number | undefined
    connect?: () => number | undefined
    epollCtl?: (operation: number, fd: number) => number | undefined
    recvmmsg?: (fd: number) => number | undefined
    sendmmsg?: (fd: number, messages: readonly SentMessage[]) => number | undefined
  } = {}
  readonly #memories: Memory[] = []

  constructor(real: Libc) {
    this.libc = {
      ...real,
      allocate: (length) => {
        const memory = real.allocate(length)
        this.#memories.push(memory)
        return memory
      },
      socket: (...given) => this.#opened(this.fail.socket?.() ?? real.socket(...given)),
      epollCreate: () => this.#opened(real.epollCreate()),
      eventfd: () => this.#opened(real.eventfd()),
      close: (fd) => {
        this.open.delete(fd)
        return real.close(fd)
      },
      connect: (...given) => this.fail.connect?.() ?? real.connect(...given),
      epollCtl: (epoll, operation, fd, event) =>
        this.fail.epollCtl?.(operation, fd) ?? real.epollCtl(epoll, operation, fd, event),
      recvmmsg: (fd, messages, count) =>
        this.fail.recvmmsg?.(fd) ?? real.recvmmsg(fd, messages, count),
      sendmmsg: (fd, at, count) => {
        const messages = Array.from({ length: count }, (_, index) =>
          this.#messageAt(at + BigInt(index * 64)),
        )
        this.sends.push({ fd, messages })
        const given = this.fail.sendmmsg?.(fd, messages)
        // A number of messages is how many really go.
        if (given === undefined || given > 0) return real.sendmmsg(fd, at, given ?? count)
        return given
      },
    }
  }

  #opened(fd: number): number {
    if (fd >= 0) this.open.add(fd)
    return fd
  }

  /** As recvmmsg(2) has it. */
  #messageAt(at: Pointer): SentMessage {
    const header = this.#bytesAt(at, 64)
    const parts = header.readUInt32LE(24)
    const bytes = Array.from({ length: parts }, (_, index) => {
      const part = this.#bytesAt(header.readBigUInt64LE(16) + BigInt(index * 16), 16)
      return Buffer.from(this.#bytesAt(part.readBigUInt64LE(0), part.readUInt32LE(8)))
    })
    const control = this.#bytesAt(header.readBigUInt64LE(32), header.readUInt32LE(40))
    return { bytes: Buffer.concat(bytes), parts, segment: segmentIn(control) }
  }

  #bytesAt(at: Pointer, length: number): Buffer {
    if (length === 0) return Buffer.alloc(0)
    const memory = this.#memories.find(
      ({ address, bytes }) =>
        at >= address && at + BigInt(length) <= address + BigInt(bytes.length),
    )
    if (memory === undefined) throw new Error('a pointer into memory that is not ours')
    return Buffer.from(memory.buffer, Number(at - memory.address), length)
  }
}

/** Walks control messages, as cmsg(3) says, to the one for UDP_SEGMENT. */
function segmentIn(control: Buffer): number | undefined {
  for (let at = 0; at + 16 <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at))
    if (length < 16 || at + length > control.length) throw new Error('EINVAL, says the kernel')
    if (control.readInt32LE(at + 8) === 17 && control.readInt32LE(at + 12) === 103) {
      return control.readUInt16LE(at + 16)
    }
    at += Math.ceil(length / 8) * 8
  }
  return undefined
}
