/** A node that ends in order, with a daemon, a removal and a health command under way. */
import { setTimeout as pause } from 'node:timers/promises'
import { Effect, Exit, Scope } from 'effect'
import type { NodeEvent } from '../../../../core/node/events.ts'
import { replicaId } from '../../../../core/services/identity.ts'
import { makeLogStore } from '../../../../shells/node/log/store.ts'
import { makeProbes } from '../../../../shells/node/probe/probes.ts'
import { makeProcessRuntime } from '../../../../shells/node/process/runtime.ts'

const [nodeId = '', directory = ''] = process.argv.slice(2)
const scope = Scope.makeUnsafe()
const events: NodeEvent[] = []
const report = (event: NodeEvent): void => void events.push(event)
const notice = (): void => {}
const open = <T>(made: Effect.Effect<T, never, Scope.Scope>): Promise<T> =>
  Effect.runPromise(Scope.provide(made, scope))
const seen = async (type: NodeEvent['type'], count = 1): Promise<void> => {
  while (events.filter((event) => event.type === type).length < count) await pause(5)
}

const logs = await open(makeLogStore({ directory, notice }))
const runtime = await open(makeProcessRuntime({ nodeId, logs, notice, report }))
const environmentOf = runtime.environmentOf.bind(runtime)
const probes = await open(makeProbes({ report, environmentOf }))
const [first, second] = [1, 2].map((number) =>
  replicaId({ deployment: 'hello', service: 'web', number, incarnation: 1 }),
) as [ReturnType<typeof replicaId>, ReturnType<typeof replicaId>]
for (const replica of [first, second]) {
  const logs = { destination: 'memory', bytesMax: 1_000, retentionMs: 0 } as const
  const argv = ['sh', '-c', '(setsid sleep 1000 &); exec sleep 1000']
  const program = { argv, directory, env: {}, envInherit: [], ports: {}, udpEndpoints: [], logs }
  runtime.apply({ type: 'create-replica', replica, attempt: 1, program })
}
await seen('replica-created', 2)
for (const replica of [first, second]) {
  runtime.apply({ type: 'start-replica', replica, attempt: 2 })
}
await seen('replica-started', 2)
const probe = { type: 'probe', timeoutMs: 60_000, replica: first, check: 'main' } as const
probes.apply({ ...probe, attempt: 3, target: { type: 'command', command: 'true' } })
await seen('probe-result')
probes.apply({ ...probe, attempt: 4, target: { type: 'command', command: 'sleep 1000' } })
runtime.apply({ type: 'remove-replica', replica: second, attempt: 5 })
await seen('replica-removed')
runtime.apply({ type: 'remove-replica', replica: first, attempt: 6 })
await Effect.runPromise(Scope.close(scope, Exit.void))
// what is closed goes from the list in the next turn
await new Promise((resolve) => setImmediate(resolve))
const OURS = ['PipeWrap', 'TTYWrap', 'CloseReq']
const left = process.getActiveResourcesInfo().filter((name) => !OURS.includes(name))
const healthy = events.some((event) => event.type === 'probe-result' && event.ok)
process.stdout.write(JSON.stringify({ healthy, left }))
