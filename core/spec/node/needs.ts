/** What a deployment needs of the node it is to run on, and what this node has not got. */
import type { Unbuilt } from '../built.ts'
import type { Deployment, EndpointSpec, ServiceSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import type { NodeSettings } from './settings.ts'

/** In the words of {@link Unbuilt}: refused where the deployment could not be what it says. */
export function unmetNeeds(deployment: Deployment, settings: NodeSettings): readonly Unbuilt[] {
  const found: Unbuilt[] = []
  for (const [name, spec] of Object.entries(deployment.services)) {
    if (spec.rtype !== 'service') continue
    const path = ['services', name]
    if (settings.certificates === undefined) found.push(...certificates(spec, path))
    if (settings.internalAddresses.length === 0) found.push(...loopback(spec, path))
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

function loopback(
  { localhostReachability, endpoints }: ServiceSpec,
  path: Path,
): readonly Unbuilt[] {
  const isMeant = endpoints.some(({ expose }) => expose === 'internal')
  if (localhostReachability !== 'never' || !isMeant) return []
  const message = 'internal endpoints are on loopback while the node has no internal addresses'
  return [{ path: [...path, 'localhost_reachability'], level: 'warn', message }]
}
