/** What the UDP part of a run is like, drawn from its seed as `swarm.ts` draws the rest. */
import type { StrategyName } from '../../core/balance/strategies.ts'
import { defaultUdpConfig, type UdpConfig } from '../../core/udp/config.ts'
import type { ClockFaults } from '../faults/clock.ts'
import { NEVER, Prng, type Ratio, ratio } from '../prng.ts'
import { POLICIES, TRUSTED } from './network/places.ts'

export interface UdpOptions {
  readonly seed: number
  /** Steps of the first phase, in which anything goes. */
  readonly steps: number
  readonly clients: UdpClientOptions
  readonly config: UdpConfig
  readonly failOpen: boolean
  readonly strategy: StrategyName
  readonly actEveryMs: number
  readonly weights: Readonly<Record<UdpActKind, number>>
  readonly faults: UdpFaults
  /** So many datagrams at most are stepped before the commands of the first are run. */
  readonly batchMax: number
  /** The model runs beside the table. */
  readonly isShadowed: boolean
  readonly goodbye: 'close' | 'abort' | 'remove-then-close'
}

export interface UdpClientOptions {
  /** Sockets of clients; each is one of `hosts` times `ports`. */
  readonly hosts: number
  readonly ports: number
  /** Mean time between two bursts. */
  readonly everyMs: number
  readonly burstMax: number
  readonly locals: number
  readonly emptyPercent: number
  readonly oversizePercent: number
  readonly bytesMax: number
  /** Datagrams that come through a trusted proxy. */
  readonly proxiedPercent: number
  readonly malformedPercent: number
}

export interface LinkFaults {
  readonly lost: Ratio
  /** Nothing passes for a while. */
  readonly breaks: Ratio
  readonly breaksMsMax: number
  readonly doubled: Ratio
  /** Each takes from 0 to so long: what is sent later can come earlier. */
  readonly latencyMsMax: number
}

export interface UdpFaults {
  readonly link: LinkFaults
  /** Opening a socket takes long, never ends, is refused, or the host has none left. */
  readonly opensLate: Ratio
  readonly openHangs: Ratio
  readonly openRefused: Ratio
  readonly openLacks: Ratio
  readonly answersTwice: Ratio
  readonly lateMsMax: number
  /** The socket's buffer is full: what the table sends goes nowhere. */
  readonly sendFull: Ratio
  /** What a socket received is told after the socket was closed, or its opening was. */
  readonly toldStale: Ratio
  readonly clock: ClockFaults
  /** The process dies between two commands. */
  readonly crashMidStep: Ratio
}

export const UDP_ACT_KINDS = [
  'configure',
  'shrink', // caps below what there is
  'set', // some backends leave, return, go down or become backups
  'cut',
  'manner', // a backend dies, hangs, answers slowly, or talks too much
  'flood', // many sources at once that never answer
  'rebind', // a NAT gives a client's address to another one
  'abort-flow',
  'close-all',
  'drain',
  'close',
  'abort-all',
  'leap',
  'pause',
  'restore',
  'crash',
] as const

export type UdpActKind = (typeof UDP_ACT_KINDS)[number]

export function drawUdpRun(seed: number, steps: number): UdpOptions {
  const draw = new Prng(seed, 'udp swarm')
  const calm = draw.below(8) === 0
  const maybe = (often: Ratio): Ratio => (calm || draw.below(3) > 0 ? NEVER : often)
  const clients = drawClients(draw)
  return {
    seed,
    steps,
    clients,
    config: drawConfig(draw, new Prng(seed, 'udp visitors')),
    failOpen: draw.below(2) === 0,
    actEveryMs: draw.pick([20, 200, 2_000]),
    weights: drawWeights(calm, draw),
    faults: drawFaults(maybe, draw),
    batchMax: draw.pick([1, 1, 8, 32]),
    isShadowed: draw.below(2) === 0,
    goodbye: draw.pick(['close', 'abort', 'remove-then-close']),
    strategy: draw.pick(STRATEGIES),
  }
}

const STRATEGIES: readonly StrategyName[] = [
  'round_robin',
  'round_robin',
  'hrw',
  'maglev',
  'least_connections',
  'power_of_two',
]

const drawClients = (draw: Prng): UdpClientOptions => ({
  hosts: draw.pick([1, 3, 8]),
  ports: draw.pick([1, 2, 4]),
  everyMs: draw.pick([2, 20, 300]),
  burstMax: draw.pick([1, 3, 10]),
  locals: draw.pick([1, 1, 3]),
  emptyPercent: draw.pick([0, 5]),
  oversizePercent: draw.pick([0, 5]),
  bytesMax: draw.pick([8, 60, 512]),
  proxiedPercent: draw.pick([0, 0, 20, 80]),
  malformedPercent: draw.pick([0, 10]),
})

/** Short times and small tables, so that rare ends are common. */
export function drawConfig(draw: Prng, visitors: Prng = draw): UdpConfig {
  const quiet = (): number => draw.pick([1, 50, 400, 4_999, 30_000])
  return {
    ...defaultUdpConfig,
    affinity: draw.pick(['source-ip-port', 'source-ip', 'datagram']),
    requests: draw.pick([0, 0, 1, 3]),
    responses: draw.pick([0, 0, 1, 2]),
    frontTimeoutMs: quiet(),
    backTimeoutMs: quiet(),
    halfOpenTimeoutMs: quiet(),
    lifetimeMaxMs: draw.pick([0, 0, 100, 3_000]),
    flowsMax: draw.pick([1, 4, 31, 31]),
    flowsPerSourceMax: draw.pick([0, 0, 1, 4]),
    datagramBytesMax: draw.pick([600, 600, 1_500, 40]),
    proxyProtocol: draw.pick(['off', 'first', 'every']),
    trustedProxies: draw.below(3) === 0 ? [] : TRUSTED,
    heldDatagramsMax: draw.pick([1, 3, 8]),
    heldBytesMax: draw.pick([0, 64, 4_096, 1_048_576]),
    lingerMs: draw.pick([0, 20, 2_000]),
    access: visitors.pick([[], [], [], [], ...POLICIES.keys()]),
    idleAfterMs: visitors.pick([0, 100, 3_000]),
  }
}

function drawWeights(calm: boolean, draw: Prng): Record<UdpActKind, number> {
  const weights = {} as Record<UdpActKind, number>
  for (const kind of UDP_ACT_KINDS) {
    const weight = draw.below(2) === 0 ? 0 : draw.pick([1, 3, 6])
    weights[kind] = calm && NEEDS_FAULTS.has(kind) ? 0 : weight
  }
  // What ends everything leaves nothing to watch when it comes often.
  for (const kind of ['drain', 'close', 'abort-all', 'crash'] as const) {
    weights[kind] = Math.min(weights[kind], 1)
  }
  weights.set = Math.max(weights.set, 1)
  return weights
}

const NEEDS_FAULTS: ReadonlySet<UdpActKind> = new Set([
  'shrink',
  'manner',
  'flood',
  'leap',
  'pause',
  'crash',
])

function drawFaults(maybe: (often: Ratio) => Ratio, draw: Prng): UdpFaults {
  const oneIn = (): number => draw.pick([3, 12, 60])
  const link: LinkFaults = {
    lost: maybe(ratio(1, oneIn())),
    breaks: maybe(ratio(1, 10 * oneIn())),
    breaksMsMax: draw.pick([20, 1_000, 10_000]),
    doubled: maybe(ratio(1, oneIn())),
    latencyMsMax: draw.pick([0, 1, 5, 200]),
  }
  const clock: ClockFaults = {
    tickEarly: maybe(ratio(1, oneIn())),
    tickLate: maybe(ratio(1, oneIn())),
    tickTwice: maybe(ratio(1, oneIn())),
    skewMsMax: draw.pick([1, 50, 2_000]),
  }
  return {
    link,
    opensLate: maybe(ratio(1, oneIn())),
    openHangs: maybe(ratio(1, oneIn())),
    openRefused: maybe(ratio(1, oneIn())),
    openLacks: maybe(ratio(1, oneIn())),
    answersTwice: maybe(ratio(1, oneIn())),
    lateMsMax: draw.pick([5, 500, 20_000]),
    sendFull: maybe(ratio(1, oneIn())),
    toldStale: maybe(ratio(1, oneIn())),
    clock,
    crashMidStep: maybe(ratio(1, 400)),
  }
}
