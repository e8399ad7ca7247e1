import { constants } from 'node:os'
import { expect, onTestFinished, test, vi } from 'vitest'
import { packIpv4 } from '../../../../core/net/packed-address.ts'
import { Outlet } from '../../../../shells/node/udp/batch/outlet.ts'
import { AF_INET } from '../../../../shells/node/udp/batch/system/addresses.ts'
import type { Poller } from '../../../../shells/node/udp/batch/system/poller.ts'
import { ReceiveVector } from '../../../../shells/node/udp/batch/system/receive-vector.ts'
import { SendVector } from '../../../../shells/node/udp/batch/system/send-vector.ts'
import { describeBatch, LoopFixture, type LoopSetup, realLibc } from './batch-fixture.ts'
import { WatchedLibc } from './batch-watched-libc.ts'
import { backend, connectClient, type Peer, startBackend, until } from './dgram-fixture.ts'

const { EAGAIN, EINVAL, EIO, EOPNOTSUPP, EPERM, EMSGSIZE, ENOBUFS } = constants.errno
const { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } = constants.errno

/** A listener in this thread before a backend that only collects, and a client of it. */
async function start(setup: LoopSetup = {}) {
  const watched = new WatchedLibc(await realLibc())
  const collecting = await startBackend(() => [])
  collecting.socket.setRecvBufferSize(4 * 1024 * 1024) // what waited comes all at once
  const fixture = new LoopFixture(watched.libc, {
    backends: [backend('a', collecting.port)],
    ...setup,
  })
  const port = await fixture.listen()
  return { watched, collecting, fixture, port, client: await connectClient(port) }
}

type Started = Awaited<ReturnType<typeof start>>

/** Sends all, and turns until the machine has seen them. */
async function sendAll({ fixture }: Started, client: Peer, texts: readonly string[]) {
  const before = (await fixture.counters()).machine.datagramsUp
  for (const text of texts) client.send(text)
  for (;;) {
    await fixture.turn()
    if ((await fixture.counters()).machine.datagramsUp >= before + texts.length) return
  }
}

const numbered = (count: number, bytes = 0): string[] =>
  Array.from({ length: count }, (_, at) => `${at} `.padEnd(bytes, '.'))

const answersOf = async (started: Started, texts: readonly string[]): Promise<void> => {
  const { collecting } = started
  const { port, address } = collecting.received[0]!.from
  for (const text of texts) collecting.socket.send(text, port, address)
}

describeBatch('trains', () => {
  test('datagrams of one length to one backend are one message, the last may be shorter', async () => {
    const started = await start()
    const { watched, collecting, fixture } = started
    await sendAll(started, started.client, ['open'])
    const texts = ['aaaa', 'bbbb', 'cccc', 'dd', 'eeee', 'fffff', 'ggggg', '', 'h']
    watched.sends.length = 0
    await sendAll(started, started.client, texts)
    await fixture.until(() => collecting.received.length === texts.length + 1)
    const messages = watched.sends.flatMap((send) => send.messages)
    expect(messages.map(({ bytes, segment }) => [bytes.toString(), segment])).toEqual([
      ['aaaabbbbccccdd', 4],
      ['eeee', undefined],
      ['fffffggggg', 5],
      ['', undefined],
      ['h', undefined],
    ])
    expect(collecting.texts.slice(1)).toEqual(texts)
  })

  test('answers to one client are joined, answers to two are not', async () => {
    const started = await start()
    const { watched, collecting, fixture, client, port } = started
    const other = await connectClient(port)
    await sendAll(started, client, ['one'])
    await sendAll(started, other, ['two'])
    await until(() => collecting.received.length === 2)
    watched.sends.length = 0
    for (const text of ['a', 'b']) {
      for (const { from } of collecting.received) {
        collecting.socket.send(text, from.port, from.address)
      }
    }
    await fixture.until(() => client.received.length === 2 && other.received.length === 2)
    expect([client.texts, other.texts]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
    const messages = watched.sends.flatMap((send) => send.messages)
    expect(messages.map(({ bytes, segment }) => [bytes.toString(), segment])).toEqual([
      ['ab', 1],
      ['ab', 1],
    ])
  })

  test.each([EINVAL, EMSGSIZE, EIO, EOPNOTSUPP])(
    'what cannot go as a train (errno %i) goes one by one, and nothing is lost',
    async (errno) => {
      const started = await start()
      const { watched, collecting, fixture } = started
      await sendAll(started, started.client, ['open'])
      watched.fail.sendmmsg = (_, messages) =>
        messages[0]?.segment === undefined ? undefined : -errno
      const texts = numbered(30, 20)
      await sendAll(started, started.client, texts)
      await fixture.until(() => collecting.received.length === 31)
      expect(collecting.texts.slice(1)).toEqual(texts)
      // Nor is it tried again with every batch.
      const tried = watched.sends.filter(({ messages }) => messages[0]?.segment !== undefined)
      await sendAll(started, started.client, texts)
      expect(watched.sends.filter(({ messages }) => messages[0]?.segment !== undefined)).toEqual(
        tried,
      )
      expect(tried.length).toBe(1)
      expect((await fixture.counters()).sendErrors).toBe(0)
    },
  )
})

describeBatch('a train that is refused, though trains are not', () => {
  /** An outlet whose trains are refused; how many it tried in three batches, and what went alone. */
  const refusing = async (errno: number, port: number) => {
    const watched = new WatchedLibc(await realLibc())
    const vector = new SendVector(watched.libc, new ReceiveVector(watched.libc).data)
    const budget = { bytesMax: 0, bytes: 0 }
    const losses = { sendErrors: 0, queueFull: 0 }
    const kind = { family: AF_INET, isNamed: true, hasPacketInfo: false } as const
    const outlet = new Outlet({ poller: {} as Poller, vector, budget }, -1, kind, 0, losses)
    let alone = 0
    watched.fail.sendmmsg = (_, messages) => {
      if (messages[0]?.segment !== undefined) return -errno
      alone += 1
      return -EPERM
    }
    const to = packIpv4(0x7f00_0001, port)
    for (let batch = 0; batch < 3; batch++) {
      for (let count = 0; count < 2; count++) outlet.add({ payload: Uint8Array.of(1), to })
      outlet.flush()
    }
    const trains = watched.sends.filter(({ messages }) => messages[0]?.segment !== undefined)
    return { trains: trains.length, alone, lost: losses.sendErrors }
  }

  test.each([
    ['EINVAL', EINVAL, 9, 1],
    ['EINVAL of port 0', EINVAL, 0, 3],
    ['EPERM', EPERM, 9, 3],
    ['EHOSTUNREACH', EHOSTUNREACH, 9, 3],
  ])('%s: its datagrams go alone, once', async (_, errno, port, trains) => {
    expect(await refusing(errno, port)).toEqual({ trains, alone: 6, lost: 6 })
  })

  test('a request from port 0 is not answered: it is dropped as invalid', async () => {
    const started = await start()
    const { fixture, client, collecting } = started
    const from = vi.spyOn(ReceiveVector.prototype, 'from')
    onTestFinished(() => from.mockRestore())
    from.mockReturnValueOnce(packIpv4(0x7f00_0001, 0))
    client.send('forged')
    await fixture.until(() => from.mock.calls.length > 0)
    await sendAll(started, client, ['open'])
    const { machine } = await fixture.counters()
    expect([machine.created, machine.dropped.invalid]).toEqual([1, 1])
    await fixture.until(() => collecting.received.length > 0)
    expect(collecting.texts).toEqual(['open'])
  })
})

describeBatch('sending', () => {
  test('a call that sends only a part is followed by another', async () => {
    const started = await start()
    const { watched, collecting, fixture } = started
    watched.fail.sendmmsg = () => 1
    const texts = numbered(40).map((text, at) => text.padEnd(at % 2 === 0 ? 10 : 20))
    await sendAll(started, started.client, texts)
    await fixture.until(() => collecting.received.length === texts.length)
    expect(collecting.texts).toEqual(texts)
  })

  test('udp 8: of three, the one in the middle fails hard: the others go out', async () => {
    const started = await start()
    const { watched, collecting, fixture } = started
    await sendAll(started, started.client, ['open'])
    watched.fail.sendmmsg = (_, messages) => {
      const bad = messages.findIndex(({ bytes }) => bytes.toString() === 'bad')
      return bad < 0 ? undefined : bad === 0 ? -EPERM : bad
    }
    await sendAll(started, started.client, ['a', 'bad', 'second']) // too long to join the one before
    await fixture.until(() => collecting.received.length === 3)
    expect(collecting.texts).toEqual(['open', 'a', 'second'])
    const { sendErrors, machine } = await fixture.counters()
    expect([sendErrors, machine.closed['backend-failed']]).toEqual([1, 0])
  })

  test.each([
    ['recvmmsg', ECONNREFUSED],
    ['sendmmsg', ECONNREFUSED],
    ['sendmmsg', ENETUNREACH],
    ['sendmmsg', EHOSTUNREACH],
    ['sendmmsg', 112], // EHOSTDOWN
    ['sendmmsg', 64], // ENONET
  ] as const)('%s says %i of a backend: it failed', async (call, errno) => {
    const started = await start()
    const { watched, fixture, collecting } = started
    await sendAll(started, started.client, ['open'])
    const [upstream] = watched.sends.map(({ fd }) => fd)
    watched.fail[call] = (fd: number) => (fd === upstream ? -errno : undefined)
    if (call === 'sendmmsg') started.client.send('more')
    else await answersOf(started, ['answer'])
    await fixture.until(() =>
      fixture.said.some((said) => said.type === 'fact' && said.fact.type === 'backend-failed'),
    )
    const { machine } = await fixture.counters()
    expect(machine.closed['backend-failed']).toBe(1)
    expect(collecting.texts).toEqual(['open'])
  })

  test.each([
    ['EMSGSIZE', EMSGSIZE, 1], // one datagram was too long for the way
    ['ENOBUFS', ENOBUFS, 0],
    ['EAGAIN', EAGAIN, 0],
  ])('%s of an upstream socket says nothing about the backend', async (_, errno, lost) => {
    const started = await start()
    const { watched, fixture, collecting, client } = started
    await sendAll(started, client, ['open'])
    const [upstream] = watched.sends.map(({ fd }) => fd)
    let errors = 1
    watched.fail.recvmmsg = (fd) => (fd === upstream && errors-- > 0 ? -errno : undefined)
    await until(() => collecting.received.length === 1)
    await answersOf(started, ['answer'])
    await fixture.until(() => client.texts.includes('answer'))
    const { machine, sendErrors } = await fixture.counters()
    expect([machine.closed['backend-failed'], sendErrors]).toEqual([0, lost])
  })
})

describeBatch('sockets that take nothing', () => {
  const blocked = () => ({ sendmmsg: () => -EAGAIN })

  test('udp 8: what waits goes first, in order, when the socket takes something again', async () => {
    const started = await start()
    const { watched, collecting, fixture, client } = started
    await sendAll(started, client, ['open'])
    watched.fail = blocked()
    await sendAll(started, client, numbered(100))
    // Not the head of those that wait, but what comes later would find room.
    watched.fail.sendmmsg = (_, [first]) =>
      first?.bytes.toString().startsWith('0 ') ? -EAGAIN : undefined
    await sendAll(started, client, ['last'])
    watched.fail = {}
    await fixture.until(() => collecting.received.length === 102)
    expect(collecting.texts).toEqual(['open', ...numbered(100), 'last'])
    expect(await fixture.counters()).toMatchObject({ sendErrors: 0, queueFull: 0 })
  })

  test('udp 8: partly sent, then blocked: one is gone, the second is the head', async () => {
    const started = await start()
    const { watched, collecting, fixture, client } = started
    await sendAll(started, client, ['open'])
    watched.fail = blocked()
    const texts = ['a', 'bb', 'ccc', 'dddd'] // longer and longer: none joins another
    await sendAll(started, client, texts)
    let allowed = 1
    watched.fail.sendmmsg = () => (allowed-- > 0 ? 1 : -EAGAIN)
    await fixture.turn()
    await until(() => collecting.received.length === 2)
    allowed = 0
    await sendAll(started, client, ['eeeee']) // behind those that wait
    watched.fail = {}
    await fixture.until(() => collecting.received.length === 6)
    expect(collecting.texts).toEqual(['open', ...texts, 'eeeee'])
  })

  test('answers to clients wait likewise', async () => {
    const started = await start()
    const { watched, collecting, fixture, client } = started
    await sendAll(started, client, ['open'])
    await until(() => collecting.received.length === 1)
    watched.fail = blocked()
    await answersOf(started, numbered(50))
    for (let turns = 0; turns < 10; turns++) await fixture.turn()
    expect(client.received).toEqual([])
    watched.fail = {}
    await fixture.until(() => client.received.length === 50)
    expect(client.texts).toEqual(numbered(50))
  })

  test('udp W21: a flow has 256 KiB waiting at most; what comes then is dropped and counted', async () => {
    const started = await start()
    const { watched, collecting, fixture, client } = started
    await sendAll(started, client, ['open'])
    watched.fail = blocked()
    const texts = numbered(300, 1_000)
    await sendAll(started, client, texts)
    const kept = Math.floor((256 * 1024) / (1_000 + 128)) // and what each costs besides
    expect((await fixture.counters()).queueFull).toBe(300 - kept)
    watched.fail = {}
    await fixture.until(() => collecting.received.length === kept + 1)
    expect(collecting.texts.slice(1)).toEqual(texts.slice(0, kept))
    // There is as much room again.
    watched.fail = blocked()
    await sendAll(started, client, texts)
    expect((await fixture.counters()).queueFull).toBe(2 * (300 - kept))
  })

  test('udp W21: all sockets together have a limit, which those that close give back', async () => {
    const started = await start({ queuedBytesMax: 10 * (100 + 128) })
    const { watched, collecting, fixture, client, port } = started
    const other = await connectClient(port)
    await sendAll(started, client, ['open'])
    await sendAll(started, other, ['open'])
    watched.fail = blocked()
    await sendAll(started, client, numbered(8, 100))
    await sendAll(started, other, numbered(8, 100))
    expect((await fixture.counters()).queueFull).toBe(6)
    // What was sent makes room for as much.
    watched.fail = {}
    await fixture.until(() => collecting.received.length === 12)
    watched.fail = blocked()
    await sendAll(started, other, numbered(8, 100))
    await sendAll(started, client, numbered(8, 100))
    expect((await fixture.counters()).queueFull).toBe(12)
    // The flows end, and what waited is lost: counted, and not waiting any more.
    fixture.tell({ type: 'event', listener: 1, event: { type: 'abort-all' } })
    await fixture.until(() => fixture.said.some(({ type }) => type === 'over'))
    const over = fixture.said.find((message) => message.type === 'over')!
    expect(over.counters).toMatchObject({ sendErrors: 10, queueFull: 12, flowsLive: 0 })
  })

  test('an empty datagram that waits costs something too', async () => {
    const started = await start({ queuedBytesMax: 3 * 128 })
    const { watched, fixture, client } = started
    await sendAll(started, client, ['open'])
    watched.fail = blocked()
    await sendAll(started, client, ['', '', '', '', ''])
    expect((await fixture.counters()).queueFull).toBe(2)
  })

  test('a header waits with its payload', async () => {
    const started = await start({ config: { proxyProtocol: 'every' } })
    const { watched, collecting, fixture, client } = started
    await sendAll(started, client, ['open'])
    watched.fail = blocked()
    await sendAll(started, client, ['held'])
    watched.fail = {}
    await fixture.until(() => collecting.received.length === 2)
    expect(collecting.received[1]!.payload.subarray(28).toString()).toBe('held')
  })
})
