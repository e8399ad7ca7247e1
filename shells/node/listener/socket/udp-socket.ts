/** A UDP socket: its listener's own, which binds it and closes it. */
import type { UdpDoor } from '../udp/udp-door.ts'
import type { HostSocket } from './host-socket.ts'

export const udpSocket = (door: UdpDoor | undefined): HostSocket => ({
  listen: async (host, port) => {
    if (door === undefined) throw new Error('its listener is gone')
    return door.listen(host, port)
  },
  route: () => {}, // a listener and its socket stay together
  close: async () => door?.unlisten(),
})
