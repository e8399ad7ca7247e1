/** A node that is killed: starts one program in its runtime, prints its pid, waits for its end. */
import { Effect } from 'effect'
import { replicaId } from '../../../../core/services/identity.ts'
import { makeLogStore } from '../../../../shells/node/log/store.ts'
import { makeProcessRuntime } from '../../../../shells/node/process/runtime.ts'

const [nodeId = '', directory = '', ...argv] = process.argv.slice(2)
const replica = replicaId({ deployment: 'hello', service: 'web', number: 1, incarnation: 1 })
const notice = (text: string): void => console.error(text)

const program = Effect.gen(function* () {
  const logs = yield* makeLogStore({ directory, notice })
  const runtime = yield* makeProcessRuntime({
    nodeId,
    logs,
    notice,
    report: (event) => {
      if (event.type === 'replica-created') {
        runtime.apply({ type: 'start-replica', replica, attempt: 2 })
      }
      if (event.type === 'replica-started') console.log(event.pid)
    },
  })
  runtime.apply({
    type: 'create-replica',
    replica,
    attempt: 1,
    program: {
      argv,
      directory,
      env: {},
      envInherit: [],
      ports: {},
      udpEndpoints: [],
      logs: { destination: 'memory', bytesMax: 1_000, retentionMs: 0 },
    },
  })
  return yield* Effect.never
})
await Effect.runPromise(Effect.scoped(program))
