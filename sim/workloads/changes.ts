/** What people change in a service from one file to the next. */
import type { Prng } from '../prng.ts'
import {
  type DeploymentLimits,
  drawEndpoint,
  drawMapping,
  type EndpointSketch,
  isAlone,
  isTls,
  lone,
  type Pool,
  type ServiceSketch,
  STRATEGIES,
} from './deployments.ts'

/** `free` has what the file does not use yet. */
export function changeService(
  service: ServiceSketch,
  free: Pool,
  limits: DeploymentLimits,
  draw: Prng,
): ServiceSketch {
  const kinds = limits.publishing ? 12 : 4
  const kind = draw.below(kinds)
  switch (kind) {
    case 0: {
      if (service.sleepsAfterMs !== undefined)
        return { ...service, sleepsAfterMs: draw.between(1, 9_000) }
      const replicas = draw.below(limits.replicasMax + 1)
      return { ...service, replicas: isAlone(service) ? Math.min(1, replicas) : replicas }
    }
    case 1:
      return { ...service, retries: draw.between(1, 4), stopGraceMs: draw.between(1, 5_000) }
    case 4:
    case 5:
    case 6:
      return changeEndpoint(service, kind, free, draw)
    case 7:
      return { ...service, reach: draw.pick(['auto', 'always', 'never']) }
    case 8: {
      const added = drawMapping(service.endpoints, free, draw)
      return lone({ ...service, mappings: [...(service.mappings ?? []), ...added] })
    }
    case 9:
      return { ...service, mappings: (service.mappings ?? []).slice(1) }
    case 10: {
      const added = drawEndpoint(free, limits, draw)
      return lone({ ...service, endpoints: [...service.endpoints, ...added] })
    }
    default:
      return { ...service, flavour: service.flavour + 1, broken: false }
  }
}

/** Another port, another reach, or other ways of its connections. */
function changeEndpoint(
  service: ServiceSketch,
  kind: 4 | 5 | 6,
  free: Pool,
  draw: Prng,
): ServiceSketch {
  const at = draw.below(service.endpoints.length)
  const endpoint = service.endpoints[at]
  if (endpoint === undefined) return service
  const others = service.endpoints.filter((_, index) => index !== at)
  const isShared = isTls(endpoint) || others.some(({ port }) => port === endpoint.port)
  const [port = endpoint.port] = kind === 4 ? free.plain : []
  const changed: EndpointSketch | undefined =
    kind === 6
      ? draw.below(4) === 0
        ? undefined
        : { ...endpoint, strategy: draw.pick(STRATEGIES), ...perBackend(endpoint, draw) }
      : isShared
        ? endpoint // tenants of a port agree, and so do twins
        : kind === 4
          ? { ...endpoint, port }
          : { ...endpoint, expose: endpoint.expose === 'public' ? 'internal' : 'public' }
  const connectionsMax = kind === 6 ? draw.pick([1, 100]) : service.connectionsMax
  const mappings = (service.mappings ?? []).filter(
    ({ containerPort }) => changed?.port === endpoint.port || containerPort !== endpoint.port,
  )
  return {
    ...service,
    connectionsMax,
    mappings,
    endpoints: service.endpoints.flatMap((each, index) =>
      index !== at ? each : changed === undefined ? [] : changed,
    ),
  }
}

const perBackend = ({ protocol }: EndpointSketch, draw: Prng): Partial<EndpointSketch> =>
  protocol === 'tcp' && draw.below(4) === 0 ? { perBackendMax: draw.between(1, 3) } : {}
