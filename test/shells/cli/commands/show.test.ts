import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NodeView } from '../../../../core/node/view.ts'
import { headLines } from '../../../../shells/cli/commands/show.ts'
import { type FakeNode, fakeNode } from '../fake-node.ts'
import { environment, MAIN, outcomeOf, weir } from '../run-weir.ts'
import { listenerRow, routeView, SAMPLE_VIEW } from '../sample-view.ts'

const NODE = {
  name: 'weir',
  version: '1.2.3',
  pid: 71,
  node: '00112233aabbccdd',
  state: '/srv/shop/.weir',
  since: '2026-01-01T00:00:00.000Z',
} as const

const ROWS = [
  listenerRow('web', { requests: 7 }),
  listenerRow('web', {
    address: '[::1]:8080',
    state: 'retrying',
    requests: 7,
    detail: 'taken by nginx (pid 71)',
  }),
]

const ROUTES = [routeView('web'), routeView('web', { address: '[::1]:8080' })]

describe('the head of the status', () => {
  const now = Date.parse('2026-01-01T00:03:12.000Z')

  test('the node, then its deployments', () => {
    expect(headLines(NODE, SAMPLE_VIEW, { colour: false }, now)).toEqual([
      'node 00112233aabbccdd running for 3m12s, weir 1.2.3, pid 71, state /srv/shop/.weir',
      '',
      'DEPLOYMENT  STATE',
      'hello       ready',
      '',
    ])
  })

  test('while it stops, the time is not that of the stop', () => {
    const [line] = headLines(NODE, { ...SAMPLE_VIEW, phase: 'draining' }, { colour: false }, now)
    expect(line).toMatch(/^node 00112233aabbccdd draining, up for 3m12s, /)
  })

  test('while it stops, says when what is left is cut', () => {
    const view = { ...SAMPLE_VIEW, phase: 'draining' as const, drain: { remainsMs: 27_900 } }
    const [line] = headLines(NODE, view, { colour: false }, now)
    expect(line).toMatch(
      /^node 00112233aabbccdd draining \(the rest is cut in 27s\), up for 3m12s, /,
    )
  })

  test('names the sockets of the node itself, and what is wrong with them', () => {
    const own = { purpose: 'metrics', address: '127.0.0.1:9464', state: 'listening', detail: '' }
    const broken = { ...own, state: 'retrying', detail: 'address in use by nginx (pid 71)' }
    const last = (node: object) =>
      headLines(NODE, { ...SAMPLE_VIEW, node: [node] } as NodeView, { colour: false }, now)[0]
    expect(last(own)).toMatch(/, metrics on 127\.0\.0\.1:9464$/)
    expect(last(broken)).toMatch(
      /, metrics retrying on 127\.0\.0\.1:9464: address in use by nginx \(pid 71\)$/,
    )
  })

  test('fits the terminal', () => {
    const look = { colour: false, width: 20 }
    expect(headLines(NODE, { ...SAMPLE_VIEW, deployments: [] }, look, now)).toEqual([
      'node 00112233aabbcc…',
      '',
    ])
  })
})

describe('a running node', () => {
  let directory: string
  let node: FakeNode
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'weir-show-'))
    node = await fakeNode(join(directory, '.weir'), {
      'GET /v1/status': { json: SAMPLE_VIEW },
      'GET /v1/listeners': { json: ROWS },
      'GET /v1/routes': { json: ROUTES },
    })
  })
  afterEach(async () => {
    await node.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('ps is a table, found from the current directory', async () => {
    expect(await weir(['ps'], { cwd: directory })).toEqual({
      code: 0,
      err: '',
      out: [
        'REPLICA  STATE     HEALTH   PID  ADDRESS          RESTARTS    AGE',
        'db-1     checking  unknown  101  127.0.0.1:20001         0  1m05s',
        'web-1    ready     healthy  101  127.0.0.1:20001         0  1m05s',
        'web-2    ready     healthy  102  127.0.0.1:20002         3  1h02m',
        '',
      ].join('\n'),
    })
  })

  test('status begins with the node', async () => {
    const { code, out } = await weir(['status', '--state', join(directory, '.weir')])
    expect(code).toBe(0)
    expect(out).toMatch(/^node 00112233aabbccdd running for \w+, weir 9\.9\.9, pid 4242, state/)
    expect(out.split('\n').slice(1, 8)).toEqual([
      '',
      'DEPLOYMENT  STATE',
      'hello       ready',
      '',
      'SERVICE  READY  STATE     RESTARTS  ENDPOINTS              DETAIL',
      'db         1/1  starting         0                         waiting for its first check',
      'web        2/2  healthy          3  http://127.0.0.1:8080',
    ])
  })

  test('listeners is a line for each socket', async () => {
    expect(await weir(['listeners'], { cwd: directory })).toEqual({
      code: 0,
      err: '',
      out: [
        'SERVICE  ENDPOINT  PROTOCOL  PURPOSE   ADDRESS         STATE     BACKENDS  LIVE  DETAIL',
        'web      http      http      internal  127.0.0.1:8080  serving          2     7',
        'web      http      http      internal  [::1]:8080      retrying         2        taken by nginx (pid 71)',
        '',
      ].join('\n'),
    })
  })

  test('routes is a line for each host and path of a port; --json is what the node says', async () => {
    expect(await weir(['routes'], { cwd: directory })).toEqual({
      code: 0,
      err: '',
      out: [
        'ADDRESS                    SCHEME  HOST   PATH  SERVICE  ENDPOINT  BACKENDS  STATE',
        '127.0.0.1:8080 [::1]:8080  http    (any)  /     web      http             2  serving',
        '',
      ].join('\n'),
    })
    const { code, out } = await weir(['routes', '--json'], { cwd: directory })
    expect([code, JSON.parse(out)]).toEqual([0, ROUTES])
  })

  test('a node without routes says so', async () => {
    await node.close()
    node = await fakeNode(join(directory, '.weir'), { 'GET /v1/routes': { json: [] } })
    expect((await weir(['routes'], { cwd: directory })).out).toBe('no routes\n')
  })

  test('a node that listens nowhere says so', async () => {
    await node.close()
    node = await fakeNode(join(directory, '.weir'), { 'GET /v1/listeners': { json: [] } })
    expect((await weir(['listeners'], { cwd: directory })).out).toBe('no listeners\n')
  })

  test('--json prints what the node answers', async () => {
    const json = async (words: string[]) => JSON.parse((await weir(words, { cwd: directory })).out)
    expect(await json(['status', '--json'])).toEqual(SAMPLE_VIEW)
    expect(await json(['ps', '--json'])).toEqual(SAMPLE_VIEW.replicas)
    expect(await json(['listeners', '--json'])).toEqual(ROWS)
  })

  test('colour comes when it is asked for, and WEIR_STATE names the state', async () => {
    const env = { FORCE_COLOR: '1', WEIR_STATE: join(directory, '.weir') }
    const { out } = await weir(['listeners'], { env })
    expect(out).toContain('\x1b[32mserving\x1b[39m')
  })

  test('a reader that has seen enough is no error', async () => {
    const replicas = Array.from({ length: 20_000 }, () => SAMPLE_VIEW.replicas[0])
    await node.close()
    node = await fakeNode(join(directory, '.weir'), {
      'GET /v1/status': { json: { ...SAMPLE_VIEW, replicas } },
    })
    const script = `"$0" "$1" ps --state "$2" | head -1; echo "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', script, process.execPath, MAIN, join(directory, '.weir')], {
      env: environment(),
    })
    const { out, err } = await outcomeOf(child)
    expect([out.split('\n')[1], err]).toEqual(['0', ''])
  })

  test('all of a long answer gets through a pipe', async () => {
    const replicas = Array.from({ length: 5_000 }, () => SAMPLE_VIEW.replicas[0])
    await node.close()
    node = await fakeNode(join(directory, '.weir'), {
      'GET /v1/status': { json: { ...SAMPLE_VIEW, replicas } },
    })
    const { out } = await weir(['ps', '--json'], { cwd: directory })
    expect(JSON.parse(out)).toHaveLength(5_000)
  })
})

test('no node: one line says where it was looked for, and what to do', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-show-'))
  const state = join(directory, 'none')
  const { code, out, err } = await weir(['ps', '--state', state])
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(
    /^weir: no node runs on the state directory .*none: start one with `weir up`.*\n$/,
  )
  rmSync(directory, { recursive: true, force: true })
})
