/**
 * The simulated world of an HTTP ingress: a clock, clients and backends that misbehave, and a process
 * with the real machine in it and a simulated shell that runs what the machine orders.
 */
import type { IngressCommand } from '../../core/http/commands.ts'
import type { IngressConfig } from '../../core/http/config.ts'
import type { IngressEvent } from '../../core/http/events.ts'
import { type Instant, type Machine, unreachable } from '../../core/machine.ts'
import { inPrefix } from '../../core/net/packed-address.ts'
import { type CheckerName, CheckFailure } from '../checkers/checker.ts'
import { SimClock } from '../faults/clock.ts'
import { Prng, type Ratio } from '../prng.ts'
import { TaskQueue } from '../queue.ts'
import type { Trace } from '../trace.ts'
import type { HttpChecker, HttpStep } from './checkers/checker.ts'
import { Messages } from './checkers/messages.ts'
import { Pool } from './checkers/pool.ts'
import { Ways } from './checkers/ways.ts'
import { Backends } from './network/backends.ts'
import type { ClientPeer } from './network/client-peer.ts'
import { HttpClients } from './network/clients.ts'
import { Operator } from './operator.ts'
import type { HttpBackendOptions, HttpOptions } from './swarm.ts'
import type { SimRequest } from './truth.ts'
import { toText } from './wire/content.ts'
import { briefCommand, briefEvent } from './wire/words.ts'

/** An ingress as the simulator sees it; tests put one with a planted bug in its place. */
export interface SimulatedIngress extends Machine<IngressEvent, IngressCommand> {
  checkInvariants(): void
  /** Clients, connections to backends and listeners that it knows. */
  readonly sizes: {
    readonly clients: number
    readonly upstreams: number
    readonly listeners: number
  }
}

export interface HttpBreed {
  ingress(options: { readonly config: IngressConfig; readonly seed: number }): SimulatedIngress
}

export class HttpWorld {
  now: Instant = STARTS_AT
  steps = 0
  /** Phase two: no new faults, no new acts. */
  healed = false
  isPaused = false
  /** What the machine was told last. */
  heard: IngressEvent['type'] = 'tick'
  readonly options: HttpOptions
  readonly trace: Trace
  readonly draws: {
    readonly schedule: Prng
    readonly faults: Prng
    readonly network: Prng
    readonly clients: Prng
    readonly backends: Prng
    readonly acts: Prng
  }
  readonly clock: SimClock
  readonly clients: HttpClients
  readonly backends: Backends
  readonly operator: Operator
  /** By number. */
  readonly requests = new Map<number, SimRequest>()
  readonly messages: Messages
  readonly pool = new Pool()
  readonly ways = new Ways()
  checkers: readonly HttpChecker[] = []
  readonly ingress: SimulatedIngress
  readonly #queue = new TaskQueue()
  #sequence = 0
  #parked: (() => void)[] = []
  readonly #inbox: (IngressEvent | (() => void))[] = []
  #isAwake = false
  #tickGeneration = 0
  #tickAt: Instant | undefined

  constructor(options: HttpOptions, breed: HttpBreed, trace: Trace) {
    const { seed, faults } = options
    this.options = options
    this.trace = trace
    this.draws = {
      schedule: new Prng(seed, 'http schedule'),
      faults: new Prng(seed, 'http faults'),
      network: new Prng(seed, 'http network'),
      clients: new Prng(seed, 'http clients'),
      backends: new Prng(seed, 'http backends'),
      acts: new Prng(seed, 'http acts'),
    }
    this.clock = new SimClock(faults.clock)
    this.messages = new Messages(this)
    this.operator = new Operator(this)
    this.clients = new HttpClients(this)
    this.backends = new Backends(this)
    this.ingress = breed.ingress({ config: options.config, seed })
  }

  /** Does the next thing that is due; false when nothing will ever happen again. */
  advance(): boolean {
    const next = this.#queue.pop()
    if (next === undefined) return false
    if (next.at > this.now) this.now = next.at
    this.steps += 1
    if (next.life === PROCESS && this.isPaused) this.#parked.push(next.run)
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

  /** Something the process comes to know, or does later: it waits while that is paused. */
  inProcess(delayMs: number, run: () => void): void {
    this.#push(delayMs, PROCESS, run)
  }

  /** What the process comes to know as soon as the commands of this step are run. */
  soon(run: () => void): void {
    if (this.#isAwake) this.#inbox.push(run)
    else this.inProcess(0, run)
  }

  /** The machine's clock: it can leap away from the world's, never back. */
  machineNow(): Instant {
    return this.now + this.clock.aheadMs
  }

  latency(): number {
    const { latencyMsMax } = this.options.faults
    return this.healed || latencyMsMax === 0 ? 0 : this.draws.network.below(latencyMsMax + 1)
  }

  /** Whether what this client says of earlier hops may be believed. */
  wasTrusted({ plan, config }: ClientPeer): boolean {
    const configs = [config, this.operator.config]
    return configs.some(({ trustedProxies }) =>
      trustedProxies.some((prefix) => inPrefix(prefix, plan.peers.source)),
    )
  }

  happens(fault: Ratio): boolean {
    return !this.healed && this.draws.faults.chance(fault)
  }

  /** How backends behave by now. */
  backendOptions(): HttpBackendOptions {
    return this.healed ? { ...this.options.backends, ...WELL } : this.options.backends
  }

  /** A checker, or a simulated peer, found what must not be. */
  fail(checker: CheckerName, message: string): never {
    throw new CheckFailure(checker, message)
  }

  note(what: string): void {
    this.trace.record({ kind: 'http', at: this.now, what })
  }

  pause(forMs: number): void {
    if (this.isPaused) return
    this.isPaused = true
    this.note('paused')
    this.at(forMs, () => this.resume())
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.note('resumed')
    for (const run of this.#parked.splice(0)) this.inProcess(0, run)
  }

  leap(byMs: number): void {
    this.clock.leap(byMs)
    this.note(`the clock leaps ${byMs} ms`)
    this.#tickAt = undefined
    this.#armTick()
  }

  /** An event for the machine, now or after those it does not know yet. */
  tell(event: IngressEvent): void {
    this.#inbox.push(event)
    if (this.#isAwake) return
    this.#isAwake = true
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      if (typeof next === 'function') next()
      else this.#step(next)
    }
    this.#isAwake = false
    this.#armTick()
  }

  #step(event: IngressEvent): void {
    const { ingress, trace } = this
    const commands: IngressCommand[] = []
    const now = this.machineNow()
    this.note(`event ${briefEvent(event)}`)
    trace.mark(`http event ${event.type}`)
    this.heard = event.type
    const step: HttpStep = { event, commands, now, deadline: ingress.deadline(), ingress }
    this.operator.learn(event)
    ingress.step(event, now, commands)
    for (const checker of this.checkers) checker.onStep?.(step, this)
    for (const command of commands) {
      this.note(`command ${briefCommand(command)}`)
      trace.mark(`http command ${command.type}`)
      for (const checker of this.checkers) checker.onCommand?.(command, step, this)
      this.#apply(command)
    }
    // The shell's buffers are used again: who kept one has something else in it now.
    if (event.type === 'client-data' || event.type === 'upstream-data') event.bytes.fill(0xee)
    for (const checker of this.checkers) checker.afterStep?.(step, this)
  }

  /** The simulated shell. */
  #apply(command: IngressCommand): void {
    const { clients, backends } = this
    switch (command.type) {
      case 'read':
        return clients.of(command.client).read()
      case 'speak-http2':
        return clients.becomeSession(command.client, toText(command.bytes))
      case 'write-client': {
        const text = command.bytes === undefined ? '' : toText(command.bytes)
        return clients.of(command.client).receive(command.head + text)
      }
      case 'respond':
        return clients
          .stream(command.client)
          .respond(command.status, command.fields, command.isLast)
      case 'write-client-trailers':
        return clients.stream(command.client).receiveTrailers(command.fields)
      case 'pause-client':
        return clients.of(command.client).pause(true)
      case 'resume-client':
        return clients.of(command.client).pause(false)
      case 'end-client':
        return clients.of(command.client).ended()
      case 'close-client':
        return clients.close(command.client, command.reset)
      case 'connect':
        return backends.connect(command)
      case 'write-upstream': {
        const text = command.bytes === undefined ? '' : toText(command.bytes)
        return backends.of(command.upstream).receive(command.head + text)
      }
      case 'request':
        return backends.stream(command.upstream).request(command.fields, command.isLast)
      case 'write-upstream-trailers':
        return backends.stream(command.upstream).receiveTrailers(command.fields)
      case 'pause-upstream':
        return backends.of(command.upstream).pause(true)
      case 'resume-upstream':
        return backends.of(command.upstream).pause(false)
      case 'end-upstream':
        return backends.of(command.upstream).ended()
      case 'close-upstream':
        return backends.close(command.upstream, command.reset)
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'wanted':
      case 'idle':
      case 'busy':
      case 'emptied':
      case 'exchanged':
        return // for whoever runs the ingress: the checkers listen
      default:
        return unreachable(command)
    }
  }

  /** One timer, moved to the machine's deadline after each step. */
  #armTick(): void {
    const deadline = this.ingress.deadline()
    if (deadline === this.#tickAt && deadline !== undefined) return
    this.#tickAt = deadline
    const generation = ++this.#tickGeneration
    if (deadline === undefined) return
    const waitMs = Math.max(0, deadline - this.machineNow())
    const timer = this.clock.timer(waitMs, this.healed, this.draws.faults)
    this.inProcess(timer.waitMs, () => {
      if (generation !== this.#tickGeneration) return // moved since
      this.#tickAt = undefined
      this.tell({ type: 'tick' })
    })
    if (timer.againMs !== undefined)
      this.inProcess(timer.againMs, () => this.tell({ type: 'tick' }))
  }

  #push(delayMs: number, life: number, run: () => void): void {
    const tie = this.draws.schedule.next()
    this.#queue.push({ at: this.now + delayMs, tie, sequence: this.#sequence++, life, run })
  }
}

const WELL: Partial<HttpBackendOptions> = {
  thinkMsMax: 1,
  pieceMax: 65_536,
  wrongPercent: 0,
  chattersPercent: 0,
  dripsPercent: 0,
  stallsPercent: 0,
  cutsPercent: 0,
  silentPercent: 0,
}

/** Not zero, so that a machine that confuses an instant with a duration is found. */
const STARTS_AT = 1_000_000
const OUTSIDE = 0
const PROCESS = 1
