/** A process runtime with its logs in a directory of its own, and the events it reports. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { onTestFinished } from 'vitest'
import type { Program, RuntimeCommand } from '../../../../core/node/commands.ts'
import type { RuntimeEvent } from '../../../../core/node/events.ts'
import { type ReplicaId, replicaId } from '../../../../core/services/identity.ts'
import { type LogStore, makeLogStore } from '../../../../shells/node/log/store.ts'
import { makeProcessRuntime, type ProcessRuntime } from '../../../../shells/node/process/runtime.ts'

export const REPLICA = replicaId({ deployment: 'hello', service: 'web', number: 1, incarnation: 7 })
export const LOGS = { destination: 'disk', bytesMax: 1024 * 1024, retentionMs: 0 } as const

export interface Harness {
  readonly runtime: ProcessRuntime
  readonly logs: LogStore
  readonly events: RuntimeEvent[]
  readonly notices: string[]
  readonly directory: string
  readonly nodeId: string
  /** Applies and waits for what it is answered with; fails should that come while it is applied. */
  ask(command: RuntimeCommand): Promise<RuntimeEvent>
  /** Creates and starts; gives the pid. */
  start(argv: readonly string[], more?: Partial<Program>, replica?: ReplicaId): Promise<number>
  exited(replica?: ReplicaId): Promise<Extract<RuntimeEvent, { type: 'replica-exited' }>>
  close(): Promise<void>
}

export async function harness(host?: NodeJS.ProcessEnv): Promise<Harness> {
  const directory = temporaryDirectory()
  const nodeId = freshNodeId()
  const events: RuntimeEvent[] = []
  const notices: string[] = []
  const scope = Scope.makeUnsafe()
  const notice = (text: string): void => void notices.push(text)
  let applying = false
  const report = (event: RuntimeEvent): void => {
    if (applying) throw new Error(`reported while a command was applied: ${event.type}`)
    events.push(event)
  }
  const logs = await Effect.runPromise(
    Scope.provide(makeLogStore({ directory: join(directory, 'logs'), notice }), scope),
  )
  const options = { nodeId, logs, report, notice, ...(host === undefined ? {} : { host }) }
  const runtime = await Effect.runPromise(Scope.provide(makeProcessRuntime(options), scope))
  const close = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  onTestFinished(close)
  let attempts = 1_000
  const ask = (command: RuntimeCommand): Promise<RuntimeEvent> => {
    applying = true
    runtime.apply(command)
    applying = false
    const isAnswer = (event: RuntimeEvent): boolean =>
      'attempt' in event && 'attempt' in command && event.attempt === command.attempt
    return until(() => events.find(isAnswer))
  }
  const start: Harness['start'] = async (argv, more, replica = REPLICA) => {
    const program = { ...programOf(argv, directory), ...more }
    const created = await ask({ type: 'create-replica', replica, attempt: ++attempts, program })
    if (created.type !== 'replica-created') throw new Error(JSON.stringify(created))
    const started = await ask({ type: 'start-replica', replica, attempt: ++attempts })
    if (started.type !== 'replica-started') throw new Error(JSON.stringify(started))
    return started.pid
  }
  const exited: Harness['exited'] = (replica = REPLICA) =>
    until(() => {
      const found = events.find(
        (each) => each.type === 'replica-exited' && each.replica === replica,
      )
      return found?.type === 'replica-exited' ? found : undefined
    })
  return { runtime, logs, events, notices, directory, nodeId, ask, start, exited, close }
}

export const programOf = (argv: readonly string[], directory: string): Program => ({
  argv,
  directory,
  env: {},
  envInherit: [],
  ports: {},
  udpEndpoints: [],
  logs: LOGS,
})

export const shell = (script: string): string[] => ['sh', '-c', script]
export const node = (script: string): string[] => [process.execPath, '-e', script]

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'weir-test-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export const freshNodeId = (): string =>
  [...crypto.getRandomValues(new Uint8Array(8))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')

/** Waits for a condition; the bound is only for a test that fails. */
export async function until<T>(look: () => T | undefined | false): Promise<T> {
  const giveUpAt = performance.now() + 20_000
  for (;;) {
    const found = look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > giveUpAt) throw new Error(`never came true: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Starts a program that nobody is the parent of any more, as a dead node leaves it. */
export function orphan(script: string, env: Record<string, string>): number {
  const text = execFileSync(
    'sh',
    ['-c', 'setsid sh -c "$1" >/dev/null 2>&1 & echo $!', '-', script],
    {
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    },
  )
  const pid = Number(text)
  onTestFinished(() => {
    if (runs(pid)) process.kill(pid, 'SIGKILL')
  })
  return pid
}

/** A file a test program wrote a pid into. */
export const pidIn = (path: string): number | undefined => {
  try {
    const text = readFileSync(path, 'utf8')
    return text.endsWith('\n') ? Number(text) : undefined
  } catch {
    return undefined
  }
}

/** Is it running, as far as anyone can tell? A zombie is not. */
export function runs(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? 'Z')
  } catch {
    return false
  }
}
