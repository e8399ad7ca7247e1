/** Which port the checks of one endpoint mean, and that each is there once. */
import type { EndpointSpec, ServiceSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import type { Reading } from '../schema/reading.ts'
import { writtenAt } from './written.ts'

/** `tree` is the file as it was written. */
export function checkEndpointHealth(spec: ServiceSpec, tree: unknown, reading: Reading): void {
  for (const endpoint of spec.endpoints) {
    const path = [...reading.pathOf(endpoint), 'udp', 'health']
    if (endpoint.udp?.health === undefined || reading.isSpoilt(path)) continue
    const isList = Array.isArray(writtenAt(tree, path))
    const seen = new Set<string>()
    for (const [index, check] of endpoint.udp.health.entries()) {
      const at = isList ? [...path, index] : path
      if (seen.has(check.type)) {
        const message = `type ${check.type} is given twice; an endpoint has one check of each type`
        reading.report([...at, 'type'], message, 'value')
      }
      seen.add(check.type)
      if (check.type === 'tcp_connect') checkPort(check.port, spec, [...at, 'port'], reading)
    }
  }
}

/** A process has a port of its own for each endpoint; in a container any port may be listened on. */
function checkPort(port: number | undefined, spec: ServiceSpec, at: Path, reading: Reading): void {
  if (port === undefined || spec.runtime !== 'process' || reading.isSpoilt(at.slice(0, 3))) return
  const connectable = spec.endpoints.filter(({ protocol }) => protocol !== 'udp')
  if (connectable.some((each) => each.port === port || each.targetPort === port)) return
  reading.report(at, `no tcp endpoint has port ${port}${offer(connectable)}`, 'value')
}

function offer([first]: readonly EndpointSpec[]): string {
  const leave = '; leave the port out for the number of the udp port'
  return first === undefined ? leave : `${leave}, or write ${first.port} for ${first.name}`
}
