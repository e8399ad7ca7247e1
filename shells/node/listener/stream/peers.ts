/** Who is connected to what, as the kernel tells. */
import type { Socket } from 'node:net'
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

/** The interface of a link-local address has a name here, and is nobody else's business. */
function packed(address: string | undefined, port: number | undefined): PackedAddress | undefined {
  const ip = address === undefined ? undefined : parseIp(address.split('%', 1)[0]!)
  return ip === undefined || port === undefined ? undefined : packAddress({ ip, port })
}
