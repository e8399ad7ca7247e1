/** What a ledger is asked for: the right to a port, and when there is to be a socket for it. */

export type PortNamespace = 'tcp' | 'udp'

/** Whoever asks; compared as text. A node uses `deployment/service`, and `node:metrics` for itself. */
export type Owner = string

/** Unique among the claims of one owner at one time. */
export type ClaimId = string

export interface Claim {
  readonly id: ClaimId
  readonly namespace: PortNamespace
  /** An IP address as text; `0.0.0.0` and `::` are every address of the machine. */
  readonly host: string
  /** 0: whatever port the kernel picks; it is nobody else's by itself. */
  readonly port: number
  /** Of `::`: whether it is without IPv4; true when not said, as every socket of Weir's is. */
  readonly isV6Only?: boolean
  /**
   * `always`: while the claim stands. `published`: while a backend is published on it.
   * `never`: somebody else listens there, such as a program on a port of its own.
   */
  readonly bind: 'always' | 'published' | 'never'
  /** Absent: the port is its owner's alone. */
  readonly tenancy?: Tenancy
  /** A machine without this address (one without IPv6) is no problem. */
  readonly isOptional?: boolean
}

/**
 * Owners share a port when all are tenants, all plain or all TLS, on the same terms, each with
 * routes of its own.
 */
export interface Tenancy {
  readonly tls: boolean
  /** What of the port is this tenant's: `example.com/api`; compared as text. */
  readonly route: string
  /**
   * What else all of them must agree on, because the socket has it before it is known for whom:
   * who may come in, and which proxies are believed. Compared as text.
   */
  readonly terms?: string
}

/** The whole of what an owner wants from now on. */
export interface Wish {
  readonly owner: Owner
  readonly claims: readonly Claim[]
}

/** Recorded as it was published, and withdrawn as it was recorded. */
export interface PublishedBackend {
  /** Unique on its claim; a replica has the same one on all of its claims. */
  readonly id: string
  readonly host: string
  readonly port: number
}

/** `owner` has it, or is to have it by the same wish. */
export interface PortConflict {
  readonly namespace: PortNamespace
  readonly host: string
  readonly port: number
  readonly owner: Owner
  readonly requester: Owner
  /** What the two would have to differ in to share the port; absent when sharing is not possible. */
  readonly route?: string
  /** The owner has been told to go: the port is free as soon as its socket is closed. */
  readonly isLeaving: boolean
}
