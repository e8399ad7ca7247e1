/** The configurations of listeners and entrances, from what the file says and the node commands. */
import {
  defaultHttpListenerConfig,
  defaultIngressConfig,
  type HttpListenerConfig,
  type IngressConfig,
  type PortLimits,
} from '../http/config.ts'
import { parseCidr } from '../net/cidr.ts'
import { type PackedPrefix, packPrefix } from '../net/packed-address.ts'
import { accessListOf } from '../policy/policy.ts'
import type { HttpSpec, StreamSpec, UdpSpec } from '../spec/deployment.ts'
import type { NodeSettings } from '../spec/node/settings.ts'
import type { RouteId } from '../stream/entrance/commands.ts'
import {
  defaultEntranceConfig,
  type EntranceConfig,
  type EntranceRoute,
} from '../stream/entrance/config.ts'
import { defaultStreamConfig, type StreamConfig } from '../stream/state.ts'
import { defaultUdpConfig, type UdpConfig } from '../udp/config.ts'
import type { HttpDoorway, ListenerSettings, SocketUse } from './commands.ts'

/** What listeners of all protocols are told. */
export type CommonSettings = Pick<ListenerSettings, 'access' | 'idleAfterMs'>

/** `flowsMax` is what the listener gets: the file may leave it to a budget. */
export const udpConfigOf = (
  spec: UdpSpec,
  flowsMax: number,
  drainTimeoutMs: number,
  { access, idleAfterMs }: CommonSettings = NO_SETTINGS,
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
  access: accessListOf(access),
  idleAfterMs,
})

export const streamConfigOf = (
  spec: StreamSpec,
  { access, idleAfterMs }: CommonSettings = NO_SETTINGS,
): StreamConfig => ({
  ...defaultStreamConfig,
  connectTimeoutMs: spec.connectTimeoutMs,
  idleTimeoutMs: spec.idleTimeoutMs,
  connectionsMax: spec.connectionsMax,
  connectionsPerBackendMax: spec.connectionsPerBackendMax,
  proxyProtocol: spec.proxyProtocol,
  upstreamTls: spec.tls === 'reoriginate',
  holdTimeoutMs: spec.holdTimeoutMs,
  access: accessListOf(access),
  idleAfterMs,
})

export const httpListenerConfigOf = (
  spec: HttpSpec,
  { access, idleAfterMs }: CommonSettings,
): HttpListenerConfig => ({
  ...defaultHttpListenerConfig,
  stripPrefix: spec.stripPrefix,
  backend: spec.backend,
  bodyTimeoutMs: spec.bodyTimeoutMs,
  connectTimeoutMs: spec.connectTimeoutMs,
  responseTimeoutMs: spec.responseTimeoutMs,
  totalTimeoutMs: spec.totalTimeoutMs,
  tunnelIdleMs: spec.tunnelIdleTimeoutMs,
  headBytesMax: spec.headBytesMax,
  retries: spec.retries,
  holdTimeoutMs: spec.holdTimeoutMs,
  requestsPerBackendMax: spec.requestsPerBackendMax,
  hsts: spec.hsts,
  access: accessListOf(access),
  idleAfterMs,
})

/** Of the one ingress of a node. */
export const ingressConfigOf = ({
  trustedProxies,
  limits,
}: Pick<NodeSettings, 'trustedProxies' | 'limits'>): IngressConfig => ({
  ...defaultIngressConfig,
  trustedProxies: prefixesOf(trustedProxies),
  clientsMax: limits.httpClientsMax,
  heldMax: limits.heldRequestsMax,
  heldBytesMax: limits.heldBytesMax,
})

/** Of one port of it. */
export const portLimitsOf = ({
  headTimeoutMs,
  headBytesMax,
  idleTimeoutMs,
}: HttpDoorway): PortLimits => ({ headTimeoutMs, headBytesMax, keepAliveMs: idleTimeoutMs })

/** Of the route that leads to where requests are read. */
export const HTTP_DOORWAY: RouteId = 'http'

/** Its routes have the ids of the listeners that they lead to, or {@link HTTP_DOORWAY}. */
export const entranceConfigOf = ({
  acceptProxyProtocol,
  greetingsMax,
  routes,
}: Extract<SocketUse, { kind: 'tcp' }>): EntranceConfig => ({
  ...defaultEntranceConfig,
  greetingsMax,
  routes: routes.map((route): EntranceRoute => {
    if ('http' in route) return { id: HTTP_DOORWAY, tls: route.tls }
    const { listener: id, ...rest } = route
    return { id, ...rest }
  }),
  trustedProxies: prefixesOf(acceptProxyProtocol),
})

const NO_SETTINGS: CommonSettings = { access: [], idleAfterMs: 0 }

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
