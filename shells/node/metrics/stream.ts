/** What went through TCP endpoints, as metrics. Each thing is counted in one of them. */
import type { NodeView } from '../../../core/node/view.ts'
import type { StreamEndpointCounters } from '../listener/stream/stream-totals.ts'
import type { Metric, Sample } from './exposition.ts'
import { backendsUp, byDirection, byReason, labelsOf } from './labels.ts'

export function streamMetrics(
  endpoints: readonly StreamEndpointCounters[],
  view: Pick<NodeView, 'listeners'>,
): readonly Metric[] {
  return [
    ...connections(endpoints),
    ...greetings(endpoints),
    ...connects(endpoints),
    ...bytes(endpoints),
    backends(view),
  ]
}

const connections = (endpoints: readonly StreamEndpointCounters[]): readonly Metric[] => [
  {
    name: 'weir_stream_connections_accepted_total',
    help: 'Connections that were let in, to be connected to a backend.',
    type: 'counter',
    samples: single(endpoints, ({ machine }) => machine.accepted),
  },
  {
    name: 'weir_stream_connections_refused_total',
    help: 'Connections that were not let in, each for one reason.',
    type: 'counter',
    samples: endpoints.flatMap(({ counters: { machine, entrance }, ...name }) =>
      byReason(labelsOf(name), { ...entrance.refused, ...machine.refused }),
    ),
  },
  {
    name: 'weir_stream_connections_closed_total',
    help: 'Connections that were let in and are over, each for one reason.',
    type: 'counter',
    samples: endpoints.flatMap(({ counters: { machine }, ...name }) =>
      byReason(labelsOf(name), machine.closed),
    ),
  },
  {
    name: 'weir_stream_connections_held_total',
    help: 'Connections that were let in and had to wait for a backend.',
    type: 'counter',
    samples: single(endpoints, ({ machine }) => machine.held),
  },
  {
    name: 'weir_stream_connections',
    help: 'Connections there are now.',
    type: 'gauge',
    samples: single(endpoints, ({ connectionsLive }) => connectionsLive),
  },
]

const greetings = (endpoints: readonly StreamEndpointCounters[]): readonly Metric[] => [
  {
    name: 'weir_stream_greetings',
    help: 'Connections on their way in now: a PROXY header, a server name or a TLS handshake is awaited.',
    type: 'gauge',
    samples: single(endpoints, ({ greetingsLive }) => greetingsLive),
  },
  {
    name: 'weir_stream_tls_handshakes_total',
    help: 'TLS handshakes with clients that were done.',
    type: 'counter',
    samples: single(endpoints, ({ entrance }) => entrance.secured),
  },
  {
    name: 'weir_stream_proxy_headers_total',
    help: 'PROXY protocol headers: in, from trusted proxies; out, to backends.',
    type: 'counter',
    samples: endpoints.flatMap(({ counters: { machine, entrance }, ...name }) =>
      byDirection(labelsOf(name), entrance.proxyHeaders, machine.proxyHeaders),
    ),
  },
]

const connects = (endpoints: readonly StreamEndpointCounters[]): readonly Metric[] => [
  {
    name: 'weir_stream_connects_total',
    help: 'Attempts to connect to a backend that succeeded.',
    type: 'counter',
    samples: single(endpoints, ({ machine }) => machine.connected),
  },
  {
    name: 'weir_stream_connects_failed_total',
    help: 'Attempts to connect to a backend that failed, timed out or were given up.',
    type: 'counter',
    samples: single(endpoints, ({ machine }) => machine.attemptsFailed),
  },
  {
    name: 'weir_stream_connects_retried_total',
    help: "Attempts after a connection's first, however they ended.",
    type: 'counter',
    samples: single(endpoints, ({ machine }) => machine.retried),
  },
]

const bytes = (endpoints: readonly StreamEndpointCounters[]): readonly Metric[] => [
  {
    name: 'weir_stream_bytes_total',
    help: 'Bytes passed on: in, from clients to backends; out, from backends to clients. Without PROXY protocol headers and TLS.',
    type: 'counter',
    samples: endpoints.flatMap(({ counters: { machine }, ...name }) =>
      byDirection(labelsOf(name), machine.bytesToUpstream, machine.bytesToClient),
    ),
  },
  {
    name: 'weir_stream_bytes_dropped_total',
    help: 'Bytes that came for a side that was gone.',
    type: 'counter',
    samples: single(endpoints, ({ machine }) => machine.bytesDropped),
  },
]

const backends = (view: Pick<NodeView, 'listeners'>): Metric => ({
  name: 'weir_stream_backend_up',
  help: 'Whether a replica takes traffic at the endpoint (1) or fails a check (0).',
  type: 'gauge',
  samples: backendsUp(view, ({ protocol }) => protocol === 'tcp'),
})

const single = (
  endpoints: readonly StreamEndpointCounters[],
  value: (counters: StreamEndpointCounters['counters']) => number,
): readonly Sample[] =>
  endpoints.map(({ counters, ...name }) => ({ labels: labelsOf(name), value: value(counters) }))
