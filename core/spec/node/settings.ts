/** Settings of the node, not of a deployment: what a node file says, defaults filled in. Plain JSON. */
import { type PortRange, REPLICA_PORTS } from '../../publish/host/replica-ports.ts'

export interface NodeSettings {
  /** Where replicas get their ports from. */
  readonly replicaPorts: PortRange
  /**
   * Addresses that internal endpoints listen on, IPv4 or IPv6, such as this machine's in a VPN, each
   * once and in its usual form; none: loopback.
   */
  readonly internalAddresses: readonly string[]
  /** Directory of `NAME.crt` and `NAME.key`: as the file says it, absolute once a shell has read it. */
  readonly certificates?: string
  /** Where metrics are served over HTTP: an IP address, and a port that is not 0. */
  readonly metrics?: { readonly host: string; readonly port: number }
  /** How long a shutdown waits for old work before it cuts it. */
  readonly drainTimeoutMs: number
}

export const defaultNodeSettings: NodeSettings = {
  replicaPorts: REPLICA_PORTS,
  internalAddresses: [],
  drainTimeoutMs: 30_000,
}
