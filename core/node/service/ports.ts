/** The ports that replicas of this node listen on. */

import type { ReplicaId } from '../../services/identity.ts'
import { namespaceOf } from '../../services/port-mappings.ts'
import type { EndpointSpec, ServiceSpec } from '../../spec/deployment.ts'
import type { Step } from '../state.ts'

/** One for each endpoint, where its file names none; undefined when none is left. */
export function leasePorts(
  step: Step,
  { endpoints }: ServiceSpec,
  id: ReplicaId,
): Record<string, number> | undefined {
  const { state, now } = step
  const leased = new Map<string, number>()
  const isTaken = (each: number): boolean =>
    state.ledger.isTaken('tcp', each) || state.ledger.isTaken('udp', each)
  for (const endpoint of endpoints) {
    if (sharedWith(endpoint, endpoints) !== undefined) continue
    const port = endpoint.targetPort ?? state.ports.lease(id, isTaken, now)
    if (port === undefined) {
      releasePorts(step, id, Object.fromEntries(leased))
      return undefined
    }
    leased.set(endpoint.name, port)
  }
  return Object.fromEntries(
    endpoints.map(({ name }) => [name, leased.get(ownerOf(name, endpoints))!]),
  )
}

/** Whose port it is in the end. */
function ownerOf(name: string, endpoints: readonly EndpointSpec[]): string {
  const endpoint = endpoints.find((each) => each.name === name)
  const other = endpoint && sharedWith(endpoint, endpoints)
  return other === undefined ? name : ownerOf(other, endpoints)
}

export function releasePorts(
  { state, now }: Step,
  id: ReplicaId,
  ports: Readonly<Record<string, number>>,
): void {
  for (const port of Object.values(ports)) {
    if (state.ports.leased.get(port) === id) state.ports.release(port, now)
  }
}

/**
 * The endpoint whose port in a replica it shares: the one that its file names; of one that only
 * redirects, the https one, for nobody comes to it; or the one before it that has its number in the
 * other namespace, such as 53/tcp before 53/udp (udp W35).
 */
export function sharedWith(
  endpoint: EndpointSpec,
  endpoints: readonly EndpointSpec[],
): string | undefined {
  const { targetPort, targetEndpoint, http } = endpoint
  if (targetPort !== undefined) return undefined
  if (targetEndpoint !== undefined) return targetEndpoint
  if (http?.redirectHttps === true) {
    return endpoints.find(({ protocol }) => protocol === 'https')?.name
  }
  for (const each of endpoints) {
    if (each.name === endpoint.name) return undefined
    const isOther = namespaceOf(each) !== namespaceOf(endpoint)
    const isFree = each.targetPort === undefined && each.targetEndpoint === undefined
    if (each.port === endpoint.port && isOther && isFree) return each.name
  }
  return undefined
}
