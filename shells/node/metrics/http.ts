/** What went through HTTP endpoints, as metrics. Each thing is counted in one of them. */
import type { NodeView } from '../../../core/node/view.ts'
import { histogram, type Metric, type Sample } from './exposition.ts'
import type { HttpClientNumbers, HttpCounters, HttpEndpointNumbers } from './http-counters.ts'
import {
  type Buckets,
  durationBoundsMs,
  type EndpointTotals,
  type HttpTotals,
  OUTCOMES,
  PROTOCOLS,
  STATUSES,
} from './http-totals.ts'
import { backendsUp, byDirection, byReason, isHttp, labelsOf } from './labels.ts'

export function httpMetrics(
  totals: Pick<HttpTotals, 'read' | 'leftOut'>,
  { endpoints, clients }: HttpCounters,
  view: Pick<NodeView, 'listeners'>,
): readonly Metric[] {
  const there = new Set(view.listeners.map(keyOf))
  const exchanges = totals.read((key) => there.has(key))
  return [
    ...requests(exchanges, totals.leftOut),
    ...times(exchanges),
    ...live(endpoints),
    ...connections(endpoints, clients),
    {
      name: 'weir_http_backend_up',
      help: 'Whether a replica takes traffic at the endpoint (1) or fails a check (0).',
      type: 'gauge',
      samples: backendsUp(view, isHttp),
    },
  ]
}

const keyOf = ({ deployment, service, endpoint }: EndpointName): string =>
  `${deployment}/${service}/${endpoint}`

type EndpointName = HttpCounters['endpoints'][number] | NodeView['listeners'][number]

const requests = (exchanges: readonly EndpointTotals[], leftOut: number): readonly Metric[] => [
  {
    name: 'weir_http_requests_total',
    help: 'Requests that are over, by the status they were answered with; without an endpoint: no route led to one.',
    type: 'counter',
    samples: exchanges.flatMap(byStatus),
  },
  {
    name: 'weir_http_requests_ended_total',
    help: 'Requests that are over, each for one reason.',
    type: 'counter',
    samples: exchanges.flatMap((each) =>
      byReason(
        labelsOf(each),
        Object.fromEntries(OUTCOMES.map((outcome, index) => [outcome, each.outcomes[index] ?? 0])),
      ),
    ),
  },
  {
    name: 'weir_http_bytes_total',
    help: 'Bytes of bodies, and of tunnels: in, from clients; out, to clients. Without framing and TLS.',
    type: 'counter',
    samples: exchanges.flatMap((each) => byDirection(labelsOf(each), each.bytesIn, each.bytesOut)),
  },
  {
    name: 'weir_http_requests_held_total',
    help: 'Requests that are over and waited for a backend.',
    type: 'counter',
    samples: single(exchanges, ({ held }) => held),
  },
  {
    name: 'weir_http_retries_total',
    help: 'Backends tried beyond the first, of requests that are over.',
    type: 'counter',
    samples: single(exchanges, ({ retries }) => retries),
  },
  {
    name: 'weir_http_tunnels_total',
    help: 'Requests that became a tunnel, such as WebSockets, and are over.',
    type: 'counter',
    samples: single(exchanges, ({ tunnels }) => tunnels),
  },
  {
    name: 'weir_http_requests_unlisted_total',
    help: 'Requests under (other), because there are more routes than are told apart.',
    type: 'counter',
    samples: [{ labels: {}, value: leftOut }],
  },
]

/** Only what there was: most protocols and statuses never come to most routes. */
const byStatus = (endpoint: EndpointTotals): readonly Sample[] =>
  [...endpoint.routes].flatMap(([route, counts]) =>
    PROTOCOLS.flatMap((protocol, row) =>
      STATUSES.flatMap((status, column): Sample[] => {
        const value = counts[row * STATUSES.length + column] ?? 0
        const labels = { ...labelsOf(endpoint), route, protocol, status }
        return value === 0 ? [] : [{ labels, value }]
      }),
    ),
  )

const times = (exchanges: readonly EndpointTotals[]): readonly Metric[] => [
  {
    name: 'weir_http_request_duration_seconds',
    help: 'From the first byte of a request to the last of its answer; not of tunnels.',
    type: 'histogram',
    samples: exchanges.flatMap((each) => histogramOf(each, each.durations)),
  },
  {
    name: 'weir_http_first_byte_seconds',
    help: 'From the first byte of a request to the head of its answer by a backend.',
    type: 'histogram',
    samples: exchanges.flatMap((each) => histogramOf(each, each.firstBytes)),
  },
]

function histogramOf(endpoint: EndpointTotals, { counts, sumMs }: Buckets): readonly Sample[] {
  let sum = 0
  const upTo = [...counts].map((count) => {
    sum += count
    return sum
  })
  const bounds = durationBoundsMs.map((bound) => bound / 1_000)
  return histogram(labelsOf(endpoint), { bounds, upTo, sum: sumMs / 1_000, count: sum })
}

const live = (endpoints: HttpCounters['endpoints']): readonly Metric[] => [
  gauge('requests', 'Requests there are now, held ones among them.', endpoints, 'requestsLive'),
  gauge('requests_held', 'Requests waiting for a backend now.', endpoints, 'heldLive'),
  gauge('tunnels', 'Tunnels there are now.', endpoints, 'tunnelsLive'),
]

const connections = (
  endpoints: HttpCounters['endpoints'],
  clients: HttpClientNumbers,
): readonly Metric[] => [
  {
    ...gauge('connects_total', 'Connections made to a backend.', endpoints, 'connected'),
    type: 'counter',
  },
  {
    ...gauge(
      'connects_failed_total',
      'Attempts to connect to a backend that failed, timed out or were given up.',
      endpoints,
      'connectsFailed',
    ),
    type: 'counter',
  },
  {
    ...gauge(
      'stale_reuses_total',
      'Requests written to an idle connection of a backend that had closed it.',
      endpoints,
      'staleReuses',
    ),
    type: 'counter',
  },
  {
    name: 'weir_http_client_connections',
    help: 'Connections of clients there are now, at all ports that speak HTTP.',
    type: 'gauge',
    samples: [{ labels: {}, value: clients.live }],
  },
  {
    name: 'weir_http_client_connections_accepted_total',
    help: 'Connections of clients that were let in.',
    type: 'counter',
    samples: [{ labels: {}, value: clients.accepted }],
  },
  {
    name: 'weir_http_client_connections_refused_total',
    help: 'Connections and HTTP/2 streams of clients that were not let in, or ended for breaking HTTP/2.',
    type: 'counter',
    samples: byReason({}, clients.refused),
  },
  {
    name: 'weir_http_client_tls_handshakes_total',
    help: 'TLS handshakes with clients that were done.',
    type: 'counter',
    samples: [{ labels: {}, value: clients.handshakes }],
  },
]

const gauge = (
  name: string,
  help: string,
  endpoints: HttpCounters['endpoints'],
  key: keyof HttpEndpointNumbers,
): Metric => ({
  name: `weir_http_${name}`,
  help,
  type: 'gauge',
  samples: endpoints.map(({ counters, ...each }) => ({
    labels: labelsOf(each),
    value: counters[key],
  })),
})

const single = (
  exchanges: readonly EndpointTotals[],
  value: (endpoint: EndpointTotals) => number,
): readonly Sample[] => exchanges.map((each) => ({ labels: labelsOf(each), value: value(each) }))
