/** Where requests are led, where several services listen at one place. */
import { describe, expect, test } from 'vitest'
import { entranceConfigOf, HTTP_DOORWAY } from '../../../../core/node/listener-config.ts'
import { defaultNodeConfig, NodeMachine } from '../../../../core/node/node.ts'
import type { EndpointSpec, ScaleSpec } from '../../../../core/spec/deployment.ts'
import { plainHttp, plainStream } from '../../../../core/spec/plain-endpoint.ts'
import {
  type Answer,
  deploymentOf,
  endpointOf,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from '../obedient-shell.ts'
import {
  deploy,
  mapping,
  node,
  nodeOf,
  notices,
  places,
  replies,
  tcp,
  typed,
  typesOf,
} from './samples.ts'

const SECURE = { ...plainStream, tls: 'terminate' } as const
const REDIRECTED = { ...plainHttp, redirectHttps: true }
const web = (more: Partial<EndpointSpec> = {}) => ({ endpoints: [endpointOf(more)] })

/** `a.example/x -> one/web/http#1`, of each socket in the order that is told. */
const led = (shell: ObedientShell): string[][] =>
  [...shell.bound.values()].map(({ use }) =>
    (use.kind === 'tcp' ? use.routes : []).flatMap((route) =>
      'http' in route
        ? route.http.map(({ host = '', path, listener }) => `${host}${path} -> ${listener}`)
        : [],
    ),
  )

describe('a port that several share', () => {
  test('leads by path where the host is one, in one order whoever came first', () => {
    const shell = node(web({ host: 'a.example', path: '/y' }), 'one')
    deploy(shell, web({ host: 'a.example', path: '/x' }), 'two')
    deploy(shell, web({ host: 'a.example' }), 'three')
    const all = [
      'a.example/ -> three/web/http#3',
      'a.example/x -> two/web/http#2',
      'a.example/y -> one/web/http#1',
    ]
    expect(led(shell)).toEqual([all, all])
  })

  test('of one place twice is the first one’s, until that goes', () => {
    const twice = [endpointOf(), endpointOf({ name: 'two' })]
    const shell = node({ endpoints: twice })
    expect(led(shell)).toEqual([['/ -> hello/web/http#1'], ['/ -> hello/web/http#1']])
    deploy(shell, { endpoints: twice.slice(1) })
    expect(led(shell)).toEqual([['/ -> hello/web/two#2'], ['/ -> hello/web/two#2']])
  })

  test('leads nowhere before a listener is closed: to no other one either', () => {
    const shell = node(web({ path: '/a' }), 'one')
    const other = endpointOf({ name: 'other', port: 9090 })
    deploy(shell, { endpoints: [other, endpointOf({ path: '/b' })] }, 'two')
    const commands = deploy(shell, { endpoints: [other] }, 'two')
    const types = typesOf(commands).filter((type) => /route-socket|close-listener/.test(type))
    expect(types).toEqual(['route-socket', 'route-socket', 'close-listener'])
  })

  test('is one route of its entrance, whatever is behind it', () => {
    const shell = node(web({ path: '/a' }), 'one')
    deploy(shell, web({ path: '/b' }), 'two')
    const [use] = [...shell.bound.values()].map((each) => each.use)
    if (use?.kind !== 'tcp') throw new Error('it takes connections')
    expect(entranceConfigOf(use).routes).toEqual([{ id: HTTP_DOORWAY, tls: 'off' }])
  })

  test('says whether TLS ends at it', () => {
    for (const [protocol, tls] of [
      ['http', 'off'],
      ['https', 'terminate'],
    ] as const) {
      const stream = protocol === 'https' ? SECURE : plainStream
      const [bind] = typed(node(web({ protocol, stream })).commands, 'bind-socket')
      expect(bind?.use).toMatchObject({ routes: [{ tls }] })
    }
  })

  test('is not that of a mapping: what comes there is for one endpoint alone', () => {
    const portMappings = [mapping({ containerPort: 8080, hostPort: 9090 })]
    const shell = node({ ...web({ path: '/a' }), portMappings }, 'one')
    expect(replies(deploy(shell, web({ port: 9090, path: '/b' }), 'two'))).toMatchObject([
      { ok: false, code: 'conflict' },
    ])
  })
})

test('a mapping of one that sleeps listens for who wakes it', () => {
  const scale: ScaleSpec = {
    mode: 'adaptive',
    min: 0,
    max: 1,
    cooldownMs: 1_000,
    idleAfterMs: 60_000,
    targets: {},
  }
  const portMappings = [mapping({ hostPort: 6400 })]
  const shell = node({ endpoints: [tcp(6379)], portMappings, scale })
  expect(places(shell)).toEqual(['tcp 0.0.0.0:6400', 'tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
})

test('a redirect to https goes to another service where its own has none', () => {
  const secure = { name: 'secure', protocol: 'https', port: 8443, stream: SECURE } as const
  const shell = nodeOf({
    web: serviceOf(web({ http: REDIRECTED })),
    gate: serviceOf(web(secure)),
  })
  const to = shell.machine.view(shell.now).routes.map(({ redirectTo }) => redirectTo)
  expect(to.filter((port) => port !== undefined)).toEqual([8443, 8443])
})

describe('the ports of a program', () => {
  const portsOf = (...endpoints: readonly EndpointSpec[]) =>
    typed(node({ endpoints }).commands, 'create-replica')[0]!.program.ports
  const named = (name: string, targetEndpoint?: string) =>
    tcp(7_000 + name.charCodeAt(0), {
      name,
      ...(targetEndpoint === undefined ? {} : { targetEndpoint }),
    })

  test('what a file names is its own, also of one that only redirects', () => {
    const plain = endpointOf({ http: REDIRECTED, targetPort: 9080 })
    const secure = endpointOf({ name: 'secure', protocol: 'https', port: 8443, stream: SECURE })
    const ports = portsOf(plain, { ...secure, targetPort: 9443 })
    expect(ports).toEqual({ http: 9080, secure: 9443 })
  })

  test('of udp beside tcp it is one, unless either has its own', () => {
    const shared = portsOf(tcp(53), udpEndpointOf())
    expect(shared.dns).toBe(shared.tcp)
    const ofUdp = portsOf(tcp(53), udpEndpointOf({}, { targetPort: 5353 }))
    expect(ofUdp.dns).toBe(5353)
    expect(ofUdp.tcp).not.toBe(5353)
    const ofTcp = portsOf(tcp(53, { targetPort: 5353 }), udpEndpointOf())
    expect(ofTcp.tcp).toBe(5353)
    expect(ofTcp.dns).not.toBe(5353)
  })

  test('two that clients reach at one port have each its own', () => {
    const ports = portsOf(endpointOf({ path: '/a' }), endpointOf({ name: 'b', path: '/b' }))
    expect(ports.b).not.toBe(ports.http)
  })

  test('one is shared over two steps', () => {
    const { a, b, c } = portsOf(named('a', 'b'), named('b', 'c'), named('c'))
    expect([a, b]).toEqual([c, c])
  })

  test.each([
    [30_000, 30_001],
    [30_001, 30_000],
  ])('none is one that a service listens on: %i', (port, other) => {
    const shell = new ObedientShell()
    const replicaPorts = { from: 30_000, to: 30_001 }
    shell.machine = new NodeMachine({ ...defaultNodeConfig(1), replicaPorts })
    shell.boot()
    shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [tcp(port)] }) }))
    expect(typed(shell.commands, 'create-replica')[0]!.program.ports).toEqual({ tcp: other })
  })
})

test('policies are asked of the port that clients connect to', () => {
  const shell = new ObedientShell()
  const rule = { service: '*', deployment: '*', ports: [8080], action: 'allow' } as const
  const policies = [{ name: 'office', cidrs: ['10.0.0.0/8'], members: [], accessRules: [rule] }]
  shell.machine = new NodeMachine({ ...defaultNodeConfig(1), policies })
  shell.boot()
  deploy(shell, web({ targetPort: 9080 }))
  expect(typed(shell.commands, 'open-listener')).toMatchObject([
    { access: [{ sources: ['10.0.0.0/8'], verdict: 'allow' }] },
  ])
})

describe('challenges of ACME', () => {
  const listening = (answer: Answer = () => undefined) => {
    const shell = new ObedientShell()
    shell.answer = answer
    shell.machine = new NodeMachine({ ...defaultNodeConfig(1), challengePort: 80 })
    return shell.boot()
  }
  const text = 'challenges of ACME listens on 0.0.0.0:80'

  test('are listened for at both families, which is said once', () => {
    expect(notices(listening().commands, 'listening')).toEqual([text])
  })

  test('need no IPv6', () => {
    const shell = listening((command) => {
      if (command.type !== 'bind-socket' || command.host !== '::') return undefined
      const { socket, attempt } = command
      return [{ type: 'socket-failed', socket, attempt, reason: 'no IPv6', isMissing: true }]
    })
    shell.pass(60_000)
    expect(notices(shell.commands, 'listening')).toEqual([text])
    expect(notices(shell.commands, 'listen-failed')).toEqual([])
  })

  test('are listened for until the node stops', () => {
    const shell = listening()
    shell.feed({ type: 'shutdown', mode: 'drain' })
    expect(places(shell)).toEqual([])
    expect(typed(shell.commands, 'stopped')).toHaveLength(1)
  })
})
