/** Services that sleep until somebody comes. */
import { describe, expect, test } from 'vitest'
import type { ListenerEvent } from '../../../../core/node/events.ts'
import type { ListenerId } from '../../../../core/services/identity.ts'
import type { ScaleSpec, ServiceSpec } from '../../../../core/spec/deployment.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import { notices, remove, settled, typed } from './samples.ts'

const SLEEPY: ScaleSpec = {
  mode: 'adaptive',
  min: 0,
  max: 3,
  cooldownMs: 30_000,
  idleAfterMs: 300_000,
  targets: {},
}
const HTTP = 'hello/web/http#1' as ListenerId

const sleepy = (more: Partial<ServiceSpec> = {}): ServiceSpec =>
  serviceOf({ scale: SLEEPY, ...more })

function sleeping(more: Partial<ServiceSpec> = {}): ObedientShell {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: sleepy(more) }))
  return shell
}

type Use = Extract<
  ListenerEvent,
  { type: 'listener-wanted' | 'listener-idle' | 'listener-busy' }
>['type']

const say = (shell: ObedientShell, type: Use, listener: ListenerId = HTTP) =>
  shell.feed({ type, listener })

const sets = (shell: ObedientShell) =>
  typed(shell.commands, 'apply-backends').map(({ backends, whenEmpty }) => [
    backends.length,
    whenEmpty,
  ])

/** Awake, with its replica ready. */
function awake(more: Partial<ServiceSpec> = {}): ObedientShell {
  const shell = sleeping(more)
  say(shell, 'listener-wanted')
  shell.pass(5_000)
  expect(shell.service().state).toBe('healthy')
  return shell
}

describe('a service of min 0', () => {
  test('sleeps from the beginning, listens, holds who comes, and its deployment is ready', () => {
    const shell = sleeping()
    expect(shell.service()).toMatchObject({ state: 'asleep', replicas: { wanted: 0, running: 0 } })
    expect(shell.addresses('http')).toContain('0.0.0.0:8080')
    expect(sets(shell)).toEqual([[0, 'hold']])
    expect(settled(shell.commands)).toEqual(['ready'])
    expect(shell.machine.view(shell.now).routes).toMatchObject([
      { state: 'asleep' },
      { state: 'asleep' },
    ])
  })

  test('is woken by who wants it, and what waits goes on', () => {
    const shell = sleeping()
    const commands = say(shell, 'listener-wanted')
    expect(notices(commands, 'scaled')).toEqual(['hello/web is woken: somebody wants it'])
    expect(typed(commands, 'create-replica')).toHaveLength(1)
    shell.pass(5_000)
    expect(shell.service()).toMatchObject({ state: 'healthy', replicas: { ready: 1 } })
    expect(sets(shell)).toEqual([
      [0, 'hold'],
      [1, 'refuse'],
    ])
    // It was ready for whoever comes, and is still.
    expect(settled(shell.commands)).toEqual(['ready'])
  })

  test('proxy W48: N words that it is wanted are one wake-up, and what is awake is not scaled', () => {
    const shell = sleeping()
    for (let nth = 0; nth < 5; nth++) say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(typed(shell.commands, 'create-replica')).toHaveLength(1)
    shell.scale('web', 3)
    shell.pass(5_000)
    say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(shell.service().replicas).toMatchObject({ wanted: 3, ready: 3 })
  })

  test('proxy W48: one whose replicas are down for a moment is not woken, and refuses', () => {
    const shell = awake()
    const [replica] = [...shell.alive]
    shell.alive.delete(replica!)
    shell.answer = (command) => (command.type === 'start-replica' ? [] : undefined)
    shell.feed({ type: 'replica-exited', replica: replica!, code: 1, signal: null, logTail: [] })
    expect(sets(shell).at(-1)).toEqual([0, 'refuse'])
    expect(notices(say(shell, 'listener-wanted'), 'scaled')).toEqual([])
  })

  test('proxy W48: every role comes, so that no endpoint waits for one that does not', () => {
    const group = (role: string, count: number) =>
      ({ role, count, env: {}, affinity: 'spread' }) as const
    const shell = awake({
      replicaGroups: [group('primary', 1), group('read', 2)],
      endpoints: [endpointOf({ targetRole: 'read' })],
    })
    expect(shell.service().replicas.ready).toBe(3)
    expect(sets(shell).at(-1)).toEqual([2, 'refuse'])
  })

  test('proxy W47: a wake-up that hangs keeps nobody else waiting', () => {
    const shell = sleeping()
    shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
    say(shell, 'listener-wanted')
    shell.answer = () => undefined
    shell.deploy(
      deploymentOf({ other: serviceOf({ endpoints: [endpointOf({ port: 9090 })] }) }, 'two'),
    )
    shell.pass(5_000)
    expect(shell.service('other').state).toBe('healthy')
    expect(shell.service('web').state).toBe('starting')
  })
})

describe('a wake-up that fails', () => {
  const dying = (): ObedientShell => {
    const shell = sleeping()
    shell.answer = (command) =>
      command.type === 'start-replica'
        ? [
            {
              type: 'replica-start-failed',
              replica: command.replica,
              attempt: command.attempt,
              reason: 'no such file',
            },
          ]
        : undefined
    return shell
  }

  test('refuses who waits, and is not tried again for a second, then two', () => {
    const shell = dying()
    for (const seconds of [1, 2, 4]) {
      const commands = say(shell, 'listener-wanted')
      expect(notices(commands, 'start-failed').at(-1)).toContain(
        `it refuses what comes for ${seconds} s`,
      )
      expect(sets(shell).at(-1)).toEqual([0, 'refuse'])
      expect(typed(say(shell, 'listener-wanted'), 'create-replica')).toEqual([])
      shell.pass(seconds * 1_000 - 1)
      expect(sets(shell).at(-1)).toEqual([0, 'refuse'])
      shell.pass(1)
      expect(sets(shell).at(-1)).toEqual([0, 'hold'])
    }
    expect(shell.service()).toMatchObject({ state: 'asleep', replicas: { wanted: 0 } })
  })

  test('never more than a minute; a success forgets them', () => {
    const shell = dying()
    for (let nth = 0; nth < 9; nth++) {
      say(shell, 'listener-wanted')
      shell.pass(60_000)
    }
    expect(sets(shell).at(-1)).toEqual([0, 'hold'])
    shell.answer = () => undefined
    say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(shell.service().state).toBe('healthy')
    expect(shell.machine.state.services.get('hello/web' as never)?.wakeFailures).toBe(0)
  })

  test('a new file is tried at once', () => {
    const shell = dying()
    say(shell, 'listener-wanted')
    shell.answer = () => undefined
    shell.deploy(deploymentOf({ web: sleepy({ env: { FIXED: '1' } }) }))
    expect(sets(shell).at(-1)).toEqual([0, 'hold'])
  })
})

describe('who waits for a wake-up that ends without one', () => {
  test('says so anew after each nap, though the set is as empty as before', () => {
    const shell = sleeping()
    shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
    say(shell, 'listener-wanted')
    expect(sets(shell)).toEqual([[0, 'hold']])
    shell.scale('web', 0)
    expect(sets(shell)).toEqual([
      [0, 'hold'],
      [0, 'hold'],
    ])
    shell.answer = () => undefined
    say(shell, 'listener-wanted')
    shell.pass(60_000)
    expect(shell.service().state).toBe('healthy')
  })

  test('a start that takes longer than `idle_after` is not idleness', () => {
    const shell = sleeping({ scale: { ...SLEEPY, idleAfterMs: 1_000 } })
    shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
    say(shell, 'listener-wanted')
    shell.pass(2_000)
    say(shell, 'listener-idle')
    expect(shell.service().replicas.wanted).toBe(1)
  })

  test('of several roles: nobody is refused while their own is on its way', () => {
    const group = (role: string) => ({ role, count: 1, env: {}, affinity: 'spread' }) as const
    const shell = sleeping({
      replicaGroups: [group('primary'), group('read')],
      endpoints: [endpointOf({ targetRole: 'read' })],
    })
    shell.answer = (command) =>
      command.type === 'create-replica' && command.program.env.WEIR_ROLE === 'read' ? [] : undefined
    say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(shell.service().replicas.ready).toBeGreaterThan(0)
    expect(sets(shell).at(-1)).toEqual([0, 'hold'])
  })

  test('by hand: it is started again, and who waits is refused', () => {
    const shell = sleeping()
    shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
    say(shell, 'listener-wanted')
    shell.scale('web', 1)
    const { replica, attempt } = typed(shell.commands, 'create-replica').at(-1)!
    shell.feed({ type: 'replica-create-failed', replica, attempt, reason: 'no', portsTaken: [] })
    expect(shell.service().replicas.wanted).toBe(1)
    expect(sets(shell).at(-1)).toEqual([0, 'refuse'])
  })
})

test('why it could not be woken is said while it sleeps', () => {
  const shell = sleeping()
  shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
  say(shell, 'listener-wanted')
  const { replica, attempt } = typed(shell.commands, 'create-replica').at(-1)!
  shell.feed({ type: 'replica-create-failed', replica, attempt, reason: 'no disk', portsTaken: [] })
  expect(shell.service().detail).toBe('could not be woken: web-1 no disk')
})

test('it is never more than its file allows', () => {
  const shell = sleeping()
  expect(typed(shell.scale('web', 4), 'reply')).toMatchObject([
    {
      result: {
        ok: false,
        text: 'hello/web has at most 3 replicas; change max in the file and deploy it',
      },
    },
  ])
})

describe('going back to sleep', () => {
  test('when nothing has gone through for as long as the file says, counted from when it woke', () => {
    const shell = awake()
    say(shell, 'listener-idle')
    shell.pass(290_000)
    expect(shell.service().replicas.wanted).toBe(1)
    const commands = shell.pass(10_000)
    expect(notices(commands, 'scaled')).toEqual([
      'hello/web goes to sleep: nothing went through it for 300 s',
    ])
    expect(sets(shell).at(-1)).toEqual([0, 'hold'])
    shell.pass(60_000)
    expect(shell.service()).toMatchObject({ state: 'asleep', replicas: { running: 0 } })
    say(shell, 'listener-wanted')
    shell.pass(5_000)
    expect(shell.service().state).toBe('healthy')
  })

  test('not while any of its endpoints is used', () => {
    const shell = awake({
      endpoints: [endpointOf(), endpointOf({ name: 'admin', port: 8081 })],
    })
    const admin = 'hello/web/admin#2' as ListenerId
    say(shell, 'listener-idle')
    shell.pass(400_000)
    expect(shell.service().replicas.wanted).toBe(1)
    say(shell, 'listener-idle', admin)
    expect(shell.service().replicas.wanted).toBe(0)
  })

  test('not when it is used again meanwhile', () => {
    const shell = awake()
    say(shell, 'listener-idle')
    say(shell, 'listener-busy')
    shell.pass(1_000_000)
    expect(shell.service().replicas.wanted).toBe(1)
  })

  test('not when people said how many it shall be, until the next deploy', () => {
    const shell = awake()
    shell.scale('web', 2)
    say(shell, 'listener-idle')
    shell.pass(1_000_000)
    expect(shell.service().replicas.wanted).toBe(2)
    shell.deploy(deploymentOf({ web: sleepy() }))
    expect(shell.service().replicas.wanted).toBe(0)
  })

  test('people may send it to sleep', () => {
    const shell = awake()
    shell.scale('web', 0)
    shell.pass(60_000)
    expect(shell.service().state).toBe('asleep')
    expect(sets(shell).at(-1)).toEqual([0, 'hold'])
  })
})

describe('a new file', () => {
  test('does not put to sleep what is awake', () => {
    const shell = awake()
    shell.deploy(deploymentOf({ web: sleepy({ env: { V: '2' } }) }))
    shell.pass(60_000)
    expect(shell.service()).toMatchObject({ state: 'healthy', replicas: { ready: 1 } })
  })

  test('of another scale wakes it, and holds nobody any more', () => {
    const shell = sleeping()
    shell.deploy(deploymentOf({ web: serviceOf() }))
    shell.pass(5_000)
    expect(shell.service().state).toBe('healthy')
    expect(sets(shell).at(-1)).toEqual([1, 'refuse'])
  })
})

test('whoever depends on one that sleeps need not wait for it', () => {
  const on = (condition: 'started' | 'healthy' | 'ready') =>
    ({ service: 'web', condition, timeoutMs: 10_000, onTimeout: 'fail' }) as const
  const shell = new ObedientShell().boot()
  const app = serviceOf({
    endpoints: [endpointOf({ port: 9090 })],
    depends: [on('started'), on('healthy'), on('ready')],
  })
  shell.deploy(deploymentOf({ web: sleepy(), app }))
  shell.pass(5_000)
  expect(shell.service('app').state).toBe('healthy')
})

test('one that leaves holds nobody', () => {
  const shell = sleeping()
  remove(shell, 'hello')
  expect(sets(shell).at(-1)).toEqual([0, 'refuse'])
})
