import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from './obedient-shell.ts'

const fixed = (replicas: number) => ({ mode: 'fixed', replicas }) as const
const typesOf = (commands: readonly NodeCommand[]) =>
  commands.filter((each) => each.type !== 'notice').map((each) => each.type)

test('a replica goes through every step of its life, in order, before it takes traffic', () => {
  const shell = new ObedientShell().boot()
  const commands = shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(typesOf(commands)).toEqual([
    'open-listener',
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
  shell.answer = (command) => {
    if (command.type === 'apply-backends') fewest = Math.min(fewest, command.backends.length)
    return undefined
  }
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3), env: { A: '2' } }) }))
  shell.pass(60_000)
  expect(fewest).toBe(3)
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
