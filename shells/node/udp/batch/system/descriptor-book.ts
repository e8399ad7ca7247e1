/**
 * The descriptors a worker has open, where its parent can read them: they belong to the process,
 * so a worker that dies without a word would leave them, and its ports, behind for ever.
 */
import type { Libc } from './libc.ts'

/** One bit for each descriptor below {@link DESCRIPTORS_MAX}. */
export type DescriptorBook = Uint32Array<SharedArrayBuffer>

export const emptyBook = (): DescriptorBook =>
  new Uint32Array(new SharedArrayBuffer(DESCRIPTORS_MAX / 8))

/** The same calls; whatever they open and close is in the book. */
export function keepingBook(libc: Libc, book: DescriptorBook): Libc {
  const opened = (fd: number): number => {
    if (fd >= 0 && fd < DESCRIPTORS_MAX) book[fd >>> 5]! |= 1 << (fd & 31)
    return fd
  }
  return {
    ...libc,
    socket: (family, type, protocol) => opened(libc.socket(family, type, protocol)),
    epollCreate: () => opened(libc.epollCreate()),
    eventfd: () => opened(libc.eventfd()),
    close: (fd) => {
      // Before the call: afterwards the number may be another thread's.
      if (fd >= 0 && fd < DESCRIPTORS_MAX) book[fd >>> 5]! &= ~(1 << (fd & 31))
      return libc.close(fd)
    },
  }
}

export function descriptorsIn(book: DescriptorBook): number[] {
  const found: number[] = []
  for (let word = 0; word < book.length; word++) {
    for (let bits = book[word]!; bits !== 0; bits &= bits - 1) {
      found.push(word * 32 + 31 - Math.clz32(bits & -bits))
    }
  }
  return found
}

/** The most a Linux process may have open, unless `fs.nr_open` was raised: 128 KiB of bits. */
const DESCRIPTORS_MAX = 2 ** 20
