import { execFileSync, spawn } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  hasEnvironEntry,
  isRunning,
  listProcesses,
  ownLine,
  readProcess,
} from '../../../../shells/node/process/processes.ts'
import { temporaryDirectory, until } from './runtime-harness.ts'

function start(program: string, env: Record<string, string> = {}): number {
  const child = spawn(program, ['1000'], { detached: true, stdio: 'ignore', env })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child.pid ?? 0
}

test('a process is read whatever its name is', () => {
  const program = join(temporaryDirectory(), 'a) S 1 (\n')
  symlinkSync(execFileSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim(), program)
  const pid = start(program)
  expect(readProcess(pid)).toEqual({
    pid,
    startedAt: expect.any(Number),
    state: expect.stringMatching(/^[A-Z]$/),
    parent: process.pid,
    group: pid,
    session: pid,
  })
  expect(listProcesses().map((each) => each.pid)).toContain(pid)
})

test('running is: there, the same, and no zombie', async () => {
  const child = spawn('sh', ['-c', 'sleep 0 & exec sleep 1000'], { stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const pid = child.pid ?? 0
  const startedAt = readProcess(pid)?.startedAt ?? 0
  expect(isRunning({ pid, startedAt })).toBe(true)
  expect(isRunning({ pid, startedAt: startedAt + 1 })).toBe(false)
  // sleep never collects the child it inherited from the shell
  const zombie = await until(() =>
    listProcesses().find((each) => each.parent === pid && each.state === 'Z'),
  )
  expect(isRunning(zombie)).toBe(false)
})

test('an entry of the environment is matched whole', async () => {
  const pid = start('/bin/sleep', { FIRST: '1', NODE: 'abc', LAST: 'x NODE=b' })
  await until(() => hasEnvironEntry(pid, 'FIRST=1'))
  const asked = ['NODE=abc', 'LAST=x NODE=b', 'NODE=ab', 'ODE=abc', 'NODE=b', 'NODE=abcd']
  expect(asked.map((entry) => hasEnvironEntry(pid, entry))).toEqual([
    ...[true, true],
    ...[false, false, false, false],
  ])
})

test('what is not there is nothing', () => {
  const none = 2 ** 22 + 1
  expect(readProcess(none)).toBeUndefined()
  expect(hasEnvironEntry(none, 'A=b')).toBe(false)
  expect(isRunning({ pid: none, startedAt: 0 })).toBe(false)
})

test('our own line begins with us and ends with the first process', () => {
  const line = ownLine()
  expect(line.slice(0, 2)).toEqual([process.pid, process.ppid])
  expect(readProcess(line.at(-1) ?? 0)?.parent).toBe(0)
})
