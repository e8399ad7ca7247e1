import { EventEmitter } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import type { NodeView } from '../../../../core/node/view.ts'
import type { Presenter } from '../../../../shells/cli/commands/presenter.ts'
import { type StopSignals, stopSignals } from '../../../../shells/cli/commands/stop-signals.ts'
import { runNode } from '../../../../shells/cli/commands/up.ts'
import type { DrainWork, NoticeLine } from '../../../../shells/node/operator/api.ts'
import type {
  DeployAnswer,
  NodeHandle,
  SettledAnswer,
  SettledNews,
} from '../../../../shells/node/run.ts'
import { replica, SAMPLE_VIEW, service } from '../sample-view.ts'

const SOURCE = { text: '', file: 'weir.yaml', directory: '/srv' }
const READY: SettledAnswer = { outcome: 'ready', problems: [] }
const READY_VIEW: NodeView = {
  ...SAMPLE_VIEW,
  services: [
    service('db'),
    service('web', { endpoints: ['http://0.0.0.0:8080', 'http://127.0.0.1:8081'] }),
  ],
}

/** A node whose every answer the test decides. */
function setUp(deployed: DeployAnswer = { ok: true, name: 'hello', text: 'ok', warnings: [] }) {
  const stopped = Promise.withResolvers<void>()
  const settled = Promise.withResolvers<SettledAnswer>()
  const changes = new Set<() => void>()
  const listeners = new Set<(news: SettledNews) => void>()
  const asked: string[] = []
  const said: string[] = []
  const state = {
    view: READY_VIEW,
    failure: undefined as string | undefined,
    load: async (): Promise<DrainWork> => ({ connections: 0, requests: 0, flows: 0 }),
  }
  const noticed = new Set<(notice: NoticeLine) => void>()
  const shown: { text: () => string } = { text: () => '' }
  const node = {
    view: () => state.view,
    deploy: async () => deployed,
    settled: () => settled.promise,
    onSettled: (listener: (news: SettledNews) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onNotice: (listener: (notice: NoticeLine) => void) => {
      noticed.add(listener)
      return () => noticed.delete(listener)
    },
    load: () => state.load(),
    onChange: (listener: () => void) => {
      changes.add(listener)
      return () => changes.delete(listener)
    },
    shutdown: (mode: string) => {
      asked.push(mode)
      if (mode === 'abort') stopped.resolve()
      return stopped.promise
    },
    stopped: stopped.promise,
    failure: () => state.failure,
  } as unknown as NodeHandle
  const presenter: Presenter = {
    notice: () => undefined,
    say: (text) => said.push(text),
    changed: () => undefined,
    status: (text) => {
      shown.text = text
    },
    close: () => undefined,
  }
  const emitter = new EventEmitter()
  let now = 0
  const signals: StopSignals = stopSignals(emitter as unknown as NodeJS.Process, () => now)
  return {
    said,
    asked,
    state,
    status: () => shown.text(),
    notice: (code: NoticeLine['code']) => {
      const line: NoticeLine = { at: '2026-01-02T03:04:05.678Z', level: 'info', code, text: code }
      for (const listener of noticed) listener(line)
    },
    stop: () => stopped.resolve(),
    settle: (answer: SettledAnswer, deployment = 'hello') => {
      settled.resolve(answer)
      for (const listener of listeners) listener({ ...answer, deployment })
    },
    signal: () => {
      now += 1_000
      emitter.emit('SIGINT')
    },
    listening: () => changes.size + listeners.size + noticed.size,
    run: () => runNode(node, SOURCE, presenter, signals),
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a node in the foreground', () => {
  test('names its endpoints, then says ready, then stops when it is told from elsewhere', async () => {
    const { run, settle, stop, said, asked, listening } = setUp()
    const running = run()
    settle({ outcome: 'ready', problems: [] })
    await turn()
    expect(said).toEqual(['web  http://127.0.0.1:8080', 'web  http://127.0.0.1:8081', 'ready'])
    stop()
    expect([await running, said.at(-1), asked, listening()]).toEqual([0, 'stopped', [], 0])
  })

  test('says why it failed, goes on, and says ready when somebody has mended it', async () => {
    const { run, settle, stop, said } = setUp()
    const running = run()
    settle({ outcome: 'failed', problems: ['web-1 exits at once', 'db waits for web'] })
    await turn()
    expect(said).toEqual([
      'failed: web-1 exits at once',
      'failed: db waits for web',
      'what can run goes on; mend the file and run weir deploy, or press Ctrl-C',
    ])
    settle(READY)
    settle(READY)
    expect(said.filter((line) => line === 'ready')).toHaveLength(1)
    stop()
    expect(await running).toBe(0)
  })

  test('says once each time that it failed later, and that it is ready again', async () => {
    const { run, settle, stop, state, said } = setUp()
    const running = run()
    await turn()
    const failed: SettledAnswer = { outcome: 'failed', problems: ['web: web-1 exits at once'] }
    for (const each of [READY, READY, failed, failed, READY]) {
      settle(each)
      await turn()
    }
    settle(failed, 'other')
    expect(said.filter((line) => /^(ready|failed)/.test(line))).toEqual([
      'ready',
      'failed: web: web-1 exits at once',
      'ready',
    ])
    const before = said.length
    state.view = { ...READY_VIEW, phase: 'draining' }
    settle(failed)
    expect(said).toHaveLength(before)
    stop()
    expect(await running).toBe(0)
  })

  test('a long list of problems is cut', async () => {
    const { run, settle, stop, said } = setUp()
    const running = run()
    await turn()
    settle({ outcome: 'failed', problems: Array.from({ length: 30 }, (_, n) => `web-${n}`) })
    expect(said.filter((line) => line.startsWith('failed'))).toHaveLength(21)
    expect(said).toContain('failed: and 10 more problems')
    stop()
    await running
  })

  test('a stop with nothing running does not count replicas', async () => {
    const { run, signal, stop, state, said } = setUp()
    state.view = { ...READY_VIEW, replicas: [] }
    const running = run()
    await turn()
    signal()
    stop()
    await running
    expect(said).toEqual(['stopped'])
  })

  test('the first signal drains, says what is left, and counts down', async () => {
    const { run, signal, stop, state, said, asked, status } = setUp()
    state.view = { ...READY_VIEW, drain: { remainsMs: 30_000 } }
    state.load = async () => ({ connections: 12, requests: 0, flows: 3 })
    const running = run()
    await turn()
    signal()
    await turn()
    expect(asked).toEqual(['drain'])
    const LEFT =
      'stopping for 0s: 12 connections and 3 flows left, cut in 30s at the latest; ' +
      '3 replicas left: db-1 (checking), web-1 (ready), web-2 (ready)'
    expect([said, status()]).toEqual([[`${LEFT}; once more stops at once`], LEFT])
    state.view = { ...READY_VIEW, drain: { remainsMs: 26_500 }, replicas: [] }
    state.load = async () => ({ connections: 1, requests: 0, flows: 0 })
    await vi.waitFor(() =>
      expect(status()).toMatch(/: 1 connection left, cut in 26s at the latest$/),
    )
    stop()
    expect([await running, said.at(-1), status()]).toEqual([0, 'stopped', ''])
  })

  test('what is left is counted with those who are left: no connections of replicas that are gone', async () => {
    const { run, signal, stop, state, status } = setUp()
    state.view = { ...READY_VIEW, drain: { remainsMs: 9_000 } }
    state.load = async () => ({ connections: 4, requests: 0, flows: 0 })
    const running = run()
    await turn()
    signal()
    await turn()
    expect(status()).toMatch(/: 4 connections left, cut in 9s at the latest; 3 replicas left: /)
    state.view = { ...READY_VIEW, drain: { remainsMs: 9_000 }, replicas: [replica('web', 2)] }
    state.load = async () => ({ connections: 0, requests: 0, flows: 0 })
    expect(status()).toMatch(/: 4 connections left, .* 3 replicas left: /)
    await vi.waitFor(() => expect(status()).toMatch(/: 1 replica left: web-2 \(ready\)$/))
    stop()
    expect(await running).toBe(0)
  })

  test('a node that does not count is not waited for', async () => {
    const { run, signal, stop, state, said, status } = setUp()
    state.load = () => new Promise(() => undefined)
    const running = run()
    await turn()
    signal()
    await vi.waitFor(() => expect(said).toHaveLength(1))
    expect(said[0]).toMatch(/^stopping for \d+s: 3 replicas left: .*; once more stops at once$/)
    state.load = async () => Promise.reject(new Error('gone'))
    expect(status()).toMatch(/^stopping for \d+s: 3 replicas left: /)
    stop()
    expect(await running).toBe(0)
  })

  test('a stop that somebody else asked for counts down, too', async () => {
    const { run, notice, stop, said, status } = setUp()
    const running = run()
    await turn()
    notice('healthy')
    expect(status()).toMatch(/^starting/)
    notice('shutdown')
    await turn()
    expect([said, status()]).toEqual([[], expect.stringMatching(/^stopping for 0s: 3 replicas/)])
    stop()
    expect(await running).toBe(0)
  })

  test('the second signal aborts, says what that did, and the exit code tells', async () => {
    const { run, signal, state, asked, said } = setUp()
    state.load = async () => ({ connections: 12, requests: 0, flows: 0 })
    const running = run()
    await turn()
    signal()
    await turn()
    signal()
    expect([await running, asked, said.slice(-2)]).toEqual([
      1,
      ['drain', 'abort'],
      ['stopping at once: 12 connections cut, 3 replicas killed', 'stopped'],
    ])
  })

  test('a signal before the node was up counts', async () => {
    const { run, signal, stop, asked, settle, said } = setUp()
    signal()
    const running = run()
    settle({ outcome: 'failed', problems: ['stopping'] })
    await turn()
    expect(asked).toEqual(['drain'])
    stop()
    expect([await running, said.filter((line) => line.startsWith('failed'))]).toEqual([0, []])
  })

  test('a deployment that is refused ends it', async () => {
    const { run, said, asked } = setUp({
      ok: false,
      code: 'conflict',
      problems: ['port 8080 is owned by shop/web'],
    })
    expect([await run(), said, asked]).toEqual([
      1,
      ['port 8080 is owned by shop/web', 'stopped'],
      ['abort'],
    ])
  })

  test('a node that ends by a bug gives exit code 1', async () => {
    const { run, state, stop, said } = setUp()
    const running = run()
    await turn()
    state.failure = 'internal error'
    stop()
    expect([await running, said]).toEqual([1, []])
  })
})
