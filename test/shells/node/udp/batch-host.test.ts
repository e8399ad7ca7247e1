import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { defaultUdpConfig } from '../../../../core/udp/config.ts'
import { loadLibc } from '../../../../shells/node/udp/batch/system/libc.ts'
import { BatchHost, batchProblem } from '../../../../shells/node/udp/batch-host.ts'
import { makeUdpHost } from '../../../../shells/node/udp/choose-host.ts'
import { BatchFixture, describeBatch, startBatch } from './batch-fixture.ts'
import {
  backend,
  connectClient,
  descriptors,
  freePort,
  HOST,
  Peer,
  startBackend,
  startEcho,
  until,
} from './dgram-fixture.ts'

const inUse = { code: 'EADDRINUSE' }
const FAILING = new URL('./batch-failing-worker.ts', import.meta.url)

describeBatch('listen, in the worker', () => {
  test('rejects with the system`s error, said as Node says it, and may be called again', async () => {
    const other = await new Peer().bind()
    const echo = await startEcho()
    const fixture = new BatchFixture({ backends: [backend('a', echo.port)] })
    const { port } = other
    await expect(fixture.listener.listen(HOST, port)).rejects.toMatchObject({
      message: `bind EADDRINUSE ${HOST}:${port}`,
      code: 'EADDRINUSE',
      syscall: 'bind',
      errno: -98,
    })
    await expect(fixture.listener.listen('0.0.0.0', port)).rejects.toMatchObject(inUse)
    await expect(fixture.listener.listen('192.0.2.77', 0)).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    })
    await expect(fixture.listener.listen('x'.repeat(64), 0)).rejects.toMatchObject({
      code: 'ENOTFOUND',
    })
    other.close()
    expect(await fixture.listen(HOST, port)).toBe(port)
    const client = await connectClient(port)
    await client.exchange('hi', 'hi') // with the backends it was given before
  })

  test('the port is ours alone, and once', async () => {
    const fixture = new BatchFixture()
    const first = fixture.listen()
    await expect(fixture.listen()).rejects.toThrow('binding already')
    const port = await first
    await expect(fixture.listen()).rejects.toThrow('listening already')
    await expect(new Peer().bind(HOST, port)).rejects.toMatchObject(inUse)
    await fixture.listener.close()
    await expect(fixture.listen()).rejects.toThrow('stopped already')
  })
})

describeBatch('the port is free again, after the worker`s part', () => {
  test('udp W24: of close; emptied follows when the backends are gone', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startBatch({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    await fixture.listener.close()
    await new Peer().bind(HOST, port)
    expect(fixture.said('emptied')).toEqual([]) // somebody still has a backend to take away
    fixture.apply([])
    await until(() => fixture.said('emptied').length > 0)
    expect(fixture.facts.slice(1)).toEqual([
      { type: 'backends-applied', version: 2 },
      { type: 'backend-drained', backend: 'a', version: 2 },
      { type: 'emptied' },
    ])
    // What was counted stays known.
    expect((await fixture.listener.counters()).machine.closed.drained).toBe(1)
    expect(await fixture.listener.flows(10)).toEqual({ flows: [], total: 0 })
  })

  test('of abort', async () => {
    const echo = await startEcho()
    const { fixture, port } = await startBatch({ backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    fixture.listener.abort()
    await until(() => fixture.said('emptied').length > 0)
    await new Peer().bind(HOST, port)
    expect((await fixture.listener.counters()).machine.closed.aborted).toBe(1)
  })

  test('of close or abort in the middle of listen', async () => {
    for (const end of ['close', 'abort'] as const) {
      const fixture = new BatchFixture()
      const port = await freePort()
      const listening = fixture.listen('0.0.0.0', port)
      await Promise.resolve() // past the look at the host
      const ended = fixture.listener[end]()
      const outcome = await listening.catch((error: Error) => error.message)
      await ended
      await until(() => fixture.said('emptied').length === 1)
      await new Peer().bind('0.0.0.0', port)
      expect([port, 'the listener was closed']).toContain(outcome)
    }
  })

  test('of dispose, which says nothing', async () => {
    const fixture = new BatchFixture()
    fixture.listener.dispose()
    await new BatchFixture().listen() // one after the other, in the same worker
    expect(fixture.facts).toEqual([])
  })

  test('a close waits for an answer that is owed, and sends it', async () => {
    const slow = await startBackend(() => [])
    const { fixture, port } = await startBatch({
      config: { lingerMs: 20_000 },
      backends: [backend('a', slow.port)],
    })
    const client = await connectClient(port)
    client.send('question')
    await until(() => slow.received.length > 0)
    const closing = fixture.listener.close()
    const dropped = async () => (await fixture.listener.counters()).machine.dropped.draining
    expect(await dropped()).toBe(0) // and the worker knows that it closes
    const late = await connectClient(port)
    late.send('too late')
    await until(async () => (await dropped()) > 0)
    const { from } = slow.received[0]!
    slow.socket.send('answer', from.port, from.address)
    await closing
    await until(() => client.texts.includes('answer'))
  })
})

describeBatch('stop', () => {
  test('ends whatever the listeners were doing, and leaves no descriptor', async () => {
    const notices: string[] = []
    const facts: string[] = []
    const before = descriptors()
    const host = new BatchHost({ notice: (text) => notices.push(text) })
    const echo = await startEcho()
    const options = {
      config: defaultUdpConfig,
      balance: { strategy: 'hrw', failOpen: true },
      fact: ({ type }: { type: string }) => facts.push(type),
      hostFailed: (reason: string) => notices.push(reason),
    } as const
    const [busy, closing, binding] = [host.open(options), host.open(options), host.open(options)]
    host.open(options) // never listens
    const clients: Peer[] = []
    for (const listener of [busy, closing]) {
      // The second name is still being looked up when the end comes.
      listener.applyBackends(1, [backend('a', echo.port), backend('b', echo.port, 'localhost')])
      const port = Number((await listener.listen(HOST, 0)).split(':')[1])
      for (let count = 0; count < 20; count++) clients.push(await connectClient(port))
    }
    for (const client of clients) client.send('hi')
    await until(async () => (await busy.counters()).machine.created > 0)
    void closing.close()
    const listening = binding.listen('0.0.0.0', 0).catch(() => 'closed')
    await host.stop()
    await listening
    for (const peer of [...clients, echo]) peer.close()
    await until(() => descriptors() <= before)
    expect(facts.filter((type) => type === 'emptied').length).toBe(4)
    expect(notices).toEqual([])
  })

  test('without a listener there is nothing to stop; afterwards it can be used again', async () => {
    const host = new BatchHost({ notice: () => {} })
    await host.stop()
    const echo = await startEcho()
    const { port } = await startBatch({ host, backends: [backend('a', echo.port)] })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    await host.stop()
    await new Peer().bind(HOST, port)
  })
})

describeBatch('when the worker fails', () => {
  test.each([
    [
      'throw',
      /^the UDP worker failed: Error: thrown in the worker at .*batch-failing-worker\.ts:\d+/,
    ],
    ['exit', /^the UDP worker failed: it ended with 7$/],
  ])('%s: it is said, and its listeners are opened again on their ports', async (how, notice) => {
    const echo = await startEcho()
    const broken = await startBatch({ worker: FAILING, backends: [backend('a', echo.port)] })
    const { host } = broken.fixture
    const other = await startBatch({ host, backends: [backend('a', echo.port)] })
    const unbound = new BatchFixture({ host })
    const clients = [await connectClient(broken.port), await connectClient(other.port)]
    for (const client of clients) await client.exchange('before', 'before')
    broken.fixture.listener.cutBackend(how)
    await until(() => broken.fixture.hostFailures.length > 0)
    expect(broken.fixture.notices).toEqual([expect.stringMatching(notice)])
    for (const fixture of [broken.fixture, other.fixture, unbound]) {
      expect(fixture.hostFailures).toEqual(['the UDP worker failed; the listener is opened again'])
    }
    for (const client of clients) await client.exchange('after', 'after')
    expect(await unbound.listen()).toBeGreaterThan(0)
  })

  test('nothing waits any more for a backend that left', async () => {
    const [silent, echo] = [await startBackend(() => []), await startEcho()]
    const { fixture, port } = await startBatch({
      worker: FAILING,
      config: { lingerMs: 60_000, halfOpenTimeoutMs: 60_000 },
      backends: [backend('silent', silent.port)],
    })
    const client = await connectClient(port)
    await client.ask('hi', () => silent.received.length > 0)
    fixture.apply([backend('echo', echo.port)])
    await until(() => fixture.said('backends-applied').length === 2)
    expect(fixture.said('backend-drained')).toEqual([])
    fixture.listener.cutBackend('exit')
    await until(() => fixture.said('backend-drained').length > 0)
    expect(fixture.said('backend-drained')).toEqual([
      { type: 'backend-drained', backend: 'silent', version: 2 },
    ])
    await client.exchange('hi', 'hi')
  })

  test('every descriptor it had is closed, and calls that wait are answered', async () => {
    const before = descriptors()
    const echo = await startEcho()
    const { fixture, port } = await startBatch({
      worker: FAILING,
      backends: [backend('a', echo.port)],
    })
    const client = await connectClient(port)
    await client.exchange('hi', 'hi')
    fixture.listener.cutBackend('exit')
    const waiting = [fixture.listener.counters(), fixture.listener.flows(1)]
    const closing = fixture.listener.close()
    await Promise.all(waiting)
    await closing
    await new Peer().bind(HOST, port).then((peer) => peer.close())
    fixture.apply([])
    await until(() => fixture.said('emptied').length === 1)
    await fixture.host.stop()
    for (const peer of [client, echo]) peer.close()
    await until(() => descriptors() <= before)
  })

  test('a listener whose machine throws is opened again, the others do not notice', async () => {
    const echo = await startEcho()
    const broken = await startBatch({ worker: FAILING, backends: [backend('a', echo.port)] })
    const { host } = broken.fixture
    const other = await startBatch({ host, backends: [backend('a', echo.port)] })
    const clients = [await connectClient(broken.port), await connectClient(other.port)]
    for (const client of clients) await client.exchange('before', 'before')
    broken.fixture.listener.cutBackend('break')
    await until(() => broken.fixture.hostFailures.length > 0)
    expect(broken.fixture.notices[0]).toMatch(/^a UDP listener failed: TypeError: .* at .*$/)
    for (const client of clients) await client.exchange('after', 'after')
    expect(other.fixture.hostFailures).toEqual([])
    expect((await other.fixture.listener.counters()).machine.created).toBe(1)
  })

  test('a port that was taken meanwhile is asked for again and again, and that is said', async () => {
    const host = new BatchHost({ notice: () => {}, worker: FAILING })
    onTestFinished(() => host.stop())
    const failures: string[] = []
    const thief = new Peer()
    const listener = host.open({
      config: defaultUdpConfig,
      balance: { strategy: 'hrw', failOpen: true },
      fact: () => {},
      hostFailed: (reason) => {
        // The worker is gone, the next one is not there yet: the port is anybody's.
        if (failures.push(reason) === 1) thief.socket.bind(port, HOST)
      },
    })
    const port = Number((await listener.listen(HOST, 0)).split(':')[1])
    listener.cutBackend('exit')
    await until(() => failures.length > 1)
    expect(failures).toEqual([
      'the UDP worker failed; the listener is opened again',
      `cannot listen on ${HOST} port ${port} again: the address is in use`,
    ])
    thief.close()
    await until(async () => {
      const outcome = await new Peer().bind(HOST, port).then(
        (peer) => peer.close(),
        () => 'ours',
      )
      return outcome === 'ours'
    })
  })
})

describe('which host', () => {
  test('the plain one where the worker is missing, and why', async () => {
    const missing = new URL('./no-such-worker.ts', import.meta.url)
    expect(await batchProblem(missing)).toBe(`${missing.pathname} is missing`)
  })

  test('the plain one without koffi, with exactly one line', async () => {
    vi.doMock('koffi', () => {
      throw Object.assign(new Error('not here'), { code: 'ERR_MODULE_NOT_FOUND' })
    })
    onTestFinished(() => void vi.doUnmock('koffi'))
    const notices: string[] = []
    const host = await makeUdpHost({ notice: (text) => notices.push(text) })
    expect(host.kind).toBe('dgram')
    expect(notices.length).toBe(1)
    expect(notices[0]).toMatch(/^UDP runs on plain sockets: .*koffi/)
  })

  test.each([
    ['darwin', 'arm64'],
    ['linux', 'ia32'],
    ['win32', 'x64'],
  ])('the plain one on %s %s', async (platform, arch) => {
    const real = { platform: process.platform, arch: process.arch }
    const set = (values: object) => {
      for (const [key, value] of Object.entries(values)) {
        Object.defineProperty(process, key, { value, configurable: true })
      }
    }
    onTestFinished(() => set(real))
    set({ platform, arch })
    expect(await loadLibc()).toEqual({ type: 'unavailable', reason: `not on ${platform} ${arch}` })
  })

  test('WEIR_UDP overrides what the caller says', async () => {
    const notices: string[] = []
    const notice = (text: string): void => void notices.push(text)
    onTestFinished(() => void vi.unstubAllEnvs())
    expect((await makeUdpHost({ notice, kind: 'dgram' })).kind).toBe('dgram')
    vi.stubEnv('WEIR_UDP', 'dgram')
    expect((await makeUdpHost({ notice, kind: 'batch' })).kind).toBe('dgram')
    expect(notices).toEqual([])
    vi.stubEnv('WEIR_UDP', 'fast')
    expect((await makeUdpHost({ notice, kind: 'dgram' })).kind).toBe('dgram')
    expect(notices).toEqual(['WEIR_UDP is auto, batch or dgram, not fast'])
  })

  describeBatch('where the calls work', () => {
    test('batches', async () => {
      const notices: string[] = []
      const host = await makeUdpHost({ notice: (text) => notices.push(text) })
      expect([host.kind, notices]).toEqual(['batch', []])
      await host.stop()
    })
  })
})

describeBatch('a process started otherwise', () => {
  test('its flags are not the worker`s', async () => {
    const script = `
      import { BatchHost } from '${new URL('../../../../shells/node/udp/batch-host.ts', import.meta.url)}'
      import { defaultUdpConfig as config } from '${new URL('../../../../core/udp/config.ts', import.meta.url)}'
      const host = new BatchHost({ notice: console.log })
      const balance = { strategy: 'hrw', failOpen: true }
      const listener = host.open({ config, balance, fact: () => {}, hostFailed: console.log })
      console.log(await listener.listen('${HOST}', 0))
      await host.stop()`
    const flags = ['--input-type=module', '--eval', script]
    const { stdout } = await promisify(execFile)(process.execPath, flags)
    expect(stdout).toMatch(/^127\.0\.0\.1:\d+\n$/)
  })
})

describe('a worker that does not start', () => {
  test('is said, and tried again', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'weir-worker-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const file = join(directory, 'worker.mjs')
    await writeFile(file, 'throw new Error("no such luck")')
    const fixture = new BatchFixture({ worker: pathToFileURL(file) })
    await expect(fixture.listen()).rejects.toThrow('the UDP worker ended (1)')
    await until(() => fixture.notices.length >= 2)
    expect(fixture.notices[0]).toMatch(/^the UDP worker failed: Error: no such luck at /)
    await fixture.host.stop()
    expect(fixture.said('emptied').length).toBe(1)
  })
})
