import { expect, test } from 'vitest'
import type { ListenerView } from '../../../../core/node/view.ts'
import { replicaId } from '../../../../core/services/identity.ts'
import { zeroEntranceCounters } from '../../../../core/stream/entrance/state.ts'
import { zeroCounters } from '../../../../core/stream/state.ts'
import type { StreamEndpointCounters } from '../../../../shells/node/listener/stream/stream-totals.ts'
import { exposition } from '../../../../shells/node/metrics/exposition.ts'
import { streamMetrics } from '../../../../shells/node/metrics/stream.ts'
import { linesOf, listenerRow, numbersFrom } from './reading.ts'

function endpoint(name: string, from: number): StreamEndpointCounters {
  const { fill, next } = numbersFrom(from)
  const counters = {
    machine: fill(zeroCounters()),
    entrance: fill(zeroEntranceCounters()),
    connectionsLive: next(),
    greetingsLive: next(),
  }
  return { deployment: 'hello', service: 'db', endpoint: name, counters }
}

const read = (
  endpoints: readonly StreamEndpointCounters[],
  listeners: readonly ListenerView[] = [],
) => linesOf(exposition(streamMetrics(endpoints, { listeners })))

test('each number is in one place, under its deployment, service and endpoint', () => {
  const endpoints = [endpoint('sql', 1_000), endpoint('mapping 6379/tcp', 2_000)]
  const lines = read(endpoints)
  for (const { labels, value } of lines) {
    const name = value < 2_000 ? 'sql' : 'mapping 6379/tcp'
    expect(labels).toMatchObject({ deployment: 'hello', service: 'db', endpoint: name })
  }
  const keys = lines.map(({ name, labels }) => JSON.stringify([name, labels]))
  expect(new Set(keys).size).toBe(keys.length)
  const values = lines.map(({ value }) => value)
  expect(new Set(values).size).toBe(values.length)
  // Everything but what the entrance lets in, which its connections' own machine counts, and answers
  // that came too late to matter to anybody.
  const { machine, entrance, ...live } = endpoints[0]!.counters
  const { accepted: _a, admitted: _b, ...seen } = entrance
  const { staleAnswers: _c, ...passed } = machine
  const numbers = [seen, passed, live].flatMap(numbersIn)
  expect(values.filter((value) => value < 2_000).toSorted()).toEqual(numbers.toSorted())
})

const numbersIn = (value: unknown): number[] =>
  typeof value === 'number' ? [value] : Object.values(value as object).flatMap(numbersIn)

test('what was accepted and refused, by reason, and what is there', () => {
  const one = endpoint('sql', 1_000)
  const { machine, entrance, connectionsLive, greetingsLive } = one.counters
  const lines = read([one])
  const value = (name: string, labels: object = {}): number | undefined =>
    lines.find(
      (line) =>
        line.name === `weir_stream_${name}` &&
        Object.entries(labels).every(([key, each]) => line.labels[key] === each),
    )?.value
  expect(value('connections_accepted_total')).toBe(machine.accepted)
  const refused = lines.filter(({ name }) => name === 'weir_stream_connections_refused_total')
  const reasons = { ...entrance.refused, ...machine.refused }
  // No reason of the entrance is one of those behind it, too.
  expect(Object.keys(reasons)).toHaveLength(
    Object.keys(entrance.refused).length + Object.keys(machine.refused).length,
  )
  expect(Object.fromEntries(refused.map(({ labels, value }) => [labels.reason, value]))).toEqual(
    Object.fromEntries(
      Object.entries(reasons).map(([reason, count]) => [reason.replaceAll('-', '_'), count]),
    ),
  )
  expect(value('connections_refused_total', { reason: 'greeting_timeout' })).toBe(
    entrance.refused['greeting-timeout'],
  )
  expect(value('connections_refused_total', { reason: 'no_backend' })).toBe(
    machine.refused['no-backend'],
  )
  expect(value('connections_closed_total', { reason: 'client_reset' })).toBe(
    machine.closed['client-reset'],
  )
  expect(value('connections')).toBe(connectionsLive)
  expect(value('greetings')).toBe(greetingsLive)
  expect(value('tls_handshakes_total')).toBe(entrance.secured)
  expect(value('proxy_headers_total', { direction: 'in' })).toBe(entrance.proxyHeaders)
  expect(value('proxy_headers_total', { direction: 'out' })).toBe(machine.proxyHeaders)
  expect(value('connects_total')).toBe(machine.connected)
  expect(value('connects_failed_total')).toBe(machine.attemptsFailed)
  expect(value('connects_retried_total')).toBe(machine.retried)
  expect(value('bytes_total', { direction: 'in' })).toBe(machine.bytesToUpstream)
  expect(value('bytes_total', { direction: 'out' })).toBe(machine.bytesToClient)
  expect(value('bytes_dropped_total')).toBe(machine.bytesDropped)
})

test('backend_up is said once of each replica, whatever the number of sockets', () => {
  const member = (number: number, isUp: boolean) => ({
    replica: replicaId({ deployment: 'hello', service: 'db', number, incarnation: number }),
    isUp,
  })
  const row = { service: 'db', endpoint: 'sql', members: [member(1, true), member(2, false)] }
  const rows = [
    listenerRow({ ...row, protocol: 'tcp' }),
    listenerRow({ ...row, protocol: 'tcp', address: '[::]:53' }),
    listenerRow({ ...row, protocol: 'https', endpoint: 'web' }),
    listenerRow({ ...row, protocol: 'udp', endpoint: 'dns' }),
  ]
  const said = read([], rows).map(({ name, labels, value }) => [
    name,
    labels.endpoint,
    labels.backend,
    value,
  ])
  expect(said).toEqual([
    ['weir_stream_backend_up', 'sql', 'db-1', 1],
    ['weir_stream_backend_up', 'sql', 'db-2', 0],
  ])
})
