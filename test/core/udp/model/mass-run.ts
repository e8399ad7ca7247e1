/** A table with thousands of flows that are all to be closed. */
import { expect } from 'vitest'
import { packIpv4 } from '../../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../../core/udp/commands.ts'
import { defaultUdpConfig } from '../../../../core/udp/config.ts'
import type { FlowEvent } from '../../../../core/udp/events.ts'
import { type FlowId, slotOf } from '../../../../core/udp/flow-id.ts'
import { checkInvariants } from '../../../../core/udp/invariants.ts'
import { FlowTable } from '../../../../core/udp/table.ts'

export interface Mass {
  readonly flows: number
  /** Of a hundred flows, so many are open and answered. */
  readonly answeredPercent: number
  readonly how: 'close-all' | 'close' | 'abort-all' | 'idle'
  /** How much before or after they are due ticks come; then one in time. */
  readonly lateMs: readonly number[]
  /** Clients that come while flows are being closed. */
  readonly newcomers: number
  readonly restores: boolean
}

export class MassRun {
  #table: FlowTable
  #now = 1_000
  readonly #mass: Mass
  readonly #live = new Set<FlowId>()
  readonly #toClose = new Set<FlowId>()
  #clients = 0
  #isStopped = false

  constructor(mass: Mass) {
    this.#mass = mass
    this.#table = new FlowTable({ config: { ...defaultUdpConfig, flowsMax: 10_000 } })
    const backends = [{ id: 'b0', host: '127.0.0.1', port: 5300 }]
    this.#step({ type: 'apply-backends', version: 1, backends })
  }

  run(): void {
    const { flows, answeredPercent, how, newcomers, restores } = this.#mass
    for (let each = 0; each < flows; each++) this.#admit(each % 100 < answeredPercent)
    for (const flow of this.#live) this.#toClose.add(flow)
    if (how === 'idle') this.#now += defaultUdpConfig.frontTimeoutMs + 16
    const first = this.#step({ type: how === 'idle' ? 'tick' : how })
    // `close` waits for answers first, when any are owed.
    let parts = first.some(({ type }) => type === 'close-flow') ? 1 : 0
    const before = this.#live.size
    for (let each = 0; each < newcomers; each++) this.#admit(true)
    const came = this.#live.size - before
    for (let turn = 0; this.#toClose.size > 0; turn++) {
      if (restores && turn === 1) this.#restore()
      if (this.#tick(turn).some(({ type }) => type === 'close-flow')) parts += 1
    }
    expect(parts).toBe(Math.ceil(flows / CLOSES_MAX))
    this.#checkEnd(came)
  }

  /** Ticks a little before or after the deadline. */
  #tick(turn: number): FlowCommand[] {
    const lateMs = [...this.#mass.lateMs, 0]
    const due = this.#table.deadline()
    expect(due, 'something is left to close').toBeDefined()
    this.#now = Math.max(this.#now, due! + lateMs[turn % lateMs.length]!)
    return this.#step({ type: 'tick' })
  }

  #admit(isAnswered: boolean): void {
    this.#clients += 1
    const from = packIpv4(0x0a00_0000 + this.#clients, 4_000)
    const payload = Uint8Array.of(1)
    const [open] = this.#step({ type: 'client-datagram', from, to: LOCAL, payload })
    if (open?.type !== 'open-upstream' || !isAnswered) return
    const { flow, attempt } = open
    this.#step({ type: 'upstream-opened', flow, attempt })
    this.#step({ type: 'upstream-datagram', flow, attempt, payload })
  }

  #restore(): void {
    const snapshot = JSON.parse(JSON.stringify(this.#table.snapshot(this.#now)))
    this.#table = FlowTable.restore(snapshot, this.#now)
  }

  #step(event: FlowEvent): FlowCommand[] {
    const commands: FlowCommand[] = []
    this.#table.step(event, this.#now, commands)
    const closed = commands.filter((each) => each.type === 'close-flow')
    expect(closed.length).toBeLessThanOrEqual(CLOSES_MAX)
    if (event.type !== 'tick' || this.#mass.how !== 'idle') {
      const slots = closed.map(({ flow }) => slotOf(flow))
      expect(slots, 'in the order of their slots').toEqual(slots.toSorted((a, b) => a - b))
    }
    for (const { flow } of closed) {
      expect(this.#live.delete(flow), 'closed once').toBe(true)
      this.#toClose.delete(flow)
    }
    for (const each of commands) {
      if (each.type === 'open-upstream') this.#live.add(each.flow)
      if (each.type === 'stop-listening') this.#isStopped = true
    }
    const isLeft = closed.length === CLOSES_MAX && this.#toClose.size > 0
    if (isLeft) expect(this.#table.deadline()).toBe(this.#now + 1)
    if (closed.length > 0) checkInvariants(this.#table)
    return commands
  }

  /** Who came later stays, unless nobody may. */
  #checkEnd(came: number): void {
    const { how } = this.#mass
    const ends = how === 'close' || how === 'abort-all'
    expect(this.#live.size).toBe(ends ? 0 : came)
    expect(this.#isStopped).toBe(ends)
    expect(this.#table.flowCount).toBe(this.#live.size)
    if (this.#live.size === 0) expect(this.#table.deadline()).toBeUndefined()
  }
}

const LOCAL = packIpv4(0xc000_0201, 53)
const CLOSES_MAX = 1_024
