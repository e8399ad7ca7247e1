/** What operators see of a node: plain, sorted, ready to print or to send as JSON. */
import type { ReplicaId } from '../services/identity.ts'

export interface NodeView {
  readonly phase: 'reaping' | 'running' | 'draining' | 'stopped'
  readonly deployments: readonly DeploymentView[]
  readonly services: readonly ServiceView[]
  readonly replicas: readonly ReplicaView[]
  readonly listeners: readonly ListenerView[]
}

export interface DeploymentView {
  readonly name: string
  readonly state: 'converging' | 'ready' | 'failed' | 'removing'
}

export interface ServiceView {
  readonly deployment: string
  readonly service: string
  readonly state: ServiceState
  /** Why it is not (yet) healthy, for people; empty when there is nothing to say. */
  readonly detail: string
  readonly replicas: { readonly wanted: number; readonly running: number; readonly ready: number }
  /** `http://127.0.0.1:8080` in file order. */
  readonly endpoints: readonly string[]
  /** Times a replica was started again after it ended by itself. */
  readonly restarts: number
}

export type ServiceState =
  | 'waiting' // for its dependencies
  | 'starting'
  | 'healthy' // as many replicas are ready as are wanted
  | 'degraded' // some are
  | 'unhealthy' // none is
  | 'idle' // none is wanted
  | 'failed' // gave up until the next deploy or restart
  | 'stopping'

export interface ReplicaView {
  readonly id: ReplicaId
  readonly deployment: string
  readonly service: string
  readonly role: string
  readonly number: number
  readonly state: string
  readonly health: 'unknown' | 'healthy' | 'unhealthy'
  readonly pid?: number
  /** `127.0.0.1:20001` for each endpoint. */
  readonly addresses: Readonly<Record<string, string>>
  readonly restarts: number
  /** Milliseconds since it was started, when it runs. */
  readonly ageMs?: number
  readonly detail: string
}

export interface ListenerView {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly protocol: string
  readonly address: string
  readonly state: 'opening' | 'listening' | 'retrying' | 'closing'
  readonly backends: number
  readonly detail: string
}
