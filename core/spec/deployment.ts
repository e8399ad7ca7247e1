/**
 * A deployment as the rest of Weir sees it: validated, defaults filled in, durations in
 * milliseconds and sizes in bytes. Plain JSON, so that it can be journalled and snapshotted.
 *
 * Source: services reference, section 1; the keys Weir adds: the design, "What a deployment file
 * looks like". An absent optional property means "not given"; `undefined` is never stored.
 */

export interface Deployment {
  readonly version: 'v1'
  /** The file's `deployment` key: 3-63 characters, letters, digits and `-`. */
  readonly name: string
  readonly services: Readonly<Record<string, ServiceSpec>>
  readonly externals: Readonly<Record<string, ExternalSpec>>
  readonly api: ApiSpec
}

export interface ServiceSpec {
  readonly rtype: 'service' | 'job' | 'cron'
  readonly schedule?: string
  readonly runtime: 'process' | 'oci' | 'docker'
  readonly image?: ImageSpec
  readonly command: CommandSpec
  readonly env: Readonly<Record<string, string>>
  /** Names of host variables a child inherits besides the basic ones; `true` is all of them. */
  readonly envInherit: true | readonly string[]
  readonly endpoints: readonly EndpointSpec[]
  readonly scale: ScaleSpec
  readonly replicaGroups: readonly ReplicaGroupSpec[]
  readonly depends: readonly DependencySpec[]
  /** Absent: the first endpoint's own port is checked by its protocol, with the defaults. */
  readonly health?: HealthSpec
  readonly init: { readonly steps: readonly InitStepSpec[] }
  readonly errors: {
    readonly onInitFailure: 'fail' | 'restart' | 'backoff'
    readonly onPanic: 'restart' | 'shutdown' | 'isolate'
  }
  readonly update: UpdateSpec
  readonly stopSignal: StopSignal
  readonly stopGraceMs: number
  readonly logs: LogsSpec
  readonly localhostReachability: 'auto' | 'always' | 'never'
  readonly portMappings: readonly PortMappingSpec[]
  readonly storage: readonly StorageSpec[]
  readonly resources: ResourcesSpec
  /** `default`, `host`, `none`, `bridge`, `bridge:NAME` or `container:ID`. */
  readonly networkMode: string
  readonly labels: Readonly<Record<string, string>>
  readonly restartPolicy?: RestartPolicySpec
  /** Everything else the file may say for runtimes to come; only what it really says. */
  readonly extra: ExtraSpec
}

/** What containers, clusters and name servers to come need of a service. */
export interface ExtraSpec {
  readonly nodeMode?: 'shared' | 'dedicated' | 'exclusive'
  readonly nodeSelector?: {
    readonly labels: Readonly<Record<string, string>>
    readonly preferLabels: Readonly<Record<string, string>>
  }
  readonly affinity?: AffinitySpec
  readonly platform?: {
    readonly os: 'linux' | 'windows' | 'macos'
    readonly arch: 'amd64' | 'arm64'
    readonly osVersion?: string
  }
  readonly overlay?: {
    readonly mode: 'shared' | 'dedicated' | 'isolated'
    readonly parent?: 'cluster'
  }
  readonly dns?: readonly string[]
  readonly dnsSearch?: readonly string[]
  readonly extraHosts?: readonly { readonly name: string; readonly ip: string }[]
  readonly hostname?: string
  readonly deleteOnExit?: boolean
  readonly user?: string
  readonly privileged?: boolean
  readonly capabilities?: readonly string[]
  readonly capDrop?: readonly string[]
  readonly devices?: readonly {
    readonly path: string
    readonly read: boolean
    readonly write: boolean
    readonly mknod: boolean
  }[]
  readonly ulimits?: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>
  readonly sysctls?: Readonly<Record<string, string>>
  readonly securityOpt?: readonly string[]
  readonly readOnlyRootFs?: boolean
  readonly initContainer?: boolean
  readonly tty?: boolean
  readonly stdinOpen?: boolean
  readonly pidMode?: string
  readonly ipcMode?: string
  readonly usernsMode?: string
  readonly cgroupParent?: string
  readonly extraGroups?: readonly string[]
  /** Ports told to the runtime and published nowhere. */
  readonly expose?: readonly { readonly port: number; readonly protocol: 'tcp' | 'udp' }[]
}

/** `pin` is `id=2` or `zone=a`. */
export type AffinitySpec = 'spread' | 'pack' | { readonly pin: string }

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

export type StopSignal =
  | 'SIGTERM'
  | 'SIGINT'
  | 'SIGHUP'
  | 'SIGQUIT'
  | 'SIGKILL'
  | 'SIGUSR1'
  | 'SIGUSR2'

export interface ImageSpec {
  readonly name: string
  readonly pullPolicy: 'always' | 'newer' | 'if_not_present' | 'never'
  readonly sourcePolicy: 'local_first' | 's3_first' | 'remote_only' | 'local_only'
}

/** A list or shell-like string in the file becomes `args` alone. */
export interface CommandSpec {
  readonly entrypoint: readonly string[]
  readonly args: readonly string[]
  readonly workdir?: string
}

export type EndpointProtocol = 'http' | 'https' | 'tcp' | 'udp' | 'websocket'

export interface EndpointSpec {
  /** Unique in the service. */
  readonly name: string
  readonly protocol: EndpointProtocol
  /** The host port Weir listens on, 1-65535. */
  readonly port: number
  /** Set only when the file says it: the program itself listens there. */
  readonly targetPort?: number
  /** The endpoint of this service whose port in a replica it shares. */
  readonly targetEndpoint?: string
  /**
   * Path prefix of an http, https or websocket endpoint, without a slash at its end unless it is
   * `/`, as it is when the file says nothing.
   */
  readonly path: string
  /**
   * Lower case; `*.example.com` stands for one label. Whom requests are for; of a tcp endpoint the
   * server name that TLS asks for (RFC 6066, 3).
   */
  readonly host?: string
  readonly expose: 'public' | 'internal'
  readonly targetRole?: string
  readonly balance: BalanceSpec
  readonly stream: StreamSpec
  /** Of a udp endpoint, always. */
  readonly udp?: UdpSpec
  /** Of an http, https or websocket endpoint, always. */
  readonly http?: HttpSpec
}

export interface BalanceSpec {
  readonly strategy: 'round_robin' | 'hrw' | 'maglev' | 'least_connections' | 'power_of_two'
  /** Of the checks an endpoint has of its own. */
  readonly rise: number
  readonly fall: number
  readonly failOpen: boolean
}

/** Of http, https and websocket only `tls`, `acceptProxyProtocol` and `healthCheck` mean something. */
export interface StreamSpec {
  /** Of an https endpoint always `terminate`, of http and websocket `off`. */
  readonly tls: 'off' | 'terminate' | 'reoriginate' | 'passthrough'
  readonly proxyProtocol: boolean
  readonly acceptProxyProtocol: readonly string[]
  readonly sessionTimeoutMs?: number
  readonly healthCheck?:
    | { readonly type: 'tcp_connect' }
    | { readonly type: 'udp_probe'; readonly request: string; readonly expect?: string }
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly connectionsMax: number
  /** To one replica; 0 = no limit. */
  readonly connectionsPerBackendMax: number
  /**
   * Of `reoriginate`: a PEM file of what replicas' certificates are checked against, absolute once a
   * shell has read the file; absent: they are not checked.
   */
  readonly backendCa?: string
  /**
   * Of `reoriginate`: the name replicas are asked for and checked against, the endpoint's `host` when
   * the file says nothing else; absent: none is asked for, and any is good.
   */
  readonly backendName?: string
  /** Of a tcp endpoint: how long a connection waits while its service is woken; 0 = not at all. */
  readonly holdTimeoutMs: number
  readonly drainTimeoutMs: number
}

export interface UdpSpec {
  readonly affinity: 'source_ip_port' | 'source_ip' | 'datagram'
  readonly responses: number
  readonly requests: number
  readonly frontTimeoutMs: number
  readonly backTimeoutMs: number
  readonly halfOpenTimeoutMs: number
  /** 0 = no limit. */
  readonly lifetimeMaxMs: number
  /** 0 = a share of the node's budget. */
  readonly flowsMax: number
  /** 0 = no limit. */
  readonly flowsPerSourceMax: number
  readonly datagramBytesMax: number
  readonly proxyProtocol: 'off' | 'first' | 'every'
  readonly acceptProxyProtocol: readonly string[]
  /** At most one of each type; all must pass. */
  readonly health?: readonly UdpHealthSpec[]
}

export type UdpHealthSpec = {
  readonly intervalMs: number
  readonly timeoutMs: number
} /** Port: an endpoint's; absent, the one that is tcp at the same number, else the udp port's number. */ & (
  | { readonly type: 'tcp_connect'; readonly port?: number }
  | { readonly type: 'udp_probe'; readonly request: string; readonly expect?: string }
)

export interface HttpSpec {
  readonly stripPrefix: boolean
  /** To the port that `redirectPortOf` finds; of plain endpoints only. */
  readonly redirectHttps: boolean
  readonly backend: 'http1' | 'h2c'
  /** From the first byte of a request to the end of its head. */
  readonly headTimeoutMs: number
  /** A body, either way, without progress. */
  readonly bodyTimeoutMs: number
  readonly connectTimeoutMs: number
  /** From the end of a request to the head of its answer. */
  readonly responseTimeoutMs: number
  /** From the first byte of a request to the last of its answer; 0 = no limit. */
  readonly totalTimeoutMs: number
  /** Of a connection between two requests. */
  readonly idleTimeoutMs: number
  /** A WebSocket or other tunnel without a byte either way; 0 = no limit. */
  readonly tunnelIdleTimeoutMs: number
  /** Of a request or an answer. */
  readonly headBytesMax: number
  /** Other replicas tried. */
  readonly retries: number
  /** How long a request waits while its service is woken; 0 = not at all. */
  readonly holdTimeoutMs: number
  /** Requests and tunnels at one replica at one time; 0 = no limit. */
  readonly requestsPerBackendMax: number
  /** Strict-Transport-Security on answers over TLS. */
  readonly hsts: boolean
  readonly drainTimeoutMs: number
}

export type ScaleSpec =
  | { readonly mode: 'fixed'; readonly replicas: number }
  | {
      readonly mode: 'adaptive'
      readonly min: number
      readonly max: number
      readonly cooldownMs: number
      /** Of `min: 0`: after how long without use it goes back to zero; else 0, never. */
      readonly idleAfterMs: number
      readonly targets: { readonly cpu?: number; readonly memory?: number; readonly rps?: number }
    }
  | { readonly mode: 'manual' }

export interface ReplicaGroupSpec {
  readonly role: string
  readonly count: number
  readonly image?: ImageSpec
  readonly env: Readonly<Record<string, string>>
  readonly command?: CommandSpec
  readonly resources?: ResourcesSpec
  readonly affinity: AffinitySpec
}

export interface DependencySpec {
  readonly service: string
  readonly condition: 'started' | 'healthy' | 'ready'
  readonly timeoutMs: number
  readonly onTimeout: 'fail' | 'warn' | 'continue'
}

export interface HealthSpec {
  readonly startGraceMs: number
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly retries: number
  readonly check: HealthCheck
  readonly startup?: Omit<HealthSpec, 'startup' | 'liveness'>
  readonly liveness?: true | Omit<HealthSpec, 'startup' | 'liveness'>
}

export type HealthCheck =
  /** Port 0: the first endpoint's. */
  | { readonly type: 'tcp'; readonly port: number }
  /** The URL's port names an endpoint's port; left out, it is the first endpoint's. */
  | { readonly type: 'http'; readonly url: string; readonly expectStatus: number }
  | { readonly type: 'command'; readonly command: string }

export interface InitStepSpec {
  readonly id: string
  readonly uses: string
  readonly with: Readonly<Record<string, JsonValue>>
  readonly retry?: JsonValue
  readonly timeoutMs: number
  readonly onFailure: 'fail' | 'warn' | 'continue'
}

export interface UpdateSpec {
  readonly surgeMax: number
  readonly unavailableMax: number
  readonly readyMinMs: number
  readonly onFailure: 'pause' | 'rollback'
}

export interface LogsSpec {
  readonly destination: 'disk' | 'memory'
  readonly bytesMax: number
  readonly retentionMs: number
}

export interface PortMappingSpec {
  /** Absent: an ephemeral port. */
  readonly hostPort?: number
  /** Of an endpoint, or the program's own: see `core/services/port-mappings.ts`. */
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp'
  /** In its one usual form, an IPv4-mapped address as IPv4; `::` is IPv6 alone. */
  readonly hostIp: string
}

export type StorageSpec = { readonly type: string; readonly target: string } & {
  readonly [key: string]: JsonValue
}

export interface ResourcesSpec {
  /** Cores. */
  readonly cpu?: number
  readonly memoryBytes?: number
  readonly extra: Readonly<Record<string, JsonValue>>
}

export interface RestartPolicySpec {
  readonly kind: 'no' | 'always' | 'unless_stopped' | 'on_failure'
  readonly maxAttempts?: number
  readonly delayMs?: number
}

export interface ExternalSpec {
  readonly backends: readonly string[]
  readonly endpoints: readonly EndpointSpec[]
  readonly health?: HealthSpec
}

export interface ApiSpec {
  readonly enabled: boolean
  readonly bind: string
  readonly jwtSecret?: string
  readonly swagger: boolean
}
