/** What a deployment needs of the node it is to run on, and what this node has not got. */
import { formatSocketAddress, parseIp } from '../../net/address.ts'
import { bindingsOf, isPublishedOnLoopback, isSingleMember } from '../../publish/bindings.ts'
import { overlaps, type Reach, reachOf } from '../../publish/ports/overlap.ts'
import { membershipOf, namespaceOf, targetOf } from '../../services/port-mappings.ts'
import type { Unbuilt } from '../built.ts'
import type { Deployment, EndpointSpec, ServiceSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import type { NodeSettings } from './settings.ts'

/** What is found on the machine where the settings say, as far as it is known. */
export interface NodeFinds {
  /** `example.com`, `*.example.com`, `default`: what the directory has a certificate and a key for. */
  readonly certificateNames?: ReadonlySet<string>
}

/** In the words of {@link Unbuilt}: refused where the deployment could not be what it says. */
export function unmetNeeds(
  deployment: Deployment,
  settings: NodeSettings,
  { certificateNames }: NodeFinds = {},
): readonly Unbuilt[] {
  const found: Unbuilt[] = []
  for (const [name, spec] of Object.entries(deployment.services)) {
    if (spec.rtype !== 'service') continue
    const path = ['services', name]
    const { certificates: directory } = settings
    if (directory === undefined) found.push(...certificates(spec, path))
    else if (certificateNames !== undefined) {
      found.push(...uncertified(name, spec, path, directory, certificateNames))
    }
    if (settings.internalAddresses.length === 0) found.push(...loopback(spec, path))
    found.push(...takenByMetrics(spec, path, settings))
  }
  return found
}

function certificates({ endpoints }: ServiceSpec, path: Path): readonly Unbuilt[] {
  return endpoints.flatMap((endpoint, index): Unbuilt[] => {
    const at = keyOfTls(endpoint)
    if (at === undefined) return []
    const message = `needs certificates: start the node with --node FILE whose certificates: names a directory`
    return [{ path: [...path, 'endpoints', index, ...at], level: 'refuse', message }]
  })
}

/** Which key says that TLS ends at the endpoint. */
function keyOfTls({ protocol, stream }: EndpointSpec): Path | undefined {
  if (protocol === 'https') return ['protocol']
  const isEnded = stream.tls === 'terminate' || stream.tls === 'reoriginate'
  return isEnded ? ['stream', 'tls'] : undefined
}

/** A pair may come while the node runs, so that a missing one is no reason to refuse anything. */
function uncertified(
  service: string,
  { endpoints }: ServiceSpec,
  path: Path,
  directory: string,
  names: ReadonlySet<string>,
): readonly Unbuilt[] {
  return endpoints.flatMap((endpoint, index): Unbuilt[] => {
    const tls = keyOfTls(endpoint)
    const { name, host } = endpoint
    if (tls === undefined || isCertified(host, names)) return []
    const who = `endpoint ${name} of service ${service}`
    const message =
      host === undefined
        ? `${who} has no host and ${directory} no default certificate: who asks for a name without a pair of its own there is turned away; ${pairText('default')}`
        : `${who}: no certificate in ${directory} is for ${host}; ${pairText(host)}, or those of default`
    const at = host === undefined ? tls : ['host']
    return [{ path: [...path, 'endpoints', index, ...at], level: 'warn', message }]
  })
}

/** As a node chooses for the name that a client asks for: its own pair, its wildcard's, the default. */
function isCertified(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (names.has(DEFAULT_CERTIFICATE)) return true
  return host !== undefined && (names.has(host) || names.has(host.replace(/^[^.]*/, '*')))
}

function pairText(name: string): string {
  const stem = name.replace(/^\*/, '_')
  return `put ${stem}.crt and ${stem}.key there`
}

function loopback(
  { localhostReachability, endpoints }: ServiceSpec,
  path: Path,
): readonly Unbuilt[] {
  const isMeant = endpoints.some(({ expose }) => expose === 'internal')
  if (localhostReachability !== 'never' || !isMeant) return []
  const message = 'internal endpoints are on loopback while the node has no internal addresses'
  return [{ path: [...path, 'localhost_reachability'], level: 'warn', message }]
}

/** The node has its own port first: whoever asks for it too is never granted it. */
function takenByMetrics(spec: ServiceSpec, path: Path, settings: NodeSettings): readonly Unbuilt[] {
  const { metrics } = settings
  if (metrics === undefined) return []
  const own = reachOf(metrics.host)
  const ip = parseIp(metrics.host)
  const place = ip === undefined ? String(metrics.port) : formatSocketAddress({ ...metrics, ip })
  const message = `tcp port ${metrics.port} is the node's own, for metrics (${place} in the node file); choose another port`
  return portsOf(spec, settings.internalAddresses).flatMap(({ at, port, reaches }): Unbuilt[] => {
    if (port !== metrics.port || !reaches.some((each) => overlaps(each, own))) return []
    return [{ path: [...path, ...at], level: 'refuse', message }]
  })
}

/** A TCP port of the host that a service takes. */
interface TakenPort {
  readonly at: Path
  readonly port: number
  readonly reaches: readonly Reach[]
}

function portsOf(spec: ServiceSpec, internal: readonly string[]): readonly TakenPort[] {
  const { endpoints, portMappings, runtime, localhostReachability: policy } = spec
  const isOnLoopback = isPublishedOnLoopback({
    policy,
    isSingleMember: isSingleMember(membershipOf(spec)),
  })
  const found: TakenPort[] = []
  for (const [index, endpoint] of endpoints.entries()) {
    if (namespaceOf(endpoint) !== 'tcp') continue
    const { port, expose, targetPort } = endpoint
    const bindings = bindingsOf({ expose, isOnLoopback }, internal)
    const reaches = bindings.map(({ host }) => reachOf(host))
    found.push({ at: ['endpoints', index, 'port'], port, reaches })
    if (targetPort === undefined || runtime !== 'process') continue
    found.push({
      at: ['endpoints', index, 'target_port'],
      port: targetPort,
      reaches: ANYWHERE,
    })
  }
  for (const [index, mapping] of portMappings.entries()) {
    const { hostPort, containerPort, hostIp, protocol } = mapping
    if (protocol !== 'tcp') continue
    const at = ['port_mappings', index]
    if (hostPort !== undefined) {
      found.push({ at: [...at, 'host_port'], port: hostPort, reaches: [reachOf(hostIp)] })
    }
    if (runtime === 'process' && 'port' in targetOf(mapping, endpoints)) {
      found.push({ at: [...at, 'container_port'], port: containerPort, reaches: ANYWHERE })
    }
  }
  return found
}

/** Where a program listens that chooses its port is its own affair. */
const ANYWHERE: readonly Reach[] = [reachOf('::', false)]
const DEFAULT_CERTIFICATE = 'default'
