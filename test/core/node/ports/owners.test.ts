/** Host ports have one owner: who is refused, who waits, and what may be exchanged. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import {
  deploy,
  fixed,
  internal,
  mapping,
  node,
  nodeOf,
  places,
  remove,
  replies,
  sql,
  tcp,
  typed,
} from '../service/samples.ts'

test('proxy W37: a port of another deployment is refused by name, before anything starts', () => {
  const shell = nodeOf({ cache: serviceOf({ endpoints: [sql(6379)] }) }, 'one')
  const other = deploymentOf(
    { web: serviceOf(), cache: serviceOf({ endpoints: [sql(6379)] }) },
    'two',
  )
  const commands = shell.deploy(other)
  expect(commands).toEqual([
    {
      type: 'reply',
      request: 2,
      result: {
        ok: false,
        code: 'conflict',
        text: 'port-conflict: tcp port 6379 belongs to one/cache, so two/cache cannot have it; choose another port, or take it out of one/cache first',
      },
    },
  ])
  expect(shell.service('cache').state).toBe('healthy')
  expect(shell.machine.view(shell.now).deployments).toEqual([{ name: 'one', state: 'ready' }])
})

test('proxy W8: services of one name in two deployments share nothing', () => {
  const web = (port: number) => ({ endpoints: [tcp(port)], portMappings: [mapping()] })
  const shell = node(web(6379), 'one')
  deploy(shell, { ...web(7000), portMappings: [mapping({ containerPort: 7000 })] }, 'two')
  const of = (deployment: string) => ({
    behind: [...shell.applied]
      .filter(([listener, backends]) => listener.startsWith(`${deployment}/`) && backends.size > 0)
      .map(([listener, backends]) => [listener, ...backends]),
    listeners: shell.machine
      .view(shell.now)
      .listeners.filter((each) => each.deployment === deployment),
  })
  const before = of('two')
  expect(before.behind).toEqual([
    ['two/web/tcp#3', 'two/web/1#2'],
    ['two/web/mapping 7000 tcp#4', 'two/web/1#2'],
  ])
  deploy(shell, { ...web(6379), scale: fixed(2) }, 'one')
  shell.feed({ type: 'restart', request: shell.request(), service: 'one/web' })
  shell.pass(60_000)
  expect(of('two')).toEqual(before)
  remove(shell, 'one')
  expect(of('one')).toEqual({ behind: [], listeners: [] })
  expect(of('two')).toEqual(before)
})

test('proxy W36: two deployments that publish one port: the second is refused by name', () => {
  const shell = node({ endpoints: [tcp(6379)] }, 'one')
  const before = places(shell)
  for (const name of ['two', 'three']) {
    const commands = deploy(shell, { endpoints: [tcp(6379)] }, name)
    expect(commands).toEqual([
      {
        type: 'reply',
        request: expect.any(Number),
        result: {
          ok: false,
          code: 'conflict',
          text: expect.stringMatching(
            new RegExp(`port-conflict: tcp port 6379.* belongs to one/web, so ${name}/web cannot`),
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
  deploy(shell, { endpoints: [tcp(7000)] }, 'two')
  const commands = deploy(shell, { endpoints: [tcp(6379)] }, 'two')
  expect(commands.map(({ type }) => type)).toEqual(['reply'])
  expect(shell.addresses('tcp')).toContain('127.0.0.1:7000')
})

test('services W18: a port given up is free for somebody else at once', () => {
  const shell = nodeOf({ web: serviceOf() }, 'one')
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [endpointOf({ port: 9090 })] }) }, 'one'))
  const answers = replies(shell.deploy(deploymentOf({ web: serviceOf() }, 'two')))
  expect(answers).toMatchObject([{ ok: true }])
})

test('a port that moves between services of one deployment waits for the old socket to close', () => {
  const shell = nodeOf({ old: serviceOf() })
  const closing: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'unbind-socket') return undefined
    closing.push(command)
    return []
  }
  const commands = shell.deploy(deploymentOf({ young: serviceOf() }))
  expect(commands.some((each) => each.type === 'bind-socket')).toBe(false)
  expect(closing).toHaveLength(2)
  for (const command of closing) shell.feed(...shell.obey(command))
  expect(shell.service('young').state).toBe('healthy')
  expect(shell.machine.view(shell.now).services).toHaveLength(1)
})

test('services of one deployment may exchange their ports', () => {
  const at = (port: number) => serviceOf({ endpoints: [endpointOf({ port })] })
  const shell = nodeOf({ a: at(8080), b: at(8081) })
  const answers = replies(shell.deploy(deploymentOf({ a: at(8081), b: at(8080) })))
  expect(answers).toMatchObject([{ ok: true }])
  const where = shell.machine.view(shell.now).listeners.map((each) => [each.service, each.address])
  expect(where).toEqual([
    ['a', '0.0.0.0:8081'],
    ['a', '[::]:8081'],
    ['b', '0.0.0.0:8080'],
    ['b', '[::]:8080'],
  ])
  shell.feed({ type: 'remove', request: 91, deployment: 'hello' })
  expect(shell.machine.state.ledger.isEmpty).toBe(true)
  expect(shell.bound.size).toBe(0)
})

test('a port a program listens on itself is not given away while it runs', () => {
  const shell = nodeOf({ db: serviceOf({ endpoints: [sql(5432, { targetPort: 9090 })] }) }, 'one')
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.feed({ type: 'remove', request: 92, deployment: 'one' })
  const other = deploymentOf({ web: serviceOf({ endpoints: [sql(9090)] }) }, 'two')
  expect(replies(shell.deploy(other))).toEqual([
    {
      ok: false,
      code: 'conflict',
      text: 'port-conflict: tcp port 9090 belongs to one/db, so two/web cannot have it; one/db is being removed: try again when it is gone',
    },
  ])
})

test('an internal address somebody’s mapping has is waited for, and said', () => {
  const shell = node(
    {
      endpoints: [tcp(7000)],
      portMappings: [mapping({ containerPort: 7000, hostPort: 6379, hostIp: '10.9.0.1' })],
    },
    'one',
  )
  deploy(shell, { endpoints: [tcp(6379)] }, 'two')
  internal(shell, '10.9.0.1')
  const two = () => shell.machine.view(shell.now).services.find((each) => each.deployment === 'two')
  expect(two()?.detail).toMatch(/^cannot listen: port-conflict: tcp port 6379/)
  expect(shell.addresses('tcp')).toContain('127.0.0.1:6379')
  shell.feed({ type: 'remove', request: 901, deployment: 'one' })
  expect(shell.addresses('tcp')).toContain('10.9.0.1:6379')
  expect(two()).toMatchObject({ state: 'healthy', detail: '' })
})

test('an internal address never takes a port from who serves at it, whoever came first', () => {
  const taker = { endpoints: [tcp(6379)] }
  const holder = {
    endpoints: [tcp(7000)],
    portMappings: [mapping({ containerPort: 7000, hostPort: 6379, hostIp: '10.9.0.1' })],
  }
  for (const [first, second] of [
    ['taker', 'holder'],
    ['holder', 'taker'],
  ] as const) {
    const shell = new ObedientShell().boot()
    for (const name of [first, second]) deploy(shell, name === 'taker' ? taker : holder, name)
    const commands = internal(shell, '10.9.0.1')
    expect(typed(commands, 'unbind-socket')).toEqual([])
    expect(shell.addresses('mapping 7000 tcp')).toEqual(['10.9.0.1:6379'])
    expect(shell.machine.state.ledger.counters.publishRefused).toBe(0)
  }
})
