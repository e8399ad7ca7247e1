/** The end of a node: how long old work may go on, and what an abort leaves. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { defaultNodeConfig, NodeMachine } from '../../../core/node/node.ts'
import { deploymentOf, ObedientShell, serviceOf } from './obedient-shell.ts'
import { deploy, node, notices, typed } from './service/samples.ts'

/** Connections stay until they are cut, and programs until they are killed. */
function stubborn(command: NodeCommand): [] | undefined {
  const { type } = command
  if (type === 'signal-replica' && command.signal !== 'SIGKILL') return []
  return undefined
}

const busy =
  (shell: ObedientShell) =>
  (command: NodeCommand): ReturnType<ObedientShell['obey']> | undefined => {
    if (command.type !== 'apply-backends') return stubborn(command)
    const [applied] = shell.obey(command)
    return applied === undefined ? [] : [applied]
  }

const drain = (shell: ObedientShell) => shell.feed({ type: 'shutdown', mode: 'drain' })
const abort = (shell: ObedientShell) => shell.feed({ type: 'shutdown', mode: 'abort' })

test('asking again for a shutdown does not give old work more time', () => {
  const shell = node({})
  shell.answer = busy(shell)
  drain(shell)
  shell.pass(20_000)
  expect(notices(drain(shell), 'shutdown')).toEqual([])
  expect(shell.machine.view(shell.now).drain).toEqual({ remainsMs: 10_000 })
})

test('an abort cuts every connection at once, and nothing is left to cut later', () => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ one: serviceOf({ endpoints: [] }), web: serviceOf() }))
  shell.answer = busy(shell)
  drain(shell)
  expect(typed(shell.commands, 'cut-backend')).toEqual([])
  // A program whose end is not reported keeps the node from stopping.
  shell.answer = (command) => (command.type === 'remove-replica' ? [] : busy(shell)(command))
  const cut = typed(abort(shell), 'cut-backend').map(({ listener }) => listener)
  expect(new Set(cut)).toEqual(new Set(['hello/web/http#1']))
  expect(notices(shell.pass(60_000), 'drain-cut')).toEqual([])
})

test('when the drain is over connections are cut, and that is said once', () => {
  const shell = node({})
  shell.answer = busy(shell)
  drain(shell)
  const commands = shell.pass(30_000)
  expect(typed(commands, 'cut-backend')).not.toEqual([])
  expect(notices(commands, 'drain-cut').filter((text) => !text.includes('web-1'))).toEqual([
    'old work was not finished within 30 s: it is cut',
  ])
})

test('a node is stopped once its own socket is closed, too', () => {
  const metrics = { host: '127.0.0.1', port: 9464 }
  const shell = new ObedientShell()
  shell.machine = new NodeMachine({ ...defaultNodeConfig(1), metrics })
  shell.boot()
  shell.answer = (command) => (command.type === 'unbind-socket' ? [] : undefined)
  const commands = drain(shell)
  const unbinds = typed(commands, 'unbind-socket')
  expect(unbinds).toHaveLength(1)
  expect(typed(commands, 'stopped')).toEqual([])
  shell.answer = () => undefined
  expect(typed(shell.feed(...unbinds.flatMap((each) => shell.obey(each))), 'stopped')).toHaveLength(
    1,
  )
})

test('a node is stopped once its sockets are closed, and has nothing left to do', () => {
  const shell = node({})
  shell.answer = (command) => (command.type === 'unbind-socket' ? [] : undefined)
  const commands = drain(shell)
  expect(typed(commands, 'stopped')).toEqual([])
  shell.answer = () => undefined
  const answers = typed(commands, 'unbind-socket').flatMap((each) => shell.obey(each))
  expect(answers).toHaveLength(2)
  expect(typed(shell.feed(...answers), 'stopped')).toHaveLength(1)
  expect(shell.machine.deadline()).toBeUndefined()
  expect(typed(drain(shell), 'stopped')).toEqual([])
  expect(deploy(shell, {})).toMatchObject([{ type: 'reply', result: { ok: false } }])
})
