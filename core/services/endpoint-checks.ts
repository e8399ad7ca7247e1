/**
 * The checks that endpoints have of their own, beside the service's. Each has its own identity,
 * its own streak and its own verdict: a silent UDP service behind an open TCP port is down at its
 * UDP endpoint, and one that has no TCP port at all comes up again (udp W22).
 */
import type { ProbeTarget } from '../node/commands.ts'
import type { EndpointSpec, ServiceSpec } from '../spec/deployment.ts'
import { hexOf, parseProbeBytes } from '../spec/grammar/probe-bytes.ts'
import { DEFAULT_HEALTH, type HealthPolicy } from './health.ts'

/** `main` is the service's check; `dns/udp_probe` is one of the endpoint `dns`. */
export type CheckName = 'main' | EndpointCheckName
export type EndpointCheckName = `${string}/${EndpointCheckKind}`
/** `passive`: begun by a connection that failed, over when it passes. */
export type EndpointCheckKind = 'tcp_connect' | 'udp_probe' | 'passive'

export interface EndpointCheck {
  readonly name: EndpointCheckName
  readonly endpoint: EndpointSpec
  readonly asks: Asks
  readonly policy: HealthPolicy
}

type Asks =
  | { readonly type: 'passive' }
  | { readonly type: 'tcp_connect'; readonly port?: number }
  | { readonly type: 'udp_probe'; readonly request: string; readonly expect?: string }

/** In the order of the file. An endpoint has at most one of each kind. */
export function endpointChecks(spec: ServiceSpec): EndpointCheck[] {
  return spec.endpoints.flatMap((endpoint) => {
    const { stream, udp } = endpoint
    const found = new Map<EndpointCheckKind, EndpointCheck>()
    const add = (asks: Asks, intervalMs: number, timeoutMs: number): void => {
      const name: EndpointCheckName = `${endpoint.name}/${asks.type}`
      const policy = policyOf(spec, endpoint, intervalMs, timeoutMs)
      found.set(asks.type, { name, endpoint, asks, policy })
    }
    if (stream.healthCheck !== undefined) add(stream.healthCheck, INTERVAL_MS, TIMEOUT_MS)
    for (const each of udp?.health ?? []) add(each, each.intervalMs, each.timeoutMs)
    return [...found.values()]
  })
}

/** What is asked after a connection to it failed; undefined for an endpoint that nobody connects to. */
export function passiveCheck(spec: ServiceSpec, name: string): EndpointCheck | undefined {
  const endpoint = spec.endpoints.find((each) => each.name === name)
  if (endpoint === undefined || endpoint.protocol === 'udp') return undefined
  const policy = policyOf(spec, endpoint, SUSPECT_INTERVAL_MS, TIMEOUT_MS)
  return { name: `${name}/passive`, endpoint, asks: { type: 'passive' }, policy }
}

export const isPassive = (name: EndpointCheckName): boolean => name.endsWith('/passive')

function policyOf(
  { health }: ServiceSpec,
  { balance }: EndpointSpec,
  intervalMs: number,
  timeoutMs: number,
): HealthPolicy {
  const { startGraceMs } = health ?? DEFAULT_HEALTH
  return { startGraceMs, intervalMs, timeoutMs, retries: balance.fall, passes: balance.rise }
}

/** The endpoint a check is of. */
export const checkedEndpoint = (name: EndpointCheckName): string =>
  name.slice(0, name.lastIndexOf('/'))

/** Undefined for a replica that does not have the endpoint: it is being replaced. */
export function endpointTarget(
  { asks, endpoint }: EndpointCheck,
  spec: ServiceSpec,
  host: string,
  ports: Readonly<Record<string, number>>,
): ProbeTarget | undefined {
  const own = ports[endpoint.name]
  if (own === undefined) return undefined
  if (asks.type === 'passive') return { type: 'tcp', host, port: own }
  if (asks.type === 'tcp_connect') {
    return { type: 'tcp', host, port: companionPort(asks.port, endpoint, spec, ports) ?? own }
  }
  const { request, expect } = asks
  return {
    type: 'udp',
    host,
    port: own,
    request: bytesOf(request),
    ...(expect === undefined ? {} : { expect: bytesOf(expect) }),
  }
}

/**
 * The TCP port beside an endpoint: that of the endpoint with this number, else the number itself;
 * without a number that of the endpoint with the same one, such as 53/tcp beside 53/udp.
 */
function companionPort(
  asked: number | undefined,
  { port }: EndpointSpec,
  { endpoints }: ServiceSpec,
  ports: Readonly<Record<string, number>>,
): number | undefined {
  const connectable = endpoints.filter(({ protocol }) => protocol !== 'udp')
  const companion =
    connectable.find((each) => each.port === (asked ?? port)) ??
    connectable.find((each) => asked !== undefined && each.targetPort === asked)
  return companion === undefined ? asked : (ports[companion.name] ?? asked)
}

/** The file was checked before: what is not readable does not get here. */
const bytesOf = (text: string): string => hexOf(parseProbeBytes(text) ?? [])

/** Of a `stream.health_check`, which says none; as those of a udp block (udp reference, 3). */
const INTERVAL_MS = 5_000
/** While clients run into it, a backend that is gone is to be found out fast. */
const SUSPECT_INTERVAL_MS = 250
/** Once it is down, only its coming back is waited for. */
export const DOWN_INTERVAL_MS = 1_000
const TIMEOUT_MS = 2_000
