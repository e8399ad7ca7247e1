/** Which endpoint a health check means. */
import type { EndpointSpec, HealthCheck, HealthSpec } from '../deployment.ts'
import { formatHealthUrl, parseHealthUrl } from '../grammar/health-url.ts'
import type { Path } from '../problem.ts'
import type { Reading } from '../schema/reading.ts'

/**
 * Checks that every port names an endpoint, and returns the block with the endpoint's `port` where
 * the file gave its `target_port`: from here on a check's port is always an endpoint's `port`.
 */
export function settleHealth(
  health: HealthSpec,
  endpoints: readonly EndpointSpec[],
  path: Path,
  reading: Reading,
): HealthSpec {
  const settle = <B extends { readonly check: HealthCheck }>(block: B, at: Path): B => ({
    ...block,
    check: settleCheck(block.check, endpoints, [...at, 'check'], reading),
  })
  const { startup, liveness } = health
  return {
    ...settle(health, path),
    ...(startup === undefined ? {} : { startup: settle(startup, [...path, 'startup']) }),
    ...(typeof liveness === 'object' ? { liveness: settle(liveness, [...path, 'liveness']) } : {}),
  }
}

function settleCheck(
  check: HealthCheck,
  endpoints: readonly EndpointSpec[],
  path: Path,
  reading: Reading,
): HealthCheck {
  if (check.type === 'command') return check
  const url = check.type === 'http' ? parseHealthUrl(check.url) : undefined
  const port = check.type === 'tcp' ? check.port : (url?.port ?? 0)
  const at = [...path, check.type === 'tcp' ? 'port' : 'url']
  const connectable = endpoints.filter(({ protocol }) => protocol !== 'udp')
  if (port === 0) {
    // the first endpoint is meant, whatever it is: asking another would surprise
    if (connectable.length === 0 || endpoints[0]?.protocol === 'udp') {
      const first = endpoints.length === 0 ? 'there is no endpoint' : 'the first endpoint is udp'
      const advice = 'write { type: command, command: "..." } or name the port of another endpoint'
      reading.report(
        path,
        `${check.type === 'http' ? 'an http' : 'a tcp'} check needs an endpoint, and ${first}; ${advice}`,
      )
    }
    return check
  }
  const meant =
    connectable.find((endpoint) => endpoint.port === port) ??
    connectable.find((endpoint) => endpoint.targetPort === port)
  if (meant === undefined) {
    reading.report(at, `no endpoint has port ${port}${offer(connectable, check.type)}`, 'value')
    return check
  }
  if (check.type === 'tcp') return { ...check, port: meant.port }
  return url === undefined
    ? check
    : { ...check, url: formatHealthUrl({ ...url, port: meant.port }) }
}

function offer(endpoints: readonly EndpointSpec[], type: 'tcp' | 'http'): string {
  const first = endpoints[0]
  if (first === undefined) return ''
  const leave = type === 'tcp' ? 'write 0' : 'leave the port out'
  return `; ${leave} for the first endpoint, or write ${first.port} for ${first.name}`
}
