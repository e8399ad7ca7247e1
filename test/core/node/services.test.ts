import { expect, test } from 'vitest'
import {
  deploymentOf,
  endpointOf,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from './obedient-shell.ts'
import { fixed, typesOf } from './service/samples.ts'

test('a replica goes through every step of its life, in order, before it takes traffic', () => {
  const shell = new ObedientShell().boot()
  const commands = shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(typesOf(commands)).toEqual([
    'open-listener',
    'bind-socket',
    'bind-socket',
    'reply',
    'create-replica',
    'start-replica',
    'verify-replica',
    'resolve-address',
    'probe',
    'apply-backends',
    'settled',
  ])
  expect(shell.service().state).toBe('healthy')
})

test('three replicas come up side by side and all take traffic', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  expect(shell.numbers()).toEqual([1, 2, 3])
  expect([...shell.applied.values()].map((each) => each.size)).toEqual([3])
})

test('a crashed replica is replaced at once, in its own slot', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  const commands = shell.crash(2)
  expect(typesOf(commands)).toContain('start-replica')
  expect(shell.numbers()).toEqual([1, 2, 3])
  expect(shell.service().restarts).toBe(1)
})

test('services W10 W11 proxy W21: a replica leaves the backend set, drains, then is stopped', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(2) }) }))
  const commands = typesOf(shell.scale('web', 1))
  expect(commands).toEqual([
    'reply',
    'apply-backends',
    'settled',
    'signal-replica',
    'remove-replica',
  ])
  expect(shell.numbers()).toEqual([1])
})

test('scale to 0 and back', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(2) }) }))
  shell.scale('web', 0)
  expect(shell.numbers()).toEqual([])
  expect(shell.service().state).toBe('idle')
  shell.scale('hello/web', 2)
  expect(shell.numbers()).toEqual([1, 2])
})

test('a new version replaces replicas one by one and never has fewer ready than wanted', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  let fewest = 3
  const before = new Set(shell.alive)
  shell.answer = (command) => {
    if (command.type === 'apply-backends') fewest = Math.min(fewest, command.backends.length)
    return undefined
  }
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3), env: { A: '2' } }) }))
  shell.pass(60_000)
  expect(fewest).toBe(3)
  expect([...shell.alive].filter((id) => before.has(id))).toEqual([])
  expect(shell.numbers()).toEqual([1, 2, 3])
  expect(shell.machine.state.services.get('hello/web' as never)?.updating).toBe(false)
  expect(shell.service().state).toBe('healthy')
})

test('a dependent starts only when its dependency is healthy', () => {
  const shell = new ObedientShell().boot()
  const db = serviceOf({ endpoints: [endpointOf({ name: 'sql', protocol: 'tcp', port: 5432 })] })
  const depends = [
    { service: 'db', condition: 'healthy', timeoutMs: 300_000, onTimeout: 'fail' },
  ] as const
  let healthy = false
  shell.answer = (command) =>
    command.type === 'probe' && !healthy
      ? [
          {
            type: 'probe-result',
            replica: command.replica,
            check: command.check,
            attempt: command.attempt,
            ok: false,
            reason: 'x',
          },
        ]
      : undefined
  shell.deploy(deploymentOf({ web: serviceOf({ depends }), db }))
  expect(shell.numbers()).toEqual([])
  expect(shell.service().state).toBe('waiting')
  healthy = true
  shell.pass(300)
  expect(shell.numbers()).toEqual([1])
})

test('remove stops dependents first and answers when all is gone', () => {
  const shell = new ObedientShell().boot()
  const db = serviceOf({ endpoints: [endpointOf({ name: 'sql', protocol: 'tcp', port: 5432 })] })
  const depends = [
    { service: 'db', condition: 'healthy', timeoutMs: 300_000, onTimeout: 'fail' },
  ] as const
  shell.deploy(deploymentOf({ db, web: serviceOf({ depends }) }))
  const commands = shell.feed({ type: 'remove', request: 99, deployment: 'hello' })
  const order = commands.flatMap((each) =>
    each.type === 'signal-replica' ? [each.replica.split('/')[1]] : [],
  )
  expect(order).toEqual(['web', 'db'])
  expect(commands.at(-1)).toMatchObject({ type: 'reply', request: 99, result: { ok: true } })
  expect(shell.machine.view(shell.now)).toMatchObject({ services: [], replicas: [], listeners: [] })
})

test('shutdown ends with `stopped`, exactly once', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  const commands = shell.feed({ type: 'shutdown', request: 7, mode: 'drain' })
  expect(typesOf(commands).filter((each) => each === 'stopped')).toHaveLength(1)
  expect(shell.alive.size).toBe(0)
  expect(shell.machine.deadline()).toBeUndefined()
})

test('a program with a port of its own is stopped before its successor starts', () => {
  const shell = new ObedientShell().boot()
  const endpoints = [endpointOf({ targetPort: 9090 })]
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints }) }))
  const commands = shell.deploy(deploymentOf({ web: serviceOf({ endpoints, env: { A: '2' } }) }))
  const steps = typesOf(commands).filter((each) => /signal|start-/.test(each))
  expect(steps).toEqual(['signal-replica', 'start-replica'])
})

test('while a rolling update is under way the service is updating, not healthy, and nothing is settled', () => {
  // `deploy` again with another environment: the old replica was ready, so `ready` was said at once
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf() }))
  const commands = shell.deploy(deploymentOf({ web: serviceOf({ env: { A: '2' } }) }))
  expect(typesOf(commands)).not.toContain('settled')
  expect(shell.service().state).toBe('updating')
  expect(typesOf(shell.pass(10_000)).filter((each) => each === 'settled')).toEqual(['settled'])
  expect(shell.service().state).toBe('healthy')
})

test('a deployment is judged when all its services are: none by what it was before', () => {
  // two services, one of which stops a replica in the step of the deploy: ready was said of its old state
  const shell = new ObedientShell().boot()
  const update = { surgeMax: 0, unavailableMax: 1, readyMinMs: 0, onFailure: 'pause' } as const
  const services = (version: string) => ({
    a: serviceOf({ endpoints: [] }),
    db: serviceOf({ endpoints: [], scale: fixed(4), update, env: { VERSION: version } }),
  })
  shell.deploy(deploymentOf(services('1')))
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  expect(typesOf(shell.deploy(deploymentOf(services('2'))))).not.toContain('settled')
})

test('a service whose last endpoint that can be probed went away is healthy while it runs', () => {
  // the monitor went on waiting for an answer that nobody was asked for
  const shell = new ObedientShell().boot()
  const check = { type: 'tcp', port: 0 } as const
  const health = { startGraceMs: 0, intervalMs: 1_000, timeoutMs: 1_000, retries: 1 }
  const tcp = endpointOf({ name: 'x', protocol: 'tcp' })
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [tcp], health: { ...health, check } }) }))
  const udp = udpEndpointOf({}, { name: 'x' })
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [udp], health: { ...health, check } }) }))
  const commands = shell.pass(60_000)
  expect(typesOf(commands)).not.toContain('cancel-probe')
  expect(shell.service().state).toBe('healthy')
})

test('`started` is not met by a replica whose start was called off', () => {
  // one replica failed to start, the policy halted the service, the others were being cancelled
  const shell = new ObedientShell().boot()
  shell.answer = (command) => (command.type === 'start-replica' ? [] : undefined)
  const depends = [
    { service: 'db', condition: 'started', timeoutMs: 60_000, onTimeout: 'fail' },
  ] as const
  const errors = { onInitFailure: 'fail', onPanic: 'shutdown' } as const
  shell.deploy(
    deploymentOf({
      db: serviceOf({ endpoints: [], scale: fixed(2), errors }),
      web: serviceOf({ depends }),
    }),
  )
  const [first] = shell.commands.filter((each) => each.type === 'start-replica')
  shell.answer = () => undefined
  shell.feed({ ...first, type: 'replica-start-failed', reason: 'no such program' } as never)
  expect(shell.service('db').state).toBe('failed')
  expect(shell.numbers('web')).toEqual([])
})

test('a stand-in that crashes pauses longer and longer, like any other', () => {
  // its slot was thrown away with its crashes as soon as it was empty: a bad version span for ever
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  shell.answer = (command) =>
    command.type === 'verify-replica'
      ? [{ type: 'replica-exited', replica: command.replica, code: 1, signal: null, logTail: [] }]
      : undefined
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3), env: { A: 'broken' } }) }))
  const starts = shell.pass(60_000).filter((each) => each.type === 'start-replica')
  expect(starts.length).toBeLessThanOrEqual(6)
  expect(shell.numbers().filter((each) => each <= 3)).toEqual([1, 2, 3])
  // and a good one afterwards cleans up
  shell.answer = () => undefined
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3), env: { A: 'good' } }) }))
  shell.pass(120_000)
  expect(shell.numbers()).toEqual([1, 2, 3])
  expect(shell.service()).toMatchObject({ state: 'healthy', detail: '' })
})

test('a service that waits waits for what the newest file says', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  const depends = [
    { service: 'db', condition: 'healthy', timeoutMs: 60_000, onTimeout: 'fail' },
  ] as const
  const db = serviceOf({ endpoints: [endpointOf({ port: 5432 })] })
  shell.deploy(deploymentOf({ db, web: serviceOf({ depends }) }))
  expect(shell.service().state).toBe('waiting')
  shell.deploy(deploymentOf({ db, web: serviceOf() }))
  expect(shell.numbers('web')).toEqual([1])
})

test('a check that a file adds is passed by replicas before the deployment is ready again', () => {
  // replicas of a service without a check went on unchecked, and were called ready
  const shell = new ObedientShell().boot()
  const update = { surgeMax: 0, unavailableMax: 1, readyMinMs: 0, onFailure: 'pause' } as const
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [], update }) }))
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  const health = { startGraceMs: 0, intervalMs: 1_000, timeoutMs: 1_000, retries: 1 }
  const check = { type: 'command', command: 'true' } as const
  const web = serviceOf({ endpoints: [], update, health: { ...health, check } })
  const commands = shell.deploy(deploymentOf({ web }))
  expect(typesOf(commands)).toContain('probe')
  expect(typesOf(commands)).not.toContain('settled')
})
