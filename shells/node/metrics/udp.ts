/** What went through UDP endpoints, as metrics. Each thing is counted in one of them. */
import type { NodeView } from '../../../core/node/view.ts'
import type { EndpointCounters } from '../listener/udp/udp-totals.ts'
import { durationBoundsMs } from '../udp/udp-host.ts'
import { histogram, type Metric, type Sample } from './exposition.ts'
import { backendsUp, byDirection, byReason, labelsOf } from './labels.ts'

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
      samples: each(({ counters, ...name }) => {
        const { machine, sendErrors, queueFull, lostUp } = counters
        const lostDown = sendErrors + queueFull - lostUp
        return byDirection(
          labelsOf(name),
          machine.datagramsUp - lostUp,
          machine.datagramsDown - lostDown,
        )
      }),
    },
    {
      name: 'weir_udp_bytes_total',
      help: 'Bytes given to sockets, without PROXY protocol headers.',
      type: 'counter',
      samples: each(({ counters, ...name }) =>
        byDirection(labelsOf(name), counters.machine.bytesUp, counters.machine.bytesDown),
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
      samples: backendsUp(view, ({ protocol }) => protocol === 'udp'),
    },
  ]
}

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
