/**
 * Deployments to run. A sketch says what matters in a few numbers, so that a seed can draw one, a
 * script can hold one and fast-check can shrink one; `deploymentOf` fills in the rest as the
 * deployment file's defaults would. Files that `weir check` refuses are not drawn.
 */
import type { StrategyName } from '../../core/balance/strategies.ts'
import type { PortNamespace } from '../../core/publish/claim.ts'
import { EPHEMERAL_FIRST, INTERNAL_ADDRESSES, OUTER_ADDRESSES } from '../faults/host-ports.ts'
import type { Prng } from '../prng.ts'
import { changeService } from './changes.ts'

export interface DeploymentSketch {
  readonly name: string
  readonly services: readonly ServiceSketch[]
}

export interface ServiceSketch {
  /** Of one that sleeps: none, and one when somebody comes. */
  readonly replicas: number
  /** It goes to sleep when nothing went through it for so long. */
  readonly sleepsAfterMs?: number
  /** Indexes of services before this one: no cycle can be sketched. */
  readonly depends: readonly DependencySketch[]
  readonly endpoints: readonly EndpointSketch[]
  readonly mappings?: readonly MappingSketch[]
  /** `localhost_reachability`; `auto` when not said. */
  readonly reach?: 'auto' | 'always' | 'never'
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

/** Whatever is not said is as in a file that does not say it. */
export interface EndpointSketch {
  readonly protocol: 'http' | 'https' | 'tcp' | 'udp' | 'websocket'
  readonly port: number
  readonly expose: 'public' | 'internal'
  /** The program itself listens there. */
  readonly targetPort?: number
  readonly tls?: 'terminate' | 'passthrough' | 'reoriginate'
  /** Server name, or whom requests are for. */
  readonly host?: string
  /** Of HTTP; `/` when not said. */
  readonly path?: string
  /** It believes the proxies of `TRUSTED_PROXIES`. */
  readonly proxyIn?: boolean
  readonly proxyOut?: boolean
  readonly strategy?: StrategyName
  readonly perBackendMax?: number
}

export interface MappingSketch {
  /** 0: ephemeral. */
  readonly hostPort: number
  /** An endpoint's port or target port, or one of the program's own. */
  readonly containerPort: number
  readonly protocol: PortNamespace
  readonly hostIp: string
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
  /** Whether there are mappings, TLS, proxies, ports of programs and policies, and changes of them. */
  readonly publishing: boolean
}

export const SERVICE_NAMES = ['web', 'db', 'api', 'cache', 'mail'] as const
export const DEPLOYMENT_NAMES = ['shop', 'blog', 'wiki'] as const
export const HOST_PORT_FIRST = 8_000

export function drawDeployment(
  name: string,
  limits: DeploymentLimits,
  draw: Prng,
): DeploymentSketch {
  const free = poolOf(limits, draw)
  const services: ServiceSketch[] = []
  const count = draw.between(1, limits.servicesMax)
  for (let index = 0; index < count; index++) services.push(drawService(index, free, limits, draw))
  return { name, services }
}

/** The same deployment with one service changed, or two that exchange a port. */
export function redraw(
  sketch: DeploymentSketch,
  limits: DeploymentLimits,
  draw: Prng,
): DeploymentSketch {
  const { services } = sketch
  const at = draw.below(services.length)
  const free = poolOf(limits, draw)
  const used = new Set(services.flatMap(portsOf))
  free.plain = free.plain.filter((port) => !used.has(port))
  free.own = free.own.filter((port) => !used.has(port))
  const isFree = (each: HttpRoute): boolean =>
    !services.some((service) => hasRoute(service, each) || disagrees(service, each))
  free.tls = free.tls.filter(isFree)
  free.http = free.http.filter(isFree)
  if (limits.publishing && draw.below(8) === 0)
    return { ...sketch, services: swapped(services, draw) }
  return {
    ...sketch,
    services: services.map((service, index) =>
      index === at ? changeService(service, free, limits, draw) : service,
    ),
  }
}

/** Two endpoints of the file get each other's port. */
function swapped(services: readonly ServiceSketch[], draw: Prng): readonly ServiceSketch[] {
  const plain = services.flatMap(({ endpoints }) => endpoints.filter((each) => !isTls(each)))
  if (plain.length < 2) return services
  const [one, other] = [draw.pick(plain), draw.pick(plain)]
  const portOf = (each: EndpointSketch): number =>
    each === one ? other.port : each === other ? one.port : each.port
  const isTwin = (each: EndpointSketch): boolean =>
    plain.some((twin) => twin !== each && twin.port === each.port)
  if (isTwin(one) || isTwin(other)) return services
  return services.map((service) => ({
    ...service,
    endpoints: service.endpoints.map((each) => ({ ...each, port: portOf(each) })),
    // What leads to an endpoint by its number would lead elsewhere.
    mappings: (service.mappings ?? []).filter(
      ({ containerPort }) => containerPort !== one.port && containerPort !== other.port,
    ),
  }))
}

/** Every service with a working program, as an operator would mend it. */
export const mended = (sketch: DeploymentSketch): DeploymentSketch => ({
  ...sketch,
  services: sketch.services.map((service) => ({ ...service, broken: false })),
})

// Ports -----------------------------------------------------------------------------------------

/** What a file may still ask for: services of one file never collide, `weir check` refuses that. */
export interface Pool {
  plain: number[]
  http: HttpRoute[]
  tls: TlsRoute[]
  own: number[]
}

/** All tenants of a port agree about who reaches it and whom they trust. */
type TlsRoute = Pick<EndpointSketch, 'port' | 'expose' | 'proxyIn' | 'host'>
type HttpRoute = TlsRoute & Pick<EndpointSketch, 'path'>

function poolOf(limits: DeploymentLimits, draw: Prng): Pool {
  const plain = Array.from({ length: limits.hostPorts }, (_, index) => HOST_PORT_FIRST + index)
  if (!limits.publishing) return { plain, http: [], tls: [], own: [] }
  // Ports that others may have for reasons of their own.
  if (draw.below(6) === 0) plain.push(REPLICA_PORT_FIRST + draw.below(80))
  if (draw.below(6) === 0) plain.push(EPHEMERAL_FIRST + draw.below(8))
  const odd = draw.below(8) === 0
  const tls = TLS_HOSTS.flatMap((host) => [
    { port: TLS_PORT_FIRST, expose: odd ? 'internal' : 'public', ...said({ host }) } as const,
    { port: TLS_PORT_FIRST + 1, expose: 'internal', proxyIn: !odd, ...said({ host }) } as const,
    { port: HTTPS_PORT, expose: odd ? 'internal' : 'public', ...said({ host }) } as const,
  ])
  const http = HTTP_HOSTS.flatMap((host) =>
    HTTP_PATHS.map(
      (path) => ({ port: HTTP_PORT, expose: 'public', path, ...said({ host }) }) as const,
    ),
  )
  return { plain, http, tls, own: Array.from({ length: 4 }, (_, index) => OWN_PORT_FIRST + index) }
}

const said = ({ host }: { host: string | undefined }): { host?: string } =>
  host === undefined ? {} : { host }

const portsOf = ({ endpoints, mappings = [] }: ServiceSketch): number[] => [
  ...endpoints.flatMap(({ port, targetPort = 0 }) => [port, targetPort]),
  ...mappings.flatMap(({ hostPort, containerPort }) => [hostPort, containerPort]),
]

/** Tenants of one port in one file agree; `weir check` sees to it. */
const disagrees = ({ endpoints }: ServiceSketch, route: TlsRoute): boolean =>
  endpoints.some(
    ({ port, expose, proxyIn = false }) =>
      port === route.port && (expose !== route.expose || proxyIn !== (route.proxyIn ?? false)),
  )

const hasRoute = ({ endpoints }: ServiceSketch, { port, host, path }: HttpRoute): boolean =>
  endpoints.some((each) => each.port === port && each.host === host && each.path === path)

export const isTls = ({ protocol, tls }: EndpointSketch): boolean =>
  protocol === 'https' || tls !== undefined

/** Its program chooses a port by itself, so there cannot be two of it. */
export const isAlone = ({ endpoints, mappings = [] }: ServiceSketch): boolean =>
  endpoints.some(({ targetPort }) => targetPort !== undefined) ||
  mappings.some(
    ({ containerPort, protocol }) =>
      !endpoints.some(
        (each) => each.port === containerPort && (each.protocol === 'udp') === (protocol === 'udp'),
      ),
  )

function drawService(
  index: number,
  free: Pool,
  limits: DeploymentLimits,
  draw: Prng,
): ServiceSketch {
  const { haste } = limits
  const service: ServiceSketch = {
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
    ...(limits.publishing ? { reach: draw.pick(['auto', 'auto', 'always', 'never']) } : {}),
  }
  if (!limits.publishing) return service
  const mappings: MappingSketch[] = []
  while (draw.below(3) === 0 && mappings.length < 2) {
    mappings.push(...drawMapping(service.endpoints, free, draw))
  }
  const whole = lone({ ...service, mappings })
  // Nobody would wake it otherwise.
  const isReached = whole.endpoints.some(({ protocol }) => protocol !== 'udp')
  if (!isReached || draw.below(4) > 0) return whole
  return { ...whole, replicas: 0, sleepsAfterMs: Math.ceil(draw.between(1_000, 120_000) / haste) }
}

export const lone = (service: ServiceSketch): ServiceSketch =>
  isAlone(service) ? { ...service, replicas: Math.min(1, service.replicas) } : service

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

/** Takes ports out of `free`. */
function drawEndpoints(free: Pool, limits: DeploymentLimits, draw: Prng): EndpointSketch[] {
  const endpoints: EndpointSketch[] = []
  const count = draw.below(limits.endpointsMax + 1)
  for (let index = 0; index < count; index++) endpoints.push(...drawEndpoint(free, limits, draw))
  return endpoints
}

/** None when no port is left. Now and then two, of one number: 53/tcp and 53/udp. */
export function drawEndpoint(free: Pool, limits: DeploymentLimits, draw: Prng): EndpointSketch[] {
  if (limits.publishing && draw.below(3) === 0) {
    const [route] = free.tls.splice(draw.below(free.tls.length), 1)
    if (route !== undefined) return [drawTls(route, draw)]
  }
  if (limits.publishing && draw.below(2) === 0) {
    const [route] = free.http.splice(draw.below(free.http.length), 1)
    if (route !== undefined) return [{ ...route, protocol: draw.pick(['http', 'websocket']) }]
  }
  const [port] = free.plain.splice(draw.below(free.plain.length), 1)
  if (port === undefined) return []
  const endpoint: EndpointSketch = {
    protocol: draw.pick(['http', 'tcp', 'tcp', 'udp', 'websocket']),
    port,
    expose: draw.pick(['public', 'internal']),
  }
  if (!limits.publishing) return [endpoint]
  if (draw.below(12) === 0) {
    return [
      { ...endpoint, protocol: 'tcp' },
      { ...endpoint, protocol: 'udp' },
    ]
  }
  const own = draw.below(10) === 0 ? free.own.splice(0, 1) : []
  return [
    {
      ...endpoint,
      ...(own[0] === undefined ? {} : { targetPort: own[0] }),
      ...(endpoint.protocol === 'tcp' ? drawStream(draw) : {}),
      ...(draw.below(4) === 0 ? { strategy: draw.pick(STRATEGIES) } : {}),
    },
  ]
}

/** Of one port all read requests, or none does; `weir check` sees to it. */
const drawTls = (route: TlsRoute, draw: Prng): EndpointSketch => {
  const { proxyIn, ...rest } = route
  if (route.port === HTTPS_PORT) return { ...rest, protocol: 'https' }
  const tls = draw.pick(['terminate', 'passthrough', 'passthrough', 'reoriginate'] as const)
  const proxies = proxyIn === true ? { proxyIn } : {}
  const out = draw.below(3) === 0 ? { proxyOut: true } : {}
  return { ...rest, protocol: 'tcp', tls, ...proxies, ...out }
}

const drawStream = (draw: Prng): Partial<EndpointSketch> => ({
  ...(draw.below(4) === 0 ? { proxyIn: true } : {}),
  ...(draw.below(4) === 0 ? { proxyOut: true } : {}),
  ...(draw.below(4) === 0 ? { perBackendMax: draw.between(1, 3) } : {}),
})

/** None when no port is left. */
export function drawMapping(
  endpoints: readonly EndpointSketch[],
  free: Pool,
  draw: Prng,
): MappingSketch[] {
  const hostIp = draw.pick(MAPPING_HOSTS)
  const isEphemeral = draw.below(2) === 0
  const hostPort = isEphemeral ? 0 : free.plain.splice(draw.below(free.plain.length), 1)[0]
  const target = endpoints.length > 0 && draw.below(4) > 0 ? draw.pick(endpoints) : undefined
  const containerPort = target?.port ?? free.own.splice(0, 1)[0]
  if (hostPort === undefined || containerPort === undefined) return []
  const protocol = target === undefined ? draw.pick(['tcp', 'udp'] as const) : undefined
  return [
    {
      hostPort,
      containerPort,
      protocol: protocol ?? (target?.protocol === 'udp' ? 'udp' : 'tcp'),
      hostIp,
    },
  ]
}

export const STRATEGIES: readonly StrategyName[] = [
  'round_robin',
  'hrw',
  'maglev',
  'least_connections',
  'power_of_two',
]
const MAPPING_HOSTS = [
  '0.0.0.0',
  '0.0.0.0',
  '127.0.0.1',
  '::',
  ...OUTER_ADDRESSES,
  ...INTERNAL_ADDRESSES,
] as const
const TLS_HOSTS = ['a.test', 'b.test', '*.wild.test', undefined] as const
const TLS_PORT_FIRST = 8_443
const HTTPS_PORT = 8_446
const HTTP_PORT = 8_380
const HTTP_HOSTS = ['a.test', '*.wild.test', undefined] as const
const HTTP_PATHS = ['/', '/api'] as const
/** Of programs that choose for themselves. */
const OWN_PORT_FIRST = 7_000
const REPLICA_PORT_FIRST = 20_000
