/**
 * The simulated world of one UDP listener: a clock, clients and backends behind links that lose and
 * reorder, and a process with the real flow table in it and a simulated shell that runs what the
 * table orders. It lives several lives: after a crash or an orderly end there is a new table.
 */
import { Maglev } from '../../core/balance/affinity/maglev.ts'
import { strategyNamed } from '../../core/balance/strategies.ts'
import type { Strategy } from '../../core/balance/strategy.ts'
import { type Instant, type Machine, unreachable } from '../../core/machine.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { UdpConfig } from '../../core/udp/config.ts'
import type { FlowEvent } from '../../core/udp/events.ts'
import type { FlowTableOptions } from '../../core/udp/table.ts'
import { type CheckerName, CheckFailure } from '../checkers/checker.ts'
import { SimClock } from '../faults/clock.ts'
import { Prng, type Ratio } from '../prng.ts'
import { TaskQueue } from '../queue.ts'
import type { Trace } from '../trace.ts'
import type { UdpChecker, UdpStep } from './checkers/checker.ts'
import { Shadow, type Shown } from './model/shadow.ts'
import { UdpClients } from './network/clients.ts'
import { Link } from './network/link.ts'
import { Servers } from './network/servers.ts'
import { Sockets } from './network/sockets.ts'
import type { UdpOptions } from './swarm.ts'
import { briefCommand, briefEvent } from './words.ts'

/** A flow table as the simulator sees it; tests put one with a planted bug in its place. */
export interface SimulatedTable extends Machine<FlowEvent, FlowCommand>, Shown {
  /** Plain JSON from which {@link UdpBreed.restoreTable} makes its twin. */
  snapshot(now: Instant): unknown
  checkInvariants(): void
}

/** Where the tables under test come from. */
export interface UdpBreed {
  table(options: FlowTableOptions): SimulatedTable
  restoreTable(snapshot: unknown, now: Instant, options: FlowTableOptions): SimulatedTable
}

export class UdpWorld {
  now: Instant = STARTS_AT
  steps = 0
  /** Phase two: no new faults, no new acts. */
  healed = false
  /** `running` takes part; `paused` sleeps while time goes on; `down` is no process at all. */
  life: 'running' | 'paused' | 'down' = 'down'
  lifeNumber = 0
  /** A new table follows one that ended. */
  beginsAgain = true
  listening = false
  /** What was asked for last, and what of it the table was told. */
  config: UdpConfig
  inForce: UdpConfig
  /** The table was not told to stop. */
  admits = false
  version = 0
  readonly options: UdpOptions
  readonly trace: Trace
  readonly draws: {
    readonly schedule: Prng
    readonly faults: Prng
    readonly clients: Prng
    readonly acts: Prng
  }
  readonly clock: SimClock
  readonly link: Link
  readonly sockets: Sockets
  readonly servers: Servers
  readonly clients: UdpClients
  checkers: readonly UdpChecker[] = []
  readonly #breed: UdpBreed
  readonly #queue = new TaskQueue()
  #sequence = 0
  #parked: (() => void)[] = []
  #table: SimulatedTable | undefined
  #twin: SimulatedTable | undefined
  #shadow: Shadow | undefined
  readonly #inbox: FlowEvent[] = []
  #isAwake = false
  #tickGeneration = 0
  #tickAt: Instant | undefined

  constructor(options: UdpOptions, breed: UdpBreed, trace: Trace) {
    const { seed, faults } = options
    this.options = options
    this.#breed = breed
    this.trace = trace
    this.config = options.config
    this.inForce = options.config
    this.draws = {
      schedule: new Prng(seed, 'udp schedule'),
      faults: new Prng(seed, 'udp faults'),
      clients: new Prng(seed, 'udp clients'),
      acts: new Prng(seed, 'udp acts'),
    }
    this.clock = new SimClock(faults.clock)
    this.link = new Link(this)
    this.sockets = new Sockets(this)
    this.servers = new Servers(this)
    this.clients = new UdpClients(this)
  }

  /** Does the next thing that is due; false when nothing will ever happen again. */
  advance(): boolean {
    const next = this.#queue.pop()
    if (next === undefined) return false
    if (next.at > this.now) this.now = next.at
    this.steps += 1
    if (next.life !== OUTSIDE && (next.life !== this.lifeNumber || this.life === 'down'))
      return true
    if (next.life !== OUTSIDE && this.life === 'paused') this.#parked.push(next.run)
    else next.run()
    return true
  }

  nextAt(): Instant | undefined {
    return this.#queue.peek()?.at
  }

  /** Something outside the process: it happens whatever becomes of that. */
  at(delayMs: number, run: () => void): void {
    this.#push(delayMs, OUTSIDE, run)
  }

  /** Something the process does later: waits while it is paused, dies with it. */
  inProcess(delayMs: number, run: () => void): void {
    this.#push(delayMs, this.lifeNumber, run)
  }

  /** The table's clock: it can leap away from the world's, never back. */
  tableNow(): Instant {
    return this.now + this.clock.aheadMs
  }

  happens(fault: Ratio): boolean {
    return !this.healed && this.draws.faults.chance(fault)
  }

  get table(): SimulatedTable | undefined {
    return this.#table
  }

  /** A checker, or a simulated peer, found what must not be. */
  fail(checker: CheckerName, message: string): never {
    throw new CheckFailure(checker, message)
  }

  note(what: string): void {
    this.trace.record({ kind: 'udp', at: this.now, what })
  }

  // The process -------------------------------------------------------------------------------

  boot(): void {
    if (this.life !== 'down') return
    this.life = 'running'
    this.lifeNumber += 1
    this.listening = true
    this.admits = true
    this.inForce = this.config
    this.version = 0
    const { failOpen, isShadowed } = this.options
    this.#shadow = isShadowed ? new Shadow({ config: this.config, failOpen }, 8) : undefined
    this.#table = this.#breed.table({ ...this.#tableOptions(), config: this.config })
    this.note(`process ${this.lifeNumber} begins`)
    for (const checker of this.checkers) checker.onLife?.(this)
    this.servers.begin()
  }

  /** kill -9: its sockets are closed by the kernel. */
  crash(): void {
    if (this.life === 'down') return
    this.note(`process ${this.lifeNumber} is killed`)
    this.#end()
    if (this.beginsAgain) this.at(this.draws.schedule.between(1, 100), () => this.boot())
  }

  pause(forMs: number): void {
    if (this.life !== 'running') return
    this.life = 'paused'
    this.note('paused')
    this.at(forMs, () => this.resume())
  }

  resume(): void {
    if (this.life !== 'paused') return
    this.life = 'running'
    this.note('resumed')
    for (const run of this.#parked.splice(0)) this.inProcess(0, run)
  }

  leap(byMs: number): void {
    this.clock.leap(byMs)
    this.note(`the clock leaps ${byMs} ms`)
    this.#tickAt = undefined
    this.#armTick()
  }

  /** Goes on with a table restored from a snapshot; `keep` runs the old one beside it. */
  restore(keep: boolean): void {
    if (this.#table === undefined) return
    const now = this.tableNow()
    const snapshot: unknown = JSON.parse(JSON.stringify(this.#table.snapshot(now)))
    this.#twin = keep ? this.#table : undefined
    this.#table = this.#breed.restoreTable(snapshot, now, this.#tableOptions())
    this.note('restored')
    this.#armTick()
  }

  /** An event for the table: it is told when the process comes to it. */
  tell(event: FlowEvent): void {
    if (this.life === 'down') return
    if (STOPS.has(event.type)) this.admits = false
    this.#inbox.push(event)
    if (this.#isAwake) return
    this.#isAwake = true
    this.inProcess(0, () => this.#wake())
  }

  /** A batch: every event is stepped before the commands of the first are run. */
  #wake(): void {
    this.#isAwake = false
    const batch: { readonly lent: FlowEvent; readonly out: FlowCommand[] }[] = []
    let isOver = false
    while (batch.length < this.options.batchMax && this.#inbox.length > 0 && !isOver) {
      const stepped = this.#step(this.#inbox.shift()!)
      isOver = stepped.out.some(({ type }) => type === 'emptied')
      batch.push(stepped)
    }
    if (this.#inbox.length > 0) {
      this.#isAwake = true
      this.inProcess(0, () => this.#wake())
    }
    for (const command of batch.flatMap(({ out }) => out)) {
      if (this.#table === undefined) break
      this.#apply(command)
      if (this.happens(this.options.faults.crashMidStep)) this.crash()
    }
    for (const { lent } of batch) spoil(lent)
    if (this.#table === undefined) return
    this.#armTick()
    for (const checker of this.checkers) checker.afterBatch?.(this)
  }

  #step(event: FlowEvent): { lent: FlowEvent; out: FlowCommand[] } {
    const table = this.#table
    const lent = lentCopy(event)
    const out: FlowCommand[] = []
    if (table === undefined) return { lent, out }
    const now = this.tableNow()
    this.note(`event ${briefEvent(event)}`)
    this.trace.mark(`udp event ${event.type}`)
    if (event.type === 'configure') this.inForce = event.config
    const before = { flowCount: table.flowCount, deadline: table.deadline() }
    table.step(lent, now, out)
    for (const command of out) this.note(`command ${briefCommand(command)}`)
    const step: UdpStep = { event, commands: out, now, before, table }
    const difference = this.#shadow?.follow(event, now, out, table)
    if (difference !== undefined) this.fail('udp model', difference)
    this.#compareTwin(event, out, now)
    for (const checker of this.checkers) checker.onStep?.(step, this)
    return { lent, out }
  }

  /** The simulated shell. */
  #apply(command: FlowCommand): void {
    switch (command.type) {
      case 'open-upstream':
      case 'send-upstream':
      case 'close-upstream':
      case 'close-flow':
        return this.sockets.apply(command)
      case 'send-client': {
        if (!this.listening) this.fail('udp routes', 'it sends without a listening socket')
        return this.clients.receive(command.from, command.to, command.payload.slice())
      }
      case 'stop-listening':
        this.listening = false
        return
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'wanted':
      case 'idle':
      case 'busy':
        return // for who sends the sets: the checkers listen
      case 'emptied':
        for (const checker of this.checkers) checker.atEnd?.(this)
        this.note(`process ${this.lifeNumber} is done`)
        this.#end()
        if (this.beginsAgain) this.at(this.draws.schedule.between(1, 100), () => this.boot())
        return
      default:
        return unreachable(command)
    }
  }

  #end(): void {
    this.life = 'down'
    this.listening = false
    this.#table = undefined
    this.#twin = undefined
    this.#shadow = undefined
    this.#inbox.length = 0
    this.#isAwake = false
    this.#parked = []
    this.#tickAt = undefined
    this.sockets.processEnded()
  }

  #tableOptions(): FlowTableOptions {
    const { schedule } = this.draws
    const { seed, strategy } = this.options
    // Each set builds a table: a small one is as good.
    const real: Strategy =
      strategy === 'maglev' ? new Maglev({ slots: 31 }) : strategyNamed(strategy, seed)
    return {
      strategy: this.#shadow?.watched(real) ?? real,
      failOpen: this.options.failOpen,
      hashSeed: [schedule.next() | 0, schedule.next() | 0], // another one is as good
      affinitySeed: [1, 2],
    }
  }

  /** One timer, moved to the table's deadline after each batch. */
  #armTick(): void {
    const deadline = this.#table?.deadline()
    if (deadline === this.#tickAt && deadline !== undefined) return
    this.#tickAt = deadline
    const generation = ++this.#tickGeneration
    if (deadline === undefined) return
    const waitMs = Math.max(0, deadline - this.tableNow())
    const timer = this.clock.timer(waitMs, this.healed, this.draws.faults)
    this.inProcess(timer.waitMs, () => {
      if (generation !== this.#tickGeneration) return // moved since
      this.#tickAt = undefined
      this.tell({ type: 'tick' })
    })
    if (timer.againMs !== undefined)
      this.inProcess(timer.againMs, () => this.tell({ type: 'tick' }))
  }

  #compareTwin(event: FlowEvent, commands: readonly FlowCommand[], now: Instant): void {
    if (this.#twin === undefined) return
    const others: FlowCommand[] = []
    this.#twin.step(event, now, others)
    const restored = commands.map(briefCommand).join('; ')
    const original = others.map(briefCommand).join('; ')
    if (restored === original) return
    this.fail('udp universal', `the restored table orders "${restored}", the other "${original}"`)
  }

  #push(delayMs: number, life: number, run: () => void): void {
    const tie = this.draws.schedule.next()
    this.#queue.push({ at: this.now + delayMs, tie, sequence: this.#sequence++, life, run })
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

/** The shell's buffers are used again: who kept one has something else in it now. */
function spoil(event: FlowEvent): void {
  if (event.type === 'client-datagram') {
    Object.assign(event.from, { a: 1, b: 2, c: 3, d: 4, port: 5 })
    event.payload.fill(0xee)
  } else if (event.type === 'upstream-datagram') event.payload.fill(0xee)
}

const STOPS: ReadonlySet<FlowEvent['type']> = new Set(['drain', 'close', 'abort-all'])

/** Not zero, so that a table that confuses an instant with a duration is found. */
const STARTS_AT = 1_000_000
const OUTSIDE = 0
