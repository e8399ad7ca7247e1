/**
 * Who may have what, the slow and plain way: every pair of claims is compared, address by address.
 */
import type { Claim, Owner, PublishedBackend, Wish } from '../../../../core/publish/claim.ts'
import { type Mask, maskOf } from './kernel.ts'

export interface Standing {
  readonly owner: Owner
  readonly claim: Claim
  readonly backends: Map<string, PublishedBackend>
}

/** What the kernel may have of ours at a port, and for whom. */
export interface Holding {
  readonly namespace: string
  readonly mask: Mask
  /** What was asked for. */
  readonly asked: number
  readonly port: number
  readonly owners: readonly Owner[]
  readonly claim: string
  readonly isReleasing: boolean
}

export const maskOfClaim = ({ host, isV6Only }: Claim): Mask => maskOf(host, isV6Only)

export const isWithin = (inner: Mask, outer: Mask): boolean => (inner & ~outer) === 0

const isAt = (a: { namespace: string; port: number }, b: Claim): boolean =>
  a.namespace === b.namespace && a.port === b.port && b.port !== 0

export class Reference {
  readonly standing: Standing[] = []

  /** `B 127.0.0.1:80 A`: requester, what it asked for, and who is in the way; `leaving` if so. */
  conflicts(wishes: readonly Wish[], holdings: readonly Holding[]): string[] {
    const wished = new Map(wishes.map((each) => [each.owner, each.claims]))
    const before: { owner: Owner; claim: Claim }[] = []
    const found: string[] = []
    for (const { owner, claims } of wishes) {
      for (const claim of claims) if (this.#has(owner, claim)) before.push({ owner, claim })
    }
    for (const { owner, claims } of wishes) {
      for (const claim of claims) {
        if (this.#has(owner, claim)) continue
        const others = [...this.standing.filter((each) => !wished.has(each.owner)), ...before]
        const one = others.find((other) => isAgainst(other, { owner, claim }))
        const way = one?.owner ?? this.#inTheWay({ owner, claim }, wished, holdings)
        if (way !== undefined) found.push(`${owner} ${claim.host}:${claim.port} ${way}`)
        before.push({ owner, claim })
      }
    }
    return found
  }

  /** The same, by whatever name. */
  #has(owner: Owner, { namespace, port, tenancy, ...rest }: Claim): boolean {
    const mask = maskOfClaim({ namespace, port, ...rest })
    return this.standing.some(
      (each) =>
        each.owner === owner &&
        isAt(each.claim, { namespace, port, ...rest }) &&
        maskOfClaim(each.claim) === mask &&
        JSON.stringify(each.claim.tenancy ?? {}) === JSON.stringify(tenancy ?? {}),
    )
  }

  grant(wishes: readonly Wish[]): void {
    for (const { owner, claims } of wishes) {
      const old = this.standing.filter((each) => each.owner === owner)
      for (const each of old) this.standing.splice(this.standing.indexOf(each), 1)
      for (const claim of claims) {
        const backends = old.find((each) => each.claim.id === claim.id)?.backends ?? new Map()
        this.standing.push({ owner, claim, backends })
      }
    }
  }

  publish(owner: Owner, claim: string, backend: PublishedBackend): void {
    this.of(owner, claim)?.backends.set(backend.id, backend)
  }

  withdraw(owner: Owner, backend: string, claim: string | undefined): void {
    for (const each of this.standing) {
      const isMeant = each.owner === owner && (claim === undefined || each.claim.id === claim)
      if (isMeant) each.backends.delete(backend)
    }
  }

  of(owner: Owner, claim: string): Standing | undefined {
    return this.standing.find((each) => each.owner === owner && each.claim.id === claim)
  }

  wanted(): Standing[] {
    return this.standing.filter(
      ({ claim, backends }) =>
        claim.bind === 'always' || (claim.bind === 'published' && backends.size > 0),
    )
  }

  /** `tcp 80 3`: namespace, port and addresses of every socket that should listen, sorted. */
  sockets(): string[] {
    const wanted = this.wanted()
    const names = wanted.flatMap(({ owner, claim }) => {
      const mask = maskOfClaim(claim)
      if (claim.port === 0) return [`${claim.namespace} any ${mask} ${owner} ${claim.id}`]
      const isCovered = wanted.some((other) => {
        const wide = maskOfClaim(other.claim)
        return isAt(other.claim, claim) && isWithin(mask, wide) && wide !== mask
      })
      return isCovered ? [] : [`${claim.namespace} ${claim.port} ${mask}`]
    })
    return [...new Set(names)].sort()
  }

  #inTheWay(
    asked: { owner: Owner; claim: Claim },
    wished: ReadonlyMap<Owner, readonly Claim[]>,
    holdings: readonly Holding[],
  ): string | undefined {
    const mask = maskOfClaim(asked.claim)
    const near = holdings.filter((each) => isAt(each, asked.claim) && (each.mask & mask) !== 0)
    const isGranted = this.standing.some(
      ({ owner, claim }) =>
        (owner === asked.owner || !wished.has(owner)) &&
        isAt(claim, asked.claim) &&
        isWithin(mask, maskOfClaim(claim)),
    )
    for (const { owners, isReleasing, asked: port, claim } of near) {
      if (isReleasing) {
        const isOwn = owners.some((each) => each === asked.owner || wished.has(each))
        if (!isOwn && !isGranted) return `${owners[0]} leaving`
        continue
      }
      const [owner] = owners
      if (port !== 0 || owner === undefined || owner === asked.owner) continue
      if (!wished.has(owner) || this.#keeps(owner, claim, wished.get(owner)!)) return owner
    }
    return undefined
  }

  #keeps(owner: Owner, id: string, next: readonly Claim[]): boolean {
    const before = this.of(owner, id)!.claim
    const after = next.find((each) => each.id === id)
    return (
      after !== undefined &&
      after.namespace === before.namespace &&
      after.port === 0 &&
      maskOfClaim(after) === maskOfClaim(before)
    )
  }
}

function isAgainst(
  other: { owner: Owner; claim: Claim },
  asked: { owner: Owner; claim: Claim },
): boolean {
  const a = other.claim
  const b = asked.claim
  if (other.owner === asked.owner || !isAt(a, b)) return false
  if ((maskOfClaim(a) & maskOfClaim(b)) === 0) return false
  if (a.tenancy === undefined || b.tenancy === undefined) return true
  const isAlike = a.tenancy.tls === b.tenancy.tls && a.tenancy.terms === b.tenancy.terms
  return !isAlike || a.tenancy.route === b.tenancy.route
}
