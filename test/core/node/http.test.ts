/** HTTP endpoints: their listeners, the ports they share, and where requests are led. */
import { describe, expect, test } from 'vitest'
import { NodeMachine } from '../../../core/node/node.ts'
import type { EndpointSpec, ServiceSpec } from '../../../core/spec/deployment.ts'
import { plainHttp, plainStream } from '../../../core/spec/plain-endpoint.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from './obedient-shell.ts'
import { deploy, node, remove, replies, tcp, typed, typesOf } from './service/samples.ts'

const web = (more: Partial<EndpointSpec>): Partial<ServiceSpec> => ({
  endpoints: [endpointOf(more)],
})

/** `0.0.0.0:8080 a.example.com/ -> one/web/http#1`, of IPv4. */
const routes = (shell: ObedientShell): string[] =>
  shell.machine
    .view(shell.now)
    .routes.filter(({ address }) => !address.startsWith('['))
    .map(({ address, host, path, listener }) => `${address} ${host}${path} -> ${listener}`)

describe('a listener', () => {
  test('has the http block, who may come, and no stream', () => {
    const shell = node(web({ http: { ...plainHttp, retries: 3 } }))
    expect(typed(shell.commands, 'open-listener')).toEqual([
      {
        type: 'open-listener',
        listener: 'hello/web/http#1',
        balance: { strategy: 'round_robin', failOpen: false },
        protocol: 'http',
        http: { ...plainHttp, retries: 3 },
        access: [],
        idleAfterMs: 0,
      },
    ])
  })

  test('is configured live: another block, another strategy, another host', () => {
    const shell = node(web({}))
    const balance = { ...endpointOf().balance, strategy: 'least_connections' } as const
    const commands = deploy(shell, web({ balance, http: { ...plainHttp, retries: 0 } }))
    expect(typesOf(commands)).not.toContain('open-listener')
    expect(typed(commands, 'configure-listener')).toMatchObject([
      {
        listener: 'hello/web/http#1',
        http: { retries: 0 },
        balance: { strategy: 'least_connections' },
      },
    ])
    expect(routes(shell)).toEqual(['0.0.0.0:8080 / -> hello/web/http#1'])
    deploy(shell, web({ host: 'a.example.com' }))
    expect(routes(shell)).toEqual(['0.0.0.0:8080 a.example.com/ -> hello/web/http#1'])
  })

  test('of http and of https are one: clients change, backends do not; of tcp is another', () => {
    const shell = node(web({}))
    const stream = { ...plainStream, tls: 'terminate' } as const
    deploy(shell, web({ protocol: 'https', stream }))
    expect(routes(shell)).toEqual(['0.0.0.0:8080 / -> hello/web/http#1'])
    deploy(shell, { endpoints: [tcp(8080, { name: 'http', expose: 'public' })] })
    expect(routes(shell)).toEqual([])
    expect(typed(shell.commands, 'open-listener')).toHaveLength(2)
  })
})

describe('a port that is shared', () => {
  test('leads by host and path, whatever deployment the service is of', () => {
    const shell = node(web({ host: 'a.example.com' }), 'one')
    deploy(shell, web({ host: 'b.example.com' }), 'two')
    deploy(shell, web({ path: '/api' }), 'three')
    expect(routes(shell)).toEqual([
      '0.0.0.0:8080 /api -> three/web/http#3',
      '0.0.0.0:8080 a.example.com/ -> one/web/http#1',
      '0.0.0.0:8080 b.example.com/ -> two/web/http#2',
    ])
    // One socket for each family, bound once.
    expect(typed(shell.commands, 'bind-socket')).toHaveLength(2)
  })

  test('says the most that any of its tenants allows before a request says whom it is for', () => {
    const shell = node(web({ path: '/a', http: { ...plainHttp, headTimeoutMs: 1_000 } }), 'one')
    const slow = { ...plainHttp, headTimeoutMs: 20_000, headBytesMax: 65_536, idleTimeoutMs: 9_000 }
    deploy(shell, web({ path: '/b', http: slow }), 'two')
    const [use] = [...shell.bound.values()].map((each) => each.use)
    expect(use).toMatchObject({
      kind: 'tcp',
      routes: [{ tls: 'off', headTimeoutMs: 20_000, headBytesMax: 65_536, idleTimeoutMs: 75_000 }],
    })
  })

  test('of an equal host and path has one owner, and the other is named', () => {
    const shell = node(web({ host: 'a.example.com', path: '/api' }), 'one')
    const again = deploy(shell, web({ host: 'a.example.com', path: '/api' }), 'two')
    const [{ result } = { result: { text: '' } }] = typed(again, 'reply')
    expect(result.text).toContain('a.example.com/api')
    expect(replies(again)).toMatchObject([{ ok: false, code: 'conflict' }])
  })

  test('proxy W4: internal and public, http and https, http and tcp never share', () => {
    const stream = { ...plainStream, tls: 'terminate' } as const
    const others: Partial<ServiceSpec>[] = [
      web({ path: '/b', expose: 'internal' }),
      web({ path: '/b', protocol: 'https', stream }),
      web({ path: '/b', stream: { ...plainStream, acceptProxyProtocol: ['10.0.0.0/8'] } }),
      { endpoints: [tcp(8080, { expose: 'public' })] },
    ]
    for (const other of others) {
      const shell = node(web({ path: '/a' }), 'one')
      expect(replies(deploy(shell, other, 'two'))).toMatchObject([{ ok: false, code: 'conflict' }])
    }
  })

  test('proxy W4: https and TLS tcp do not share either: one is read, the other is not', () => {
    const stream = { ...plainStream, tls: 'terminate' } as const
    const shell = node(web({ port: 443, protocol: 'https', host: 'a.example.com', stream }), 'one')
    const secret = tcp(443, { expose: 'public', host: 'b.example.com', stream })
    const commands = deploy(shell, { endpoints: [secret] }, 'two')
    expect(replies(commands)).toMatchObject([{ ok: false, code: 'conflict' }])
  })

  test('proxy W5: removing one tenant leaves the other alone, and its socket open', () => {
    const shell = node(web({ path: '/a' }), 'one')
    deploy(shell, web({ path: '/b' }), 'two')
    const before = shell.commands.length
    remove(shell, 'one')
    expect(routes(shell)).toEqual(['0.0.0.0:8080 /b -> two/web/http#2'])
    const after = typesOf(shell.commands.slice(before))
    expect(after).not.toContain('unbind-socket')
    expect(after).toContain('route-socket')
  })
})

describe('what the reference does wrong', () => {
  test('proxy W6: deploying again neither doubles a route, nor empties a set, nor leaves an old route', () => {
    const shell = node(web({}))
    const before = shell.commands.length
    deploy(shell, web({}))
    expect(typesOf(shell.commands.slice(before))).not.toContain('apply-backends')
    expect(routes(shell)).toEqual(['0.0.0.0:8080 / -> hello/web/http#1'])
    deploy(shell, web({ port: 9090 }))
    expect(routes(shell)).toEqual(['0.0.0.0:9090 / -> hello/web/http#1'])
    expect(shell.addresses('http')).toEqual(['0.0.0.0:9090', '[::]:9090'])
  })

  test('proxy W7: an endpoint that a new file adds is reached', () => {
    const shell = node(web({}))
    const more = [endpointOf(), endpointOf({ name: 'admin', port: 9001 })]
    deploy(shell, { endpoints: more })
    shell.pass(10_000)
    expect(routes(shell)).toContain('0.0.0.0:9001 / -> hello/web/admin#2')
    const { listeners } = shell.machine.view(shell.now)
    expect(listeners.filter(({ endpoint }) => endpoint === 'admin')).toMatchObject([
      { backends: 1, state: 'serving' },
      { backends: 1, state: 'serving' },
    ])
  })

  test('proxy W8: services of one name in two deployments have routes and sets of their own', () => {
    const shell = node(web({ path: '/x' }), 'x')
    deploy(shell, web({ path: '/y' }), 'y')
    shell.pass(5_000)
    remove(shell, 'x')
    expect(routes(shell)).toEqual(['0.0.0.0:8080 /y -> y/web/http#2'])
    expect(shell.machine.view(shell.now).routes).toMatchObject([{ ready: 1 }, { ready: 1 }])
  })

  test('proxy W9: a service that is removed takes its routes, sets and sockets with it', () => {
    const shell = node(web({}))
    remove(shell, 'hello')
    shell.pass(60_000)
    expect(routes(shell)).toEqual([])
    expect([...shell.bound.values()]).toEqual([])
    expect(shell.machine.state.listeners.size).toBe(0)
  })

  test('proxy W11: two default endpoints on two ports never meet', () => {
    const shell = node(web({ port: 8080 }), 'a')
    deploy(shell, web({ port: 9090 }), 'b')
    expect(routes(shell)).toEqual([
      '0.0.0.0:8080 / -> a/web/http#1',
      '0.0.0.0:9090 / -> b/web/http#2',
    ])
  })

  test('proxy W14: internal http without an internal network is on loopback and open to it', () => {
    const shell = node(web({ expose: 'internal' }))
    expect(routes(shell)).toEqual(['127.0.0.1:8080 / -> hello/web/http#1'])
    expect(typed(shell.commands, 'open-listener')).toMatchObject([{ access: [] }])
  })

  test('proxy W15: a listener is told what policies say of its own service, deployment and port', () => {
    const rule = (service: string, action: 'allow' | 'deny', deployment = '*') => ({
      service,
      deployment,
      action,
    })
    const policies = [
      {
        name: 'office',
        cidrs: ['10.0.0.0/8'],
        members: [],
        accessRules: [rule('*', 'allow'), rule('admin', 'deny')],
      },
      {
        name: 'x',
        cidrs: ['10.1.0.0/16'],
        members: [],
        accessRules: [rule('api', 'allow', 'other')],
      },
    ]
    const shell = new ObedientShell()
    const { config } = shell.machine.state
    shell.machine = new NodeMachine({ ...config, policies })
    shell.boot()
    const api = serviceOf({ endpoints: [endpointOf({ name: 'http' })] })
    const admin = serviceOf({ endpoints: [tcp(9001)] })
    shell.deploy(deploymentOf({ api, admin }))
    const access = Object.fromEntries(
      typed(shell.commands, 'open-listener').map((each) => [each.listener, each.access]),
    )
    expect(access).toEqual({
      'hello/admin/tcp#1': [
        { sources: ['10.0.0.0/8'], verdict: 'deny' },
        { sources: ['10.1.0.0/16'], verdict: 'none' },
      ],
      'hello/api/http#2': [
        { sources: ['10.0.0.0/8'], verdict: 'allow' },
        { sources: ['10.1.0.0/16'], verdict: 'none' },
      ],
    })
  })

  test('proxy W16: what the view lists behind a route is the set that requests are given to', () => {
    const shell = node(web({}))
    shell.scale('hello/web', 3)
    shell.pass(5_000)
    deploy(shell, web({}))
    shell.scale('hello/web', 2)
    shell.pass(60_000)
    const { backends } = typed(shell.commands, 'apply-backends').at(-1)!
    const view = shell.machine.view(shell.now)
    expect(view.routes[0]).toMatchObject({ backends: backends.length, ready: 2 })
    expect(view.listeners[0]?.members.map(({ replica }) => replica)).toEqual(
      backends.map(({ id }) => id),
    )
  })

  test('proxy W20: each endpoint is given the port and the role that are its own, from the beginning', () => {
    const group = (role: string) => ({ role, count: 1, env: {}, affinity: 'spread' }) as const
    const shell = node({
      replicaGroups: [group('primary'), group('read')],
      endpoints: [
        endpointOf({ targetRole: 'read' }),
        endpointOf({ name: 'admin', port: 9001, targetRole: 'primary' }),
      ],
    })
    shell.pass(5_000)
    const { replicas } = shell.machine.view(shell.now)
    const portOf = (role: string, endpoint: string) =>
      Number(replicas.find((each) => each.role === role)?.addresses[endpoint]?.split(':')[1])
    for (const { listener, backends } of typed(shell.commands, 'apply-backends')) {
      const [role, endpoint] = listener.includes('admin') ? ['primary', 'admin'] : ['read', 'http']
      for (const { port } of backends) expect(port).toBe(portOf(role, endpoint))
    }
  })

  test('proxy W22: replicas of groups that are given up leave, every one of them', () => {
    const group = (role: string, count: number) =>
      ({ role, count, env: {}, affinity: 'spread' }) as const
    const shell = node({
      replicaGroups: [group('primary', 1), group('read', 2)],
      endpoints: [endpointOf({ targetRole: 'read' })],
    })
    shell.pass(5_000)
    expect(shell.alive.size).toBe(3)
    deploy(shell, { ...web({ targetRole: 'primary' }), replicaGroups: [group('primary', 1)] })
    shell.pass(120_000)
    expect(shell.alive.size).toBe(1)
    expect(typed(shell.commands, 'apply-backends').at(-1)?.backends).toHaveLength(1)
  })
})

describe('a redirect to https', () => {
  const stream = { ...plainStream, tls: 'terminate' } as const
  const http = { ...plainHttp, redirectHttps: true }

  test('goes to the port of the https endpoint beside it, and follows it', () => {
    const both = (port: number) => ({
      endpoints: [
        endpointOf({ http }),
        endpointOf({ name: 'secure', protocol: 'https', port, stream }),
      ],
    })
    const shell = node(both(8443))
    const to = () => shell.machine.view(shell.now).routes.map(({ redirectTo }) => redirectTo)
    expect(to()).toEqual([8443, 8443, undefined, undefined])
    deploy(shell, both(9443))
    expect(to()).toEqual([9443, 9443, undefined, undefined])
  })
})

describe('a mapping of an http endpoint', () => {
  test('answers for any host at any path, on a port of its own', () => {
    const shell = node({
      ...web({ host: 'a.example.com', path: '/api', http: { ...plainHttp, stripPrefix: true } }),
      portMappings: [{ containerPort: 8080, hostPort: 9090, hostIp: '127.0.0.1', protocol: 'tcp' }],
    })
    shell.pass(5_000)
    expect(routes(shell)).toContain('127.0.0.1:9090 / -> hello/web/mapping 8080 tcp#2')
    const other = deploy(shell, web({ port: 9090, path: '/b' }), 'two')
    expect(replies(other)).toMatchObject([{ ok: false, code: 'conflict' }])
  })
})

test('people are told where to go: by name and path', () => {
  const shell = node(web({ host: 'a.example.com', path: '/api' }))
  expect(shell.service().endpoints).toEqual(['http://a.example.com:8080/api'])
})

describe('challenges of ACME', () => {
  const listening = (): ObedientShell => {
    const shell = new ObedientShell()
    const { config } = shell.machine.state
    shell.machine = new NodeMachine({ ...config, challengePort: 80 })
    return shell.boot()
  }

  test('proxy W41: are answered on port 80 from the beginning, whoever is deployed', () => {
    const shell = listening()
    const [socket] = [...shell.bound.values()]
    expect(socket).toMatchObject({ address: '0.0.0.0:80', use: { kind: 'tcp' } })
    expect(shell.machine.view(shell.now).node).toMatchObject([
      { purpose: 'challenges', address: '0.0.0.0:80', state: 'serving' },
      { purpose: 'challenges', address: '[::]:80', state: 'serving' },
    ])
  })

  test('share it with public http, and with nobody else', () => {
    const shell = listening()
    deploy(shell, web({ port: 80 }))
    expect(routes(shell)).toEqual(['0.0.0.0:80 / -> hello/web/http#1'])
    const refused = deploy(shell, { endpoints: [tcp(80, { expose: 'public' })] }, 'two')
    expect(replies(refused)).toMatchObject([{ ok: false, code: 'conflict' }])
    remove(shell, 'hello')
    shell.pass(60_000)
    expect([...shell.bound.values()].map(({ address }) => address)).toEqual([
      '0.0.0.0:80',
      '[::]:80',
    ])
    expect(routes(shell)).toEqual([])
  })
})

describe('a program with and without TLS', () => {
  const stream = { ...plainStream, tls: 'terminate' } as const
  const portsOf = (endpoints: readonly EndpointSpec[]) => {
    const shell = node({ endpoints })
    const [created] = typed(shell.commands, 'create-replica')
    return Object.values(created!.program.ports)
  }
  const secure = (more: Partial<EndpointSpec> = {}) =>
    endpointOf({ name: 'secure', protocol: 'https', port: 8443, stream, ...more })

  test('listens twice, unless the file says that it listens once', () => {
    const [one, two] = portsOf([endpointOf(), secure()])
    expect(one).not.toBe(two)
    const [http, https] = portsOf([endpointOf(), secure({ targetEndpoint: 'http' })])
    expect(https).toBe(http)
    const [first, second] = portsOf([endpointOf({ targetEndpoint: 'secure' }), secure()])
    expect(first).toBe(second)
  })

  test('of one that only redirects nobody comes to its own', () => {
    const http = { ...plainHttp, redirectHttps: true }
    const [plain, https] = portsOf([endpointOf({ http }), secure({ targetPort: 9443 })])
    expect([plain, https]).toEqual([9443, 9443])
  })
})

test('proxy W15: what a rule says of an endpoint by its name holds at a mapping to it, too', () => {
  const shell = new ObedientShell()
  const accessRules = [
    { service: 'web', deployment: '*', ports: ['http'], action: 'deny' as const },
  ]
  const policies = [{ name: 'closed', cidrs: ['0.0.0.0/0'], members: [], accessRules }]
  shell.machine = new NodeMachine({ ...shell.machine.state.config, policies })
  shell.boot()
  const mapping = {
    containerPort: 8080,
    hostPort: 9090,
    hostIp: '127.0.0.1',
    protocol: 'tcp',
  } as const
  shell.deploy(deploymentOf({ web: serviceOf({ portMappings: [mapping] }) }))
  const verdicts = typed(shell.commands, 'open-listener').map(({ access }) => access[0]?.verdict)
  expect(verdicts).toEqual(['deny', 'deny'])
})
