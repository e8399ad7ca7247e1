/**
 * Where port mappings lead (proxy reference, section 5), and how many replicas a service may come to
 * have, which decides what of it is published.
 */
import type { Membership } from '../publish/bindings.ts'
import type { PortNamespace } from '../publish/claim.ts'
import type { EndpointSpec, PortMappingSpec, ServiceSpec } from '../spec/deployment.ts'
import { plainEndpoint } from '../spec/plain-endpoint.ts'

/** A port of each replica: the one it has for an endpoint, or the number the program itself listens on. */
export type MappingTarget = { readonly endpoint: string } | { readonly port: number }

/**
 * `container_port` is an endpoint's `target_port`, or else an endpoint's `port`, of the same protocol
 * as far as the kernel tells; the first of several in the file. Any other is the program's own port.
 */
export function targetOf(
  { containerPort, protocol }: PortMappingSpec,
  endpoints: readonly EndpointSpec[],
): MappingTarget {
  const alike = endpoints.filter((each) => namespaceOf(each) === protocol)
  const named =
    alike.find(({ targetPort }) => targetPort === containerPort) ??
    alike.find(({ port }) => port === containerPort)
  return named === undefined ? { port: containerPort } : { endpoint: named.name }
}

/**
 * What a mapping behaves as: the endpoint it leads to, at another place, so that it balances, limits
 * and encrypts as that one does; or a plain one, for a port of the program's own. Port 0 is one that
 * the kernel picks.
 */
export function mappingEndpoint(
  mapping: PortMappingSpec,
  endpoints: readonly EndpointSpec[],
): EndpointSpec {
  const { containerPort, protocol, hostPort: port = 0 } = mapping
  const name = `mapping ${containerPort} ${protocol}`
  const target = targetOf(mapping, endpoints)
  const led =
    'endpoint' in target ? endpoints.find((each) => each.name === target.endpoint) : undefined
  if (led === undefined) return plainEndpoint(name, protocol, port, containerPort)
  const { host, ...rest } = led
  if (led.http === undefined) return { ...led, name, port, expose: 'internal' }
  // Whoever knows the port asks for it by any name, at any path.
  const http = { ...led.http, stripPrefix: false, redirectHttps: false }
  return { ...rest, name, port, expose: 'internal', path: '/', http }
}

/** Its requests are read; websocket is http, and https is http within TLS. */
export const speaksHttp = ({ protocol }: Pick<EndpointSpec, 'protocol'>): boolean =>
  protocol !== 'tcp' && protocol !== 'udp'

/** tcp and udp are apart; http, https and websocket ride TCP. */
export const namespaceOf = ({ protocol }: Pick<EndpointSpec, 'protocol'>): PortNamespace =>
  protocol === 'udp' ? 'udp' : 'tcp'

export interface OwnPort {
  readonly namespace: PortNamespace
  readonly port: number
}

/**
 * Ports that a process chooses by itself, each once: `target_port` of its endpoints, and what
 * mappings lead to beside them. A program with one cannot have a second one of its kind beside it.
 */
export function ownPortsOf(
  spec: Pick<ServiceSpec, 'endpoints' | 'portMappings'>,
): readonly OwnPort[] {
  const ports = new Map<string, OwnPort>()
  const add = (namespace: PortNamespace, port: number): void => {
    ports.set(`${namespace}:${port}`, { namespace, port })
  }
  for (const endpoint of spec.endpoints) {
    if (endpoint.targetPort !== undefined) add(namespaceOf(endpoint), endpoint.targetPort)
  }
  for (const mapping of spec.portMappings) {
    const target = targetOf(mapping, spec.endpoints)
    if ('port' in target) add(mapping.protocol, target.port)
  }
  return [...ports.values()]
}

/** What its file says, for `isSingleMember`. */
export const membershipOf = ({
  replicaGroups,
  scale,
}: Pick<ServiceSpec, 'replicaGroups' | 'scale'>): Membership => ({
  groups: replicaGroups.map(({ count }) => count),
  scale,
})
