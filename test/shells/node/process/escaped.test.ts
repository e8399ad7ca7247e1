import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ReplicaId, replicaId } from '../../../../core/services/identity.ts'
import { EscapedEnder } from '../../../../shells/node/process/escaped.ts'
import { reapLeftovers } from '../../../../shells/node/process/leftovers.ts'
import { hasEnvironEntry } from '../../../../shells/node/process/processes.ts'
import {
  freshNodeId,
  harness,
  orphan,
  pidIn,
  REPLICA,
  runs,
  shell,
  temporaryDirectory,
  until,
} from './runtime-harness.ts'

const OTHER = replicaId({ deployment: 'hello', service: 'web', number: 1, incarnation: 70 })
const NONE = { ended: [], surviving: [] }

const remove = (attempt: number, replica: ReplicaId = REPLICA) =>
  ({ type: 'remove-replica', replica, attempt }) as const

/** A daemon in a session of its own, whose parents are gone; `$$` is its pid. */
const daemon = (script: string): string => `(setsid sh -c '${script}' &)`

function cleanUp(pid: number): number {
  onTestFinished(() => {
    if (runs(pid)) process.kill(pid, 'SIGKILL')
  })
  return pid
}

describe('when a replica is removed', () => {
  test('the daemon it left behind is ended, said once, and nobody else is', async () => {
    const { start, exited, ask, directory, notices, events } = await harness()
    const [mine, others] = [join(directory, 'mine'), join(directory, 'others')]
    const sleeper = (file: string) => shell(daemon(`echo $$ > ${file}; exec sleep 1000`))
    await start(sleeper(mine))
    await start(sleeper(others), {}, OTHER)
    const pids = [mine, others].map((file) => until(() => pidIn(file)))
    const [pid, other] = (await Promise.all(pids)).map(cleanUp)
    await Promise.all([exited(), exited(OTHER)])
    await ask(remove(1))
    expect([runs(pid ?? 0), runs(other ?? 0)]).toEqual([false, true])
    expect(notices).toEqual([`hello/web-1: ended 1 process (${pid}) outside of its process group`])
    await ask(remove(2, OTHER))
    expect(runs(other ?? 0)).toBe(false)
    expect(events.filter((event) => event.type === 'replica-removed')).toHaveLength(2)
  })

  test('so is one that left a program which still runs; its last words are in the log', async () => {
    const { start, ask, directory, logs } = await harness()
    const file = join(directory, 'pid')
    const script = `trap "echo bye; exit" TERM; echo $$ > ${file}; while :; do sleep 0.05; done`
    await start(shell(`${daemon(script)}; exec sleep 1000`))
    const pid = cleanUp(await until(() => pidIn(file)))
    await ask(remove(1))
    expect(runs(pid)).toBe(false)
    expect(logs.read({ tail: 10 }).map((line) => line.text)).toContain('bye')
  })

  test('one that ignores SIGTERM is killed', async () => {
    const { start, ask, directory, notices } = await harness()
    const file = join(directory, 'pid')
    await start(shell(daemon(`trap "" TERM; echo $$ > ${file}; while :; do sleep 0.05; done`)))
    const pid = cleanUp(await until(() => pidIn(file)))
    await ask(remove(1))
    expect(runs(pid)).toBe(false)
    // a `sleep` it was waiting for may be among them
    expect(notices).toEqual([expect.stringMatching(`ended \\d process(es)? \\(.*\\b${pid}\\b`)])
  })

  test('one that wiped its environment is known by either pipe', async () => {
    const { start, ask, directory } = await harness()
    const started = [1, 2].map(async (number) => {
      const replica = replicaId({ deployment: 'hello', service: 'wiped', number, incarnation: 1 })
      const file = join(directory, `pid${number}`)
      const script = `echo $$ > ${file}; exec env -i /bin/sleep 1000 ${number}>/dev/null`
      await start(shell(daemon(script)), {}, replica)
      const pid = cleanUp(await until(() => pidIn(file)))
      await until(() => !hasEnvironEntry(pid, `WEIR_INSTANCE=${replica}`))
      return { pid, replica }
    })
    const [first, second] = await Promise.all(started)
    await ask(remove(1, first?.replica))
    expect([first, second].map((each) => runs(each?.pid ?? 0))).toEqual([false, true])
    await ask(remove(2, second?.replica))
    expect(runs(second?.pid ?? 0)).toBe(false)
  })

  test('where nothing was left, nothing is said', async () => {
    const { start, ask, notices } = await harness()
    await start(['sleep', '1000'])
    await ask(remove(1))
    expect(notices).toEqual([])
  })
})

function open(nodeId: string, graceMs = 10_000): EscapedEnder {
  const ender = new EscapedEnder({ nodeId, graceMs })
  onTestFinished(() => ender.close())
  return ender
}

async function marked(nodeId: string, instance: string, script = 'exec sleep 1000') {
  const pid = orphan(script, { WEIR_NODE: nodeId, WEIR_INSTANCE: instance })
  await until(() => hasEnvironEntry(pid, `WEIR_INSTANCE=${instance}`))
  return pid
}

describe('which processes', () => {
  test('both marks and exactly; not one alone, not those of a like name', async () => {
    const nodeId = freshNodeId()
    const ours = await marked(nodeId, REPLICA)
    const others = [
      await marked(nodeId, `${REPLICA}0`),
      await marked(nodeId, `x${REPLICA}`),
      await marked(`${nodeId}0`, REPLICA),
      orphan('exec sleep 1000', { WEIR_INSTANCE: REPLICA }),
      orphan('exec sleep 1000', { WEIR_NODE: nodeId }),
      orphan('exec sleep 1000', { WEIR_NODE: nodeId, TEXT: `x WEIR_INSTANCE=${REPLICA}` }),
    ]
    const ender = open(nodeId)
    const answer = await ender.end({ replica: REPLICA, pipes: [] })
    expect(answer).toEqual({ ended: [ours], surviving: [] })
    expect([runs(ours), ...others.map(runs)]).toEqual([false, ...others.map(() => true)])
  })

  test('what it starts while it is being ended is ended, too', async () => {
    const nodeId = freshNodeId()
    const file = join(temporaryDirectory(), 'pid')
    const heir = `setsid sh -c "echo \\$\\$ > ${file}; exec sleep 1000" >/dev/null 2>&1 &`
    const wait = `until [ -s ${file} ]; do sleep 0.01; done`
    const script = `trap '${heir} ${wait}; exit' TERM; echo > ${file}.ready; while :; do sleep 0.05; done`
    const first = await marked(nodeId, REPLICA, script)
    await until(() => pidIn(`${file}.ready`) !== undefined)
    const ender = open(nodeId)
    const { ended, surviving } = await ender.end({ replica: REPLICA, pipes: [] })
    const second = cleanUp(pidIn(file) ?? 0)
    expect(ended).toEqual(expect.arrayContaining([first, second]))
    expect([runs(first), runs(second), surviving]).toEqual([false, false, []])
  })
})

describe('many at a time, and the end', () => {
  test('a thousand removals at a time look once, and each gets its own answer', async () => {
    const nodeId = freshNodeId()
    const ender = open(nodeId)
    const name = (number: number): ReplicaId =>
      replicaId({ deployment: 'hello', service: 'many', number, incarnation: 1 })
    const all = Array.from({ length: 1_000 }, (_, index) => ({
      replica: name(index + 1),
      pipes: [],
    }))
    await Promise.all(all.map((marks) => ender.end(marks)))
    expect(ender.passes).toBe(1)
    const pids = [await marked(nodeId, name(7)), await marked(nodeId, name(700))]
    const answers = await Promise.all(all.map((marks) => ender.end(marks)))
    const found = answers.flatMap(({ ended }, index) => (ended.length > 0 ? [[index, ended]] : []))
    expect(found).toEqual([
      [6, [pids[0]]],
      [699, [pids[1]]],
    ])
    // one for all, and at most one for each of the two to see that nothing came after
    expect(ender.passes).toBeLessThanOrEqual(4)
  })

  test('whoever asks while a pass is under way is served by a later one', async () => {
    const nodeId = freshNodeId()
    const ender = open(nodeId)
    const first = ender.end({ replica: OTHER, pipes: [] })
    await until(() => ender.passes === 1)
    const pid = await marked(nodeId, REPLICA)
    const second = await ender.end({ replica: REPLICA, pipes: [] })
    expect([await first, second]).toEqual([NONE, { ended: [pid], surviving: [] }])
  })

  test('closed: what is being ended is killed at once, and nothing is looked for', async () => {
    const nodeId = freshNodeId()
    const file = join(temporaryDirectory(), 'pid')
    const script = `trap "echo 1 > ${file}" TERM; echo > ${file}.ready; while :; do sleep 0.05; done`
    const pid = await marked(nodeId, REPLICA, script)
    await until(() => pidIn(`${file}.ready`) !== undefined)
    const ender = open(nodeId, 3_600_000)
    const ending = ender.end({ replica: REPLICA, pipes: [] })
    await until(() => pidIn(file))
    const waiting = ender.end({ replica: OTHER, pipes: [] })
    const { passes } = ender
    await ender.close()
    expect(runs(pid)).toBe(false)
    expect(await ending).toMatchObject({ surviving: [] })
    expect(await waiting).toEqual(NONE)
    expect(await ender.end({ replica: REPLICA, pipes: [] })).toEqual(NONE)
    expect(ender.passes).toBe(passes)
  })

  test('a node whose scope is closed leaves no timer, no socket and none of its groups', async () => {
    const script = join(import.meta.dirname, 'closed-node.ts')
    const nodeId = freshNodeId()
    const run = promisify(execFile)
    // a daemon whose removal was cut short is for the next start
    onTestFinished(() =>
      reapLeftovers({ nodeId, graceMs: 1_000, ownGroups: new Set() }).then(() => {}),
    )
    const { stdout } = await run(process.execPath, [script, nodeId, temporaryDirectory()])
    expect(JSON.parse(stdout)).toEqual({ healthy: true, left: [] })
  })
})
