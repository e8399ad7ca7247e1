/**
 * What files ask of the host's ports: the simulator's own reading of the binding matrix, of port
 * mappings and of who may share a port (proxy reference, sections 3 and 5), to judge by.
 */
import type { Claim } from '../../../core/publish/claim.ts'
import { type ServiceKey, serviceKey } from '../../../core/services/identity.ts'
import type {
  Deployment,
  EndpointSpec,
  PortMappingSpec,
  ServiceSpec,
} from '../../../core/spec/deployment.ts'
import { overlaps, type Place } from '../../faults/host-ports.ts'

export interface Want extends Place {
  /** `deployment/service`, or the node's own. */
  readonly owner: ServiceKey
  readonly bind: Claim['bind']
  /** A machine without it is as good. */
  readonly isOptional: boolean
  /** The TLS name it is for, `*` for all others; absent: the port is its owner's alone. */
  readonly route?: string
  /** What tenants of one port must agree on. */
  readonly terms: string
  /** Where replicas take what comes in: an endpoint of theirs, or a port. */
  readonly target: string | number
  /** What of the file it is: an endpoint's name, `mapping 6379`. */
  readonly label: string
}

export const METRICS = 'node:metrics' as ServiceKey

export const wantsOfFile = (
  { name, services }: Pick<Deployment, 'name' | 'services'>,
  internal: readonly string[],
): Want[] =>
  Object.entries(services).flatMap(([service, spec]) =>
    wantsOf(serviceKey(name, service), spec, internal),
  )

export function wantsOf(owner: ServiceKey, spec: ServiceSpec, internal: readonly string[]): Want[] {
  if (spec.rtype !== 'service') return []
  return [
    ...spec.endpoints.flatMap((endpoint) => ofEndpoint(owner, endpoint, spec, internal)),
    ...spec.portMappings.map((mapping) => ofMapping(owner, mapping, spec.endpoints)),
    ...ownPortsOf(spec).map(
      ([namespace, port]): Want => ({
        owner,
        namespace,
        port,
        host: '::',
        isV6Only: false,
        bind: 'never',
        isOptional: false,
        terms: '',
        target: port,
        label: 'program',
      }),
    ),
  ]
}

function ofEndpoint(
  owner: ServiceKey,
  endpoint: EndpointSpec,
  spec: ServiceSpec,
  internal: readonly string[],
): Want[] {
  const { name, port, expose } = endpoint
  const at = (host: string, bind: Want['bind'], isOptional: boolean): Want => ({
    owner,
    namespace: namespaceOf(endpoint),
    host,
    port,
    isV6Only: true,
    bind,
    isOptional,
    ...tenancyOf(endpoint),
    target: name,
    label: name,
  })
  if (expose === 'public') return [at('0.0.0.0', 'always', false), at('::', 'always', true)]
  const pair = (bind: Want['bind']): Want[] => [at('127.0.0.1', bind, false), at('::1', bind, true)]
  if (internal.length === 0) return pair('always')
  const own = internal.map((host) => at(host, 'always', false))
  return isPublished(spec) ? [...own, ...pair('published')] : own
}

/** `localhost_reachability`: by the file alone; scaling by hand changes nothing. */
const isPublished = ({ localhostReachability: policy, scale }: ServiceSpec): boolean =>
  policy === 'always' || (policy === 'auto' && (scale.mode !== 'fixed' || scale.replicas <= 1))

function ofMapping(
  owner: ServiceKey,
  mapping: PortMappingSpec,
  endpoints: readonly EndpointSpec[],
): Want {
  const { hostIp: host, hostPort: port = 0, protocol: namespace, containerPort } = mapping
  const endpoint = endpointFor(mapping, endpoints)
  return {
    owner,
    namespace,
    host,
    port,
    isV6Only: true,
    bind: 'published',
    isOptional: false,
    ...(endpoint === undefined ? { terms: '' } : tenancyOf({ ...endpoint, expose: 'internal' })),
    target: endpoint?.name ?? containerPort,
    label: `mapping ${containerPort}`,
  }
}

function endpointFor(
  { protocol, containerPort }: PortMappingSpec,
  endpoints: readonly EndpointSpec[],
): EndpointSpec | undefined {
  const alike = endpoints.filter((each) => namespaceOf(each) === protocol)
  return (
    alike.find(({ targetPort }) => targetPort === containerPort) ??
    alike.find(({ port }) => port === containerPort)
  )
}

/** Ports that the program chooses itself. */
function ownPortsOf({ endpoints, portMappings }: ServiceSpec): [Want['namespace'], number][] {
  const ports = new Map<string, [Want['namespace'], number]>()
  for (const endpoint of endpoints) {
    const { targetPort } = endpoint
    if (targetPort === undefined) continue
    ports.set(`${namespaceOf(endpoint)}:${targetPort}`, [namespaceOf(endpoint), targetPort])
  }
  for (const mapping of portMappings) {
    const { protocol, containerPort } = mapping
    if (endpointFor(mapping, endpoints) !== undefined) continue
    ports.set(`${protocol}:${containerPort}`, [protocol, containerPort])
  }
  return [...ports.values()]
}

function tenancyOf({ stream, host, expose }: EndpointSpec): Pick<Want, 'route' | 'terms'> {
  const terms = `${expose} ${[...stream.acceptProxyProtocol].sort().join()}`
  return stream.tls === 'off' ? { terms } : { route: host ?? '*', terms }
}

const namespaceOf = ({ protocol }: EndpointSpec): Want['namespace'] =>
  protocol === 'udp' ? 'udp' : 'tcp'

/** Two owners want what only one can have. */
export function collide(one: Want, other: Want): boolean {
  if (one.owner === other.owner || one.namespace !== other.namespace) return false
  if (one.port === 0 || one.port !== other.port || !overlaps(one, other)) return false
  if (one.route === undefined || other.route === undefined) return true
  return one.route === other.route || one.terms !== other.terms
}

/** `www.wild.test` is for `*.wild.test`, and for `*` where nobody else takes it. */
export function isFor(route: string | undefined, serverName: string | undefined): boolean {
  if (route === undefined || route === '*') return true
  if (serverName === undefined) return false
  const name = serverName.toLowerCase()
  return route.startsWith('*.') ? name.replace(/^[^.]+/, '*') === route : name === route
}
