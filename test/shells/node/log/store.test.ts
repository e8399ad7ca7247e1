import { mkdirSync, writeFileSync, write as writeToFile } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { Effect, Exit, Scope } from 'effect'
import { expect, onTestFinished, test } from 'vitest'
import { type ReplicaId, replicaId } from '../../../../core/services/identity.ts'
import type { LogsSpec } from '../../../../core/spec/deployment.ts'
import {
  type LogLine,
  type LogStore,
  type LogStoreOptions,
  makeLogStore,
} from '../../../../shells/node/log/store.ts'
import { temporaryDirectory, until } from '../process/runtime-harness.ts'

const DISK: LogsSpec = { destination: 'disk', bytesMax: 64 * 1024, retentionMs: 0 }
const MEMORY: LogsSpec = { destination: 'memory', bytesMax: 4_000, retentionMs: 0 }

async function open(
  directory = temporaryDirectory(),
  files: LogStoreOptions['files'] = {},
): Promise<{
  logs: LogStore
  directory: string
  close: () => Promise<void>
}> {
  const scope = Scope.makeUnsafe()
  const logs = await Effect.runPromise(
    Scope.provide(makeLogStore({ directory, files, notice: () => {} }), scope),
  )
  const close = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  onTestFinished(close)
  return { logs, directory, close }
}

const replica = (service: string, number: number, incarnation = 1): ReplicaId =>
  replicaId({ deployment: 'hello', service, number, incarnation })

const texts = (lines: readonly LogLine[]): string[] =>
  lines.map((line) => `${line.service}-${line.replica} ${line.stream} ${line.text}`)

/** A log of an earlier life, with these seconds as its times. */
function store(directory: string, path: string, lines: readonly [second: number, text: string][]) {
  mkdirSync(join(directory, path, '..'), { recursive: true })
  const line = ([second, text]: readonly [number, string]): string =>
    `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z out ${text}\n`
  writeFileSync(join(directory, path), lines.map(line).join(''))
}

test('lines of several replicas are merged by time, the newest kept', async () => {
  const { logs, directory } = await open()
  store(directory, 'hello/web/1.log.1', [
    [1, 'a'],
    [4, 'b'],
  ])
  store(directory, 'hello/web/1.log', [[6, 'c']])
  store(directory, 'hello/web/2.log', [
    [2, 'd'],
    [5, 'e'],
  ])
  store(directory, 'hello/db/1.log', [[3, 'f']])
  store(directory, 'other/web/1.log', [[9, 'g']])
  const read = (filter: Parameters<LogStore['read']>[0]): string =>
    logs
      .read(filter)
      .map((line) => line.text)
      .join('')
  expect(read({ tail: 100 })).toBe('adfbecg')
  expect(read({ tail: 3 })).toBe('ecg')
  expect(read({ deployment: 'hello', tail: 100 })).toBe('adfbec')
  expect(read({ deployment: 'hello', service: 'web', tail: 2 })).toBe('ec')
  expect(read({ deployment: 'hello', service: 'web', replica: 2, tail: 100 })).toBe('de')
  expect(read({ service: '../hello/web', tail: 100 })).toBe('')
  expect([read({ tail: 0 }), read({ tail: -1 }), read({ tail: Number.NaN })]).toEqual(['', '', ''])
  expect(read({ tail: Number.POSITIVE_INFINITY })).toBe('adfbecg')
})

test('services W35: replica 1 is not replica 10', async () => {
  const { logs, directory } = await open()
  store(directory, 'hello/web/1.log', [[1, 'one']])
  store(directory, 'hello/web/10.log', [[1, 'ten']])
  store(directory, 'hello/web-1/1.log', [[1, 'other']])
  const read = logs.read({ deployment: 'hello', service: 'web', replica: 1, tail: 9 })
  expect(texts(read)).toEqual(['web-1 out one'])
})

test('a clock that was set back does not shuffle the lines of one program', async () => {
  const { logs, directory } = await open()
  store(directory, 'hello/web/1.log', [
    [5, 'first'],
    [2, 'second'],
    [3, 'third'],
  ])
  expect(logs.read({ tail: 9 }).map((line) => line.text)).toEqual(['first', 'second', 'third'])
})

test('lines we did not write are left out', async () => {
  const { logs, directory } = await open()
  store(directory, 'hello/web/1.log', [[5, 'ours']])
  writeFileSync(join(directory, 'hello/web/2.log'), 'garbage\n\n2026-01-01T')
  writeFileSync(join(directory, 'hello/web/notes.txt'), '2026-01-01T00:00:00.000Z out no\n')
  writeFileSync(join(directory, 'hello/stray'), 'not a directory')
  expect(texts(logs.read({ tail: 9 }))).toEqual(['web-1 out ours'])
})

test('what is printed can be read at once, and after a restart of the node', async () => {
  const { logs, directory, close } = await open()
  const writer = logs.open(replica('web', 1), DISK)
  writer.write('out', Buffer.from('one\ntwo\nunfin'))
  writer.write('err', Buffer.from('oops\n'))
  expect(texts(logs.read({ tail: 9 }))).toEqual([
    'web-1 out one',
    'web-1 out two',
    'web-1 err oops',
  ])
  await writer.close()
  await close()
  const { logs: next } = await open(directory)
  const wanted = ['web-1 out one', 'web-1 out two', 'web-1 err oops', 'web-1 out unfin']
  expect(texts(next.read({ tail: 9 }))).toEqual(wanted)
})

test('followers get each matching line once, across rotation, until they stop', async () => {
  const { logs } = await open()
  const all: string[] = []
  const web: string[] = []
  logs.follow({}, (line) => all.push(line.text))
  const stop = logs.follow({ deployment: 'hello', service: 'web' }, (line) => web.push(line.text))
  const writers = [logs.open(replica('web', 1), DISK), logs.open(replica('db', 1), DISK)]
  const lines = Array.from({ length: 3_000 }, (_, index) => `a line of some length, ${index}`)
  for (const line of lines) writers[0]?.write('out', Buffer.from(`${line}\n`))
  writers[1]?.write('out', Buffer.from('db\n'))
  expect(web).toEqual(lines)
  expect(all).toEqual([...lines, 'db'])
  stop()
  writers[0]?.write('out', Buffer.from('more\n'))
  expect([web.length, all.at(-1)]).toEqual([3_000, 'more'])
})

test('captured output is paused while the disk is behind, and nothing is lost', async () => {
  const slow = ((descriptor, bytes, offset, length, position, done) => {
    setTimeout(() => writeToFile(descriptor, bytes, offset, length, position, done), 10)
  }) as typeof writeToFile
  const { logs } = await open(temporaryDirectory(), { write: slow })
  const writer = logs.open(replica('web', 1), DISK)
  const output = new PassThrough()
  const captured = writer.capture('out', output)
  const line = `${'x'.repeat(999)}\n`
  let paused = 0
  output.on('pause', () => paused++)
  for (let index = 0; index < 2_000; index++) {
    if (!output.write(line)) await new Promise((resolve) => output.once('drain', resolve))
  }
  output.end('the end')
  await captured
  expect(paused).toBeGreaterThan(0)
  expect(writer.tail().at(-1)).toBe('the end')
  expect(logs.linesLost()).toBe(0)
})

test('the tail belongs to one process, and long lines are cut in it', async () => {
  const { logs } = await open()
  const first = logs.open(replica('web', 1, 1), DISK)
  first.write('out', Buffer.from('of the first\n'))
  const second = logs.open(replica('web', 1, 2), DISK)
  second.write('err', Buffer.from(`${'y'.repeat(2_000)}\nshort`))
  expect(first.tail()).toEqual(['of the first'])
  expect(second.tail()).toEqual([`${'y'.repeat(1_000)}…`, 'short'])
  await first.close()
  second.write('out', Buffer.from('still open\n'))
  await second.close()
  expect(logs.read({ tail: 1 })[0]?.text).toBe('still open')
})

test('a log in memory keeps what fits, also after the end of its program', async () => {
  const { logs, directory } = await open()
  const writer = logs.open(replica('web', 1), MEMORY)
  for (let index = 0; index < 1_000; index++) writer.write('out', Buffer.from(`line ${index}\n`))
  await writer.close()
  const kept = logs.read({ tail: 1_000 }).map((line) => line.text)
  expect(kept.length).toBeGreaterThan(20)
  expect(kept.length).toBeLessThan(60)
  expect(kept).toEqual(
    Array.from({ length: kept.length }, (_, i) => `line ${1_000 - kept.length + i}`),
  )
  const again = logs.open(replica('web', 1, 2), MEMORY)
  again.write('out', Buffer.from('again\n'))
  expect(logs.read({ tail: 2 }).map((line) => line.text)).toEqual(['line 999', 'again'])
  const onDisk = await open(directory)
  expect(onDisk.logs.read({ tail: 9 })).toEqual([])
})

test('of logs in memory whose programs are gone the newest 64 are kept', async () => {
  const { logs } = await open()
  for (let number = 1; number <= 70; number++) {
    const writer = logs.open(replica('web', number), MEMORY)
    writer.write('out', Buffer.from('x\n'))
    await writer.close()
  }
  const kept = logs.read({ tail: 1_000 }).map((line) => line.replica)
  expect(kept.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i + 7))
})

test('a log opened again while it is being closed loses nothing', async () => {
  const { logs } = await open()
  const writer = logs.open(replica('web', 1, 1), DISK)
  writer.write('out', Buffer.from('old\n'))
  const closing = writer.close()
  const next = logs.open(replica('web', 1, 2), DISK)
  next.write('out', Buffer.from('new\n'))
  await closing
  await next.close()
  await until(() => logs.read({ tail: 9 }).length === 2)
})
