/**
 * One buffer that all plain sockets of HTTP are read into: what one of them brings is done with before
 * another one is read. Without it Node makes 64 KiB for each read, and gives back what is over.
 */
import { Socket } from 'node:net'

/** `callback`: so many bytes are in the buffer; true: go on. */
export const sharedReads = (callback: (length: number) => true) => ({ buffer: READS, callback })

/** Holds until the next one is read. */
export const sharedBytes = (length: number): Buffer => READS.subarray(0, length)

/**
 * The same for one that Node accepted, which it cannot be asked for: another socket takes over its
 * descriptor, and is to be resumed. That is by no public part of Node. Undefined, and `socket` is as it
 * was, where that is not as we know it, or where something is under way on it.
 */
export function takeOver(socket: Socket, callback: (length: number) => true): Socket | undefined {
  const accepted = socket as Socket & {
    _handle?: { readonly useUserBuffer?: (buffer: Buffer) => unknown } | null
  }
  const handle = accepted._handle
  const isKnown = typeof handle?.useUserBuffer === 'function' && socket.constructor === Socket
  const isOpen = !socket.destroyed && !socket.readableEnded && !socket.writableEnded
  const isFree = !socket.isPaused() && !socket.writableNeedDrain
  const isEmpty = socket.readableLength + socket.writableLength === 0
  if (!isKnown || !isOpen || !isFree || !isEmpty) return undefined
  accepted._handle = null
  // `manualStart`: it is being read already.
  const options = { allowHalfOpen: true, manualStart: true, onread: sharedReads(callback) }
  return new Socket({ ...options, handle } as object)
}

const READS = Buffer.allocUnsafeSlow(65_536)
