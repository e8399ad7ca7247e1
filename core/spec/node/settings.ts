/** Settings of the node, not of a deployment: what a node file says, defaults filled in. Plain JSON. */
import type { NetworkPolicy } from '../../policy/policy.ts'
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
  /** Networks of proxies in front of this node, whose forwarding headers are believed; CIDR. */
  readonly trustedProxies: readonly string[]
  /** Who may reach what; none: everybody everything. */
  readonly networkPolicies: readonly NetworkPolicy[]
  /** Absent: there is none. */
  readonly accessLog?: AccessLogSettings
  readonly limits: NodeLimits
  /** Absent: certificates are only what lies in the directory. Present only beside `certificates`. */
  readonly acme?: AcmeSettings
}

export interface AccessLogSettings {
  /** As the file says it, absolute once a shell has read it. */
  readonly file: string
  readonly format: 'json' | 'combined'
  /** At which it is put aside. */
  readonly bytesMax: number
  /** Files put aside that are kept. */
  readonly keep: number
}

export interface NodeLimits {
  /** Connections of HTTP/1.1 and streams of HTTP/2. */
  readonly httpClientsMax: number
  /** Requests that wait for their services to be woken, and what they may have sent. */
  readonly heldRequestsMax: number
  readonly heldBytesMax: number
}

/** RFC 8555, over http (8.3). Whoever wrote it agreed to the terms of the server. */
export interface AcmeSettings {
  /** The URL of the directory. */
  readonly directory: string
  readonly email: string
  /** `auto`: see {@link acmeHostsOf}; lower case, no wildcards. */
  readonly hosts: 'auto' | readonly string[]
  readonly renewBeforeMs: number
  /**
   * A PEM file of what the server's own certificate is checked against: as the file says it, absolute
   * once a shell has read it; absent: what the system trusts.
   */
  readonly ca?: string
}

export const defaultNodeSettings: NodeSettings = {
  replicaPorts: REPLICA_PORTS,
  internalAddresses: [],
  drainTimeoutMs: 30_000,
  trustedProxies: ['127.0.0.0/8', '::1/128'],
  networkPolicies: [],
  limits: { httpClientsMax: 50_000, heldRequestsMax: 1_000, heldBytesMax: 16 * 1024 ** 2 },
}
