/** The configurations of listeners and entrances, from what the file says and the node commands. */
import { parseCidr } from '../net/cidr.ts'
import { type PackedPrefix, packPrefix } from '../net/packed-address.ts'
import type { StreamSpec, UdpSpec } from '../spec/deployment.ts'
import { defaultEntranceConfig, type EntranceConfig } from '../stream/entrance/config.ts'
import { defaultStreamConfig, type StreamConfig } from '../stream/state.ts'
import { defaultUdpConfig, type UdpConfig } from '../udp/config.ts'
import type { SocketUse } from './commands.ts'

/** `flowsMax` is what the listener gets: the file may leave it to a budget. */
export const udpConfigOf = (
  spec: UdpSpec,
  flowsMax: number,
  drainTimeoutMs: number,
): UdpConfig => ({
  ...defaultUdpConfig,
  affinity: AFFINITIES[spec.affinity],
  requests: spec.requests,
  responses: spec.responses,
  frontTimeoutMs: spec.frontTimeoutMs,
  backTimeoutMs: spec.backTimeoutMs,
  halfOpenTimeoutMs: spec.halfOpenTimeoutMs,
  lifetimeMaxMs: spec.lifetimeMaxMs,
  flowsMax,
  flowsPerSourceMax: spec.flowsPerSourceMax,
  datagramBytesMax: spec.datagramBytesMax,
  proxyProtocol: spec.proxyProtocol,
  lingerMs: Math.min(drainTimeoutMs, ANSWER_WAIT_MS_MAX),
  trustedProxies: prefixesOf(spec.acceptProxyProtocol),
})

export const streamConfigOf = (spec: StreamSpec): StreamConfig => ({
  ...defaultStreamConfig,
  connectTimeoutMs: spec.connectTimeoutMs,
  idleTimeoutMs: spec.idleTimeoutMs,
  connectionsMax: spec.connectionsMax,
  connectionsPerBackendMax: spec.connectionsPerBackendMax,
  proxyProtocol: spec.proxyProtocol,
  upstreamTls: spec.tls === 'reoriginate',
})

/** Its routes have the ids of the listeners that they lead to. */
export const entranceConfigOf = ({
  acceptProxyProtocol,
  greetingsMax,
  routes,
}: Extract<SocketUse, { kind: 'tcp' }>): EntranceConfig => ({
  ...defaultEntranceConfig,
  greetingsMax,
  routes: routes.map(({ listener, ...route }) => ({ id: listener, ...route })),
  trustedProxies: prefixesOf(acceptProxyProtocol),
})

/** Read once already, when the file was checked. */
const prefixesOf = (written: readonly string[]): readonly PackedPrefix[] =>
  written.flatMap((text) => {
    const cidr = parseCidr(text)
    return cidr === undefined ? [] : [packPrefix(cidr)]
  })

/**
 * Answers that come at all come soon; who only sends is never answered, and meanwhile a listener
 * that closes holds its port.
 */
const ANSWER_WAIT_MS_MAX = 5_000

const AFFINITIES: Readonly<Record<UdpSpec['affinity'], UdpConfig['affinity']>> = {
  source_ip_port: 'source-ip-port',
  source_ip: 'source-ip',
  datagram: 'datagram',
}
