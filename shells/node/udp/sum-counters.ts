/** Counters of one listener that come from more than one place. */
import type { UdpCounters } from '../../../core/udp/counters.ts'
import type { UdpShellCounters } from './udp-host.ts'

/** With datagrams that the machine was not shown because they were not worth it. */
export function withInvalid(counters: UdpCounters, count: number): UdpCounters {
  const { closed, dropped, ...rest } = counters
  return {
    ...rest,
    closed: { ...closed },
    dropped: { ...dropped, invalid: dropped.invalid + count },
  }
}

/** What is left of counters when all that lived was lost: its flows were ended, by us. */
export function pastOf(last: UdpShellCounters): UdpShellCounters {
  const machine = withAborted(last.machine, last.flowsLive)
  return { ...last, machine, flowsLive: 0, flowsMax: 0 }
}

export function withAborted(machine: UdpCounters, flows: number): UdpCounters {
  return { ...machine, closed: { ...machine.closed, aborted: machine.closed.aborted + flows } }
}

export const sumOf = <Counters extends object>(
  past: Counters | undefined,
  counters: Counters,
): Counters => (past === undefined ? counters : (added(past, counters) as Counters))

/** Number by number, through records and lists of one shape. */
function added(one: unknown, other: unknown): unknown {
  if (typeof one === 'number') return one + Number(other)
  const entries = Object.entries(one as object).map(([name, each]) => [
    name,
    added(each, (other as Record<string, unknown>)[name]),
  ])
  return Array.isArray(one) ? entries.map(([, each]) => each) : Object.fromEntries(entries)
}
