/** Which names a node gets certificates for by itself. */
import type { EndpointSpec, ServiceSpec } from '../deployment.ts'
import { addressOfHost } from '../grammar/addresses.ts'
import type { AcmeSettings } from './settings.ts'

/** In order, each once. `services`: those of all deployments of the node. */
export function acmeHostsOf(
  { hosts }: Pick<AcmeSettings, 'hosts'>,
  services: Iterable<Pick<ServiceSpec, 'rtype' | 'endpoints'>>,
): readonly string[] {
  const found = new Set<string>()
  if (hosts !== 'auto') for (const host of hosts) found.add(host)
  else {
    for (const { rtype, endpoints } of services) {
      if (rtype !== 'service') continue
      for (const endpoint of endpoints) {
        if (isProvable(endpoint)) found.add(endpoint.host)
      }
    }
  }
  return [...found].sort()
}

/** Whether somebody outside can ask for it by name: https for everybody, with a whole name. */
const isProvable = (endpoint: EndpointSpec): endpoint is EndpointSpec & { host: string } =>
  endpoint.protocol === 'https' &&
  endpoint.expose === 'public' &&
  endpoint.host !== undefined &&
  isWholeName(endpoint.host)

/** `localhost` and the like are nobody's to prove. */
const isWholeName = (host: string): boolean =>
  host.includes('.') && !host.startsWith('*') && addressOfHost(host) === undefined
