import { describe, expect, test } from 'vitest'
import { type ListenerId, parseListenerId } from '../../../../core/services/identity.ts'
import type { EndpointSpec, ServiceSpec } from '../../../../core/spec/deployment.ts'
import { endpointOf, ObedientShell, udpEndpointOf } from '../obedient-shell.ts'
import {
  deploy,
  fixed,
  internal,
  mapping,
  node,
  type Of,
  places,
  remove,
  tcp,
  typed,
} from './samples.ts'

/** Sets hold at once; what left them has connections until it is said to be drained. */
function keepConnections(shell: ObedientShell): void {
  shell.answer = (command) => {
    if (command.type !== 'apply-backends') return undefined
    const { listener, version } = command
    return [{ type: 'backends-applied', listener, version }]
  }
}

/** The set sent last to each listener that was sent one. */
const sets = (shell: ObedientShell): Map<ListenerId, Of<'apply-backends'>['backends']> =>
  new Map(typed(shell.commands, 'apply-backends').map((each) => [each.listener, each.backends]))

const open = (shell: ObedientShell): readonly string[] => [
  ...new Set(shell.machine.view(shell.now).listeners.map(({ listener }) => listener)),
]

test('each endpoint, and each mapping, leads to its own port of the replicas', () => {
  const shell = node({
    endpoints: [tcp(7000, { name: 'one' }), tcp(7001, { name: 'two' })],
    portMappings: [
      mapping({ containerPort: 7000, hostPort: 8000 }),
      mapping({ containerPort: 7001, hostPort: 8001 }),
      mapping({ containerPort: 9000, hostPort: 8002 }),
    ],
  })
  const [replica] = shell.machine.view(shell.now).replicas
  const told = [...sets(shell)].map(([id, backends]) => {
    const [backend] = backends
    return [parseListenerId(id).endpoint, `${backend?.host}:${backend?.port}`]
  })
  const { one, two } = replica?.addresses ?? {}
  expect(one).not.toBe(two)
  expect(told).toEqual([
    ['one', one],
    ['two', two],
    ['mapping 7000 tcp', one],
    ['mapping 7001 tcp', two],
    ['mapping 9000 tcp', '127.0.0.1:9000'],
  ])
})

test('an endpoint that comes again while its connections go on is another listener', () => {
  const other = tcp(6380, { name: 'other' })
  const shell = node({ endpoints: [tcp(6379), other] })
  keepConnections(shell)
  deploy(shell, { endpoints: [tcp(6379)] })
  const commands = deploy(shell, { endpoints: [tcp(6379), other] })
  const opened = typed(commands, 'open-listener').map(({ listener }) => listener)
  expect(opened).toEqual(['hello/web/other#3'])
  expect(shell.addresses('other')).toEqual(['127.0.0.1:6380', '[::1]:6380'])
  expect(sets(shell).get(opened[0]!)).toHaveLength(1)
})

test('an endpoint that comes again while its socket is being closed is another listener', () => {
  const other = tcp(6380, { name: 'other' })
  const shell = node({ endpoints: [tcp(6379), other] })
  shell.answer = (command) => (command.type === 'unbind-socket' ? [] : undefined)
  const commands = deploy(shell, { endpoints: [tcp(6379)] })
  expect(typed(commands, 'close-listener')).toEqual([])
  const back = deploy(shell, { endpoints: [tcp(6379), other] })
  expect(typed(back, 'open-listener')).toMatchObject([{ listener: 'hello/web/other#3' }])
  shell.answer = () => undefined
  for (const command of typed(commands, 'unbind-socket')) shell.feed(...shell.obey(command))
  expect(shell.addresses('other')).toEqual(['127.0.0.1:6380', '[::1]:6380'])
  expect(open(shell)).toEqual(['hello/web/other#3', 'hello/web/tcp#1'])
})

test('a mapping that left the file takes its backends along, and is forgotten', () => {
  const shell = node({ endpoints: [tcp(6379)], portMappings: [mapping({ hostPort: 8000 })] })
  const commands = deploy(shell, { endpoints: [tcp(6379)] })
  expect(typed(commands, 'apply-backends')).toMatchObject([
    { listener: 'hello/web/mapping 6379 tcp#2', backends: [] },
  ])
  expect(open(shell)).toEqual(['hello/web/tcp#1'])
  expect([...shell.machine.state.listeners.keys()]).toEqual(['hello/web/tcp#1'])
  expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
})

test('an endpoint for another role leaves the others, and what they publish, alone', () => {
  const group = (role: string) => ({ role, count: 1, env: {}, affinity: 'spread' as const })
  const spec = (targetRole: string): Partial<ServiceSpec> => ({
    endpoints: [tcp(7000, { name: 'one', targetRole }), tcp(7001, { name: 'two' })],
    portMappings: [
      mapping({ containerPort: 7000, hostPort: 8000 }),
      mapping({ containerPort: 7001, hostPort: 8001 }),
    ],
    replicaGroups: [group('primary'), group('read')],
  })
  const shell = node(spec('primary'))
  const numbers = () =>
    [...sets(shell).values()].map((backends) => backends.map(({ id }) => /(\d+)#/.exec(id)?.[1]))
  expect(numbers()).toEqual([['1'], ['1', '2'], ['1'], ['1', '2']])
  const commands = deploy(shell, spec('read'))
  expect(numbers()).toEqual([['2'], ['1', '2'], ['2'], ['1', '2']])
  expect(typed(commands, 'unbind-socket')).toEqual([])
  const published = shell.machine.state.ledger
    .claimsOf('hello/web')
    .map(({ claim, backends }) => [claim.port, backends.length])
  expect(published).toEqual([
    [7000, 1],
    [7000, 1],
    [7001, 2],
    [7001, 2],
    [8000, 1],
    [8001, 2],
  ])
})

test('a listener with nobody behind it publishes nothing of the one whose place it took', () => {
  const at = (endpoint: EndpointSpec): Partial<ServiceSpec> => ({
    endpoints: [endpoint],
    replicaGroups: [{ role: 'one', count: 1, env: {}, affinity: 'spread' }],
  })
  const place = { name: 'log', port: 514, expose: 'internal' } as const
  const shell = new ObedientShell().boot()
  internal(shell, '10.9.0.1')
  deploy(shell, at(endpointOf({ ...place, protocol: 'tcp', targetRole: 'one' })))
  expect(places(shell)).toEqual(['tcp 10.9.0.1:514', 'tcp 127.0.0.1:514', 'tcp [::1]:514'])
  deploy(shell, at(udpEndpointOf({}, { ...place, targetRole: 'other' })))
  expect(places(shell)).toEqual(['udp 10.9.0.1:514'])
})

test('what is left on a listener that was replaced has its time when its service goes', () => {
  const udp = (strategy: 'hrw' | 'maglev') =>
    udpEndpointOf({}, { balance: { ...udpEndpointOf().balance, strategy } })
  const shell = node({ endpoints: [udp('hrw')] })
  keepConnections(shell)
  deploy(shell, { endpoints: [udp('maglev')] })
  shell.crash(1) // with flows on the old listener
  expect(typed(shell.pass(600_000), 'cut-backend')).toEqual([])
  remove(shell, 'hello')
  expect(typed(shell.pass(29_000), 'cut-backend')).toEqual([])
  const cut = typed(shell.pass(1_500), 'cut-backend').map(({ listener }) => listener)
  expect(cut).toContain('hello/web/dns#1')
})

test('an answer that comes again does not make a later set wait', () => {
  const shell = node({ scale: fixed(1) })
  const [listener] = shell.applied.keys()
  shell.scale('web', 2)
  shell.feed({ type: 'backends-applied', listener: listener!, version: 1 })
  shell.scale('web', 3)
  expect(sets(shell).get(listener!)).toHaveLength(3)
})

describe('a backend that failed', () => {
  const failed = (shell: ObedientShell) => ({
    type: 'backend-failed' as const,
    listener: [...shell.applied.keys()][0]!,
    backend: [...shell.machine.state.replicas.keys()][0]!,
    reason: 'connection refused',
  })
  const probes = (shell: ObedientShell) =>
    typed(shell.feed(failed(shell)), 'probe').map(({ check }) => check)

  test('is asked how it is at once, by the check of its service, too', () => {
    const shell = node({ endpoints: [endpointOf()] })
    shell.pass(1)
    expect(probes(shell)).toEqual(['main', 'http/passive'])
  })

  test('is asked by the check that its endpoint has, and by no other', () => {
    const stream = { ...endpointOf().stream, healthCheck: { type: 'tcp_connect' } as const }
    const shell = node({ endpoints: [endpointOf({ stream })] })
    shell.pass(1)
    expect(probes(shell)).toEqual(['main', 'http/tcp_connect'])
  })

  test('is asked nothing when it is leaving', () => {
    const shell = node({})
    keepConnections(shell)
    shell.scale('web', 0)
    expect(shell.machine.view(shell.now).replicas[0]?.state).toBe('draining')
    expect(probes(shell)).toEqual([])
  })

  test('is not asked by tcp where it is reached by udp', () => {
    const shell = node({ endpoints: [udpEndpointOf()] })
    expect(probes(shell)).toEqual([])
  })

  test('a late answer says nothing of a later failure', () => {
    const spec = (idleTimeoutMs: number) => ({
      endpoints: [endpointOf({ stream: { ...endpointOf().stream, idleTimeoutMs } })],
    })
    const shell = node(spec(1_000))
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const [, asked] = typed(shell.feed(failed(shell)), 'probe')
    deploy(shell, spec(2_000)) // which ends the suspicion
    shell.feed(failed(shell))
    shell.feed(...shell.obey(asked!))
    expect(shell.machine.state.replicas.get(asked!.replica)?.checks.size).toBe(1)
  })

  test('of a number nobody has is nobody', () => {
    const shell = node({})
    const event = failed(shell)
    shell.scale('web', 0)
    shell.pass(60_000)
    expect(shell.feed(event)).toEqual([])
  })
})
