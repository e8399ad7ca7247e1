/** Who is connected to what, as the kernel tells. */
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { parseIp } from '../../../../core/net/address.ts'
import { type PackedAddress, packAddress } from '../../../../core/net/packed-address.ts'
import type { Peers } from '../../../../core/stream/entrance/events.ts'

/** Undefined when the client has left already. */
export function peersOf(client: Socket): Peers | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = client
  const source = packed(remoteAddress, remotePort)
  const destination = packed(localAddress, localPort)
  return source && destination && { source, destination }
}

/**
 * Whether the kernel knows of a peer now: it does not after a reset, nor when both sides have ended.
 * `remoteAddress` is what it was when somebody first asked. The handle asks anew, and is no public
 * part of Node (its `net.Socket` asks it just so): where it is not as we know it, there is a peer.
 */
export function hasPeer(tcp: Socket): boolean {
  const { _handle: handle } = tcp as Socket & {
    readonly _handle?: { readonly getpeername?: (into: object) => unknown } | null
  }
  if (typeof handle?.getpeername !== 'function') return true
  return handle.getpeername({}) !== -constants.errno.ENOTCONN
}

/** The interface of a link-local address has a name here, and is nobody else's business. */
function packed(address: string | undefined, port: number | undefined): PackedAddress | undefined {
  const ip = address === undefined ? undefined : parseIp(address.split('%', 1)[0]!)
  return ip === undefined || port === undefined ? undefined : packAddress({ ip, port })
}
