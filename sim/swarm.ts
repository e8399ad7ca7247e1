/**
 * What a run is like, drawn from its seed: which faults it has and how often, how large its
 * deployments are, how hurried its times. Each run leaves most faults out, because a mix of all
 * hides what one alone would show; and some runs have limits so tight that rare paths are common.
 */

import type { NetworkPolicy } from '../core/policy/policy.ts'
import type { ClockFaults } from './faults/clock.ts'
import type { HostPortFaults } from './faults/host-ports.ts'
import type { ListenerFaults } from './faults/listeners.ts'
import type { ProbeFaults } from './faults/probes.ts'
import type { RuntimeFaults } from './faults/runtime.ts'
import { drawHttpRun, type HttpOptions } from './http/swarm.ts'
import { type Draws, drawsOf, NEVER, Prng, type Ratio, ratio } from './prng.ts'
import { drawUdpRun, type UdpOptions } from './udp/swarm.ts'
import { ACT_KINDS, type ActKind } from './workloads/acts.ts'
import type { ClientOptions } from './workloads/clients.ts'
import { HOST_PORT_FIRST } from './workloads/deployments.ts'
import type { OperatorOptions } from './workloads/operator.ts'

export interface RunOptions {
  readonly seed: number
  /** Steps of the first phase, in which anything goes. */
  readonly steps: number
  readonly node: {
    readonly seed: number
    readonly replicaPorts: { readonly from: number; readonly to: number }
    readonly leftoverGraceMs: number
    readonly drainTimeoutMs: number
    readonly metrics: { readonly host: string; readonly port: number } | null
    readonly policies: readonly NetworkPolicy[]
  }
  /** What the shell gives every entrance. */
  readonly entrance: { readonly greetingTimeoutMs: number }
  readonly operator: OperatorOptions
  readonly clients: ClientOptions
  readonly faults: FaultOptions
  /** The node dies between two of the commands of one step. */
  readonly crashMidStep: Ratio
  /** How the run ends, once all is well. */
  readonly goodbye: 'drain' | 'abort' | 'remove'
  /** Clients who come just before, and ask for much. */
  readonly latecomers: number
  /** The world of one UDP listener, which is run after the node's; none in a script of acts. */
  readonly udp: UdpOptions | undefined
  /** The world of one HTTP ingress, which is run last; none in a script of acts. */
  readonly http: HttpOptions | undefined
}

export interface FaultOptions {
  readonly runtime: RuntimeFaults
  readonly probes: ProbeFaults
  readonly listeners: ListenerFaults
  readonly ports: HostPortFaults
  readonly clock: ClockFaults
}

export function drawRun(seed: number, steps: number): RunOptions {
  const draws: Draws = drawsOf(seed)
  const draw = draws.swarm
  // Faultless runs show that faults are not needed to break something.
  const calm = draw.below(8) === 0
  const maybe = (often: Ratio): Ratio => (calm || draw.below(3) > 0 ? NEVER : often)
  const hostPorts = draw.pick([3, 6, 12])
  const drawn: RunOptions = {
    seed,
    steps,
    node: {
      seed: draw.next(),
      replicaPorts: { from: 20_000, to: 20_000 + draw.pick([80, 200, 9_999]) },
      leftoverGraceMs: draw.pick([50, 5_000]),
      drainTimeoutMs: draw.pick([100, 3_000, 30_000]),
      metrics:
        draw.below(3) === 0
          ? { host: draw.pick(['127.0.0.1', '0.0.0.0']), port: HOST_PORT_FIRST + draw.below(3) }
          : null,
      policies: drawPolicies(new Prng(seed, 'policies')),
    },
    entrance: {
      greetingTimeoutMs: draw.pick([200, 3_000, 10_000]),
    },
    operator: {
      actEveryMs: draw.pick([50, 400, 3_000, 20_000]),
      deploymentsMax: draw.between(1, 3),
      limits: {
        servicesMax: draw.between(1, 5),
        replicasMax: draw.between(1, 5),
        endpointsMax: draw.between(0, 3),
        hostPorts,
        haste: draw.pick([1, 10, 100]),
        brokenPercent: maybe(ratio(1, 1)).times > 0 ? 15 : 0,
        publishing: draw.below(4) > 0,
      },
      weights: drawWeights(calm, draw),
    },
    clients: drawClients(draw),
    faults: drawFaults(maybe, draw),
    crashMidStep: maybe(ratio(1, 200)),
    goodbye: draw.pick(['drain', 'drain', 'abort', 'remove']),
    latecomers: draw.pick([0, 6]),
    udp: drawUdpRun(seed, steps),
    http: drawHttpRun(seed, steps),
  }
  return draw.below(4) === 0 ? busy(drawn, draw) : drawn
}

/**
 * Much traffic over few services that live long and change often. What goes wrong between a
 * replica that leaves and the connections it still has needs many of both in one run.
 */
function busy(drawn: RunOptions, draw: Prng): RunOptions {
  const { operator, faults } = drawn
  const weights = Object.fromEntries(
    ACT_KINDS.map((kind) => [kind, STEADY.has(kind) ? draw.between(1, 3) : 0]),
  ) as Record<ActKind, number>
  return {
    ...drawn,
    operator: {
      actEveryMs: draw.pick([300, 1_500]),
      deploymentsMax: 1,
      limits: { ...operator.limits, servicesMax: draw.between(1, 2), replicasMax: 4, haste: 10 },
      weights,
    },
    clients: { ...drawClients(draw), everyMs: draw.pick([30, 100]), hastyPercent: 0, liveMax: 50 },
    faults: {
      ...drawFaults(() => NEVER, draw),
      listeners: { ...faults.listeners, answersTwice: draw.pick([NEVER, ratio(1, 2)]) },
      probes: { ...faults.probes, flaps: draw.pick([NEVER, ratio(1, 4)]) },
    },
    crashMidStep: NEVER,
  }
}

const STEADY: ReadonlySet<ActKind> = new Set([
  'deploy-changed',
  'scale',
  'restart',
  'restore',
  'internal',
])

/** A quiet run in which nothing happens by itself: a script says what does. */
export function scriptedRun(seed: number): RunOptions {
  const drawn = drawRun(seed, 0)
  const none = Object.fromEntries(ACT_KINDS.map((kind) => [kind, 0])) as Record<ActKind, number>
  return {
    ...drawn,
    node: {
      ...drawn.node,
      replicaPorts: { from: 20_000, to: 20_199 },
      drainTimeoutMs: 30_000,
      metrics: null,
      policies: [],
    },
    entrance: { greetingTimeoutMs: 10_000 },
    operator: { ...drawn.operator, actEveryMs: 0, weights: none },
    clients: { ...drawn.clients, everyMs: 0 },
    faults: drawFaults(() => NEVER, new Prng(seed, 'quiet')),
    crashMidStep: NEVER,
    goodbye: 'drain',
    latecomers: 0,
    udp: undefined,
    http: undefined,
  }
}

/** About addresses that clients have and visitors have not. */
const drawPolicies = (draw: Prng): readonly NetworkPolicy[] =>
  POLICIES.filter(() => draw.below(3) === 0)

const POLICIES: readonly NetworkPolicy[] = [
  {
    name: 'blocked',
    cidrs: ['10.1.0.8/29', 'fd01::8/125'],
    members: [],
    accessRules: [{ service: '*', deployment: '*', action: 'deny' }],
  },
  {
    name: 'partners',
    cidrs: ['203.0.113.16/29', '10.1.0.24/29'],
    members: [],
    accessRules: [
      { service: 'web', deployment: '*', action: 'allow' },
      { service: 'db', deployment: '*', action: 'deny' },
    ],
  },
]

/** Some kinds of act never happen in a run, the others more or less often. */
function drawWeights(calm: boolean, draw: Prng): Record<ActKind, number> {
  const weights = {} as Record<ActKind, number>
  for (const kind of ACT_KINDS) {
    const weight = draw.below(2) === 0 ? 0 : draw.pick([1, 2, 5])
    weights[kind] = calm && NEEDS_FAULTS.has(kind) ? 0 : weight
  }
  // Shutting down again and again leaves nothing to watch.
  weights.drain = Math.min(weights.drain, 1)
  weights.abort = Math.min(weights.abort, 1)
  weights['deploy-changed'] = Math.max(weights['deploy-changed'], 1)
  weights.scale = Math.max(weights.scale, 1)
  return weights
}

const NEEDS_FAULTS: ReadonlySet<ActKind> = new Set([
  'kill',
  'sicken',
  'stranger',
  'crash',
  'pause',
  'leap',
])

const drawClients = (draw: Prng): ClientOptions => ({
  everyMs: draw.pick([0, 20, 100, 300, 2_000]),
  thinkMsMax: draw.pick([5, 100, 2_000]),
  patientPercent: draw.pick([0, 10, 50]),
  bytesMax: draw.pick([1, 16, 60]),
  hastyPercent: draw.pick([0, 0, 20]),
  stallsPercent: draw.pick([0, 20]),
  rudePercent: draw.pick([0, 10, 30]),
  liveMax: draw.pick([2, 10, 50]),
})

function drawFaults(maybe: (often: Ratio) => Ratio, draw: Prng): FaultOptions {
  const oneIn = (): number => draw.pick([4, 15, 60])
  const runtime: RuntimeFaults = {
    createFails: maybe(ratio(1, oneIn())),
    startFails: maybe(ratio(1, oneIn())),
    diesEarly: maybe(ratio(1, oneIn())),
    diesLate: maybe(ratio(1, oneIn())),
    startsSlowly: maybe(ratio(1, oneIn())),
    ignoresStop: maybe(ratio(1, oneIn())),
    leavesChildren: maybe(ratio(1, oneIn())),
    diesSlowly: maybe(ratio(1, oneIn())),
    verifyLies: maybe(ratio(1, oneIn())),
    answersLate: maybe(ratio(1, oneIn())),
    answersTwice: maybe(ratio(1, oneIn())),
    answersLost: maybe(ratio(1, 4 * oneIn())),
    leftoverSurvives: maybe(ratio(1, oneIn())),
  }
  const probes: ProbeFaults = {
    hangs: maybe(ratio(1, oneIn())),
    flaps: maybe(ratio(1, oneIn())),
    sickens: maybe(ratio(1, 4 * oneIn())),
    sickMsMax: draw.pick([100, 5_000, 60_000]),
    late: maybe(ratio(1, oneIn())),
    lost: maybe(ratio(1, oneIn())),
  }
  const listeners: ListenerFaults = {
    bindFails: maybe(ratio(1, oneIn())),
    bindsSlowly: maybe(ratio(1, oneIn())),
    unbindsSlowly: maybe(ratio(1, oneIn())),
    unbindOvertakes: maybe(ratio(1, 2)),
    routesLate: maybe(ratio(1, oneIn())),
    answersLate: maybe(ratio(1, oneIn())),
    appliesLate: maybe(ratio(1, oneIn())),
    slowMsMax: draw.pick([20, 1_000, 10_000]),
    answersTwice: maybe(ratio(1, oneIn())),
    connectHangs: maybe(ratio(1, oneIn())),
    connectLacks: maybe(ratio(1, oneIn())),
    blocks: maybe(ratio(1, oneIn())),
    secureFails: maybe(ratio(1, oneIn())),
    secureHangs: maybe(ratio(1, oneIn())),
  }
  const ports: HostPortFaults = {
    strangerArrives: maybe(ratio(1, oneIn())),
    strangerStaysMsMax: draw.pick([10, 1_000, 60_000]),
    ipv6: maybe(ratio(1, 1)).times > 0 ? draw.pick(['late', 'never']) : 'there',
  }
  const clock: ClockFaults = {
    tickEarly: maybe(ratio(1, oneIn())),
    tickLate: maybe(ratio(1, oneIn())),
    tickTwice: maybe(ratio(1, oneIn())),
    skewMsMax: draw.pick([1, 50, 2_000]),
  }
  return { runtime, probes, listeners, ports, clock }
}
