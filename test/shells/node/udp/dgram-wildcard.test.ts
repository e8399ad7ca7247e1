import { createSocket } from 'node:dgram'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { formatPacked } from '../../../../core/net/packed-address.ts'
import { readProxyHeader } from '../../../../core/net/proxy-v2.ts'
import type { ReadInterfaces } from '../../../../shells/node/udp/local-addresses.ts'
import {
  backend,
  connectClient,
  ListenerFixture,
  Peer,
  portOf,
  startEcho,
  until,
} from './dgram-fixture.ts'

/** This machine, as if it had these addresses; Linux lets all of 127.0.0.0/8 be bound. */
const loopback = (addresses: readonly string[]): ReturnType<ReadInterfaces> => ({
  lo: addresses.map(
    (address): NetworkInterfaceInfo => ({
      address,
      netmask: '255.0.0.0',
      family: 'IPv4',
      mac: '00:00:00:00:00:00',
      internal: true,
      cidr: `${address}/8`,
    }),
  ),
})

const ownAddresses = Object.entries(networkInterfaces()).flatMap(([name, infos = []]) =>
  infos.map((info) =>
    info.family === 'IPv6' && info.scopeid > 0 ? `${info.address}%${name}` : info.address,
  ),
)
const four = ownAddresses.filter((address) => !address.includes(':'))
const six = ownAddresses.filter((address) => address.includes(':'))

describe('a wildcard', () => {
  test.each([
    ['0.0.0.0', four],
    ['::', six],
  ])('udp W27: %s answers from the address the client contacted', async (host, addresses) => {
    const echo = await startEcho()
    const fixture = new ListenerFixture({
      config: { proxyProtocol: 'every' },
      backends: [backend('a', echo.port)],
    })
    const address = await fixture.listener.listen(host, 0)
    const port = portOf(address)
    expect(address).toBe(host === '::' ? `[::]:${port}` : `0.0.0.0:${port}`)
    for (const each of addresses) {
      const client = await connectClient(port, each) // it hears nobody else
      await client.ask('hi', () => client.received.length > 0)
      const read = readProxyHeader(client.received[0]!.payload)
      if (typeof read === 'string') throw new Error('no header')
      const text = each.replace(/%.*/, '')
      const contacted = each.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
      expect(formatPacked(read.announced!.destination)).toBe(contacted)
    }
  })

  test('with port 0 all addresses get one that is free on each', async () => {
    let binds = 0
    const fixture = new ListenerFixture({
      host: {
        readInterfaces: () => loopback(['127.0.0.1', '127.0.0.2']),
        createSocket: (options) => {
          const socket = createSocket(options)
          const bind = socket.bind.bind(socket)
          socket.bind = (...args: unknown[]) => {
            binds += 1
            // The first port is somebody else's on the second address.
            if (binds === 2)
              socket.emit('error', Object.assign(new Error(), { code: 'EADDRINUSE' }))
            else bind(...(args as []))
            return socket
          }
          return socket
        },
      },
    })
    const port = await fixture.listen('0.0.0.0')
    expect(binds).toBe(4)
    for (const host of ['127.0.0.1', '127.0.0.2']) {
      await expect(new Peer().bind(host, port)).rejects.toThrow('EADDRINUSE')
    }
  })

  // The port is free on one address, and may be somebody's on another: then another port is tried.
  test('is all or nothing', { retry: 5 }, async () => {
    const taken = await new Peer().bind('127.0.0.2')
    const { port } = taken
    const fixture = new ListenerFixture({
      host: { readInterfaces: () => loopback(['127.0.0.1', '127.0.0.2', '127.0.0.3']) },
    })
    await expect(fixture.listen('0.0.0.0', port)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    for (const host of ['127.0.0.1', '127.0.0.3']) await new Peer().bind(host, port)
  })

  test('without any address there is nothing to bind', async () => {
    const fixture = new ListenerFixture({ host: { readInterfaces: () => ({}) } })
    await expect(fixture.listen('0.0.0.0')).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
  })

  test('serves addresses that come, and lets go of those that are gone', async () => {
    const echo = await startEcho()
    let addresses = ['127.0.0.1', '127.0.0.2']
    const fixture = new ListenerFixture({
      backends: [backend('a', echo.port)],
      host: { readInterfaces: () => loopback(addresses), lookAgainMs: 5 },
    })
    const port = await fixture.listen('0.0.0.0')
    const stays = await connectClient(port, '127.0.0.1')
    await stays.exchange('1', '1')
    const goes = await connectClient(port, '127.0.0.2')
    await goes.exchange('2', '2')

    addresses = ['127.0.0.1', '127.0.0.3']
    const isBound = async (host: string): Promise<boolean> => {
      const peer = new Peer()
      const isFree = await peer.bind(host, port).then(
        () => true,
        () => false,
      )
      peer.close()
      return !isFree
    }
    await until(async () => !(await isBound('127.0.0.2')))
    await until(() => isBound('127.0.0.3'))
    const comes = await connectClient(port, '127.0.0.3')
    await comes.exchange('3', '3')
    await stays.exchange('still', 'still')

    // An answer for the flow over the address that is gone has nowhere to leave from.
    const upstream = echo.received.find(({ payload }) => payload.toString() === '2')!.from
    echo.socket.send('late', upstream.port, upstream.address)
    await until(async () => (await fixture.counters()).sendErrors > 0)

    addresses = ['127.0.0.1', '127.0.0.2']
    await until(() => isBound('127.0.0.2'))
    await goes.exchange('back', 'back')
    expect((await fixture.counters()).machine.created).toBe(3)
    expect(fixture.hostFailures).toEqual([])
  })

  test('goes on with the addresses it has while this machine cannot be asked', async () => {
    const echo = await startEcho()
    let looks = 0
    const readInterfaces = () => {
      looks += 1
      if (looks !== 2) throw Object.assign(new Error('no'), { code: 'EMFILE' })
      return loopback(['127.0.0.1'])
    }
    const fixture = new ListenerFixture({
      backends: [backend('a', echo.port)],
      host: { readInterfaces, lookAgainMs: 1 },
    })
    await expect(fixture.listen('0.0.0.0')).rejects.toMatchObject({ code: 'EMFILE' })
    const port = await fixture.listen('0.0.0.0')
    await until(() => looks > 5)
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
  })

  test('what cannot be served yet is told once, and tried again', async () => {
    const echo = await startEcho()
    const taken = await new Peer().bind('127.0.0.2')
    const { port } = taken
    let addresses = ['127.0.0.1', '203.0.113.7'] // the second is gone before it is bound
    let looks = 0
    const readInterfaces = () => {
      looks += 1
      return loopback(addresses)
    }
    const fixture = new ListenerFixture({
      backends: [backend('a', echo.port)],
      host: { readInterfaces, lookAgainMs: 5 },
    })
    await fixture.listen('0.0.0.0', port)
    await until(() => fixture.hostFailures.length > 0)
    addresses = ['127.0.0.1', '127.0.0.2']
    const before = looks
    await until(() => looks > before + 5)
    expect(fixture.hostFailures).toEqual([
      '203.0.113.7 is not served: the address is not one of this machine',
      '127.0.0.2 is not served: the address is in use',
    ])
    taken.close()
    const client = await connectClient(port, '127.0.0.2')
    await client.exchange('hi', 'hi')
  })

  test('close lets go of every address, and looks no more', async () => {
    let looks = 0
    const readInterfaces = () => {
      looks += 1
      return loopback(['127.0.0.1', '127.0.0.2'])
    }
    const fixture = new ListenerFixture({ host: { readInterfaces, lookAgainMs: 1 } })
    const port = await fixture.listen('0.0.0.0')
    await until(() => looks > 3)
    await fixture.listener.close()
    await new Peer().bind('0.0.0.0', port)
    const before = looks
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(looks).toBe(before)
  })
})
