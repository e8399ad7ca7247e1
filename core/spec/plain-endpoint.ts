/**
 * An endpoint that says nothing but where it is, as the decoder would read it. Written out, so that
 * the machines need not carry the decoder; a test compares the two.
 */
import type { EndpointSpec, HttpSpec, StreamSpec, UdpSpec } from './deployment.ts'

export function plainEndpoint(
  name: string,
  protocol: 'tcp' | 'udp',
  port: number,
  targetPort: number,
): EndpointSpec {
  const isUdp = protocol === 'udp'
  return {
    name,
    protocol,
    port,
    targetPort,
    path: '/',
    expose: 'internal',
    balance: { strategy: isUdp ? 'hrw' : 'round_robin', rise: 1, fall: 3, failOpen: true },
    stream: plainStream,
    ...(isUdp ? { udp: plainUdp } : {}),
  }
}

export const plainStream: StreamSpec = {
  tls: 'off',
  proxyProtocol: false,
  acceptProxyProtocol: [],
  connectTimeoutMs: 2_000,
  idleTimeoutMs: 3_600_000,
  connectionsMax: 10_000,
  connectionsPerBackendMax: 0,
  holdTimeoutMs: 30_000,
  drainTimeoutMs: 30_000,
}

export const plainUdp: UdpSpec = {
  affinity: 'source_ip_port',
  responses: 0,
  requests: 0,
  frontTimeoutMs: 30_000,
  backTimeoutMs: 30_000,
  halfOpenTimeoutMs: 5_000,
  lifetimeMaxMs: 0,
  flowsMax: 0,
  flowsPerSourceMax: 0,
  datagramBytesMax: 65_507,
  proxyProtocol: 'off',
  acceptProxyProtocol: [],
}

export const plainHttp: HttpSpec = {
  stripPrefix: false,
  redirectHttps: false,
  backend: 'http1',
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 60_000,
  connectTimeoutMs: 2_000,
  responseTimeoutMs: 60_000,
  totalTimeoutMs: 0,
  idleTimeoutMs: 75_000,
  tunnelIdleTimeoutMs: 3_600_000,
  headBytesMax: 32_768,
  retries: 1,
  holdTimeoutMs: 30_000,
  requestsPerBackendMax: 0,
  hsts: true,
  drainTimeoutMs: 30_000,
}
