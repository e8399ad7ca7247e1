import fs from 'node:fs'
import path from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { DirectoryWatch, type WatchTiming } from '../../../../shells/node/tls/watch.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const SOON: WatchTiming = { gatherMs: 5, pollMs: 3_600_000 }

interface Looks {
  readonly watch: DirectoryWatch
  count(): number
  /** Of looks at one time. */
  most(): number
}

function watching(directory: string, timing = SOON, lookMs = 0): Looks {
  let count = 0
  let now = 0
  let most = 0
  const look = async (): Promise<void> => {
    count += 1
    now += 1
    most = Math.max(most, now)
    await new Promise((resolve) => setTimeout(resolve, lookMs))
    now -= 1
  }
  const watch = new DirectoryWatch({ directory, look, timing })
  onTestFinished(() => watch.close())
  return { watch, count: () => count, most: () => most }
}

const waitFor = (check: () => void): Promise<void> =>
  vi.waitFor(check, { timeout: 20_000, interval: 5 })

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('what comes together is one look, and one more follows a change during a look', async () => {
  const directory = temporaryDirectory()
  const looks = watching(directory, { ...SOON, gatherMs: 40 }, 60)
  for (let count = 0; count < 20; count++) fs.writeFileSync(path.join(directory, `${count}`), '')
  await waitFor(() => expect(looks.count()).toBe(1))
  fs.writeFileSync(path.join(directory, 'during'), '')
  await waitFor(() => expect(looks.count()).toBe(2))
  expect(looks.most()).toBe(1)
})

test('without a sign it looks now and then, also where there is no directory', async () => {
  const looks = watching(path.join(temporaryDirectory(), 'none'), { gatherMs: 5, pollMs: 10 })
  await waitFor(() => expect(looks.count()).toBeGreaterThan(3))
})

test('another directory of the name is watched from the next look on', async () => {
  const name = path.join(temporaryDirectory(), 'certificates')
  const [first, second] = [temporaryDirectory(), temporaryDirectory()]
  fs.symlinkSync(first, name)
  const looks = watching(name)
  fs.rmSync(name)
  fs.symlinkSync(second, name)
  looks.watch.lookIn(0)
  await waitFor(() => expect(looks.count()).toBe(1))
  fs.writeFileSync(path.join(second, 'file'), '')
  await waitFor(() => expect(looks.count()).toBeGreaterThan(1))
})

test('an earlier look replaces a later one; after the end there is none', async () => {
  const directory = temporaryDirectory()
  const looks = watching(directory, SOON, 30)
  looks.watch.lookIn(3_600_000)
  looks.watch.lookIn(1)
  await waitFor(() => expect(looks.count()).toBe(1))
  await looks.watch.close() // waits for the look under way
  looks.watch.lookIn(0)
  fs.writeFileSync(path.join(directory, 'file'), '')
  await pause(50)
  expect(looks.count()).toBe(1)
})
