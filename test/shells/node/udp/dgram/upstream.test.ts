import { expect, test } from 'vitest'
import { packIpv4 } from '../../../../../core/net/packed-address.ts'
import { flowIdOf } from '../../../../../core/udp/flow-id.ts'
import { AddressBook } from '../../../../../shells/node/udp/dgram/address-book.ts'
import { SendBudget } from '../../../../../shells/node/udp/dgram/send-queue.ts'
import { DgramSockets } from '../../../../../shells/node/udp/dgram/sockets.ts'
import { Upstream } from '../../../../../shells/node/udp/dgram/upstream.ts'
import { LocalAddresses } from '../../../../../shells/node/udp/local-addresses.ts'

const owner = () => ({
  sockets: new DgramSockets(),
  book: new AddressBook(new LocalAddresses()),
  budget: new SendBudget(1_000_000),
  counters: { sendErrors: 0, queueFull: 0 },
  opened: () => {},
  failed: () => {},
  received: () => {},
})

test('a client that is elsewhere now is answered there', () => {
  const upstream = new Upstream(owner(), flowIdOf(0, 1), 1)
  const [here, there] = [packIpv4(0x0a00_0001, 7), packIpv4(0x0a00_0002, 7)]
  const hosts = [here, here, there, here].map((client) => upstream.hostOf(client))
  expect(hosts).toEqual(['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.1'])
})

test('what is sent before there is a socket is lost, and counted', () => {
  const shared = owner()
  new Upstream(shared, flowIdOf(0, 1), 1).send(undefined, new Uint8Array(1))
  expect(shared.counters.sendErrors).toBe(1)
})
