/** Answers that are late, come twice, or belong to another question. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { deploymentOf, ObedientShell, serviceOf } from './obedient-shell.ts'
import { fixed, nodeOf } from './service/samples.ts'

test('an answer to an old question is ignored: the comparison matters', () => {
  const shell = new ObedientShell().boot()
  const kept: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'create-replica') return undefined
    kept.push(command)
    return []
  }
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [] }) }))
  shell.pass(15_000) // it took too long, was given up and asked again
  expect(kept.length).toBeGreaterThan(1)
  const first = kept[0] as Extract<NodeCommand, { type: 'create-replica' }>
  const last = kept.at(-1) as typeof first
  const stale = { type: 'replica-created', replica: last.replica, attempt: first.attempt } as const
  expect(shell.feed(stale)).toEqual([])
  expect(shell.feed({ ...stale, attempt: last.attempt }).map((each) => each.type)).toContain(
    'start-replica',
  )
})

test('a start that is answered after the replica was given up is given back', () => {
  const shell = new ObedientShell().boot()
  expect(
    shell.feed({ type: 'replica-started', replica: 'hello/web/1#9' as never, attempt: 4, pid: 7 }),
  ).toEqual([{ type: 'remove-replica', replica: 'hello/web/1#9', attempt: 0 }])
})

test('an exit that is reported twice is one exit', () => {
  const shell = nodeOf({ web: serviceOf() })
  shell.answer = (command) => (command.type === 'remove-replica' ? [] : undefined)
  const [replica] = shell.alive
  const exit = { type: 'replica-exited', replica, code: 1, signal: null, logTail: [] } as never
  expect(shell.feed(exit).length).toBeGreaterThan(0)
  expect(shell.feed(exit)).toEqual([])
})

test('leftovers are gone when this life’s question says so', () => {
  const shell = new ObedientShell()
  shell.answer = (command) => (command.type === 'reap-leftovers' ? [] : undefined)
  shell.boot()
  shell.deploy(deploymentOf({ web: serviceOf() }))
  shell.feed({ type: 'leftovers-reaped', attempt: 7, reaped: [], surviving: [] })
  expect(shell.alive.size).toBe(0)
})

/** Answers of listeners are held back until a test gives them. */
function holding(type: NodeCommand['type']) {
  const shell = nodeOf({ web: serviceOf({ scale: fixed(2) }) })
  const held: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== type) return undefined
    held.push(command)
    return []
  }
  return { shell, held }
}

test('a set that holds is the one asked last: an older answer is not taken for it', () => {
  const { shell, held } = holding('apply-backends')
  shell.scale('web', 1)
  const asked = held[0] as Extract<NodeCommand, { type: 'apply-backends' }>
  const { listener, version } = asked
  shell.feed({ type: 'backends-applied', listener, version: version - 1 })
  shell.scale('web', 0)
  expect(held).toHaveLength(1) // the question is still open
  shell.feed({ type: 'backends-applied', listener, version })
  expect(held).toHaveLength(2)
})

test('a backend that came back is not forgotten by a late word that it had drained', () => {
  const shell = nodeOf({ web: serviceOf() })
  const [replica] = shell.alive
  const [listener] = shell.applied.keys()
  shell.feed({
    type: 'backend-drained',
    listener: listener as never,
    backend: replica as never,
    version: 2,
  })
  // it still has to be drained before it is stopped
  shell.answer = (command) => (command.type === 'apply-backends' ? [] : undefined)
  expect(shell.scale('web', 0).map((each) => each.type)).not.toContain('signal-replica')
})

test('an old word that a backend had drained does not end its present drain', () => {
  const shell = nodeOf({ web: serviceOf() })
  const [replica = '' as never] = shell.alive
  const [listener = '' as never] = shell.applied.keys()
  shell.answer = (command) =>
    command.type === 'apply-backends'
      ? [{ type: 'backends-applied', listener: command.listener, version: command.version }]
      : undefined
  shell.scale('web', 0)
  const old = { type: 'backend-drained', listener, backend: replica, version: 1 } as const
  expect(shell.feed(old)).toEqual([])
  expect(shell.feed({ ...old, version: 2 }).map((each) => each.type)).toContain('signal-replica')
})

test('a socket is closed when its own close is confirmed, not by an older word', () => {
  const { shell, held } = holding('unbind-socket')
  shell.feed({ type: 'remove', request: 70, deployment: 'hello' })
  const [first, second] = held as Extract<NodeCommand, { type: 'unbind-socket' }>[]
  shell.feed(...shell.obey(second!))
  const { socket, attempt } = first!
  shell.feed({ type: 'socket-unbound', socket, attempt: attempt - 1 })
  expect(shell.machine.view(shell.now).services).toHaveLength(1)
  shell.feed({ type: 'socket-unbound', socket, attempt })
  expect(shell.machine.view(shell.now).services).toHaveLength(0)
})
