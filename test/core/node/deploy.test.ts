/** What a deployment file that arrives changes, and when it is `settled`. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from './obedient-shell.ts'
import { fixed, nodeOf, outcomes, replies, sql } from './service/samples.ts'

test('services W30: two deployments with a service of one name do not see each other', () => {
  const shell = nodeOf({ web: serviceOf({ endpoints: [] }) }, 'one')
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [] }) }, 'two'))
  expect(shell.numbers()).toEqual([1, 1])
  expect(replies(shell.scale('web', 2))).toEqual([
    {
      ok: false,
      code: 'conflict',
      text: '"web" is in several deployments: say one/web or two/web',
    },
  ])
  shell.feed({ type: 'remove', request: 9, deployment: 'one' })
  expect(shell.numbers()).toEqual([1])
})

test('services W24 W17: deploying the same file again changes nothing', () => {
  const shell = nodeOf({ web: serviceOf({ scale: fixed(3) }) })
  const commands = shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  expect(commands.filter((each) => each.type !== 'notice').map((each) => each.type)).toEqual([
    'reply',
    'settled',
  ])
  expect(shell.service().state).toBe('healthy')
})

test('services W53: jobs and crons are registered, not scaled', () => {
  const shell = nodeOf({ nightly: serviceOf({ rtype: 'cron', endpoints: [] }) })
  expect(shell.alive.size).toBe(0)
  expect(shell.service('nightly').detail).toBe('cron: registered, not run')
  expect(replies(shell.scale('nightly', 1))).toMatchObject([{ ok: false, code: 'invalid' }])
})

test('services W7: numbers are unique in a service whatever the role, and roles go where they belong', () => {
  const group = (role: string, count: number) => ({
    role,
    count,
    env: {},
    affinity: 'spread' as const,
  })
  const endpoints = [
    sql(5432, { targetRole: 'primary' }),
    sql(5433, { name: 'read', targetRole: 'read' }),
  ]
  const shell = nodeOf({
    web: serviceOf({ endpoints, replicaGroups: [group('primary', 1), group('read', 2)] }),
  })
  const replicas = shell.machine.view(shell.now).replicas.map((each) => [each.number, each.role])
  expect(replicas).toEqual([
    [1, 'primary'],
    [2, 'read'],
    [3, 'read'],
  ])
  expect(
    shell.machine.view(shell.now).listeners.map((each) => [each.endpoint, each.backends]),
  ).toEqual([
    ['read', 2],
    ['read', 2],
    ['sql', 1],
    ['sql', 1],
  ])
  expect(replies(shell.scale('web', 5))).toMatchObject([{ ok: false, code: 'invalid' }]) // W9
})

test('changed counts of replica groups are an update like any other', () => {
  const group = (role: string, count: number) => ({
    role,
    count,
    env: {},
    affinity: 'spread' as const,
  })
  const web = (primary: number, read: number) =>
    serviceOf({ endpoints: [], replicaGroups: [group('primary', primary), group('read', read)] })
  const shell = nodeOf({ web: web(1, 2) })
  const commands = shell.deploy(deploymentOf({ web: web(2, 1) }))
  expect(outcomes(commands)).toEqual([])
  shell.pass(30_000)
  const roles = shell.machine.view(shell.now).replicas.map((each) => `${each.number} ${each.role}`)
  expect(roles).toEqual(['1 primary', '2 primary', '3 read'])
  expect(shell.service().state).toBe('healthy')
})

test('services W75: a service that becomes a job lets go of its ports and its replicas', () => {
  const shell = nodeOf({ web: serviceOf() }, 'one')
  shell.deploy(deploymentOf({ web: serviceOf({ rtype: 'job' }) }, 'one'))
  expect(shell.numbers()).toEqual([])
  expect(replies(shell.deploy(deploymentOf({ web: serviceOf() }, 'two')))).toMatchObject([
    { ok: true },
  ])
})

test('a manual service with a port of its own has one replica, whatever it had before', () => {
  const manual = { scale: { mode: 'manual' } } as const
  const shell = nodeOf({ web: serviceOf({ ...manual }) })
  shell.scale('web', 3)
  shell.deploy(
    deploymentOf({ web: serviceOf({ ...manual, endpoints: [endpointOf({ targetPort: 9090 })] }) }),
  )
  shell.pass(60_000)
  expect(shell.numbers()).toEqual([1])
})

test('a deployment without services is ready', () => {
  expect(outcomes(new ObedientShell().boot().deploy(deploymentOf({})))).toEqual([['ready']])
})

test('a deploy before the leftovers are gone is accepted and held', () => {
  const shell = new ObedientShell()
  shell.answer = (command) => (command.type === 'reap-leftovers' ? [] : undefined)
  shell.boot()
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(shell.alive.size).toBe(0)
  expect(shell.service().detail).toBe('leftovers of an earlier run are being ended')
  shell.feed({ type: 'leftovers-reaped', attempt: 1, reaped: [4711], surviving: [] })
  expect(shell.numbers()).toEqual([1])
})

test('thousands of replicas are started and stopped some at a time', () => {
  const shell = new ObedientShell().boot()
  const most = (type: NodeCommand['type'], commands: readonly NodeCommand[]) =>
    commands.filter((each) => each.type === type).length
  const web = serviceOf({ endpoints: [], scale: fixed(1_100) })
  expect(most('create-replica', shell.deploy(deploymentOf({ web })))).toBe(1_024)
  shell.pass(1)
  expect(shell.alive.size).toBe(1_100)
  expect(most('signal-replica', shell.scale('web', 0))).toBe(1_024)
  shell.pass(1)
  expect(shell.alive.size).toBe(0)
})

test('ready is never said while a replica of an older version takes traffic', () => {
  // two deploys in a row: the stand-in of the first was still serving when ready was said
  const web = (version: string) => serviceOf({ scale: fixed(2), env: { VERSION: version } })
  for (let gapMs = 0; gapMs <= 9_000; gapMs += 250) {
    const shell = nodeOf({ web: web('1') })
    shell.answer = (command) => {
      if (command.type !== 'settled' || command.outcome !== 'ready') return undefined
      const { services, replicas } = shell.machine.state
      const { revision } = services.get('hello/web' as never) as { revision: number }
      const serving = [...replicas.values()].filter((each) => each.state === 'ready')
      expect(serving.map((each) => each.revision)).toEqual(serving.map(() => revision))
      return []
    }
    shell.deploy(deploymentOf({ web: web('2') }))
    shell.pass(gapMs)
    // both slots are empty for now, the stand-in still serves, and the mended file starts them at once
    for (const number of [1, 2, 1, 2]) {
      if (shell.numbers().includes(number)) shell.crash(number)
    }
    shell.deploy(deploymentOf({ web: web('3') }))
    shell.pass(60_000)
    expect(shell.service().state).toBe('healthy')
  }
})
