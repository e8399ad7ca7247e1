/** Every host port a file asks for, and what for. */
import { formatIp, parseSocketAddress, unmapped } from '../../net/address.ts'
import { namespaceOf, targetOf } from '../../services/port-mappings.ts'
import type {
  ApiSpec,
  Deployment,
  EndpointSpec,
  PortMappingSpec,
  ServiceSpec,
} from '../deployment.ts'
import { isL7 } from '../file/endpoint.ts'
import type { Path } from '../problem.ts'
import type { Reading } from '../schema/reading.ts'
import { given } from '../schema/shape.ts'

export type Claim = EndpointClaim | AddressClaim | ProgramClaim

interface Asked {
  readonly namespace: 'tcp' | 'udp'
  readonly port: number
  /** `service web`, `external db`. */
  readonly owner: string
  /** `endpoint http of service web`. */
  readonly what: string
  readonly at: Path
}

/** Where what arrives goes: one owner's claims with one place do not stand in each other's way. */
interface Listening {
  /** Addresses, each in its usual form. */
  readonly hosts: readonly string[]
  readonly place: string
}

export type Sharing = 'http' | 'https' | 'tls'

export interface EndpointClaim extends Asked, Listening {
  readonly kind: 'endpoint'
  /** Here and below: absent where the file cannot be read, and nothing follows from it. */
  readonly expose?: EndpointSpec['expose']
  /**
   * `none`: the port is its alone. Of the others those of one kind share it: http and https by host
   * and path, TLS over tcp by the server name.
   */
  readonly sharing: 'none' | Sharing
  /** What of the port is this one's: host and path, of TLS over tcp the host alone. */
  readonly route?: string
  /** Networks whose PROXY protocol headers are believed, in one order. */
  readonly trusted?: string
}

/** On an address that the file names. */
export interface AddressClaim extends Asked, Listening {
  readonly kind: 'mapping' | 'api'
}

/** The program itself listens there, who knows on which addresses. */
export interface ProgramClaim extends Asked {
  readonly kind: 'program'
  /** What to write instead. */
  readonly advice: string
}

/** Endpoints first, then what names an address, then programs: each is compared with those before it. */
export function claimsOf(
  { services, externals, api }: Deployment,
  reading: Reading,
): readonly Claim[] {
  const endpoints: Claim[] = []
  const addresses: Claim[] = []
  const programs: Claim[] = []
  const addEndpoints = (specs: readonly EndpointSpec[], owner: string): void => {
    const known = specs.filter((each) => !isTlsUnknown(each, reading))
    endpoints.push(...known.map((each) => endpointClaim(each, owner, reading)))
  }
  for (const [name, spec] of Object.entries(services)) {
    const owner = `service ${name}`
    addEndpoints(spec.endpoints, owner)
    for (const mapping of spec.portMappings) {
      if (mapping.hostPort !== undefined) {
        addresses.push(mappingClaim(mapping, mapping.hostPort, spec, owner, reading))
      }
    }
    if (spec.runtime === 'process') programs.push(...programClaims(spec, owner, reading))
  }
  for (const [name, spec] of Object.entries(externals)) {
    addEndpoints(spec.endpoints, `external ${name}`)
  }
  return [...endpoints, ...addresses, ...apiClaims(api, reading), ...programs]
}

/** Whether it can share its port hangs on it. */
const isTlsUnknown = (endpoint: EndpointSpec, reading: Reading): boolean =>
  endpoint.protocol === 'tcp' && reading.isSpoilt([...reading.pathOf(endpoint), 'stream', 'tls'])

function endpointClaim(endpoint: EndpointSpec, owner: string, reading: Reading): EndpointClaim {
  const { port, name, expose, stream } = endpoint
  const path = reading.pathOf(endpoint)
  const isKnown = (...keys: string[]): boolean =>
    keys.every((key) => !reading.isSpoilt([...path, key]))
  const sharing = sharingOf(endpoint)
  return {
    kind: 'endpoint',
    namespace: namespaceOf(endpoint),
    port,
    owner,
    what: `endpoint ${name} of ${owner}`,
    at: [...path, 'port'],
    hosts: expose === 'public' ? ['0.0.0.0', '::'] : ['127.0.0.1', '::1'],
    place: `${owner}, endpoint ${name}`,
    sharing,
    ...given({
      expose: isKnown('expose') ? expose : undefined,
      route: isKnown('host', 'path') ? routeOf(endpoint, sharing) : undefined,
      trusted: isKnown('stream') ? [...stream.acceptProxyProtocol].sort().join(' ') : undefined,
    }),
  }
}

function routeOf({ host, path }: EndpointSpec, sharing: EndpointClaim['sharing']): string {
  if (sharing === 'tls') return host ?? 'any host'
  return host === undefined ? `any host, path ${path}` : `${host}${path}`
}

function sharingOf({ protocol, stream }: EndpointSpec): EndpointClaim['sharing'] {
  if (protocol === 'https') return 'https'
  if (isL7(protocol)) return 'http'
  return stream.tls === 'off' ? 'none' : 'tls'
}

function mappingClaim(
  mapping: PortMappingSpec,
  port: number,
  { endpoints }: ServiceSpec,
  owner: string,
  reading: Reading,
): AddressClaim {
  const target = targetOf(mapping, endpoints)
  const place = 'port' in target ? `port ${target.port}` : `endpoint ${target.endpoint}`
  return {
    kind: 'mapping',
    namespace: mapping.protocol,
    port,
    owner,
    what: `a port mapping of ${owner}`,
    at: [...reading.pathOf(mapping), 'host_port'],
    hosts: [mapping.hostIp],
    place: `${owner}, ${place}`,
  }
}

function apiClaims(api: ApiSpec, reading: Reading): readonly AddressClaim[] {
  const bound = api.enabled ? parseSocketAddress(api.bind) : undefined
  if (bound === undefined) return []
  const at = [...reading.pathOf(api), 'bind']
  const hosts = [formatIp(unmapped(bound.ip))]
  const claim = { kind: 'api', namespace: 'tcp', owner: 'api', what: 'the api' } as const
  return [{ ...claim, port: bound.port, at, hosts, place: 'api' }]
}

function programClaims(
  spec: ServiceSpec,
  owner: string,
  reading: Reading,
): readonly ProgramClaim[] {
  const what = `the program of ${owner}`
  const claims: ProgramClaim[] = []
  for (const endpoint of spec.endpoints) {
    const { targetPort: port } = endpoint
    if (port === undefined) continue
    const at = [...reading.pathOf(endpoint), 'target_port']
    const namespace = namespaceOf(endpoint)
    claims.push({ kind: 'program', namespace, port, owner, what, at, advice: TARGET_ADVICE })
  }
  const mapped = new Set<string>()
  for (const mapping of spec.portMappings) {
    const { protocol: namespace, containerPort: port } = mapping
    const isOwn = 'port' in targetOf(mapping, spec.endpoints)
    if (!isOwn || mapped.has(`${namespace}/${port}`)) continue
    mapped.add(`${namespace}/${port}`)
    const at = [...reading.pathOf(mapping), 'container_port']
    claims.push({ kind: 'program', namespace, port, owner, what, at, advice: MAPPED_ADVICE })
  }
  return claims
}

const TARGET_ADVICE =
  'remove target_port and let the program listen on $PORT, or choose another target_port'
const MAPPED_ADVICE =
  'map the port of an endpoint and let the program listen on $PORT, or choose another port'
