/**
 * The binding matrix: where an endpoint listens (proxy reference, section 3). One pure function; its
 * table is in docs/publish.md.
 */

export interface Binding {
  readonly host: string
  readonly purpose: Purpose
  /** `published`: only while there is a backend. */
  readonly bind: 'always' | 'published'
  /** A machine without IPv6 goes on without it. */
  readonly isOptional: boolean
}

/** Why a socket is there. */
export type Purpose = 'public' | 'internal' | 'loopback' | 'mapping'

export interface Exposure {
  readonly expose: 'public' | 'internal'
  /** Whether it is also to be reached through the loopback addresses of the host. */
  readonly isOnLoopback: boolean
}

/**
 * `internal`: addresses of this node in its internal (overlay) network, IPv4 or IPv6; none: there is
 * no such network, and internal endpoints are on loopback.
 */
export function bindingsOf(
  { expose, isOnLoopback }: Exposure,
  internal: readonly string[],
): readonly Binding[] {
  if (expose === 'public') return pair('0.0.0.0', '::', 'public', 'always')
  if (internal.length === 0) return pair('127.0.0.1', '::1', 'internal', 'always')
  const own = internal.map(
    (host): Binding => ({ host, purpose: 'internal', bind: 'always', isOptional: false }),
  )
  return isOnLoopback ? [...own, ...pair('127.0.0.1', '::1', 'loopback', 'published')] : own
}

const pair = (
  v4: string,
  v6: string,
  purpose: Purpose,
  bind: Binding['bind'],
): readonly Binding[] => [
  { host: v4, purpose, bind, isOptional: false },
  { host: v6, purpose, bind, isOptional: true },
]

/** What a service's `localhost_reachability` and scale decide (proxy reference, section 5). */
export interface Reachability {
  readonly policy: 'auto' | 'always' | 'never'
  readonly isSingleMember: boolean
}

export const isPublishedOnLoopback = ({ policy, isSingleMember }: Reachability): boolean =>
  policy === 'always' || (policy === 'auto' && isSingleMember)

/** How many replicas a service may come to have. */
export interface Membership {
  /** Of its replica groups, if it has any: they override the scale. */
  readonly groups: readonly number[]
  readonly scale:
    | { readonly mode: 'fixed'; readonly replicas: number }
    | { readonly mode: 'adaptive'; readonly max: number }
    | { readonly mode: 'manual' }
}

/** Never more than one replica by its file; one scaled by hand always counts as single. */
export function isSingleMember({ groups, scale }: Membership): boolean {
  if (groups.length > 0) {
    return groups.length === 1 && groups.reduce((sum, count) => sum + count, 0) <= 1
  }
  switch (scale.mode) {
    case 'fixed':
      return scale.replicas <= 1
    case 'adaptive':
      return scale.max <= 1
    case 'manual':
      return true
  }
}
