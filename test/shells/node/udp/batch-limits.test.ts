import { constants } from 'node:os'
import { expect, onTestFinished, test, vi } from 'vitest'
import { defaultUdpConfig } from '../../../../core/udp/config.ts'
import type { ResolvedName } from '../../../../shells/node/udp/batch/messages.ts'
import { Names } from '../../../../shells/node/udp/names.ts'
import type { UdpShellCounters } from '../../../../shells/node/udp/udp-host.ts'
import { describeBatch, LoopFixture, realLibc } from './batch-fixture.ts'
import { WatchedLibc } from './batch-watched-libc.ts'
import { backend, connectClient, HOST, startBackend, startEcho } from './dgram-fixture.ts'

const { EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL, EADDRINUSE, EAGAIN, ENOSPC, EHOSTUNREACH } =
  constants.errno

async function start() {
  const watched = new WatchedLibc(await realLibc())
  const echo = await startEcho()
  const fixture = new LoopFixture(watched.libc, { backends: [backend('a', echo.port)] })
  const port = await fixture.listen()
  return { watched, fixture, port, client: await connectClient(port) }
}

describeBatch('when this machine lacks something', () => {
  test.each([
    ['socket', EMFILE, 'out of file descriptors (limit of this process)'],
    ['socket', ENFILE, 'out of file descriptors (limit of the system)'],
    ['socket', ENOBUFS, 'ENOBUFS'],
    ['socket', ENOMEM, 'ENOMEM'],
    ['connect', EAGAIN, 'EAGAIN'],
    ['connect', EADDRINUSE, 'the address is in use'],
    ['connect', EADDRNOTAVAIL, 'the address is not one of this machine'],
    ['epollCtl', ENOSPC, 'ENOSPC'],
  ] as const)(
    'proxy W28: %s says %i: the flow ends, and the backend is not blamed',
    async (call, errno, reason) => {
      const { watched, fixture, client } = await start()
      const open = [...watched.open]
      watched.fail[call] = () => -errno
      client.send('in vain')
      await fixture.until(() => fixture.said.some(({ type }) => type === 'host-failed'))
      expect(fixture.said.at(-1)).toEqual({ type: 'host-failed', listener: 1, reason })
      const { machine } = await fixture.counters()
      expect([machine.closed['host-limit'], machine.closed['backend-failed']]).toEqual([1, 0])
      expect([...watched.open]).toEqual(open) // nothing is left of the attempt
      // Better times: it goes on by itself.
      watched.fail = {}
      const asked = client.ask('again', () => client.texts.includes('again'))
      await fixture.until(() => client.texts.includes('again'))
      await asked
    },
  )

  test('one reason is said once a second, however often it is met', async () => {
    const { watched, fixture, port } = await start()
    watched.fail.socket = () => -EMFILE
    const startedAt = performance.now()
    const failed = async () => (await fixture.counters()).machine.closed['host-limit']
    while ((await failed()) < 4) {
      const client = await connectClient(port)
      client.send('in vain')
      await fixture.turn()
      client.close()
    }
    const said = fixture.said.filter(({ type }) => type === 'host-failed').length
    expect(said).toBeLessThanOrEqual(1 + (performance.now() - startedAt) / 1_000)
  })

  test('no way to a backend is the backend`s', async () => {
    const { watched, fixture, client } = await start()
    watched.fail.connect = () => -EHOSTUNREACH
    client.send('in vain')
    const isFailed = () =>
      fixture.said.some((said) => said.type === 'fact' && said.fact.type === 'backend-failed')
    await fixture.until(isFailed)
    expect(fixture.said.some(({ type }) => type === 'host-failed')).toBe(false)
  })

  test('a listener that cannot be watched is not bound', async () => {
    const { watched, fixture, port } = await start()
    fixture.tell({
      type: 'open',
      listener: 2,
      config: defaultUdpConfig,
      balance: { strategy: 'hrw', failOpen: true },
    })
    const open = [...watched.open]
    watched.fail.epollCtl = () => -ENOSPC
    const listening = fixture.call({ type: 'listen', listener: 2, call: 0, host: HOST, port: 0 })
    await expect(listening).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'epoll_ctl' })
    expect([...watched.open]).toEqual(open)
    watched.fail = {}
    const again = fixture.call({ type: 'listen', listener: 2, call: 0, host: HOST, port })
    await expect(again).rejects.toMatchObject({
      message: `bind EADDRINUSE ${HOST}:${port}`,
      code: 'EADDRINUSE',
      syscall: 'bind',
    })
  })
})

describeBatch('descriptors and deadlines', () => {
  test('a flow that ends gives its socket back, at its deadline', async () => {
    const watched = new WatchedLibc(await realLibc())
    const quiet = await startBackend(() => [])
    const fixture = new LoopFixture(watched.libc, {
      config: { halfOpenTimeoutMs: 50 },
      backends: [backend('a', quiet.port)],
    })
    const client = await connectClient(await fixture.listen())
    const open = [...watched.open]
    client.send('no answer')
    const live = async () => (await fixture.counters()).flowsLive
    await fixture.until(() => watched.open.size > open.length)
    expect(await live()).toBe(1)
    // Nothing happens any more: the turn ends for the deadline, long before its time is up.
    const startedAt = performance.now()
    while (watched.open.size > open.length) fixture.loop.turn(60_000)
    expect(performance.now() - startedAt).toBeLessThan(30_000)
    expect([...watched.open]).toEqual(open)
    expect(await live()).toBe(0)
  })

  test('a listener that was closed is not bound again, though its backends keep it', async () => {
    const { watched, fixture, port } = await start()
    fixture.tell({ type: 'event', listener: 1, event: { type: 'close' } })
    await fixture.until(() => fixture.said.some(({ type }) => type === 'stopped-listening'))
    const open = [...watched.open]
    const listening = { type: 'listen', listener: 1, call: 0, host: HOST, port } as const
    expect(await fixture.call(listening)).toBeUndefined()
    expect([...watched.open]).toEqual(open)
  })
})

describeBatch('fairness', () => {
  test('udp W31: a flood on one listener leaves others and timers their turn', async () => {
    const watched = new WatchedLibc(await realLibc())
    const quiet = await startBackend(() => [])
    const backends = [backend('a', quiet.port)]
    const fixture = new LoopFixture(watched.libc, { backends })
    const flooded = await fixture.listen()
    fixture.tell(
      {
        type: 'open',
        listener: 2,
        config: defaultUdpConfig,
        balance: { strategy: 'hrw', failOpen: true },
      },
      { type: 'event', listener: 2, event: { type: 'apply-backends', version: 1, backends } },
    )
    const bound = await fixture.call({ type: 'listen', listener: 2, call: 0, host: HOST, port: 0 })
    const loud = await connectClient(flooded)
    for (let count = 0; count < 3_000; count++) loud.send('flood')
    const single = await connectClient(Number((bound as string).split(':')[1]))
    await new Promise<void>((sent) => single.socket.send('please', () => sent()))
    await fixture.turn()
    const seen = async (listener: number): Promise<number> => {
      const answer = await fixture.call({ type: 'counters', listener, call: 0 })
      return (answer as UdpShellCounters).machine.datagramsUp
    }
    expect(await seen(2)).toBe(1)
    expect(await seen(1)).toBeLessThan(3_000)
  })
})

describeBatch('flows whose backend has a name', () => {
  test('that ended do not wait for its address', async () => {
    const lookUp = vi.spyOn(Names.prototype, 'lookUp')
    onTestFinished(() => lookUp.mockRestore())
    const fixture = new LoopFixture(await realLibc(), {
      backends: [backend('a', 9, 'backend.test')],
    })
    const port = await fixture.listen()
    for (const _ of [1, 2]) (await connectClient(port)).send('hi')
    await fixture.until(() => lookUp.mock.calls.length === 2)
    const names = lookUp.mock.contexts[0] as Names<ResolvedName>
    expect(names.waiting).toBe(2)
    fixture.tell({ type: 'event', listener: 1, event: { type: 'abort-all' } })
    await fixture.until(() => fixture.said.some(({ type }) => type === 'over'))
    expect(names.waiting).toBe(0)
  })
})
