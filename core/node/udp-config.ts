/** The settings of a UDP listener, from what the file says of its endpoint. */
import { parseCidr } from '../net/cidr.ts'
import { packPrefix } from '../net/packed-address.ts'
import type { UdpSpec } from '../spec/deployment.ts'
import { defaultUdpConfig, type UdpConfig } from '../udp/config.ts'

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
  // Read once already, when the file was checked.
  trustedProxies: spec.acceptProxyProtocol.flatMap((written) => {
    const cidr = parseCidr(written)
    return cidr === undefined ? [] : [packPrefix(cidr)]
  }),
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
