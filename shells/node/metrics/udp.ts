/** What went through UDP endpoints, as metrics. Each thing is counted in one of them. */
import type { NodeView } from '../../../core/node/view.ts'
import { replicaLabel } from '../../../core/services/identity.ts'
import type { EndpointCounters } from '../listener/udp-totals.ts'
import { durationBoundsMs } from '../udp/udp-host.ts'
import { histogram, type Labels, type Metric, type Sample } from './exposition.ts'

export function udpMetrics(
  endpoints: readonly EndpointCounters[],
  view: Pick<NodeView, 'listeners'>,
): readonly Metric[] {
  const each = (samples: (endpoint: EndpointCounters) => readonly Sample[]): readonly Sample[] =>
    endpoints.flatMap(samples)
  return [
    {
      name: 'weir_udp_datagrams_total',
      help: 'Datagrams passed on: in, from clients to backends; out, from backends to clients.',
      type: 'counter',
      samples: each((endpoint) =>
        byDirection(endpoint, ({ datagramsUp, datagramsDown }) => {
          const { sendErrors, queueFull, lostUp } = endpoint.counters
          return [datagramsUp - lostUp, datagramsDown - (sendErrors + queueFull - lostUp)]
        }),
      ),
    },
    {
      name: 'weir_udp_bytes_total',
      help: 'Bytes given to sockets, without PROXY protocol headers.',
      type: 'counter',
      samples: each((endpoint) =>
        byDirection(endpoint, ({ bytesUp, bytesDown }) => [bytesUp, bytesDown]),
      ),
    },
    {
      name: 'weir_udp_datagrams_dropped_total',
      help: 'Datagrams that went nowhere, each under one reason: of queue_full and send_error, because a socket did not take them.',
      type: 'counter',
      samples: each(dropped),
    },
    {
      name: 'weir_udp_flows_created_total',
      help: 'Flows admitted.',
      type: 'counter',
      samples: each(({ counters, ...name }) => [
        { labels: labelsOf(name), value: counters.machine.created },
      ]),
    },
    {
      name: 'weir_udp_flows_closed_total',
      help: 'Flows closed, each for one reason.',
      type: 'counter',
      samples: each(({ counters, ...name }) => byReason(labelsOf(name), counters.machine.closed)),
    },
    {
      name: 'weir_udp_flows_reselected_total',
      help: 'Times a flow went on with another backend.',
      type: 'counter',
      samples: each(({ counters, ...name }) => [
        { labels: labelsOf(name), value: counters.machine.reselected },
      ]),
    },
    {
      name: 'weir_udp_flows',
      help: 'Flows there are now.',
      type: 'gauge',
      samples: each(({ counters, ...name }) => [
        { labels: labelsOf(name), value: counters.flowsLive },
      ]),
    },
    {
      name: 'weir_udp_flows_max',
      help: 'Flows there may be.',
      type: 'gauge',
      samples: each(({ counters, ...name }) => [
        { labels: labelsOf(name), value: counters.flowsMax },
      ]),
    },
    {
      name: 'weir_udp_flow_duration_seconds',
      help: 'How long closed flows lasted, from admission.',
      type: 'histogram',
      samples: each(durations),
    },
    {
      name: 'weir_udp_backend_up',
      help: 'Whether a replica takes traffic at the endpoint (1) or fails a check (0).',
      type: 'gauge',
      samples: backends(view),
    },
  ]
}

type Name = Pick<EndpointCounters, 'deployment' | 'service' | 'endpoint'>
type Machine = EndpointCounters['counters']['machine']

const labelsOf = ({ deployment, service, endpoint }: Name): Labels => ({
  deployment,
  service,
  endpoint,
})

function byDirection(
  { counters, ...name }: EndpointCounters,
  values: (machine: Machine) => readonly [up: number, down: number],
): readonly Sample[] {
  const [up, down] = values(counters.machine)
  const labels = labelsOf(name)
  return [
    { labels: { ...labels, direction: 'in' }, value: up },
    { labels: { ...labels, direction: 'out' }, value: down },
  ]
}

/** `no_backend`: label values are usually written so. */
const byReason = (labels: Labels, counts: Readonly<Record<string, number>>): readonly Sample[] =>
  Object.entries(counts).map(([reason, value]) => ({
    labels: { ...labels, reason: reason.replaceAll('-', '_') },
    value,
  }))

function dropped({ counters, ...name }: EndpointCounters): readonly Sample[] {
  const { machine, queueFull, sendErrors } = counters
  const counts = { ...machine.dropped, 'queue-full': queueFull, 'send-error': sendErrors }
  return byReason(labelsOf(name), counts)
}

function durations({ counters, ...name }: EndpointCounters): readonly Sample[] {
  const { count, sumMs, upTo } = counters.durations
  const bounds = durationBoundsMs.map((bound) => bound / 1_000)
  return histogram(labelsOf(name), { bounds, upTo, sum: sumMs / 1_000, count })
}

/** An endpoint may have a second listener for a moment: the newest says what holds. */
function backends({ listeners }: Pick<NodeView, 'listeners'>): readonly Sample[] {
  const found = new Map<string, Sample>()
  for (const listener of listeners) {
    if (listener.protocol !== 'udp') continue
    for (const { replica, isUp } of listener.members) {
      const labels = { ...labelsOf(listener), backend: replicaLabel(replica) }
      found.set(JSON.stringify(labels), { labels, value: Number(isUp) })
    }
  }
  return [...found.values()]
}
