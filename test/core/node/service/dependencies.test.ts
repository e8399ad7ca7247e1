/** Waiting for other services, and what they are waited for. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../../core/node/commands.ts'
import { deploymentOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import { dependsOn, fixed, nodeOf, outcomes, replies, sql, tcp, typed } from './samples.ts'

test('services W57: `started` is met by any running replica', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  shell.deploy(
    deploymentOf({
      db: serviceOf({ endpoints: [sql(5432)] }),
      web: serviceOf({ depends: dependsOn('db', { condition: 'started' }) }),
    }),
  )
  expect(shell.numbers('web')).toEqual([1])
})

for (const onTimeout of ['fail', 'warn', 'continue'] as const) {
  test(`a dependency that never comes: ${onTimeout}`, () => {
    const shell = new ObedientShell().boot()
    shell.answer = (command) =>
      command.type === 'create-replica' && command.replica.includes('/db/') ? [] : undefined
    const services = {
      db: serviceOf({ endpoints: [sql(5432)] }),
      web: serviceOf({ depends: dependsOn('db', { onTimeout }) }),
    }
    shell.deploy(deploymentOf(services))
    shell.pass(4_999)
    expect(shell.numbers('web')).toEqual([])
    const commands = shell.pass(1)
    expect(shell.numbers('web')).toEqual(onTimeout === 'fail' ? [] : [1])
    const said = commands.some(
      (each) => each.type === 'notice' && each.code === 'dependency-timeout',
    )
    expect(said).toBe(onTimeout !== 'continue')
    if (onTimeout !== 'fail') return
    expect(shell.service('web')).toMatchObject({
      state: 'failed',
      detail: 'db was not healthy within 5 s',
    })
    // it waits anew after a restart
    shell.feed({ type: 'restart', request: 50, service: 'web' })
    expect(shell.service('web').state).toBe('waiting')
  })
}

test('services W55: independent services start side by side, one slow one holds nobody up', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'create-replica' && command.replica.includes('/slow/') ? [] : undefined
  const services = {
    slow: serviceOf({ endpoints: [] }),
    a: serviceOf({ endpoints: [] }),
    b: serviceOf({ endpoints: [] }),
  }
  shell.deploy(deploymentOf(services))
  expect([shell.service('a').state, shell.service('b').state]).toEqual(['healthy', 'healthy'])
})

test('services W25: a dependency that went is not healthy by its last verdict', () => {
  const shell = nodeOf({ db: serviceOf({ endpoints: [sql(5432)] }) })
  shell.scale('db', 0)
  const services = {
    db: serviceOf({ endpoints: [sql(5432)], scale: fixed(0) }),
    web: serviceOf({ depends: dependsOn('db') }),
  }
  shell.deploy(deploymentOf(services))
  expect(shell.service('web').state).toBe('waiting')
})

test('who waits for a service that gave up is no reason to go on waiting for the deployment', () => {
  // aa never got healthy, bb gave up waiting, cc waited for bb: it was `converging` for ever
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'create-replica' && command.replica.includes('/aa/') ? [] : undefined
  const services = {
    aa: serviceOf({ endpoints: [] }),
    bb: serviceOf({ endpoints: [], depends: dependsOn('aa') }),
    cc: serviceOf({ endpoints: [], depends: dependsOn('bb', { timeoutMs: 300_000 }) }),
  }
  const commands = [...shell.deploy(deploymentOf(services)), ...shell.pass(60_000)]
  expect(outcomes(commands).at(-1)).toEqual([
    'failed',
    'aa: aa-1 gave no answer while creating',
    'bb: aa was not healthy within 5 s',
    'cc: waits for bb, which is failed',
  ])
  expect(replies(shell.feed({ type: 'restart', request: 95, service: 'cc' }))).toEqual([
    { ok: true, text: 'hello/cc waits for its dependencies; nothing of it runs yet' },
  ])
})

test('a dependency counts as healthy once its endpoints can be reached', () => {
  const shell = new ObedientShell().boot()
  const held: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'bind-socket' || command.port !== 5432) return undefined
    held.push(command)
    return []
  }
  const services = {
    db: serviceOf({ endpoints: [sql(5432)] }),
    web: serviceOf({ depends: dependsOn('db') }),
  }
  shell.deploy(deploymentOf(services))
  expect(shell.numbers('web')).toEqual([])
  shell.answer = () => undefined
  shell.feed(...held.flatMap((command) => shell.obey(command)))
  expect(shell.numbers('web')).toEqual([1])
})

test('who arrives does not take what another one was by the older file for what it is', () => {
  const db = (replicas: number) => serviceOf({ endpoints: [tcp(5432)], scale: fixed(replicas) })
  const web = serviceOf({
    endpoints: [],
    depends: [{ service: 'db', condition: 'ready', timeoutMs: 60_000, onTimeout: 'fail' }],
  })
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ db: db(1) }))
  shell.answer = (command) => (command.type === 'create-replica' ? [] : undefined)
  const commands = shell.deploy(deploymentOf({ db: db(2), web }))
  expect(typed(commands, 'create-replica').map(({ replica }) => replica.split('/')[1])).toEqual([
    'db',
  ])
})
