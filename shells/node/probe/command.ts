/** Probes that run a command beside a replica, in its environment and directory. */
import type { Readable } from 'node:stream'
import { PipePool } from '../process/pipes.ts'
import { launch, type ProgramEnd, RunningProgram } from '../process/running-program.ts'
import type { ReplicaSurroundings } from '../process/runtime.ts'
import type { ProbeWork } from './run.ts'

export class CommandProbes {
  /** One for the node; made with the first probe, since most nodes have none. */
  #pool: PipePool | undefined

  /** Healthy when `sh -c` exits with 0; ended with all it started when it is over. */
  probe(command: string, around: ReplicaSurroundings | undefined): ProbeWork {
    return async (answer, stop) => {
      if (around === undefined) return answer('the replica is not running')
      const { env, directory } = around
      const node = env.WEIR_NODE ?? ''
      this.#pool ??= new PipePool(`${node}.probes`)
      const out = await this.#pool.take()
      const err = await this.#pool.take()
      const mark = `WEIR_INSTANCE=${env.WEIR_INSTANCE ?? ''}`
      const pipes = out === undefined || err === undefined ? undefined : { out, err }
      const log = new LastErrorLine()
      try {
        if (stop.aborted) return
        const argv = ['sh', '-c', command]
        const launched = launch({ argv, directory, env, mark, pipes, log })
        if (!(launched instanceof RunningProgram)) return answer(await launched.failed)
        stop.addEventListener('abort', () => launched.group.send('SIGKILL'))
        answer(reasonOfEnd(await launched.ended, log.text()))
        await launched.destroy(KILL_BOUND_MS)
      } finally {
        out?.close()
        err?.close()
      }
    }
  }

  close(): void {
    this.#pool?.close()
  }
}

/** Reads everything, keeps the end of stderr. */
class LastErrorLine {
  #end = Buffer.alloc(0)

  capture(stream: 'out' | 'err', output: Readable): Promise<void> {
    return new Promise((resolve) => {
      output.on('data', (chunk: Buffer) => {
        if (stream === 'err') this.#end = Buffer.concat([this.#end, chunk]).subarray(-BYTES_MAX)
      })
      output.on('error', () => output.destroy())
      output.once('close', resolve)
    })
  }

  text(): string {
    const last = this.#end.toString('utf8').trim().split('\n').at(-1) ?? ''
    return last.length > LINE_MAX ? `${last.slice(0, LINE_MAX)}…` : last
  }
}

function reasonOfEnd({ code, signal }: ProgramEnd, lastLine: string): string {
  if (code === 0) return ''
  const what = signal === null ? `exit code ${code}` : `ended by ${signal}`
  return lastLine === '' ? what : `${what}: ${lastLine}`
}

const BYTES_MAX = 4 * 1024
const LINE_MAX = 200
const KILL_BOUND_MS = 5_000
