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
import { requestFor } from '../../faults/sockets.ts'

export interface Want extends Place {
  /** `deployment/service`, or the node's own. */
  readonly owner: ServiceKey
  readonly bind: Claim['bind']
  /** A machine without it is as good. */
  readonly isOptional: boolean
  /**
   * The TLS name it is for, `*` for all others, or the host and path; absent: the port is its owner's
   * alone.
   */
  readonly route?: string
  /** Of HTTP: how one asks for it, whether or not the port is shared. */
  readonly request?: string
  /** What tenants of one port must agree on. */
  readonly terms: string
  /** Where replicas take what comes in: an endpoint of theirs, or a port. */
  readonly target: string | number
  /** What of the file it is: an endpoint's name, `mapping 6379`. */
  readonly label: string
}

export const METRICS = 'node:metrics' as ServiceKey

/** None of it need run while nobody comes: who comes wakes it. */
export const sleeps = ({ scale }: ServiceSpec): boolean =>
  scale.mode === 'adaptive' && scale.min === 0

export const wantsOfFile = (
  { name, services }: Pick<Deployment, 'name' | 'services'>,
  internal: readonly string[],
): Want[] =>
  Object.entries(services).flatMap(([service, spec]) =>
    wantsOf(serviceKey(name, service), spec, internal),
  )

export function wantsOf(owner: ServiceKey, spec: ServiceSpec, internal: readonly string[]): Want[] {
  if (spec.rtype !== 'service') return []
  const found = listensOf(owner, spec, internal)
  // Who comes finds the door, whether or not anybody is behind it.
  if (!sleeps(spec)) return found
  return found.map((want) => (want.bind === 'published' ? { ...want, bind: 'always' } : want))
}

function listensOf(owner: ServiceKey, spec: ServiceSpec, internal: readonly string[]): Want[] {
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
  policy === 'always' || (policy === 'auto' && isSingle(scale))

const isSingle = (scale: ServiceSpec['scale']): boolean =>
  scale.mode === 'manual' || (scale.mode === 'fixed' ? scale.replicas : scale.max) <= 1

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
    ...(endpoint === undefined ? { terms: '' } : mappedTenancy(endpoint)),
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

type Tenancy = Pick<Want, 'route' | 'request' | 'terms'>

function tenancyOf({ stream, host, path, expose, protocol }: EndpointSpec): Tenancy {
  const isHttp = readsRequests(protocol)
  const kind = isHttp ? protocol.replace('websocket', 'http') : 'bytes'
  const terms = `${kind} ${expose} ${[...stream.acceptProxyProtocol].sort().join()}`
  if (isHttp) {
    const request = requestFor(host === undefined ? { path } : { host, path })
    return { route: request, request, terms }
  }
  return stream.tls === 'off' ? { terms } : { route: host ?? '*', terms }
}

/** One of HTTP answers to everybody, and shares its port with nobody. */
const mappedTenancy = (endpoint: EndpointSpec): Tenancy =>
  readsRequests(endpoint.protocol)
    ? { request: requestFor({ path: '/' }), terms: '' }
    : tenancyOf({ ...endpoint, expose: 'internal' })

const readsRequests = (protocol: EndpointSpec['protocol']): boolean =>
  protocol !== 'tcp' && protocol !== 'udp'

/** Of a want or target: whom HTTP asks for, not TLS. */
export const isRequest = (route: string | undefined): boolean => route?.startsWith('http ') === true

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
export function isFor(
  route: string | undefined,
  serverName: string | undefined,
  request?: string,
): boolean {
  if (isRequest(route)) return route === request
  if (route === undefined || route === '*') return true
  if (serverName === undefined) return false
  const name = serverName.toLowerCase()
  return route.startsWith('*.') ? name.replace(/^[^.]+/, '*') === route : name === route
}
