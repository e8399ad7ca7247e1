/**
 * A shell that does what it is told at once and answers every command truthfully, with faults a
 * test asks for. Small on purpose: the simulator has the invented world.
 */
import type { NodeCommand, SocketUse } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { checkInvariants } from '../../../core/node/invariants.ts'
import { defaultNodeConfig, NodeMachine } from '../../../core/node/node.ts'
import { listenersIn } from '../../../core/node/service/sockets.ts'
import type { SocketId } from '../../../core/publish/events.ts'
import type { CheckName } from '../../../core/services/endpoint-checks.ts'
import {
  type ListenerId,
  parseListenerId,
  parseReplicaId,
  type ReplicaId,
} from '../../../core/services/identity.ts'
import { speaksHttp } from '../../../core/services/port-mappings.ts'
import type {
  Deployment,
  EndpointSpec,
  ServiceSpec,
  UdpSpec,
} from '../../../core/spec/deployment.ts'
import { plainHttp, plainStream, plainUdp } from '../../../core/spec/plain-endpoint.ts'

export type Answer = (command: NodeCommand) => readonly NodeEvent[] | undefined

type Bind = Extract<NodeCommand, { type: 'bind-socket' }>

interface Bound {
  readonly host: string
  readonly port: number
  readonly address: string
  readonly use: SocketUse
}

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::'

export class ObedientShell {
  machine = new NodeMachine(defaultNodeConfig(1))
  now = 1_000
  /** Everything ever commanded, in order. */
  readonly commands: NodeCommand[] = []
  readonly events: NodeEvent[] = []
  readonly alive = new Set<ReplicaId>()
  /** The set in force, and those of it that are not down. */
  readonly applied = new Map<ListenerId, ReadonlySet<ReplicaId>>()
  readonly up = new Map<ListenerId, readonly ReplicaId[]>()
  /** Asked first; what it returns is the answer, undefined leaves the answer to the shell. */
  answer: Answer = () => undefined
  /** What listens. */
  readonly bound = new Map<SocketId, Bound>()
  readonly unbound = new Set<SocketId>()
  #requests = 0
  #ephemeral = 40_000

  boot(): this {
    this.feed({ type: 'boot' })
    return this
  }

  /** Feeds one event and all the answers it leads to; returns the commands. */
  feed(...events: readonly NodeEvent[]): NodeCommand[] {
    const from = this.commands.length
    const inbox = [...events]
    for (let event = inbox.shift(); event !== undefined; event = inbox.shift()) {
      const out: NodeCommand[] = []
      this.events.push(event)
      this.machine.step(event, this.now, out)
      checkInvariants(this.machine)
      if (event.type === 'tick') {
        const next = this.machine.deadline()
        if (next !== undefined && next <= this.now) throw new Error('the deadline is already due')
      }
      this.commands.push(...out)
      for (const command of out) inbox.push(...(this.answer(command) ?? this.obey(command)))
    }
    return this.commands.slice(from)
  }

  /** Lets time pass, ticking at each deadline. */
  pass(ms: number): NodeCommand[] {
    const from = this.commands.length
    const end = this.now + ms
    for (let due = this.machine.deadline(); due !== undefined && due <= end; ) {
      this.now = Math.max(this.now, due)
      this.feed({ type: 'tick' })
      due = this.machine.deadline()
    }
    this.now = end
    return this.commands.slice(from)
  }

  deploy(deployment: Deployment): NodeCommand[] {
    return this.feed({ type: 'deploy', request: this.request(), deployment, directory: '/srv' })
  }

  scale(service: string, replicas: number): NodeCommand[] {
    return this.feed({ type: 'scale', request: this.request(), service, replicas })
  }

  /** The program of the service's replica `number` ends by itself. */
  crash(number: number, service = 'web', code: number | null = 1): NodeCommand[] {
    const replica = [...this.alive].find((id) => {
      const name = parseReplicaId(id)
      return name.service === service && name.number === number
    })
    if (replica === undefined) throw new Error(`no ${service}-${number} runs`)
    this.alive.delete(replica)
    return this.feed({ type: 'replica-exited', replica, code, signal: null, logTail: [] })
  }

  request(): number {
    this.#requests += 1
    return this.#requests
  }

  numbers(service = 'web'): number[] {
    const names = [...this.alive].map(parseReplicaId).filter((each) => each.service === service)
    return names.map((each) => each.number).sort((a, b) => a - b)
  }

  service(name = 'web') {
    const found = this.machine.view(this.now).services.find((each) => each.service === name)
    if (found === undefined) throw new Error(`no service ${name}`)
    return found
  }

  /** Addresses that lead to a listener of this endpoint, `127.0.0.1:8080`. */
  addresses(endpoint: string): string[] {
    const leads = (id: ListenerId): boolean => parseListenerId(id).endpoint === endpoint
    return [...this.bound.values()]
      .filter(({ use }) => listenersIn(use).some(leads))
      .map(({ address }) => address)
  }

  /** As a kernel would: never two at one place. */
  private bind({ socket, attempt, host, port, use }: Bind): NodeEvent {
    // Whoever runs commands in their order has closed what it made by then.
    if (this.unbound.has(socket))
      return { type: 'socket-failed', socket, attempt, reason: 'closed' }
    const asked = port === 0 ? this.#ephemeral++ : port
    for (const other of this.bound.values()) {
      const isUdp = use.kind === 'udp'
      if (other.port !== asked || (other.use.kind === 'udp') !== isUdp) continue
      if (other.host.includes(':') !== host.includes(':')) continue
      if (other.host !== host && !isWildcard(other.host) && !isWildcard(host)) continue
      throw new Error(`${host}:${asked} is bound while ${other.address} is`)
    }
    const address = `${host.includes(':') ? `[${host}]` : host}:${asked}`
    this.bound.set(socket, { host, port: asked, address, use })
    return { type: 'socket-bound', socket, attempt, address }
  }

  /** Truthful answers of a world where everything works. */
  obey(command: NodeCommand): NodeEvent[] {
    switch (command.type) {
      case 'reap-leftovers':
        return [{ type: 'leftovers-reaped', attempt: command.attempt, reaped: [], surviving: [] }]
      case 'create-replica':
        return [{ type: 'replica-created', replica: command.replica, attempt: command.attempt }]
      case 'start-replica': {
        this.alive.add(command.replica)
        const { replica, attempt } = command
        return [{ type: 'replica-started', replica, attempt, pid: 100 + this.alive.size }]
      }
      case 'verify-replica': {
        const { replica, attempt } = command
        return [{ type: 'replica-verified', replica, attempt, alive: this.alive.has(replica) }]
      }
      case 'resolve-address': {
        const { replica, attempt } = command
        return [{ type: 'address-resolved', replica, attempt, host: '127.0.0.1' }]
      }
      case 'signal-replica': {
        const { replica, signal } = command
        if (!this.alive.delete(replica)) return []
        return [{ type: 'replica-exited', replica, code: null, signal, logTail: [] }]
      }
      case 'remove-replica': {
        const { replica, attempt } = command
        this.alive.delete(replica)
        return [{ type: 'replica-removed', replica, attempt }]
      }
      case 'probe': {
        const { replica, check, attempt } = command
        const ok = this.alive.has(replica)
        return [{ type: 'probe-result', replica, check, attempt, ok, reason: ok ? '' : 'refused' }]
      }
      case 'bind-socket':
        return [this.bind(command)]
      case 'unbind-socket': {
        const { socket, attempt } = command
        this.bound.delete(socket)
        this.unbound.add(socket)
        return [{ type: 'socket-unbound', socket, attempt }]
      }
      case 'route-socket': {
        if (command.use.kind === 'udp') throw new Error('a UDP socket leads where it led')
        const present = this.bound.get(command.socket)
        if (present !== undefined) this.bound.set(command.socket, { ...present, use: command.use })
        return []
      }
      case 'apply-backends': {
        const { listener, version } = command
        const present = new Set(command.backends.map((each) => each.id))
        const gone = [...(this.applied.get(listener) ?? [])].filter((id) => !present.has(id))
        this.applied.set(listener, present)
        const up = command.backends.filter((each) => each.down !== true)
        this.up.set(
          listener,
          up.map((each) => each.id),
        )
        return [
          { type: 'backends-applied', listener, version },
          ...gone.map(
            (backend): NodeEvent => ({ type: 'backend-drained', listener, backend, version }),
          ),
        ]
      }
      case 'cancel-probe':
      case 'open-listener':
      case 'configure-listener':
      case 'close-listener':
      case 'cut-backend':
      case 'reply':
      case 'notice':
      case 'settled':
      case 'stopped':
        return []
    }
  }
}

export const deploymentOf = (
  services: Readonly<Record<string, ServiceSpec>>,
  name = 'hello',
): Deployment => ({
  version: 'v1',
  name,
  services,
  externals: {},
  api: { enabled: false, bind: '127.0.0.1:0', swagger: false },
})

export const endpointOf = (more: Partial<EndpointSpec> = {}): EndpointSpec => {
  const { protocol = 'http' } = more
  return {
    name: 'http',
    protocol,
    port: 8080,
    path: '/',
    expose: 'public',
    balance: { strategy: 'round_robin', rise: 1, fall: 3, failOpen: false },
    stream: plainStream,
    ...(speaksHttp({ protocol }) ? { http: plainHttp } : {}),
    ...more,
  }
}

export const udpOf = (more: Partial<UdpSpec> = {}): UdpSpec => ({ ...plainUdp, ...more })

export const udpEndpointOf = (
  udp: Partial<UdpSpec> = {},
  more: Partial<EndpointSpec> = {},
): EndpointSpec =>
  endpointOf({
    name: 'dns',
    protocol: 'udp',
    port: 53,
    balance: { strategy: 'hrw', rise: 1, fall: 3, failOpen: true },
    udp: udpOf(udp),
    ...more,
  })

/** Answers probes of one check with a failure, for as long as it is in place. */
export const failing =
  (check: CheckName, reason: string, of: (replica: ReplicaId) => boolean = () => true): Answer =>
  (command) => {
    if (command.type !== 'probe' || command.check !== check || !of(command.replica))
      return undefined
    const { replica, attempt } = command
    return [{ type: 'probe-result', replica, check, attempt, ok: false, reason }]
  }

export const serviceOf = (more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  rtype: 'service',
  runtime: 'process',
  command: { entrypoint: [], args: ['node', 'server.mjs'] },
  env: {},
  envInherit: [],
  endpoints: [endpointOf()],
  scale: { mode: 'fixed', replicas: 1 },
  replicaGroups: [],
  depends: [],
  init: { steps: [] },
  errors: { onInitFailure: 'fail', onPanic: 'restart' },
  update: { surgeMax: 1, unavailableMax: 0, readyMinMs: 2_000, onFailure: 'pause' },
  stopSignal: 'SIGTERM',
  stopGraceMs: 30_000,
  logs: { destination: 'disk', bytesMax: 104_857_600, retentionMs: 604_800_000 },
  localhostReachability: 'auto',
  portMappings: [],
  storage: [],
  resources: { extra: {} },
  networkMode: 'default',
  labels: {},
  extra: {},
  ...more,
})
