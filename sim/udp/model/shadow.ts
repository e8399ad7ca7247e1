/** Runs the model beside a flow table and says where they differ. */
import type { Strategy } from '../../../core/balance/strategy.ts'
import type { Instant } from '../../../core/machine.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import type { UdpCounters } from '../../../core/udp/counters.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import type { FlowView } from '../../../core/udp/view.ts'
import { FlowModel, type ModelOptions } from './model.ts'
import { Scribe } from './scribe.ts'

/** What a table shows of itself. */
export interface Shown {
  readonly flowCount: number
  readonly isEmpty: boolean
  readonly counters: UdpCounters
  deadline(): Instant | undefined
  flows(now: Instant, limit: number): readonly FlowView[]
}

export class Shadow {
  readonly model: FlowModel
  readonly #scribe = new Scribe()
  readonly #flowsEvery: number
  #steps = 0

  /** Looks at every flow, which costs more than all else, every so many steps. */
  constructor(options: Omit<ModelOptions, 'strategy'>, flowsEvery = 1) {
    this.#flowsEvery = flowsEvery
    this.model = new FlowModel({ ...options, strategy: this.#scribe.readBack() })
  }

  /** The strategy to give the table, and any table restored from it. */
  watched(real: Strategy): Strategy {
    return this.#scribe.record(real)
  }

  /** Follows a step the table has done; the first difference, if any. */
  follow(
    event: FlowEvent,
    now: Instant,
    commands: readonly FlowCommand[],
    table: Shown,
  ): string | undefined {
    const expected = this.model.step(event, now, commands)
    return (
      this.#scribe.settle() ??
      difference('commands', commands, expected) ??
      difference('counters', table.counters, this.model.counters) ??
      difference('flow count', table.flowCount, this.model.flowCount) ??
      difference('isEmpty', table.isEmpty, this.model.isEmpty) ??
      this.#flowsProblem(now, table) ??
      deadlineProblem(event, now, table.deadline(), this.model.deadline())
    )
  }

  #flowsProblem(now: Instant, table: Shown): string | undefined {
    this.#steps += 1
    if (this.#steps % this.#flowsEvery > 0) return undefined
    const { model } = this
    return difference('flows', table.flows(now, model.flowCount + 1), model.flows(now))
  }
}

function deadlineProblem(
  event: FlowEvent,
  now: Instant,
  deadline: Instant | undefined,
  exact: Instant | undefined,
): string | undefined {
  if ((deadline === undefined) !== (exact === undefined)) {
    return `the deadline is ${deadline}, and ${exact} is what is due next`
  }
  if (deadline === undefined || exact === undefined) return undefined
  // What is overdue is due at once, however long it has been.
  if (deadline > Math.max(exact, now))
    return `the deadline ${deadline} is later than ${exact}, when it is due`
  if (event.type === 'tick' && deadline <= now) return `after a tick at ${now} it is ${deadline}`
  return undefined
}

/** Where two values of plain data and bytes differ first. */
export function difference(where: string, real: unknown, model: unknown): string | undefined {
  if (isSame(real, model)) return undefined
  if (!isRecord(real) || !isRecord(model) || sizeOf(real) !== sizeOf(model)) {
    return `${where}: ${show(real)}, the model has ${show(model)}`
  }
  for (const name of new Set([...Object.keys(real), ...Object.keys(model)])) {
    const found = difference(`${where}.${name}`, real[name], model[name])
    if (found !== undefined) return found
  }
  return undefined
}

function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (!isRecord(one) || !isRecord(other) || sizeOf(one) !== sizeOf(other)) return false
  if (one instanceof Uint8Array) {
    for (let at = 0; at < one.length; at++) if (one[at] !== other[at]) return false
    return true
  }
  for (const name in one) if (!isSame(one[name], other[name])) return false
  for (const name in other) if (one[name] === undefined && other[name] !== undefined) return false
  return true
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

/** Of a list. */
const sizeOf = (value: Record<string, unknown>): number =>
  Array.isArray(value) || value instanceof Uint8Array ? value.length : -1

const show = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    each instanceof Uint8Array ? `[${each.length}: ${each.join(' ')}]` : each,
  ) ?? String(value)
