import {
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  write as writeToFile,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LogFile, type LogFileOptions } from '../../../../shells/node/log/file.ts'
import { temporaryDirectory, until } from '../process/runtime-harness.ts'

interface Opened {
  readonly file: LogFile
  readonly path: string
  readonly notices: string[]
}

function open(options: Partial<LogFileOptions> = {}): Opened {
  const path = options.path ?? join(temporaryDirectory(), 'logs', '1.log')
  const notices: string[] = []
  const notice = (text: string): void => void notices.push(text)
  const given = { bytesMax: 1024 * 1024, retentionMs: 0, label: 'hello/web-1', notice, path }
  return { file: new LogFile({ ...given, retryMs: 20, ...options, notice, path }), path, notices }
}

const numbered = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}`)

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

test('what was appended is on disk after closing, and in the tail before', async () => {
  const { file, path } = open()
  file.append('one\n')
  file.append('two\nthree\n')
  expect(file.tail(2)).toEqual(['two', 'three'])
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\nthree\n')
  expect(file.tail(9)).toEqual(['one', 'two', 'three'])
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('the files together stay within the size, and end at line ends', async () => {
  const { file, path } = open({ bytesMax: 32 * 1024 })
  const lines = numbered(0, 20_000)
  for (let from = 0; from < lines.length; from += 77) {
    file.append(textOf(lines.slice(from, from + 77)))
    await new Promise((resolve) => file.whenDrained(() => resolve(undefined)))
  }
  await file.close()
  const names = ['1.log.3', '1.log.2', '1.log.1', '1.log']
  expect(readdirSync(join(path, '..')).sort()).toEqual(names.toSorted())
  const texts = names.map((name) => readFileSync(join(path, '..', name), 'utf8'))
  for (const text of texts) {
    expect(text.length).toBeLessThanOrEqual(8 * 1024)
    expect(text.endsWith('\n')).toBe(true)
  }
  const kept = texts.join('').trimEnd().split('\n')
  expect(kept).toEqual(lines.slice(-kept.length))
  expect(file.tail(1_000)).toEqual(lines.slice(-1_000))
  expect(file.linesLost).toBe(0)
})

test('a line longer than a file has a file to itself', async () => {
  const { file, path } = open({ bytesMax: 0 })
  const long = 'x'.repeat(10_000)
  file.append(textOf(['before', long, 'after']))
  await file.close()
  expect(readFileSync(`${path}.2`, 'utf8')).toBe('before\n')
  expect(readFileSync(`${path}.1`, 'utf8')).toBe(`${long}\n`)
  expect(readFileSync(path, 'utf8')).toBe('after\n')
})

test('the tail is the newest lines, whatever was rotated or is still to be written', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 })
  const check = async (counts: number[], linesMax: number, awaitEach: boolean): Promise<void> => {
    const { file } = open({ bytesMax: 16 * 1024 })
    const all: string[] = []
    for (const count of counts) {
      const lines = numbered(all.length, all.length + count)
      all.push(...lines)
      file.append(textOf(lines))
      // with and without a chance for the disk to follow
      if (awaitEach) await new Promise((resolve) => setImmediate(resolve))
      expect(file.tail(linesMax)).toEqual(all.slice(-linesMax))
    }
    await file.close()
    expect(file.tail(linesMax)).toEqual(all.slice(-linesMax))
  }
  await fc.assert(fc.asyncProperty(sizes, fc.integer({ min: 1, max: 300 }), fc.boolean(), check), {
    numRuns: 30,
  })
})

test('a tail that begins right inside a block that is read has its first line whole', async () => {
  const { file } = open()
  // 1 KiB each, shifted by the short last one; files are read in blocks of 64 KiB
  const long = Array.from({ length: 200 }, (_, index) => String(index).padEnd(1_023))
  const lines = [...long, 'short']
  for (const line of lines) file.append(`${line}\n`)
  await file.close()
  for (const linesMax of [63, 64, 65, 127, 128, 129]) {
    expect(file.tail(linesMax)).toEqual(lines.slice(-linesMax))
  }
})

test('a write that takes only some of the bytes is continued', async () => {
  const write = ((descriptor, bytes, offset, length, position, done) =>
    writeToFile(
      descriptor,
      bytes,
      offset,
      Math.min(length ?? 0, 5),
      position,
      done,
    )) as typeof writeToFile
  const { file, path } = open({ write })
  const lines = numbered(0, 50)
  for (const line of lines) {
    file.append(`${line}\n`)
    expect(file.tail(3).at(-1)).toBe(line)
  }
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe(textOf(lines))
})

test('a line torn in an earlier life is ended before new ones follow', async () => {
  const path = join(temporaryDirectory(), '1.log')
  writeFileSync(path, 'whole\ntor')
  const { file } = open({ path })
  expect(file.tail(5)).toEqual(['whole', 'tor'])
  file.append('new\n')
  expect(file.tail(5)).toEqual(['whole', 'tor', 'new'])
  await file.close()
  expect(readFileSync(path, 'utf8')).toBe('whole\ntor\nnew\n')
})

test('old rotated files go', async () => {
  const path = join(temporaryDirectory(), '1.log')
  writeFileSync(`${path}.1`, 'a minute old\n')
  writeFileSync(`${path}.2`, 'an hour old\n')
  utimesSync(`${path}.1`, Date.now() / 1_000 - 60, Date.now() / 1_000 - 60)
  utimesSync(`${path}.2`, Date.now() / 1_000 - 3_600, Date.now() / 1_000 - 3_600)
  const { file } = open({ path, retentionMs: 600_000 })
  expect([existsSync(`${path}.1`), existsSync(`${path}.2`)]).toEqual([true, false])
  await file.close()
})

/** Appends numbered lines now and then until that is noticed; gives how many. */
async function appendUntil(file: LogFile, isOver: () => boolean): Promise<number> {
  let count = 0
  await until(() => {
    if (isOver()) return true
    file.append(`try ${count++}\n`)
    return false
  })
  return count
}

test('a full disk costs lines, is said once, and ends', async () => {
  const path = join(temporaryDirectory(), '1.log')
  symlinkSync('/dev/full', path)
  const { file, notices } = open({ path })
  const count = await appendUntil(file, () => file.linesLost > 5)
  expect(notices).toEqual([
    'log of hello/web-1 cannot be written: no space left on device; its lines are dropped until it can',
  ])
  unlinkSync(path)
  const more = await appendUntil(file, () => notices.length > 1)
  await file.close()
  const written = readFileSync(path, 'utf8').trimEnd().split('\n')
  const lost = file.linesLost
  // every line is either there or counted, and the log itself says where some are missing
  expect(written[0]).toMatch(
    new RegExp(`^\\S+Z err weir: lines lost here: ${lost} \\(no space left on device\\)$`),
  )
  expect(written.length - 1 + lost).toBe(count + more)
  expect(notices.slice(1)).toEqual([`log of hello/web-1 is written again; lines lost: ${lost}`])
})

test('a file where the directory should be: the same', async () => {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'logs'), '')
  const { file, path, notices } = open({ path: join(directory, 'logs', '1.log') })
  expect(file.append('lost\n')).toBe(true)
  expect([file.linesLost, notices.length]).toEqual([1, 1])
  unlinkSync(join(directory, 'logs'))
  await appendUntil(file, () => notices.length > 1)
  await file.close()
  expect(readFileSync(path, 'utf8')).toMatch(/^\S+Z err weir: lines lost here: \d+ \(.*\)\ntry /)
})

test('a log that was deleted is made again', async () => {
  const { file, path } = open()
  file.append('before\n')
  rmSync(join(path, '..'), { recursive: true })
  await appendUntil(file, () => existsSync(path))
  await file.close()
  expect(readFileSync(path, 'utf8')).toMatch(/^try /)
})

test('a slow disk holds back the program; a hanging one does not hold it for ever', async () => {
  const stuck: (() => void)[] = []
  const write = ((descriptor, bytes, offset, length, position, done) => {
    stuck.push(() => writeToFile(descriptor, bytes, offset, length, position, done))
  }) as typeof writeToFile
  const { file, notices } = open({ write, stallMs: 200 })
  const chunk = textOf(Array.from({ length: 1024 }, () => 'x'.repeat(63)))
  let accepted = 0
  while (file.append(chunk)) accepted++
  // what is on its way, and 256 KiB more
  expect(accepted).toBe(4)
  let drained = false
  file.whenDrained(() => {
    drained = true
  })
  expect(drained).toBe(false)
  await until(() => drained)
  expect(notices).toEqual([expect.stringContaining('the disk does not answer')])
  expect(file.append(chunk)).toBe(true)
  expect(file.linesLost).toBe(5 * 1024)
  // it answers again
  stuck.shift()?.()
  await until(() => {
    if (notices.length > 1) return true
    if (stuck.length === 0) file.append('again\n')
    stuck.shift()?.()
    return false
  })
  expect(notices[1]).toMatch(/is written again; lines lost: \d+$/)
})

test('nothing is appended after closing, and closing twice is closing once', async () => {
  const { file, path } = open()
  file.append('in time\n')
  const closing = file.close()
  file.append('too late\n')
  await Promise.all([closing, file.close()])
  expect(readFileSync(path, 'utf8')).toBe('in time\n')
  expect(file.linesLost).toBe(1)
})
