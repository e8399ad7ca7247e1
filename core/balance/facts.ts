/** What the machine of a listener tells its parent, the machine that sends the sets. */
import type { BackendId } from './group.ts'

export type ListenerFact =
  // nothing new goes to a backend missing in `version`
  | { readonly type: 'backends-applied'; readonly version: number }
  // a backend missing in `version`, the one in force, has nothing left that waits for it
  | { readonly type: 'backend-drained'; readonly backend: BackendId; readonly version: number }
  // a backend could not be reached; at most one a second for each
  | { readonly type: 'backend-failed'; readonly backend: BackendId; readonly reason: string }
  // closed, empty, and no backend either (or aborted): this machine may be forgotten
  | { readonly type: 'emptied' }
