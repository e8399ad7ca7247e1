/** Calls the command inside the test's own process: much faster than starting it. */
import { runCall } from '../../../shells/cli/call.ts'
import type { Ran } from './run-weir.ts'

/** On a pipe that only remembers. */
export async function callWeir(words: readonly string[]): Promise<Ran> {
  let out = ''
  let err = ''
  const terminal = {
    colour: false,
    errorColour: false,
    interactive: false,
    columns: () => undefined,
    rows: () => 24,
    readerGone: new AbortController().signal,
    out: (text: string) => {
      out += text
    },
    error: (text: string) => {
      err += text
    },
    drained: async () => undefined,
  }
  return { code: await runCall(terminal, words), out, err }
}
