/** What became of weaknesses of UDP relays, with real sockets, in both shells. */
import { createSocket, type Socket } from 'node:dgram'
import { constants } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { describeBatch, LoopFixture, realLibc, startBatch } from './batch-fixture.ts'
import { WatchedLibc } from './batch-watched-libc.ts'
import {
  backend,
  connectClient,
  descriptors,
  HOST,
  ListenerFixture,
  type ListenerSetup,
  Peer,
  startBackend,
  startEcho,
  startListener,
  until,
} from './dgram-fixture.ts'

type Setup = Pick<ListenerSetup, 'config' | 'backends' | 'strategy'>

const SHELLS = [
  ['node:dgram', describe, (setup: Setup) => startListener(setup)],
  ['batched', describeBatch, (setup: Setup) => startBatch(setup)],
] as const

for (const [name, suite, start] of SHELLS) {
  suite(`the ${name} shell`, () => {
    test('proxy W25: 10,000 source ports leave no socket behind', {
      timeout: 120_000,
    }, async () => {
      const flowsMax = 500
      const echo = await startEcho()
      const { fixture, port } = await start({
        config: { flowsMax, frontTimeoutMs: 20, backTimeoutMs: 20, halfOpenTimeoutMs: 20 },
        backends: [backend('a', echo.port)],
      })
      const before = descriptors()
      let most = 0
      for (let from = PORTS_FROM; from < PORTS_FROM + 10_000; from += WAVE) {
        const clients = await Promise.all(
          Array.from({ length: WAVE }, async (_, index) => {
            const client = await new Peer(CLIENTS).bind(CLIENTS, from + index)
            return client.connect(port)
          }),
        )
        await Promise.all(clients.map((client) => client.exchange('hi', 'hi')))
        most = Math.max(most, descriptors())
        for (const client of clients) client.close()
      }
      await until(async () => (await fixture.listener.counters()).flowsLive === 0)
      const { machine } = await fixture.listener.counters()
      expect(machine.created).toBeGreaterThanOrEqual(10_000)
      expect(machine.closed.idle + machine.closed['half-open']).toBe(machine.created)
      // All that there were at a time: flows, and the clients of this test.
      expect(most).toBeLessThanOrEqual(before + flowsMax + WAVE)
      await until(() => descriptors() <= before)
    })

    test('proxy W25: sources that never end take no more sockets than there may be flows', async () => {
      const flowsMax = 100
      const silent = await startBackend(() => [])
      const { fixture, port } = await start({
        config: { flowsMax },
        backends: [backend('a', silent.port)],
      })
      const before = descriptors()
      const counters = async () => (await fixture.listener.counters()).machine
      let most = 0
      for (let from = PORTS_FROM; from < PORTS_FROM + 2_000; from += WAVE) {
        const clients = await Promise.all(
          Array.from({ length: WAVE }, (_, index) => new Peer(CLIENTS).bind(CLIENTS, from + index)),
        )
        const known = (await counters()).created
        for (const { socket } of clients) socket.send('hi', port, HOST)
        await until(async () => (await counters()).created > known) // datagrams may get lost
        most = Math.max(most, descriptors())
        for (const client of clients) client.close()
      }
      expect((await fixture.listener.counters()).flowsLive).toBeLessThanOrEqual(flowsMax)
      expect((await counters()).closed.evicted).toBeGreaterThan(0)
      expect(most).toBeLessThanOrEqual(before + flowsMax + WAVE)
      await until(() => descriptors() <= before + flowsMax)
    })

    test('proxy W26 udp W24: the port is free when it is let go of, whoever has a session', async () => {
      const echo = await startEcho()
      const { fixture, port } = await start({ backends: [backend('a', echo.port)] })
      const clients = await Promise.all(Array.from({ length: 20 }, () => connectClient(port)))
      await Promise.all(clients.map((client) => client.exchange('hi', 'hi')))
      expect((await fixture.listener.counters()).flowsLive).toBe(20)
      keepSending(clients[0]!, 'still here')
      await fixture.listener.close()
      const next = await new Peer().bind(HOST, port)
      // They go on sending, and it is the new owner who hears them.
      await until(() => next.texts.includes('still here'))
      expect((await fixture.listener.counters()).flowsLive).toBe(0)
    })

    test('proxy W27: a client that never pauses leaves a backend that was removed', async () => {
      const [old, young] = [await startEcho('old '), await startEcho('young ')]
      const { fixture, port } = await start({ backends: [backend('old', old.port)] })
      const client = await connectClient(port)
      await client.exchange('hi', 'old hi')
      keepSending(client, 'hi')
      fixture.apply([backend('young', young.port)])
      await until(() => client.texts.includes('young hi'))
      await until(() => fixture.said('backend-drained').length === 1)
      const heard = old.received.length
      const answers = young.received.length
      await until(() => young.received.length > answers + 20)
      expect(old.received.length).toBe(heard)
      expect(fixture.said('backend-drained')).toEqual([
        { type: 'backend-drained', backend: 'old', version: 2 },
      ])
    })

    test('proxy W27: also one whose answers never came: it is waited for so long, and no longer', async () => {
      const [silent, young] = [await startBackend(() => []), await startEcho('young ')]
      const { fixture, port } = await start({
        config: { lingerMs: 200 },
        backends: [backend('silent', silent.port)],
      })
      const client = await connectClient(port)
      await client.ask('hi', () => silent.received.length > 0)
      keepSending(client, 'hi')
      fixture.apply([backend('young', young.port)])
      await until(() => client.texts.includes('young hi'))
      await until(() => fixture.said('backend-drained').length === 1)
    })

    test('proxy W28: a backend there is no way to costs its own clients, and no one else', async () => {
      const echo = await startEcho()
      // Set aside for documentation (RFC 3849): no way leads there, or nobody answers.
      const nowhere = backend('nowhere', 9, '2001:db8::9')
      const { fixture, port } = await start({ backends: [nowhere, backend('a', echo.port)] })
      const clients = await Promise.all(Array.from({ length: 10 }, () => connectClient(port)))
      for (const client of clients) client.send('hi')
      fixture.apply([backend('a', echo.port)])
      fixture.listener.cutBackend('nowhere')
      await Promise.all(clients.map((client) => client.exchange('again', 'again')))
      await expect(new Peer().bind(HOST, port)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    })
  })
}

describe('an error of the listening socket', () => {
  test('proxy W28: is said, and the next datagram is received (node:dgram)', async () => {
    const echo = await startEcho()
    const sockets: Socket[] = []
    const fixture = new ListenerFixture({
      backends: [backend('a', echo.port)],
      host: {
        createSocket: (options) => {
          const socket = createSocket(options)
          sockets.push(socket)
          return socket
        },
      },
    })
    const client = await connectClient(await fixture.listen())
    await client.exchange('before', 'before')
    for (const code of ['ENOMEM', 'ECONNREFUSED', 'EMFILE'] as const) {
      sockets[0]!.emit('error', Object.assign(new Error(code), { code }))
    }
    expect(fixture.hostFailures).toHaveLength(3)
    await client.exchange('after', 'after')
    expect((await fixture.counters()).machine.created).toBe(1) // not even the session is lost
  })
})

describeBatch('an error of the listening socket', () => {
  const { ENOMEM, ENOBUFS, ECONNREFUSED } = constants.errno

  test.each([
    ['ENOMEM', ENOMEM],
    ['ENOBUFS', ENOBUFS],
    ['ECONNREFUSED', ECONNREFUSED],
  ])(
    'proxy W28: %s does not end it: what came is received afterwards (batched)',
    async (_, errno) => {
      const watched = new WatchedLibc(await realLibc())
      const echo = await startEcho()
      const fixture = new LoopFixture(watched.libc, { backends: [backend('a', echo.port)] })
      const before = new Set(watched.open)
      const port = await fixture.listen()
      const [listening] = [...watched.open].filter((fd) => !before.has(fd))
      const client = await connectClient(port)
      let errors = 0
      watched.fail.recvmmsg = (fd) => (fd === listening && errors++ < 5 ? -errno : undefined)
      const asked = client.ask('hi', () => client.texts.includes('hi'))
      await fixture.until(() => client.texts.includes('hi'))
      await asked
      expect(errors).toBeGreaterThan(5)
      expect((await fixture.counters()).machine.created).toBe(1)
      expect(fixture.said.filter(({ type }) => type === 'broken')).toEqual([])
    },
  )
})

/** Without a pause, to the end of the test. */
function keepSending(client: Peer, text: string): void {
  const sending = setInterval(() => client.send(text), 1)
  onTestFinished(() => clearInterval(sending))
}

/** Nobody else uses it: its ports from {@link PORTS_FROM} on are free. */
const CLIENTS = '127.0.25.1'
/** Below what Linux picks by itself, also for sockets of every address. */
const PORTS_FROM = 10_000
/** Clients that are there at a time. */
const WAVE = 100
