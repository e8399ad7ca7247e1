import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { hasPeer } from './peers.ts'

/** Of a TLS socket of ours: what carries it. */
const carriers = new WeakMap<TLSSocket, Socket>()

/** Lets {@link releaseSocket} reset a TLS socket: Node resets none but TCP sockets. */
export function carriedBy(secure: TLSSocket, tcp: Socket): void {
  carriers.set(secure, tcp)
}

/**
 * Closes a socket's descriptor at once, whatever it is doing. With `reset` the peer sees a reset,
 * unless it already has, or is about to have, our end behind everything we wrote.
 */
export function releaseSocket(socket: Socket, reset: boolean): void {
  // While its end is on the way to the kernel libuv refuses a reset, and Node would then lose the
  // descriptor. All that was written is with the kernel by then: a plain close cuts nothing but, of
  // TLS, its close_notify, and without that nobody takes it for complete.
  const ending = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
  // Node resets a connecting socket only once it is connected, which may be never.
  if (reset && !ending && !socket.connecting) {
    carrierOf(socket).resetAndDestroy()
  }
  socket.destroy() // nothing, after a reset of its own
}

/**
 * Of a socket that was read to its end: whether that was a reset. The kernel tells of one once; if it
 * told a write of TLS' own, of a session ticket, nobody hears of it, and what is read next is an end.
 */
export const wasReset = (socket: Socket): boolean => socket instanceof TLSSocket && isGone(socket)

/** It was reset, or given up by the kernel, whether or not somebody heard of it. */
export function isGone(socket: Socket): boolean {
  // When our end is with the kernel, a peer that ended too is gone in order, with what it sent unread.
  const hasEnded = socket.writableEnded && socket.writableLength === 0
  const tcp = carrierOf(socket)
  return !hasEnded && (tcp.destroyed || !hasPeer(tcp))
}

const carrierOf = (socket: Socket): Socket =>
  (socket instanceof TLSSocket ? carriers.get(socket) : undefined) ?? socket
