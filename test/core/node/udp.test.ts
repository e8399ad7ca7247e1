/** UDP endpoints: their listeners, their backend sets, and the checks they have of their own. */
import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { EndpointSpec, UdpHealthSpec, UdpSpec } from '../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  failing,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
  udpOf,
} from './obedient-shell.ts'

type Of<T extends NodeCommand['type']> = Extract<NodeCommand, { type: T }>

const fixed = (replicas: number) => ({ mode: 'fixed', replicas }) as const
const typed = <T extends NodeCommand['type']>(commands: readonly NodeCommand[], type: T): Of<T>[] =>
  commands.filter((each): each is Of<T> => each.type === type)
const typesOf = (commands: readonly NodeCommand[]) =>
  commands.filter((each) => each.type !== 'notice').map((each) => each.type)

const PROBE: UdpHealthSpec = {
  type: 'udp_probe',
  request: 'ping\\x00',
  expect: 'pong',
  intervalMs: 5_000,
  timeoutMs: 2_000,
}
const CONNECT: UdpHealthSpec = { type: 'tcp_connect', intervalMs: 5_000, timeoutMs: 2_000 }
const DNS_TCP = endpointOf({ name: 'dns-tcp', protocol: 'tcp', port: 53 })

function deployed(
  endpoints: readonly EndpointSpec[],
  { replicas = 2 }: { replicas?: number } = {},
): ObedientShell {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ dns: serviceOf({ endpoints, scale: fixed(replicas) }) }))
  return shell
}

const redeploy = (shell: ObedientShell, endpoints: readonly EndpointSpec[], replicas = 2) =>
  shell.deploy(deploymentOf({ dns: serviceOf({ endpoints, scale: fixed(replicas) }) }))

/**
 * `1 2!`: the numbers in the set sent last to each listener, those that are down with a mark; the
 * listeners of both families have the same one, said once.
 */
const setsOf = (shell: ObedientShell): string[] => {
  const sets = new Map(typed(shell.commands, 'apply-backends').map((each) => [each.listener, each]))
  const lines = [...sets.values()]
    .filter(({ backends }) => backends.length > 0)
    .map(({ listener, backends }) => {
      const members = backends.map(({ id, down }) => /(\d+)#/.exec(id)?.[1] + (down ? '!' : ''))
      return `${listener.split('/')[2]?.split('#')[0]}: ${members.join(' ')}`
    })
  return [...new Set(lines)]
}

describe('listeners', () => {
  test('a udp endpoint has a listener with its block and a socket for each family', () => {
    const shell = deployed([udpEndpointOf({ responses: 1 }, { expose: 'internal' })])
    const opened = {
      type: 'open-listener',
      balance: { strategy: 'hrw', failOpen: true },
      protocol: 'udp',
      udp: udpOf({ responses: 1 }),
      drainTimeoutMs: 30_000,
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

describe('checks of an endpoint', () => {
  const both = (udp: Partial<UdpSpec>, balance = { rise: 1, fall: 3 }) => [
    udpEndpointOf(udp, { balance: { strategy: 'hrw', failOpen: true, ...balance } }),
    DNS_TCP,
  ]

  test('each has an identity, a target and an interval of its own', () => {
    const shell = deployed(both({ health: [PROBE, CONNECT] }), { replicas: 1 })
    const [created] = typed(shell.commands, 'create-replica')
    const port = created!.program.ports.dns
    const tcp = { type: 'tcp', host: '127.0.0.1', port }
    expect(typed(shell.commands, 'probe')).toMatchObject([
      { check: 'main', attempt: 1, target: tcp, timeoutMs: 5_000 },
      {
        check: 'dns/udp_probe',
        attempt: 1,
        target: {
          type: 'udp',
          host: '127.0.0.1',
          port,
          request: '70696e6700',
          expect: '706f6e67',
        },
        timeoutMs: 2_000,
      },
      { check: 'dns/tcp_connect', attempt: 1, target: tcp, timeoutMs: 2_000 },
    ])
    const later = typed(shell.pass(5_000), 'probe').map(({ check }) => check)
    expect(later).toEqual(['dns/udp_probe', 'dns/tcp_connect'])
  })

  test('a replica takes no traffic anywhere before all of them have passed', () => {
    const shell = new ObedientShell().boot()
    shell.answer = failing('dns/udp_probe', 'no answer')
    redeploy(shell, both({ health: [PROBE] }))
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual([])
    expect(shell.service('dns')).toMatchObject({
      state: 'unhealthy',
      detail: 'dns-1 fails udp_probe at dns: no answer',
    })
    shell.answer = () => undefined
    shell.pass(300)
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(shell.service('dns')).toMatchObject({ state: 'healthy', detail: '' })
  })

  test('udp W22: a silent udp service beside an open tcp port goes down there, and only there', () => {
    const shell = deployed(both({ health: [PROBE, CONNECT] }))
    const isFirst = (id: string) => id.includes('/1#')
    shell.answer = failing('dns/udp_probe', 'no answer within 2s', isFirst)
    const commands = shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2', 'dns-tcp: 1 2'])
    expect(shell.service('dns')).toMatchObject({
      state: 'degraded',
      detail: 'dns-1 fails udp_probe at dns: no answer within 2s',
    })
    expect(typed(commands, 'settled')).toMatchObject([
      {
        outcome: 'failed',
        problems: ['dns: dns-1 fails udp_probe at dns: no answer within 2s'],
      },
    ])
    const [first] = shell.machine.view(shell.now).replicas
    expect(first).toMatchObject({ state: 'ready', health: 'unhealthy' })
    expect(typed(commands, 'notice').map((each) => each.text)).toEqual([
      'dns-1 is down at dns: no answer within 2s',
    ])

    shell.answer = () => undefined
    const after = shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(typed(after, 'notice').map((each) => each.text)).toEqual(['dns-1 is up again at dns'])
    expect(shell.service('dns').state).toBe('healthy')
  })

  test('udp W22: a service without a tcp port comes up again', () => {
    const shell = deployed([udpEndpointOf({ health: [PROBE] })])
    shell.answer = failing('dns/udp_probe', 'connection refused')
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!'])
    expect(shell.service('dns').state).toBe('unhealthy')
    shell.answer = () => undefined
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
  })

  test('udp W22: checks that are taken out of the file leave no verdict behind', () => {
    const shell = deployed(both({ health: [PROBE] }))
    shell.answer = failing('dns/udp_probe', 'no answer')
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!', 'dns-tcp: 1 2'])
    const commands = redeploy(shell, both({}))
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(typesOf(commands)).not.toContain('signal-replica')
    expect(shell.service('dns')).toMatchObject({ state: 'healthy', detail: '' })
    expect(typed(shell.pass(20_000), 'probe').every(({ check }) => check === 'main')).toBe(true)
  })

  test('checks that a file adds begin with what runs, and are passed before it is ready again', () => {
    const shell = deployed(both({}))
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const commands = redeploy(shell, both({ health: [PROBE] }))
    expect(typed(commands, 'probe').map(({ check }) => check)).toEqual([
      'dns/udp_probe',
      'dns/udp_probe',
    ])
    expect(typesOf(commands)).not.toContain('settled')
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(shell.service('dns').state).toBe('updating')
    shell.answer = () => undefined
    expect(typed(shell.pass(4_000), 'settled')).toMatchObject([{ outcome: 'ready' }])
  })

  test('an answer to a check that was taken away and came back is stale', () => {
    const shell = deployed([udpEndpointOf({ health: [PROBE] })], { replicas: 1 })
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const [asked] = typed(shell.pass(5_000), 'probe')
    expect(typed(redeploy(shell, [udpEndpointOf()], 1), 'cancel-probe')).toEqual([
      {
        type: 'cancel-probe',
        replica: asked!.replica,
        check: 'dns/udp_probe',
        attempt: asked!.attempt,
      },
    ])
    const [again] = typed(redeploy(shell, [udpEndpointOf({ health: [PROBE] })], 1), 'probe')
    expect(again!.attempt).toBeGreaterThan(asked!.attempt)
    const { replica, check } = again!
    const stale = { type: 'probe-result', replica, check, ok: true, reason: '' } as const
    expect(shell.feed({ ...stale, attempt: asked!.attempt })).toEqual([])
    expect(typesOf(shell.feed({ ...stale, attempt: again!.attempt }))).toEqual(['settled'])
  })

  test('an answer counts for its own check, whatever attempts the others are at', () => {
    const shell = deployed(both({ health: [PROBE, CONNECT] }, { rise: 1, fall: 1 }), {
      replicas: 1,
    })
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const asked = typed(shell.pass(5_000), 'probe')
    const [probe, connect] = asked
    expect(probe!.attempt).toBe(connect!.attempt)
    const { replica, check, attempt } = probe!
    shell.feed({ type: 'probe-result', replica, check, attempt, ok: false, reason: 'no answer' })
    const { check: other } = connect!
    shell.feed({ type: 'probe-result', replica, check: other, attempt, ok: true, reason: '' })
    expect(setsOf(shell)).toEqual(['dns: 1!', 'dns-tcp: 1'])
  })

  test('udp 8: rise 2, fall 3: two failures keep it up, one success keeps it down', () => {
    const shell = deployed([
      udpEndpointOf(
        { health: [PROBE] },
        { balance: { strategy: 'hrw', rise: 2, fall: 3, failOpen: true } },
      ),
    ])
    const down = failing('dns/udp_probe', 'no answer')
    shell.answer = down
    shell.pass(10_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!'])
    shell.answer = () => undefined
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!'])
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
  })

  test('a datagram that did not get through brings the checks of its endpoint forward', () => {
    const shell = deployed([
      udpEndpointOf({ health: [PROBE] }),
      udpEndpointOf({ health: [PROBE] }, { name: 'other', port: 54 }),
    ])
    const [listener] = shell.applied.keys()
    const [backend] = shell.alive
    const reason = 'connection refused'
    const commands = shell.feed({
      type: 'backend-failed',
      listener: listener!,
      backend: backend!,
      reason,
    })
    expect(typed(commands, 'probe').map(({ check }) => check)).toEqual(['dns/udp_probe'])
  })

  test('a tcp endpoint may have a check of its own too', () => {
    const stream = { ...DNS_TCP.stream, healthCheck: { type: 'tcp_connect' } as const }
    const shell = deployed([{ ...DNS_TCP, stream }, endpointOf()])
    shell.answer = failing('dns-tcp/tcp_connect', 'connection refused', (id) => id.includes('/1#'))
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns-tcp: 1! 2', 'http: 1 2'])
  })

  test('an unhealthy replica is down at every endpoint, and leaves the sets when it is stopped', () => {
    const shell = deployed(both({}))
    shell.answer = failing('main', 'connection refused', (id) => id.includes('/2#'))
    shell.pass(60_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2!', 'dns-tcp: 1 2!'])
    shell.scale('dns', 1)
    expect(setsOf(shell)).toEqual(['dns: 1', 'dns-tcp: 1'])
  })

  test('an update goes on only with replicas that pass the checks of their endpoints', () => {
    const web = (version: string) =>
      deploymentOf({
        dns: serviceOf({
          endpoints: both({ health: [PROBE] }),
          scale: fixed(2),
          env: { VERSION: version },
        }),
      })
    const shell = new ObedientShell().boot()
    shell.deploy(web('1'))
    const old = new Set<string>(shell.alive)
    shell.answer = failing('dns/udp_probe', 'no answer', (id) => !old.has(id))
    shell.deploy(web('2'))
    shell.pass(120_000)
    expect([...shell.alive].filter((id) => old.has(id))).toHaveLength(2)
    shell.answer = () => undefined
    shell.pass(120_000)
    expect([...shell.alive].filter((id) => old.has(id))).toHaveLength(0)
    expect(shell.service('dns').state).toBe('healthy')
  })

  test('one that goes down after it was ready does not stand for an old one', () => {
    const update = {
      surgeMax: 1,
      unavailableMax: 0,
      readyMinMs: 20_000,
      onFailure: 'pause',
    } as const
    const web = (version: string) =>
      deploymentOf({
        dns: serviceOf({
          endpoints: both({ health: [PROBE] }),
          scale: fixed(2),
          env: { VERSION: version },
          update,
        }),
      })
    const shell = new ObedientShell().boot()
    shell.deploy(web('1'))
    const old = new Set<string>(shell.alive)
    shell.deploy(web('2'))
    shell.answer = failing('dns/udp_probe', 'no answer', (id) => !old.has(id))
    shell.pass(120_000)
    expect([...shell.alive].filter((id) => old.has(id))).toHaveLength(2)
    expect(setsOf(shell)).toEqual(['dns: 1 2 3!', 'dns-tcp: 1 2 3'])
  })
})
