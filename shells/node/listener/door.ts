import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { ListenerSettings } from '../../../core/node/commands.ts'

/** A listener and what goes through it, whatever that is; outlives the sockets that lead to it. */
export interface Door {
  /** For what arrives from now on. */
  configure(settings: ListenerSettings): void
  applyBackends(version: number, backends: readonly Backend[]): void
  cutBackend(backend: BackendId): void
  /** Lets in nobody new; `emptied` follows when nothing is left. */
  close(): void
  /** Ends everything at once; `emptied` follows. */
  abort(): void
  /** Forgets a door that is over. */
  dispose(): void
}
