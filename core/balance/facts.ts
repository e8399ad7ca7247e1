/** What the machine of a listener tells its parent, the machine that sends the sets. */
import type { BackendId } from './group.ts'

export type ListenerFact =
  // nothing new goes to a backend missing in `version`
  | { readonly type: 'backends-applied'; readonly version: number }
  // a backend missing in `version`, the one in force, has nothing left that waits for it
  | { readonly type: 'backend-drained'; readonly backend: BackendId; readonly version: number }
  // a backend could not be reached; at most one a second for each
  | { readonly type: 'backend-failed'; readonly backend: BackendId; readonly reason: string }
  // something waits for a backend, and there is none; once until a set says otherwise
  | { readonly type: 'wanted' }
  // nothing goes through, nor waits, and did not for as long as was configured (0: never said)
  | { readonly type: 'idle' }
  // follows `idle`: it is used again
  | { readonly type: 'busy' }
  // closed, empty, and no backend either (or aborted): this machine may be forgotten
  | { readonly type: 'emptied' }
