/**
 * What a node wants done. Each command carries all the shell needs to run it without memory of
 * its own; each question carries an attempt token that its answer repeats.
 */
import type { Backend as GroupBackend } from '../balance/group.ts'
import type { Attempt } from '../machine.ts'
import type { AccessRule } from '../policy/policy.ts'
import type { SocketId } from '../publish/events.ts'
import type { CheckName } from '../services/endpoint-checks.ts'
import type { ListenerId, ReplicaId, ServiceKey } from '../services/identity.ts'
import type {
  BalanceSpec,
  HttpSpec,
  LogsSpec,
  StopSignal,
  StreamSpec,
  UdpSpec,
} from '../spec/deployment.ts'
import type { RequestId } from './events.ts'

export type NodeCommand = RuntimeCommand | ProbeCommand | ListenerCommand | OperatorCommand

export type RuntimeCommand =
  // end every process an earlier life of this node left behind: SIGTERM, then SIGKILL after the grace
  | { readonly type: 'reap-leftovers'; readonly attempt: Attempt; readonly graceMs: number }
  // check that the ports are free, open the log; nothing runs yet
  | {
      readonly type: 'create-replica'
      readonly replica: ReplicaId
      readonly attempt: Attempt
      readonly program: Program
    }
  // spawn the program in a process group of its own
  | { readonly type: 'start-replica'; readonly replica: ReplicaId; readonly attempt: Attempt }
  | { readonly type: 'verify-replica'; readonly replica: ReplicaId; readonly attempt: Attempt }
  | { readonly type: 'resolve-address'; readonly replica: ReplicaId; readonly attempt: Attempt }
  // to the whole process group
  | {
      readonly type: 'signal-replica'
      readonly replica: ReplicaId
      readonly signal: StopSignal
    }
  // kill what is left of the group, close the log, forget it; also for a replica never started
  | { readonly type: 'remove-replica'; readonly replica: ReplicaId; readonly attempt: Attempt }

/** All that a process runtime needs to run one replica. `$E:` values are resolved at the spawn. */
export interface Program {
  /** Words of the command line, `$PORT` and the like already expanded. */
  readonly argv: readonly string[]
  /** Absolute. */
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  readonly envInherit: true | readonly string[]
  /** Endpoint name to the port the program listens on. */
  readonly ports: Readonly<Record<string, number>>
  /** Those of the endpoints whose port is a UDP one; all others are TCP. */
  readonly udpEndpoints: readonly string[]
  readonly logs: LogsSpec
}

export type ProbeCommand =
  | {
      readonly type: 'probe'
      readonly replica: ReplicaId
      /** Which of the replica's checks asks. Attempts are counted for each. */
      readonly check: CheckName
      readonly attempt: Attempt
      readonly target: ProbeTarget
      readonly timeoutMs: number
    }
  // the answer is not wanted any more
  | {
      readonly type: 'cancel-probe'
      readonly replica: ReplicaId
      readonly check: CheckName
      readonly attempt: Attempt
    }

export type ProbeTarget =
  // healthy when the connection is accepted
  | { readonly type: 'tcp'; readonly host: string; readonly port: number }
  // healthy when GET answers with exactly this status; redirects are not followed
  | {
      readonly type: 'http'
      readonly host: string
      readonly port: number
      readonly path: string
      /** Host header, as the file's URL has it. */
      readonly authority: string
      readonly expectStatus: number
    }
  // healthy when the datagram is answered; sent once
  | {
      readonly type: 'udp'
      readonly host: string
      readonly port: number
      /** The payload, two hexadecimal digits a byte. */
      readonly request: string
      /** Likewise: what the answer must contain. Absent: any answer will do. */
      readonly expect?: string
    }
  // healthy when `sh -c` exits with 0, in the replica's directory and environment
  | { readonly type: 'command'; readonly command: string }

export type ListenerCommand = DoorCommand | SocketCommand

/** What is behind sockets. A listener is made before a socket leads to it, and outlives them all. */
export type DoorCommand =
  | OpenListener
  // for what arrives from now on; what goes through it stays
  | ({ readonly type: 'configure-listener'; readonly listener: ListenerId } & ListenerSettings)
  // no socket leads to it any more, and none will; it is over when nothing is left on it
  | { readonly type: 'close-listener'; readonly listener: ListenerId }
  // the whole set; a backend missing in it takes nothing new and drains
  | {
      readonly type: 'apply-backends'
      readonly listener: ListenerId
      readonly version: number
      readonly backends: readonly Backend[]
      /**
       * Without a backend to choose: `hold` what comes and say `listener-wanted`, because the service
       * can be woken; or refuse it. UDP holds nothing.
       */
      readonly whenEmpty: 'refuse' | 'hold'
    }
  // end what a backend that drained for too long still has
  | { readonly type: 'cut-backend'; readonly listener: ListenerId; readonly backend: ReplicaId }

export type OpenListener = {
  readonly type: 'open-listener'
  readonly listener: ListenerId
  /** How backends are chosen; of UDP for the whole life of the listener. */
  readonly balance: Pick<BalanceSpec, 'strategy' | 'failOpen'>
} & ListenerSettings

export type ListenerSettings = ProtocolSettings & {
  /** Who may come: network policies, as far as they matter here; none: anybody. */
  readonly access: readonly AccessRule[]
  /** Say `listener-idle` when nothing went through it for so long; 0: never. */
  readonly idleAfterMs: number
}

/** https and websocket are http; a tcp listener's sockets may end TLS as well. */
type ProtocolSettings =
  | {
      readonly protocol: 'tcp'
      readonly stream: StreamSpec
      readonly balance: Pick<BalanceSpec, 'strategy' | 'failOpen'>
    }
  | {
      readonly protocol: 'http'
      readonly http: HttpSpec
      readonly balance: Pick<BalanceSpec, 'strategy' | 'failOpen'>
    }
  // `drainTimeoutMs`: how long answers are waited for when a backend leaves or the listener closes
  | { readonly protocol: 'udp'; readonly udp: UdpSpec; readonly drainTimeoutMs: number }

/** Host ports, as the ledger decides: see `core/publish`. */
export type SocketCommand =
  // listen there; answered by socket-bound or socket-failed with this attempt
  | {
      readonly type: 'bind-socket'
      readonly socket: SocketId
      readonly attempt: Attempt
      readonly host: string
      /** 0: whichever is free. */
      readonly port: number
      readonly use: SocketUse
    }
  // for what arrives from now on; never changes the kind of use
  | { readonly type: 'route-socket'; readonly socket: SocketId; readonly use: SocketUse }
  // close the listening socket, also of a bind under way; what came in through it goes on;
  // answered by socket-unbound with this attempt when the port can be bound again
  | { readonly type: 'unbind-socket'; readonly socket: SocketId; readonly attempt: Attempt }

/** What comes in through a socket goes there. */
export type SocketUse =
  | {
      readonly kind: 'tcp'
      /** As in the file. */
      readonly acceptProxyProtocol: readonly string[]
      /** As many may be on their way in at one time as may be in. */
      readonly greetingsMax: number
      /** At least one; several only when each but at most one has a name of its own. */
      readonly routes: readonly SocketRoute[]
    }
  | { readonly kind: 'udp'; readonly listener: ListenerId }
  // Prometheus' text format over HTTP
  | { readonly kind: 'metrics' }

export type SocketRoute = TcpRoute | HttpDoorway

export interface TcpRoute {
  readonly listener: ListenerId
  /** `example.com` or `*.example.com`, asked for by TLS (RFC 6066, 3); absent: all others. */
  readonly serverName?: string
  readonly tls: 'off' | 'terminate' | 'passthrough'
}

/** HTTP is spoken here; requests are led by host and path. The only route of its socket. */
export interface HttpDoorway {
  readonly tls: 'off' | 'terminate'
  readonly http: readonly HttpRouteUse[]
  /** Before a request says whom it is for, the most that any of them allows. */
  readonly headTimeoutMs: number
  readonly headBytesMax: number
  readonly idleTimeoutMs: number
}

export interface HttpRouteUse {
  readonly listener: ListenerId
  /** As in the file: `example.com`, `*.example.com`; absent: any. */
  readonly host?: string
  /** As in the file, without a slash at its end unless it is `/`. */
  readonly path: string
  /** Plain requests are sent to https at this port. */
  readonly redirectTo?: number
}

/** `down`: it runs and fails a check. It stays in the set, so that what is on others stays there. */
export interface Backend extends Pick<GroupBackend, 'host' | 'port' | 'down'> {
  readonly id: ReplicaId
}

export type OperatorCommand =
  | { readonly type: 'reply'; readonly request: RequestId; readonly result: Reply }
  // for logs and people; nothing depends on it
  | {
      readonly type: 'notice'
      readonly level: 'info' | 'warn' | 'error'
      readonly code: NoticeCode
      readonly service?: ServiceKey
      readonly replica?: ReplicaId
      readonly text: string
    }
  // a deployment reached what its file asks for, or cannot without help
  | {
      readonly type: 'settled'
      readonly deployment: string
      readonly outcome: 'ready' | 'failed'
      readonly problems: readonly string[]
    }
  // everything is stopped after a shutdown; the process may end
  | { readonly type: 'stopped' }

export type Reply =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly code: ReplyError; readonly text: string }

export type ReplyError = 'not-found' | 'conflict' | 'invalid' | 'stopping'

export type NoticeCode =
  | 'leftovers'
  | 'deploying'
  | 'waiting'
  | 'dependency-timeout'
  | 'starting'
  | 'start-failed'
  | 'healthy'
  | 'unhealthy'
  | 'exited'
  | 'crash-loop'
  | 'stopping'
  | 'killed'
  | 'removed'
  | 'listening'
  | 'listen-failed'
  | 'drain-cut'
  | 'scaled'
  | 'shutdown'
