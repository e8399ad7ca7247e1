/** The settings of one UDP listener. A flow keeps those it was admitted under. */
import { assert } from '../machine.ts'
import type { PackedPrefix } from '../net/packed-address.ts'
import type { AccessList } from '../policy/access.ts'
import { SLOTS_MAX } from './flow-id.ts'

export interface UdpConfig {
  /**
   * What of a client stays with one backend. Each client socket has a flow of its own in any
   * case, so that an answer always goes to the socket that asked (udp W5); with `datagram` it has
   * one for each backend its datagrams are spread over.
   */
  readonly affinity: 'source-ip-port' | 'source-ip' | 'datagram'
  /** Requests a flow takes before its client is given a backend anew; 0 is any number. */
  readonly requests: number
  /** Answers a request has; a flow whose requests all have theirs is closed. 0 is unknown. */
  readonly responses: number
  /** Quiet time that ends a flow, after a client's datagram. */
  readonly frontTimeoutMs: number
  /** Quiet time that ends a flow, after a backend's datagram. */
  readonly backTimeoutMs: number
  /** Quiet time that ends a flow no backend ever answered; at most 60,000. */
  readonly halfOpenTimeoutMs: number
  /** Age that ends a flow; 0 is none. */
  readonly lifetimeMaxMs: number
  /** 0-1,048,576; 0 admits nobody. Lowering it closes nothing. Holds for the table at once. */
  readonly flowsMax: number
  /** Flows of one client address; 0 is any number. */
  readonly flowsPerSourceMax: number
  /** 1-65,507 bytes, both ways. Holds for the table at once. */
  readonly datagramBytesMax: number
  /** Which datagrams tell the backend the client in a PROXY protocol v2 header. */
  readonly proxyProtocol: 'off' | 'first' | 'every'
  /** Proxies whose PROXY protocol v2 headers are believed. Holds for the table at once. */
  readonly trustedProxies: readonly PackedPrefix[]
  /** Whose datagrams are carried. Holds for the table at once. */
  readonly access: AccessList
  /** Datagrams a flow keeps while its socket opens; at least 1. */
  readonly heldDatagramsMax: number
  /** Bytes all flows keep while their sockets open. Holds for the table at once. */
  readonly heldBytesMax: number
  /** How long answers are waited for when a backend leaves or the listener closes. */
  readonly lingerMs: number
  /** Without a flow, until `idle` is said; 0 = never. Holds for the table at once. */
  readonly idleAfterMs: number
}

export const defaultUdpConfig: UdpConfig = {
  affinity: 'source-ip-port',
  requests: 0,
  responses: 0,
  frontTimeoutMs: 30_000,
  backTimeoutMs: 30_000,
  halfOpenTimeoutMs: 5_000,
  lifetimeMaxMs: 0,
  flowsMax: 10_000,
  flowsPerSourceMax: 0,
  datagramBytesMax: 65_507,
  proxyProtocol: 'off',
  trustedProxies: [],
  access: [],
  heldDatagramsMax: 8,
  heldBytesMax: 1_048_576,
  lingerMs: 2_000,
  idleAfterMs: 0,
}

/** What is wrong with a configuration, if anything (udp W37). */
export function configProblem(config: UdpConfig): string | undefined {
  for (const [key, [min, max]] of Object.entries(RANGES)) {
    const value = config[key as keyof typeof RANGES]
    if (Number.isInteger(value) && value >= min && value <= max) continue
    return `${key} must be a whole number from ${min} to ${max}, not ${value}`
  }
  return undefined
}

/** The configuration itself. Throws {@link InvariantError} when something is wrong with it. */
export function checkedConfig(config: UdpConfig): UdpConfig {
  const problem = configProblem(config)
  assert(problem === undefined, problem ?? '')
  return config
}

type NumberKey = {
  [Key in keyof UdpConfig]: UdpConfig[Key] extends number ? Key : never
}[keyof UdpConfig]

const COUNT_MAX = 2 ** 32 - 1
const MS_MAX = 2 ** 40
/** Less than the 65 s of the wheel, by whose order flows are evicted. */
const HALF_OPEN_MS_MAX = 60_000

const RANGES: Readonly<Record<NumberKey, readonly [min: number, max: number]>> = {
  requests: [0, COUNT_MAX],
  responses: [0, COUNT_MAX],
  frontTimeoutMs: [1, MS_MAX],
  backTimeoutMs: [1, MS_MAX],
  halfOpenTimeoutMs: [1, HALF_OPEN_MS_MAX],
  lifetimeMaxMs: [0, MS_MAX],
  flowsMax: [0, SLOTS_MAX],
  flowsPerSourceMax: [0, SLOTS_MAX],
  datagramBytesMax: [1, 65_507],
  heldDatagramsMax: [1, 1_024],
  heldBytesMax: [0, 2 ** 30],
  lingerMs: [0, MS_MAX],
  idleAfterMs: [0, MS_MAX],
}
