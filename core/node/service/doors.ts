/** What the file of a service asks of the host: its listeners, and the ports they are reached at. */
import { canonicalJson } from '../../journal/canonical-json.ts'
import {
  bindingsOf,
  isPublishedOnLoopback,
  isSingleMember,
  type Purpose,
} from '../../publish/bindings.ts'
import type { Claim, ClaimId, Tenancy } from '../../publish/claim.ts'
import {
  type MappingTarget,
  mappingEndpoint,
  membershipOf,
  namespaceOf,
  type OwnPort,
  ownPortsOf,
  speaksHttp,
  targetOf,
} from '../../services/port-mappings.ts'
import type { EndpointSpec, PortMappingSpec, ServiceSpec } from '../../spec/deployment.ts'
import type { TcpRoute } from '../commands.ts'
import { canSleep } from './sleep.ts'

/** A listener as the file wants it. */
export interface Door {
  /** Equal doors are one listener, whatever else of the file changes. */
  readonly key: string
  readonly endpoint: EndpointSpec
  readonly target: MappingTarget
  readonly claims: ReadonlyMap<ClaimId, DoorClaim>
}

export interface DoorClaim {
  readonly claim: Claim
  readonly purpose: Purpose
}

/** In the order of the file: endpoints, then mappings. */
export function doorsOf(spec: ServiceSpec, internal: readonly string[]): readonly Door[] {
  if (spec.rtype !== 'service') return []
  const isOnLoopback = isPublishedOnLoopback({
    policy: spec.localhostReachability,
    isSingleMember: isSingleMember(membershipOf(spec)),
  })
  // Who comes while it sleeps is to find the door.
  const bindOf = (bind: Claim['bind']): Claim['bind'] => (canSleep(spec) ? 'always' : bind)
  const doors = spec.endpoints.flatMap((endpoint) =>
    endpointDoors(endpoint, isOnLoopback, internal, bindOf),
  )
  const seen = new Map<string, number>()
  for (const mapping of spec.portMappings) {
    const written = canonicalJson(mapping)
    const nth = (seen.get(written) ?? 0) + 1
    seen.set(written, nth)
    doors.push(mappingDoor(mapping, nth, spec, bindOf))
  }
  return doors
}

function endpointDoors(
  endpoint: EndpointSpec,
  isOnLoopback: boolean,
  internal: readonly string[],
  bindOf: BindOf,
): Door[] {
  const { name, port, expose, protocol } = endpoint
  const target = { endpoint: name }
  const bindings = bindingsOf({ expose, isOnLoopback }, internal).map((binding): DoorClaim => {
    const { host, purpose, isOptional } = binding
    const id = `${name}/${purpose}/${host}`
    const bind = bindOf(binding.bind)
    return { claim: { ...placeOf(endpoint, host), id, host, port, bind, isOptional }, purpose }
  })
  if (protocol !== 'udp') {
    return [{ key: doorKey(endpoint), endpoint, target, claims: byId(bindings) }]
  }
  // Each UDP socket has its own table of flows.
  return bindings.map((each) => ({
    key: doorKey(endpoint, each.claim),
    endpoint,
    target,
    claims: byId([each]),
  }))
}

function mappingDoor(
  mapping: PortMappingSpec,
  nth: number,
  spec: ServiceSpec,
  bindOf: BindOf,
): Door {
  const endpoint = mappingEndpoint(mapping, spec.endpoints)
  const { hostIp: host, hostPort: port = 0 } = mapping
  const id = `${endpoint.name} ${host}:${port} ${nth}`
  // A port of one endpoint alone: there is nothing to share it by.
  const place = speaksHttp(endpoint)
    ? { namespace: namespaceOf(endpoint) }
    : placeOf(endpoint, host)
  const claim: Claim = { ...place, id, host, port, bind: bindOf('published') }
  return {
    key: doorKey(endpoint, claim),
    endpoint,
    target: targetOf(mapping, spec.endpoints),
    claims: byId([{ claim, purpose: 'mapping' }]),
  }
}

type BindOf = (bind: Claim['bind']) => Claim['bind']

const byId = (claims: readonly DoorClaim[]): ReadonlyMap<ClaimId, DoorClaim> =>
  new Map(claims.map((each) => [each.claim.id, each]))

const doorKey = ({ name, protocol, balance }: EndpointSpec, place?: Claim): string => {
  const at = place === undefined ? '' : `${place.id}:${place.port}`
  if (protocol !== 'udp')
    return canonicalJson({ name, on: speaksHttp({ protocol }) ? 'http' : 'tcp', at })
  // A table of flows keeps its strategy.
  const { strategy, failOpen } = balance
  return canonicalJson({ name, on: 'udp', at, strategy, failOpen })
}

function placeOf(endpoint: EndpointSpec, address: string): Pick<Claim, 'namespace' | 'tenancy'> {
  const tenancy = tenancyOf(endpoint, address)
  return { namespace: namespaceOf(endpoint), ...(tenancy === undefined ? {} : { tenancy }) }
}

/**
 * Requests are told apart by host and path, and those who speak TLS by the name they ask for. Plain TCP
 * cannot be told apart.
 */
function tenancyOf(endpoint: EndpointSpec, address: string): Tenancy | undefined {
  const { stream, host = '*', path } = endpoint
  const tls = stream.tls !== 'off'
  const proxies = stream.acceptProxyProtocol
  if (speaksHttp(endpoint)) return requestTenancy(`${host}${path}`, tls, address, proxies)
  return tls ? { tls, route: host, terms: termsOf('bytes', address, proxies) } : undefined
}

/** `route` is host and path. */
export const requestTenancy = (
  route: string,
  tls: boolean,
  address: string,
  proxies: readonly string[],
): Tenancy => ({ tls, route, terms: termsOf('requests', address, proxies) })

/** One socket is open to all or to none, and is read one way before it is known for whom. */
const termsOf = (what: 'bytes' | 'requests', address: string, proxies: readonly string[]): string =>
  canonicalJson([what, address === '0.0.0.0' || address === '::', [...proxies].sort()])

/** What becomes of TLS on the way in. */
export const tlsOf = ({ stream: { tls } }: EndpointSpec): TcpRoute['tls'] =>
  tls === 'reoriginate' ? 'terminate' : tls

/** The ports that its program chooses itself. */
export const programClaims = (spec: ServiceSpec): readonly Claim[] =>
  spec.rtype === 'service' && spec.runtime === 'process' ? ownPortsOf(spec).map(programClaim) : []

/** Wherever it listens: nobody else can have the number on any address. */
export const programClaim = ({ namespace, port }: OwnPort): Claim => ({
  id: `program ${namespace}/${port}`,
  namespace,
  host: '::',
  isV6Only: false,
  port,
  bind: 'never',
})
