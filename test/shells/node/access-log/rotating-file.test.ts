import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { RotatingFile } from '../../../../shells/node/access-log/rotating-file.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const lines = (...texts: readonly string[]): Buffer =>
  Buffer.from(texts.map((text) => `${text}\n`).join(''))

function setUp(over: { readonly bytesMax?: number; readonly keep?: number } = {}) {
  const directory = temporaryDirectory()
  const path = join(directory, 'log', 'access.log')
  const file = new RotatingFile({ path, bytesMax: 20, keep: 2, ...over })
  const read = (name = 'access.log') => readFileSync(join(directory, 'log', name), 'utf8')
  const names = () => readdirSync(join(directory, 'log')).sort()
  return { directory, path, file, read, names }
}

test('appends, makes its directory, and keeps what was there', async () => {
  const { path, file, read } = setUp()
  expect(await file.append(lines('one'))).toEqual({ bytes: 4 })
  await file.close()
  const next = new RotatingFile({ path, bytesMax: 20, keep: 2 })
  expect(await next.append(lines('two'))).toEqual({ bytes: 4 })
  await next.close()
  expect(read()).toBe('one\ntwo\n')
  expect(statSync(path).mode & 0o777).toBe(0o640)
})

test('is put aside before it would be too large; the oldest goes', async () => {
  const { file, read, names } = setUp()
  for (const text of ['a', 'b', 'c', 'd']) await file.append(lines(text.repeat(8), text.repeat(8)))
  await file.close()
  expect(names()).toEqual(['access.log', 'access.log.1', 'access.log.2'])
  expect(['access.log', 'access.log.1', 'access.log.2'].map((name) => read(name)[0])).toEqual([
    'd',
    'c',
    'b',
  ])
})

test('what is larger than a file has one to itself; with none kept it begins anew', async () => {
  const { file, read, names } = setUp({ keep: 0 })
  await file.append(lines('a'))
  await file.append(lines('b'.repeat(50)))
  await file.append(lines('c'))
  await file.close()
  expect([names(), read()]).toEqual([['access.log'], 'c\n'])
})

test('moved away, as logrotate does it, or deleted: the next lines are in a new one', async () => {
  const { path, file, read } = setUp()
  await file.append(lines('one'))
  renameSync(path, `${path}-20240506`)
  await file.append(lines('two'))
  expect([read('access.log-20240506'), read()]).toEqual(['one\n', 'two\n'])
  rmSync(path)
  await file.append(lines('three'))
  await file.close()
  expect(read()).toBe('three\n')
})

test('what is in its place is said, and gone round when it can be', async () => {
  const { path, file, read } = setUp()
  mkdirSync(path, { recursive: true })
  const { bytes, error } = await file.append(lines('lost'))
  expect([bytes, (error as NodeJS.ErrnoException).code]).toEqual([0, 'EISDIR'])
  rmSync(path, { recursive: true })
  expect(await file.append(lines('kept'))).toEqual({ bytes: 5 })
  await file.close()
  expect(read()).toBe('kept\n')
})

/**
 * A link in a directory of the test's own: whatever the code under test moves or deletes is the link. No
 * test names a device of this machine itself.
 */
function linkTo(target: string): string {
  const path = join(temporaryDirectory(), 'access.log')
  symlinkSync(target, path)
  return path
}

test('a link, as /dev/stdout is one, is written through and never moved, whatever it leads to', async () => {
  const target = join(temporaryDirectory(), 'out.txt')
  writeFileSync(target, '')
  for (const keep of [0, 2]) {
    const path = linkTo(target)
    const file = new RotatingFile({ path, bytesMax: 2, keep })
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await file.append(lines('text'))).toEqual({ bytes: 5 })
    }
    await file.close()
    expect(readdirSync(dirname(path))).toEqual(['access.log'])
    expect(lstatSync(path).isSymbolicLink()).toBe(true)
  }
  expect(readFileSync(target, 'utf8')).toBe('text\n'.repeat(6))
})

test('a pipe is no file: written to, never rotated', async () => {
  const path = join(temporaryDirectory(), 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const file = new RotatingFile({ path, bytesMax: 2, keep: 2 })
  for (let turn = 0; turn < 3; turn += 1) {
    expect(await file.append(lines('text'))).toEqual({ bytes: 5 })
  }
  await file.close()
  closeSync(reader)
  expect(readdirSync(dirname(path))).toEqual(['pipe'])
  expect(statSync(path).isFIFO()).toBe(true)
})

test('a full disk is an error like others', async () => {
  const path = linkTo('/dev/full')
  const file = new RotatingFile({ path, bytesMax: 100, keep: 2 })
  const { bytes, error } = await file.append(lines('text'))
  expect([bytes, (error as NodeJS.ErrnoException).code]).toEqual([0, 'ENOSPC'])
  await file.close()
})

test('a line that was cut short ends there: none is glued to it', async () => {
  const path = join(temporaryDirectory(), 'pipe')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const file = new RotatingFile({ path, bytesMax: 100, keep: 2 })
  const taken = (await file.append(lines('a'.repeat(9), 'b'.repeat(1_000_000)))).bytes
  expect(taken).toBeGreaterThan(10)
  expect(taken).toBeLessThan(1_000_010)
  const read = Buffer.alloc(2_000_000)
  expect(readSync(reader, read)).toBe(taken)
  expect(await file.append(lines('c'))).toEqual({ bytes: 2 })
  const rest = read.subarray(0, readSync(reader, read))
  expect(rest.toString()).toBe('\nc\n')
  await file.close()
  closeSync(reader)
})
