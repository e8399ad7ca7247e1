/** What samples of endpoints have in common. */
import type { ListenerView, NodeView } from '../../../core/node/view.ts'
import { replicaLabel } from '../../../core/services/identity.ts'
import type { Labels, Sample } from './exposition.ts'

/** What was counted, and where. */
export interface Named {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
}

export const labelsOf = ({ deployment, service, endpoint }: Named): Labels => ({
  deployment,
  service,
  endpoint,
})

/** `no_backend`: label values are usually written so. */
export const byReason = (
  labels: Labels,
  counts: Readonly<Record<string, number>>,
): readonly Sample[] =>
  Object.entries(counts).map(([reason, value]) => ({
    labels: { ...labels, reason: reason.replaceAll('-', '_') },
    value,
  }))

/** `in`: from clients to backends. */
export const byDirection = (labels: Labels, into: number, out: number): readonly Sample[] => [
  { labels: { ...labels, direction: 'in' }, value: into },
  { labels: { ...labels, direction: 'out' }, value: out },
]

/**
 * Whether each replica behind an endpoint takes traffic. An endpoint has several sockets, and for a
 * moment a second listener: the newest says what holds.
 */
export function backendsUp(
  { listeners }: Pick<NodeView, 'listeners'>,
  isMeant: (listener: ListenerView) => boolean,
): readonly Sample[] {
  const found = new Map<string, Sample>()
  for (const listener of listeners.filter(isMeant)) {
    for (const { replica, isUp } of listener.members) {
      const labels = { ...labelsOf(listener), backend: replicaLabel(replica) }
      found.set(JSON.stringify(labels), { labels, value: Number(isUp) })
    }
  }
  return [...found.values()]
}

/** Spoken here, also where the endpoint is meant for WebSockets. */
export const isHttp = ({ protocol }: Pick<ListenerView, 'protocol'>): boolean =>
  protocol !== 'tcp' && protocol !== 'udp'
