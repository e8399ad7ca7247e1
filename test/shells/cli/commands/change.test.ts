import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { callWeir } from '../call-weir.ts'
import { type FakeAnswer, type FakeNode, fakeNode, lines } from '../fake-node.ts'
import type { Ran } from '../run-weir.ts'
import { replica, SAMPLE_VIEW } from '../sample-view.ts'

let directory: string
let node: FakeNode | undefined
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'weir-change-')))
})
afterEach(async () => {
  await node?.close()
  rmSync(directory, { recursive: true, force: true })
})

async function against(answers: Record<string, FakeAnswer>, words: string[]): Promise<Ran> {
  node = await fakeNode(join(directory, '.weir'), answers)
  return callWeir([...words, '--state', join(directory, '.weir')])
}

describe('requests', () => {
  const rows: readonly {
    words: string[]
    answers: Record<string, FakeAnswer>
    asked: { method: string; path: string; body: unknown }
    ran: Ran
  }[] = [
    {
      words: ['scale', 'web', '5'],
      answers: { 'POST /v1/scale': { json: { text: 'hello/web: 5 replicas' } } },
      asked: { method: 'POST', path: '/v1/scale', body: { service: 'web', replicas: 5 } },
      ran: { code: 0, out: 'hello/web: 5 replicas\n', err: '' },
    },
    {
      words: ['restart', 'web', '--replica', '2', '--json'],
      answers: { 'POST /v1/restart': { json: { text: 'restarting' } } },
      asked: { method: 'POST', path: '/v1/restart', body: { service: 'web', replica: 2 } },
      ran: { code: 0, out: '{"text":"restarting"}\n', err: '' },
    },
    {
      words: ['remove', 'hello'],
      answers: { 'DELETE /v1/deployments/hello': { json: { text: 'hello is removed' } } },
      asked: { method: 'DELETE', path: '/v1/deployments/hello', body: undefined },
      ran: { code: 0, out: 'hello is removed\n', err: '' },
    },
    {
      words: ['scale', 'wbe', '5'],
      answers: {
        'POST /v1/scale': { status: 404, json: { error: 'no service wbe', code: 'not-found' } },
      },
      asked: { method: 'POST', path: '/v1/scale', body: { service: 'wbe', replicas: 5 } },
      ran: { code: 1, out: '', err: 'weir: no service wbe\n' },
    },
  ]
  for (const { words, answers, asked, ran } of rows) {
    test(`weir ${words.join(' ')}`, async () => {
      expect(await against(answers, words)).toEqual(ran)
      expect(node?.requests).toEqual([{ ...asked, query: {} }])
    })
  }
})

describe('deploy', () => {
  const accepted = {
    name: 'hello',
    text: 'hello: deploying 2 services',
    warnings: ['w.yaml:3:1: x'],
  }
  const file = () => join(directory, 'w.yaml')
  beforeEach(() => writeFileSync(file(), 'version: v1\n'))

  test('sends the file and waits until it is ready', async () => {
    const answers = {
      'POST /v1/deploy': { json: accepted },
      'GET /v1/deployments/hello/settled': { json: { outcome: 'ready', problems: [] } },
    }
    expect(await against(answers, ['deploy', file()])).toEqual({
      code: 0,
      out: 'hello: deploying 2 services\nready\n',
      err: 'warning: w.yaml:3:1: x\n',
    })
    const body = { text: 'version: v1\n', file: file(), directory }
    expect(node?.requests[0]).toMatchObject({ method: 'POST', path: '/v1/deploy', body })
  })

  test('says why it failed', async () => {
    const answers = {
      'POST /v1/deploy': { json: { ...accepted, warnings: [] } },
      'GET /v1/deployments/hello/settled': {
        json: { outcome: 'failed', problems: ['web exits at once', 'db waits for web'] },
      },
    }
    expect(await against(answers, ['deploy', file()])).toEqual({
      code: 1,
      out: 'hello: deploying 2 services\n',
      err: 'failed: web exits at once\nfailed: db waits for web\n',
    })
  })

  test('--no-wait does not ask, --json prints one object', async () => {
    const answers = { 'POST /v1/deploy': { json: accepted } }
    const { code, out, err } = await against(answers, ['deploy', file(), '--no-wait', '--json'])
    expect([code, JSON.parse(out), err]).toEqual([0, accepted, ''])
    expect(node?.requests).toHaveLength(1)
  })

  test('prints the problems of the file as they are', async () => {
    const problems = ['w.yaml:1:1: no services', 'w.yaml:2:3: unknown key']
    const refusal = { status: 422, json: { error: 'refused', code: 'invalid', problems } }
    expect(await against({ 'POST /v1/deploy': refusal }, ['deploy', file()])).toEqual({
      code: 1,
      out: '',
      err: 'w.yaml:1:1: no services\nw.yaml:2:3: unknown key\n',
    })
  })
})

describe('a wait of more than five seconds', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
  afterEach(() => void vi.useRealTimers())
  const view = {
    ...SAMPLE_VIEW,
    replicas: [
      replica('web', 1, { state: 'draining', limitMs: 17_900 }),
      replica('web', 1),
      replica('pay', 1, { deployment: 'shop', state: 'starting' }),
    ],
    services: [],
  }
  const WAITING = 'waiting for hello: web-1 (draining, at most 17s)\n'

  const rest = () => new Promise((resolve) => setTimeout(resolve, 100))

  const rows: readonly [words: string[], request: string, answer: object, out: string][] = [
    [
      ['deploy', 'FILE'],
      'GET /v1/deployments/hello/settled',
      { outcome: 'ready', problems: [] },
      'hello: deploying\nready\n',
    ],
    [
      ['remove', 'hello'],
      'DELETE /v1/deployments/hello',
      { text: 'hello is removed' },
      'hello is removed\n',
    ],
  ]
  for (const [words, request, answer, out] of rows) {
    /** Is over when the status was asked for as often as that. */
    const ran = (looks: number, ...more: string[]) => {
      const waiting = Promise.withResolvers<ServerResponse>()
      const finish = async () => {
        const response = await waiting.promise
        response.writeHead(200, { 'Content-Type': 'application/json' })
        response.end(JSON.stringify(answer))
      }
      let seen = 0
      const status: FakeAnswer = (response) => {
        response.writeHead(200, { 'Content-Type': 'application/json' })
        response.end(JSON.stringify(view))
        seen += 1
        if (seen >= looks) void rest().then(finish)
      }
      const file = join(directory, 'w.yaml')
      writeFileSync(file, 'version: v1\n')
      const ended = against(
        {
          'POST /v1/deploy': { json: { name: 'hello', text: 'hello: deploying', warnings: [] } },
          [request]: (response) => waiting.resolve(response),
          'GET /v1/status': status,
        },
        [...words.map((word) => (word === 'FILE' ? file : word)), ...more],
      )
      return { ended, waits: waiting.promise, finish }
    }

    test(`${words[0]} tells every five seconds what it waits for, of its deployment`, async () => {
      const { ended, waits } = ran(2)
      await waits
      vi.advanceTimersByTime(5_000)
      // one look is over before the next begins
      while (node?.requests.at(-1)?.path !== '/v1/status') await rest()
      await rest()
      vi.advanceTimersByTime(5_000)
      expect(await ended).toEqual({ code: 0, out, err: WAITING.repeat(2) })
      expect(vi.getTimerCount()).toBe(0)
    })

    test(`${words[0]} says nothing before`, async () => {
      const { ended, waits, finish } = ran(1)
      await waits
      vi.advanceTimersByTime(4_999)
      await finish()
      expect(await ended).toEqual({ code: 0, out, err: '' })
    })

    test(`${words[0]} --json says nothing at all`, async () => {
      const { ended, waits, finish } = ran(1, '--json')
      await waits
      vi.advanceTimersByTime(60_000)
      await finish()
      expect(await ended).toMatchObject({ code: 0, err: '' })
      expect(node?.requests.map(({ path }) => path)).not.toContain('/v1/status')
    })
  }
})

describe('a deploy that is refused', () => {
  const CONFLICTS = ['tcp port 6379 belongs to one/cache', 'udp port 53 belongs to one/dns'].map(
    (what) => `port-conflict: ${what}, so two/all cannot have it; choose another port`,
  )
  const rows: readonly [string, { status: number; json: object }, string][] = [
    [
      'one line for each conflict: port, owner, requester, what to do',
      {
        status: 409,
        json: { error: CONFLICTS[0], code: 'conflict', problems: CONFLICTS },
      },
      `weir: FILE: ${CONFLICTS[0]}\nweir: FILE: ${CONFLICTS[1]}\n`,
    ],
    [
      'a node that stops, as for every request',
      {
        status: 503,
        json: { error: 'shutting down', code: 'stopping', problems: ['shutting down'] },
      },
      'weir: shutting down\n',
    ],
  ]
  for (const [situation, refusal, err] of rows) {
    test(situation, async () => {
      const file = join(directory, 'w.yaml')
      writeFileSync(file, 'version: v1\n')
      const ran = await against({ 'POST /v1/deploy': refusal }, ['deploy', file])
      expect(ran).toEqual({ code: 1, out: '', err: err.replaceAll('FILE', file) })
    })
  }
})

describe('down', () => {
  const progress = (
    connections: number,
    remainsMs: number,
    ...replicas: ReturnType<typeof replica>[]
  ) => ({
    type: 'progress',
    view: { ...SAMPLE_VIEW, phase: 'draining', replicas, drain: { remainsMs } },
    work: { connections, requests: 0, flows: 0 },
  })
  const steps = [
    progress(
      12,
      30_000,
      replica('web', 1, { state: 'draining', limitMs: 30_000 }),
      replica('web', 2),
    ),
    progress(
      11,
      29_000,
      replica('web', 1, { state: 'draining', limitMs: 29_000 }),
      replica('web', 2),
    ),
    progress(3, 28_000, replica('web', 1, { state: 'draining', limitMs: 28_000 })),
    progress(2, 27_000, replica('web', 1, { state: 'draining', limitMs: 27_000 })),
    progress(0, 26_000, replica('web', 1, { state: 'stopping' })),
    { type: 'stopped' },
  ]

  test('counts down, with a line when there is news and not for every look', async () => {
    const { code, out, err } = await against({ 'POST /v1/shutdown': lines(...steps) }, ['down'])
    expect([code, err]).toEqual([0, ''])
    expect(out.replace(/for \d+s/g, 'for Ns').split('\n')).toEqual([
      'stopping for Ns: 12 connections left, cut in 30s at the latest; ' +
        '2 replicas left: web-1 (draining, at most 30s), web-2 (ready)',
      'stopping for Ns: 3 connections left, cut in 28s at the latest; ' +
        '1 replica left: web-1 (draining, at most 28s)',
      'stopping for Ns: 1 replica left: web-1 (stopping)',
      'stopped',
      '',
    ])
    expect(node?.requests[0]?.body).toEqual({ mode: 'drain' })
  })

  test('--now aborts, --json prints the steps', async () => {
    const answers = { 'POST /v1/shutdown': lines(...steps) }
    const { code, out } = await against(answers, ['down', '--now', '--json'])
    expect([
      code,
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ]).toEqual([0, steps])
    expect(node?.requests[0]?.body).toEqual({ mode: 'abort' })
  })

  test('a connection that ends before the node has stopped is a failure', async () => {
    const { code, err } = await against({ 'POST /v1/shutdown': lines(steps[0]) }, ['down'])
    expect([code, err]).toEqual([
      1,
      'weir: the node closed the connection before it said that it had stopped: see weir status\n',
    ])
  })
})
