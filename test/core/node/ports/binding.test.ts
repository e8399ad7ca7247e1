/** Where services and the node listen, and what is said when they cannot. */
import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import { defaultNodeConfig, NodeMachine } from '../../../../core/node/node.ts'
import type { EndpointSpec, ServiceSpec } from '../../../../core/spec/deployment.ts'
import { deploymentOf, ObedientShell, serviceOf, udpEndpointOf } from '../obedient-shell.ts'
import {
  deploy,
  fixed,
  internal,
  outcomes,
  places,
  replies,
  tcp,
  typed,
} from '../service/samples.ts'

describe('the binding matrix', () => {
  const ROWS: readonly [
    expose: EndpointSpec['expose'],
    addresses: readonly string[],
    policy: ServiceSpec['localhostReachability'],
    replicas: number,
    bound: readonly string[],
  ][] = [
    ['public', [], 'auto', 1, ['0.0.0.0', '[::]']],
    ['public', ['10.9.0.1'], 'always', 1, ['0.0.0.0', '[::]']],
    ['internal', [], 'auto', 1, ['127.0.0.1', '[::1]']],
    ['internal', [], 'never', 3, ['127.0.0.1', '[::1]']],
    ['internal', ['10.9.0.1'], 'auto', 1, ['10.9.0.1', '127.0.0.1', '[::1]']],
    ['internal', ['10.9.0.1'], 'auto', 2, ['10.9.0.1']],
    ['internal', ['10.9.0.1'], 'always', 2, ['10.9.0.1', '127.0.0.1', '[::1]']],
    ['internal', ['10.9.0.1'], 'never', 1, ['10.9.0.1']],
    ['internal', ['10.9.0.1', 'fd00::1'], 'never', 1, ['10.9.0.1', '[fd00::1]']],
  ]
  for (const [expose, addresses, policy, replicas, bound] of ROWS) {
    const network = addresses.join(' and ') || 'no internal network'
    test(`${expose}, ${network}, ${policy}, ${replicas} replicas: ${bound.join(' ')}`, () => {
      const shell = new ObedientShell().boot()
      internal(shell, ...addresses)
      const spec = {
        endpoints: [tcp(6379, { expose })],
        localhostReachability: policy,
        scale: fixed(replicas),
      }
      deploy(shell, spec)
      expect(places(shell)).toEqual(bound.map((host) => `tcp ${host}:6379`))
      expect(shell.service().state).toBe('healthy')
      deploy(shell, { ...spec, endpoints: [udpEndpointOf({}, { port: 53, expose })] })
      expect(places(shell)).toEqual(bound.map((host) => `udp ${host}:53`))
      shell.feed({ type: 'remove', request: 900, deployment: 'hello' })
      expect(places(shell)).toEqual([])
      expect(shell.machine.state.ledger.isEmpty).toBe(true)
    })
  }
})

test('proxy W2 W34: a port somebody else holds is an error with the name, retried, never ready', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'bind-socket' && command.host === '0.0.0.0'
      ? [
          {
            type: 'socket-failed',
            socket: command.socket,
            attempt: command.attempt,
            reason: 'address already in use',
            holder: 'nginx (pid 71)',
          },
        ]
      : undefined
  const commands = shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(outcomes(commands)).toEqual([
    [
      'failed',
      'web: cannot listen on 0.0.0.0:8080: address already in use, held by nginx (pid 71)',
    ],
  ])
  expect(shell.machine.view(shell.now).listeners[0]?.state).toBe('retrying')
  const told = shell.service()
  // A retry under way is no reason to say nothing.
  let held: NodeCommand | undefined
  shell.answer = (command) => {
    if (command.type !== 'bind-socket') return undefined
    held = command
    return []
  }
  expect(outcomes(shell.pass(1_000))).toEqual([])
  expect(shell.machine.view(shell.now).listeners[0]?.state).toBe('opening')
  expect(shell.service().detail).toBe(told.detail)
  const { socket, attempt } = held as Extract<NodeCommand, { type: 'bind-socket' }>
  const address = '0.0.0.0:8080'
  const opened = shell.feed({ type: 'socket-bound', socket, attempt, address })
  expect(outcomes([...opened, ...shell.pass(1_000)])).toEqual([['ready']])
})

test('a machine without IPv6 is no problem; one whose IPv4 port is taken is', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'bind-socket' && command.host.includes(':')
      ? [
          {
            type: 'socket-failed',
            socket: command.socket,
            attempt: command.attempt,
            reason: 'address not available',
            isMissing: true,
          },
        ]
      : undefined
  const commands = deploy(shell, { endpoints: [tcp(6379)] })
  expect(typed(commands, 'settled')).toMatchObject([{ outcome: 'ready' }])
  expect(typed(commands, 'notice').filter(({ level }) => level === 'error')).toEqual([])
  const rows = shell.machine.view(shell.now).listeners.map(({ state }) => state)
  expect(rows).toEqual(['serving', 'absent'])
  // While it is tried again nothing is said, either, and nothing when it comes.
  shell.answer = (command) => (command.type === 'bind-socket' ? [] : undefined)
  shell.pass(30_000)
  expect(shell.machine.view(shell.now).listeners[1]?.state).toBe('opening')
  expect(typed(shell.scale('web', 2), 'settled').map(({ outcome }) => outcome)).toEqual(['ready'])
})

describe('the node’s own port', () => {
  const metrics = { host: '127.0.0.1', port: 9464 }

  function withMetrics(): ObedientShell {
    const shell = new ObedientShell()
    shell.machine = new NodeMachine({ ...defaultNodeConfig(1), metrics })
    return shell.boot()
  }

  test('metrics are listened for from the beginning, and owned', () => {
    const shell = withMetrics()
    expect(places(shell)).toEqual(['metrics 127.0.0.1:9464'])
    expect(shell.machine.view(shell.now).node).toEqual([
      { purpose: 'metrics', address: '127.0.0.1:9464', state: 'serving', detail: '' },
    ])
    expect(replies(deploy(shell, { endpoints: [tcp(9464)] }))).toMatchObject([
      { ok: false, text: expect.stringContaining('own, for metrics, so hello/web cannot have it') },
    ])
  })

  test('they go last', () => {
    const shell = withMetrics()
    deploy(shell, {})
    const commands = shell.feed({ type: 'shutdown', mode: 'drain' })
    const unbound = typed(commands, 'unbind-socket').map(({ socket }) => socket)
    expect(unbound.at(-1)).toBe(1)
    expect(commands.at(-1)).toEqual({ type: 'stopped' })
  })
})
