/**
 * What to probe at one replica. Ports in a check name an endpoint's port and are mapped to the
 * replica's own (services W39, W42, W44); the rest of a URL is sent as it is written.
 */
import type { ProbeTarget } from '../node/commands.ts'
import type { EndpointSpec, HealthCheck, HealthSpec, ServiceSpec } from '../spec/deployment.ts'
import { DEFAULT_HEALTH, type HealthPolicy } from './health.ts'

/**
 * Without a check the first endpoint that can be connected to is connected to; undefined when
 * there is none: such a service is healthy while it runs.
 */
export function probeTarget(
  spec: ServiceSpec,
  host: string,
  ports: Readonly<Record<string, number>>,
): ProbeTarget | undefined {
  const check: HealthCheck = spec.health?.check ?? { type: 'tcp', port: 0 }
  if (check.type === 'command') return { type: 'command', command: check.command }
  const asked = check.type === 'tcp' ? check.port : portOfUrl(check.url)
  const port = asked === 0 ? firstPort(spec, ports) : portNamed(asked, spec, ports)
  if (check.type === 'tcp') return port === 0 ? undefined : { type: 'tcp', host, port }
  return {
    type: 'http',
    host,
    port: port === 0 ? HTTP_PORT : port,
    path: pathOfUrl(check.url),
    authority: authorityOfUrl(check.url),
    expectStatus: check.expectStatus,
  }
}

/** Is there anything to probe? If not, its replicas are healthy while they run. */
export function hasCheck({ health, endpoints }: ServiceSpec): boolean {
  const check = health?.check
  if (check !== undefined && (check.type !== 'tcp' || check.port !== 0)) return true
  return endpoints.some(isConnectable)
}

export const healthPolicy = (health: HealthSpec | undefined): HealthPolicy =>
  health === undefined
    ? DEFAULT_HEALTH
    : {
        startGraceMs: health.startGraceMs,
        intervalMs: health.intervalMs,
        timeoutMs: health.timeoutMs,
        retries: Math.max(1, health.retries),
        passes: 1,
      }

const firstPort = (spec: ServiceSpec, ports: Readonly<Record<string, number>>): number => {
  const first = spec.endpoints.find(isConnectable)
  return first === undefined ? 0 : (ports[first.name] ?? 0)
}

const portNamed = (
  asked: number,
  spec: ServiceSpec,
  ports: Readonly<Record<string, number>>,
): number => {
  const named = spec.endpoints.find(
    (each) => isConnectable(each) && (each.port === asked || each.targetPort === asked),
  )
  return named === undefined ? asked : (ports[named.name] ?? asked)
}

const isConnectable = (endpoint: EndpointSpec): boolean => endpoint.protocol !== 'udp'

const authorityOfUrl = (url: string): string => URL_PARTS.exec(url)?.[1] ?? ''

const pathOfUrl = (url: string): string => {
  const path = URL_PARTS.exec(url)?.[2] ?? ''
  return path.startsWith('/') ? path : `/${path}`
}

const portOfUrl = (url: string): number => Number(/:(\d+)$/.exec(authorityOfUrl(url))?.[1] ?? 0)

const URL_PARTS = /^https?:\/\/([^/?#]*)([^#]*)/i
const HTTP_PORT = 80
