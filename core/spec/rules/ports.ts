/**
 * Who has which port of the host. A tcp or udp port belongs to one service; an http, https or
 * websocket port belongs to the ingress, and services share it by host and path. A program that
 * chooses its own port (`target_port` of a process) has that port too. tcp and udp are apart.
 */
import { parseSocketAddress } from '../../net/address.ts'
import type { Deployment, EndpointSpec, ServiceSpec } from '../deployment.ts'
import { isL7 } from '../file/endpoint.ts'
import type { Path } from '../problem.ts'
import type { Reading } from '../schema/reading.ts'

interface Claim {
  readonly kind: 'endpoint' | 'mapping' | 'program' | 'api' | 'ingress'
  readonly namespace: 'tcp' | 'udp'
  readonly port: number
  /** `service web`, `external db`. */
  readonly owner: string
  /** `endpoint http of service web`. */
  readonly what: string
  readonly at: Path
  readonly tls: boolean
  /** What tells tenants of one L7 port apart, or mappings of one port: host and path, or address. */
  readonly route: string
}

/** What is known of one port so far; each is the first of its kind. */
interface Holders {
  l4?: Claim
  ingress?: Claim
  program?: Claim
  endpoint?: Claim
  readonly routes: Map<string, Claim>
}

export function checkPorts(deployment: Deployment, reading: Reading): void {
  const ports = new Map<string, Holders>()
  for (const claim of claimsOf(deployment, reading)) {
    const key = `${claim.namespace}/${claim.port}`
    const holders: Holders = ports.get(key) ?? { routes: new Map() }
    ports.set(key, holders)
    const conflict = conflictOf(claim, holders)
    if (conflict !== undefined) reading.report(claim.at, conflict, 'value')
    remember(claim, holders)
  }
}

/** Listening ports first, so that a program's port is compared with all of them. */
function claimsOf({ services, externals, api }: Deployment, reading: Reading): readonly Claim[] {
  const claims: Claim[] = []
  const programs: Claim[] = []
  for (const [name, spec] of Object.entries(services)) {
    const owner = `service ${name}`
    for (const endpoint of spec.endpoints) claims.push(endpointClaim(endpoint, owner, reading))
    for (const mapping of spec.portMappings) {
      if (mapping.hostPort === undefined) continue
      claims.push({
        kind: 'mapping',
        namespace: mapping.protocol,
        port: mapping.hostPort,
        owner,
        what: `a port mapping of ${owner}`,
        at: [...reading.pathOf(mapping), 'host_port'],
        tls: false,
        route: mapping.hostIp,
      })
    }
    programs.push(...programClaims(spec, owner, reading))
  }
  for (const [name, spec] of Object.entries(externals)) {
    const owner = `external ${name}`
    for (const endpoint of spec.endpoints) claims.push(endpointClaim(endpoint, owner, reading))
  }
  const bound = api.enabled ? parseSocketAddress(api.bind) : undefined
  if (bound !== undefined) {
    const at = [...reading.pathOf(api), 'bind']
    const claim = { kind: 'api', namespace: 'tcp', owner: 'api', what: 'the api', at } as const
    claims.push({ ...claim, port: bound.port, tls: false, route: '' })
  }
  return [...claims, ...programs]
}

function endpointClaim(endpoint: EndpointSpec, owner: string, reading: Reading): Claim {
  const { protocol, port, name, host, path } = endpoint
  return {
    kind: isL7(protocol) ? 'ingress' : 'endpoint',
    namespace: protocol === 'udp' ? 'udp' : 'tcp',
    port,
    owner,
    what: `endpoint ${name} of ${owner}`,
    at: [...reading.pathOf(endpoint), 'port'],
    tls: protocol === 'https',
    // trailing slashes make no difference to a prefix
    route: `${host ?? 'any host'}${path.replace(/\/+$/, '') || '/'}`,
  }
}

const programClaims = (spec: ServiceSpec, owner: string, reading: Reading): Claim[] =>
  spec.runtime !== 'process'
    ? []
    : spec.endpoints.flatMap((endpoint) =>
        endpoint.targetPort === undefined
          ? []
          : [
              {
                ...endpointClaim(endpoint, owner, reading),
                kind: 'program',
                port: endpoint.targetPort,
                what: `the program of ${owner}`,
                at: [...reading.pathOf(endpoint), 'target_port'],
              },
            ],
      )

function conflictOf(claim: Claim, held: Holders): string | undefined {
  const port = `${claim.namespace} port ${claim.port}`
  if (claim.kind === 'program') return programConflict(claim, port, held)
  if (claim.kind === 'ingress') {
    if (held.l4 !== undefined) return `${held.l4.what} has ${port} already; choose another port`
    if (held.ingress !== undefined && held.ingress.tls !== claim.tls) {
      const [theirs, ours] = claim.tls ? ['plain', 'TLS'] : ['TLS', 'plain']
      return `${port} is ${theirs} for ${held.ingress.what} and would be ${ours} here; choose another port`
    }
    const same = held.routes.get(claim.route)
    if (same === undefined) return undefined
    return `${same.what} serves ${claim.route} on ${port} already; choose another port, host or path`
  }
  if (held.ingress !== undefined) {
    return `${held.ingress.what} has ${port} already; choose another port`
  }
  if (held.l4 !== undefined && held.l4.owner !== claim.owner) {
    return `${held.l4.what} has ${port} already; a ${claim.namespace} port belongs to one service`
  }
  const same =
    claim.kind === 'endpoint' ? held.endpoint : held.routes.get(`${claim.kind} ${claim.route}`)
  return same && `${same.what} has ${port} already; choose another port`
}

function programConflict(claim: Claim, port: string, held: Holders): string | undefined {
  const listener = held.ingress ?? held.l4
  if (listener !== undefined) {
    return `Weir itself listens on ${port}, for ${listener.what}, so the program cannot; remove target_port and let the program listen on $PORT, or choose another`
  }
  if (held.program === undefined || held.program.owner === claim.owner) return undefined
  return `${held.program.what} listens on ${port} already; choose another target_port`
}

function remember(claim: Claim, held: Holders): void {
  const route = claim.kind === 'ingress' ? claim.route : `${claim.kind} ${claim.route}`
  if (!held.routes.has(route)) held.routes.set(route, claim)
  if (claim.kind === 'ingress') held.ingress ??= claim
  else if (claim.kind === 'program') held.program ??= claim
  else {
    held.l4 ??= claim
    if (claim.kind === 'endpoint') held.endpoint ??= claim
  }
}
