/**
 * What happens to a node. Plain JSON throughout: every event is written to the journal, and a
 * journal is replayed by feeding its events to a machine again.
 */
import type { Attempt } from '../machine.ts'
import type { SocketId } from '../publish/events.ts'
import type { CheckName } from '../services/endpoint-checks.ts'
import type { ListenerId, ReplicaId } from '../services/identity.ts'
import type { Deployment } from '../spec/deployment.ts'

/** Chosen by the shell, answered by exactly one `reply` command. */
export type RequestId = number

export type NodeEvent =
  | OperatorEvent
  | RuntimeEvent
  | ProbeEvent
  | ListenerEvent
  | SocketEvent
  | TickEvent

export type TickEvent = { readonly type: 'tick' } // the deadline may have come

export type OperatorEvent =
  // the first event of a life: clear away what an earlier life left, then begin
  | { readonly type: 'boot' }
  // run this deployment, or converge on its new version; `directory` is the file's, absolute
  | {
      readonly type: 'deploy'
      readonly request: RequestId
      readonly deployment: Deployment
      readonly directory: string
    }
  // stop a deployment and free what it holds; answered when all of it is gone
  | { readonly type: 'remove'; readonly request: RequestId; readonly deployment: string }
  // `service` is `deployment/service`, or the short name where it is unique
  | {
      readonly type: 'scale'
      readonly request: RequestId
      readonly service: string
      readonly replicas: number
    }
  // replace every replica of a service (one after the other), or the numbered one
  | {
      readonly type: 'restart'
      readonly request: RequestId
      readonly service: string
      readonly replica?: number
    }
  // this node's addresses in the internal (overlay) network, all of them; at first there are none
  | { readonly type: 'internal-addresses'; readonly addresses: readonly string[] }
  // stop everything: `drain` finishes old work first, `abort` kills at once; may follow a drain
  | { readonly type: 'shutdown'; readonly request?: RequestId; readonly mode: 'drain' | 'abort' }

export type RuntimeEvent =
  // answers reap-leftovers: processes of an earlier life of this node that were ended, or could not be
  | {
      readonly type: 'leftovers-reaped'
      readonly attempt: Attempt
      readonly reaped: readonly number[]
      readonly surviving: readonly number[]
    }
  // answers create-replica: its ports are free and its log is open
  | { readonly type: 'replica-created'; readonly replica: ReplicaId; readonly attempt: Attempt }
  | {
      readonly type: 'replica-create-failed'
      readonly replica: ReplicaId
      readonly attempt: Attempt
      readonly reason: string
      /** Ports somebody else holds; the node tries others. */
      readonly portsTaken: readonly number[]
    }
  // answers start-replica
  | {
      readonly type: 'replica-started'
      readonly replica: ReplicaId
      readonly attempt: Attempt
      readonly pid: number
    }
  | {
      readonly type: 'replica-start-failed'
      readonly replica: ReplicaId
      readonly attempt: Attempt
      readonly reason: string
    }
  // answers verify-replica: the process is (not) alive
  | {
      readonly type: 'replica-verified'
      readonly replica: ReplicaId
      readonly attempt: Attempt
      readonly alive: boolean
    }
  // answers resolve-address
  | {
      readonly type: 'address-resolved'
      readonly replica: ReplicaId
      readonly attempt: Attempt
      readonly host: string
    }
  // the program ended, asked or not; `logTail` holds its last lines
  | {
      readonly type: 'replica-exited'
      readonly replica: ReplicaId
      readonly code: number | null
      readonly signal: string | null
      readonly logTail: readonly string[]
    }
  // answers remove-replica: nothing of its process group is left
  | { readonly type: 'replica-removed'; readonly replica: ReplicaId; readonly attempt: Attempt }

export type ProbeEvent =
  // answers probe
  {
    readonly type: 'probe-result'
    readonly replica: ReplicaId
    readonly check: CheckName
    readonly attempt: Attempt
    readonly ok: boolean
    /** Why not, for people: `connection refused`, `status 503`. Empty when ok. */
    readonly reason: string
  }

export type ListenerEvent =
  // answers apply-backends: no new connection goes to a backend missing in `version`
  | { readonly type: 'backends-applied'; readonly listener: ListenerId; readonly version: number }
  // a backend missing since the version applied last has no connection left (may follow at once)
  | {
      readonly type: 'backend-drained'
      readonly listener: ListenerId
      readonly backend: ReplicaId
      readonly version: number
    }
  // a connection to a backend failed; at most one a second for each backend
  | {
      readonly type: 'backend-failed'
      readonly listener: ListenerId
      readonly backend: ReplicaId
      readonly reason: string
    }
  // something waits for a backend of a listener that holds what comes, and there is none
  | { readonly type: 'listener-wanted'; readonly listener: ListenerId }
  // nothing goes through it, and did not for as long as it was told to say so after
  | { readonly type: 'listener-idle'; readonly listener: ListenerId }
  // follows listener-idle: it is used again
  | { readonly type: 'listener-busy'; readonly listener: ListenerId }

export type SocketEvent =
  // answers bind-socket; `address` is what was really bound, `127.0.0.1:8080`
  | {
      readonly type: 'socket-bound'
      readonly socket: SocketId
      readonly attempt: Attempt
      readonly address: string
    }
  // answers bind-socket: there is no socket
  | {
      readonly type: 'socket-failed'
      readonly socket: SocketId
      readonly attempt: Attempt
      readonly reason: string
      /** The program that holds the port, where the system tells: `nginx (pid 71)`. */
      readonly holder?: string
      /** This machine does not have the address, or nothing of its family. */
      readonly isMissing?: boolean
    }
  // answers unbind-socket: the listening socket is gone; live connections may go on
  | { readonly type: 'socket-unbound'; readonly socket: SocketId; readonly attempt: Attempt }
