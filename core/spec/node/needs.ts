/** What a deployment needs of the node it is to run on, and what this node has not got. */
import { formatSocketAddress, parseIp } from '../../net/address.ts'
import type { PolicyPlace } from '../../policy/policy.ts'
import { bindingsOf, isPublishedOnLoopback, isSingleMember } from '../../publish/bindings.ts'
import { overlaps, type Reach, reachOf } from '../../publish/ports/overlap.ts'
import { membershipOf, namespaceOf, targetOf } from '../../services/port-mappings.ts'
import type { Unbuilt } from '../built.ts'
import type { Deployment, EndpointSpec, ServiceSpec } from '../deployment.ts'
import { addressOfHost } from '../grammar/addresses.ts'
import type { Path } from '../problem.ts'
import { acmeHostsOf } from './acme-hosts.ts'
import { idleRules } from './idle-rules.ts'
import type { NodeSettings } from './settings.ts'

/** What is found on the machine, as far as it is known. */
export interface NodeFinds {
  /** `example.com`, `*.example.com`, `default`: what the directory has a certificate and a key for. */
  readonly certificateNames?: ReadonlySet<string>
  /** What other deployments have there. */
  readonly others?: readonly PolicyPlace[]
}

/** In the words of {@link Unbuilt}: refused where the deployment could not be what it says. */
export function unmetNeeds(
  deployment: Deployment,
  settings: NodeSettings,
  { certificateNames, others }: NodeFinds = {},
): readonly Unbuilt[] {
  const found: Unbuilt[] = []
  for (const [name, spec] of Object.entries(deployment.services)) {
    if (spec.rtype !== 'service') continue
    const path = ['services', name]
    const { certificates: directory } = settings
    if (directory === undefined) found.push(...certificates(spec, path))
    else if (certificateNames !== undefined) {
      found.push(...uncertified(name, spec, path, { ...settings, directory, certificateNames }))
    }
    if (settings.internalAddresses.length === 0) found.push(...loopback(spec, path))
    found.push(...takenByMetrics(spec, path, settings))
  }
  found.push(...idleRules(deployment, settings, others))
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

interface Certificates extends Pick<NodeSettings, 'acme'> {
  readonly directory: string
  readonly certificateNames: ReadonlySet<string>
}

/** A pair may come while the node runs, so that a missing one is no reason to refuse anything. */
function uncertified(
  service: string,
  spec: ServiceSpec,
  path: Path,
  { directory, certificateNames, acme }: Certificates,
): readonly Unbuilt[] {
  const own = acme === undefined ? [] : acmeHostsOf(acme, [spec])
  return spec.endpoints.flatMap((endpoint, index): Unbuilt[] => {
    const tls = keyOfTls(endpoint)
    const { name, host } = endpoint
    if (tls === undefined || certificateNames.has(DEFAULT_CERTIFICATE)) return []
    if (host !== undefined && (own.includes(host) || isCertified(host, certificateNames))) return []
    const who = `endpoint ${name} of service ${service}`
    const message = `${who}${lackOf(host, directory)}`
    const at = host === undefined ? tls : ['host']
    return [{ path: [...path, 'endpoints', index, ...at], level: 'warn', message }]
  })
}

function lackOf(host: string | undefined, directory: string): string {
  const cure = pairText(DEFAULT_CERTIFICATE)
  if (host === undefined) {
    return ` has no host and ${directory} no default certificate: who asks for a name without a pair of its own there is turned away; ${cure}`
  }
  if (addressOfHost(host) !== undefined) {
    return ` is for an address, which TLS never asks for (RFC 6066, 3), and ${directory} has no default certificate; ${cure}`
  }
  return `: no certificate in ${directory} is for ${host}; ${pairText(host)}, or those of default`
}

/** As a node chooses for the name that a client asks for: its own pair, its wildcard's. */
function isCertified(host: string, names: ReadonlySet<string>): boolean {
  if (addressOfHost(host) !== undefined) return false
  return names.has(host) || names.has(host.replace(/^[^.]*/, '*'))
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
