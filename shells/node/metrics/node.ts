/** Everything this node tells Prometheus. */
import type { NodeView } from '../../../core/node/view.ts'
import type { AccessLog } from '../access-log/access-log.ts'
import type { Acme } from '../acme/acme.ts'
import type { Listeners } from '../listener/listeners.ts'
import type { Certificates } from '../tls/certificates.ts'
import { exposition, type Metric } from './exposition.ts'
import { httpMetrics } from './http.ts'
import type { HttpTotals } from './http-totals.ts'
import { streamMetrics } from './stream.ts'
import { udpMetrics } from './udp.ts'

export interface MetricsSources {
  readonly listeners: Pick<Listeners, 'counters' | 'httpCounters' | 'streamCounters'>
  /** Of exchanges. */
  readonly http: Pick<HttpTotals, 'read' | 'leftOut'>
  readonly view: () => NodeView
  readonly accessLog?: Pick<AccessLog, 'counters'>
  readonly certificates?: Pick<Certificates, 'names'>
  readonly acme?: Pick<Acme, 'counters' | 'nameCounts'>
}

/** Prometheus' text format. */
export async function metricsText(sources: MetricsSources): Promise<string> {
  const { listeners, accessLog, certificates, acme } = sources
  const udp = await listeners.counters()
  const view = sources.view()
  return exposition([
    ...httpMetrics(sources.http, listeners.httpCounters(), view),
    ...streamMetrics(listeners.streamCounters(), view),
    ...udpMetrics(udp, view),
    sockets(view),
    ...ports(view),
    ...(accessLog === undefined ? [] : logged(accessLog)),
    ...(certificates === undefined ? [] : [expiry(certificates)]),
    ...(acme === undefined ? [] : orders(acme)),
  ])
}

function sockets({ listeners, node }: Pick<NodeView, 'listeners' | 'node'>): Metric {
  const counts: Record<SocketState, number> = { ...NO_SOCKETS }
  for (const { state } of [...listeners, ...node]) {
    if (state !== 'draining') counts[state] += 1 // no socket leads to it
  }
  return {
    name: 'weir_sockets',
    help: 'Sockets that listen or are to listen now, by their state.',
    type: 'gauge',
    samples: Object.entries(counts).map(([state, value]) => ({ labels: { state }, value })),
  }
}

/** Of the ledger. */
const ports = ({ ports: counters }: Pick<NodeView, 'ports'>): readonly Metric[] =>
  Object.entries(PORT_COUNTERS).map(([name, [counter, help]]) => ({
    name: `weir_port_${name}_total`,
    help,
    type: 'counter',
    samples: [{ labels: {}, value: counters[counter] }],
  }))

const PORT_COUNTERS: Readonly<Record<string, readonly [keyof NodeView['ports'], string]>> = {
  claims: ['claimsGranted', 'Ports that were asked for and granted.'],
  claims_refused: ['claimsRefused', 'Ports that were asked for and belong to somebody else.'],
  binds: ['binds', 'Attempts to listen.'],
  binds_failed: ['bindsFailed', 'Attempts to listen that failed.'],
  freed: ['freed', 'Sockets that were given back.'],
  published: ['published', 'Times a replica was put behind a port.'],
  publish_refused: ['publishRefused', 'Times there was no room for one.'],
}

const logged = ({ counters }: Pick<AccessLog, 'counters'>): readonly Metric[] => [
  {
    name: 'weir_access_log_lines_total',
    help: 'Lines in the access log.',
    type: 'counter',
    samples: [{ labels: {}, value: counters.written }],
  },
  {
    name: 'weir_access_log_lines_dropped_total',
    help: 'Lines that the file of the access log could not take, or not so many.',
    type: 'counter',
    samples: [{ labels: {}, value: counters.dropped }],
  },
]

const expiry = (certificates: Pick<Certificates, 'names'>): Metric => ({
  name: 'weir_certificate_expiry_timestamp_seconds',
  help: 'When a certificate in use ends, since 1970.',
  type: 'gauge',
  samples: certificates.names().map(({ name, validTo }) => ({
    labels: { name },
    value: validTo.getTime() / 1_000,
  })),
})

/** Of ACME. */
const orders = (acme: Pick<Acme, 'counters' | 'nameCounts'>): readonly Metric[] => [
  {
    name: 'weir_acme_orders_total',
    help: 'Certificates that were ordered, by what became of it.',
    type: 'counter',
    samples: Object.entries({ issued: acme.counters.issued, ...acme.counters.failed }).map(
      ([outcome, value]) => ({ labels: { outcome }, value }),
    ),
  },
  {
    name: 'weir_acme_names',
    help: 'Names that certificates are got for, by the state of what they have.',
    type: 'gauge',
    samples: Object.entries(acme.nameCounts()).map(([state, value]) => ({
      labels: { state },
      value,
    })),
  },
]

type SocketState = Exclude<NodeView['listeners' | 'node'][number]['state'], 'draining'>

const NO_SOCKETS: Readonly<Record<SocketState, number>> = {
  idle: 0,
  waiting: 0,
  opening: 0,
  listening: 0,
  serving: 0,
  retrying: 0,
  absent: 0,
  closing: 0,
}
