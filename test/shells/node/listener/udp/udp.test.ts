import { describe, expect, test } from 'vitest'
import type { ListenerCommand } from '../../../../../core/node/commands.ts'
import { listenerId, serviceKey } from '../../../../../core/services/identity.ts'
import { udpOf } from '../../../../core/node/obedient-shell.ts'
import {
  backend,
  type Fixture,
  HOST,
  replica,
  startFixture,
  UDP_LISTENER,
  until,
} from '../fixture.ts'
import { FakeUdpHost, type FakeUdpListener } from './fake-udp-host.ts'

const OTHER = listenerId(serviceKey('demo', 'dns'), 'dns', 4)
const AGAIN = listenerId(serviceKey('demo', 'web'), 'udp', 5)
/** A budget of 70 flows. */
const LIMITS = { descriptors: 100, localPorts: 28_232 }

async function faked(): Promise<{ node: Fixture; host: FakeUdpHost }> {
  const host = new FakeUdpHost()
  const node = await startFixture({ makeUdpHost: () => host, limits: LIMITS })
  return { node, host }
}

const only = ({ listeners }: FakeUdpHost): FakeUdpListener => {
  expect(listeners).toHaveLength(1)
  return listeners[0]!
}

const configure = (
  more: Parameters<typeof udpOf>[0],
  listener = UDP_LISTENER,
): ListenerCommand => ({
  type: 'configure-listener',
  listener,
  protocol: 'udp',
  udp: udpOf(more),
  drainTimeoutMs: 30_000,
  access: [],
  idleAfterMs: 0,
})

describe('what a udp listener is told', () => {
  test('the host is made for the first udp listener, and once', async () => {
    let made = 0
    const host = new FakeUdpHost()
    const makeUdpHost = () => {
      made += 1
      return host
    }
    const node = await startFixture({ makeUdpHost })
    await node.open()
    expect(made).toBe(0)
    await Promise.all([node.openUdp(), node.openUdp({}, OTHER)])
    expect([made, host.listeners.length]).toEqual([1, 2])
  })

  test('its life: opened, given sets, configured, cut, closed, over', async () => {
    const { node, host } = await faked()
    await node.openUdp({ responses: 1 })
    const listener = only(host)
    expect(listener.options.balance).toEqual({ strategy: 'hrw', failOpen: true })
    expect(listener.options.config).toMatchObject({ responses: 1, flowsMax: 70 })
    await node.applyBackends([backend(1, 9)], UDP_LISTENER)
    node.listeners.apply(configure({ responses: 2 }))
    node.listeners.apply({ type: 'cut-backend', listener: UDP_LISTENER, backend: replica(1) })
    const closed = node.close(UDP_LISTENER)
    await until(() => listener.told.includes('close'))
    expect(node.events.some(({ type }) => type === 'socket-unbound')).toBe(false)
    listener.closing.resolve()
    await closed
    listener.fact({ type: 'emptied' })
    const { told } = listener
    const [configured] = told.splice(2, 1) as [unknown[]]
    expect(configured).toMatchObject(['configure', { responses: 2, flowsMax: 70 }])
    expect(told).toEqual([
      ['listen', HOST, 0],
      ['backends', 1, [replica(1)]],
      ['cut', replica(1)],
      'close',
      'dispose',
    ])
  })

  test('a bind that fails is told, and nothing is kept for it', async () => {
    const { node, host } = await faked()
    host.failures.push(Object.assign(new Error('bind'), { code: 'EACCES' }))
    const { socket, attempt } = node.requestOpenUdp(53)
    expect(await node.event('socket-failed')).toEqual({
      type: 'socket-failed',
      socket,
      attempt,
      reason: 'permission denied',
    })
    expect(only(host).told).toEqual([['listen', HOST, 53]])
    // What it had of the flows is dealt to others until it is tried again.
    await node.openUdp({}, OTHER)
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([70, 70])
    await node.bind({ use: { kind: 'udp', listener: UDP_LISTENER } })
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([35, 35])
  })

  test('one that does not listen yet has no part of the flows', async () => {
    const { node, host } = await faked()
    node.openUdpDoor({ flowsMax: 60 }, OTHER)
    await node.openUdp()
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([70])
    node.listeners.apply(configure({ flowsMax: 50 }, OTHER))
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([70])
    await node.bind({ use: { kind: 'udp', listener: OTHER } })
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([20, 50])
  })

  test('a host that cannot be made is a failed open, and is tried again with the next', async () => {
    const host = new FakeUdpHost()
    let works = false
    const makeUdpHost = async () => {
      if (!works) throw new Error('no threads today')
      return host
    }
    const node = await startFixture({ makeUdpHost })
    node.requestOpenUdp(0)
    expect((await node.event('socket-failed')).reason).toBe('no threads today')
    works = true
    await node.bind({ use: { kind: 'udp', listener: UDP_LISTENER } })
    expect(host.listeners).toHaveLength(1)
  })

  test('closed while its host is being made', async () => {
    const making = Promise.withResolvers<FakeUdpHost>()
    const node = await startFixture({ makeUdpHost: () => making.promise })
    node.requestOpenUdp(0)
    const closed = node.close(UDP_LISTENER)
    making.reject(new Error('no'))
    await closed
    expect(node.events.map(({ type }) => type)).toEqual(['socket-failed', 'socket-unbound'])
    expect(await node.listeners.flows(10)).toEqual([])
  })

  test('closed without a host, with backends: each is drained when it is taken away', async () => {
    const makeUdpHost = async () => Promise.reject(new Error('no'))
    const node = await startFixture({ makeUdpHost })
    node.requestOpenUdp(0)
    await node.applyBackends([backend(1, 9), backend(2, 9), backend(3, 9)], UDP_LISTENER)
    await node.event('socket-failed')
    await node.applyBackends([backend(1, 9), backend(2, 9)], UDP_LISTENER)
    await node.close(UDP_LISTENER)
    await node.applyBackends([backend(2, 9)], UDP_LISTENER)
    expect(await node.listeners.flows(10)).toHaveLength(1)
    await node.applyBackends([], UDP_LISTENER)
    expect(await node.listeners.flows(10)).toEqual([]) // it is forgotten
    const drained = node.events.filter(({ type }) => type === 'backend-drained')
    expect(drained).toEqual(
      [3, 1, 2].map((number, index) => ({
        type: 'backend-drained',
        listener: UDP_LISTENER,
        backend: replica(number),
        version: index + 2,
      })),
    )
  })

  test('what it learns goes up with the name of the listener', async () => {
    const { node, host } = await faked()
    await node.openUdp()
    const listener = only(host)
    listener.fact({ type: 'backend-failed', backend: replica(1), reason: 'refused' })
    listener.fact({ type: 'backend-drained', backend: replica(1), version: 2 })
    expect(node.events.slice(1)).toEqual([
      { type: 'backend-failed', listener: UDP_LISTENER, backend: replica(1), reason: 'refused' },
      { type: 'backend-drained', listener: UDP_LISTENER, backend: replica(1), version: 2 },
    ])
    listener.options.hostFailed('out of descriptors')
    expect(node.notices).toEqual([`${UDP_LISTENER}: a datagram was lost: out of descriptors`])
  })

  test('the end of the scope stops the host', async () => {
    const { node, host } = await faked()
    await node.openUdp()
    await node.stop()
    expect(host.isStopped).toBe(true)
  })
})

describe('use of a udp listener', () => {
  const common = { idleAfterMs: 1_000 }
  const told = ({ events }: Fixture): string[] =>
    events.map(({ type }) => type).filter((type) => /idle|busy|wanted/.test(type))

  test('one that never listened is idle, until it has a table that knows', async () => {
    const { node, host } = await faked()
    node.openUdpDoor({}, UDP_LISTENER, common)
    node.listeners.apply({ ...configure({ responses: 1 }), ...common })
    expect(told(node)).toEqual(['listener-idle'])
    await node.bind({ use: { kind: 'udp', listener: UDP_LISTENER } })
    expect(told(node)).toEqual(['listener-idle', 'listener-busy'])
    only(host).fact({ type: 'idle' })
    expect(told(node)).toEqual(['listener-idle', 'listener-busy', 'listener-idle'])
  })

  test('of one that is not to say so nobody hears', async () => {
    const { node } = await faked()
    await node.openUdp()
    expect(told(node)).toEqual([])
  })

  test('it holds nobody, whatever a set says', async () => {
    const { node, host } = await faked()
    await node.openUdp({}, UDP_LISTENER, common)
    await node.applyBackends([], UDP_LISTENER, 'hold')
    expect(only(host).told.at(-1)).toEqual(['backends', 1, []])
  })
})

describe('udp W18: the flows a machine can have are dealt out', () => {
  test('two listeners never plan more than the budget; the one that stays gets all again', async () => {
    const { node, host } = await faked()
    await node.openUdp()
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([70])
    await node.openUdp({}, OTHER)
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([35, 35])
    const [, second] = host.listeners
    const closed = node.close(OTHER)
    second!.closing.resolve()
    await closed
    expect(host.listeners[0]?.flowsMax).toBe(35) // its last flows have their sockets still
    second!.fact({ type: 'emptied' })
    expect(host.listeners[0]?.flowsMax).toBe(70)
  })

  test('an explicit number is honoured, and the others share the rest', async () => {
    const { node, host } = await faked()
    await node.openUdp({ flowsMax: 50 })
    await node.openUdp({}, OTHER)
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([50, 20])
    expect(node.notices).toEqual([])
    node.listeners.apply(configure({ flowsMax: 10 }))
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([10, 60])
  })

  const EXCEEDED = (asked: number, most: string): string =>
    `max_flows of UDP endpoints is ${asked} in all (the most for ${most}), and this process can have 70 flows, by its limits on open files (ulimit -n) and local ports (net.ipv4.ip_local_port_range)`
  const SQUEEZED = (flows: number, asked: number): string =>
    `each UDP endpoint without max_flows has ${flows} flows, the least it is given: the others ask for ${asked} of 70`

  test('one above what the machine can have is honoured too, with a word about it', async () => {
    const { node, host } = await faked()
    await node.openUdp({ flowsMax: 71 })
    expect(node.notices).toEqual([EXCEEDED(71, 'demo/web/udp, 71')])
    await node.openUdp({}, OTHER)
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([71, 17])
    expect(node.notices.splice(0)).toEqual([EXCEEDED(71, 'demo/web/udp, 71'), SQUEEZED(17, 71)])
    node.listeners.apply(configure({ flowsMax: 71, requests: 1 }))
    await node.openUdp({}, AGAIN)
    expect(node.notices).toEqual([])
  })

  test('so are some that are too many together; it is said again when they are others', async () => {
    const { node } = await faked()
    await node.openUdp({ flowsMax: 40 })
    expect(node.notices).toEqual([])
    await node.openUdp({ flowsMax: 50 }, OTHER)
    expect(node.notices.splice(0)).toEqual([EXCEEDED(90, 'demo/dns/dns, 50')])
    node.listeners.apply(configure({ flowsMax: 60 }))
    expect(node.notices.splice(0)).toEqual([EXCEEDED(110, 'demo/web/udp, 60')])
    node.listeners.apply(configure({ flowsMax: 20 }))
    expect(node.notices).toEqual([])
    node.listeners.apply(configure({ flowsMax: 60 }))
    expect(node.notices).toEqual([EXCEEDED(110, 'demo/web/udp, 60')])
  })

  test('a share that others leave too little for is said, though all is within the limits', async () => {
    const { node, host } = await faked()
    await node.openUdp()
    await node.openUdp({ flowsMax: 60 }, OTHER)
    expect(host.listeners.map(({ flowsMax }) => flowsMax)).toEqual([17, 60])
    expect(node.notices).toEqual([SQUEEZED(17, 60)])
  })
})

describe('what is asked of udp listeners', () => {
  test('flows: so many of all, and how many there are', async () => {
    const { node, host } = await faked()
    await node.openUdp()
    await node.openUdp({}, OTHER)
    const [first, second] = host.listeners
    first!.list = { flows: ['a', 'b', 'c'] as never, total: 3 }
    second!.list = { flows: ['d', 'e'] as never, total: 9 }
    expect(await node.listeners.flows(4)).toEqual([
      { listener: UDP_LISTENER, flows: ['a', 'b', 'c'], total: 3 },
      { listener: OTHER, flows: ['d'], total: 9 },
    ])
  })

  test('udp W20: counters of an endpoint never go back, whatever becomes of its listeners', async () => {
    const { node, host } = await faked()
    await node.openUdp()
    const [first] = host.listeners
    first!.count = 3
    const read = async () => {
      const [found, ...others] = await node.listeners.counters()
      expect(others).toEqual([])
      expect(found).toMatchObject({ deployment: 'demo', service: 'web', endpoint: 'udp' })
      const { machine, flowsLive, flowsMax, durations } = found!.counters
      return [machine.created, machine.datagramsUp, flowsLive, flowsMax, durations.upTo]
    }
    expect(await read()).toEqual([3, 6, 3, 70, [3, 3]])
    const closed = node.close(UDP_LISTENER)
    first!.closing.resolve()
    await closed
    await node.openUdp({}, AGAIN)
    host.listeners[1]!.count = 4
    expect(await read()).toEqual([7, 14, 7, 70, [7, 7]])
    first!.fact({ type: 'emptied' })
    expect(await read()).toEqual([7, 14, 4, 70, [7, 7]])
    expect(await read()).toEqual([7, 14, 4, 70, [7, 7]])
  })
})

test('udp W20: a listener that ends while it is asked is counted once', async () => {
  const { node, host } = await faked()
  await node.openUdp()
  const listener = only(host)
  const reading = Promise.withResolvers<void>()
  listener.count = 3
  listener.reading = reading.promise
  const counting = node.listeners.counters()
  listener.fact({ type: 'emptied' })
  reading.resolve()
  expect((await counting)[0]?.counters).toMatchObject({ machine: { created: 3 }, flowsLive: 0 })
})
