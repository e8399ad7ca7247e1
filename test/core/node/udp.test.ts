/** UDP endpoints: their listeners, and what of a new file needs another socket. */
import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../../core/spec/deployment.ts'
import { deploymentOf, ObedientShell, serviceOf, udpEndpointOf, udpOf } from './obedient-shell.ts'
import { DNS_TCP, deployed, redeploy, setsOf } from './service/dns-samples.ts'
import { typed, typesOf } from './service/samples.ts'

describe('listeners', () => {
  test('a udp endpoint has a listener with its block and a socket for each family', () => {
    const shell = deployed([udpEndpointOf({ responses: 1 }, { expose: 'internal' })])
    const opened = {
      type: 'open-listener',
      balance: { strategy: 'hrw', failOpen: true },
      protocol: 'udp',
      udp: udpOf({ responses: 1 }),
      drainTimeoutMs: 30_000,
      access: [],
      idleAfterMs: 0,
    }
    expect(typed(shell.commands, 'open-listener')).toEqual([
      { ...opened, listener: 'hello/dns/dns#1' },
      { ...opened, listener: 'hello/dns/dns#2' },
    ])
    const bound = { type: 'bind-socket', port: 53 }
    expect(typed(shell.commands, 'bind-socket')).toEqual([
      {
        ...bound,
        socket: 1,
        attempt: 1,
        host: '127.0.0.1',
        use: { kind: 'udp', listener: 'hello/dns/dns#1' },
      },
      {
        ...bound,
        socket: 2,
        attempt: 1,
        host: '::1',
        use: { kind: 'udp', listener: 'hello/dns/dns#2' },
      },
    ])
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
    const [listener] = shell.machine.view(shell.now).listeners
    expect(listener).toMatchObject({ protocol: 'udp', state: 'serving', backends: 2 })
    expect(listener?.members.map(({ isUp }) => isUp)).toEqual([true, true])
    expect(shell.service('dns').endpoints).toEqual(['udp://127.0.0.1:53'])
  })

  test('a service with udp endpoints only, and no check, is healthy while it runs', () => {
    const shell = deployed([udpEndpointOf()])
    expect(typed(shell.commands, 'probe')).toEqual([])
    expect(shell.service('dns').state).toBe('healthy')
    expect(typed(shell.commands, 'settled')).toMatchObject([{ outcome: 'ready' }])
  })

  test('udp W35: 53/tcp and 53/udp are two listeners, and one number of each replica', () => {
    const shell = deployed([udpEndpointOf(), DNS_TCP], { replicas: 1 })
    const bound = typed(shell.commands, 'bind-socket').map(({ use, host, port }) => [
      use.kind,
      host,
      port,
    ])
    expect(bound).toEqual([
      ['udp', '0.0.0.0', 53],
      ['udp', '::', 53],
      ['tcp', '0.0.0.0', 53],
      ['tcp', '::', 53],
    ])
    const [created] = typed(shell.commands, 'create-replica')
    const { ports, udpEndpoints, env } = created!.program
    expect(ports['dns-tcp']).toBe(ports.dns)
    expect(udpEndpoints).toEqual(['dns'])
    expect([env.PORT_DNS, env.PORT_DNS_TCP]).toEqual([String(ports.dns), String(ports.dns)])
    shell.scale('dns', 0)
    expect(shell.machine.state.ports.leased.size).toBe(0)
  })

  test('udp W35: 53/tcp and 53/udp of two services do not wait for each other', () => {
    const shell = new ObedientShell().boot()
    shell.deploy(
      deploymentOf({
        one: serviceOf({ endpoints: [DNS_TCP] }),
        two: serviceOf({ endpoints: [udpEndpointOf()] }),
      }),
    )
    const states = shell.machine.view(shell.now).listeners.map((each) => each.state)
    expect(states).toEqual(['serving', 'serving', 'serving', 'serving'])
    // either goes without the other
    const commands = shell.deploy(deploymentOf({ one: serviceOf({ endpoints: [DNS_TCP] }) }))
    expect(typed(commands, 'close-listener').map((each) => each.listener)).toEqual([
      'hello/two/dns#2',
      'hello/two/dns#3',
    ])
    expect(shell.addresses('dns-tcp')).toEqual(['0.0.0.0:53', '[::]:53'])
    expect(shell.bound.size).toBe(2)
  })

  test('a udp port is its owner’s until its socket is closed', () => {
    const shell = deployed([udpEndpointOf()])
    shell.answer = (command) => (command.type === 'unbind-socket' ? [] : undefined)
    const closing = typed(redeploy(shell, [udpEndpointOf({}, { port: 54 })]), 'unbind-socket')
    const other = deploymentOf({ two: serviceOf({ endpoints: [udpEndpointOf()] }) }, 'other')
    expect(typed(shell.deploy(other), 'reply')).toMatchObject([{ result: { code: 'conflict' } }])
    shell.answer = () => undefined
    for (const each of closing) shell.feed(...shell.obey(each))
    expect(typed(shell.deploy(other), 'reply')).toMatchObject([{ result: { ok: true } }])
  })

  test('another udp block goes to the listener as it is: no socket is opened, no flow is lost', () => {
    const shell = deployed([udpEndpointOf()])
    const commands = redeploy(shell, [udpEndpointOf({ frontTimeoutMs: 1_000 })])
    expect(typesOf(commands)).toEqual([
      'configure-listener',
      'configure-listener',
      'reply',
      'settled',
    ])
    const configured = {
      type: 'configure-listener',
      protocol: 'udp',
      udp: udpOf({ frontTimeoutMs: 1_000 }),
      drainTimeoutMs: 30_000,
      access: [],
      idleAfterMs: 0,
    }
    expect(typed(commands, 'configure-listener')).toEqual([
      { ...configured, listener: 'hello/dns/dns#1' },
      { ...configured, listener: 'hello/dns/dns#2' },
    ])
    expect(typesOf(redeploy(shell, [udpEndpointOf({ frontTimeoutMs: 1_000 })]))).toEqual([
      'reply',
      'settled',
    ])
  })

  test('another stream block, too, when nothing of it needs another socket', () => {
    const shell = deployed([DNS_TCP])
    const stream = { ...DNS_TCP.stream, connectionsMax: 7 }
    const commands = redeploy(shell, [{ ...DNS_TCP, stream }])
    // As many may be on their way in as may be in.
    expect(typesOf(commands)).toEqual([
      'configure-listener',
      'route-socket',
      'route-socket',
      'reply',
      'settled',
    ])
    expect(typed(commands, 'configure-listener')).toMatchObject([{ protocol: 'tcp', stream }])
  })

  const REOPENED: readonly [string, Partial<EndpointSpec>][] = [
    ['another strategy', { balance: { strategy: 'maglev', rise: 1, fall: 3, failOpen: true } }],
    ['failing closed', { balance: { strategy: 'hrw', rise: 1, fall: 3, failOpen: false } }],
    ['another expose', { expose: 'internal' }],
    ['another port', { port: 54 }],
  ]
  for (const [name, more] of REOPENED) {
    test(`${name} opens a listener anew, once the old one has let go of the port`, () => {
      const shell = deployed([udpEndpointOf()])
      const types = typesOf(redeploy(shell, [udpEndpointOf({}, more)]))
      expect(types).toContain('open-listener')
      const order = types.filter((each) => /^(un)?bind-socket$/.test(each))
      expect(order).toEqual(['unbind-socket', 'unbind-socket', 'bind-socket', 'bind-socket'])
      expect(types.filter((each) => each === 'close-listener')).toHaveLength(2)
      expect(setsOf(shell).at(-1)).toBe('dns: 1 2')
      expect(shell.service('dns').state).toBe('healthy')
    })
  }

  test('another name opens a listener anew: flows belong to their socket', () => {
    const shell = deployed([udpEndpointOf()])
    redeploy(shell, [udpEndpointOf({}, { name: 'names' })])
    expect(shell.addresses('names')).toEqual(['0.0.0.0:53', '[::]:53'])
    const before = new Set(typed(shell.commands, 'unbind-socket').map(({ socket }) => socket))
    expect(before.size).toBe(2)
    expect([...shell.bound.keys()].filter((socket) => before.has(socket))).toEqual([])
  })

  test('rise and fall need no other socket', () => {
    const shell = deployed([udpEndpointOf()])
    const balance = { strategy: 'hrw', rise: 2, fall: 1, failOpen: true } as const
    expect(typesOf(redeploy(shell, [udpEndpointOf({}, { balance })]))).toEqual(['reply', 'settled'])
  })

  test('a listener that nothing leads to yet has the newest block, too', () => {
    const shell = new ObedientShell().boot()
    shell.answer = (command) =>
      command.type === 'bind-socket'
        ? [{ ...command, type: 'socket-failed', reason: 'no' }]
        : undefined
    shell.deploy(deploymentOf({ dns: serviceOf({ endpoints: [udpEndpointOf()] }) }))
    shell.answer = () => undefined
    const commands = redeploy(shell, [udpEndpointOf({ requests: 9 })], 1)
    expect(typed(commands, 'configure-listener')).toMatchObject([
      { udp: { requests: 9 } },
      { udp: { requests: 9 } },
    ])
    expect(shell.bound.size).toBe(0)
    shell.pass(300)
    expect(shell.addresses('dns')).toEqual(['0.0.0.0:53', '[::]:53'])
  })
})
