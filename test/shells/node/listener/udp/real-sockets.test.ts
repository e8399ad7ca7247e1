import { createSocket, type Socket } from 'node:dgram'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ListenerCommand } from '../../../../../core/node/commands.ts'
import { udpOf } from '../../../../core/node/obedient-shell.ts'
import {
  backend,
  type Fixture,
  HOST,
  replica,
  startEcho,
  startFixture,
  UDP_LISTENER,
  until,
} from '../fixture.ts'

const configure = (more: Parameters<typeof udpOf>[0]): ListenerCommand => ({
  type: 'configure-listener',
  listener: UDP_LISTENER,
  protocol: 'udp',
  udp: udpOf(more),
  drainTimeoutMs: 30_000,
  access: [],
  idleAfterMs: 0,
})

describe('with real sockets', () => {
  /** Answers every datagram with its own name and what it got. */
  async function startUdpEcho(name: string): Promise<number> {
    const socket = createSocket('udp4')
    onTestFinished(() => void socket.close())
    socket.on('message', (payload, { port, address }) =>
      socket.send(`${name}:${payload}`, port, address),
    )
    await new Promise<void>((resolve) => socket.bind(0, HOST, resolve))
    return socket.address().port
  }

  function startClient(port: number): { ask(text: string): Promise<string>; socket: Socket } {
    const socket = createSocket('udp4')
    onTestFinished(() => void socket.close())
    const answers: string[] = []
    socket.on('message', (payload) => void answers.push(payload.toString()))
    return {
      socket,
      ask: async (text) => {
        answers.length = 0
        socket.send(text, port, HOST)
        await until(() => answers.length > 0)
        return answers[0]!
      },
    }
  }

  test('datagrams go to a backend and back; flows and counters say so', async () => {
    const node = await startFixture()
    const port = await node.openUdp()
    await node.applyBackends([backend(1, await startUdpEcho('one'))], UDP_LISTENER)
    const client = startClient(port)
    expect(await client.ask('hello')).toBe('one:hello')
    const [list] = await node.listeners.flows(10)
    expect(list).toMatchObject({ listener: UDP_LISTENER, total: 1 })
    expect(list?.flows).toMatchObject([{ backend: replica(1), isAnswered: true, phase: 'open' }])
    const [found] = await node.listeners.counters()
    expect(found?.counters).toMatchObject({
      machine: { created: 1, datagramsUp: 1, datagramsDown: 1, bytesUp: 5, bytesDown: 9 },
      flowsLive: 1,
    })
  })

  test('proxy W15: a network policy holds over udp, also for flows that are there', async () => {
    const node = await startFixture()
    const port = await node.openUdp()
    await node.applyBackends([backend(1, await startUdpEcho('one'))], UDP_LISTENER)
    const client = startClient(port)
    expect(await client.ask('before')).toBe('one:before')
    const access = [{ sources: ['127.0.0.0/8'], verdict: 'deny' }] as const
    node.listeners.apply({ ...configure({}), access } as ListenerCommand)
    const dropped = async (): Promise<number> => {
      const [found] = await node.listeners.counters()
      return found!.counters.machine.dropped.forbidden
    }
    for (let last = await dropped(); last < 2; last = await dropped()) {
      client.socket.send('after', port, HOST)
    }
    const [found] = await node.listeners.counters()
    expect(found?.counters).toMatchObject({
      machine: { created: 1, closed: { forbidden: 1 }, datagramsUp: 1 },
      flowsLive: 0,
    })
  })

  test('another block keeps the socket and the flow', async () => {
    const node = await startFixture()
    const port = await node.openUdp()
    await node.applyBackends([backend(1, await startUdpEcho('one'))], UDP_LISTENER)
    const client = startClient(port)
    await client.ask('before')
    node.listeners.apply(configure({ datagramBytesMax: 10 }))
    client.socket.send('far too long', port, HOST)
    expect(await client.ask('after')).toBe('one:after')
    const [found] = await node.listeners.counters()
    expect(found?.counters.machine).toMatchObject({ created: 1, dropped: { oversize: 1 } })
  })

  test('proxy W26 udp W24: a closed listener has let go of its port, and its backends are drained', async () => {
    const node = await startFixture()
    const port = await node.openUdp()
    await node.applyBackends([backend(1, await startUdpEcho('one'))], UDP_LISTENER)
    await startClient(port).ask('hello')
    const closed = node.close(UDP_LISTENER)
    await node.applyBackends([], UDP_LISTENER)
    await node.event('backend-drained')
    await closed
    const next = createSocket('udp4')
    onTestFinished(() => void next.close())
    await new Promise<void>((resolve, reject) => {
      next.once('error', reject)
      next.bind({ port, address: HOST, exclusive: true }, resolve)
    })
    const [found] = await node.listeners.counters()
    expect(found?.counters).toMatchObject({ machine: { created: 1 }, flowsLive: 0 })
  })

  test('a port that is taken is a failure that names the holder', async () => {
    const holder = createSocket('udp4')
    onTestFinished(() => void holder.close())
    await new Promise<void>((resolve) => holder.bind({ port: 0, address: HOST }, resolve))
    const node = await startFixture()
    node.requestOpenUdp(holder.address().port)
    const failed = await node.event('socket-failed')
    expect(failed.reason).toBe('the address is in use')
    expect(failed.holder).toContain(`(pid ${process.pid})`)
  })

  test('udp W35: tcp and udp have one port, side by side', async () => {
    const { node, port } = await openBoth()
    const echo = await startEcho()
    await node.applyBackends([backend(1, echo.port)])
    await node.applyBackends([backend(1, await startUdpEcho('udp'))], UDP_LISTENER)
    expect(await startClient(port).ask('hello')).toBe('udp:hello')
  })
})

/** What is free for UDP may be somebody else's for TCP: another one is as good. */
async function openBoth(): Promise<{ node: Fixture; port: number }> {
  for (;;) {
    const node = await startFixture()
    const port = await node.openUdp()
    const failed = node.event('socket-failed').then(() => undefined)
    if ((await Promise.race([node.open(port), failed])) === port) return { node, port }
  }
}
