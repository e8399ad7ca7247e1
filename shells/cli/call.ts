/** One call of the command: reads the words, runs them, and turns whatever happens into an exit code. */
import { CommanderError } from 'commander'
import { DONE, describeFailure, FAILED, WRONG_CALL } from './failure.ts'
import { weirProgram } from './program.ts'
import type { Terminal } from './screen/terminal.ts'

export async function runCall(terminal: Terminal, words: readonly string[]): Promise<number> {
  const nodeVersion = process.versions.node
  if (Number.parseInt(nodeVersion, 10) < NODE_MAJOR_MIN) {
    terminal.error(
      `weir: needs Node ${NODE_MAJOR_MIN} or newer, this is ${nodeVersion} (${process.execPath})\n`,
    )
    return FAILED
  }
  let exitCode = DONE
  try {
    const program = weirProgram(terminal, words, (code) => {
      exitCode = code
    })
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    // commander has printed its message already; help that was asked for is no mistake
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_CALL
    const failure = describeFailure(error)
    for (const line of failure.lines) terminal.error(`${line}\n`)
    return failure.exitCode
  }
}

// package.json's `engines` binds npm, and nobody who copies the one built file
const NODE_MAJOR_MIN = 24
