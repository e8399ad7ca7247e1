/** One run: anything goes, then heal and converge, then shut down and leave nothing behind. */
import { InvariantError } from '../core/machine.ts'
import { checkInvariants as checkNode } from '../core/node/invariants.ts'
import { defaultNodeConfig, NodeMachine } from '../core/node/node.ts'
import type { NodeSnapshot } from '../core/node/snapshot.ts'
import { StreamEntrance } from '../core/stream/entrance/entrance.ts'
import { checkInvariants as checkEntrance } from '../core/stream/entrance/invariants.ts'
import { checkInvariants as checkListener } from '../core/stream/invariants.ts'
import { StreamListener } from '../core/stream/listener.ts'
import {
  type Checker,
  type CheckerName,
  CheckFailure,
  LivenessFailure,
} from './checkers/checker.ts'
import { Entrances } from './checkers/entrances.ts'
import { Listeners } from './checkers/listeners.ts'
import { Ports } from './checkers/ports/ports.ts'
import { Rights } from './checkers/ports/rights.ts'
import { Sockets } from './checkers/ports/sockets.ts'
import { Services } from './checkers/services.ts'
import { Settled } from './checkers/settled.ts'
import { Shutdowns } from './checkers/shutdowns.ts'
import { Told } from './checkers/told.ts'
import { Universal } from './checkers/universal.ts'
import { nameOf } from './faults/host-ports.ts'
import { newHttpWorld, realHttpBreed, runHttp } from './http/simulate.ts'
import { explainStall, heal, pending, visitsDue, watchGiveUps } from './liveness.ts'
import { drawRun, type RunOptions, scriptedRun } from './swarm.ts'
import { Trace, type TraceRecord } from './trace.ts'
import { newUdpWorld, realUdpBreed, runUdp } from './udp/simulate.ts'
import { type Act, perform } from './workloads/acts.ts'
import { type Breed, type SimulatedNode, World } from './world.ts'

/** `safety`: what must never be, was. `liveness`: what must come, did not. `crash`: an exception. */
export type FailureClass = 'safety' | 'liveness' | 'crash'

export interface RunFailure {
  readonly class: FailureClass
  readonly checker: CheckerName | 'liveness' | 'none'
  readonly message: string
  readonly step: number
  readonly stack?: string
}

export type WorldName = 'node' | 'udp' | 'http'

export interface RunResult {
  readonly options: RunOptions
  /** All steps, of all phases. */
  readonly steps: number
  /** Of the whole trace: equal for equal runs. */
  readonly hash: string
  readonly failure: RunFailure | undefined
  /** Stalls that damage done for good explains. */
  readonly excuses: readonly string[]
  /** It was a run of one world only. */
  readonly only: WorldName | undefined
  readonly seen: ReadonlyMap<string, number>
  /** The newest records, oldest first. */
  readonly last: readonly TraceRecord[]
}

export interface RunSettings {
  readonly breed?: Breed
  /** Only the node's world, that of the UDP listener, or that of the HTTP ingress. */
  readonly only?: WorldName
  /** Receives each record of the trace as a line of JSON. */
  readonly sink?: (line: string) => void
}

/** A script's act, so many milliseconds after the one before. */
export interface ScriptLine {
  readonly afterMs: number
  readonly act: Act
}

/** Draws a run from a seed and runs it. */
export const simulate = (seed: number, steps: number, settings: RunSettings = {}): RunResult =>
  simulateRun(drawRun(seed, steps), settings)

/** Runs what was drawn, or what was changed in it to look closer at something. */
export const simulateRun = (options: RunOptions, settings: RunSettings = {}): RunResult =>
  run(options, settings, (world) => {
    world.operator.begin()
    world.clients.begin()
    while (world.steps < options.steps && world.advance()) {}
  })

/** Runs a script in a world where nothing else goes wrong. */
export const simulateScript = (
  script: readonly ScriptLine[],
  settings: RunSettings = {},
  seed = 1,
): RunResult =>
  run(scriptedRun(seed), settings, (world) => {
    for (const { afterMs, act } of script) {
      advanceUntil(world, world.now + afterMs)
      perform(world, act)
    }
  })

/** The real machines. */
export const realBreed: Breed = {
  ...realUdpBreed,
  ...realHttpBreed,
  boot: ({ node }) => simulated(new NodeMachine({ ...defaultNodeConfig(node.seed), ...node })),
  restore: (snapshot, now) => simulated(NodeMachine.restore(snapshot as NodeSnapshot, now)),
  listen(config, balance) {
    const machine = new StreamListener(config, balance)
    return {
      step: (event, now, out) => machine.step(event, now, out),
      deadline: () => machine.deadline(),
      checkInvariants: () => checkListener(machine),
    }
  },
  enter(config) {
    const machine = new StreamEntrance(config)
    return {
      step: (event, now, out) => machine.step(event, now, out),
      deadline: () => machine.deadline(),
      checkInvariants: () => checkEntrance(machine),
    }
  },
}

const simulated = (machine: NodeMachine): SimulatedNode => ({
  step: (event, now, out) => machine.step(event, now, out),
  deadline: () => machine.deadline(),
  snapshot: (now) => machine.snapshot(now),
  view: (now) => machine.view(now),
  checkInvariants: () => checkNode(machine),
})

function run(
  options: RunOptions,
  { breed = realBreed, only, sink }: RunSettings,
  anythingGoes: (world: World) => void,
): RunResult {
  const trace = new Trace(sink)
  const isRun = (name: WorldName): boolean => only === undefined || only === name
  const node = isRun('node') ? new World(options, breed, trace) : undefined
  const withUdp = isRun('udp') && options.udp !== undefined
  const udp = withUdp ? newUdpWorld(options.udp, breed, trace) : undefined
  const withHttp = isRun('http') && options.http !== undefined
  const http = withHttp ? newHttpWorld(options.http, breed, trace) : undefined
  const steps = (): number => (node?.steps ?? 0) + (udp?.steps ?? 0) + (http?.steps ?? 0)
  const excuses: string[] = []
  let failure: RunFailure | undefined
  try {
    if (node !== undefined) runNode(node, excuses, anythingGoes)
    if (udp !== undefined) runUdp(udp)
    if (http !== undefined) runHttp(http)
  } catch (thrown) {
    failure = failureOf(thrown, steps())
  }
  return {
    options,
    steps: steps(),
    hash: trace.hash(),
    failure,
    excuses,
    only,
    seen: trace.seen(),
    last: trace.newest(LAST_RECORDS),
  }
}

function runNode(world: World, excuses: string[], anythingGoes: (world: World) => void): void {
  world.checkers = allCheckers()
  world.boot()
  anythingGoes(world)
  heal(world)
  converge(world)
  visitAll(world)
  excuses.push(...explainStall(world))
  for (const checker of world.checkers) checker.atRest?.(world)
  sayGoodbye(world)
  for (const checker of world.checkers) checker.atEnd?.(world)
}

function allCheckers(): Checker[] {
  const told = new Told()
  const rights = new Rights(told)
  return [
    told, // first: what an event says is known to all
    rights,
    new Universal(told),
    new Services(told),
    new Shutdowns(told),
    new Ports(told, rights),
    new Sockets(told, rights),
    new Settled(told),
    new Entrances(),
    new Listeners(),
    {
      name: 'universal',
      onCommand: (command, world) => {
        told.learn(command, world) // last: they compared it with what was before
        rights.learn(command, world)
        watchGiveUps(command, world)
      },
    },
  ]
}

/** Everything that was asked for comes to pass within a bound, and stays so for a while. */
function converge(world: World): void {
  const until = world.now + CONVERGES_WITHIN_MS
  for (let calm = 0; calm < STAYS_STEPS; ) {
    await_(world, until, () => pending(world))
    for (calm = 0; calm < STAYS_STEPS && pending(world) === undefined; calm++) {
      if (!world.advance()) return
    }
  }
}

/** Whatever is wanted is really served: somebody goes and looks, place by place. */
function visitAll(world: World): void {
  for (const { owner, namespace, address, port, ...asked } of visitsDue(world)) {
    const asks = asked.request ?? asked.serverName
    const where = `${nameOf(namespace, address, port)}${asks === undefined ? '' : ` (${asks})`}`
    let outcome: string | undefined = WOKEN
    // Who did not wait long enough comes again, and finds it awake.
    for (let left = REVISITS_MAX; left > 0 && outcome === WOKEN; left--) {
      outcome = undefined
      world.clients.visit(namespace, address, port, asked, (how) => (outcome = how))
      await_(world, world.now + ANSWERS_WITHIN_MS, () =>
        outcome === undefined ? `${owner} to answer on ${where}` : undefined,
      )
      if (outcome === WOKEN) advanceUntil(world, world.now + REVISIT_AFTER_MS)
    }
    if (outcome === 'answered' || BUSY.has(outcome ?? '')) continue
    throw new LivenessFailure(`${owner} is to be had on ${where}, but: ${outcome}`)
  }
}

function sayGoodbye(world: World): void {
  const { goodbye, latecomers, node } = world.options
  // Some ask for more than a shutdown waits for.
  for (let each = 0; each < latecomers; each++) world.clients.arrive(20 * node.drainTimeoutMs)
  if (latecomers > 0) advanceUntil(world, world.now + LATECOMERS_MS)
  if (goodbye === 'remove') {
    for (const name of world.operator.deploymentNames()) world.operator.remove(name)
    await_(world, world.now + STOPS_WITHIN_MS, () =>
      world.operator.wishes.size > 0 ? 'its deployments to be gone' : undefined,
    )
  }
  world.bootsAgain = false
  world.operator.shutdown(goodbye === 'abort' ? 'abort' : 'drain')
  await_(world, world.now + STOPS_WITHIN_MS, () => (world.ended ? undefined : 'the node to stop'))
}

function await_(world: World, until: number, waitsFor: () => string | undefined): void {
  const stepsMax = world.steps + WAIT_STEPS_MAX
  let what = waitsFor()
  while (what !== undefined) {
    const next = world.nextAt()
    if (next === undefined) throw new LivenessFailure(`nothing will happen; it waits for ${what}`)
    if (next > until || world.steps > stepsMax) {
      throw new LivenessFailure(`at ${world.now} it still waits for ${what}`)
    }
    world.advance()
    // Looking is dear: look when time moves on, or now and then within an instant.
    if (world.now !== world.nextAt() || world.steps % 16 === 0) what = waitsFor()
  }
}

function advanceUntil(world: World, at: number): void {
  for (let next = world.nextAt(); next !== undefined && next <= at; next = world.nextAt()) {
    world.advance()
  }
  world.now = Math.max(world.now, at)
}

function failureOf(thrown: unknown, step: number): RunFailure {
  if (!(thrown instanceof Error)) {
    return { class: 'crash', checker: 'none', message: String(thrown), step }
  }
  const { message, stack = '' } = thrown
  if (thrown instanceof CheckFailure) {
    return { class: 'safety', checker: thrown.checker, message, step }
  }
  if (thrown instanceof LivenessFailure) {
    return { class: 'liveness', checker: 'liveness', message, step }
  }
  if (thrown instanceof InvariantError) {
    return { class: 'safety', checker: 'universal', message, step, stack }
  }
  return { class: 'crash', checker: 'none', message, step, stack }
}

/** Longer than any chain of waits the drawn deployments can make. */
const CONVERGES_WITHIN_MS = 3_600_000
/** Others are served just then, as many as may be at one time. */
const BUSY: ReadonlySet<string> = new Set([
  'refused (connections-max)',
  'refused (backends-full)',
  'refused (held-max)',
  'entrance-full',
])
const WOKEN = 'refused (hold-timeout)'
const REVISIT_AFTER_MS = 20
const REVISITS_MAX = 1_000
const ANSWERS_WITHIN_MS = 60_000
/** For latecomers to be connected. */
const LATECOMERS_MS = 20
const STOPS_WITHIN_MS = 900_000
const WAIT_STEPS_MAX = 100_000
const STAYS_STEPS = 40
const LAST_RECORDS = 40
