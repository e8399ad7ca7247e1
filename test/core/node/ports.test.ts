/** Host ports of services: where they listen, what moves, what is given back, who is refused. */
import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { defaultNodeConfig, NodeMachine } from '../../../core/node/node.ts'
import type { EndpointSpec, PortMappingSpec, ServiceSpec } from '../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from './obedient-shell.ts'

type Of<T extends NodeCommand['type']> = Extract<NodeCommand, { type: T }>

const typed = <T extends NodeCommand['type']>(commands: readonly NodeCommand[], type: T): Of<T>[] =>
  commands.filter((each): each is Of<T> => each.type === type)
const fixed = (replicas: number) => ({ mode: 'fixed', replicas }) as const
const tcp = (port: number, more: Partial<EndpointSpec> = {}): EndpointSpec =>
  endpointOf({ name: 'tcp', protocol: 'tcp', port, expose: 'internal', ...more })
const tls = (port: number, host: string | undefined, more: Partial<EndpointSpec> = {}) =>
  tcp(port, {
    stream: { ...endpointOf().stream, tls: 'passthrough' },
    ...(host === undefined ? {} : { host }),
    ...more,
  })
const mapping = (more: Partial<PortMappingSpec> = {}): PortMappingSpec => ({
  containerPort: 6379,
  protocol: 'tcp',
  hostIp: '0.0.0.0',
  ...more,
})

function node(spec: Partial<ServiceSpec>, name = 'hello'): ObedientShell {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf(spec) }, name))
  return shell
}

const places = (shell: ObedientShell): string[] =>
  [...shell.bound.values()].map(({ address, use }) => `${use.kind} ${address}`).sort()
const redeploy = (shell: ObedientShell, spec: Partial<ServiceSpec>, name = 'hello') =>
  shell.deploy(deploymentOf({ web: serviceOf(spec) }, name))
const replies = (commands: readonly NodeCommand[]) =>
  typed(commands, 'reply').map(({ result }) => result)
const internal = (shell: ObedientShell, ...addresses: string[]) =>
  shell.feed({ type: 'internal-addresses', addresses })

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
      redeploy(shell, spec)
      expect(places(shell)).toEqual(bound.map((host) => `tcp ${host}:6379`))
      expect(shell.service().state).toBe('healthy')
      redeploy(shell, { ...spec, endpoints: [udpEndpointOf({}, { port: 53, expose })] })
      expect(places(shell)).toEqual(bound.map((host) => `udp ${host}:53`))
      shell.feed({ type: 'remove', request: 900, deployment: 'hello' })
      expect(places(shell)).toEqual([])
      expect(shell.machine.state.ledger.isEmpty).toBe(true)
    })
  }
})

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
    const commands = redeploy(shell, { endpoints: [tcp(6379)] })
    const types = commands.map(({ type }) => type).filter((type) => type.endsWith('-socket'))
    expect(types).toEqual(['unbind-socket', 'unbind-socket', 'bind-socket', 'bind-socket'])
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
    // What is connected stays: it has its listener.
    expect(typed(commands, 'close-listener')).toEqual([])
    expect(typed(commands, 'cut-backend')).toEqual([])
    expect(shell.service().state).toBe('healthy')
  })

  test('another strategy is another listener at the same socket; the old one is never cut', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    shell.answer = (command) => {
      if (command.type !== 'apply-backends') return undefined
      // Connections are left on it.
      const { listener, version } = command
      return [{ type: 'backends-applied', listener, version }]
    }
    const balance = { strategy: 'least_connections', rise: 1, fall: 3, failOpen: true } as const
    const commands = redeploy(shell, { endpoints: [tcp(6379, { balance })] })
    expect(typed(commands, 'route-socket').map(({ use }) => use)).toMatchObject([
      { routes: [{ listener: 'hello/web/tcp#2' }] },
      { routes: [{ listener: 'hello/web/tcp#2' }] },
    ])
    expect(typed(commands, 'unbind-socket')).toEqual([])
    expect(typed(commands, 'close-listener')).toMatchObject([{ listener: 'hello/web/tcp#1' }])
    expect(typed(shell.pass(3_600_000), 'cut-backend')).toEqual([])
    const rows = shell.machine.view(shell.now).listeners.filter(({ state }) => state === 'draining')
    expect(rows).toMatchObject([{ listener: 'hello/web/tcp#1', purpose: 'internal', backends: 1 }])
  })

  test('an endpoint that is gone is closed at once, and cut when its drain is over', () => {
    const shell = node({ endpoints: [tcp(6379), tcp(6380, { name: 'other' })] })
    shell.answer = (command) =>
      command.type === 'apply-backends' && command.listener === 'hello/web/other#2'
        ? [{ type: 'backends-applied', listener: command.listener, version: command.version }]
        : undefined
    const commands = redeploy(shell, { endpoints: [tcp(6379)] })
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
    redeploy(shell, { endpoints: [udpEndpointOf({}, { expose: 'internal' })] })
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

describe('what another listener published', () => {
  const balance = { strategy: 'least_connections', rise: 1, fall: 3, failOpen: true } as const
  const spec = { portMappings: [mapping({ hostPort: 16379 })] }

  test('is not published for the one that takes its place, once it has nobody', () => {
    const shell = node({ ...spec, endpoints: [tcp(6379)] })
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    redeploy(shell, { ...spec, endpoints: [tcp(6379, { balance })], env: { VERSION: '2' } })
    expect(places(shell)).toContain('tcp 0.0.0.0:16379')
    shell.scale('web', 0)
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
  })

  test('stays where the same replicas are behind it: its socket is not closed', () => {
    const shell = node({ ...spec, endpoints: [tcp(6379)] })
    const commands = redeploy(shell, { ...spec, endpoints: [tcp(6379, { balance })] })
    expect(typed(commands, 'unbind-socket')).toEqual([])
    expect(shell.addresses('mapping 6379 tcp')).toEqual(['0.0.0.0:16379'])
  })
})

describe('port mappings', () => {
  test('an explicit one listens while a replica is behind it, and not before', () => {
    const spec = { endpoints: [tcp(6379)], portMappings: [mapping({ hostPort: 16379 })] }
    const shell = new ObedientShell().boot()
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    redeploy(shell, spec)
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
    shell.answer = () => undefined
    shell.pass(10_000)
    expect(places(shell)).toContain('tcp 0.0.0.0:16379')
    expect(shell.service().endpoints).toEqual(['tcp://127.0.0.1:6379', 'tcp://0.0.0.0:16379'])
    const sets = typed(shell.commands, 'apply-backends').map(({ listener, backends }) => [
      listener.split('#')[0],
      backends.map(({ port }) => port),
    ])
    const [port] = Object.values(shell.machine.view(shell.now).replicas[0]!.addresses)
    expect(sets).toEqual([
      ['hello/web/tcp', [Number(port!.split(':')[1])]],
      ['hello/web/mapping 6379 tcp', [Number(port!.split(':')[1])]],
    ])
    shell.scale('web', 0)
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
  })

  test('proxy W39 services W37: one ephemeral port for all replicas, told in the view, given back with the last', () => {
    const shell = node({
      endpoints: [tcp(6379)],
      portMappings: [mapping({ hostIp: '127.0.0.1' })],
      scale: fixed(2),
    })
    const bound = typed(shell.commands, 'bind-socket').filter(({ port }) => port === 0)
    expect(bound).toHaveLength(1)
    expect(shell.service().endpoints[1]).toBe('tcp://127.0.0.1:40000')
    const row = shell.machine.view(shell.now).listeners.find(({ purpose }) => purpose === 'mapping')
    expect(row).toMatchObject({ address: '127.0.0.1:40000', state: 'serving', backends: 2 })
    shell.scale('web', 1)
    expect(shell.service().endpoints[1]).toBe('tcp://127.0.0.1:40000')
    shell.scale('web', 0)
    expect(shell.addresses('mapping 6379 tcp')).toEqual([])
    expect(shell.service().endpoints[1]).toBe('tcp://127.0.0.1:0')
  })

  test('proxy W39: one number at two addresses is two ports', () => {
    const one = mapping({ hostPort: 80, hostIp: '127.0.0.1' })
    const two = mapping({ hostPort: 80, hostIp: '10.0.0.1' })
    const shell = node({ endpoints: [tcp(6379)], portMappings: [one, two] }, 'one')
    redeploy(shell, { endpoints: [tcp(6379)], portMappings: [one] }, 'one')
    const other = {
      endpoints: [tcp(6380)],
      portMappings: [mapping({ ...two, containerPort: 6380 })],
    }
    expect(replies(redeploy(shell, other, 'two'))).toMatchObject([{ ok: true }])
    expect(places(shell)).toContain('tcp 10.0.0.1:80')
  })

  test('a port of the program’s own: one replica, and the number is nobody else’s', () => {
    const shell = node({ endpoints: [], portMappings: [mapping({ hostPort: 16379 })] }, 'one')
    const [set] = typed(shell.commands, 'apply-backends')
    expect(set?.backends).toMatchObject([{ host: '127.0.0.1', port: 6379 }])
    expect(replies(shell.scale('web', 2))).toMatchObject([{ ok: false, code: 'invalid' }])
    expect(replies(redeploy(shell, { endpoints: [tcp(6379)] }, 'two'))).toMatchObject([
      { ok: false, code: 'conflict' },
    ])
  })
})

describe('owners', () => {
  test('proxy W36 W8: two deployments that publish one port: the second is refused by name', () => {
    const shell = node({ endpoints: [tcp(6379)] }, 'one')
    const before = places(shell)
    for (const name of ['two', 'three']) {
      const commands = redeploy(shell, { endpoints: [tcp(6379)] }, name)
      expect(commands).toEqual([
        {
          type: 'reply',
          request: expect.any(Number),
          result: {
            ok: false,
            code: 'conflict',
            text: expect.stringMatching(
              new RegExp(
                `port-conflict: tcp port 6379.* belongs to one/web, so ${name}/web cannot`,
              ),
            ),
          },
        },
      ])
    }
    expect(places(shell)).toEqual(before)
    expect(shell.service().state).toBe('healthy')
  })

  test('proxy W37: a refused deployment starts nothing, and what it claimed before stays', () => {
    const shell = node({ endpoints: [tcp(6379)] }, 'one')
    redeploy(shell, { endpoints: [tcp(7000)] }, 'two')
    const commands = redeploy(shell, { endpoints: [tcp(6379)] }, 'two')
    expect(commands.map(({ type }) => type)).toEqual(['reply'])
    expect(shell.addresses('tcp')).toContain('127.0.0.1:7000')
  })

  test('proxy W38: another port, expose, policy or scale: what was recorded is released', () => {
    const shell = new ObedientShell().boot()
    internal(shell, '10.9.0.1')
    const at = (port: number, more: Partial<ServiceSpec> = {}) =>
      redeploy(shell, { endpoints: [tcp(port)], ...more })
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

  test('a program is not started before the port it chooses is let go of', () => {
    const own = (port: number, targetPort?: number) =>
      serviceOf({ endpoints: [tcp(port, targetPort === undefined ? {} : { targetPort })] })
    const shell = new ObedientShell().boot()
    shell.deploy(deploymentOf({ a: own(7_001, 7_000), b: own(7_002) }))
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    shell.deploy(deploymentOf({ a: own(7_001), b: own(7_002, 7_000) }))
    const started = () =>
      typed(shell.commands, 'create-replica').filter(({ program }) => program.ports.tcp === 7_000)
    expect(started()).toHaveLength(1)
    shell.answer = () => undefined
    shell.pass(60_000)
    expect(started().map(({ replica }) => replica.split('/')[1])).toEqual(['a', 'b'])
    expect(shell.service('b').state).toBe('healthy')
    expect(typed(shell.commands, 'settled').at(-1)).toMatchObject({ outcome: 'ready' })
    // And back: whichever of the two is asked first.
    shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
    shell.deploy(deploymentOf({ a: own(7_001, 7_000), b: own(7_002) }))
    // It is nobody else's meanwhile, either.
    const other = shell.deploy(deploymentOf({ c: own(7_000) }, 'other'))
    expect(replies(other)).toMatchObject([{ ok: false, code: 'conflict' }])
    shell.answer = () => undefined
    shell.pass(60_000)
    expect(started().map(({ replica }) => replica.split('/')[1])).toEqual(['a', 'b', 'a'])
    expect(typed(shell.commands, 'settled').at(-1)).toMatchObject({ outcome: 'ready' })
  })

  test('who arrives does not take what another one was by the older file for what it is', () => {
    const db = (replicas: number) => serviceOf({ endpoints: [tcp(5432)], scale: fixed(replicas) })
    const web = serviceOf({
      endpoints: [],
      depends: [{ service: 'db', condition: 'ready', timeoutMs: 60_000, onTimeout: 'fail' }],
    })
    const shell = new ObedientShell().boot()
    shell.deploy(deploymentOf({ db: db(1) }))
    shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
    const commands = shell.deploy(deploymentOf({ db: db(2), web }))
    expect(typed(commands, 'create-replica').map(({ replica }) => replica.split('/')[1])).toEqual([
      'db',
    ])
  })

  test('proxy W7: an endpoint that a redeploy adds is served', () => {
    const shell = node({ endpoints: [tcp(6379)] })
    redeploy(shell, { endpoints: [tcp(6379), tcp(9000, { name: 'more' })] })
    shell.pass(60_000)
    expect(shell.addresses('more')).toEqual(['127.0.0.1:9000', '[::1]:9000'])
    expect(shell.service().state).toBe('healthy')
  })

  test('an internal address somebody’s mapping has is waited for, and said', () => {
    const shell = node(
      {
        endpoints: [tcp(7000)],
        portMappings: [mapping({ containerPort: 7000, hostPort: 6379, hostIp: '10.9.0.1' })],
      },
      'one',
    )
    redeploy(shell, { endpoints: [tcp(6379)] }, 'two')
    internal(shell, '10.9.0.1')
    const two = () =>
      shell.machine.view(shell.now).services.find((each) => each.deployment === 'two')
    expect(two()?.detail).toMatch(/^cannot listen: port-conflict: tcp port 6379/)
    expect(shell.addresses('tcp')).toContain('127.0.0.1:6379')
    shell.feed({ type: 'remove', request: 901, deployment: 'one' })
    expect(shell.addresses('tcp')).toContain('10.9.0.1:6379')
    expect(two()).toMatchObject({ state: 'healthy', detail: '' })
  })

  test('services of several deployments share a TLS port by the name that is asked for', () => {
    const shell = node({ endpoints: [tls(443, 'a.example.com')] }, 'one')
    expect(
      replies(redeploy(shell, { endpoints: [tls(443, 'b.example.com')] }, 'two')),
    ).toMatchObject([{ ok: true }])
    const [socket] = [...shell.bound.values()]
    expect(socket?.use).toEqual({
      kind: 'tcp',
      greetingsMax: 10_000,
      acceptProxyProtocol: [],
      routes: [
        { listener: 'one/web/tcp#1', serverName: 'a.example.com', tls: 'passthrough' },
        { listener: 'two/web/tcp#2', serverName: 'b.example.com', tls: 'passthrough' },
      ],
    })
    const same = redeploy(shell, { endpoints: [tls(443, 'a.example.com')] }, 'three')
    expect(replies(same)).toMatchObject([{ ok: false, code: 'conflict' }])
    const open = redeploy(
      shell,
      { endpoints: [tls(443, 'c.example.com', { expose: 'public' })] },
      'three',
    )
    expect(replies(open)).toMatchObject([{ ok: false, code: 'conflict' }])
    // Nor may a mapping at every address open what is for this machine alone.
    const mapped = redeploy(
      shell,
      {
        endpoints: [tls(9443, 'd.example.com')],
        portMappings: [mapping({ containerPort: 9443, hostPort: 443 })],
      },
      'three',
    )
    expect(replies(mapped)).toMatchObject([{ ok: false, code: 'conflict' }])
    shell.feed({ type: 'remove', request: 902, deployment: 'one' })
    expect([...shell.bound.values()].map(({ use }) => use)).toMatchObject([
      { routes: [{ listener: 'two/web/tcp#2' }] },
      { routes: [{ listener: 'two/web/tcp#2' }] },
    ])
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
    const commands = redeploy(shell, { endpoints: [tcp(6379)] })
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
      { purpose: 'metrics', address: '127.0.0.1:9464', state: 'listening', detail: '' },
    ])
    expect(replies(redeploy(shell, { endpoints: [tcp(9464)] }))).toMatchObject([
      { ok: false, text: expect.stringContaining('belongs to node:metrics') },
    ])
  })

  test('they go last', () => {
    const shell = withMetrics()
    redeploy(shell, {})
    const commands = shell.feed({ type: 'shutdown', mode: 'drain' })
    const unbound = typed(commands, 'unbind-socket').map(({ socket }) => socket)
    expect(unbound.at(-1)).toBe(1)
    expect(commands.at(-1)).toEqual({ type: 'stopped' })
  })
})

describe('shutdown', () => {
  /** Connections end when they are cut. */
  const busy = (shell: ObedientShell): void => {
    const versions = new Map<string, number>()
    shell.answer = (command) => {
      if (command.type === 'cut-backend') {
        const { listener, backend } = command
        const version = versions.get(listener) ?? 0
        return [{ type: 'backend-drained', listener, backend, version }]
      }
      if (command.type !== 'apply-backends') return undefined
      const { listener, version } = command
      versions.set(listener, version)
      return [{ type: 'backends-applied', listener, version }]
    }
  }

  test('proxy W10: nobody new from outside at once; old work is finished, then cut; counted down', () => {
    const db = serviceOf({ endpoints: [tcp(5432)] })
    const web = serviceOf({
      depends: [{ service: 'db', condition: 'healthy', timeoutMs: 60_000, onTimeout: 'fail' }],
    })
    const shell = new ObedientShell().boot()
    shell.deploy(deploymentOf({ db, web }))
    busy(shell)
    shell.feed({ type: 'shutdown', request: 950, mode: 'drain' })
    expect(places(shell)).toEqual(['tcp 127.0.0.1:5432', 'tcp [::1]:5432'])
    shell.pass(20_000)
    expect(shell.machine.view(shell.now).drain).toEqual({ remainsMs: 10_000 })
    expect(typed(shell.commands, 'cut-backend')).toEqual([])
    const commands = shell.pass(10_000)
    const cut = typed(commands, 'cut-backend').map(({ listener }) => listener)
    expect(cut.slice(0, 2)).toEqual(['hello/web/http#2', 'hello/db/tcp#1'])
    // The one it used has no patience left to wait with.
    shell.pass(10)
    expect(places(shell)).toEqual([])
    expect([...shell.alive]).toEqual([])
  })

  test('a udp listener that was closed to the outside is given nobody any more', () => {
    const dns = serviceOf({ endpoints: [udpEndpointOf()], scale: fixed(2) })
    const web = serviceOf({
      depends: [{ service: 'dns', condition: 'started', timeoutMs: 60_000, onTimeout: 'fail' }],
    })
    const shell = new ObedientShell().boot()
    shell.answer = (command) =>
      command.type === 'create-replica' && command.replica.includes('/dns/2') ? [] : undefined
    shell.deploy(deploymentOf({ dns, web }))
    busy(shell)
    shell.feed({ type: 'shutdown', mode: 'drain' })
    const late = typed(shell.commands, 'create-replica').find(({ replica }) =>
      replica.includes('/dns/2'),
    )
    const commands = shell.feed(...shell.obey(late!))
    expect(typed(commands, 'apply-backends')).toEqual([])
    shell.pass(31_000)
    expect(typed(shell.commands, 'stopped')).toHaveLength(1)
  })

  test('an abort during a drain leaves nobody any patience', () => {
    const shell = node({})
    busy(shell)
    shell.feed({ type: 'shutdown', mode: 'drain' })
    shell.answer = (command) => (command.type === 'remove-replica' ? [] : undefined)
    shell.feed({ type: 'shutdown', mode: 'abort' })
    expect(shell.machine.view(shell.now).drain).toEqual({ remainsMs: 0 })
  })

  test('how long is a setting of the node', () => {
    const shell = new ObedientShell()
    shell.machine = new NodeMachine({ ...defaultNodeConfig(1), drainTimeoutMs: 2_000 })
    shell.boot()
    redeploy(shell, {})
    busy(shell)
    shell.feed({ type: 'shutdown', mode: 'drain' })
    expect(typed(shell.pass(1_900), 'cut-backend')).toEqual([])
    expect(typed(shell.pass(101), 'cut-backend').length).toBeGreaterThan(0)
    expect(shell.numbers()).toEqual([])
  })
})
