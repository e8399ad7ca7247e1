/**
 * A program of its own for tests: takes a state directory as a node does, says `held NODEID` or
 * `refused TAG PID`, and holds it until its standard input ends.
 */
import { once } from 'node:events'
import { Effect } from 'effect'
import { makeOperatorServer } from '../../../../shells/node/operator/server.ts'
import { openStateDirectory } from '../../../../shells/node/state/directory.ts'

const [directory = '', mode = ''] = process.argv.slice(2)
const version = {
  name: 'weir',
  version: 'test',
  pid: process.pid,
  node: '',
  state: directory,
  since: new Date().toISOString(),
} as const

const program = Effect.scoped(
  Effect.gen(function* () {
    const log = () => {}
    const state = yield* openStateDirectory({ path: directory, version: 'test', log })
    if (mode !== 'without-server') {
      yield* makeOperatorServer({
        socketPlaces: state.socketPlaces,
        version: () => version,
        log,
      })
    }
    console.log(`held ${state.nodeId}`)
    process.stdin.resume()
    yield* Effect.promise(() => once(process.stdin, 'end'))
    state.leave()
  }),
).pipe(
  Effect.catchTag('AlreadyRunning', ({ pid }) =>
    Effect.sync(() => console.log(`refused AlreadyRunning ${pid}`)),
  ),
  Effect.catchTag('StateUnusable', ({ reason }) =>
    Effect.sync(() => console.log(`refused StateUnusable ${reason}`)),
  ),
)
await Effect.runPromise(program)
