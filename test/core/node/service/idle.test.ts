/** What keeps a service awake that could sleep, and what may sleep at all. */
import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import type { ListenerEvent } from '../../../../core/node/events.ts'
import { defaultNodeConfig, NodeMachine } from '../../../../core/node/node.ts'
import { type ListenerId, serviceKey } from '../../../../core/services/identity.ts'
import type { ScaleSpec, ServiceSpec } from '../../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from '../obedient-shell.ts'
import { deploy, node, notices, remove, replies, settled, typed } from './samples.ts'

const scaled = (min: number, max: number): ScaleSpec => ({
  mode: 'adaptive',
  min,
  max,
  cooldownMs: 1_000,
  idleAfterMs: 300_000,
  targets: {},
})
const SLEEPY = { scale: scaled(0, 3) }
const TWO = [endpointOf(), endpointOf({ name: 'admin', port: 8081 })]
const WEB = serviceKey('hello', 'web')
const HTTP = 'hello/web/http#1' as ListenerId
const ADMIN = 'hello/web/admin#2' as ListenerId

type Use = 'listener-wanted' | 'listener-idle' | 'listener-busy'

const say = (shell: ObedientShell, type: Use, listener = HTTP): NodeCommand[] =>
  shell.feed({ type, listener } satisfies ListenerEvent)

const wanted = (shell: ObedientShell): number => shell.service().replicas.wanted

/** What becomes of who comes, as each listener was told last. */
const told = (shell: ObedientShell) =>
  Object.fromEntries(
    typed(shell.commands, 'apply-backends').map(({ listener, whenEmpty }) => [listener, whenEmpty]),
  )

function awake(more: Partial<ServiceSpec> = {}): ObedientShell {
  const shell = node({ ...SLEEPY, ...more })
  say(shell, 'listener-wanted')
  shell.pass(5_000)
  expect(shell.service().state).toBe('healthy')
  return shell
}

describe('who sleeps', () => {
  test('not one that must have a replica, nor one that may have none', () => {
    const busy = node({ scale: scaled(1, 3) })
    busy.pass(5_000)
    expect(busy.service()).toMatchObject({ state: 'healthy', replicas: { wanted: 1 } })
    expect(typed(busy.commands, 'open-listener')).toMatchObject([{ idleAfterMs: 0 }])
    const none = node({ scale: scaled(0, 0) })
    expect(none.service()).toMatchObject({ state: 'idle', replicas: { wanted: 0 } })
    expect(told(none)).toEqual({})
  })

  test('datagrams wake nobody and are not held', () => {
    const shell = node({ ...SLEEPY, endpoints: [udpEndpointOf(), endpointOf()] })
    expect(shell.service().state).toBe('asleep')
    expect(Object.entries(told(shell))).toEqual([[expect.stringContaining('http'), 'hold']])
    expect(settled(shell.commands)).toEqual(['ready'])
  })
})

describe('what keeps it awake', () => {
  test('an endpoint that was idle and is used again, when another one falls idle', () => {
    const shell = awake({ endpoints: TWO })
    shell.pass(400_000)
    say(shell, 'listener-idle')
    say(shell, 'listener-busy')
    say(shell, 'listener-idle', ADMIN)
    expect(wanted(shell)).toBe(1)
    say(shell, 'listener-idle')
    expect(wanted(shell)).toBe(0)
  })

  test('what goes on at an endpoint that the file has no more', () => {
    const shell = awake({ endpoints: TWO })
    shell.pass(400_000)
    const held: NodeCommand[] = []
    shell.answer = (command) => {
      if (command.type !== 'apply-backends' || command.listener !== ADMIN) return undefined
      held.push(command)
      return [{ type: 'backends-applied', listener: ADMIN, version: command.version }]
    }
    shell.deploy(deploymentOf({ web: serviceOf({ ...SLEEPY, endpoints: TWO.slice(0, 1) }) }))
    say(shell, 'listener-idle')
    expect(wanted(shell)).toBe(1)
    shell.feed(...held.flatMap((command) => shell.obey(command)))
    expect(wanted(shell)).toBe(0)
  })

  test('a use: nothing is looked at again before it falls idle', () => {
    const shell = awake()
    const sleepAt = () => shell.machine.state.timers.at(`sleep ${WEB}`)
    say(shell, 'listener-idle')
    expect(sleepAt()).toBe(301_000)
    say(shell, 'listener-busy')
    expect(sleepAt()).toBeUndefined()
  })

  test('a number that people say while it falls asleep', () => {
    const shell = awake()
    say(shell, 'listener-idle')
    shell.scale('web', 2)
    shell.pass(1_000_000)
    expect(wanted(shell)).toBe(2)
  })

  test('not its removal: it does not fall asleep then', () => {
    const shell = awake()
    shell.pass(400_000)
    remove(shell, 'hello')
    const commands = shell.pass(60_000)
    expect(notices([...shell.commands, ...commands], 'scaled')).toEqual([
      'hello/web is woken: somebody wants it',
    ])
    expect(shell.machine.view(shell.now).services).toEqual([])
  })
})

describe('one that failed to wake', () => {
  const dying = (of = 'web'): ObedientShell => {
    const shell = node(SLEEPY)
    shell.answer = (command) => {
      if (command.type !== 'start-replica' || !command.replica.includes(of)) return undefined
      const { replica, attempt } = command
      return [{ type: 'replica-start-failed', replica, attempt, reason: 'no such file' }]
    }
    return shell
  }

  test('is tried at once when people send it to sleep', () => {
    const shell = dying()
    say(shell, 'listener-wanted')
    expect(told(shell)).toEqual({ [HTTP]: 'refuse' })
    shell.scale('web', 0)
    expect(told(shell)).toEqual({ [HTTP]: 'hold' })
  })

  test('is started when people ask for it, and holds nobody before', () => {
    const shell = dying()
    say(shell, 'listener-wanted')
    shell.answer = () => undefined
    shell.scale('web', 2)
    shell.pass(5_000)
    expect(shell.service()).toMatchObject({ state: 'healthy', replicas: { ready: 2 } })
  })

  test('says so until there is another file, or it wakes', () => {
    const shell = dying()
    say(shell, 'listener-wanted')
    expect(shell.service().detail).toContain('could not be woken')
    shell.deploy(deploymentOf({ web: serviceOf({ ...SLEEPY, labels: { version: '2' } }) }))
    expect(shell.service().detail).not.toContain('could not be woken')
    say(shell, 'listener-wanted')
    expect(shell.service().detail).toContain('could not be woken')
    shell.pass(2_000)
    shell.answer = () => undefined
    say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(shell.service()).toMatchObject({ state: 'healthy' })
    shell.scale('web', 0)
    shell.pass(60_000)
    expect(shell.service()).toMatchObject({ state: 'asleep' })
    expect(shell.service().detail).not.toContain('could not be woken')
  })

  test('is not ready while it refuses', () => {
    const shell = dying()
    const app = serviceOf({ endpoints: [endpointOf({ port: 9090 })] })
    const { answer } = shell
    const held: NodeCommand[] = []
    shell.answer = (command) => {
      if (command.type !== 'start-replica' || !command.replica.includes('app')) {
        return answer(command)
      }
      held.push(command)
      return []
    }
    const before = shell.commands.length
    shell.deploy(deploymentOf({ web: serviceOf(SLEEPY), app }))
    say(shell, 'listener-wanted')
    shell.feed(...held.flatMap((command) => shell.obey(command)))
    shell.pass(999)
    expect(shell.service('app').state).toBe('healthy')
    expect(settled(shell.commands.slice(before))).toEqual([])
    shell.pass(1)
    expect(settled(shell.commands.slice(before))).toEqual(['ready'])
  })

  test('is woken again, whatever the file says of crashes', () => {
    const shell = node({ ...SLEEPY, errors: { onInitFailure: 'fail', onPanic: 'isolate' } })
    shell.answer = (command) => (command.type === 'verify-replica' ? [] : undefined)
    say(shell, 'listener-wanted')
    shell.crash(1)
    expect(shell.service().state).toBe('asleep')
    shell.answer = () => undefined
    shell.pass(1_000)
    say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(shell.service().state).toBe('healthy')
  })

  test('leaves nothing to do when it is removed', () => {
    const shell = dying()
    say(shell, 'listener-wanted')
    remove(shell, 'hello')
    expect(shell.machine.view(shell.now).services).toEqual([])
    expect(shell.machine.state.timers.at(`wake ${WEB}`)).toBeUndefined()
  })
})

test('one that people sent to sleep is woken, and falls asleep again', () => {
  const shell = awake()
  shell.scale('web', 0)
  shell.pass(60_000)
  say(shell, 'listener-wanted')
  shell.pass(400_000)
  say(shell, 'listener-idle')
  expect(wanted(shell)).toBe(0)
})

test.each([
  ['isolate', 'it stays out until `weir restart`', 0],
  ['restart', 'starting it again', 1],
] as const)('one that people scale while it is woken: on_panic %s holds', (onPanic, text, left) => {
  const shell = node({ ...SLEEPY, errors: { onInitFailure: 'fail', onPanic } })
  shell.answer = (command) => (command.type === 'verify-replica' ? [] : undefined)
  say(shell, 'listener-wanted')
  shell.scale('web', 1)
  const commands = shell.crash(1)
  expect(notices(commands, 'exited')).toEqual([`web-1 exited with code 1; ${text}`])
  shell.answer = () => undefined
  shell.pass(60_000)
  expect(shell.numbers()).toHaveLength(left)
})

test('one that sleeps is ready when its listeners of datagrams know it, too', () => {
  const shell = awake({ endpoints: [endpointOf(), udpEndpointOf()] })
  const held: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'apply-backends' || !command.listener.includes('dns')) return undefined
    held.push(command)
    return []
  }
  const before = shell.commands.length
  shell.scale('web', 0)
  shell.pass(60_000)
  expect(shell.service().state).toBe('asleep')
  expect(settled(shell.commands.slice(before))).toEqual([])
  shell.answer = () => undefined
  shell.feed(...held.flatMap((command) => shell.obey(command)))
  expect(settled(shell.commands.slice(before))).toEqual(['ready'])
})

test('one whose groups must run is not sent to sleep', () => {
  const replicaGroups = [{ role: 'primary', count: 1, env: {}, affinity: 'spread' }] as const
  expect(replies(node({ replicaGroups }).scale('web', 0))).toMatchObject([
    { ok: false, code: 'invalid' },
  ])
  const sleepy = node({ ...SLEEPY, replicaGroups })
  say(sleepy, 'listener-wanted')
  expect(replies(sleepy.scale('web', 0))).toMatchObject([{ ok: true }])
})

test('one that is removed while it falls asleep leaves nothing to do', () => {
  const shell = awake()
  say(shell, 'listener-idle')
  remove(shell, 'hello')
  shell.pass(60_000)
  expect(shell.machine.view(shell.now).services).toEqual([])
  expect(shell.machine.state.timers.at(`sleep ${WEB}`)).toBeUndefined()
})

test('one is refused that would wake with more than a service may have', () => {
  const shell = new ObedientShell()
  shell.machine = new NodeMachine({ ...defaultNodeConfig(1), replicasMax: 2 })
  shell.boot()
  const group = (role: string, count: number) =>
    ({ role, count, env: {}, affinity: 'spread' }) as const
  const groups = (count: number) => ({
    ...SLEEPY,
    replicaGroups: [group('primary', 1), group('read', count)],
  })
  expect(replies(deploy(shell, groups(2)))).toMatchObject([{ ok: false, code: 'invalid' }])
  expect(replies(deploy(shell, groups(1)))).toMatchObject([{ ok: true }])
})

test('one that may not sleep by a new file holds nobody, though it is being woken', () => {
  const shell = node(SLEEPY)
  shell.answer = (command) => (command.type === 'start-replica' ? [] : undefined)
  say(shell, 'listener-wanted')
  expect(told(shell)).toEqual({ [HTTP]: 'hold' })
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(told(shell)).toEqual({ [HTTP]: 'refuse' })
})
