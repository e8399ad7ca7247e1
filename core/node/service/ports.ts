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
  const ports: Record<string, number> = {}
  const isTaken = (each: number): boolean =>
    state.ledger.isTaken('tcp', each) || state.ledger.isTaken('udp', each)
  for (const endpoint of endpoints) {
    const twin = twinOf(endpoint, endpoints)
    const shared = twin === undefined ? undefined : ports[twin]
    const port = endpoint.targetPort ?? shared ?? state.ports.lease(id, isTaken, now)
    if (port === undefined) {
      releasePorts(step, id, ports)
      return undefined
    }
    ports[endpoint.name] = port
  }
  return ports
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
 * The endpoint before this one that has its number in the other namespace, such as 53/tcp before
 * 53/udp: a replica of such a service listens at one number of its own for both (udp W35).
 */
export function twinOf(
  { name, protocol, port, targetPort }: EndpointSpec,
  endpoints: readonly EndpointSpec[],
): string | undefined {
  if (targetPort !== undefined) return undefined
  for (const each of endpoints) {
    if (each.name === name) return undefined
    const isOther = namespaceOf(each) !== namespaceOf({ protocol })
    if (each.port === port && isOther && each.targetPort === undefined) return each.name
  }
  return undefined
}
