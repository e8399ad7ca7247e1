import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import { defaultNodeConfig, NodeMachine } from '../../../../core/node/node.ts'
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
  inUse,
  mapping,
  node,
  notices,
  places,
  remove,
  replies,
  settled,
  tcp,
  tls,
  typed,
} from './samples.ts'

describe('while leftovers are ended', () => {
  /** Booted, and not told yet what became of them. */
  function held(): ObedientShell {
    const shell = new ObedientShell()
    shell.answer = (command) => (command.type === 'reap-leftovers' ? [] : undefined)
    return shell.boot()
  }

  test('proxy W37: ports are claimed, and nothing listens', () => {
    const shell = held()
    deploy(shell, { endpoints: [tcp(6379)] }, 'one')
    expect(places(shell)).toEqual([])
    const commands = deploy(shell, { endpoints: [tcp(6379)] }, 'two')
    expect(replies(commands)).toMatchObject([{ ok: false, code: 'conflict' }])
  })

  test('another file claims other ports, and gives back those it had', () => {
    const shell = held()
    deploy(shell, { endpoints: [tcp(6379)] }, 'one')
    deploy(shell, { endpoints: [tcp(6380)] }, 'one')
    const taken = deploy(shell, { endpoints: [tcp(6380)] }, 'two')
    expect(replies(taken)).toMatchObject([{ ok: false, code: 'conflict' }])
    expect(replies(deploy(shell, { endpoints: [tcp(6379)] }, 'two'))).toMatchObject([{ ok: true }])
  })

  test('an internal address that appears is claimed at once', () => {
    const shell = held()
    deploy(shell, { endpoints: [tcp(6379)] }, 'one')
    internal(shell, '10.9.0.1')
    const portMappings = [mapping({ hostIp: '10.9.0.1', hostPort: 6379, containerPort: 8000 })]
    const commands = deploy(shell, { endpoints: [tcp(8000)], portMappings }, 'two')
    expect(replies(commands)).toMatchObject([{ ok: false, code: 'conflict' }])
  })
})

describe('a port that somebody else has', () => {
  const one = (more: Partial<ServiceSpec> = {}): Partial<ServiceSpec> => ({
    endpoints: [tcp(7000)],
    portMappings: [mapping({ containerPort: 7000, hostPort: 6379, hostIp: '10.9.0.1' })],
    ...more,
  })

  test('is said once, however often it is asked for', () => {
    const shell = node(one(), 'one')
    deploy(shell, { endpoints: [tcp(6379)] }, 'two')
    const said = notices(internal(shell, '10.9.0.1'), 'listen-failed')
    expect(said).toEqual([expect.stringMatching(/^two\/web cannot listen: port-conflict: tcp/)])
    const later = [
      ...internal(shell, '10.9.0.1', 'fd00::1'),
      ...deploy(shell, { endpoints: [tcp(6379)] }, 'two'),
      ...shell.pass(60_000),
    ]
    expect(notices(later, 'listen-failed')).toEqual([])
  })

  test('is not refused to udp, nor at other addresses', () => {
    const shell = node(one(), 'one')
    const both = [tcp(6379), udpEndpointOf({}, { port: 6379, expose: 'internal' })]
    deploy(shell, { endpoints: both }, 'two')
    internal(shell, '10.9.0.1')
    expect(shell.addresses('dns')).toContain('10.9.0.1:6379')
    expect(shell.addresses('tcp')).toContain('127.0.0.1:6379')
    expect(shell.addresses('tcp')).not.toContain('10.9.0.1:6379')
  })

  test('the kernel’s own choice, too: waited for until its socket is closed', () => {
    const shell = node(
      one({ portMappings: [mapping({ containerPort: 7000, hostIp: '10.9.0.1' })] }),
      'one',
    )
    expect(places(shell)).toContain('tcp 10.9.0.1:40000')
    deploy(shell, { endpoints: [tcp(40_000)] }, 'two')
    internal(shell, '10.9.0.1')
    expect(shell.addresses('tcp')).not.toContain('10.9.0.1:40000')
    shell.scale('one/web', 0)
    expect(shell.addresses('tcp')).toContain('10.9.0.1:40000')
  })

  test('of the same deployment: waited for in silence, and not there for others without it', () => {
    const at = (port: number, ...depends: ServiceSpec['depends']) =>
      serviceOf({ endpoints: [endpointOf({ port })], depends })
    const on = (service: string, condition: 'started' | 'healthy') =>
      ({ service, condition, timeoutMs: 600_000, onTimeout: 'fail' }) as const
    const shell = new ObedientShell().boot()
    shell.deploy(deploymentOf({ a: at(8080), c: at(8081, on('a', 'started')) }))
    // What uses the owner does not go, so the owner does not.
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    const next = deploymentOf({ b: at(8080), d: at(8082, on('b', 'healthy')) })
    const commands = [...shell.deploy(next), ...shell.pass(20_000)]
    expect(notices(commands, 'listen-failed')).toEqual([])
    expect(settled(commands)).toEqual([])
    expect(shell.service('b').detail).toBe('')
    expect([shell.numbers('b'), shell.numbers('d')]).toEqual([[1], []])
    shell.answer = () => undefined
    expect(settled(shell.pass(60_000))).toEqual(['ready'])
    expect(shell.addresses('http')).toContain('0.0.0.0:8080')
  })
})

describe('what is given back', () => {
  test('a port a program had by an older file, once no replica has it any more', () => {
    const shell = node({ endpoints: [tcp(7000, { targetPort: 6379 })] }, 'one')
    deploy(shell, { endpoints: [tcp(7000, { targetPort: 6380 })] }, 'one')
    shell.pass(60_000)
    expect(replies(deploy(shell, { endpoints: [tcp(6379)] }, 'two'))).toMatchObject([{ ok: true }])
  })

  test('a mapping without a backend stops listening, whatever was claimed meanwhile', () => {
    const spec = { endpoints: [tcp(6379)], portMappings: [mapping({ hostPort: 16_379 })] }
    const shell = node(spec)
    deploy(shell, { ...spec, labels: { version: '2' } })
    internal(shell, '10.9.0.1')
    shell.pass(60_000)
    expect(places(shell)).toContain('tcp 0.0.0.0:16379')
    shell.scale('web', 0)
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6379'])
  })
})

describe('a bind that fails', () => {
  test('is said once, and tried until it works', () => {
    const shell = new ObedientShell().boot()
    const fails = (command: NodeCommand) =>
      command.type === 'bind-socket' ? inUse([command]) : undefined
    shell.answer = fails
    const commands = deploy(shell, { endpoints: [tcp(6379)] })
    const later = shell.pass(60_000)
    const text = 'hello/web/tcp cannot listen on 127.0.0.1:6379: address in use; retrying'
    expect(notices(commands, 'listen-failed')).toContain(text)
    expect(typed(later, 'bind-socket').length).toBeGreaterThan(5)
    expect(notices(later, 'listen-failed')).toEqual([])
    shell.answer = () => undefined
    expect(settled(shell.pass(60_000))).toEqual(['ready'])
  })

  test('makes a deployment fail that was about to be ready', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    shell.answer = (command) => (command.type === 'bind-socket' ? [] : undefined)
    const commands = deploy(shell, { endpoints: [tcp(6380)] })
    expect(settled(commands)).toEqual([])
    expect(settled(shell.feed(...inUse(commands)))).toEqual(['failed'])
  })

  test('a public endpoint has two sockets, and one word for both', () => {
    const shell = node({ endpoints: [tcp(6379, { expose: 'public' })] })
    expect(notices(shell.commands, 'listening')).toEqual(['hello/web/tcp listens on 0.0.0.0:6379'])
  })

  test('the metrics’ is said once, and tried again', () => {
    const shell = new ObedientShell()
    const metrics = { host: '127.0.0.1', port: 9464 }
    shell.machine = new NodeMachine({ ...defaultNodeConfig(1), metrics })
    shell.answer = (command) => (command.type === 'bind-socket' ? inUse([command]) : undefined)
    const commands = shell.boot().pass(60_000)
    expect(typed(commands, 'bind-socket').length).toBeGreaterThan(5)
    expect(notices(shell.commands, 'listen-failed')).toEqual([
      'metrics: cannot listen on 127.0.0.1:9464: address in use; retrying',
    ])
    expect(shell.machine.view(shell.now).node).toMatchObject([{ state: 'retrying' }])
    shell.answer = () => undefined
    shell.pass(60_000)
    expect(shell.machine.view(shell.now).node).toMatchObject([{ state: 'listening' }])
  })
})

test('a port that the kernel picked is known at an IPv6 address', () => {
  const shell = node({ endpoints: [tcp(6379)], portMappings: [mapping({ hostIp: '::1' })] })
  expect(shell.service().endpoints[1]).toBe('tcp://[::1]:40000')
})

describe('where a socket leads', () => {
  const useAt = (shell: ObedientShell, address: string) =>
    [...shell.bound.values()].find((each) => each.address === address)?.use

  test('a plain endpoint has all that comes, also one with a host', () => {
    const shell = node({ endpoints: [tcp(6379, { host: 'db.example' })] })
    expect(useAt(shell, '127.0.0.1:6379')).toEqual({
      kind: 'tcp',
      greetingsMax: 10_000,
      acceptProxyProtocol: [],
      routes: [{ listener: 'hello/web/tcp#1', tls: 'off' }],
    })
  })

  test('of an endpoint and a mapping at one place, the one with the wider address has it', () => {
    const { stream } = tls(443, 'a.example')
    const endpoints = [tcp(443, { name: 'web', host: 'a.example', expose: 'public', stream })]
    const portMappings = [mapping({ containerPort: 443, hostPort: 443, hostIp: '127.0.0.1' })]
    const shell = node({ endpoints, portMappings })
    expect(places(shell)).toEqual(['tcp 0.0.0.0:443', 'tcp [::]:443'])
    expect(useAt(shell, '0.0.0.0:443')).toEqual({
      kind: 'tcp',
      greetingsMax: 10_000,
      acceptProxyProtocol: [],
      routes: [{ listener: 'hello/web/web#1', serverName: 'a.example', tls: 'passthrough' }],
    })
  })

  test('trusted proxies go along, each once and in order', () => {
    const acceptProxyProtocol = ['192.0.2.0/24', '10.0.0.0/8']
    const stream = { ...endpointOf().stream, acceptProxyProtocol }
    const shell = node({ endpoints: [tcp(6379, { stream })] })
    expect(useAt(shell, '127.0.0.1:6379')).toMatchObject({
      acceptProxyProtocol: ['10.0.0.0/8', '192.0.2.0/24'],
    })
  })
})

describe('proxy W10: a shutdown', () => {
  test('closes public sockets and mappings at once, also of what others still use', () => {
    const db = serviceOf({
      endpoints: [
        tcp(5432),
        tcp(5433, { name: 'open', expose: 'public' }),
        udpEndpointOf({}, { name: 'log', port: 514 }),
      ],
      portMappings: [
        mapping({ containerPort: 5432, hostPort: 15_432 }),
        mapping({ containerPort: 5432 }),
      ],
    })
    const depends = [
      { service: 'db', condition: 'healthy', timeoutMs: 60_000, onTimeout: 'fail' },
    ] as const
    const shell = new ObedientShell().boot()
    shell.deploy(deploymentOf({ db, web: serviceOf({ depends, scale: fixed(1) }) }))
    // What uses the database takes its time.
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    const request = shell.request()
    const commands = shell.feed({ type: 'shutdown', request, mode: 'drain' })
    expect(places(shell)).toEqual(['tcp 127.0.0.1:5432', 'tcp [::1]:5432'])
    expect(shell.numbers('db')).toEqual([1])
    expect(typed(commands, 'open-listener')).toEqual([])
  })
})

describe('internal addresses', () => {
  test('one that is named twice is one', () => {
    const shell = node({ endpoints: [tcp(6379)], scale: fixed(2) })
    internal(shell, '10.9.0.1', '10.9.0.1')
    expect(places(shell)).toEqual(['tcp 10.9.0.1:6379'])
  })

  test('who is being removed does not listen at a new one', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    remove(shell, 'hello')
    expect(places(shell)).toEqual([])
    expect(internal(shell, '10.9.0.1')).toEqual([])
    expect(places(shell)).toEqual([])
  })

  test('nobody listens at a new one in a shutdown', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    shell.feed({ type: 'shutdown', mode: 'drain' })
    expect(internal(shell, '10.9.0.1')).toEqual([])
  })
})

test('a deployment that is gone leaves no port behind', () => {
  const spec = {
    endpoints: [tcp(6379, { targetPort: 6380 }), udpEndpointOf()],
    portMappings: [mapping({ containerPort: 9000, hostPort: 9001 })],
  }
  const shell = node(spec, 'one')
  remove(shell, 'one')
  expect(shell.machine.state.ledger.isEmpty).toBe(true)
  expect(replies(deploy(shell, spec, 'two'))).toMatchObject([{ ok: true }])
})
