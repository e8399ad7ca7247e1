/** Endpoints that come, go, and move to other addresses and ports. */
import { describe, expect, test } from 'vitest'
import type { ServiceSpec } from '../../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from '../obedient-shell.ts'
import {
  deploy,
  fixed,
  internal,
  mapping,
  node,
  nodeOf,
  places,
  tcp,
  typed,
} from '../service/samples.ts'

const LEAST = { strategy: 'least_connections', rise: 1, fall: 3, failOpen: true } as const

describe('moves', () => {
  test('an internal address that appears moves the endpoint, and the listener stays', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    const commands = internal(shell, '10.9.0.1')
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6379', 'tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
    // Loopback is published now, where it was internal before: nothing is closed for that.
    expect(commands.map(({ type }) => type)).toEqual(['bind-socket', 'notice'])
    expect(shell.service().state).toBe('healthy')
    internal(shell)
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
  })

  test('proxy W1 W4: the address follows the file: public to internal closes before it binds', () => {
    const shell = node({ endpoints: [tcp(6379, { expose: 'public' })] })
    const commands = deploy(shell, { endpoints: [tcp(6379)] })
    const types = commands.map(({ type }) => type).filter((type) => type.endsWith('-socket'))
    expect(types).toEqual(['unbind-socket', 'unbind-socket', 'bind-socket', 'bind-socket'])
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
    // What is connected stays: it has its listener.
    expect(typed(commands, 'close-listener')).toEqual([])
    expect(typed(commands, 'cut-backend')).toEqual([])
    expect(shell.service().state).toBe('healthy')
  })

  test('another strategy is for the same listener, at the same sockets', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    const commands = deploy(shell, { endpoints: [tcp(6379, { balance: LEAST })] })
    const types = commands.map(({ type }) => type).filter((type) => type !== 'notice')
    expect(types).toEqual(['configure-listener', 'reply', 'settled'])
    expect(typed(commands, 'configure-listener')).toMatchObject([
      { balance: { strategy: 'least_connections', failOpen: true } },
    ])
  })

  test('a mapping that moves is another listener; what is on the old one is never cut for that', () => {
    const spec = (hostPort: number) => ({
      endpoints: [tcp(6379)],
      portMappings: [mapping({ hostPort })],
    })
    const shell = node(spec(16379))
    shell.answer = (command) => {
      if (command.type !== 'apply-backends') return undefined
      // Connections are left on it.
      const { listener, version } = command
      return [{ type: 'backends-applied', listener, version }]
    }
    const commands = deploy(shell, spec(16380))
    const [{ listener: old } = {}] = typed(commands, 'close-listener')
    expect(shell.addresses('mapping 6379 tcp')).toEqual(['0.0.0.0:16380'])
    expect(typed(shell.pass(3_600_000), 'cut-backend')).toEqual([])
    const rows = shell.machine.view(shell.now).listeners.filter(({ state }) => state === 'draining')
    expect(rows).toMatchObject([{ listener: old, purpose: 'mapping', backends: 1 }])
    // Taken away altogether it has its time, like the one in its place.
    deploy(shell, { endpoints: [tcp(6379)] })
    const cut = typed(shell.pass(31_000), 'cut-backend').map((each) => each.listener)
    expect(cut).toContain(old)
    expect(new Set(cut).size).toBe(2)
  })

  test('an endpoint that is gone is closed at once, and cut when its drain is over', () => {
    const shell = node({ endpoints: [tcp(6379), tcp(6380, { name: 'other' })] })
    shell.answer = (command) =>
      command.type === 'apply-backends' && command.listener === 'hello/web/other#2'
        ? [{ type: 'backends-applied', listener: command.listener, version: command.version }]
        : undefined
    const commands = deploy(shell, { endpoints: [tcp(6379)] })
    expect(typed(commands, 'close-listener')).toMatchObject([{ listener: 'hello/web/other#2' }])
    expect(shell.addresses('other')).toEqual([])
    expect(typed(shell.pass(29_000), 'cut-backend')).toEqual([])
    expect(typed(shell.pass(1_500), 'cut-backend')).toMatchObject([
      { listener: 'hello/web/other#2' },
    ])
  })

  test('a udp place that is freed and wanted again gets a listener of its own', () => {
    const shell = new ObedientShell().boot()
    internal(shell, '10.9.0.1')
    deploy(shell, { endpoints: [udpEndpointOf({}, { expose: 'internal' })] })
    expect(shell.addresses('dns')).toEqual(['10.9.0.1:53', '127.0.0.1:53', '[::1]:53'])
    shell.scale('web', 0)
    expect(shell.addresses('dns')).toEqual(['10.9.0.1:53'])
    const used = new Set(
      typed(shell.commands, 'bind-socket').map(({ use }) => use.kind === 'udp' && use.listener),
    )
    const commands = shell.scale('web', 1)
    expect(shell.addresses('dns')).toEqual(['10.9.0.1:53', '127.0.0.1:53', '[::1]:53'])
    for (const { use } of typed(commands, 'bind-socket')) {
      expect(use.kind === 'udp' && used.has(use.listener)).toBe(false)
    }
  })
})

test('a udp socket leads where it led while it is there, whichever of its claims goes first', () => {
  const spec = (localhostReachability: ServiceSpec['localhostReachability']) => ({
    endpoints: [udpEndpointOf({}, { port: 5_000, expose: 'internal' })],
    portMappings: [
      mapping({ containerPort: 5_000, protocol: 'udp', hostIp: '127.0.0.1', hostPort: 5_000 }),
    ],
    localhostReachability,
  })
  const shell = new ObedientShell().boot()
  internal(shell, '10.9.0.1')
  deploy(shell, spec('never'))
  expect(shell.addresses('mapping 5000 udp')).toEqual(['127.0.0.1:5000'])
  deploy(shell, spec('always'))
  // The mapping is closed to the outside first, and the socket is the endpoint's, too.
  const commands = shell.feed({ type: 'shutdown', mode: 'drain' })
  expect(typed(commands, 'stopped')).toHaveLength(1)
  expect(shell.bound.size).toBe(0)
})

describe('what another listener published', () => {
  const dns = (hostPort: number, strategy: 'hrw' | 'maglev') => ({
    endpoints: [udpEndpointOf({}, { balance: { strategy, rise: 1, fall: 3, failOpen: true } })],
    portMappings: [mapping({ containerPort: 53, protocol: 'udp', hostPort })],
  })

  test('is not published for the one that takes its place, once it has nobody', () => {
    const shell = node(dns(5353, 'hrw'))
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    deploy(shell, { ...dns(5353, 'maglev'), env: { VERSION: '2' } })
    expect(shell.addresses('mapping 53 udp')).toEqual(['0.0.0.0:5353'])
    shell.scale('web', 0)
    expect(shell.addresses('mapping 53 udp')).toEqual([])
  })
})

describe('another version of the file', () => {
  test('proxy W38: another port, expose, policy or scale: what was recorded is released', () => {
    const shell = new ObedientShell().boot()
    internal(shell, '10.9.0.1')
    const at = (port: number, more: Partial<ServiceSpec> = {}) =>
      deploy(shell, { endpoints: [tcp(port)], ...more })
    at(6379)
    at(6380)
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6380', 'tcp 127.0.0.1:6380', 'tcp [::1]:6380'])
    at(6380, { scale: fixed(3) })
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6380'])
    at(6380, { scale: fixed(3), localhostReachability: 'always' })
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6380', 'tcp 127.0.0.1:6380', 'tcp [::1]:6380'])
    at(6380, { localhostReachability: 'never' })
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6380'])
    expect(typed(shell.commands, 'start-replica')).toHaveLength(3)
  })

  test('proxy W7: an endpoint that a redeploy adds is served', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    deploy(shell, { endpoints: [tcp(6379), tcp(9000, { name: 'more' })] })
    shell.pass(60_000)
    expect(shell.addresses('more')).toEqual(['127.0.0.1:9000', '[::1]:9000'])
    expect(shell.service().state).toBe('healthy')
  })

  test('services W17: a changed port moves the listener and leaves the replicas alone', () => {
    const shell = nodeOf({ web: serviceOf({ scale: fixed(2) }) })
    const commands = shell.deploy(
      deploymentOf({
        web: serviceOf({ scale: fixed(2), endpoints: [endpointOf({ port: 9090 })] }),
      }),
    )
    const types = commands.map((each) => each.type)
    expect(types.filter((each) => each.endsWith('-socket'))).toEqual([
      'unbind-socket',
      'unbind-socket',
      'bind-socket',
      'bind-socket',
    ])
    expect(types).not.toContain('open-listener')
    expect(types).not.toContain('start-replica')
    expect(shell.machine.view(shell.now).listeners.map((each) => each.address)).toEqual([
      '0.0.0.0:9090',
      '[::]:9090',
    ])
  })
})
