/** Whole deployments from sketches, filled in as the deployment file's defaults would. */

import type {
  DependencySpec,
  Deployment,
  EndpointSpec,
  HealthSpec,
  PortMappingSpec,
  ServiceSpec,
  StreamSpec,
} from '../../core/spec/deployment.ts'
import { plainHttp, plainStream, plainUdp } from '../../core/spec/plain-endpoint.ts'
import { BROKEN } from '../faults/runtime.ts'
import { TRUSTED_PROXIES } from './clients.ts'
import {
  type DependencySketch,
  type DeploymentSketch,
  type EndpointSketch,
  type MappingSketch,
  SERVICE_NAMES,
  type ServiceSketch,
} from './deployments.ts'

export function deploymentOf(sketch: DeploymentSketch): Deployment {
  const services: Record<string, ServiceSpec> = {}
  sketch.services.forEach((service, index) => {
    services[SERVICE_NAMES[index]!] = serviceOf(service)
  })
  return {
    version: 'v1',
    name: sketch.name,
    services,
    externals: {},
    api: { enabled: false, bind: '127.0.0.1:3669', swagger: true },
  }
}

export const serviceOf = (sketch: ServiceSketch): ServiceSpec => ({
  rtype: 'service',
  runtime: 'process',
  command: {
    entrypoint: [],
    args: ['serve', sketch.broken ? BROKEN : 'well', '$PORT', ...ownWords(sketch)],
  },
  env: { FLAVOUR: String(sketch.flavour) },
  envInherit: [],
  endpoints: sketch.endpoints.map((endpoint, index) => endpointOf(endpoint, index, sketch)),
  scale:
    sketch.sleepsAfterMs === undefined
      ? { mode: 'fixed', replicas: sketch.replicas }
      : { ...ADAPTIVE, idleAfterMs: sketch.sleepsAfterMs },
  replicaGroups: [],
  depends: sketch.depends.map(dependencyOf),
  ...healthOf(sketch),
  init: { steps: [] },
  errors: { onInitFailure: 'fail', onPanic: sketch.onPanic },
  update: {
    surgeMax: sketch.surgeMax,
    unavailableMax: sketch.unavailableMax,
    readyMinMs: sketch.readyMinMs,
    onFailure: 'pause',
  },
  stopSignal: 'SIGTERM',
  stopGraceMs: sketch.stopGraceMs,
  logs: { destination: 'disk', bytesMax: 1_048_576, retentionMs: 86_400_000 },
  localhostReachability: sketch.reach ?? 'auto',
  portMappings: (sketch.mappings ?? []).map(mappingOf),
  storage: [],
  resources: { extra: {} },
  networkMode: 'host',
  labels: {},
  extra: {},
})

const ADAPTIVE = { mode: 'adaptive', min: 0, max: 3, cooldownMs: 0, targets: {} } as const

const dependencyOf = (sketch: DependencySketch): DependencySpec => ({
  service: SERVICE_NAMES[sketch.on]!,
  condition: sketch.condition,
  timeoutMs: sketch.timeoutMs,
  onTimeout: sketch.onTimeout,
})

const mappingOf = ({ hostPort, ...rest }: MappingSketch): PortMappingSpec =>
  hostPort === 0 ? rest : { hostPort, ...rest }

/** `tcp:7000` for each port that its mappings lead to and no endpoint of it has: it listens there. */
function ownWords({ endpoints, mappings = [] }: ServiceSketch): string[] {
  const own = mappings.filter(({ protocol, containerPort }) => {
    const alike = endpoints.filter((each) => (each.protocol === 'udp') === (protocol === 'udp'))
    return !alike.some(({ port, targetPort }) => [port, targetPort].includes(containerPort))
  })
  return [...new Set(own.map(({ protocol, containerPort }) => `${protocol}:${containerPort}`))]
}

const endpointOf = (
  sketch: EndpointSketch,
  index: number,
  service: ServiceSketch,
): EndpointSpec => ({
  name: `e${index}`,
  protocol: sketch.protocol,
  port: sketch.port,
  ...(sketch.targetPort === undefined ? {} : { targetPort: sketch.targetPort }),
  path: sketch.path ?? '/',
  ...(sketch.host === undefined ? {} : { host: sketch.host }),
  expose: sketch.expose,
  balance: { strategy: sketch.strategy ?? 'round_robin', rise: 1, fall: 3, failOpen: true },
  stream: streamOf(sketch, service),
  ...(sketch.protocol === 'udp' ? { udp: plainUdp } : {}),
  ...(sketch.protocol === 'tcp' || sketch.protocol === 'udp'
    ? {}
    : {
        http: {
          ...plainHttp,
          drainTimeoutMs: service.drainMs,
          holdTimeoutMs: holdMsOf(service),
          requestsPerBackendMax: sketch.path === '/api' ? 1 : 0,
        },
      }),
})

const streamOf = (sketch: EndpointSketch, service: ServiceSketch): StreamSpec => ({
  ...plainStream,
  tls: sketch.protocol === 'https' ? 'terminate' : (sketch.tls ?? 'off'),
  proxyProtocol: sketch.proxyOut ?? false,
  acceptProxyProtocol: sketch.proxyIn === true ? TRUSTED_PROXIES : [],
  connectionsMax: service.connectionsMax,
  connectionsPerBackendMax: sketch.perBackendMax ?? 0,
  drainTimeoutMs: service.drainMs,
  holdTimeoutMs: holdMsOf(service),
})

/** Of some it takes longer to wake them. */
const holdMsOf = ({ sleepsAfterMs = 0 }: ServiceSketch): number =>
  sleepsAfterMs % 3 === 1 ? 20 : plainStream.holdTimeoutMs

function healthOf(sketch: ServiceSketch): { health?: HealthSpec } {
  const common = {
    startGraceMs: sketch.graceMs,
    intervalMs: sketch.intervalMs,
    timeoutMs: Math.max(50, sketch.intervalMs >> 1),
    retries: sketch.retries,
  }
  // A check that connects needs something to connect to.
  const connectable = sketch.endpoints.some((each) => each.protocol !== 'udp')
  const health = connectable || sketch.health === 'command' ? sketch.health : 'default'
  switch (health) {
    case 'default':
      return {}
    case 'tcp':
      return { health: { ...common, check: { type: 'tcp', port: 0 } } }
    case 'http':
      return {
        health: {
          ...common,
          check: { type: 'http', url: 'http://localhost/healthz', expectStatus: 200 },
        },
      }
    case 'command':
      return { health: { ...common, check: { type: 'command', command: 'check-me' } } }
  }
}
