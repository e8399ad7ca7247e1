/** Programs that end by themselves: pauses, policies, and what is said of it. */
import { expect, test } from 'vitest'
import { deploymentOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import { fixed, nodeOf, outcomes, replies } from './samples.ts'

test('services W22 W47: crashes pause longer and longer, and what runs is what is counted', () => {
  const shell = nodeOf({ web: serviceOf() })
  const pauses = [1, 2, 3, 4, 5, 6].map(() => {
    shell.crash(1)
    const from = shell.now
    while (shell.numbers().length === 0) shell.pass(100)
    return Math.round((shell.now - from) / 100) * 100
  })
  expect(pauses).toEqual([0, 500, 1_000, 2_000, 4_000, 30_000])
  expect(shell.service().restarts).toBe(6)
})

test('a crash loop is reported as a failed deployment, with the last words', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'verify-replica'
      ? [
          {
            type: 'replica-exited',
            replica: command.replica,
            code: 3,
            signal: null,
            logTail: ['no config'],
          },
        ]
      : undefined
  const commands = [...shell.deploy(deploymentOf({ web: serviceOf() })), ...shell.pass(100_000)]
  const settled = outcomes(commands)
  expect(settled[0]).toEqual(['failed', 'web: web-1 exited with code 3; its last line: no config'])
  expect(commands.some((each) => each.type === 'notice' && each.code === 'crash-loop')).toBe(true)
})

test('services W48: a service that exits with 0 is started again', () => {
  const shell = nodeOf({ web: serviceOf() })
  shell.crash(1, 'web', 0)
  expect(shell.numbers()).toEqual([1])
})

test('with on_panic shutdown, a program that ends with code 0 is still started again', () => {
  const shell = nodeOf({
    web: serviceOf({ errors: { onInitFailure: 'fail', onPanic: 'shutdown' } }),
  })
  shell.crash(1, 'web', 0)
  expect(shell.numbers()).toEqual([1])
})

test('services W48: isolate keeps the slot empty until a restart, shutdown stops the service', () => {
  const isolated = nodeOf({
    web: serviceOf({ scale: fixed(2), errors: { onInitFailure: 'fail', onPanic: 'isolate' } }),
  })
  isolated.crash(2)
  isolated.pass(60_000)
  expect(isolated.numbers()).toEqual([1])
  expect(isolated.service().state).toBe('degraded')
  isolated.feed({ type: 'restart', request: 5, service: 'web', replica: 2 })
  expect(isolated.numbers()).toEqual([1, 2])

  const halted = nodeOf({
    web: serviceOf({ scale: fixed(2), errors: { onInitFailure: 'fail', onPanic: 'shutdown' } }),
  })
  halted.crash(2)
  expect(halted.numbers()).toEqual([])
  expect(halted.service()).toMatchObject({ state: 'failed' })
})

test('an isolated replica is named with what to do, and a mended policy takes it back', () => {
  const isolate = { onInitFailure: 'fail', onPanic: 'isolate' } as const
  const shell = nodeOf({ web: serviceOf({ errors: isolate }) })
  shell.crash(1)
  expect(shell.service().detail).toBe('web-1 exited with code 1; it stays out until `weir restart`')
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(shell.numbers()).toEqual([1])
})

test('a service that gave up says so to who scales it, and a restart starts it again', () => {
  const shell = nodeOf({
    web: serviceOf({ errors: { onInitFailure: 'fail', onPanic: 'shutdown' } }),
  })
  shell.crash(1)
  expect(replies(shell.scale('web', 3))).toMatchObject([{ ok: false, code: 'invalid' }])
  shell.feed({ type: 'restart', request: 93, service: 'web', replica: 1 })
  expect(shell.numbers()).toEqual([1])
})

test('an operator’s restart forgets the crashes before it', () => {
  const shell = nodeOf({ web: serviceOf() })
  for (let crash = 0; crash < 4; crash++) {
    shell.crash(1)
    shell.pass(5_000)
  }
  shell.feed({ type: 'restart', request: 60, service: 'web', replica: 1 })
  shell.crash(1)
  expect(shell.numbers()).toEqual([1])
})

test('one crash that is answered by a start at once is no failure of the deployment', () => {
  const shell = new ObedientShell().boot()
  let crashes = 0
  shell.answer = (command) => {
    if (command.type !== 'verify-replica' || crashes++ > 0) return undefined
    return [
      { type: 'replica-exited', replica: command.replica, code: 1, signal: null, logTail: [] },
    ]
  }
  expect(outcomes(shell.deploy(deploymentOf({ web: serviceOf() })))).toEqual([['ready']])
})

test('a replica that recovered is not held against its service later', () => {
  const shell = nodeOf({ web: serviceOf() })
  shell.crash(1)
  expect(shell.service().state).toBe('healthy')
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  shell.scale('web', 2)
  expect(shell.service()).toMatchObject({ state: 'starting', detail: '' })
})

test('a mended file over a failing service is not judged by the failures of the old one', () => {
  // `weir deploy` of the fix said failed at once, with the old problem
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'verify-replica'
      ? [{ type: 'replica-exited', replica: command.replica, code: 1, signal: null, logTail: [] }]
      : undefined
  shell.deploy(deploymentOf({ web: serviceOf() }))
  shell.pass(10_000)
  shell.answer = () => undefined
  const commands = shell.deploy(deploymentOf({ web: serviceOf({ env: { MENDED: '1' } }) }))
  expect(outcomes(commands)).toEqual([['ready']])
})

test('a replica that waits to be started again stays in sight, with when and why', () => {
  const shell = nodeOf({ web: serviceOf() })
  shell.crash(1)
  shell.crash(1)
  shell.pass(100)
  expect(shell.machine.view(shell.now).replicas).toEqual([
    expect.objectContaining({
      number: 1,
      state: 'waiting',
      limitMs: 400,
      detail: 'exited with code 1',
    }),
  ])
})
