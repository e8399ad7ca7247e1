/** Runs a script against the flow table, and beside it the model and tables restored on the way. */
import type { StrategyName } from '../../../../core/balance/strategies.ts'
import type { Strategy } from '../../../../core/balance/strategy.ts'
import type { Attempt, Instant } from '../../../../core/machine.ts'
import type { PackedAddress } from '../../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../../core/udp/commands.ts'
import type { UdpConfig } from '../../../../core/udp/config.ts'
import type { FlowEvent } from '../../../../core/udp/events.ts'
import { type FlowId, flowIdOf } from '../../../../core/udp/flow-id.ts'
import { checkInvariants } from '../../../../core/udp/invariants.ts'
import { FlowTable, type FlowTableOptions } from '../../../../core/udp/table.ts'
import { difference, Shadow } from '../../../../sim/udp/model/shadow.ts'
import {
  CLIENTS,
  configOf,
  extractorOf,
  LOCALS,
  payloadOf,
  type Script,
  type ScriptStep,
  type SocketPick,
  strategyOf,
  wholePayload,
} from './scripts.ts'

/** What a script brought about, for whoever asks whether it brought about enough. */
export interface ScriptResult {
  readonly problem: string | undefined
  readonly commands: readonly FlowCommand[]
  readonly table: FlowTable
}

interface Socket {
  readonly flow: FlowId
  readonly attempt: Attempt
}

interface Twin {
  readonly table: FlowTable
  readonly aheadMs: number
}

export class ScriptRun {
  now: Instant = 1_000
  table: FlowTable
  readonly commands: FlowCommand[] = []
  readonly #shadow: Shadow
  readonly #options: (strategy: Strategy) => FlowTableOptions
  readonly #strategy: StrategyName
  /** Tables restored before, and the one they began with: fed the same, they must do the same. */
  readonly #twins: Twin[] = []
  #config: UdpConfig
  #version = 0
  readonly #opens: Socket[] = []
  readonly #live = new Map<FlowId, Socket>()
  #payloads = 0

  constructor({ config, failOpen, extractor, strategy }: Omit<Script, 'steps'>) {
    this.#config = configOf(config)
    this.#strategy = strategy
    const keyOf = extractorOf(extractor)
    this.#shadow = new Shadow({ config: this.#config, failOpen, keyOf })
    this.#options = (chooses) => ({
      strategy: chooses,
      failOpen,
      hashSeed: [1, 2],
      affinitySeed: [3, 4],
      ...(keyOf === undefined ? {} : { keyOf }),
    })
    this.table = new FlowTable({ ...this.#options(this.#watched()), config: this.#config })
  }

  /** What is wrong after a step, if anything. */
  step(step: ScriptStep): string | undefined {
    switch (step.do) {
      case 'pass':
        this.now += step.ms
        return step.tick ? this.feed({ type: 'tick' }) : undefined
      case 'wait': {
        const deadline = this.table.deadline()
        if (deadline === undefined) return undefined
        this.now = Math.max(this.now, deadline) + step.late
        return this.feed({ type: 'tick' })
      }
      case 'restore':
        return this.#restore()
      default: {
        const event = this.#eventOf(step)
        return event === undefined ? undefined : this.feed(event)
      }
    }
  }

  /** Everything lent to the table is written over as soon as the commands were looked at. */
  feed(event: FlowEvent): string | undefined {
    const { table, now } = this
    const lent = lentCopy(event)
    const out: FlowCommand[] = []
    table.step(lent, now, out)
    const problem = this.#shadow.follow(event, now, out, table) ?? this.#followTwins(event, out)
    const commands = out.map(keptCopy)
    spoil(lent)
    this.commands.push(...commands)
    for (const command of commands) this.#remember(command)
    checkInvariants(table)
    return problem
  }

  #remember(command: FlowCommand): void {
    if (command.type === 'close-flow') this.#live.delete(command.flow)
    if (command.type !== 'open-upstream') return
    const { flow, attempt } = command
    this.#opens.push({ flow, attempt })
    this.#live.set(flow, { flow, attempt })
  }

  #restore(): string | undefined {
    const snapshot = this.table.snapshot(this.now)
    const text = JSON.stringify(snapshot)
    const restored = FlowTable.restore(JSON.parse(text), this.now, this.#options(this.#watched()))
    checkInvariants(restored)
    const again = difference('snapshot', restored.snapshot(this.now), JSON.parse(text))
    this.#twins.splice(0, 2, { table: this.table, aheadMs: 0 })
    this.table = restored
    // Another process has another clock: only differences mean anything. Units are of that clock.
    const options = this.#options(strategyOf(this.#strategy))
    const elsewhere = FlowTable.restore(JSON.parse(text), this.now + AHEAD_MS, options)
    this.#twins.push({ table: elsewhere, aheadMs: AHEAD_MS })
    return again
  }

  #watched(): Strategy {
    return this.#shadow.watched(strategyOf(this.#strategy))
  }

  #followTwins(event: FlowEvent, commands: readonly FlowCommand[]): string | undefined {
    for (const { table, aheadMs } of this.#twins) {
      const out: FlowCommand[] = []
      table.step(event, this.now + aheadMs, out)
      const problem =
        difference(`commands of the restored table, ${aheadMs} ms ahead`, out, commands) ??
        difference('its counters', table.counters, this.table.counters)
      if (problem !== undefined) return problem
    }
    return undefined
  }

  #eventOf(step: Exclude<ScriptStep, { do: 'pass' | 'wait' | 'restore' }>): FlowEvent | undefined {
    switch (step.do) {
      case 'client':
        return {
          type: 'client-datagram',
          from: CLIENTS[step.client]!,
          to: LOCALS[step.local]!,
          payload: wholePayload(step, this.#payloads++),
        }
      case 'opened': {
        const open = this.#socketOf(step.of)
        return open && { type: 'upstream-opened', ...open }
      }
      case 'failed': {
        const open = this.#socketOf(step.of)
        const reason = `for reason ${this.#payloads++}`
        return open && { type: 'upstream-failed', ...open, blame: step.blame, reason }
      }
      case 'answer': {
        const open = this.#socketOf(step.of)
        if (open === undefined) return undefined
        const attempt = open.attempt + step.attemptOff
        const payload = payloadOf(step.bytes, this.#payloads++)
        return { type: 'upstream-datagram', flow: open.flow, attempt, payload }
      }
      case 'stray':
        return strayEvent(step)
      case 'configure':
        this.#config = { ...this.#config, ...step.change }
        return { type: 'configure', config: this.#config }
      case 'apply': {
        const version = Math.max(0, this.#version + step.version)
        this.#version = Math.max(this.#version, version)
        return { type: 'apply-backends', version, backends: step.backends }
      }
      case 'cut':
        return { type: 'cut-backend', backend: step.backend }
      case 'abort-flow': {
        const open = this.#socketOf(step.of)
        return open && { type: 'abort-flow', flow: open.flow }
      }
      default:
        return { type: step.do }
    }
  }

  #socketOf({ back, live }: SocketPick): Socket | undefined {
    const sockets = live ? [...this.#live.values()] : this.#opens
    const { length } = sockets
    return length === 0 ? undefined : sockets[length - 1 - (back % length)]
  }
}

export function runScript(script: Script): ScriptResult {
  const run = new ScriptRun(script)
  for (const [at, step] of script.steps.entries()) {
    const problem = run.step(step)
    if (problem === undefined) continue
    return {
      problem: `step ${at}, ${JSON.stringify(step)}, at ${run.now}: ${problem}`,
      commands: run.commands,
      table: run.table,
    }
  }
  return { problem: undefined, commands: run.commands, table: run.table }
}

/** A whole number of units. */
const AHEAD_MS = 16 * 7_777_777

function strayEvent({ slot, serial, how }: Extract<ScriptStep, { do: 'stray' }>): FlowEvent {
  const handle = { flow: flowIdOf(slot, serial), attempt: 1 }
  switch (how) {
    case 0:
      return { type: 'upstream-opened', ...handle }
    case 1:
      return { type: 'upstream-failed', ...handle, blame: 'host', reason: 'nobody asked' }
    case 2:
      return { type: 'abort-flow', flow: handle.flow }
    default:
      return { type: 'upstream-datagram', ...handle, payload: Uint8Array.of(1, 2, 3) }
  }
}

/** With what may be overwritten later in memory of its own. */
function lentCopy(event: FlowEvent): FlowEvent {
  if (event.type === 'client-datagram') {
    return { ...event, from: { ...event.from }, payload: event.payload.slice() }
  }
  if (event.type === 'upstream-datagram') return { ...event, payload: event.payload.slice() }
  return event
}

function spoil(event: FlowEvent): void {
  if (event.type === 'client-datagram') {
    Object.assign<PackedAddress, PackedAddress>(event.from, { a: 1, b: 2, c: 3, d: 4, port: 5 })
    event.payload.fill(0xee)
  } else if (event.type === 'upstream-datagram') event.payload.fill(0xee)
}

const keptCopy = (command: FlowCommand): FlowCommand => structuredClone(command)
