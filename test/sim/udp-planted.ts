/** Bugs planted in the real flow table, to show that each UDP checker notices what it is for. */
import type { Instant } from '../../core/machine.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { UdpConfig } from '../../core/udp/config.ts'
import type { UdpCounters } from '../../core/udp/counters.ts'
import type { FlowEvent } from '../../core/udp/events.ts'
import type { FlowTableOptions } from '../../core/udp/table.ts'
import { realBreed } from '../../sim/simulate.ts'
import type { SimulatedTable } from '../../sim/udp/world.ts'
import type { Breed } from '../../sim/world.ts'

/** Stands between the table and the world. */
export interface TableSaboteur {
  /** What the table is told instead of an event. */
  tell?(event: FlowEvent): readonly FlowEvent[]
  /** When it is told. */
  clock?(event: FlowEvent, now: Instant): Instant
  /** What the world is ordered instead of the table's commands. */
  order?(commands: readonly FlowCommand[], event: FlowEvent): readonly FlowCommand[]
  configure?(config: UdpConfig): UdpConfig
  deadline?(real: Instant | undefined, now: Instant): Instant | undefined
  snapshot?(real: unknown): unknown
  counters?(real: UdpCounters): UdpCounters
}

/** Every table gets a saboteur of its own. */
export function plantInTables(saboteur: () => TableSaboteur): Breed {
  const changed = (options: FlowTableOptions, by: TableSaboteur): FlowTableOptions =>
    options.config === undefined || by.configure === undefined
      ? options
      : { ...options, config: by.configure(options.config) }
  return {
    ...realBreed,
    table(options) {
      const by = saboteur()
      return sabotaged(realBreed.table(changed(options, by)), by)
    },
    restoreTable(snapshot, now, options) {
      const by = saboteur()
      return sabotaged(realBreed.restoreTable(snapshot, now, changed(options, by)), by)
    },
  }
}

function sabotaged(table: SimulatedTable, by: TableSaboteur): SimulatedTable {
  let lastNow = 0
  return {
    step(event, now, out) {
      lastNow = now
      const told =
        event.type === 'configure' && by.configure !== undefined
          ? { ...event, config: by.configure(event.config) }
          : event
      const commands: FlowCommand[] = []
      for (const each of by.tell?.(told) ?? [told]) {
        table.step(each, by.clock?.(each, now) ?? now, commands)
      }
      out.push(...(by.order?.(commands, event) ?? commands))
    },
    deadline: () =>
      by.deadline === undefined ? table.deadline() : by.deadline(table.deadline(), lastNow),
    snapshot: (now) => by.snapshot?.(table.snapshot(now)) ?? table.snapshot(now),
    flows: (now, limit) => table.flows(now, limit),
    get flowCount() {
      return table.flowCount
    },
    get isEmpty() {
      return table.isEmpty
    },
    get counters() {
      return by.counters?.(table.counters) ?? table.counters
    },
    checkInvariants: () => table.checkInvariants(),
  }
}
