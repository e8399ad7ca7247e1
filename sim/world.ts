/**
 * The simulated world: a virtual clock, the queue of what is to happen, one node process with the
 * real node machine in it, and the simulated shell that runs its commands. What can go wrong is
 * drawn in `faults/`; nothing here reads a clock, so a run is decided by its options alone.
 */

import type { GroupOptions } from '../core/balance/group.ts'
import { type Instant, type Machine, unreachable } from '../core/machine.ts'
import type { NodeCommand } from '../core/node/commands.ts'
import type { NodeEvent } from '../core/node/events.ts'
import type { NodeView } from '../core/node/view.ts'
import type { StreamListenerCommand } from '../core/stream/commands.ts'
import type { EntranceCommand } from '../core/stream/entrance/commands.ts'
import type { EntranceConfig } from '../core/stream/entrance/config.ts'
import type { EntranceEvent } from '../core/stream/entrance/events.ts'
import type { StreamListenerEvent } from '../core/stream/events.ts'
import type { StreamConfig } from '../core/stream/state.ts'
import { type Checker, type CheckerName, CheckFailure } from './checkers/checker.ts'
import { SimClock } from './faults/clock.ts'
import { HostPorts, INTERNAL_ADDRESSES } from './faults/host-ports.ts'
import { SimListeners } from './faults/listeners.ts'
import { SimProbes } from './faults/probes.ts'
import { SimRuntime } from './faults/runtime.ts'
import type { HttpBreed } from './http/world.ts'
import { type Draws, drawsOf } from './prng.ts'
import { type Task, TaskQueue } from './queue.ts'
import type { RunOptions } from './swarm.ts'
import { type Change, Trace } from './trace.ts'
import type { UdpBreed } from './udp/world.ts'
import { Clients } from './workloads/clients.ts'
import { Operator } from './workloads/operator.ts'

/** The node machine as the simulator sees it; tests put one with a planted bug in its place. */
export interface SimulatedNode extends Machine<NodeEvent, NodeCommand> {
  /** Plain JSON from which {@link Breed.restore} makes its twin. */
  snapshot(now: Instant): unknown
  view(now: Instant): NodeView
  checkInvariants(): void
}

/** The data plane of one listener, as the simulator sees it. */
export interface SimulatedListener extends Machine<StreamListenerEvent, StreamListenerCommand> {
  checkInvariants(): void
}

/** The way in through one socket, as the simulator sees it. */
export interface SimulatedEntrance extends Machine<EntranceEvent, EntranceCommand> {
  checkInvariants(): void
}

/** Where the machines under test come from. */
export interface Breed extends UdpBreed, HttpBreed {
  boot(options: RunOptions): SimulatedNode
  restore(snapshot: unknown, now: Instant): SimulatedNode
  listen(config: StreamConfig, balance: GroupOptions): SimulatedListener
  enter(config: EntranceConfig): SimulatedEntrance
}

/**
 * `running` takes part; `paused` sleeps while time goes on (SIGSTOP, a swapping host); `down` is
 * no process at all: killed, or ended after `stopped`.
 */
export type NodeLife = 'running' | 'paused' | 'down'

export class World {
  now: Instant = STARTS_AT
  /** Steps done: each is one thing taken from the queue. */
  steps = 0
  /** Phase two: no new faults, no new wishes. */
  healed = false
  life: NodeLife = 'down'
  /** Which life of the node process this is, from 1. */
  lifeNumber = 0
  /** The node said `stopped`. */
  ended = false
  /** Whoever runs the node starts it again after it ended. */
  bootsAgain = true
  readonly options: RunOptions
  readonly draws: Draws
  readonly trace: Trace
  readonly ports: HostPorts
  readonly runtime: SimRuntime
  readonly probes: SimProbes
  readonly listeners: SimListeners
  readonly clock: SimClock
  readonly operator: Operator
  readonly clients: Clients
  /** Of the machine in its internal network, as this life of the node was told. */
  internal: readonly string[] = []
  checkers: readonly Checker[] = []
  /** Events that a script wants delivered twice. */
  readonly repeats: { readonly event: NodeEvent['type']; readonly afterMs: number }[] = []
  readonly breed: Breed
  private readonly queue = new TaskQueue()
  private parked: Task[] = []
  private sequence = 0
  private machine: SimulatedNode | undefined
  /** Restored from the machine's snapshot and fed the same events: it must order the same. */
  private twin: SimulatedNode | undefined
  private wantsInternal: readonly string[] = []
  private tickGeneration = 0
  private tickAt: Instant | undefined

  constructor(options: RunOptions, breed: Breed, trace = new Trace()) {
    this.options = options
    this.breed = breed
    this.trace = trace
    this.draws = drawsOf(options.seed)
    this.ports = new HostPorts(this, options.faults.ports)
    this.runtime = new SimRuntime(this, options.faults.runtime)
    this.probes = new SimProbes(this, options.faults.probes)
    this.listeners = new SimListeners(this, options.faults.listeners)
    this.clock = new SimClock(options.faults.clock)
    this.operator = new Operator(this)
    this.clients = new Clients(this, options.clients)
  }

  /** Does the next thing that is due; false when nothing will ever happen again. */
  advance(): boolean {
    const next = this.queue.pop()
    if (next === undefined) return false
    if (next.at > this.now) this.now = next.at
    this.steps += 1
    if (next.life !== OUTSIDE) {
      if (next.life !== this.lifeNumber || this.life === 'down') return true
      if (this.life === 'paused') {
        this.parked.push(next)
        return true
      }
    }
    next.run()
    return true
  }

  /** When the next thing is due. */
  nextAt(): Instant | undefined {
    return this.queue.peek()?.at
  }

  /** Something outside the node process: it happens whatever becomes of the node. */
  at(delayMs: number, run: () => void): void {
    this.push(delayMs, OUTSIDE, run)
  }

  /** Something the node process does later: waits while it is paused, dies with it. */
  inNode(delayMs: number, run: () => void): void {
    this.push(delayMs, this.lifeNumber, run)
  }

  /** The machine's clock: it can leap away from the world's, never back. */
  nodeNow(): Instant {
    return this.now + this.clock.aheadMs
  }

  // The node process --------------------------------------------------------------------------

  boot(): void {
    if (this.life !== 'down' || (this.ended && !this.bootsAgain)) return
    this.life = 'running'
    this.ended = false
    this.lifeNumber += 1
    this.machine = this.breed.boot(this.options)
    this.change({ type: 'node-booted', life: this.lifeNumber })
    this.step({ type: 'boot' })
    if (this.wantsInternal.length > 0) this.tellInternal(0)
    this.operator.nodeUp()
  }

  /** kill -9: the kernel closes its sockets, its children live on. */
  crash(): void {
    if (this.life === 'down') return
    this.change({ type: 'node-crashed', life: this.lifeNumber })
    this.down()
  }

  pause(forMs: number): void {
    if (this.life !== 'running') return
    this.life = 'paused'
    this.change({ type: 'node-paused' })
    this.at(forMs, () => this.resume())
  }

  resume(): void {
    if (this.life !== 'paused') return
    this.life = 'running'
    this.change({ type: 'node-resumed' })
    // In the order in which they would have come: each had its turn drawn already.
    for (const task of this.parked.splice(0)) {
      this.queue.push({ ...task, at: this.now, tie: 0, sequence: this.sequence++ })
    }
  }

  /** The internal network gives this machine other addresses, or none; it has them a little later. */
  renumber(addresses: readonly string[], lateMs: number): void {
    this.wantsInternal = addresses
    const gone = INTERNAL_ADDRESSES.filter((each) => !addresses.includes(each))
    this.at(lateMs, () => {
      for (const each of gone) this.ports.addresses.delete(each)
      for (const each of this.wantsInternal) this.ports.addresses.add(each)
    })
    if (this.life !== 'down') this.tellInternal(this.draws.schedule.below(3))
  }

  /** It has what it was told it has. */
  settleAddresses(): void {
    for (const each of this.wantsInternal) this.ports.addresses.add(each)
  }

  private tellInternal(delayMs: number): void {
    this.inNode(delayMs, () =>
      this.step({ type: 'internal-addresses', addresses: this.wantsInternal }),
    )
  }

  /** The node's clock jumps ahead; nobody else notices. */
  leap(byMs: number): void {
    this.clock.leap(byMs)
    this.change({ type: 'clock-leapt', byMs })
    this.listeners.clockLeapt()
    this.tickAt = undefined
    this.armTick()
  }

  /** Replaces the machine by one restored from its snapshot; `keep` runs both from here on. */
  restore(keep: boolean): void {
    const { machine } = this
    if (machine === undefined || this.life === 'down') return
    const snapshot: unknown = JSON.parse(JSON.stringify(machine.snapshot(this.nodeNow())))
    this.machine = this.breed.restore(snapshot, this.nodeNow())
    this.twin = keep ? machine : undefined
    this.change({ type: 'node-restored' })
    this.armTick()
  }

  /** One event into the node machine; what it orders is carried out at once. */
  step(event: NodeEvent): void {
    const { machine, twin } = this
    if (machine === undefined) return
    const now = this.nodeNow()
    if (event.type === 'internal-addresses') this.internal = event.addresses
    this.trace.record({ kind: 'event', at: this.now, event })
    for (const checker of this.checkers) checker.onEvent?.(event, this)
    const repeat = this.repeats.findIndex((each) => each.event === event.type)
    for (const { afterMs } of repeat < 0 ? [] : this.repeats.splice(repeat, 1)) {
      this.inNode(afterMs, () => this.step(event))
    }
    const commands: NodeCommand[] = []
    machine.step(event, now, commands)
    if (twin !== undefined) this.compareTwin(twin, event, commands, now)
    for (const checker of this.checkers) checker.onStep?.(event, commands, machine, this)
    for (const command of commands) {
      if (this.life === 'down') break
      this.trace.record({ kind: 'command', at: this.now, command })
      for (const checker of this.checkers) checker.onCommand?.(command, this)
      this.apply(command)
      if (!this.healed && this.draws.faults.chance(this.options.crashMidStep)) {
        this.crash()
        this.at(this.draws.faults.between(1, 2_000), () => this.boot())
      }
    }
    this.armTick()
    for (const checker of this.checkers) checker.afterStep?.(this)
  }

  change(change: Change): void {
    this.trace.record({ kind: 'change', at: this.now, change })
    for (const checker of this.checkers) checker.onChange?.(change, this)
  }

  /** A checker, or a simulated peer, found what must not be. */
  fail(checker: CheckerName, message: string): never {
    throw new CheckFailure(checker, message)
  }

  /** What operators see, if anybody is there to show it. */
  view(): NodeView | undefined {
    return this.life === 'down' ? undefined : this.machine?.view(this.nodeNow())
  }

  deadline(): Instant | undefined {
    return this.life === 'down' ? undefined : this.machine?.deadline()
  }

  // The simulated shell -----------------------------------------------------------------------

  private apply(command: NodeCommand): void {
    switch (command.type) {
      case 'reap-leftovers':
      case 'create-replica':
      case 'start-replica':
      case 'verify-replica':
      case 'resolve-address':
      case 'signal-replica':
      case 'remove-replica':
        return this.runtime.apply(command)
      case 'probe':
      case 'cancel-probe':
        return this.probes.apply(command)
      case 'open-listener':
      case 'configure-listener':
      case 'close-listener':
      case 'apply-backends':
      case 'cut-backend':
      case 'bind-socket':
      case 'route-socket':
      case 'unbind-socket':
        return this.listeners.apply(command)
      case 'reply':
        return this.operator.onReply(command.request, command.result)
      case 'settled':
        return this.operator.onSettled(command.deployment, command.outcome)
      case 'notice':
        return
      case 'stopped':
        this.change({ type: 'node-ended', life: this.lifeNumber })
        this.ended = true
        this.down()
        if (this.bootsAgain) {
          this.at(this.draws.schedule.between(1, 2_000), () => this.boot())
        }
        return
      default:
        return unreachable(command)
    }
  }

  private down(): void {
    this.life = 'down'
    this.machine = undefined
    this.twin = undefined
    this.parked = []
    this.tickAt = undefined
    this.internal = []
    this.probes.nodeDown()
    this.listeners.nodeDown()
    this.runtime.nodeDown()
    this.operator.nodeDown()
  }

  /** As a shell does: one timer, moved to the machine's deadline after each step. */
  private armTick(): void {
    const deadline = this.deadline()
    if (deadline === this.tickAt && deadline !== undefined) return
    this.tickAt = deadline
    const generation = ++this.tickGeneration
    if (deadline === undefined) return
    const waitMs = Math.max(0, deadline - this.nodeNow())
    const timer = this.clock.timer(waitMs, this.healed, this.draws.faults)
    this.inNode(timer.waitMs, () => {
      if (generation !== this.tickGeneration) return // moved since
      this.tickAt = undefined
      this.step({ type: 'tick' })
    })
    if (timer.againMs !== undefined) this.inNode(timer.againMs, () => this.step({ type: 'tick' }))
  }

  private compareTwin(
    twin: SimulatedNode,
    event: NodeEvent,
    commands: readonly NodeCommand[],
    now: Instant,
  ): void {
    const others: NodeCommand[] = []
    twin.step(event, now, others)
    for (const checker of this.checkers) checker.onTwin?.(event, commands, others, this)
  }

  private push(delayMs: number, life: number, run: () => void): void {
    this.queue.push({
      at: this.now + delayMs,
      tie: this.draws.schedule.next(),
      sequence: this.sequence++,
      life,
      run,
    })
  }
}

/** Not zero, so that a machine that confuses an instant with a duration is found. */
const STARTS_AT = 1_000_000
const OUTSIDE = 0
