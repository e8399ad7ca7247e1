/** What keeps a service awake that could sleep, and what may sleep at all. */
import { describe, expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import type { ListenerEvent } from '../../../../core/node/events.ts'
import type { ListenerId } from '../../../../core/services/identity.ts'
import type { ScaleSpec, ServiceSpec } from '../../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  type ObedientShell,
  serviceOf,
  udpEndpointOf,
} from '../obedient-shell.ts'
import { node, notices, remove, typed } from './samples.ts'

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
  })
})

describe('what keeps it awake', () => {
  test('an endpoint that was idle and is used again, when another one falls idle', () => {
    const shell = awake({ endpoints: TWO })
    shell.pass(400_000)
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
    const sleepAt = () => shell.machine.state.timers.at('sleep hello/web')
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

test('people who send to sleep what failed to wake let it be tried at once', () => {
  const shell = node(SLEEPY)
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
  say(shell, 'listener-wanted')
  expect(told(shell)).toEqual({ [HTTP]: 'refuse' })
  shell.scale('web', 0)
  expect(told(shell)).toEqual({ [HTTP]: 'hold' })
})

test('one that may not sleep by a new file holds nobody, though it is being woken', () => {
  const shell = node(SLEEPY)
  shell.answer = (command) => (command.type === 'start-replica' ? [] : undefined)
  say(shell, 'listener-wanted')
  expect(told(shell)).toEqual({ [HTTP]: 'hold' })
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(told(shell)).toEqual({ [HTTP]: 'refuse' })
})
