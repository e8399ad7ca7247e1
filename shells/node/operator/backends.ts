/** What `weir backends` shows: who is behind each listener, and what goes there. */
import type { ListenerView, NodeView } from '../../../core/node/view.ts'
import type { ListenerId, ReplicaId } from '../../../core/services/identity.ts'
import type { ListenerFlows, Listeners } from '../listener/listeners.ts'
import { within } from '../within.ts'
import { FLOWS_EXAMINED_MAX } from './flows.ts'

/** One backend of one listener. */
export interface BackendRow {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly protocol: string
  readonly listener: ListenerId
  /** How one is chosen: `round_robin`... */
  readonly strategy: string
  readonly backend: ReplicaId
  /** `127.0.0.1:20001`; empty when it is not known any more. */
  readonly address: string
  readonly state: 'ready' | 'down' | 'draining'
  /** Requests and tunnels, connections, or flows. */
  readonly live: number
  /** Connections kept for the next request. */
  readonly idle: number
  /** Connects and answers that failed, since it is behind the listener. */
  readonly failures: number
}

/** What a listener counts of each of its backends. */
export interface ListenerBackends {
  readonly listener: ListenerId
  readonly backends: readonly BackendCounts[]
}

export type BackendCounts = Pick<
  BackendRow,
  'backend' | 'address' | 'live' | 'idle' | 'failures'
> & {
  readonly isDraining: boolean
}

export interface BackendsFilter {
  readonly deployment?: string
  readonly service?: string
}

export function backendRows(
  view: Pick<NodeView, 'listeners' | 'replicas'>,
  counts: readonly ListenerBackends[],
  filter: BackendsFilter,
): readonly BackendRow[] {
  const countsOf = new Map(counts.map(({ listener, backends }) => [listener, backends]))
  const addresses = new Map(view.replicas.map(({ id, addresses }) => [id, addresses]))
  return listenersOnce(view.listeners, filter).flatMap((listener) => {
    const { deployment, service, endpoint, protocol, listener: id, strategy } = listener
    const row = { deployment, service, endpoint, protocol, listener: id, strategy }
    const counted = new Map(countsOf.get(id)?.map((each) => [each.backend, each]))
    const rowOf = (backend: ReplicaId, state: BackendRow['state']): BackendRow => {
      const { address = '', live = 0, idle = 0, failures = 0 } = counted.get(backend) ?? {}
      const known = address || (addresses.get(backend)?.[endpoint] ?? '')
      return { ...row, backend, address: known, state, live, idle, failures }
    }
    const members = new Set(listener.members.map(({ replica }) => replica))
    return [
      ...listener.members.map(({ replica, isUp }) => rowOf(replica, isUp ? 'ready' : 'down')),
      ...[...counted.values()]
        .filter(({ backend, isDraining }) => isDraining && !members.has(backend))
        .map(({ backend }) => rowOf(backend, 'draining')),
    ]
  })
}

/** Of listeners that may be about to end: those that do not answer soon have nothing left. */
export async function countsSoon(
  listeners: Pick<Listeners, 'backendCounts' | 'flows'>,
): Promise<readonly ListenerBackends[]> {
  const found: ListenerBackends[] = []
  const asked = [
    listeners.backendCounts(),
    listeners.flows(FLOWS_EXAMINED_MAX).then(flowBackends),
  ].map(async (counts) => void found.push(...(await counts)))
  await within(Promise.allSettled(asked), COUNTS_MS_MAX)
  return found
}

/** Flows by backend, of those looked at. */
const flowBackends = (lists: readonly ListenerFlows[]): readonly ListenerBackends[] =>
  lists.map(({ listener, flows }) => {
    const live = new Map<ReplicaId, number>()
    for (const { backend } of flows) {
      const id = backend as ReplicaId // the machine repeats the ids it was given
      live.set(id, (live.get(id) ?? 0) + 1)
    }
    const none = { address: '', idle: 0, failures: 0 }
    return {
      listener,
      // one that left the set has nothing but what is left of it
      backends: [...live].map(([backend, count]) => ({
        backend,
        ...none,
        live: count,
        isDraining: true,
      })),
    }
  })

/** Each once, whatever the number of its sockets. */
function listenersOnce(
  listeners: readonly ListenerView[],
  { deployment, service }: BackendsFilter,
): readonly ListenerView[] {
  const found = new Map<ListenerId, ListenerView>()
  for (const each of listeners) {
    const isMeant =
      (deployment ?? each.deployment) === each.deployment &&
      (service ?? each.service) === each.service
    if (isMeant) found.set(each.listener, each)
  }
  return [...found.values()]
}

const COUNTS_MS_MAX = 500
