import { spawn } from 'node:child_process'
import { readdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type OutputPipe, PipePool, pipeMark } from '../../../../shells/node/process/pipes.ts'
import { freshNodeId } from './runtime-harness.ts'

const directoriesOf = (name: string): string[] =>
  readdirSync(tmpdir()).filter((entry) => `/${entry}`.startsWith(pipeMark(name)))

function open(name = freshNodeId()): { pool: PipePool; name: string } {
  const pool = new PipePool(name)
  onTestFinished(() => pool.close())
  return { pool, name }
}

async function take(pool: PipePool): Promise<OutputPipe> {
  const pipe = await pool.take()
  if (pipe === undefined) throw new Error('no pipe')
  onTestFinished(() => pipe.close())
  return pipe
}

function readAll(pipe: OutputPipe): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    pipe.reader().on('data', (chunk) => {
      text += chunk
    })
    pipe.reader().once('close', () => resolve(text))
  })
}

test('a child writes, we read, and the end of the last writer is the end', async () => {
  const { pool } = open()
  const pipe = await take(pool)
  const stdio = ['ignore', pipe.writeEnd, 'inherit'] as const
  spawn('sh', ['-c', 'echo one; echo two > /dev/stdout'], { stdio: [...stdio] })
  pipe.handedOver()
  expect(await readAll(pipe)).toBe('one\ntwo\n')
})

test('each taken pipe is a pipe of its own, however many are asked for at once', async () => {
  const { pool } = open()
  const pipes = await Promise.all(Array.from({ length: 40 }, () => take(pool)))
  const reading = pipes.map(readAll)
  for (const [index, pipe] of pipes.entries()) {
    writeSync(pipe.writeEnd, String(index))
    pipe.handedOver()
  }
  expect(await Promise.all(reading)).toEqual(pipes.map((_, index) => String(index)))
})

test('a pool clears away what an earlier one of its name left, and its own at the end', async () => {
  const { pool, name } = open()
  await take(pool)
  expect(directoriesOf(name)).toHaveLength(1)
  // as after a kill: the earlier pool was never closed
  const { pool: next } = open(name)
  expect(directoriesOf(name)).toEqual([])
  await take(next)
  next.close()
  expect(directoriesOf(name)).toEqual([])
  expect(await next.take()).toBeUndefined()
})

test('a cleaned-up temporary directory costs nothing', async () => {
  const { pool, name } = open()
  await take(pool)
  for (const entry of directoriesOf(name)) rmSync(join(tmpdir(), entry), { recursive: true })
  expect(await pool.take().then((pipe) => pipe?.close())).toBeUndefined()
  expect(directoriesOf(name)).toHaveLength(1)
})

test('where none can be made there is none', async () => {
  const { pool } = open()
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(await pool.take()).toBeUndefined()
})
