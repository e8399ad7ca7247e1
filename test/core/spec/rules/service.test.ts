import { describe, expect, test } from 'vitest'
import { endpointWith, fileOf, problemsOf, type Tree, webOf, webWith } from '../files.ts'

const fixed = (replicas: number): Tree => ({ mode: 'fixed', replicas })
const group = (role: string, count: number, more: Tree = {}): Tree => ({ role, count, ...more })
const endpoint = (name: string, more: Tree = {}): Tree => ({
  name,
  protocol: 'tcp',
  port: 1000 + name.length,
  ...more,
})

interface Row {
  readonly name: string
  readonly tree: Tree
  readonly problems: readonly string[]
}

function rows(of: readonly Row[]): void {
  for (const { name, tree, problems } of of) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
}

describe('services W9: groups, scale and roles agree', () => {
  rows([
    {
      name: 'a fixed scale that is the sum',
      tree: webWith({ scale: fixed(3), replica_groups: [group('a', 1), group('b', 2)] }),
      problems: [],
    },
    {
      name: 'a fixed scale that is not',
      tree: webWith({ scale: fixed(5), replica_groups: [group('a', 1), group('b', 2)] }),
      problems: [
        '=/services/web/scale/replicas: replica_groups add up to 3, and scale says 5; leave scale out, or write { mode: fixed, replicas: 3 }',
      ],
    },
    {
      name: 'another scale',
      tree: webWith({
        scale: { mode: 'adaptive', min: 1, max: 3 },
        replica_groups: [group('a', 3)],
      }),
      problems: [
        '=/services/web/scale/mode: replica_groups fix the number of replicas at 3; leave scale out, or write { mode: fixed, replicas: 3 }',
      ],
    },
    {
      name: 'a role given twice',
      tree: webWith({ replica_groups: [group('a', 1), group('b', 1), group('a', 1)] }),
      problems: [
        '=/services/web/replica_groups/2/role: role a is given twice; each is for a replica group of its own',
      ],
    },
    {
      name: 'a target role that no group has',
      tree: webWith({
        replica_groups: [group('primary', 1), group('read', 2)],
        endpoints: [endpoint('a', { target_role: 'raed' }), endpoint('bb', { target_role: 'x' })],
      }),
      problems: [
        '=/services/web/endpoints/0/target_role: no replica group has the role raed; did you mean read?',
        '=/services/web/endpoints/1/target_role: no replica group has the role x; the roles are primary, read',
      ],
    },
    {
      name: 'a target role without any group',
      tree: endpointWith({ target_role: 'read' }),
      problems: [
        '=/services/web/endpoints/0/target_role: no replica group has the role read; the service has no replica_groups',
      ],
    },
    {
      name: 'a group that is wrong is not called missing',
      tree: webWith({
        replica_groups: [group('read', 0)],
        endpoints: [endpoint('a', { target_role: 'read' })],
      }),
      problems: [
        '=/services/web/replica_groups/0/count: count must be a whole number from 1 to 10000, not 0',
      ],
    },
  ])
})

describe('names are given once', () => {
  rows([
    {
      name: 'endpoints',
      tree: webWith({ endpoints: [endpoint('a'), endpoint('a', { port: 5 })] }),
      problems: [
        '=/services/web/endpoints/1/name: name a is given twice; each is for an endpoint of its own',
      ],
    },
    {
      name: 'targets of storage',
      tree: webWith({
        storage: [
          { type: 'anonymous', target: '/a' },
          { type: 'tmpfs', target: '/a' },
        ],
      }),
      problems: [
        '=/services/web/storage/1/target: target /a is given twice; each is for a storage entry of its own',
      ],
    },
    {
      name: 'endpoints that a process would be told in one variable',
      tree: webWith({ endpoints: [endpoint('a-b'), endpoint('A.b', { port: 5 })] }),
      problems: [
        '=/services/web/endpoints/1/name: endpoints a-b and A.b would both be told their port in PORT_A_B; rename one',
      ],
    },
    {
      name: 'such endpoints of a container',
      tree: webWith({
        image: { name: 'x' },
        endpoints: [endpoint('a-b'), endpoint('A.b', { port: 5 })],
      }),
      problems: [],
    },
  ])
})

describe('schedules are for crons', () => {
  rows([
    {
      name: 'a cron without one',
      tree: webWith({ rtype: 'cron' }),
      problems: ['/services/web: missing key schedule: a cron needs one, such as "0 30 2 * * *"'],
    },
    {
      name: 'a service and a job with one',
      tree: fileOf({
        a: { command: 'a', schedule: '@daily' },
        b: { command: 'b', rtype: 'job', schedule: '@daily' },
      }),
      problems: [
        '/services/a/schedule: schedule is for rtype: cron, and this is a service',
        '/services/b/schedule: schedule is for rtype: cron, and this is a job',
      ],
    },
    {
      name: 'a cron with a bad one has one problem',
      tree: webWith({ rtype: 'cron', schedule: '60 * * * * *' }),
      problems: [
        '=/services/web/schedule: schedule has "60", which is not 0-59, in the second field',
      ],
    },
  ])
})

describe('what goes to zero can be woken', () => {
  const zero = { mode: 'adaptive', min: 0, max: 2 }
  const asks = (has: string): string =>
    `=/services/web/scale/min: min (0) needs somebody who wakes it, and it has ${has}; write min: 1, or add an http, https, websocket or tcp endpoint`
  rows([
    ...['http', 'https', 'websocket', 'tcp'].map((protocol) => ({
      name: `by ${protocol}`,
      tree: webWith({ scale: zero, endpoints: [endpoint('a', { protocol })] }),
      problems: [],
    })),
    {
      name: 'by a port mapping',
      tree: webWith({ scale: zero, port_mappings: [{ container_port: 80 }] }),
      problems: [],
    },
    {
      name: 'by nobody, without an endpoint',
      tree: webWith({ scale: zero }),
      problems: [asks('no endpoint')],
    },
    {
      name: 'by no datagram',
      tree: webWith({ scale: zero, endpoints: [endpoint('a', { protocol: 'udp' })] }),
      problems: [asks('udp endpoints only')],
    },
    {
      name: 'which nobody asks of a job, nor of what is fixed at zero',
      tree: fileOf({
        a: { rtype: 'job', command: 'a', scale: zero },
        b: { command: 'b', scale: { mode: 'fixed', replicas: 0 } },
      }),
      problems: [],
    },
    {
      name: 'as far as can be told while its endpoints are not understood',
      tree: webWith({ scale: zero, endpoints: [{ name: 'a', protocol: 'htp', port: 80 }] }),
      problems: [
        '=/services/web/endpoints/0/protocol: protocol must be http, https, tcp, udp or websocket, not "htp"; did you mean http?',
      ],
    },
    {
      name: 'and by others waiting for it nothing is held up: a dependency is fine',
      tree: fileOf({
        a: { command: 'a', scale: zero, endpoints: [endpoint('a')] },
        b: { command: 'b', depends: [{ service: 'a' }] },
      }),
      problems: [],
    },
  ])

  rows([
    {
      name: 'idle_after is for min: 0',
      tree: webWith({ scale: { ...zero, min: 1, idle_after: '1m' }, endpoints: [endpoint('a')] }),
      problems: [
        '/services/web/scale/idle_after: idle_after is for min: 0, and min is 1: it never goes to zero; remove one of the two',
      ],
    },
    {
      name: 'and no shorter than starting takes',
      tree: webWith({ scale: { ...zero, idle_after: '10ms' }, endpoints: [endpoint('a')] }),
      problems: ['=/services/web/scale/idle_after: idle_after must be at least 1s, not "10ms"'],
    },
    {
      name: 'max: 0 leaves nothing to wake',
      tree: webWith({ scale: { ...zero, max: 0 }, endpoints: [endpoint('a')] }),
      problems: [
        '=/services/web/scale/max: max (0) leaves nothing that could be woken; write max: 1 or more, or mode: fixed and replicas: 0',
      ],
    },
  ])

  test('idle time is 5 minutes when not said, and none for what never sleeps', () => {
    const idleOf = (scale: Tree) => webOf({ scale, endpoints: [endpoint('a')] }).scale
    expect(idleOf(zero)).toMatchObject({ idleAfterMs: 300_000 })
    expect(idleOf({ ...zero, idle_after: '1s' })).toMatchObject({ idleAfterMs: 1_000 })
    expect(idleOf({ ...zero, min: 1 })).toMatchObject({ idleAfterMs: 0 })
  })
})

describe('a runtime has what it needs', () => {
  const missing = 'say what to run, such as command: [node, server.mjs], or give an image'
  rows([
    {
      name: 'an image needs no command',
      tree: fileOf({ a: { image: { name: 'x' } } }),
      problems: [],
    },
    {
      name: 'a container needs an image',
      tree: webWith({ runtime: 'docker' }),
      problems: [
        '=/services/web/runtime: runtime docker needs an image; add image: { name: ... }, or write runtime: process',
      ],
    },
    {
      name: 'a process needs a command, with an image too',
      tree: fileOf({ a: { runtime: 'process', image: { name: 'x' } } }),
      problems: [
        `/services/a: missing key command: without an image this is a process; ${missing}`,
      ],
    },
    {
      name: 'a command of each group will do',
      tree: fileOf({ a: { replica_groups: [group('x', 1, { command: 'x' })] } }),
      problems: [],
    },
    {
      name: 'a group without one is named',
      tree: fileOf({ a: { replica_groups: [group('x', 1, { command: 'x' }), group('y', 1)] } }),
      problems: [
        `/services/a/replica_groups/1: role y has no command, and neither has the service; ${missing}`,
      ],
    },
    {
      name: 'a command that is there and empty is told at its key',
      tree: fileOf({
        a: { command: [] },
        b: { command: { workdir: '/b', args: [] } },
        c: { command: [], replica_groups: [group('x', 1), group('y', 1)] },
        d: { command: 'd', replica_groups: [group('x', 1, { command: [] })] },
        e: { command: [], image: { name: 'x' } },
      }),
      problems: [
        `/services/a/command: command is empty, it names no program; ${missing}`,
        `/services/b/command: command is empty, it names no program; ${missing}`,
        `/services/c/command: command is empty, it names no program, and role x has no other; ${missing}`,
        `/services/d/replica_groups/0/command: command is empty, it names no program; ${missing}`,
      ],
    },
    {
      name: 'an image that is wrong is not missed',
      tree: fileOf({ a: { image: 5 } }),
      problems: ['=/services/a/image: image must be a map with a name, not 5'],
    },
    {
      name: 'a command that is wrong is not missed',
      tree: fileOf({ a: { command: 5 } }),
      problems: [
        '=/services/a/command: command must be a list of words, one text, or a map with entrypoint and args, not 5',
      ],
    },
  ])
})

describe('a program that chooses its port runs once', () => {
  const own = { endpoints: [endpoint('a', { target_port: 9000 })] }
  const many = (count: number): string =>
    `=/services/web/endpoints/0/target_port: ${count} replicas of a process cannot all listen on port 9000; remove target_port and let the program listen on $PORT`
  rows([
    { name: 'when nothing is said of scale', tree: webWith(own), problems: [] },
    { name: 'one replica', tree: webWith({ ...own, scale: fixed(1) }), problems: [] },
    { name: 'by hand', tree: webWith({ ...own, scale: { mode: 'manual' } }), problems: [] },
    { name: 'two replicas', tree: webWith({ ...own, scale: fixed(2) }), problems: [many(2)] },
    {
      name: 'as many as targets ask for',
      tree: webWith({ ...own, scale: { mode: 'adaptive', min: 1, max: 4, targets: { cpu: 50 } } }),
      problems: [many(4)],
    },
    {
      name: 'groups of one, each at a port of its own',
      tree: webWith({
        replica_groups: [group('x', 1), group('y', 1)],
        endpoints: [
          endpoint('a', { target_port: 9000, target_role: 'x' }),
          endpoint('bb', { target_port: 9001, target_role: 'y' }),
        ],
      }),
      problems: [],
    },
    {
      name: 'in containers any number',
      tree: webWith({ ...own, scale: fixed(3), image: { name: 'x' } }),
      problems: [],
    },
    {
      name: 'no second one while updating',
      tree: webWith({ ...own, update: { max_surge: 1 } }),
      problems: [
        '=/services/web/update/max_surge: target_port lets one replica run at a time, so an update cannot add one; write max_surge: 0 or remove the target_port',
      ],
    },
    {
      name: 'and an update must be possible',
      tree: webWith({ ...own, update: { max_unavailable: 0 } }),
      problems: [
        '/services/web/update: max_surge and max_unavailable are both 0, so no replica could ever be replaced; raise one of them',
      ],
    },
  ])
})

describe('an endpoint may lead to the port of another one', () => {
  const AT = '=/services/web/endpoints'
  const to = (target: unknown, more: Tree = {}, name = 'abc'): Tree =>
    endpoint(name, { target, ...more })
  const none = 'target nosuch is no endpoint of the service'
  const broken = { name: 'broken', protocol: 'tcp', port: 'x' }
  const BROKEN = `${AT}/2/port: port must be a number from 1 to 65535, not "x"`
  const ROWS: readonly [string, readonly unknown[], readonly string[]][] = [
    ['of one', [to('a'), endpoint('a')], []],
    ['of none', [to('nosuch'), endpoint('a')], [`${AT}/0/target: ${none}`]],
    [
      'of one that is misspelt',
      [to('pulbic'), endpoint('public')],
      [`${AT}/0/target: target pulbic is no endpoint of the service; did you mean public?`],
    ],
    [
      'of none, beside another mistake',
      [to('nosuch'), endpoint('a'), broken],
      [`${AT}/0/target: ${none}`, BROKEN],
    ],
    ['of one that is not understood', [to('broken'), endpoint('a'), broken], [BROKEN]],
    [
      'beside one whose name nobody knows',
      [to('nosuch'), { protocol: 'tcp', port: 1 }],
      ['/services/web/endpoints/1: missing key name in an endpoint'],
    ],
    ['of itself', [to('abc')], [`${AT}/0/target: target must be another endpoint; remove it`]],
    [
      'with a port of its own',
      [to('a', { target_port: 9000 }), endpoint('a')],
      [`${AT}/0/target: target and target_port say two things; remove one of them`],
    ],
    [
      'of one that leads on',
      [to('bb'), to('a', {}, 'bb'), endpoint('a')],
      [`${AT}/0/target: target bb leads to a itself; write target: a`],
    ],
    [
      'of another kind',
      [to('a'), endpoint('a', { protocol: 'udp' })],
      [`${AT}/0/target: target a is udp, and this is tcp`],
    ],
  ]
  for (const [name, endpoints, problems] of ROWS) {
    test(name, () => expect(problemsOf(webWith({ endpoints }))).toEqual(problems))
  }
})
