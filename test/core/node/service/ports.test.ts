/** The ports that replicas listen on: found taken, given to nobody else, waited for. */
import { expect, test } from 'vitest'
import { deploymentOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import { nodeOf, replies, sql, tcp, typed } from './samples.ts'

test('a port a replica was promised but a stranger holds is exchanged for another', () => {
  const shell = new ObedientShell().boot()
  const tried: number[] = []
  shell.answer = (command) => {
    if (command.type !== 'create-replica') return undefined
    const port = command.program.ports.http as number
    tried.push(port)
    if (tried.length > 1) return undefined
    const { replica, attempt } = command
    return [
      { type: 'replica-create-failed', replica, attempt, reason: 'port taken', portsTaken: [port] },
    ]
  }
  shell.deploy(deploymentOf({ web: serviceOf() }))
  shell.pass(1_000)
  expect(shell.numbers()).toEqual([1])
  expect(new Set(tried).size).toBe(2)
})

test('ports that others hold are no fault of the program: no pause, no crash, however many', () => {
  const shell = new ObedientShell().boot()
  let tries = 0
  shell.answer = (command) => {
    if (command.type !== 'create-replica' || tries++ >= 8) return undefined
    const { replica, attempt } = command
    const portsTaken = Object.values(command.program.ports)
    return [{ type: 'replica-create-failed', replica, attempt, reason: 'taken', portsTaken }]
  }
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(shell.numbers()).toEqual([1])
  expect(shell.service().restarts).toBe(0)
})

test('a port that a replica was given is not given to a service', () => {
  const shell = nodeOf({ web: serviceOf() })
  const [port = 0] = [...shell.machine.state.ports.leased.keys()]
  const other = deploymentOf({ web: serviceOf({ endpoints: [sql(port)] }) }, 'two')
  expect(replies(shell.deploy(other))).toEqual([
    {
      ok: false,
      code: 'conflict',
      text: `port-conflict: port ${port} is used by replica hello/web/1#1, so two/web cannot have it`,
    },
  ])
})

test('a program is not started before the port it chooses is let go of', () => {
  const own = (port: number, targetPort?: number) =>
    serviceOf({ endpoints: [tcp(port, targetPort === undefined ? {} : { targetPort })] })
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ a: own(7_001, 7_000), b: own(7_002) }))
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.deploy(deploymentOf({ a: own(7_001), b: own(7_002, 7_000) }))
  const started = () =>
    typed(shell.commands, 'create-replica').filter(({ program }) => program.ports.tcp === 7_000)
  expect(started()).toHaveLength(1)
  shell.answer = () => undefined
  shell.pass(60_000)
  expect(started().map(({ replica }) => replica.split('/')[1])).toEqual(['a', 'b'])
  expect(shell.service('b').state).toBe('healthy')
  expect(typed(shell.commands, 'settled').at(-1)).toMatchObject({ outcome: 'ready' })
  // And back: whichever of the two is asked first.
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.deploy(deploymentOf({ a: own(7_001, 7_000), b: own(7_002) }))
  // It is nobody else's meanwhile, either.
  const other = shell.deploy(deploymentOf({ c: own(7_000) }, 'other'))
  expect(replies(other)).toMatchObject([{ ok: false, code: 'conflict' }])
  shell.answer = () => undefined
  shell.pass(60_000)
  expect(started().map(({ replica }) => replica.split('/')[1])).toEqual(['a', 'b', 'a'])
  expect(typed(shell.commands, 'settled').at(-1)).toMatchObject({ outcome: 'ready' })
})
