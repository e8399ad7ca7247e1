import { expect, test } from 'vitest'
import type { ListenerView } from '../../../../core/node/view.ts'
import { replicaId } from '../../../../core/services/identity.ts'
import { zeroCounters } from '../../../../core/udp/counters.ts'
import type { EndpointCounters } from '../../../../shells/node/listener/udp/udp-totals.ts'
import { exposition } from '../../../../shells/node/metrics/exposition.ts'
import { udpMetrics } from '../../../../shells/node/metrics/udp.ts'
import { durationBoundsMs } from '../../../../shells/node/udp/udp-host.ts'
import { linesOf, listenerRow, numbersFrom } from './reading.ts'

function counters(from: number): EndpointCounters['counters'] {
  const { fill, next } = numbersFrom(from)
  return {
    machine: { ...fill(zeroCounters()), datagramsUp: 100 * from, datagramsDown: 300 * from },
    flowsLive: next(),
    flowsMax: next(),
    sendErrors: next(),
    queueFull: next(),
    lostUp: 7,
    durations: { count: next(), sumMs: next(), upTo: durationBoundsMs.map(() => next()) },
  }
}

const endpoint = (name: string, from: number): EndpointCounters => ({
  deployment: 'hello',
  service: 'dns',
  endpoint: name,
  counters: counters(from),
})

const read = (endpoints: readonly EndpointCounters[], listeners: readonly ListenerView[] = []) =>
  linesOf(exposition(udpMetrics(endpoints, { listeners })))

test('udp W20: each number is in one place, under its deployment, service and endpoint', () => {
  const lines = read([endpoint('dns', 1_000), endpoint('other', 2_000)])
  for (const { labels } of lines) {
    expect(labels).toMatchObject({ deployment: 'hello', service: 'dns' })
    expect(labels.endpoint).toMatch(/^(dns|other)$/)
  }
  const keys = lines.map(({ name, labels }) => JSON.stringify([name, labels]))
  expect(new Set(keys).size).toBe(keys.length)
  const counted = lines.filter(({ name }) => !name.startsWith('weir_udp_flow_duration'))
  const values = counted.map(({ value }) => value)
  expect(new Set(values).size).toBe(values.length)
})

test('udp W20: drops of the table and of its sockets have one reason each, and add up', () => {
  const [one] = [endpoint('dns', 1_000)]
  const lines = read([one!]).filter(({ name }) => name === 'weir_udp_datagrams_dropped_total')
  const { machine, queueFull, sendErrors } = one!.counters
  const reasons = Object.keys(machine.dropped).map((reason) => reason.replaceAll('-', '_'))
  expect(lines.map(({ labels }) => labels.reason)).toEqual([...reasons, 'queue_full', 'send_error'])
  const all = Object.values(machine.dropped).reduce((sum, each) => sum + each, 0)
  const sum = lines.reduce((total, { value }) => total + value, 0)
  expect(sum).toBe(all + queueFull + sendErrors)
})

test('udp W20: what went in and out, flows by what closed them, and now', () => {
  const one = endpoint('dns', 1_000)
  const { machine, flowsLive, flowsMax, durations, sendErrors, queueFull } = one.counters
  const lostDown = sendErrors + queueFull - 7
  const lines = read([one])
  const value = (name: string, labels: object = {}): number | undefined =>
    lines.find(
      (line) =>
        line.name === name &&
        Object.entries(labels).every(([key, each]) => line.labels[key] === each),
    )?.value
  expect(value('weir_udp_datagrams_total', { direction: 'in' })).toBe(machine.datagramsUp - 7)
  const out = value('weir_udp_datagrams_total', { direction: 'out' })
  expect(out).toBe(machine.datagramsDown - lostDown)
  expect(value('weir_udp_bytes_total', { direction: 'in' })).toBe(machine.bytesUp)
  expect(value('weir_udp_bytes_total', { direction: 'out' })).toBe(machine.bytesDown)
  expect(value('weir_udp_flows_created_total')).toBe(machine.created)
  expect(value('weir_udp_flows_closed_total', { reason: 'half_open' })).toBe(
    machine.closed['half-open'],
  )
  expect(value('weir_udp_flows')).toBe(flowsLive)
  expect(value('weir_udp_flows_max')).toBe(flowsMax)
  expect(value('weir_udp_flow_duration_seconds_bucket', { le: '0.01' })).toBe(durations.upTo[0])
  expect(value('weir_udp_flow_duration_seconds_bucket', { le: '+Inf' })).toBe(durations.count)
  expect(value('weir_udp_flow_duration_seconds_sum')).toBe(durations.sumMs / 1_000)
})

test('udp W20: backend_up is 1 or 0 for each replica of a udp listener, not a count', () => {
  const member = (number: number, isUp: boolean) => ({
    replica: replicaId({ deployment: 'hello', service: 'dns', number, incarnation: number }),
    isUp,
  })
  const listener = (more: Partial<ListenerView>): ListenerView =>
    listenerRow({ protocol: 'udp', members: [member(1, true), member(2, false)], ...more })
  const again = listener({ members: [member(2, true)] })
  const tcp = listener({ endpoint: 'dns-tcp', protocol: 'tcp' })
  expect(read([], [listener({}), tcp])).toEqual([
    {
      name: 'weir_udp_backend_up',
      labels: { deployment: 'hello', service: 'dns', endpoint: 'dns', backend: 'dns-1' },
      value: 1,
    },
    {
      name: 'weir_udp_backend_up',
      labels: { deployment: 'hello', service: 'dns', endpoint: 'dns', backend: 'dns-2' },
      value: 0,
    },
  ])
  expect(read([], [listener({}), again]).map(({ value }) => value)).toEqual([1, 1])
})
