import type { Server } from 'node:net'
import type { SocketUse } from '../../../../core/node/commands.ts'

/** A host port that is listened on, for a purpose. One that could not be bound is made anew. */
export interface HostSocket {
  /** Resolves to the bound address, rejects with the system's error. */
  listen(host: string, port: number): Promise<string>
  /** For what arrives from now on; of the same kind. */
  route(use: SocketUse): void
  /** Resolves when the port is free. What came in through it goes on. */
  close(): Promise<void>
}

/** Of TCP, whatever is spoken there. */
export function listenOn(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // `ipv6Only`: what is bound is what was asked for, whatever the system's default.
    const ipv6Only = host.includes(':')
    server.listen({ host, port, exclusive: true, ipv6Only, backlog: BACKLOG }, () => {
      server.off('error', reject)
      resolve(addressOf(server))
    })
  })
}

/** libuv closes descriptors within the call and completes handles at the end of the round. */
export const afterClosing = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') return String(address)
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${host}:${address.port}`
}

/** A burst of clients finds a place in it; the system has a limit of its own (`net.core.somaxconn`). */
const BACKLOG = 4_096
