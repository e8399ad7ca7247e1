/** How a command says that it could not do its work: one line, and the exit code. */

import { getSystemErrorMessage } from 'node:util'

export const DONE = 0
export const FAILED = 1
export const WRONG_CALL = 2

/** Ends a command. `lines` go to standard error as they are. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly exitCode: number
  readonly lines: readonly string[]

  constructor(exitCode: number, lines: readonly string[]) {
    super(lines.join('\n'))
    this.exitCode = exitCode
    this.lines = lines
  }
}

/** The work could not be done: exit 1. */
export const failed = (text: string): Failure => new Failure(FAILED, [`weir: ${text}`])

/** The call makes no sense: exit 2. */
export const wrongCall = (text: string): Failure => new Failure(WRONG_CALL, [`weir: ${text}`])

/** Any error, as lines for standard error and an exit code. Loads nothing. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (!(error instanceof Error)) return failed(`internal error: ${String(error)}`)
  // the client's errors, known by name: importing them here would load the client for every call
  if (error.name === 'NotRunning') return failed(oneLine(error.message))
  if (error.name === 'OperatorError') {
    const { problems, code } = error as Error & { problems?: readonly string[]; code?: string }
    const exitCode = code === 'invalid' && !problems?.length ? WRONG_CALL : FAILED
    if (problems !== undefined && problems.length > 0) return new Failure(exitCode, problems)
    return new Failure(exitCode, [`weir: ${oneLine(error.message)}`])
  }
  const { code, syscall } = error as NodeJS.ErrnoException
  if (code !== undefined && syscall !== undefined) return failed(oneLine(error.message))
  // a bug: its stack is worth more than a tidy line
  return new Failure(FAILED, [`weir: internal error: ${error.stack ?? error.message}`])
}

/** `permission denied`: what the system said, without its code, call and path. */
export function systemText(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException
  return typeof errno === 'number' ? getSystemErrorMessage(errno) : message
}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, ' ')
