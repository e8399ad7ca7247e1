import { expect, test } from 'vitest'
import type { ListenerView } from '../../../../core/node/view.ts'
import { replicaId } from '../../../../core/services/identity.ts'
import { exposition } from '../../../../shells/node/metrics/exposition.ts'
import { httpMetrics } from '../../../../shells/node/metrics/http.ts'
import type { HttpCounters } from '../../../../shells/node/metrics/http-counters.ts'
import { HttpTotals } from '../../../../shells/node/metrics/http-totals.ts'
import { exchange } from '../access-log/exchange.ts'
import { linesOf, listenerRow, numbersFrom } from './reading.ts'

const WEB = { deployment: 'shop', service: 'web', endpoint: 'http' }
const NOWHERE = { deployment: '', service: '', endpoint: '' }

function counters(from: number): HttpCounters {
  const { fill } = numbersFrom(from)
  const zero = { requestsLive: 0, heldLive: 0, tunnelsLive: 0 }
  const numbers = fill({ ...zero, connected: 0, connectsFailed: 0, staleReuses: 0 })
  const refused = { 'clients-max': 0, handshake: 0 }
  return {
    endpoints: [{ ...WEB, counters: numbers }],
    clients: fill({ live: 0, accepted: 0, handshakes: 0, refused }),
  }
}

const read = (
  totals: HttpTotals,
  live: HttpCounters = counters(1_000),
  listeners: readonly ListenerView[] = [],
) => linesOf(exposition(httpMetrics(totals, live, { listeners })))

const values = (lines: ReturnType<typeof read>, name: string, labels: object = {}) =>
  lines.flatMap((line) =>
    line.name === `weir_http_${name}` &&
    Object.entries(labels).every(([key, each]) => line.labels[key] === each)
      ? [line.value]
      : [],
  )

test('requests by service, route, status class and protocol; only what there was', () => {
  const totals = new HttpTotals()
  totals.add(exchange())
  totals.add(exchange({ status: 204 }))
  totals.add(exchange({ status: 502, outcome: 'bad-response', route: 'a.example.com/api' }))
  totals.add(exchange({ protocol: '2' }))
  totals.add(exchange({ listener: undefined, route: '', status: 404, outcome: 'no-route' }))
  const lines = read(totals)
  const requests = lines.filter(({ name }) => name === 'weir_http_requests_total')
  const route = 'a.example.com/'
  expect(requests.map(({ labels, value }) => ({ ...labels, value }))).toEqual([
    { ...NOWHERE, route: '', protocol: '1.1', status: '4xx', value: 1 },
    { ...WEB, route, protocol: '1.1', status: '2xx', value: 2 },
    { ...WEB, route, protocol: '2', status: '2xx', value: 1 },
    { ...WEB, route: `${route}api`, protocol: '1.1', status: '5xx', value: 1 },
  ])
  expect(values(lines, 'requests_ended_total', { ...WEB, reason: 'bad_response' })).toEqual([1])
  expect(values(lines, 'requests_ended_total', { ...WEB, reason: 'done' })).toEqual([3])
  expect(values(lines, 'requests_ended_total', { ...NOWHERE, reason: 'no_route' })).toEqual([1])
  expect(values(lines, 'bytes_total', { ...WEB, direction: 'out' })).toEqual([4 * 2_326])
  expect(values(lines, 'requests_unlisted_total')).toEqual([0])
})

test('histograms in seconds, their buckets cumulative', () => {
  const totals = new HttpTotals()
  for (const totalMs of [0.5, 2.5, 40, 90_000]) {
    totals.add(exchange({ timings: { ...exchange().timings, totalMs } }))
  }
  const lines = read(totals)
  const upTo = (le: string) => values(lines, 'request_duration_seconds_bucket', { ...WEB, le })
  expect(['0.001', '0.0025', '0.05', '60', '+Inf'].map(upTo)).toEqual([[1], [2], [3], [3], [4]])
  expect(values(lines, 'request_duration_seconds_sum', WEB)).toEqual([90.043])
  expect(values(lines, 'first_byte_seconds_count', WEB)).toEqual([4])
})

test('what is there, and connections: each number in one place', () => {
  const live = counters(1_000)
  const lines = read(new HttpTotals(), live)
  const numbers = (value: unknown): number[] =>
    typeof value === 'number' ? [value] : Object.values(value as object).flatMap(numbers)
  const told = lines.map(({ value }) => value).filter((value) => value >= 1_000)
  const meant = [...live.endpoints.map((each) => each.counters), live.clients].flatMap(numbers)
  expect(told.toSorted()).toEqual(meant.toSorted())
  const [web] = live.endpoints
  expect(values(lines, 'requests', WEB)).toEqual([web?.counters.requestsLive])
  expect(values(lines, 'stale_reuses_total', WEB)).toEqual([web?.counters.staleReuses])
  expect(values(lines, 'client_connections')).toEqual([live.clients.live])
  expect(values(lines, 'client_connections_refused_total', { reason: 'clients_max' })).toEqual([
    live.clients.refused['clients-max'],
  ])
})

test('backend_up is that of http endpoints, whatever their scheme', () => {
  const members = [
    {
      replica: replicaId({ deployment: 'hello', service: 'web', number: 1, incarnation: 4 }),
      isUp: false,
    },
  ]
  const rows = ['http', 'https', 'websocket', 'tcp', 'udp'].map((protocol) =>
    listenerRow({ service: 'web', endpoint: protocol, protocol, members }),
  )
  const lines = read(new HttpTotals(), counters(1_000), rows)
  const up = lines.filter(({ name }) => name === 'weir_http_backend_up')
  expect(up.map(({ labels, value }) => [labels.endpoint, labels.backend, value])).toEqual([
    ['http', 'web-1', 0],
    ['https', 'web-1', 0],
    ['websocket', 'web-1', 0],
  ])
})
