/**
 * Who may reach what, as far as network addresses tell: policies as an operator writes them, made
 * into one short list for each listener. Source: proxy reference, section 7, and W15.
 */
import { inPrefix, type PackedAddress, type PackedPrefix } from '../net/packed-address.ts'

/** What a listener asks about whoever comes; empty: anybody may. */
export type AccessList = readonly AccessEntry[]

/** One policy, as far as it matters for one listener. */
export interface AccessEntry {
  /** Sources it governs. */
  readonly sources: readonly PackedPrefix[]
  /** What its rules say of this listener; `none`: no rule matches. */
  readonly verdict: 'allow' | 'deny' | 'none'
}

/**
 * A deny of any policy that governs this source refuses; else an allow of any of them admits; else
 * a source that is governed is refused, and one that is not is admitted.
 */
export function admits(access: AccessList, source: PackedAddress): boolean {
  let isGoverned = false
  let isAllowed = false
  for (const { sources, verdict } of access) {
    if (!sources.some((prefix) => inPrefix(prefix, source))) continue
    if (verdict === 'deny') return false
    isGoverned = true
    isAllowed ||= verdict === 'allow'
  }
  return isAllowed || !isGoverned
}
