/** A UDP socket: its listener's own, which binds it and closes it. */
import { InvariantError } from '../../../../core/machine.ts'
import type { UdpDoor } from '../udp/udp-door.ts'
import type { HostSocket } from './host-socket.ts'

export const udpSocket = (door: UdpDoor | undefined): HostSocket => ({
  listen: async (host, port) => {
    if (door === undefined) throw new Error('its listener is gone')
    return door.listen(host, port)
  },
  // They stay together: to look as if it were led elsewhere would silence its clients.
  route: () => {
    throw new InvariantError('a UDP socket leads to one listener for good')
  },
  close: async () => door?.unlisten(),
})
