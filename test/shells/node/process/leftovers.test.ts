import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findLeftovers, reapLeftovers } from '../../../../shells/node/process/leftovers.ts'
import { PipePool } from '../../../../shells/node/process/pipes.ts'
import { hasEnvironEntry } from '../../../../shells/node/process/processes.ts'
import {
  freshNodeId,
  harness,
  orphan,
  pidIn,
  REPLICA,
  runs,
  temporaryDirectory,
  until,
} from './runtime-harness.ts'

const NONE: ReadonlySet<number> = new Set()

test('what carries the mark is ended; nothing else is', async () => {
  const nodeId = freshNodeId()
  const ours = orphan('exec sleep 1000', { WEIR_NODE: nodeId })
  const others = [
    orphan('exec sleep 1000', { WEIR_NODE: `${nodeId}0` }),
    orphan('exec sleep 1000', { NOT_WEIR_NODE: nodeId }),
    orphan('exec sleep 1000', { TEXT: `x WEIR_NODE=${nodeId}` }),
  ]
  await until(() => hasEnvironEntry(ours, `WEIR_NODE=${nodeId}`))
  const answer = await reapLeftovers({ nodeId, graceMs: 10_000, ownGroups: NONE })
  expect(answer).toEqual({ reaped: [ours], surviving: [] })
  expect(runs(ours)).toBe(false)
  expect(others.map(runs)).toEqual([true, true, true])
})

test('what ignores SIGTERM is killed after the grace, with the children that left its group', async () => {
  const nodeId = freshNodeId()
  const file = join(temporaryDirectory(), 'pid')
  const child = `setsid sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.05; done'`
  const stubborn = orphan(`trap "" TERM; ${child} & while :; do sleep 0.05; done`, {
    WEIR_NODE: nodeId,
  })
  const escaped = await until(() => pidIn(file))
  const answer = await reapLeftovers({ nodeId, graceMs: 100, ownGroups: NONE })
  expect(answer.reaped).toEqual(expect.arrayContaining([stubborn, escaped]))
  expect(answer.surviving).toEqual([])
  expect([runs(stubborn), runs(escaped)]).toEqual([false, false])
})

test('what a leftover starts while it is being ended is ended, too', async () => {
  const nodeId = freshNodeId()
  const file = join(temporaryDirectory(), 'pid')
  const heir = `setsid sh -c "echo \\$\\$ > ${file}; exec sleep 1000" >/dev/null 2>&1 &`
  const pid = orphan(
    `trap '${heir} exit' TERM; touch ${file}.ready; while :; do sleep 0.05; done`,
    {
      WEIR_NODE: nodeId,
    },
  )
  await until(() => existsSync(`${file}.ready`))
  await until(() => hasEnvironEntry(pid, `WEIR_NODE=${nodeId}`))
  const answer = await reapLeftovers({ nodeId, graceMs: 10_000, ownGroups: NONE })
  const newcomer = pidIn(file)
  if (newcomer !== undefined) expect(runs(newcomer)).toBe(false)
  expect(answer.surviving).toEqual([])
  expect(findLeftovers({ nodeId, ownGroups: NONE })).toEqual([])
})

test('we, our ancestors and what this life of the node started are no leftovers', async () => {
  const { start, ask, nodeId, exited, runtime } = await harness()
  const pid = await start(['sleep', '1000'])
  expect(hasEnvironEntry(pid, `WEIR_NODE=${nodeId}`)).toBe(true)
  const answer = await ask({ type: 'reap-leftovers', attempt: 1, graceMs: 5_000 })
  expect(answer).toEqual({ type: 'leftovers-reaped', attempt: 1, reaped: [], surviving: [] })
  expect(runs(pid)).toBe(true)
  runtime.apply({ type: 'signal-replica', replica: REPLICA, signal: 'SIGKILL' })
  await exited()
})

test('a child of ours outside of all groups we know is no leftover', async () => {
  const nodeId = freshNodeId()
  const env = { PATH: process.env.PATH, WEIR_NODE: nodeId }
  const child = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true, env })
  onTestFinished(() => void child.kill('SIGKILL'))
  await until(() => hasEnvironEntry(child.pid ?? 0, `WEIR_NODE=${nodeId}`))
  expect(findLeftovers({ nodeId, ownGroups: NONE })).toEqual([])
})

/** Runs a real node's runtime in a process of its own, and kills that once its program runs. */
async function afterKillOf(nodeId: string, argv: readonly string[]): Promise<number> {
  const script = join(import.meta.dirname, 'dead-node.ts')
  const args = [script, nodeId, temporaryDirectory(), ...argv]
  const dead = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void dead.kill('SIGKILL'))
  let printed = ''
  dead.stdout.on('data', (chunk) => {
    printed += chunk
  })
  const pid = Number(await until(() => /^(\d+)\n/.exec(printed)?.[1]))
  const gone = new Promise((resolve) => dead.once('exit', resolve))
  // what the next life does at its start: it clears away the pipes of the dead one
  onTestFinished(() => new PipePool(nodeId).close())
  dead.kill('SIGKILL')
  await gone
  onTestFinished(() => {
    if (runs(pid)) process.kill(pid, 'SIGKILL')
  })
  return pid
}

test('after a kill of the node its programs are found, whatever became of its files', async () => {
  const { ask, nodeId } = await harness()
  const pid = await afterKillOf(nodeId, ['sleep', '1000'])
  expect(runs(pid)).toBe(true)
  const answer = await ask({ type: 'reap-leftovers', attempt: 1, graceMs: 10_000 })
  expect(answer).toMatchObject({ reaped: [pid], surviving: [] })
  expect(runs(pid)).toBe(false)
})

test('a program that wiped its environment is found by the pipe it prints into', async () => {
  const { ask, nodeId } = await harness()
  const pid = await afterKillOf(nodeId, ['env', '-i', '/bin/sleep', '1000'])
  await until(() => !hasEnvironEntry(pid, `WEIR_NODE=${nodeId}`))
  const answer = await ask({ type: 'reap-leftovers', attempt: 1, graceMs: 10_000 })
  expect(answer).toMatchObject({ reaped: [pid], surviving: [] })
  expect(runs(pid)).toBe(false)
})
