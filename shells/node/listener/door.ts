import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { DoorCommand, ListenerSettings } from '../../../core/node/commands.ts'

export type WhenEmpty = Extract<DoorCommand, { type: 'apply-backends' }>['whenEmpty']

/** A listener and what goes through it, whatever that is; outlives the sockets that lead to it. */
export interface Door {
  /** For what arrives from now on. */
  configure(settings: ListenerSettings): void
  /** `whenEmpty`: without a backend to choose, what comes is held and `wanted` said, or is refused. */
  applyBackends(version: number, backends: readonly Backend[], whenEmpty: WhenEmpty): void
  cutBackend(backend: BackendId): void
  /** Lets in nobody new; `emptied` follows when nothing is left. */
  close(): void
  /** Ends everything at once; `emptied` follows. */
  abort(): void
  /** Forgets a door that is over. */
  dispose(): void
}
