/**
 * Who owns which host port of this node. A port has one owner, a service of a deployment; whoever
 * else asks for it is refused by name, before anything is started (proxy W5, W8, W36, W37).
 * http and websocket endpoints ride TCP, so a port is not shared between services.
 */
import type { ServiceKey } from '../services/identity.ts'

export type PortNamespace = 'tcp' | 'udp'

export interface PortClaim {
  readonly namespace: PortNamespace
  readonly port: number
  readonly owner: ServiceKey
}

export interface PortConflict {
  readonly namespace: PortNamespace
  readonly port: number
  readonly owner: ServiceKey
  readonly requester: ServiceKey
}

export class PortLedger {
  /** `tcp:8080` to its claim, in the order of claiming. */
  readonly #claims = new Map<string, PortClaim>()

  ownerOf(namespace: PortNamespace, port: number): PortClaim | undefined {
    return this.#claims.get(keyOf(namespace, port))
  }

  /** All conflicts that granting `claims` would make; those of owners in `leaving` do not count. */
  conflicts(claims: readonly PortClaim[], leaving: ReadonlySet<ServiceKey>): PortConflict[] {
    const found: PortConflict[] = []
    const asked = new Map<string, PortClaim>()
    for (const claim of claims) {
      const { namespace, port, owner } = claim
      const key = keyOf(namespace, port)
      const present = this.#claims.get(key)
      const held = present !== undefined && !leaving.has(present.owner) ? present : asked.get(key)
      if (held !== undefined && held.owner !== owner) {
        found.push({ namespace, port, owner: held.owner, requester: owner })
      }
      asked.set(key, claim)
    }
    return found
  }

  /** Records what {@link conflicts} found free. Claiming one's own port again changes nothing. */
  claim(claim: PortClaim): void {
    this.#claims.set(keyOf(claim.namespace, claim.port), claim)
  }

  /** Frees the port if `owner` still owns it. */
  release(namespace: PortNamespace, port: number, owner: ServiceKey): void {
    const key = keyOf(namespace, port)
    if (this.#claims.get(key)?.owner === owner) this.#claims.delete(key)
  }

  claims(): PortClaim[] {
    return [...this.#claims.values()]
  }
}

export function describeConflict(conflict: PortConflict, isLeaving: boolean): string {
  const { namespace, port, owner, requester } = conflict
  const advice = isLeaving
    ? `${owner} is being removed: try again when it is gone`
    : `choose another port or remove ${owner} first`
  return (
    `port-conflict: ${namespace} port ${port} belongs to ${owner}, so ` +
    `${requester} cannot have it; ${advice}`
  )
}

const keyOf = (namespace: PortNamespace, port: number): string => `${namespace}:${port}`
