/** Replicas, services and listeners that leave: in which order, and how long it may take. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import { deploymentOf, serviceOf } from '../obedient-shell.ts'
import { dependsOn, fixed, nodeOf, replies, sql } from './samples.ts'

test('services W12: an exit while it is being stopped is not a crash', () => {
  const shell = nodeOf({ web: serviceOf({ scale: fixed(2) }) })
  shell.scale('web', 1)
  shell.pass(60_000)
  expect(shell.service().restarts).toBe(0)
  expect(shell.numbers()).toEqual([1])
})

test('a program that ignores SIGTERM is killed after its grace', () => {
  const shell = nodeOf({ web: serviceOf({ stopGraceMs: 2_000 }) })
  shell.answer = (command) =>
    command.type === 'signal-replica' && command.signal === 'SIGTERM' ? [] : undefined
  shell.scale('web', 0)
  shell.pass(1_999)
  expect(shell.numbers()).toEqual([1])
  const commands = shell.pass(1)
  expect(commands).toContainEqual(
    expect.objectContaining({ type: 'signal-replica', signal: 'SIGKILL' }),
  )
  expect(shell.numbers()).toEqual([])
})

test('connections that do not end are cut when the drain is over', () => {
  const shell = nodeOf({ web: serviceOf({ scale: fixed(1) }) })
  shell.answer = (command) =>
    command.type === 'apply-backends'
      ? [{ type: 'backends-applied', listener: command.listener, version: command.version }]
      : undefined
  shell.scale('web', 0)
  shell.pass(29_999)
  expect(shell.numbers()).toEqual([1])
  const types = shell.pass(1).map((each) => each.type)
  expect(types).toContain('cut-backend')
  expect(shell.numbers()).toEqual([])
})

test('connections of a listener that is gone are cut when its drain is over', () => {
  // a crashed replica left a half-open connection behind: `remove` waited for it for an hour
  const shell = nodeOf({ web: serviceOf() })
  shell.answer = (command) =>
    command.type === 'apply-backends'
      ? [{ type: 'backends-applied', listener: command.listener, version: command.version }]
      : undefined
  shell.feed({ type: 'remove', request: 90, deployment: 'hello' })
  shell.crash(1)
  shell.pass(29_999)
  expect(shell.machine.view(shell.now).services).toHaveLength(1)
  const cut = shell.pass(30_001).find((each) => each.type === 'cut-backend')
  const { listener, backend } = cut as Extract<NodeCommand, { type: 'cut-backend' }>
  const commands = shell.feed({ type: 'backend-drained', listener, backend, version: 2 })
  expect(replies(commands)).toEqual([{ ok: true, text: 'hello is removed' }])
})

test('the view says how long a replica that leaves may still take', () => {
  const shell = nodeOf({ web: serviceOf({ stopGraceMs: 2_000 }) })
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.scale('web', 0)
  shell.pass(500)
  expect(shell.machine.view(shell.now).replicas[0]).toMatchObject({
    state: 'stopping',
    limitMs: 1_500,
  })
})

test('a crash while a service waits for its turn to leave does not keep it from leaving', () => {
  // the policy halted it, and a halted service never left: the remove was never answered
  const errors = { onInitFailure: 'fail', onPanic: 'shutdown' } as const
  const shell = nodeOf({
    db: serviceOf({ endpoints: [sql(5432)], errors }),
    web: serviceOf({ depends: dependsOn('db') }),
  })
  shell.answer = (command) =>
    command.type === 'signal-replica' &&
    command.replica.includes('/web/') &&
    command.signal === 'SIGTERM'
      ? []
      : undefined
  shell.feed({ type: 'remove', request: 80, deployment: 'hello' })
  shell.crash(1, 'db')
  const commands = shell.pass(60_000)
  expect(replies(commands)).toEqual([{ ok: true, text: 'hello is removed' }])
})

test('a service put back while it waits for its turn to leave keeps its replicas', () => {
  const services = { db: serviceOf({ endpoints: [sql(5432)] }) }
  const web = serviceOf({ depends: dependsOn('db') })
  const shell = nodeOf({ ...services, web })
  const before = [...shell.alive]
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.deploy(deploymentOf({}))
  shell.answer = () => undefined
  shell.deploy(deploymentOf({ ...services }))
  shell.pass(60_000)
  expect(before.filter((id) => shell.alive.has(id)).map((id) => id.split('/')[1])).toEqual(['db'])
})

test('a dependency dropped with the need for it stays while old replicas use it', () => {
  const db = serviceOf({ endpoints: [sql(5432)] })
  const shell = nodeOf({ db, web: serviceOf({ depends: dependsOn('db'), env: { DB: '1' } }) })
  shell.answer = (command) =>
    command.type === 'probe' && command.replica.includes('/web/') ? [] : undefined
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(shell.numbers('db')).toEqual([1])
  shell.answer = () => undefined
  shell.pass(60_000)
  expect(shell.numbers('db')).toEqual([])
  expect(shell.numbers('web')).toEqual([1])
})
