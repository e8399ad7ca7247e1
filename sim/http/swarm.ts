/** What the HTTP part of a run is like, drawn from its seed as `swarm.ts` draws the rest. */
import type { StrategyName } from '../../core/balance/strategies.ts'
import {
  defaultHttpListenerConfig,
  defaultIngressConfig,
  type HttpListenerConfig,
  type IngressConfig,
  type PortLimits,
} from '../../core/http/config.ts'
import type { ClockFaults } from '../faults/clock.ts'
import { NEVER, Prng, type Ratio, ratio } from '../prng.ts'
import { DENY, LISTENERS, TRUSTED } from './network/places.ts'

export interface HttpOptions {
  readonly seed: number
  /** Steps of the first phase, in which anything goes. */
  readonly steps: number
  readonly config: IngressConfig
  /** One for each of the listeners. */
  readonly listeners: readonly HttpListenerConfig[]
  readonly clients: HttpClientOptions
  readonly backends: HttpBackendOptions
  readonly faults: HttpFaults
  readonly strategy: StrategyName
  readonly failOpen: boolean
  /** Some routes are for another host, another path, or to be redirected. */
  readonly routesMax: number
  readonly actEveryMs: number
  readonly weights: Readonly<Record<HttpActKind, number>>
  readonly goodbye: 'close' | 'abort'
}

export interface HttpClientOptions {
  readonly liveMax: number
  /** Mean time between two connections, and the most a client thinks. */
  readonly everyMs: number
  readonly thinkMsMax: number
  readonly requestsMax: number
  readonly bodyBytesMax: number
  /** Bytes in one read, at most. */
  readonly pieceMax: number
  readonly streamsPercent: number
  readonly pipelinedPercent: number
  readonly bodyPercent: number
  readonly flawedPercent: number
  readonly oldPercent: number
  readonly headPercent: number
  readonly upgradePercent: number
  readonly expectPercent: number
  readonly closePercent: number
  /** Sends slowly, reads slowly, leaves at any moment, sends no more at any moment. */
  readonly dripsPercent: number
  readonly stallsPercent: number
  readonly leavesPercent: number
  readonly endsPercent: number
  readonly slowMsMax: number
}

export interface HttpBackendOptions {
  /** Of one connection; 0: any number. */
  readonly requestsMax: number
  readonly idleMs: number
  readonly thinkMsMax: number
  readonly bodyBytesMax: number
  readonly pieceMax: number
  readonly interimPercent: number
  /** Answers before it has the whole request. */
  readonly earlyPercent: number
  readonly closePercent: number
  readonly hintPercent: number
  readonly untilClosePercent: number
  readonly wrongPercent: number
  readonly chattersPercent: number
  /** Sends slowly, reads slowly, ends or resets at any byte, never answers. */
  readonly dripsPercent: number
  readonly stallsPercent: number
  readonly cutsPercent: number
  readonly silentPercent: number
  readonly slowMsMax: number
}

export interface HttpFaults {
  readonly latencyMsMax: number
  readonly connectLate: Ratio
  readonly connectHangs: Ratio
  readonly connectRefused: Ratio
  readonly connectLacks: Ratio
  /** A stream of HTTP/2 that the backend did not look at. */
  readonly streamRefused: Ratio
  readonly lateMsMax: number
  /** Bytes that a peer did not take yet, from which on it is called blocked. */
  readonly blocksAbove: number
  readonly clock: ClockFaults
}

export const HTTP_ACT_KINDS = [
  'configure',
  'configure-listener',
  'set', // some backends leave, return, go down or become backups
  'empty', // none is left: hold
  'refuse', // none is left: refuse
  'cut',
  'routes',
  'close-port',
  'close-listener',
  'abort-listener',
  'challenge',
  'manner', // a backend dies, hangs, comes back
  'leap',
  'pause',
] as const

export type HttpActKind = (typeof HTTP_ACT_KINDS)[number]

export function drawHttpRun(seed: number, steps: number): HttpOptions {
  const draw = new Prng(seed, 'http swarm')
  const calm = draw.below(8) === 0
  const maybe = (often: Ratio): Ratio => (calm || draw.below(3) > 0 ? NEVER : often)
  const percent = (of: number): number => (calm || draw.below(3) > 0 ? 0 : of)
  return {
    seed,
    steps,
    config: drawConfig(draw),
    listeners: LISTENERS.map((listener) => drawListenerConfig(listener, draw)),
    clients: drawClients(percent, draw),
    backends: drawBackends(percent, draw),
    faults: drawFaults(maybe, draw),
    strategy: draw.pick(['round_robin', 'round_robin', 'least_connections', 'power_of_two', 'hrw']),
    failOpen: draw.below(2) === 0,
    routesMax: draw.pick([0, 2, 6]),
    actEveryMs: draw.pick([50, 400, 3_000]),
    weights: drawWeights(calm, draw),
    goodbye: draw.pick(['close', 'close', 'abort']),
  }
}

/** Mostly roomy; now and then so small that rare ends are common. */
const roomy = (draw: Prng, room: number, ...tiny: readonly number[]): number =>
  draw.below(5) === 0 ? draw.pick(tiny) : room

export const drawConfig = (draw: Prng): IngressConfig => ({
  ...defaultIngressConfig,
  trustedProxies: draw.below(3) === 0 ? TRUSTED : [],
  clientsMax: roomy(draw, 100, 2, 8),
  limits: drawLimits(draw),
  lineBytesMax: roomy(draw, 16_384, 60, 200),
  fieldsMax: roomy(draw, 128, 4, 12),
  requestsPerClientMax: roomy(draw, 0, 1, 3),
  pipelinedBytesMax: roomy(draw, 65_536, 1, 200),
  heldMax: draw.pick([1_000, 1_000, 1_000, 0, 1, 3]),
  heldBytesMax: draw.pick([16_777_216, 16_777_216, 16_777_216, 0, 100, 2_000]),
  idlePerBackendMax: roomy(draw, 64, 0, 1, 3),
  idleUpstreamMs: roomy(draw, 60_000, 5, 500),
  freshUpstreamMs: roomy(draw, 1_000, 0, 10),
})

export const drawLimits = (draw: Prng): PortLimits => ({
  headTimeoutMs: roomy(draw, 10_000, 20, 1_000),
  headBytesMax: roomy(draw, 32_768, 100, 300, 1_000),
  keepAliveMs: roomy(draw, 75_000, 5, 300),
})

export const drawListenerConfig = (
  { protocol }: { readonly protocol: 'http1' | 'h2c' },
  draw: Prng,
): HttpListenerConfig => ({
  ...defaultHttpListenerConfig,
  stripPrefix: draw.below(3) === 0,
  backend: protocol,
  bodyTimeoutMs: roomy(draw, 60_000, 20, 2_000),
  connectTimeoutMs: roomy(draw, 2_000, 10, 300),
  responseTimeoutMs: roomy(draw, 60_000, 20, 2_000),
  totalTimeoutMs: roomy(draw, 0, 50, 3_000),
  tunnelIdleMs: draw.pick([3_600_000, 0, 50, 50]),
  headBytesMax: roomy(draw, 32_768, 100, 300, 1_000),
  retries: draw.pick([0, 1, 1, 3]),
  holdTimeoutMs: draw.pick([30_000, 20, 20, 1_000]),
  requestsPerBackendMax: roomy(draw, 0, 1, 2),
  idleAfterMs: draw.pick([0, 0, 50, 5_000]),
  access: draw.below(6) === 0 ? DENY : [],
})

const drawClients = (percent: (of: number) => number, draw: Prng): HttpClientOptions => ({
  liveMax: draw.pick([1, 4, 12]),
  everyMs: draw.pick([2, 20, 100]),
  thinkMsMax: draw.pick([0, 10, 1_000]),
  requestsMax: draw.pick([1, 4, 12]),
  bodyBytesMax: draw.pick([0, 20, 300, 2_000, 8_000]),
  pieceMax: draw.pick([1, 20, 300, 300, 65_536, 65_536, 65_536, 65_536]),
  streamsPercent: draw.pick([0, 0, 30, 100]),
  pipelinedPercent: draw.pick([0, 30, 100]),
  bodyPercent: draw.pick([0, 30, 80]),
  flawedPercent: percent(20),
  oldPercent: percent(20),
  headPercent: percent(20),
  upgradePercent: percent(draw.pick([25, 70])),
  expectPercent: percent(50),
  closePercent: percent(20),
  dripsPercent: percent(25),
  stallsPercent: percent(draw.pick([25, 90])),
  leavesPercent: percent(25),
  endsPercent: percent(20),
  slowMsMax: draw.pick([50, 3_000, 40_000]),
})

const drawBackends = (percent: (of: number) => number, draw: Prng): HttpBackendOptions => ({
  requestsMax: roomy(draw, 0, 1, 3),
  idleMs: draw.pick([3, 100, 5_000, 75_000, 75_000]),
  thinkMsMax: draw.pick([0, 5, 300]),
  bodyBytesMax: draw.pick([0, 20, 300, 2_000, 8_000]),
  pieceMax: draw.pick([1, 20, 300, 300, 300, 65_536, 65_536, 65_536]),
  interimPercent: percent(25),
  earlyPercent: percent(40),
  closePercent: percent(25),
  hintPercent: percent(40),
  untilClosePercent: percent(25),
  wrongPercent: percent(20),
  chattersPercent: percent(20),
  dripsPercent: percent(25),
  stallsPercent: percent(draw.pick([25, 90])),
  cutsPercent: percent(draw.pick([25, 80])),
  silentPercent: percent(15),
  slowMsMax: draw.pick([50, 3_000, 80_000]),
})

function drawWeights(calm: boolean, draw: Prng): Record<HttpActKind, number> {
  const weights = {} as Record<HttpActKind, number>
  for (const kind of HTTP_ACT_KINDS) {
    const weight = draw.below(2) === 0 ? 0 : draw.pick([1, 3, 6])
    weights[kind] = calm && NEEDS_FAULTS.has(kind) ? 0 : weight
  }
  // What ends everything leaves nothing to watch when it comes often.
  for (const kind of ['close-port', 'close-listener', 'abort-listener'] as const) {
    weights[kind] = Math.min(weights[kind], 1)
  }
  weights.set = Math.max(weights.set, 3)
  weights.empty = Math.max(weights.empty, 1)
  return weights
}

const NEEDS_FAULTS: ReadonlySet<HttpActKind> = new Set(['manner', 'leap', 'pause'])

function drawFaults(maybe: (often: Ratio) => Ratio, draw: Prng): HttpFaults {
  const oneIn = (): number => draw.pick([3, 12, 60])
  const clock: ClockFaults = {
    tickEarly: maybe(ratio(1, oneIn())),
    tickLate: maybe(ratio(1, oneIn())),
    tickTwice: maybe(ratio(1, oneIn())),
    skewMsMax: draw.pick([1, 50, 2_000]),
  }
  return {
    latencyMsMax: draw.pick([0, 1, 5, 5, 100]),
    connectLate: maybe(ratio(1, oneIn())),
    connectHangs: maybe(ratio(1, oneIn())),
    connectRefused: maybe(ratio(1, oneIn())),
    connectLacks: maybe(ratio(1, 4 * oneIn())),
    streamRefused: maybe(ratio(1, oneIn())),
    lateMsMax: draw.pick([5, 500, 20_000]),
    blocksAbove: draw.pick([1, 100, 200, 65_536]),
    clock,
  }
}
