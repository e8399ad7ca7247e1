import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { expect, onTestFinished, test, vi } from 'vitest'
import {
  type AccessLogOptions,
  type AppendingFile,
  makeAccessLog,
} from '../../../../shells/node/access-log/access-log.ts'
import type { Written } from '../../../../shells/node/access-log/rotating-file.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { exchange } from './exchange.ts'

const SETTINGS = { format: 'json', bytesMax: 65_536, keep: 1 } as const

/** A disk that does what the test says. */
class FakeFile implements AppendingFile {
  readonly appended: string[] = []
  answers: (() => Promise<Written>)[] = []
  closed = false

  async append(lines: Buffer): Promise<Written> {
    this.appended.push(lines.toString('latin1'))
    return (await this.answers.shift()?.()) ?? { bytes: lines.length }
  }

  async close(): Promise<void> {
    this.closed = true
  }
}

async function setUp(over: Partial<AccessLogOptions> = {}) {
  const file = new FakeFile()
  const notices: string[] = []
  const scope = Effect.runSync(Scope.make())
  const log = Effect.runSync(
    Scope.provide(
      makeAccessLog({
        settings: { ...SETTINGS, file: '/access.log' },
        notice: (level, text) => notices.push(`${level}: ${text}`),
        file,
        retryMs: 10,
        ...over,
      }),
      scope,
    ),
  )
  const stop = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  onTestFinished(stop)
  return { log, file, notices, stop }
}

const idsOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).request_id)

const full = async (): Promise<Written> => ({
  bytes: 0,
  error: Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }),
})

test('a stop writes what is there, in order; nothing comes after it', async () => {
  const path = join(temporaryDirectory(), 'access.log')
  const settings = { ...SETTINGS, file: path }
  const notices: string[] = []
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const log = yield* makeAccessLog({
          settings,
          notice: (_level, text) => notices.push(text),
          wallClock: () => Date.parse('2000-10-10T13:55:36.002Z'),
        })
        for (const requestId of ['1', '2', '3']) log.write(exchange({ requestId }))
      }),
    ),
  )
  const text = readFileSync(path, 'latin1')
  expect(idsOf(text)).toEqual(['1', '2', '3'])
  // It began 2.5 ms before it was over.
  expect(JSON.parse(text.split('\n')[0] ?? '').time).toBe('2000-10-10T13:55:35.999Z')
  expect(notices).toEqual([])
})

test('lines go to the file together, and without waiting for more', async () => {
  const { log, file } = await setUp()
  for (const requestId of ['1', '2']) log.write(exchange({ requestId }))
  expect(file.appended).toEqual([])
  await vi.waitFor(() => expect(file.appended.map(idsOf)).toEqual([['1', '2']]), WAIT)
  expect(log.counters).toEqual({ written: 2, dropped: 0 })
  for (let turn = 0; turn < 500; turn += 1) log.write(exchange())
  // 65,536 characters of them do not wait.
  await vi.waitFor(() => expect(file.appended.length).toBeGreaterThan(2), WAIT)
  for (const batch of file.appended) {
    expect(batch.length).toBeLessThanOrEqual(65_536)
    expect(batch).toMatch(/\n$/)
  }
})

test('a full disk is said once, its lines are counted, and it goes on when there is room', async () => {
  const { log, file, notices } = await setUp()
  file.answers = [full, full]
  log.write(exchange())
  log.write(exchange())
  await vi.waitFor(() => expect(log.counters).toEqual({ written: 0, dropped: 2 }), WAIT)
  log.write(exchange())
  await vi.waitFor(() => expect(log.counters).toEqual({ written: 0, dropped: 3 }), WAIT)
  log.write(exchange({ requestId: 'again' }))
  await vi.waitFor(() => expect(log.counters).toEqual({ written: 1, dropped: 3 }), WAIT)
  expect(notices).toEqual([
    'warn: access log /access.log cannot be written: no space left on device; its lines are dropped until it can',
    'info: access log /access.log is written again; lines lost: 3',
  ])
})

test('lines that were written before the disk was full are not lost', async () => {
  const { log, file } = await setUp()
  log.write(exchange({ requestId: '1' }))
  log.write(exchange({ requestId: '2' }))
  file.answers = [async () => ({ bytes: (file.appended[0]?.indexOf('\n') ?? 0) + 5, error: 'x' })]
  await vi.waitFor(() => expect(log.counters).toEqual({ written: 1, dropped: 1 }), WAIT)
})

test('a disk that hangs costs a bounded number of lines in memory, and a bounded stop', async () => {
  const { log, file, notices, stop } = await setUp()
  const hanging = Promise.withResolvers<Written>()
  file.answers = [() => hanging.promise]
  const big = exchange({ userAgent: 'a'.repeat(50_000) })
  for (let turn = 0; turn < 200; turn += 1) log.write(big)
  const { dropped } = log.counters
  expect(dropped).toBeGreaterThan(100)
  expect(dropped).toBeLessThan(200)
  expect(notices).toEqual([
    'warn: access log /access.log cannot be written: more lines come than it takes; its lines are dropped until it can',
  ])
  const startedAt = performance.now()
  await stop()
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  expect(log.counters).toEqual({ written: 0, dropped: 200 })
  hanging.resolve({ bytes: 0 })
})

test('what a full queue lost is told when there is room again', async () => {
  const { log, file, notices } = await setUp()
  const slow = Promise.withResolvers<void>()
  file.answers = [
    async () => {
      await slow.promise
      return { bytes: 60_000 }
    },
  ]
  const big = exchange({ userAgent: 'a'.repeat(50_000) })
  for (let turn = 0; turn < 200; turn += 1) log.write(big)
  const { dropped } = log.counters
  slow.resolve()
  await vi.waitFor(() => expect(log.counters.written).toBe(200 - dropped), WAIT)
  expect(notices.slice(1)).toEqual([
    `info: access log /access.log is written again; lines lost: ${dropped}`,
  ])
})

/** Lines may wait for a second. */
const WAIT = { timeout: 10_000, interval: 5 }
