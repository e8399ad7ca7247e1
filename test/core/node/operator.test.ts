import { expect, test } from 'vitest'
import type { NodeCommand, Reply } from '../../../core/node/commands.ts'
import type { ServiceSpec } from '../../../core/spec/deployment.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from './obedient-shell.ts'

const fixed = (replicas: number) => ({ mode: 'fixed', replicas }) as const
const tcp = (port: number, more = {}) => endpointOf({ name: 'sql', protocol: 'tcp', port, ...more })
const dependsOn = (service: string, more = {}) => [
  { service, condition: 'healthy', timeoutMs: 5_000, onTimeout: 'fail', ...more } as const,
]

const repliesOf = (commands: readonly NodeCommand[]): Reply[] =>
  commands.flatMap((each) => (each.type === 'reply' ? [each.result] : []))

const settledOf = (commands: readonly NodeCommand[]) =>
  commands.flatMap((each) => (each.type === 'settled' ? [[each.outcome, ...each.problems]] : []))

const node = (services: Readonly<Record<string, ServiceSpec>>, name = 'hello') => {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf(services, name))
  return shell
}

// Deploying

test('proxy W8 W36 W37: a port of another deployment is refused by name, before anything starts', () => {
  const shell = node({ cache: serviceOf({ endpoints: [tcp(6379)] }) }, 'one')
  const other = deploymentOf(
    { web: serviceOf(), cache: serviceOf({ endpoints: [tcp(6379)] }) },
    'two',
  )
  const commands = shell.deploy(other)
  expect(commands).toEqual([
    {
      type: 'reply',
      request: 2,
      result: {
        ok: false,
        code: 'conflict',
        text: 'port-conflict: tcp port 6379 belongs to one/cache, so two/cache cannot have it; choose another port, or take it out of one/cache first',
      },
    },
  ])
  expect(shell.service('cache').state).toBe('healthy')
  expect(shell.machine.view(shell.now).deployments).toEqual([{ name: 'one', state: 'ready' }])
})

test('services W30: two deployments with a service of one name do not see each other', () => {
  const shell = node({ web: serviceOf({ endpoints: [] }) }, 'one')
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [] }) }, 'two'))
  expect(shell.numbers()).toEqual([1, 1])
  expect(repliesOf(shell.scale('web', 2))).toEqual([
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
  const shell = node({ web: serviceOf({ scale: fixed(3) }) })
  const commands = shell.deploy(deploymentOf({ web: serviceOf({ scale: fixed(3) }) }))
  expect(commands.filter((each) => each.type !== 'notice').map((each) => each.type)).toEqual([
    'reply',
    'settled',
  ])
  expect(shell.service().state).toBe('healthy')
})

test('services W17: a changed port moves the listener and leaves the replicas alone', () => {
  const shell = node({ web: serviceOf({ scale: fixed(2) }) })
  const commands = shell.deploy(
    deploymentOf({ web: serviceOf({ scale: fixed(2), endpoints: [endpointOf({ port: 9090 })] }) }),
  )
  const types = commands.map((each) => each.type)
  expect(types.filter((each) => each.endsWith('-socket'))).toEqual([
    'unbind-socket',
    'unbind-socket',
    'bind-socket',
    'bind-socket',
  ])
  expect(types).not.toContain('open-listener')
  expect(types).not.toContain('start-replica')
  expect(shell.machine.view(shell.now).listeners.map((each) => each.address)).toEqual([
    '0.0.0.0:9090',
    '[::]:9090',
  ])
})

test('services W18: a port given up is free for somebody else at once', () => {
  const shell = node({ web: serviceOf() }, 'one')
  shell.deploy(deploymentOf({ web: serviceOf({ endpoints: [endpointOf({ port: 9090 })] }) }, 'one'))
  const replies = repliesOf(shell.deploy(deploymentOf({ web: serviceOf() }, 'two')))
  expect(replies).toMatchObject([{ ok: true }])
})

test('a port that moves between services of one deployment waits for the old socket to close', () => {
  const shell = node({ old: serviceOf() })
  const closing: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'unbind-socket') return undefined
    closing.push(command)
    return []
  }
  const commands = shell.deploy(deploymentOf({ young: serviceOf() }))
  expect(commands.some((each) => each.type === 'bind-socket')).toBe(false)
  expect(closing).toHaveLength(2)
  for (const command of closing) shell.feed(...shell.obey(command))
  expect(shell.service('young').state).toBe('healthy')
  expect(shell.machine.view(shell.now).services).toHaveLength(1)
})

test('services W53: jobs and crons are registered, not scaled', () => {
  const shell = node({ nightly: serviceOf({ rtype: 'cron', endpoints: [] }) })
  expect(shell.alive.size).toBe(0)
  expect(shell.service('nightly').detail).toBe('cron: registered, not run')
  expect(repliesOf(shell.scale('nightly', 1))).toMatchObject([{ ok: false, code: 'invalid' }])
})

test('services W7: numbers are unique in a service whatever the role, and roles go where they belong', () => {
  const group = (role: string, count: number) => ({
    role,
    count,
    env: {},
    affinity: 'spread' as const,
  })
  const endpoints = [
    tcp(5432, { targetRole: 'primary' }),
    tcp(5433, { name: 'read', targetRole: 'read' }),
  ]
  const shell = node({
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
  expect(repliesOf(shell.scale('web', 5))).toMatchObject([{ ok: false, code: 'invalid' }]) // W9
})

// Dependencies

test('services W57: `started` is met by any running replica', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  shell.deploy(
    deploymentOf({
      db: serviceOf({ endpoints: [tcp(5432)] }),
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
      db: serviceOf({ endpoints: [tcp(5432)] }),
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
  const shell = node({ db: serviceOf({ endpoints: [tcp(5432)] }) })
  shell.scale('db', 0)
  const services = {
    db: serviceOf({ endpoints: [tcp(5432)], scale: fixed(0) }),
    web: serviceOf({ depends: dependsOn('db') }),
  }
  shell.deploy(deploymentOf(services))
  expect(shell.service('web').state).toBe('waiting')
})

// Crashes

test('services W22 W47: crashes pause longer and longer, and what runs is what is counted', () => {
  const shell = node({ web: serviceOf() })
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
  const settled = settledOf(commands)
  expect(settled[0]).toEqual(['failed', 'web: web-1 exited with code 3; its last line: no config'])
  expect(commands.some((each) => each.type === 'notice' && each.code === 'crash-loop')).toBe(true)
})

test('services W48: a service that exits with 0 is started again', () => {
  const shell = node({ web: serviceOf() })
  shell.crash(1, 'web', 0)
  expect(shell.numbers()).toEqual([1])
})

test('services W48: isolate keeps the slot empty until a restart, shutdown stops the service', () => {
  const isolated = node({
    web: serviceOf({ scale: fixed(2), errors: { onInitFailure: 'fail', onPanic: 'isolate' } }),
  })
  isolated.crash(2)
  isolated.pass(60_000)
  expect(isolated.numbers()).toEqual([1])
  expect(isolated.service().state).toBe('degraded')
  isolated.feed({ type: 'restart', request: 5, service: 'web', replica: 2 })
  expect(isolated.numbers()).toEqual([1, 2])

  const halted = node({
    web: serviceOf({ scale: fixed(2), errors: { onInitFailure: 'fail', onPanic: 'shutdown' } }),
  })
  halted.crash(2)
  expect(halted.numbers()).toEqual([])
  expect(halted.service()).toMatchObject({ state: 'failed' })
})

test('services W12: an exit while it is being stopped is not a crash', () => {
  const shell = node({ web: serviceOf({ scale: fixed(2) }) })
  shell.scale('web', 1)
  shell.pass(60_000)
  expect(shell.service().restarts).toBe(0)
  expect(shell.numbers()).toEqual([1])
})

test('a program that ignores SIGTERM is killed after its grace', () => {
  const shell = node({ web: serviceOf({ stopGraceMs: 2_000 }) })
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
  const shell = node({ web: serviceOf({ scale: fixed(1) }) })
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

// Health

test('services W44: an unhealthy replica takes nothing until it is back, and stays in the set', () => {
  const shell = node({ web: serviceOf({ scale: fixed(2) }) })
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
  expect(settledOf(commands)).toEqual([['failed', 'web: web-2 is unhealthy: no']])
})

// Listeners

test('proxy W2 W34: a port somebody else holds is an error with the name, retried, never ready', () => {
  const shell = new ObedientShell().boot()
  shell.answer = (command) =>
    command.type === 'bind-socket' && command.host === '0.0.0.0'
      ? [
          {
            type: 'socket-failed',
            socket: command.socket,
            attempt: command.attempt,
            reason: 'address already in use',
            holder: 'nginx (pid 71)',
          },
        ]
      : undefined
  const commands = shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(settledOf(commands)).toEqual([
    [
      'failed',
      'web: cannot listen on 0.0.0.0:8080: address already in use, held by nginx (pid 71)',
    ],
  ])
  expect(shell.machine.view(shell.now).listeners[0]?.state).toBe('retrying')
  const told = shell.service()
  // A retry under way is no reason to say nothing.
  let held: NodeCommand | undefined
  shell.answer = (command) => {
    if (command.type !== 'bind-socket') return undefined
    held = command
    return []
  }
  expect(settledOf(shell.pass(1_000))).toEqual([])
  expect(shell.machine.view(shell.now).listeners[0]?.state).toBe('opening')
  expect(shell.service().detail).toBe(told.detail)
  const { socket, attempt } = held as Extract<NodeCommand, { type: 'bind-socket' }>
  const address = '0.0.0.0:8080'
  const opened = shell.feed({ type: 'socket-bound', socket, attempt, address })
  expect(settledOf([...opened, ...shell.pass(1_000)])).toEqual([['ready']])
})

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

// The end

test('what asks for something after a shutdown began is refused, and a second shutdown is answered', () => {
  const shell = node({ web: serviceOf() })
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.feed({ type: 'shutdown', request: 1, mode: 'drain' })
  expect(repliesOf(shell.deploy(deploymentOf({ late: serviceOf() })))).toMatchObject([
    { ok: false, code: 'stopping' },
  ])
  expect(repliesOf(shell.scale('web', 2))).toMatchObject([{ ok: false, code: 'stopping' }])
  shell.answer = () => undefined
  const commands = shell.feed({ type: 'shutdown', request: 3, mode: 'abort' })
  expect(repliesOf(commands)).toHaveLength(2)
  expect(commands.filter((each) => each.type === 'stopped')).toHaveLength(1)
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

// Tokens

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
  const shell = node({ web: serviceOf() })
  shell.answer = (command) => (command.type === 'remove-replica' ? [] : undefined)
  const [replica] = shell.alive
  const exit = { type: 'replica-exited', replica, code: 1, signal: null, logTail: [] } as never
  expect(shell.feed(exit).length).toBeGreaterThan(0)
  expect(shell.feed(exit)).toEqual([])
})

test('a replica that recovered is not held against its service later', () => {
  const shell = node({ web: serviceOf() })
  shell.crash(1)
  expect(shell.service().state).toBe('healthy')
  shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
  shell.scale('web', 2)
  expect(shell.service()).toMatchObject({ state: 'starting', detail: '' })
})

test('with on_panic shutdown, a program that ends with code 0 is still started again', () => {
  const shell = node({ web: serviceOf({ errors: { onInitFailure: 'fail', onPanic: 'shutdown' } }) })
  shell.crash(1, 'web', 0)
  expect(shell.numbers()).toEqual([1])
})

/** Answers of listeners are held back until a test gives them. */
function holding(type: NodeCommand['type']) {
  const shell = node({ web: serviceOf({ scale: fixed(2) }) })
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
  const shell = node({ web: serviceOf() })
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

test('an operator’s restart forgets the crashes before it', () => {
  const shell = node({ web: serviceOf() })
  for (let crash = 0; crash < 4; crash++) {
    shell.crash(1)
    shell.pass(5_000)
  }
  shell.feed({ type: 'restart', request: 60, service: 'web', replica: 1 })
  shell.crash(1)
  expect(shell.numbers()).toEqual([1])
})

test('a port that a replica was given is not given to a service', () => {
  const shell = node({ web: serviceOf() })
  const [port = 0] = [...shell.machine.state.ports.leased.keys()]
  const other = deploymentOf({ web: serviceOf({ endpoints: [tcp(port)] }) }, 'two')
  expect(repliesOf(shell.deploy(other))).toEqual([
    {
      ok: false,
      code: 'conflict',
      text: `port-conflict: port ${port} is used by replica hello/web/1#1, so two/web cannot have it`,
    },
  ])
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
  expect(settledOf(commands)).toEqual([['ready']])
})

test('the view says how long a replica that leaves may still take', () => {
  const shell = node({ web: serviceOf({ stopGraceMs: 2_000 }) })
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
  const shell = node({
    db: serviceOf({ endpoints: [tcp(5432)], errors }),
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
  expect(repliesOf(commands)).toEqual([{ ok: true, text: 'hello is removed' }])
})

// Found by reading: each of these failed once

test('connections of a listener that is gone are cut when its drain is over', () => {
  // a crashed replica left a half-open connection behind: `remove` waited for it for an hour
  const shell = node({ web: serviceOf() })
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
  expect(repliesOf(commands)).toEqual([{ ok: true, text: 'hello is removed' }])
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
  const shell = node({ web: web(1, 2) })
  const commands = shell.deploy(deploymentOf({ web: web(2, 1) }))
  expect(settledOf(commands)).toEqual([])
  shell.pass(30_000)
  const roles = shell.machine.view(shell.now).replicas.map((each) => `${each.number} ${each.role}`)
  expect(roles).toEqual(['1 primary', '2 primary', '3 read'])
  expect(shell.service().state).toBe('healthy')
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
  expect(settledOf(shell.deploy(deploymentOf({ web: serviceOf() })))).toEqual([['ready']])
})

test('services of one deployment may exchange their ports', () => {
  const at = (port: number) => serviceOf({ endpoints: [endpointOf({ port })] })
  const shell = node({ a: at(8080), b: at(8081) })
  const replies = repliesOf(shell.deploy(deploymentOf({ a: at(8081), b: at(8080) })))
  expect(replies).toMatchObject([{ ok: true }])
  const where = shell.machine.view(shell.now).listeners.map((each) => [each.service, each.address])
  expect(where).toEqual([
    ['a', '0.0.0.0:8081'],
    ['a', '[::]:8081'],
    ['b', '0.0.0.0:8080'],
    ['b', '[::]:8080'],
  ])
  shell.feed({ type: 'remove', request: 91, deployment: 'hello' })
  expect(shell.machine.state.ledger.isEmpty).toBe(true)
  expect(shell.bound.size).toBe(0)
})

test('a port a program listens on itself is not given away while it runs', () => {
  const shell = node({ db: serviceOf({ endpoints: [tcp(5432, { targetPort: 9090 })] }) }, 'one')
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.feed({ type: 'remove', request: 92, deployment: 'one' })
  const other = deploymentOf({ web: serviceOf({ endpoints: [tcp(9090)] }) }, 'two')
  expect(repliesOf(shell.deploy(other))).toEqual([
    {
      ok: false,
      code: 'conflict',
      text: 'port-conflict: tcp port 9090 belongs to one/db, so two/web cannot have it; one/db is being removed: try again when it is gone',
    },
  ])
})

test('services W75: a service that becomes a job lets go of its ports and its replicas', () => {
  const shell = node({ web: serviceOf() }, 'one')
  shell.deploy(deploymentOf({ web: serviceOf({ rtype: 'job' }) }, 'one'))
  expect(shell.numbers()).toEqual([])
  expect(repliesOf(shell.deploy(deploymentOf({ web: serviceOf() }, 'two')))).toMatchObject([
    { ok: true },
  ])
})

test('a service that gave up says so to who scales it, and a restart starts it again', () => {
  const shell = node({ web: serviceOf({ errors: { onInitFailure: 'fail', onPanic: 'shutdown' } }) })
  shell.crash(1)
  expect(repliesOf(shell.scale('web', 3))).toMatchObject([{ ok: false, code: 'invalid' }])
  shell.feed({ type: 'restart', request: 93, service: 'web', replica: 1 })
  expect(shell.numbers()).toEqual([1])
})

test('an isolated replica is named with what to do, and a mended policy takes it back', () => {
  const isolate = { onInitFailure: 'fail', onPanic: 'isolate' } as const
  const shell = node({ web: serviceOf({ errors: isolate }) })
  shell.crash(1)
  expect(shell.service().detail).toBe('web-1 exited with code 1; it stays out until `weir restart`')
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(shell.numbers()).toEqual([1])
})

test('a service put back while it waits for its turn to leave keeps its replicas', () => {
  const services = { db: serviceOf({ endpoints: [tcp(5432)] }) }
  const web = serviceOf({ depends: dependsOn('db') })
  const shell = node({ ...services, web })
  const before = [...shell.alive]
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  shell.deploy(deploymentOf({}))
  shell.answer = () => undefined
  shell.deploy(deploymentOf({ ...services }))
  shell.pass(60_000)
  expect(before.filter((id) => shell.alive.has(id)).map((id) => id.split('/')[1])).toEqual(['db'])
})

test('an old word that a backend had drained does not end its present drain', () => {
  const shell = node({ web: serviceOf() })
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

test('a dependency dropped with the need for it stays while old replicas use it', () => {
  const db = serviceOf({ endpoints: [tcp(5432)] })
  const shell = node({ db, web: serviceOf({ depends: dependsOn('db'), env: { DB: '1' } }) })
  shell.answer = (command) =>
    command.type === 'probe' && command.replica.includes('/web/') ? [] : undefined
  shell.deploy(deploymentOf({ web: serviceOf() }))
  expect(shell.numbers('db')).toEqual([1])
  shell.answer = () => undefined
  shell.pass(60_000)
  expect(shell.numbers('db')).toEqual([])
  expect(shell.numbers('web')).toEqual([1])
})

test('a deployment without services is ready', () => {
  expect(settledOf(new ObedientShell().boot().deploy(deploymentOf({})))).toEqual([['ready']])
})

test('an abort after a drain does not blame the programs, and a kill is said once', () => {
  const shell = node({ web: serviceOf({ stopGraceMs: 1_000 }) })
  shell.answer = (command) => (command.type === 'signal-replica' ? [] : undefined)
  const killed = (commands: readonly NodeCommand[]) =>
    commands.filter((each) => each.type === 'notice' && each.code === 'killed').length
  shell.feed({ type: 'shutdown', mode: 'drain' })
  expect(killed(shell.feed({ type: 'shutdown', mode: 'abort' }))).toBe(0)

  const other = node({ web: serviceOf({ stopGraceMs: 1_000 }) })
  other.answer = shell.answer
  expect(killed([...other.scale('web', 0), ...other.pass(600_000)])).toBe(1)
})

test('a manual service with a port of its own has one replica, whatever it had before', () => {
  const manual = { scale: { mode: 'manual' } } as const
  const shell = node({ web: serviceOf({ ...manual }) })
  shell.scale('web', 3)
  shell.deploy(
    deploymentOf({ web: serviceOf({ ...manual, endpoints: [endpointOf({ targetPort: 9090 })] }) }),
  )
  shell.pass(60_000)
  expect(shell.numbers()).toEqual([1])
})

test('thousands of replicas are started and stopped some at a time', () => {
  const shell = new ObedientShell().boot()
  const most = (type: NodeCommand['type'], commands: readonly NodeCommand[]) =>
    commands.filter((each) => each.type === type).length
  const web = serviceOf({ endpoints: [], scale: fixed(1_500) })
  expect(most('create-replica', shell.deploy(deploymentOf({ web })))).toBe(1_024)
  shell.pass(1)
  expect(shell.alive.size).toBe(1_500)
  expect(most('signal-replica', shell.scale('web', 0))).toBe(1_024)
  shell.pass(1)
  expect(shell.alive.size).toBe(0)
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
  expect(settledOf(commands).at(-1)).toEqual([
    'failed',
    'aa: aa-1 gave no answer while creating',
    'bb: aa was not healthy within 5 s',
    'cc: waits for bb, which is failed',
  ])
  expect(repliesOf(shell.feed({ type: 'restart', request: 95, service: 'cc' }))).toEqual([
    { ok: true, text: 'hello/cc waits for its dependencies; nothing of it runs yet' },
  ])
})

test('a replica that waits to be started again stays in sight, with when and why', () => {
  const shell = node({ web: serviceOf() })
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

test('a dependency counts as healthy once its endpoints can be reached', () => {
  const shell = new ObedientShell().boot()
  const held: NodeCommand[] = []
  shell.answer = (command) => {
    if (command.type !== 'bind-socket' || command.port !== 5432) return undefined
    held.push(command)
    return []
  }
  const services = {
    db: serviceOf({ endpoints: [tcp(5432)] }),
    web: serviceOf({ depends: dependsOn('db') }),
  }
  shell.deploy(deploymentOf(services))
  expect(shell.numbers('web')).toEqual([])
  shell.answer = () => undefined
  shell.feed(...held.flatMap((command) => shell.obey(command)))
  expect(shell.numbers('web')).toEqual([1])
})

test('leftovers are gone when this life’s question says so', () => {
  const shell = new ObedientShell()
  shell.answer = (command) => (command.type === 'reap-leftovers' ? [] : undefined)
  shell.boot()
  shell.deploy(deploymentOf({ web: serviceOf() }))
  shell.feed({ type: 'leftovers-reaped', attempt: 7, reaped: [], surviving: [] })
  expect(shell.alive.size).toBe(0)
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

test('ready is never said while a replica of an older version takes traffic', () => {
  // two deploys in a row: the stand-in of the first was still serving when ready was said
  const web = (version: string) => serviceOf({ scale: fixed(2), env: { VERSION: version } })
  for (let gapMs = 0; gapMs <= 9_000; gapMs += 250) {
    const shell = node({ web: web('1') })
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
