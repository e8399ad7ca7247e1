/** The end of a node: how long old work may go on, and what an abort leaves. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { defaultNodeConfig, NodeMachine } from '../../../core/node/node.ts'
import { deploymentOf, ObedientShell, serviceOf, udpEndpointOf } from './obedient-shell.ts'
import {
  deploy,
  fixed,
  node,
  nodeOf,
  notices,
  places,
  replies,
  tcp,
  typed,
} from './service/samples.ts'

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

/** Connections end when they are cut, and not before. */
function untilCut(shell: ObedientShell): void {
  const versions = new Map<string, number>()
  shell.answer = (command) => {
    if (command.type === 'cut-backend') {
      const { listener, backend } = command
      const version = versions.get(listener) ?? 0
      return [{ type: 'backend-drained', listener, backend, version }]
    }
    if (command.type !== 'apply-backends') return undefined
    const { listener, version } = command
    versions.set(listener, version)
    return [{ type: 'backends-applied', listener, version }]
  }
}

test('proxy W10: nobody new from outside at once; old work is finished, then cut; counted down', () => {
  const db = serviceOf({ endpoints: [tcp(5432)] })
  const web = serviceOf({
    depends: [{ service: 'db', condition: 'healthy', timeoutMs: 60_000, onTimeout: 'fail' }],
  })
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ db, web }))
  untilCut(shell)
  shell.feed({ type: 'shutdown', request: 950, mode: 'drain' })
  expect(places(shell)).toEqual(['tcp 127.0.0.1:5432', 'tcp [::1]:5432'])
  shell.pass(20_000)
  expect(shell.machine.view(shell.now).drain).toEqual({ remainsMs: 10_000 })
  expect(typed(shell.commands, 'cut-backend')).toEqual([])
  const commands = shell.pass(10_000)
  const cut = typed(commands, 'cut-backend').map(({ listener }) => listener)
  expect(cut.slice(0, 2)).toEqual(['hello/web/http#2', 'hello/db/tcp#1'])
  // The one it used has no patience left to wait with.
  shell.pass(10)
  expect(places(shell)).toEqual([])
  expect([...shell.alive]).toEqual([])
})

test('a udp listener that was closed to the outside is given nobody any more', () => {
  const dns = serviceOf({ endpoints: [udpEndpointOf()], scale: fixed(2) })
  const web = serviceOf({
    depends: [{ service: 'dns', condition: 'started', timeoutMs: 60_000, onTimeout: 'fail' }],
  })
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'create-replica' && command.replica.includes('/dns/2') ? [] : undefined
  shell.deploy(deploymentOf({ dns, web }))
  untilCut(shell)
  shell.feed({ type: 'shutdown', mode: 'drain' })
  const late = typed(shell.commands, 'create-replica').find(({ replica }) =>
    replica.includes('/dns/2'),
  )
  const commands = shell.feed(...shell.obey(late!))
  expect(typed(commands, 'apply-backends')).toEqual([])
  shell.pass(31_000)
  expect(typed(shell.commands, 'stopped')).toHaveLength(1)
})

test('an abort during a drain leaves nobody any patience', () => {
  const shell = node({})
  untilCut(shell)
  shell.feed({ type: 'shutdown', mode: 'drain' })
  shell.answer = (command) => (command.type === 'remove-replica' ? [] : undefined)
  shell.feed({ type: 'shutdown', mode: 'abort' })
  expect(shell.machine.view(shell.now).drain).toEqual({ remainsMs: 0 })
})

test('how long is a setting of the node', () => {
  const shell = new ObedientShell()
  shell.machine = new NodeMachine({ ...defaultNodeConfig(1), drainTimeoutMs: 2_000 })
  shell.boot()
  deploy(shell, {})
  untilCut(shell)
  shell.feed({ type: 'shutdown', mode: 'drain' })
  expect(typed(shell.pass(1_900), 'cut-backend')).toEqual([])
  expect(typed(shell.pass(101), 'cut-backend').length).toBeGreaterThan(0)
  expect(shell.numbers()).toEqual([])
})

test('what asks for something after a shutdown began is refused, and a second shutdown is answered', () => {
  const shell = nodeOf({ web: serviceOf() })
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.feed({ type: 'shutdown', request: 1, mode: 'drain' })
  expect(replies(shell.deploy(deploymentOf({ late: serviceOf() })))).toMatchObject([
    { ok: false, code: 'stopping' },
  ])
  expect(replies(shell.scale('web', 2))).toMatchObject([{ ok: false, code: 'stopping' }])
  shell.answer = () => undefined
  const commands = shell.feed({ type: 'shutdown', request: 3, mode: 'abort' })
  expect(replies(commands)).toHaveLength(2)
  expect(commands.filter((each) => each.type === 'stopped')).toHaveLength(1)
})

test('an abort after a drain does not blame the programs, and a kill is said once', () => {
  const shell = nodeOf({ web: serviceOf({ stopGraceMs: 1_000 }) })
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  const killed = (commands: readonly NodeCommand[]) =>
    commands.filter((each) => each.type === 'notice' && each.code === 'killed').length
  shell.feed({ type: 'shutdown', mode: 'drain' })
  expect(killed(shell.feed({ type: 'shutdown', mode: 'abort' }))).toBe(0)

  const other = nodeOf({ web: serviceOf({ stopGraceMs: 1_000 }) })
  other.answer = shell.answer
  expect(killed([...other.scale('web', 0), ...other.pass(600_000)])).toBe(1)
})
