/** A program of its own for tests: runs a node until it is killed; says `ready` when it is. */
import fs from 'node:fs'
import { Effect } from 'effect'
import { startNode } from '../../../shells/node/run.ts'

const [stateDirectory = '', file = '', directory = ''] = process.argv.slice(2)

await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const node = yield* startNode({ stateDirectory, version: '1.2.3', log: () => {} })
      yield* Effect.promise(async () => {
        await node.deploy({ text: fs.readFileSync(file, 'utf8'), file, directory })
        await node.settled('test-shop')
        console.log('ready')
        await node.stopped
      })
    }),
  ),
)
