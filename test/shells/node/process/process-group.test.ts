import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ProcessGroup } from '../../../../shells/node/process/process-group.ts'
import { readProcess } from '../../../../shells/node/process/processes.ts'
import { pidIn, runs, temporaryDirectory, until } from './runtime-harness.ts'

const MARK = 'WEIR_INSTANCE=hello/web/1#1'

interface Started {
  readonly pid: number
  readonly exited: Promise<void>
}

/** A group of its own; killed at the end by the group the test asks for, or by its pid here. */
function start(script: string, env: Record<string, string> = {}): Started {
  const child = spawn('sh', ['-c', script], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH, ...env },
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  onTestFinished(() => void child.kill('SIGKILL'))
  return { pid: child.pid ?? 0, exited }
}

test('a leader with another start time is a stranger and gets no signal', async () => {
  const { pid } = start('sleep 1000')
  const startedAt = readProcess(pid)?.startedAt ?? 0
  const reused = new ProcessGroup(pid, MARK, startedAt - 1)
  expect(reused.leaderRuns()).toBe(false)
  expect(reused.send('SIGKILL')).toBe(false)
  expect(await reused.killUntilGone(1_000)).toBe(true)
  expect(runs(pid)).toBe(true)
  const real = new ProcessGroup(pid, MARK)
  expect(real.leaderRuns()).toBe(true)
  expect(await real.killUntilGone(10_000)).toBe(true)
  expect(runs(pid)).toBe(false)
})

test('without its leader a group is ours by a member seen when the leader ended', async () => {
  const file = join(temporaryDirectory(), 'pid')
  const { pid, exited } = start(`sleep 1000 & echo $! > ${file}`)
  const group = new ProcessGroup(pid, MARK)
  await exited
  group.leaderExited()
  const member = await until(() => pidIn(file))
  expect(group.members().map((each) => each.pid)).toEqual([member])
  expect(await group.killUntilGone(10_000)).toBe(true)
  expect(runs(member)).toBe(false)
  expect(group.send('SIGKILL')).toBe(false)
})

test('a group whose leader was a stranger when it ended is left alone', async () => {
  const { pid } = start('sleep 1000')
  const group = new ProcessGroup(pid, MARK, (readProcess(pid)?.startedAt ?? 0) - 1)
  // our leader is gone, and somebody leads a group under its number: the number was used again
  group.leaderExited()
  expect(group.send('SIGKILL')).toBe(false)
  expect(runs(pid)).toBe(true)
  expect(await new ProcessGroup(pid, MARK).killUntilGone(10_000)).toBe(true)
})

test('a group that is empty when its leader ends is gone for good', async () => {
  const { pid, exited } = start('exit 0')
  const group = new ProcessGroup(pid, MARK)
  await exited
  group.leaderExited()
  expect([group.send('SIGTERM'), group.leaderRuns()]).toEqual([false, false])
})
