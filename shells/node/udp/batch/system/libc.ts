/**
 * The system calls of the batched shell, through koffi. Only for 64-bit Linux with the little end
 * first: structures are laid out by hand, as glibc and musl have them on x86-64 and AArch64.
 *
 * A call answers as the kernel does: what it gives, or the errno below zero. Nothing here throws
 * once it is loaded. Interrupted calls are made again.
 */
import { constants } from 'node:os'

/** Memory that never moves and that the kernel may be shown. */
export interface Memory {
  readonly buffer: ArrayBuffer
  readonly bytes: Uint8Array
  /** The same memory as signed words; addresses are packed as these. */
  readonly words: Int32Array
  readonly address: Pointer
}

/** A place in a {@link Memory}, as the kernel is told it. */
export type Pointer = bigint

export interface Libc {
  /** `length` bytes of zeros, rounded up to a multiple of 8. */
  allocate(length: number): Memory
  socket(family: number, type: number, protocol: number): number
  bind(fd: number, name: Pointer, nameBytes: number): number
  connect(fd: number, name: Pointer, nameBytes: number): number
  getsockname(fd: number, name: Pointer, nameBytes: Pointer): number
  setsockopt(fd: number, level: number, option: number, value: Pointer, bytes: number): number
  getsockopt(fd: number, level: number, option: number, value: Pointer, bytes: Pointer): number
  /** Datagrams received into `messages`, an array of `mmsghdr`. Never waits. */
  recvmmsg(fd: number, messages: Pointer, count: number): number
  /** Datagrams sent, which may be fewer than `count`: the next call says why. Never waits. */
  sendmmsg(fd: number, messages: Pointer, count: number): number
  epollCreate(): number
  epollCtl(epoll: number, operation: number, fd: number, event: Pointer): number
  /** Events written; 0 also when a signal came. */
  epollWait(epoll: number, events: Pointer, count: number, timeoutMs: number): number
  eventfd(): number
  read(fd: number, into: Pointer, bytes: number): number
  close(fd: number): number
}

export type LoadedLibc =
  | { readonly type: 'loaded'; readonly libc: Libc }
  | { readonly type: 'unavailable'; readonly reason: string }

/** The calls, if this machine and this installation can make them. */
export async function loadLibc(): Promise<LoadedLibc> {
  const { platform, arch } = process
  if (platform !== 'linux' || !(arch === 'x64' || arch === 'arm64')) {
    return { type: 'unavailable', reason: `not on ${platform} ${arch}` }
  }
  try {
    return { type: 'loaded', libc: bindCalls(await import('koffi')) }
  } catch (error) {
    return { type: 'unavailable', reason: koffiProblem(error) }
  }
}

function bindCalls(koffi: typeof import('koffi')): Libc {
  // The program itself: whichever C library Node runs on is in it.
  const program = koffi.load(null)
  const bound = (name: string, ...parameters: string[]): NativeCall =>
    program.func(name, 'int', parameters)
  const { errno } = koffi
  /** Tells why a call failed, and makes it again when it was interrupted. */
  const making =
    (call: NativeCall) =>
    (...given: (number | Pointer | null)[]): number => {
      for (;;) {
        const result = call(...given)
        if (result >= 0) return result
        const code = errno()
        if (code !== EINTR) return -code
      }
    }
  const recvmmsg = bound('recvmmsg', 'int', 'void *', 'uint', 'int', 'void *')
  const sendmmsg = bound('sendmmsg', 'int', 'void *', 'uint', 'int')
  const epollWait = bound('epoll_wait', 'int', 'void *', 'int', 'int')
  const epollCreate = making(bound('epoll_create1', 'int'))
  const eventfd = making(bound('eventfd', 'uint', 'int'))
  const close = bound('close', 'int')
  return {
    allocate: (length) => allocate(koffi.address, length),
    socket: making(bound('socket', 'int', 'int', 'int')),
    bind: making(bound('bind', 'int', 'void *', 'uint')),
    connect: making(bound('connect', 'int', 'void *', 'uint')),
    getsockname: making(bound('getsockname', 'int', 'void *', 'void *')),
    setsockopt: making(bound('setsockopt', 'int', 'int', 'int', 'void *', 'uint')),
    getsockopt: making(bound('getsockopt', 'int', 'int', 'int', 'void *', 'void *')),
    // Spelt out: these run for every batch, and `...given` would make an array each time.
    recvmmsg: (fd, messages, count) => {
      for (;;) {
        const received = recvmmsg(fd, messages, count, MSG_DONTWAIT, null)
        if (received >= 0) return received
        const code = errno()
        if (code !== EINTR) return -code
      }
    },
    sendmmsg: (fd, messages, count) => {
      for (;;) {
        const sent = sendmmsg(fd, messages, count, MSG_DONTWAIT)
        if (sent >= 0) return sent
        const code = errno()
        if (code !== EINTR) return -code
      }
    },
    epollCreate: () => epollCreate(CLOEXEC),
    epollCtl: making(bound('epoll_ctl', 'int', 'int', 'int', 'void *')),
    epollWait: (epoll, events, count, timeoutMs) => {
      const ready = epollWait(epoll, events, count, timeoutMs)
      if (ready >= 0) return ready
      const code = errno()
      return code === EINTR ? 0 : -code
    },
    eventfd: () => eventfd(0, CLOEXEC | NONBLOCK),
    read: making(bound('read', 'int', 'void *', 'size_t')),
    // Linux releases the descriptor also when it says EINTR: closing again could hit another's.
    close: (fd) => (close(fd) === 0 ? 0 : -errno()),
  }
}

type NativeCall = (...given: (number | Pointer | null)[]) => number

function allocate(addressOf: (bytes: Uint8Array) => bigint, length: number): Memory {
  // An ArrayBuffer of its own: small typed arrays live where the collector moves things.
  const buffer = new ArrayBuffer(Math.ceil(length / 8) * 8)
  const bytes = new Uint8Array(buffer)
  return { buffer, bytes, words: new Int32Array(buffer), address: addressOf(bytes) }
}

function koffiProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ERR_MODULE_NOT_FOUND') return 'the package koffi is not installed'
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return `koffi does not load: ${line}`
}

/** Of sockets, event descriptors and epoll alike, on both architectures. */
export const NONBLOCK = 0o4000
export const CLOEXEC = 0o2000000

const MSG_DONTWAIT = 0x40
const { EINTR } = constants.errno
