import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { ListenerSettings } from '../../../core/node/commands.ts'

/** A listener and what goes through it, whatever that is; outlives its listening socket. */
export interface Door {
  /** Resolves to the bound address, rejects with the system's error; may be called again then. */
  listen(host: string, port: number): Promise<string>
  /** For what arrives from now on. */
  configure(settings: ListenerSettings): void
  applyBackends(version: number, backends: readonly Backend[]): void
  cutBackend(backend: BackendId): void
  /** Admits nobody new. Resolves when the port is free. */
  close(): Promise<void>
  /** Ends everything at once; `emptied` follows. */
  abort(): void
  /** Forgets a door that never listened, or is over. */
  dispose(): void
  /** Nothing would be lost with it. */
  readonly isEmpty: boolean
}
