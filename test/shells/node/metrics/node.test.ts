import { expect, test } from 'vitest'
import type { NodeView } from '../../../../core/node/view.ts'
import { PublishLedger } from '../../../../core/publish/ledger.ts'
import { zeroEntranceCounters } from '../../../../core/stream/entrance/state.ts'
import { zeroCounters } from '../../../../core/stream/state.ts'
import { HttpTotals } from '../../../../shells/node/metrics/http-totals.ts'
import { type MetricsSources, metricsText } from '../../../../shells/node/metrics/node.ts'
import { countersOf } from '../listener/udp/fake-udp-host.ts'
import { linesOf, listenerRow } from './reading.ts'

const NAME = { deployment: 'hello', service: 'dns', endpoint: 'dns' }

const VIEW: NodeView = {
  phase: 'running',
  deployments: [],
  services: [],
  replicas: [],
  listeners: [
    listenerRow({ state: 'serving' }),
    listenerRow({ state: 'serving', address: '127.0.0.1:53' }),
    listenerRow({ state: 'absent', address: '[::]:53' }),
  ],
  routes: [],
  node: [{ purpose: 'metrics', address: '127.0.0.1:9090', state: 'listening', detail: '' }],
  ports: { ...new PublishLedger().counters, binds: 4, bindsFailed: 1 },
}

const SOURCES: MetricsSources = {
  http: new HttpTotals(),
  listeners: {
    httpCounters: () => ({
      endpoints: [],
      clients: { live: 5, accepted: 6, handshakes: 7, refused: {} },
    }),
    counters: async () => [{ ...NAME, counters: countersOf(1) }],
    streamCounters: () => [
      {
        ...NAME,
        endpoint: 'dns-tcp',
        counters: {
          machine: { ...zeroCounters(), accepted: 3 },
          entrance: zeroEntranceCounters(),
          connectionsLive: 2,
          greetingsLive: 0,
        },
      },
    ],
  },
  view: () => VIEW,
}

test('tcp, udp, sockets by their state, and until when certificates are good', async () => {
  const names = () => [
    {
      name: '*.example.com',
      validFrom: new Date(0),
      validTo: new Date('2030-01-02T03:04:05Z'),
      fingerprint: '',
    },
  ]
  const lines = linesOf(await metricsText({ ...SOURCES, certificates: { names } }))
  const value = (name: string) => lines.find((line) => line.name === name)?.value
  expect(value('weir_stream_connections_accepted_total')).toBe(3)
  expect(value('weir_stream_connections')).toBe(2)
  expect(value('weir_udp_flows_max')).toBeDefined()
  expect([value('weir_port_binds_total'), value('weir_port_binds_failed_total')]).toEqual([4, 1])
  const states = lines
    .filter(({ name }) => name === 'weir_sockets')
    .map(({ labels, value }) => [labels.state, value])
  expect(states).toEqual([
    ['idle', 0],
    ['waiting', 0],
    ['opening', 0],
    ['listening', 1],
    ['serving', 2],
    ['retrying', 0],
    ['absent', 1],
    ['closing', 0],
  ])
  expect(lines.filter(({ name }) => name === 'weir_certificate_expiry_timestamp_seconds')).toEqual([
    {
      name: 'weir_certificate_expiry_timestamp_seconds',
      labels: { name: '*.example.com' },
      value: Date.UTC(2030, 0, 2, 3, 4, 5) / 1_000,
    },
  ])
})

test('a node without certificates says nothing of them', async () => {
  expect(await metricsText(SOURCES)).not.toContain('certificate')
})
