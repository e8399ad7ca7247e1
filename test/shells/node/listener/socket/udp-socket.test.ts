import { expect, test } from 'vitest'
import { InvariantError } from '../../../../../core/machine.ts'
import { listenerId, serviceKey } from '../../../../../core/services/identity.ts'
import { startFixture, UDP_LISTENER } from '../fixture.ts'

// A renamed endpoint was once led to its new listener, which nobody could hear: its port was silent, and
// shown as served.
test('a UDP socket is led nowhere else: to ask for it is a bug, and loud', async () => {
  const node = await startFixture()
  node.openUdpDoor()
  const { socket } = await node.bind({ use: { kind: 'udp', listener: UDP_LISTENER } })
  const next = listenerId(serviceKey('demo', 'web'), 'dns', 4)
  node.openUdpDoor({}, next)
  expect(() => node.route(socket, { use: { kind: 'udp', listener: next } })).toThrow(InvariantError)
})
