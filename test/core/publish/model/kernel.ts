/**
 * Sockets as the kernel sees them, on a machine with four addresses. Sets of addresses are bits,
 * so that nothing here knows how the ledger compares addresses.
 */
import type { PortNamespace } from '../../../../core/publish/claim.ts'

/** The addresses something listens on, one bit each. */
export type Mask = number

const V4 = 0b0011
const V6 = 0b1100

export const MASKS: Readonly<Record<string, Mask>> = {
  '127.0.0.1': 0b0001,
  '10.0.0.1': 0b0010,
  '::ffff:10.0.0.1': 0b0010,
  '0.0.0.0': V4,
  '::1': 0b0100,
  'fd00::1': 0b1000,
  '::': V6,
}

export const maskOf = (host: string, isV6Only = true): Mask =>
  host === '::' && !isV6Only ? V4 | V6 : MASKS[host]!

export interface Bound {
  readonly namespace: PortNamespace
  readonly mask: Mask
  readonly port: number
}

export type Outcome = { readonly port: number } | 'in use' | 'missing'

export class Kernel {
  readonly bound = new Map<string, Bound>()
  hasIpv6 = true
  /** Ports are picked from here on. */
  pickFrom = 1

  bind(name: string, { namespace, mask, port }: Bound): Outcome {
    if (!this.hasIpv6 && (mask & V6) !== 0) return 'missing'
    const picked = port === 0 ? this.#pick(namespace, mask) : port
    if (!this.#isFree(namespace, mask, picked)) return 'in use'
    this.bound.set(name, { namespace, mask, port: picked })
    return { port: picked }
  }

  close(name: string): void {
    this.bound.delete(name)
  }

  closeAll(prefix: string): void {
    for (const name of this.bound.keys()) if (name.startsWith(prefix)) this.bound.delete(name)
  }

  #pick(namespace: PortNamespace, mask: Mask): number {
    for (let port = this.pickFrom; ; port++) if (this.#isFree(namespace, mask, port)) return port
  }

  #isFree(namespace: PortNamespace, mask: Mask, port: number): boolean {
    for (const each of this.bound.values()) {
      if (each.namespace === namespace && each.port === port && (each.mask & mask) !== 0)
        return false
    }
    return true
  }
}
