/** Scenarios the reference gets wrong (services reference, section 10), as rows of their own. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from './obedient-shell.ts'

const fixed = (replicas: number) => ({ mode: 'fixed', replicas }) as const
const starts = (commands: readonly NodeCommand[]) =>
  commands.flatMap((each) => (each.type === 'start-replica' ? [each.replica] : []))

test('services W1 W2 W3: one replica that cannot be created costs the others nothing and leaks nothing', () => {
  const shell = new ObedientShell().boot()
  let failures = 3
  shell.answer = (command) => {
    if (command.type !== 'create-replica' || !command.replica.includes('/web/2#')) return undefined
    if (failures-- <= 0) return undefined
    const { replica, attempt } = command
    return [{ type: 'replica-create-failed', replica, attempt, reason: 'no log', portsTaken: [] }]
  }
  const commands = shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  expect(shell.numbers()).toEqual([1, 3])
  expect([...shell.applied.values()].map((each) => each.size)).toEqual([2])
  commands.push(...shell.pass(10_000))
  expect(shell.numbers()).toEqual([1, 2, 3])
  const created = commands.filter((each) => each.type === 'create-replica').length
  const removed = commands.filter((each) => each.type === 'remove-replica').length
  expect(created - removed).toBe(3)
  expect(shell.machine.state.ports.leased.size).toBe(3)
})

test('services W6: a new version of a service with roles replaces every replica, in its role', () => {
  const group = (role: string, count: number) => ({
    role,
    count,
    env: {},
    affinity: 'spread' as const,
  })
  const web = (version: string) =>
    serviceOf({
      endpoints: [],
      env: { VERSION: version },
      replicaGroups: [group('primary', 1), group('read', 2)],
    })
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: web('1') }))
  const before = new Set(shell.alive)
  shell.deploy(deploymentOf({ web: web('2') }))
  shell.pass(60_000)
  expect([...shell.alive].some((each) => before.has(each))).toBe(false)
  const roles = shell.machine.view(shell.now).replicas.map((each) => `${each.number} ${each.role}`)
  expect(roles).toEqual(['1 primary', '2 read', '3 read'])
})

test('services W13: two scales at once from nothing start each replica once', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(0) }) }))
  const held: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'create-replica') return undefined
    held.push(command)
    return []
  }
  shell.scale('web', 3)
  shell.scale('web', 3)
  shell.answer = () => undefined
  const commands = shell.feed(...held.flatMap((command) => shell.obey(command)))
  expect(starts(commands)).toHaveLength(3)
  expect(shell.numbers()).toEqual([1, 2, 3])
})

test('services W14: a start that hangs holds up nobody else', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'start-replica' && command.replica.includes('/slow/') ? [] : undefined
  const none = serviceOf({ endpoints: [] })
  shell.deploy(deploymentOf({ slow: none }, 'one'))
  shell.deploy(deploymentOf({ web: none }, 'two'))
  expect(shell.service('web').state).toBe('healthy')
})

test('services W26: a removed deployment leaves no program, no timer, no port', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  shell.feed({ type: 'remove', request: 9, deployment: 'hello' })
  expect(shell.alive.size).toBe(0)
  expect(shell.machine.deadline()).toBeUndefined()
  expect(shell.machine.state.ledger.isEmpty).toBe(true)
  expect(shell.bound.size).toBe(0)
  expect(shell.machine.state.ports.leased.size).toBe(0)
})

test('services W46: a restart that fails once is tried again, and the others are watched meanwhile', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(2) }) }))
  let fails = 1
  shell.answer = (command) => {
    if (command.type !== 'start-replica' || fails-- <= 0) return undefined
    const { replica, attempt } = command
    return [{ type: 'replica-start-failed', replica, attempt, reason: 'no memory' }]
  }
  shell.crash(1)
  expect(shell.numbers()).toEqual([2])
  shell.crash(2)
  shell.pass(1_000)
  expect(shell.numbers()).toEqual([1, 2])
})

test('services W58: `ready` asks for the endpoints of the dependency itself', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'bind-socket' && command.port === 5432
      ? [
          {
            type: 'socket-failed',
            socket: command.socket,
            attempt: command.attempt,
            reason: 'address already in use',
          },
        ]
      : undefined
  const db = serviceOf({ endpoints: [endpointOf({ name: 'sql', protocol: 'tcp', port: 5432 })] })
  const on = (condition: 'healthy' | 'ready') =>
    serviceOf({
      endpoints: [],
      depends: [{ service: 'db', condition, timeoutMs: 300_000, onTimeout: 'fail' }],
    })
  shell.deploy(deploymentOf({ db, one: on('healthy'), two: on('ready') }))
  expect([shell.numbers('one'), shell.numbers('two')]).toEqual([[1], []])
  shell.answer = () => undefined
  shell.pass(1_000)
  expect(shell.numbers('two')).toEqual([1])
})

test('services W72: more replicas than wanted do not keep a deployment from being ready', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  const commands = shell.scale('web', 1)
  expect(shell.numbers()).toEqual([1, 2, 3])
  expect(commands.some((each) => each.type === 'settled' && each.outcome === 'ready')).toBe(true)
})
