/**
 * Host ports a service owns, from the file that asks for them to the last socket that uses them;
 * and the ports of its replicas.
 */
import type { PortClaim, PortNamespace } from '../../publish/ledger.ts'
import type { ReplicaId, ServiceKey } from '../../services/identity.ts'
import type { EndpointSpec, ServiceSpec } from '../../spec/deployment.ts'
import { replicaOf, type Service, type Step } from '../state.ts'
import { listenersOf } from './listeners.ts'

/** The host ports a service must own: where its endpoints listen, and where its program does. */
export function claimsOf(owner: ServiceKey, spec: ServiceSpec): PortClaim[] {
  if (spec.rtype !== 'service') return []
  return spec.endpoints.flatMap((endpoint) => {
    const { port, targetPort } = endpoint
    const namespace = namespaceOf(endpoint)
    const ports = targetPort === undefined ? [port] : [port, targetPort]
    return ports.map((each): PortClaim => ({ namespace, port: each, owner }))
  })
}

export const namespaceOf = ({ protocol }: EndpointSpec): PortNamespace =>
  protocol === 'udp' ? 'udp' : 'tcp'

/** Records what a service's file asks for; ports of an older file stay until nothing uses them. */
export function claimPorts({ state }: Step, service: Service): void {
  const claims = claimsOf(service.key, service.spec)
  for (const claim of claims) state.ledger.claim(claim)
  const asked = new Set(claims.map(keyOf))
  service.claims = [...service.claims.filter((old) => !asked.has(keyOf(old))), ...claims]
}

/** Lets go of ports that neither the file, nor a socket, nor a program of the service uses any more. */
export function releaseClaims(step: Step, service: Service): void {
  const { state } = step
  const held = new Set<string>()
  if (service.stage !== 'leaving') {
    for (const claim of claimsOf(service.key, service.spec)) held.add(keyOf(claim))
  }
  for (const { state: listening, endpoint } of listenersOf(step, service)) {
    if (listening === 'closed') continue
    held.add(keyOf({ namespace: namespaceOf(endpoint), port: endpoint.port }))
  }
  if (service.claims.every((claim) => held.has(keyOf(claim)))) return
  const programs = programPorts(step, service)
  service.claims = service.claims.filter((claim) => {
    if (held.has(keyOf(claim)) || programs.has(claim.port)) return true
    state.ledger.release(claim.namespace, claim.port, service.key)
    return false
  })
}

function programPorts({ state }: Step, service: Service): Set<number> {
  const ports = new Set<number>()
  for (const slot of service.slots.values()) {
    for (const port of Object.values(replicaOf(state, slot)?.ports ?? {})) ports.add(port)
  }
  return ports
}

// The ports of replicas

/** One for each endpoint, where its file names none; undefined when none is left. */
export function leasePorts(
  step: Step,
  { endpoints }: ServiceSpec,
  id: ReplicaId,
): Record<string, number> | undefined {
  const { state, now } = step
  const ports: Record<string, number> = {}
  const isTaken = (each: number): boolean =>
    state.ledger.ownerOf('tcp', each) !== undefined ||
    state.ledger.ownerOf('udp', each) !== undefined
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
    const isOther = (each.protocol === 'udp') !== (protocol === 'udp')
    if (each.port === port && isOther && each.targetPort === undefined) return each.name
  }
  return undefined
}

const keyOf = ({ namespace, port }: Pick<PortClaim, 'namespace' | 'port'>): string =>
  `${namespace}:${port}`
