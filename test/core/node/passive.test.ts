/** What connections that fail tell of a backend, and what only its checks may say. */
import { expect, test } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import { parseListenerId } from '../../../core/services/identity.ts'
import type { EndpointSpec, ServiceSpec } from '../../../core/spec/deployment.ts'
import { deploymentOf, endpointOf, failing, ObedientShell, serviceOf } from './obedient-shell.ts'
import { typed } from './service/samples.ts'

const sql = (more: Partial<EndpointSpec> = {}): EndpointSpec =>
  endpointOf({
    name: 'sql',
    protocol: 'tcp',
    port: 5432,
    balance: { strategy: 'round_robin', rise: 2, fall: 3, failOpen: true },
    ...more,
  })
const first = (id: string): boolean => id.includes('/1#')

function node(spec: Partial<ServiceSpec>): ObedientShell {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ web: serviceOf(spec) }))
  return shell
}

const TWO: Partial<ServiceSpec> = {
  endpoints: [endpointOf(), sql()],
  scale: { mode: 'fixed', replicas: 2 },
}

/** `http: 1 2, sql: 1! 2`. */
function setsOf(shell: ObedientShell): string {
  const sets = new Map(typed(shell.commands, 'apply-backends').map((each) => [each.listener, each]))
  const lines = [...sets.values()].map(({ listener, backends }) => {
    const members = backends.map(({ id, down }) => /(\d+)#/.exec(id)?.[1] + (down ? '!' : ''))
    return `${parseListenerId(listener).endpoint}: ${members.join(' ')}`
  })
  return lines.sort().join(', ')
}

/** A connection of this endpoint to replica 1 was refused. */
function refuse(shell: ObedientShell, endpoint = 'sql'): NodeCommand[] {
  const listener = [...shell.applied.keys()].find((id) => parseListenerId(id).endpoint === endpoint)
  const backend = [...shell.alive].find(first)
  const reason = 'connection refused'
  return shell.feed({ type: 'backend-failed', listener: listener!, backend: backend!, reason })
}

const probes = (commands: readonly NodeCommand[]) =>
  typed(commands, 'probe').map((each) => each.check)

test('proxy W19: a backend that refuses connections is down within half a second, there', () => {
  const shell = node(TWO)
  shell.answer = failing('sql/passive', 'connection refused', first)
  const commands = refuse(shell)
  // Together with the connection that failed it is the second failure.
  expect(probes(commands).filter((check) => check !== 'main')).toEqual(['sql/passive'])
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1 2')
  const later = shell.pass(300)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1! 2')
  expect(typed(later, 'notice').map(({ text }) => text)).toEqual([
    'web-1 is down at sql: connection refused',
  ])
  expect(shell.service()).toMatchObject({
    state: 'degraded',
    detail: 'web-1 cannot be reached at sql: connection refused',
  })
})

test('it is looked at every second, and up again after `rise` passes; then nobody looks any more', () => {
  const shell = node(TWO)
  shell.answer = failing('sql/passive', 'connection refused', first)
  refuse(shell)
  shell.pass(10_000)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1! 2')
  expect(probes(shell.pass(5_000)).filter((check) => check === 'sql/passive')).toHaveLength(5)
  shell.answer = () => undefined
  shell.pass(1_000)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1! 2')
  shell.pass(1_000)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1 2')
  expect(probes(shell.pass(5_000)).filter((check) => check === 'sql/passive')).toEqual([])
  expect(shell.service().state).toBe('healthy')
})

test('one connection that failed, and a probe that passes: nothing happened', () => {
  const shell = node(TWO)
  const commands = refuse(shell)
  expect(typed(commands, 'apply-backends')).toEqual([])
  expect(typed(commands, 'notice')).toEqual([])
  expect(probes(shell.pass(5_000)).filter((check) => check === 'sql/passive')).toEqual([])
})

test('proxy W17: a connection that succeeds never outvotes an application check that fails', () => {
  const shell = node(TWO)
  shell.answer = failing('main', 'status 500', first)
  shell.pass(60_000)
  expect(setsOf(shell)).toBe('http: 1! 2, sql: 1! 2')
  refuse(shell)
  shell.pass(5_000) // every passive probe passes
  expect(setsOf(shell)).toBe('http: 1! 2, sql: 1! 2')
})

test('proxy W17: one slow answer does not take a replica out: the threshold is honoured', () => {
  const shell = node(TWO)
  let failures = 0
  const refused = failing('main', 'no answer within 5 s', first)
  shell.answer = (command) => {
    const answer = failures < 2 ? refused(command) : undefined
    if (answer !== undefined) failures += 1
    return answer
  }
  shell.pass(60_000)
  expect(failures).toBe(2)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1 2')
})

test('one verdict for an address: every endpoint and mapping that leads there has it', () => {
  const shell = node({
    endpoints: [
      sql({ targetPort: 9000 }),
      sql({ name: 'read', port: 5433, targetPort: 9000 }),
      sql({ name: 'other', port: 5434 }),
    ],
    portMappings: [{ containerPort: 9000, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 15432 }],
  })
  shell.answer = failing('read/passive', 'connection refused', first)
  refuse(shell, 'read')
  shell.pass(1_000)
  expect(setsOf(shell)).toBe('mapping 9000 tcp: 1!, other: 1, read: 1!, sql: 1!')
})

test('proxy W31: a dead backend of a port that is published on loopback loses its share', () => {
  const shell = new ObedientShell().boot()
  shell.feed({ type: 'internal-addresses', addresses: ['10.9.0.1'] })
  const published = sql({ expose: 'internal', balance: { ...sql().balance, fall: 2 } })
  const spec = { ...TWO, endpoints: [published], localhostReachability: 'always' } as const
  shell.deploy(deploymentOf({ web: serviceOf(spec) }))
  expect(shell.addresses('sql')).toEqual(['10.9.0.1:5432', '127.0.0.1:5432', '[::1]:5432'])
  shell.answer = (command) =>
    command.type === 'probe' && first(command.replica)
      ? failing(command.check, 'connection refused')(command)
      : undefined
  refuse(shell)
  shell.pass(300)
  expect(setsOf(shell)).toBe('sql: 1! 2')
  // And without anybody who meets it: it is probed as at every other address.
  shell.answer = () => undefined
  shell.pass(60_000)
  expect(setsOf(shell)).toBe('sql: 1 2')
  shell.answer = failing('main', 'connection refused', first)
  shell.pass(60_000)
  expect(setsOf(shell)).toBe('sql: 1! 2')
})

test('proxy W18: nobody is sent to a replica before its checks have passed', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  shell.deploy(deploymentOf({ web: serviceOf(TWO) }))
  expect(setsOf(shell)).toBe('')
  shell.answer = () => undefined
  shell.pass(10_000)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1 2')
})

test('what a new file says of checks ends the suspicion', () => {
  const shell = node(TWO)
  shell.answer = failing('sql/passive', 'connection refused', first)
  refuse(shell)
  shell.pass(1_000)
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1! 2')
  const stream = { ...sql().stream, healthCheck: { type: 'tcp_connect' } as const }
  shell.deploy(
    deploymentOf({ web: serviceOf({ ...TWO, endpoints: [endpointOf(), sql({ stream })] }) }),
  )
  expect(setsOf(shell)).toBe('http: 1 2, sql: 1 2')
  expect(probes(shell.pass(10_000))).not.toContain('sql/passive')
})
