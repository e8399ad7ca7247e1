/** What the planner of certificates wants done. */
import type { Attempt } from '../machine.ts'

export type AcmeCommand =
  // tell what is in use: `certificates`
  | { readonly type: 'look' }
  // get one and put it in its place: `issued` or `failed`, with this attempt; at most one at a time
  | { readonly type: 'order'; readonly attempt: Attempt; readonly name: string }
  // give it up; whatever it answers is stale
  | { readonly type: 'cancel-order'; readonly attempt: Attempt }
  | { readonly type: 'notice'; readonly level: 'info' | 'warn'; readonly text: string }
