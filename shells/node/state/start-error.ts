/** Why a node cannot start. */
import { Data } from 'effect'

export type NodeStartError = AlreadyRunning | StateUnusable

export class AlreadyRunning extends Data.TaggedError('AlreadyRunning')<{
  /** 0 when it does not say. */
  readonly pid: number
  readonly socket: string
}> {
  override get message(): string {
    const who = this.pid === 0 ? 'a process that does not answer' : `pid ${this.pid}`
    return `a node runs on this state directory already (${who}); stop it with \`weir down\``
  }
}

export class StateUnusable extends Data.TaggedError('StateUnusable')<{
  readonly path: string
  readonly reason: string
}> {
  override get message(): string {
    return `the state directory ${this.path} cannot be used: ${this.reason}; give another with --state`
  }
}
