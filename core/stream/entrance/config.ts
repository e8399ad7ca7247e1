import type { PackedPrefix } from '../../net/packed-address.ts'
import type { RouteId } from './commands.ts'

export interface EntranceConfig {
  /** At least one. A lone route that is plain, or terminates and has no name, needs no look at names. */
  readonly routes: readonly EntranceRoute[]
  /** Clients whose first bytes must be a PROXY header, version 1 or 2; those of others never are one. */
  readonly trustedProxies: readonly PackedPrefix[]
  /** For header, hello and handshake together. */
  readonly greetingTimeoutMs: number
  /** Connections on their way in at one time; more are refused and counted. */
  readonly greetingsMax: number
}

export interface EntranceRoute {
  readonly id: RouteId
  /** `example.com`, or `*.example.com` for one label more; absent: whatever no other route takes. */
  readonly serverName?: string
  /** `terminate`: TLS ends here. `passthrough`: it is only looked at. */
  readonly tls: 'off' | 'terminate' | 'passthrough'
}

export const defaultEntranceConfig: Omit<EntranceConfig, 'routes'> = {
  trustedProxies: [],
  greetingTimeoutMs: 10_000,
  greetingsMax: 10_000,
}
