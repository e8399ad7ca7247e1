import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import { defaultNodeConfig, NodeMachine } from '../../../../core/node/node.ts'
import type { ServiceSpec } from '../../../../core/spec/deployment.ts'
import { endpointOf, ObedientShell, udpEndpointOf } from '../obedient-shell.ts'
import {
  deploy,
  inUse,
  mapping,
  node,
  notices,
  places,
  settled,
  tcp,
  tls,
  typed,
} from './samples.ts'

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
    expect(shell.machine.view(shell.now).node).toMatchObject([{ state: 'serving' }])
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

  test('a TLS port that is shared lets in as many as any of those behind it takes', () => {
    const behind = (host: string, connectionsMax: number) => ({
      endpoints: [tls(443, host, { connectionsMax })],
    })
    const shell = node(behind('a.example', 10), 'one')
    expect(useAt(shell, '127.0.0.1:443')).toMatchObject({ greetingsMax: 10 })
    deploy(shell, behind('b.example', 200), 'two')
    expect(useAt(shell, '127.0.0.1:443')).toMatchObject({ greetingsMax: 200 })
    deploy(shell, behind('b.example', 5), 'two')
    expect(useAt(shell, '127.0.0.1:443')).toMatchObject({ greetingsMax: 10 })
  })

  test('a udp socket stays with the listener that has its flows', () => {
    const group = (role: string) => ({ role, count: 1, env: {}, affinity: 'spread' as const })
    const endpoint = (name: string, port: number, targetRole: string) =>
      udpEndpointOf({}, { name, port, targetRole, expose: 'internal' })
    const at = (containerPort: number) =>
      mapping({ containerPort, protocol: 'udp', hostIp: '127.0.0.1', hostPort: 5300 })
    const spec: Partial<ServiceSpec> = {
      endpoints: [endpoint('one', 53, 'write'), endpoint('two', 54, 'read')],
      portMappings: [at(54), at(53)],
      replicaGroups: [group('read'), group('write')],
    }
    // The first of the two has nobody behind it yet.
    const shell = new ObedientShell().boot()
    const held: NodeCommand[] = []
    shell.answer = (command) => {
      if (command.type !== 'verify-replica' || !command.replica.includes('/1#')) return undefined
      held.push(command)
      return []
    }
    deploy(shell, spec)
    deploy(shell, { ...spec, labels: { version: '2' } })
    const before = useAt(shell, '127.0.0.1:5300')
    expect(before).toMatchObject({ kind: 'udp' })
    shell.answer = () => undefined
    const commands = shell.feed(...held.flatMap((each) => shell.obey(each)))
    expect(typed(commands, 'apply-backends')).not.toEqual([])
    expect(useAt(shell, '127.0.0.1:5300')).toEqual(before)
    expect(typed(commands, 'route-socket')).toEqual([])
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
