/** What the verdicts on replicas make of their service. */
import { expect, test } from 'vitest'
import { deploymentOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import { fixed, nodeOf, outcomes } from './samples.ts'

test('services W44: an unhealthy replica takes nothing until it is back, and stays in the set', () => {
  const shell = nodeOf({ web: serviceOf({ scale: fixed(2) }) })
  const sick = [...shell.alive][0]
  shell.answer = (command) =>
    command.type === 'probe' && command.replica === sick
      ? [
          {
            type: 'probe-result',
            replica: command.replica,
            check: command.check,
            attempt: command.attempt,
            ok: false,
            reason: 'status 500',
          },
        ]
      : undefined
  shell.pass(60_000)
  expect(shell.service().state).toBe('degraded')
  expect(shell.service().detail).toBe('web-1 is unhealthy: status 500')
  expect([...shell.up.values()][0]).not.toContain(sick)
  expect([...shell.applied.values()][0]?.has(sick as never)).toBe(true)
  shell.answer = () => undefined
  shell.pass(10_000)
  expect(shell.service().state).toBe('healthy')
  expect([...shell.up.values()][0]?.length).toBe(2)
})

test('services W23: one failing replica is not outvoted by the others', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'probe' && command.replica.includes('/web/2')
      ? [
          {
            type: 'probe-result',
            replica: command.replica,
            check: command.check,
            attempt: command.attempt,
            ok: false,
            reason: 'no',
          },
        ]
      : undefined
  const commands = [
    ...shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) })),
    ...shell.pass(60_000),
  ]
  expect(shell.service().state).toBe('degraded')
  expect(outcomes(commands)).toEqual([['failed', 'web: web-2 is unhealthy: no']])
})
