/** Who is in the way of a claim: one port has one owner, or tenants that share it. */
import type { Claim, Owner, PortConflict, Tenancy, Wish } from '../claim.ts'
import { covers, overlaps, type Reach, reachOf } from './overlap.ts'
import { type LedgerState, type PortRecord, portKey, type SocketRecord } from './state.ts'

interface Asked {
  readonly owner: Owner
  readonly claim: Claim
  readonly reach: Reach
}

/**
 * The first one for each claim, in the order of the claims. What an owner has and keeps comes before
 * what anybody asks for anew: nobody loses a port because of the order of wishes.
 */
export function conflictsOf(state: LedgerState, wishes: readonly Wish[]): PortConflict[] {
  const wished = new Map(wishes.map((wish) => [wish.owner, wish]))
  const before = new Map<string, Asked[]>()
  const asked = wishes.flatMap(({ owner, claims }) =>
    claims.filter(({ port }) => port !== 0).map((claim) => askedBy(owner, claim)),
  )
  const isKept = new Map(asked.map((each) => [each, keeps(state, each)]))
  for (const each of asked) if (isKept.get(each) === true) remember(before, each)
  const found: PortConflict[] = []
  for (const each of asked) {
    if (isKept.get(each) === true) continue
    const port = state.ports.get(keyOf(each))
    const conflict =
      amongClaims(each, port?.claims ?? [], (owner) => !wished.has(owner)) ??
      amongClaims(each, before.get(keyOf(each)) ?? [], () => true) ??
      amongSockets(each, port, wished)
    if (conflict !== undefined) found.push(conflict)
    remember(before, each)
  }
  return found
}

const askedBy = (owner: Owner, claim: Claim): Asked => ({
  owner,
  claim,
  reach: reachOf(claim.host, claim.isV6Only),
})

const keyOf = ({ claim: { namespace, port } }: Asked): string => portKey(namespace, port)

function remember(before: Map<string, Asked[]>, asked: Asked): void {
  const others = before.get(keyOf(asked))
  if (others === undefined) before.set(keyOf(asked), [asked])
  else others.push(asked)
}

/** It was granted the same already. */
function keeps({ ports }: LedgerState, asked: Asked): boolean {
  for (const { owner, claim } of ports.get(keyOf(asked))?.claims ?? []) {
    if (owner !== asked.owner || !isSamePlace(claim, asked.claim)) continue
    if (isSameTenancy(claim.tenancy, asked.claim.tenancy)) return true
  }
  return false
}

const isSameTenancy = (a: Claim['tenancy'], b: Claim['tenancy']): boolean =>
  a?.tls === b?.tls && a?.route === b?.route && a?.terms === b?.terms

function amongClaims(
  asked: Asked,
  claims: Iterable<Asked>,
  counts: (owner: Owner) => boolean,
): PortConflict | undefined {
  for (const other of claims) {
    if (other.owner === asked.owner || !counts(other.owner)) continue
    if (!overlaps(other.reach, asked.reach)) continue
    const a = other.claim.tenancy
    const b = asked.claim.tenancy
    if (!mayShare(a, b)) return conflictWith(asked, other)
    if (a?.route === b?.route) return { ...conflictWith(asked, other), route: b!.route }
  }
  return undefined
}

/** With routes of their own, that is. */
export const mayShare = (a: Tenancy | undefined, b: Tenancy | undefined): boolean =>
  a !== undefined && b !== undefined && a.tls === b.tls && a.terms === b.terms

/** Sockets that no claim of this port stands for: on their way out, or put here by the kernel. */
function amongSockets(
  asked: Asked,
  port: PortRecord | undefined,
  wished: ReadonlyMap<Owner, Wish>,
): PortConflict | undefined {
  if (port === undefined) return undefined
  for (const socket of port.sockets) {
    if (!overlaps(socket.reach, asked.reach)) continue
    if (socket.state === 'releasing') {
      const { leavers } = socket
      if (leavers.some((each) => each === asked.owner || wished.has(each))) continue
      // Whoever has it already, or shares it with who has, waits for the close with them.
      if (isGranted(asked, port, wished)) continue
      return { ...conflictWith(asked, { owner: leavers[0]! }), isLeaving: true }
    }
    const holder = socket.asked === 0 ? keeperOf(socket, wished) : undefined
    if (holder !== undefined && holder !== asked.owner) {
      return conflictWith(asked, { owner: holder })
    }
  }
  return undefined
}

/** Who goes on to have the port that the kernel picked, unless the wish gives it up. */
function keeperOf(socket: SocketRecord, wished: ReadonlyMap<Owner, Wish>): Owner | undefined {
  const { owner, claim } = socket.carries[0]!
  const wish = wished.get(owner)
  if (wish === undefined) return owner
  const next = wish.claims.find(({ id }) => id === claim.id)
  return next !== undefined && isSamePlace(next, claim) ? owner : undefined
}

function isGranted(asked: Asked, port: PortRecord, wished: ReadonlyMap<Owner, Wish>): boolean {
  for (const { owner, reach } of port.claims) {
    if (owner !== asked.owner && wished.has(owner)) continue
    if (covers(reach, asked.reach)) return true
  }
  return false
}

function conflictWith({ claim, owner }: Asked, other: { readonly owner: Owner }): PortConflict {
  const { namespace, host, port } = claim
  return { namespace, host, port, owner: other.owner, requester: owner, isLeaving: false }
}

/** Whether a socket for the one does for the other. */
export function isSamePlace(a: Claim, b: Claim): boolean {
  return (
    a.namespace === b.namespace &&
    a.port === b.port &&
    reachOf(a.host, a.isV6Only).key === reachOf(b.host, b.isV6Only).key
  )
}
