/**
 * Health probes. What is probed, when and what the answer means is decided by the node machine;
 * here one probe is made, its answer is reported once, and nothing of it is left behind.
 */
import { Effect, type Scope } from 'effect'
import { unreachable } from '../../../core/machine.ts'
import type { ProbeCommand } from '../../../core/node/commands.ts'
import type { ProbeEvent } from '../../../core/node/events.ts'
import type { ReplicaId } from '../../../core/services/identity.ts'
import type { ReplicaSurroundings } from '../process/runtime.ts'
import { CommandProbes } from './command.ts'
import { probeHttp, probeTcp } from './connection.ts'
import { probeUdp } from './datagram.ts'
import { type ProbeRun, type ProbeWork, runProbe } from './run.ts'

export interface Probes {
  /** Never throws and never reports while it runs. A cancelled probe is not answered. */
  apply(command: ProbeCommand): void
  counters(): ProbeCounters
}

export interface ProbeCounters {
  readonly running: number
  readonly waiting: number
  /** Since the start: had to wait, because as many as may were running. */
  readonly delayed: number
  /** Since the start: answered with a failure, because too many were waiting. */
  readonly refused: number
}

export interface ProbesOptions {
  readonly report: (event: ProbeEvent) => void
  readonly environmentOf: (replica: ReplicaId) => ReplicaSurroundings | undefined
  readonly limits?: Partial<ProbeLimits>
}

export interface ProbeLimits {
  /** Connections and datagrams at a time. */
  readonly connectionsMax: number
  /** Health commands at a time; each is a process or more. */
  readonly commandsMax: number
  readonly waitingMax: number
}

/** At the end of the scope all probes are cancelled and their processes killed. */
export const makeProbes = (options: ProbesOptions): Effect.Effect<Probes, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Prober(options)),
    (prober) => Effect.promise(() => prober.close()),
  )

type Ask = Extract<ProbeCommand, { type: 'probe' }>

interface Lane {
  readonly runningMax: number
  running: number
  readonly waiting: Map<string, Ask>
}

class Prober implements Probes {
  readonly #options: ProbesOptions
  readonly #waitingMax: number
  // commands that hang must not keep connections waiting
  readonly #connections: Lane
  readonly #commands: Lane
  /** Those whose answer is wanted still. */
  readonly #asked = new Map<string, ProbeRun>()
  /** Those of which something is left, answered or not. */
  readonly #runs = new Set<ProbeRun>()
  readonly #commandProbes = new CommandProbes()
  #delayed = 0
  #refused = 0
  #closed = false

  constructor(options: ProbesOptions) {
    this.#options = options
    const limits = { ...LIMITS, ...options.limits }
    this.#waitingMax = limits.waitingMax
    this.#connections = { runningMax: limits.connectionsMax, running: 0, waiting: new Map() }
    this.#commands = { runningMax: limits.commandsMax, running: 0, waiting: new Map() }
  }

  apply(command: ProbeCommand): void {
    switch (command.type) {
      case 'probe':
        return this.#probe(command)
      case 'cancel-probe':
        return this.#cancel(keyOf(command))
      default:
        return unreachable(command)
    }
  }

  counters(): ProbeCounters {
    return {
      running: this.#connections.running + this.#commands.running,
      waiting: this.#connections.waiting.size + this.#commands.waiting.size,
      delayed: this.#delayed,
      refused: this.#refused,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#connections.waiting.clear()
    this.#commands.waiting.clear()
    const runs = [...this.#runs]
    for (const run of runs) run.cancel()
    await Promise.all(runs.map((run) => run.over))
    this.#commandProbes.close()
  }

  #probe(ask: Ask): void {
    const lane = ask.target.type === 'command' ? this.#commands : this.#connections
    if (lane.running < lane.runningMax) return this.#run(lane, ask)
    if (lane.waiting.size < this.#waitingMax) {
      this.#delayed += 1
      lane.waiting.set(keyOf(ask), ask)
      return
    }
    this.#refused += 1
    queueMicrotask(() => this.#report(ask, 'too many probes are waiting'))
  }

  #run(lane: Lane, ask: Ask): void {
    const key = keyOf(ask)
    lane.running += 1
    const run = runProbe(ask.timeoutMs, this.#work(ask), (reason) => {
      this.#asked.delete(key)
      this.#report(ask, reason)
    })
    this.#asked.set(key, run)
    this.#runs.add(run)
    void run.over.then(() => {
      this.#runs.delete(run)
      lane.running -= 1
      this.#runNext(lane)
    })
  }

  #work({ target, replica }: Ask): ProbeWork {
    switch (target.type) {
      case 'tcp':
        return probeTcp(target)
      case 'http':
        return probeHttp(target)
      case 'udp':
        return probeUdp(target)
      case 'command':
        return this.#commandProbes.probe(target.command, this.#options.environmentOf(replica))
      default:
        return unreachable(target)
    }
  }

  #runNext(lane: Lane): void {
    const [next] = lane.waiting
    if (next === undefined || this.#closed) return
    lane.waiting.delete(next[0])
    this.#run(lane, next[1])
  }

  #cancel(key: string): void {
    this.#connections.waiting.delete(key)
    this.#commands.waiting.delete(key)
    const run = this.#asked.get(key)
    this.#asked.delete(key)
    run?.cancel()
  }

  #report({ replica, check, attempt }: Ask, reason: string): void {
    if (this.#closed) return
    const ok = reason === ''
    this.#options.report({ type: 'probe-result', replica, check, attempt, ok, reason })
  }
}

const keyOf = ({ replica, check, attempt }: Omit<ProbeCommand, 'type'>): string =>
  `${replica} ${check} ${attempt}`

const LIMITS: ProbeLimits = { connectionsMax: 256, commandsMax: 64, waitingMax: 10_000 }
