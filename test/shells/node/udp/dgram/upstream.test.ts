import { expect, test, vi } from 'vitest'
import { packIpv4 } from '../../../../../core/net/packed-address.ts'
import { flowIdOf } from '../../../../../core/udp/flow-id.ts'
import { AddressBook } from '../../../../../shells/node/udp/dgram/address-book.ts'
import { SendBudget } from '../../../../../shells/node/udp/dgram/send-queue.ts'
import { DgramSockets, hostNames } from '../../../../../shells/node/udp/dgram/sockets.ts'
import { Upstream } from '../../../../../shells/node/udp/dgram/upstream.ts'
import { LocalAddresses } from '../../../../../shells/node/udp/local-addresses.ts'

const owner = (names = hostNames()) => ({
  sockets: new DgramSockets(),
  names,
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

test('one look-up for all flows of a name, and what is released does not wait for it', () => {
  const resolve = vi.fn()
  const names = hostNames(resolve)
  const failed = vi.fn()
  const shared = { ...owner(names), failed }
  const flows = Array.from({ length: 1_000 }, (_, at) => new Upstream(shared, flowIdOf(at, 1), 1))
  for (const flow of flows) flow.open('backend.test', 9)
  expect([resolve.mock.calls.length, names.waiting]).toEqual([1, 1_000])
  for (const flow of flows.slice(1)) flow.release()
  expect(names.waiting).toBe(1)
  const error = new Error('not found')
  resolve.mock.calls[0]![2](error)
  expect(failed.mock.calls).toEqual([[flows[0], error]])
})
