/**
 * Who has which port of the host, compared as the kernel does: `0.0.0.0` covers every IPv4 address,
 * `::` every IPv6 one, tcp and udp are apart. A port belongs to one service, but for endpoints that
 * tell their clients apart in one way: http and https by host and path, TLS over tcp by the server
 * name that is asked for. A program that chooses its own port has that port too, on every address for all we know.
 */
import type { Deployment } from '../deployment.ts'
import type { Reading } from '../schema/reading.ts'
import {
  type AddressClaim,
  type Claim,
  claimsOf,
  type EndpointClaim,
  type ProgramClaim,
} from './port-claims.ts'

export function checkPorts(deployment: Deployment, reading: Reading): void {
  const ports = new Map<string, Port>()
  for (const claim of claimsOf(deployment, reading)) {
    const key = `${claim.namespace}/${claim.port}`
    const port = ports.get(key) ?? new Port(`${claim.namespace} port ${claim.port}`)
    ports.set(key, port)
    const conflict = port.conflictOf(claim)
    if (conflict !== undefined) reading.report(claim.at, conflict, 'value')
    port.add(claim)
  }
}

/** What is known of one port so far. Every question is answered in O(1), however many are there. */
class Port {
  readonly #name: string
  /** The first endpoint that shares it with nobody. */
  #alone: EndpointClaim | undefined
  /** The first one that shares it. */
  #shared: EndpointClaim | undefined
  /** The first one of each kind and route. */
  readonly #routes = new Map<string, EndpointClaim>()
  /** The first that names each address. */
  readonly #named = new Map<string, AddressClaim>()
  /** Whatever listens on one address, and on any address of a family. */
  readonly #onHost = new Map<string, Places>()
  readonly #onFamily = { 4: new Places(), 6: new Places() }
  #listener: Claim | undefined
  #program: ProgramClaim | undefined

  constructor(name: string) {
    this.#name = name
  }

  /** What is wrong with one more, and what to do. */
  conflictOf(claim: Claim): string | undefined {
    switch (claim.kind) {
      case 'endpoint':
        return claim.sharing === 'none' ? this.#aloneConflict(claim) : this.#sharedConflict(claim)
      case 'mapping':
      case 'api':
        return this.#addressConflict(claim)
      case 'program':
        return this.#programConflict(claim)
    }
  }

  add(claim: Claim): void {
    if (claim.kind === 'program') {
      this.#program ??= claim
      return
    }
    this.#listener ??= claim
    for (const host of claim.hosts) {
      const places = this.#onHost.get(host) ?? new Places()
      this.#onHost.set(host, places)
      places.add(claim)
      this.#onFamily[familyOf(host)].add(claim)
    }
    if (claim.kind !== 'endpoint') {
      for (const host of claim.hosts) addFirst(this.#named, host, claim)
      return
    }
    if (claim.sharing === 'none') {
      this.#alone ??= claim
      return
    }
    this.#shared ??= claim
    if (claim.route !== undefined) addFirst(this.#routes, `${claim.sharing} ${claim.route}`, claim)
  }

  /** All endpoints of a port overlap: public is everywhere, and internal may be on loopback. */
  #aloneConflict(claim: EndpointClaim): string | undefined {
    if (this.#shared !== undefined) return this.#kindConflict(claim, this.#shared)
    return this.#alone && this.#taken(this.#alone, claim)
  }

  #sharedConflict(claim: EndpointClaim): string | undefined {
    const other = this.#alone ?? this.#shared
    if (other === undefined) return undefined
    if (other.sharing !== claim.sharing) return this.#kindConflict(claim, other)
    return this.#termsConflict(claim, other) ?? this.#routeConflict(claim)
  }

  /** What comes in is read in one way, before it is known whom it is for. */
  #kindConflict({ sharing }: EndpointClaim, other: EndpointClaim): string {
    const kinds = `${this.#name} is ${KINDS[other.sharing]} for ${other.what} and would be ${KINDS[sharing]} here`
    return `${kinds}; choose another port`
  }

  /** One socket takes what comes in for all of them. */
  #termsConflict({ expose, trusted }: EndpointClaim, other: EndpointClaim): string | undefined {
    if (expose !== other.expose && expose !== undefined && other.expose !== undefined) {
      const opened = expose === 'public' ? 'that one' : 'this one'
      const is = `${this.#name} is ${other.expose} for ${other.what} and would be ${expose} here`
      return `${is}: sharing it would open ${opened} to everybody; give both the same expose, or choose another port`
    }
    if (trusted === other.trusted || trusted === undefined) return undefined
    if (other.trusted === undefined) return undefined
    const differs = `${other.what} on ${this.#name} trusts other senders of PROXY headers`
    return `${differs}; give both the same accept_proxy_protocol, or choose another port`
  }

  #routeConflict({ sharing, route }: EndpointClaim): string | undefined {
    const same = this.#routes.get(`${sharing} ${route}`)
    if (same === undefined || route === undefined) return undefined
    const choice = sharing === 'tls' ? 'port or host' : 'port, host or path'
    return `${same.what} serves ${route} on ${this.#name} already; choose another ${choice}`
  }

  #addressConflict(claim: AddressClaim): string | undefined {
    for (const host of claim.hosts) {
      const given = this.#named.get(host)
      if (given !== undefined) return this.#taken(given, claim)
      const family = familyOf(host)
      const wildcard = family === 4 ? '0.0.0.0' : '::'
      const other =
        host === wildcard
          ? this.#onFamily[family].otherThan(claim.place)
          : (this.#onHost.get(host)?.otherThan(claim.place) ??
            this.#onHost.get(wildcard)?.otherThan(claim.place))
      if (other !== undefined) return this.#taken(other, claim)
    }
    return undefined
  }

  #taken(other: Exclude<Claim, ProgramClaim>, { owner, namespace, kind }: Claim): string {
    const isNamed = other.kind !== 'endpoint'
    const has = `${other.what} has ${this.#name}${isNamed ? ` on ${other.hosts.join()}` : ''} already`
    if (kind === 'endpoint') {
      return other.owner === owner
        ? `${has}; choose another port`
        : `${has}; a ${namespace} port belongs to one service`
    }
    if (isNamed) return `${has}; choose another port or address`
    if (other.owner !== owner) return `${has}; choose another port`
    return `${has} and leads elsewhere; choose another port`
  }

  #programConflict(claim: ProgramClaim): string | undefined {
    const { advice, owner } = claim
    if (this.#listener !== undefined) {
      const why = `Weir itself listens on ${this.#name}, for ${this.#listener.what}, so the program cannot`
      return `${why}; ${advice}`
    }
    const other = this.#program
    if (other === undefined || other.owner === owner) return undefined
    return `${other.what} listens on ${this.#name} already; ${advice}`
  }
}

/** The first claims of two places: enough to find one of another place than any given. */
class Places {
  #first: Listener | undefined
  #second: Listener | undefined

  add(claim: Listener): void {
    this.#first ??= claim
    if (claim.place !== this.#first.place) this.#second ??= claim
  }

  otherThan(place: string): Listener | undefined {
    return this.#first?.place === place ? this.#second : this.#first
  }
}

type Listener = EndpointClaim | AddressClaim

const KINDS: Readonly<Record<EndpointClaim['sharing'], string>> = {
  none: 'plain tcp',
  http: 'http',
  https: 'https',
  tls: 'tcp with TLS',
}

function familyOf(host: string): 4 | 6 {
  return host.includes(':') ? 6 : 4
}

function addFirst<T>(map: Map<string, T>, key: string, item: T): void {
  if (!map.has(key)) map.set(key, item)
}
