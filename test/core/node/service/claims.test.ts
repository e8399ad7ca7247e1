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
  notices,
  places,
  remove,
  replies,
  settled,
  tcp,
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

  test('at one more address is said for that one', () => {
    const at = (hostIp: string) => mapping({ containerPort: 7000, hostPort: 6379, hostIp })
    const shell = node(one({ portMappings: [at('10.9.0.1'), at('10.9.0.2')] }), 'one')
    deploy(shell, { endpoints: [tcp(6379)] }, 'two')
    internal(shell, '10.9.0.1')
    const said = notices(internal(shell, '10.9.0.1', '10.9.0.2'), 'listen-failed')
    expect(said).toEqual([expect.stringContaining('tcp port 6379 of 10.9.0.2 belongs to one/web')])
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

describe('a port that a program of the same deployment has', () => {
  const program = (targetPort: number) => serviceOf({ endpoints: [tcp(7000, { targetPort })] })
  const asks = serviceOf({ endpoints: [tcp(9090, { name: 'asks' })] })

  /** `old` goes on running by its first file. */
  function busy(next: Readonly<Record<string, ServiceSpec>>): ObedientShell {
    const shell = new ObedientShell().boot()
    shell.deploy(deploymentOf({ old: program(9090) }))
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    expect(replies(shell.deploy(deploymentOf(next)))).toMatchObject([{ ok: true }])
    expect(shell.numbers('old')).toEqual([1])
    return shell
  }

  /** Programs end when they are told to, those that were told before as well. */
  function letGo(shell: ObedientShell): void {
    shell.answer = () => undefined
    shell.pass(60_000)
  }

  test('is not bound while it runs, whoever of the two is named first', () => {
    for (const name of ['asks', 'zzz']) {
      const shell = busy({ old: program(9091), [name]: asks })
      expect(shell.addresses('asks')).toEqual([])
      letGo(shell)
      expect(shell.addresses('asks')).toEqual(['127.0.0.1:9090', '[::1]:9090'])
      expect(shell.machine.view(shell.now).deployments).toMatchObject([{ state: 'ready' }])
    }
  })

  test('is no other program’s: that one is started when it has it', () => {
    for (const name of ['asks', 'zzz']) {
      const shell = busy({
        old: program(9091),
        [name]: serviceOf({ endpoints: [tcp(7001, { targetPort: 9090 })] }),
      })
      expect(shell.numbers(name)).toEqual([])
      letGo(shell)
      expect(shell.numbers(name)).toEqual([1])
      expect(shell.machine.view(shell.now).deployments).toMatchObject([{ state: 'ready' }])
    }
  })

  test('its own is nothing to wait for', () => {
    const shell = busy({ old: program(9091) })
    letGo(shell)
    shell.crash(1, 'old')
    expect(shell.numbers('old')).toEqual([1])
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
