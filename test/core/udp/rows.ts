import { expect, test } from 'vitest'
import type { Backend } from '../../../core/balance/group.ts'
import { type Instant, InvariantError } from '../../../core/machine.ts'
import { parseSocketAddress } from '../../../core/net/address.ts'
import { parseCidr } from '../../../core/net/cidr.ts'
import {
  type PackedAddress,
  type PackedPrefix,
  packAddress,
  packIpv4,
  packPrefix,
} from '../../../core/net/packed-address.ts'
import type { CloseReason, DropReason, FlowCommand } from '../../../core/udp/commands.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../core/udp/config.ts'
import type { UdpCounters } from '../../../core/udp/counters.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import { type FlowId, flowIdOf } from '../../../core/udp/flow-id.ts'
import { checkInvariants } from '../../../core/udp/invariants.ts'
import { FlowTable, type FlowTableOptions } from '../../../core/udp/table.ts'

/** An event, and when: by itself it happens when the one before it did, the first one at 0. */
export type Step = FlowEvent | { readonly at: Instant; readonly event: FlowEvent }

type Drops = Partial<Record<DropReason, number>>

export interface Row {
  readonly name: string
  readonly config?: Partial<UdpConfig>
  readonly options?: FlowTableOptions
  readonly given?: readonly Step[]
  readonly when: Step
  readonly then: readonly FlowCommand[]
  /** What it drops: nothing, when not said. */
  readonly drops?: Drops
  /** Answers about sockets that are not wanted any more; 0 when not said. */
  readonly stale?: number
}

/** A table, and the instant its events are at. Every step is checked for what holds of all steps. */
export class Bench {
  readonly table: FlowTable
  now: Instant

  constructor(table: FlowTable, now: Instant = 0) {
    this.table = table
    this.now = now
  }

  /** The commands of one step. */
  run(step: Step): FlowCommand[] {
    const { at, event } = 'event' in step ? step : { at: this.now, event: step }
    this.now = at
    const lent = borrowed(event)
    const out: FlowCommand[] = []
    this.table.step(lent, at, out)
    const commands = structuredClone(out)
    spoil(lent)
    checkInvariants(this.table)
    if (event.type === 'tick') expect(this.table.deadline() ?? Infinity).toBeGreaterThan(at)
    return commands
  }

  /** All the commands of some steps. */
  runAll(steps: readonly Step[]): FlowCommand[] {
    return steps.flatMap((step) => this.run(step))
  }

  /** Many steps at this instant, of which only the last is checked. */
  runMany(events: readonly FlowEvent[]): FlowCommand[] {
    const out: FlowCommand[] = []
    for (const event of events) this.table.step(event, this.now, out)
    checkInvariants(this.table)
    return out
  }

  /** Ticks when the table asks for it, up to an instant. What each tick caused, and when. */
  tickUntil(end: Instant): { readonly at: Instant; readonly commands: FlowCommand[] }[] {
    const ticks = []
    for (;;) {
      const due = this.table.deadline()
      if (due === undefined || due > end) break
      const moment = Math.max(due, this.now)
      ticks.push({ at: moment, commands: this.run(at(moment, TICK)) })
    }
    this.now = end
    return ticks.filter(({ commands }) => commands.length > 0)
  }
}

export const benchAfter = (
  given: readonly Step[],
  config: Partial<UdpConfig> = {},
  options: FlowTableOptions = {},
): Bench => {
  const table = new FlowTable({ ...options, config: { ...defaultUdpConfig, ...config } })
  const bench = new Bench(table)
  for (const step of given) bench.run(step)
  return bench
}

/** One test a row: all the commands, and every counter that moved. */
export function testRows(rows: readonly Row[]): void {
  for (const row of rows) test(row.name, () => checkRow(row))
}

export function checkRow(row: Row): void {
  const { config, options, given = [], when, then, drops = {}, stale = 0 } = row
  const bench = benchAfter(given, config, options)
  const before = structuredClone(bench.table.counters)
  expect(bench.run(when)).toEqual(then)
  expect(bench.table.counters).toEqual(countersAfter(before, then, drops, stale))
}

/** Commands say what is counted: each datagram, flow and close once; drops have no command. */
export function countersAfter(
  before: UdpCounters,
  commands: readonly FlowCommand[],
  drops: Drops = {},
  stale = 0,
): UdpCounters {
  const after = structuredClone(before)
  for (const command of commands) {
    if (command.type === 'send-upstream') {
      after.datagramsUp += 1
      after.bytesUp += command.payload.length
    } else if (command.type === 'send-client') {
      after.datagramsDown += 1
      after.bytesDown += command.payload.length
    } else if (command.type === 'open-upstream') {
      if (command.attempt === 1) after.created += 1
      else after.reselected += 1
    } else if (command.type === 'close-flow') after.closed[command.reason] += 1
  }
  for (const [reason, count] of Object.entries(drops)) after.dropped[reason as DropReason] += count
  after.staleAnswers += stale
  return after
}

/** What is lent to the table is ours again after the step: it is overwritten then. */
function borrowed(event: FlowEvent): FlowEvent {
  if (event.type === 'upstream-datagram') return { ...event, payload: event.payload.slice() }
  if (event.type !== 'client-datagram') return event
  return { ...event, from: { ...event.from }, payload: event.payload.slice() }
}

function spoil(event: FlowEvent): void {
  if (event.type === 'upstream-datagram') event.payload.fill(0xee)
  if (event.type !== 'client-datagram') return
  event.payload.fill(0xee)
  Object.assign(event.from, { a: 7, b: 7, c: 7, d: 7, port: 7 })
}

export { InvariantError }

// Addresses

export function address(text: string): PackedAddress {
  const parsed = parseSocketAddress(text)
  const packed = parsed === undefined ? undefined : packAddress(parsed)
  if (packed === undefined) throw new Error(`${text} is no address`)
  return packed
}

export const prefix = (text: string): PackedPrefix => packPrefix(parseCidr(text)!)

/** The address of the listener that clients contact, where nothing else is said. */
export const LOCAL = address('198.51.100.1:53')
/** Clients: sockets of two hosts, and one of IPv6. */
export const C1 = address('192.0.2.1:1001')
export const C2 = address('192.0.2.2:1002')
export const C3 = address('192.0.2.3:1003')
export const C4 = address('192.0.2.4:1004')
/** Another socket of the first client's host. */
export const C1B = address('192.0.2.1:2001')
export const C6 = address('[2001:db8::1]:1001')

/** As many clients as there are, all of different hosts. */
export const crowd = (count: number, from = 0): PackedAddress[] =>
  Array.from({ length: count }, (_, at) => packIpv4(0x0a000000 + from + at, 5_000))

/** The flow in a slot (from 0) that was the `serial`th to be admitted (from 1). */
export const flow = (slot: number, serial: number): FlowId => flowIdOf(slot, serial)
export const F1 = flow(0, 1)
export const F2 = flow(1, 2)
export const F3 = flow(2, 3)

const PORTS: Readonly<Record<string, number>> = { A: 20_001, B: 20_002, C: 20_003, D: 20_004 }
const host = (id: string): string => `10.0.0.${id.charCodeAt(0) - 64}`
export const backend = (id: string, how: Partial<Backend> = {}): Backend => ({
  id,
  host: host(id),
  port: PORTS[id] ?? 20_000,
  ...how,
})

// Events

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const payloadOf = (payload: string | Uint8Array): Uint8Array =>
  typeof payload === 'string' ? bytes(payload) : payload

export const at = (instant: Instant, event: FlowEvent): Step => ({ at: instant, event })
export const TICK: FlowEvent = { type: 'tick' }
export const DRAIN: FlowEvent = { type: 'drain' }
export const CLOSE: FlowEvent = { type: 'close' }
export const CLOSE_ALL: FlowEvent = { type: 'close-all' }
export const ABORT_ALL: FlowEvent = { type: 'abort-all' }

/** A set of backends by letter; a lower-case letter is one that is down. */
export const backends = (version: number, ids: string): FlowEvent => ({
  type: 'apply-backends',
  version,
  backends: [...ids].map((id) =>
    id === id.toUpperCase() ? backend(id) : backend(id.toUpperCase(), { down: true }),
  ),
})
export const cut = (id: string): FlowEvent => ({ type: 'cut-backend', backend: id })
export const configure = (config: Partial<UdpConfig>): FlowEvent => ({
  type: 'configure',
  config: { ...defaultUdpConfig, ...config },
})
export const query = (
  from: PackedAddress,
  payload: string | Uint8Array = 'q',
  to = LOCAL,
): FlowEvent => ({ type: 'client-datagram', from, to, payload: payloadOf(payload) })
export const answer = (id: FlowId, payload: string | Uint8Array = 'a', attempt = 1): FlowEvent => ({
  type: 'upstream-datagram',
  flow: id,
  attempt,
  payload: payloadOf(payload),
})
export const opened = (id: FlowId, attempt = 1): FlowEvent => ({
  type: 'upstream-opened',
  flow: id,
  attempt,
})
export const failed = (
  id: FlowId,
  attempt = 1,
  blame: 'backend' | 'host' = 'backend',
): FlowEvent => ({ type: 'upstream-failed', flow: id, attempt, blame, reason: 'refused' })
export const abortFlow = (id: FlowId): FlowEvent => ({ type: 'abort-flow', flow: id })

/** A, and the first client's flow to it: one query sent, and nothing answered. */
export const OPEN: readonly Step[] = [backends(1, 'A'), query(C1), opened(F1)]
/** Likewise, and A answered it. */
export const ANSWERED: readonly Step[] = [...OPEN, answer(F1)]
/** The first flow waits for A's answer; at 100, A left and B came. */
export const LEFT: readonly Step[] = [...OPEN, at(100, backends(2, 'B'))]
/** Likewise, but nothing is owed. */
export const LEFT_QUIET: readonly Step[] = [...ANSWERED, at(100, backends(2, 'B'))]

// Commands

export const openCommand = (id: FlowId, to: string, attempt = 1): FlowCommand => ({
  type: 'open-upstream',
  flow: id,
  attempt,
  backend: to,
  host: host(to),
  port: PORTS[to] ?? 20_000,
})
interface UpOptions {
  readonly attempt?: number
  readonly header?: Uint8Array
}
export const up = (
  id: FlowId,
  payload: string | Uint8Array = 'q',
  { attempt = 1, header }: UpOptions = {},
): FlowCommand => ({
  type: 'send-upstream',
  flow: id,
  attempt,
  header,
  payload: payloadOf(payload),
})
export const down = (
  id: FlowId,
  to: PackedAddress,
  payload: string | Uint8Array = 'a',
  from = LOCAL,
): FlowCommand => ({ type: 'send-client', flow: id, from, to, payload: payloadOf(payload) })
export const closeUpstream = (id: FlowId, attempt = 1): FlowCommand => ({
  type: 'close-upstream',
  flow: id,
  attempt,
})
interface CloseOptions {
  readonly client?: PackedAddress
  readonly backend?: string
  readonly attempt?: number
  /** What went up and down: as many datagrams, of so many bytes together. */
  readonly up?: readonly [datagrams: number, bytes: number]
  readonly down?: readonly [datagrams: number, bytes: number]
  readonly ms?: number
}
/** Of the first client's flow to A that carried nothing, at its first instant, unless said. */
export const closed = (
  id: FlowId,
  reason: CloseReason,
  { client = C1, backend: to = 'A', attempt = 1, up = [0, 0], down = [0, 0], ms = 0 }: CloseOptions,
): FlowCommand => ({
  type: 'close-flow',
  flow: id,
  attempt,
  reason,
  client,
  backend: to,
  totals: {
    datagramsUp: up[0],
    bytesUp: up[1],
    datagramsDown: down[0],
    bytesDown: down[1],
    durationMs: ms,
  },
})
export const applied = (version: number): FlowCommand => ({ type: 'backends-applied', version })
export const drained = (id: string, version: number): FlowCommand => ({
  type: 'backend-drained',
  backend: id,
  version,
})
export const blamed = (id: string): FlowCommand => ({
  type: 'backend-failed',
  backend: id,
  reason: 'refused',
})
export const STOP: FlowCommand = { type: 'stop-listening' }
export const EMPTIED: FlowCommand = { type: 'emptied' }
