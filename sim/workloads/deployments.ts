/**
 * Deployments to run. A sketch says what matters in a few numbers, so that a seed can draw one, a
 * script can hold one and fast-check can shrink one; {@link deploymentOf} fills in the rest as the
 * deployment file's defaults would.
 */
import type {
  DependencySpec,
  Deployment,
  EndpointSpec,
  HealthSpec,
  ServiceSpec,
  UdpSpec,
} from '../../core/spec/deployment.ts'
import { BROKEN } from '../faults/runtime.ts'
import type { Prng } from '../prng.ts'

export interface DeploymentSketch {
  readonly name: string
  readonly services: readonly ServiceSketch[]
}

export interface ServiceSketch {
  readonly replicas: number
  /** Indexes of services before this one: no cycle can be sketched. */
  readonly depends: readonly DependencySketch[]
  readonly endpoints: readonly EndpointSketch[]
  readonly health: 'default' | 'tcp' | 'http' | 'command'
  readonly intervalMs: number
  readonly retries: number
  readonly graceMs: number
  readonly stopGraceMs: number
  readonly drainMs: number
  readonly connectionsMax: number
  readonly surgeMax: number
  readonly unavailableMax: number
  readonly readyMinMs: number
  readonly onPanic: 'restart' | 'shutdown' | 'isolate'
  /** Its program never works: no amount of healing makes it run. */
  readonly broken: boolean
  /** Any change makes another revision of an otherwise equal service. */
  readonly flavour: number
}

export interface DependencySketch {
  readonly on: number
  readonly condition: 'started' | 'healthy' | 'ready'
  readonly timeoutMs: number
  readonly onTimeout: 'fail' | 'warn' | 'continue'
}

export interface EndpointSketch {
  readonly protocol: 'http' | 'tcp' | 'udp' | 'websocket'
  readonly port: number
  readonly expose: 'public' | 'internal'
}

export interface DeploymentLimits {
  readonly servicesMax: number
  readonly replicasMax: number
  readonly endpointsMax: number
  /** Host ports are drawn from so many: few make deployments collide. */
  readonly hostPorts: number
  /** Times of health and drain are divided by this, so that short runs see many of them. */
  readonly haste: number
  readonly brokenPercent: number
}

export const SERVICE_NAMES = ['web', 'db', 'api', 'cache', 'mail'] as const
export const DEPLOYMENT_NAMES = ['shop', 'blog', 'wiki'] as const
export const HOST_PORT_FIRST = 8_000

export function drawDeployment(
  name: string,
  limits: DeploymentLimits,
  draw: Prng,
): DeploymentSketch {
  const free = Array.from({ length: limits.hostPorts }, (_, index) => HOST_PORT_FIRST + index)
  const services: ServiceSketch[] = []
  const count = draw.between(1, limits.servicesMax)
  for (let index = 0; index < count; index++) services.push(drawService(index, free, limits, draw))
  return { name, services }
}

/** The same deployment with one service changed. */
export function redraw(
  sketch: DeploymentSketch,
  limits: DeploymentLimits,
  draw: Prng,
): DeploymentSketch {
  const at = draw.below(sketch.services.length)
  const services = sketch.services.map((service, index) => {
    if (index !== at) return service
    switch (draw.below(4)) {
      case 0:
        return { ...service, replicas: draw.below(limits.replicasMax + 1) }
      case 1:
        return { ...service, retries: draw.between(1, 4), stopGraceMs: draw.between(1, 5_000) }
      default:
        return { ...service, flavour: service.flavour + 1, broken: false }
    }
  })
  return { ...sketch, services }
}

/** Every service with a working program, as an operator would mend it. */
export const mended = (sketch: DeploymentSketch): DeploymentSketch => ({
  ...sketch,
  services: sketch.services.map((service) => ({ ...service, broken: false })),
})

function drawService(
  index: number,
  free: number[],
  limits: DeploymentLimits,
  draw: Prng,
): ServiceSketch {
  const { haste } = limits
  return {
    replicas: draw.below(limits.replicasMax + 1),
    depends: drawDepends(index, haste, draw),
    endpoints: drawEndpoints(free, limits, draw),
    health: draw.pick(['default', 'default', 'tcp', 'http', 'command']),
    intervalMs: Math.max(50, Math.ceil(draw.between(200, 10_000) / haste)),
    retries: draw.between(1, 4),
    graceMs: Math.ceil(draw.below(10_000) / haste),
    stopGraceMs: Math.ceil(draw.between(1, 10_000) / haste),
    drainMs: Math.ceil(draw.between(1, 30_000) / haste),
    connectionsMax: draw.pick([1, 100, 100]),
    surgeMax: draw.below(3),
    unavailableMax: draw.below(3),
    readyMinMs: draw.pick([0, Math.ceil(2_000 / haste)]),
    onPanic: draw.pick(['restart', 'restart', 'restart', 'shutdown', 'isolate']),
    broken: draw.below(100) < limits.brokenPercent,
    flavour: draw.below(3),
  }
}

function drawDepends(index: number, haste: number, draw: Prng): DependencySketch[] {
  const depends: DependencySketch[] = []
  for (let on = 0; on < index; on++) {
    if (draw.below(3) > 0) continue
    depends.push({
      on,
      condition: draw.pick(['started', 'healthy', 'ready']),
      timeoutMs: Math.ceil(draw.between(1_000, 300_000) / haste),
      onTimeout: draw.pick(['fail', 'warn', 'continue']),
    })
  }
  return depends
}

/** Takes ports out of `free`: services of one file never collide, `weir check` refuses that. */
function drawEndpoints(free: number[], limits: DeploymentLimits, draw: Prng): EndpointSketch[] {
  const endpoints: EndpointSketch[] = []
  const count = draw.below(limits.endpointsMax + 1)
  for (let index = 0; index < count && free.length > 0; index++) {
    const [port] = free.splice(draw.below(free.length), 1)
    endpoints.push({
      protocol: draw.pick(['http', 'tcp', 'tcp', 'udp', 'websocket']),
      port: port!,
      expose: draw.pick(['public', 'internal']),
    })
  }
  return endpoints
}

// From a sketch to a deployment -----------------------------------------------------------------

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
  command: { entrypoint: [], args: ['serve', sketch.broken ? BROKEN : 'well', '$PORT'] },
  env: { FLAVOUR: String(sketch.flavour) },
  envInherit: [],
  endpoints: sketch.endpoints.map((endpoint, index) => endpointOf(endpoint, index, sketch)),
  scale: { mode: 'fixed', replicas: sketch.replicas },
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
  localhostReachability: 'auto',
  portMappings: [],
  storage: [],
  resources: { extra: {} },
  networkMode: 'host',
  labels: {},
  extra: {},
})

const dependencyOf = (sketch: DependencySketch): DependencySpec => ({
  service: SERVICE_NAMES[sketch.on]!,
  condition: sketch.condition,
  timeoutMs: sketch.timeoutMs,
  onTimeout: sketch.onTimeout,
})

const endpointOf = (
  sketch: EndpointSketch,
  index: number,
  service: ServiceSketch,
): EndpointSpec => ({
  name: `e${index}`,
  protocol: sketch.protocol,
  port: sketch.port,
  path: '/',
  expose: sketch.expose,
  balance: { strategy: 'round_robin', rise: 1, fall: 3, failOpen: true },
  stream: {
    tls: 'off',
    proxyProtocol: false,
    acceptProxyProtocol: [],
    connectTimeoutMs: 2_000,
    idleTimeoutMs: 3_600_000,
    connectionsMax: service.connectionsMax,
    drainTimeoutMs: service.drainMs,
  },
  ...(sketch.protocol === 'udp' ? { udp: UDP } : {}),
})

const UDP: UdpSpec = {
  affinity: 'source_ip_port',
  responses: 0,
  requests: 0,
  frontTimeoutMs: 30_000,
  backTimeoutMs: 30_000,
  halfOpenTimeoutMs: 5_000,
  lifetimeMaxMs: 0,
  flowsMax: 0,
  flowsPerSourceMax: 0,
  datagramBytesMax: 65_507,
  proxyProtocol: 'off',
  acceptProxyProtocol: [],
}

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
