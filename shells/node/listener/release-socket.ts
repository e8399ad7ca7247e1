import type { Socket } from 'node:net'

/**
 * Closes a socket's descriptor at once, whatever it is doing. With `reset` the peer sees a reset,
 * unless it already has, or is about to have, our end behind everything we wrote.
 */
export function releaseSocket(socket: Socket, reset: boolean): void {
  // While its end is on the way to the kernel libuv refuses a reset, and Node would then lose the
  // descriptor. All that was written is with the kernel by then: a plain close cuts nothing.
  const ending = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
  // Node resets a connecting socket only once it is connected, which may be never.
  if (reset && !ending && !socket.connecting) socket.resetAndDestroy()
  else socket.destroy()
}
