/**
 * Random scripts for a flow table, as fast-check shrinks them: every step stands for itself, and
 * what it refers to (the third-last socket that was asked for) is looked up while it runs, so that
 * a script with steps left out is a script still.
 */
import fc from 'fast-check'
import { Maglev } from '../../../../core/balance/affinity/maglev.ts'
import type { Backend } from '../../../../core/balance/group.ts'
import { type StrategyName, strategyNamed } from '../../../../core/balance/strategies.ts'
import type { Strategy } from '../../../../core/balance/strategy.ts'
import { parseSocketAddress } from '../../../../core/net/address.ts'
import { parseCidr } from '../../../../core/net/cidr.ts'
import {
  type PackedAddress,
  type PackedPrefix,
  packAddress,
  packPrefix,
} from '../../../../core/net/packed-address.ts'
import { proxyHeader } from '../../../../core/net/proxy-v2.ts'
import type { AccessList } from '../../../../core/policy/access.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../../core/udp/config.ts'

export type ScriptStep =
  | {
      readonly do: 'client'
      readonly client: number
      readonly local: number
      readonly header: HeaderKind
      readonly announced: number
      readonly bytes: number
    }
  /** Twice, late and never are what scripts do. */
  | { readonly do: 'opened'; readonly of: SocketPick }
  | {
      readonly do: 'failed'
      readonly of: SocketPick
      readonly blame: 'backend' | 'host'
    }
  | {
      readonly do: 'answer'
      readonly of: SocketPick
      /** Another attempt than the one that was asked for. */
      readonly attemptOff: number
      readonly bytes: number
    }
  /** A handle nobody was given. */
  | { readonly do: 'stray'; readonly slot: number; readonly serial: number; readonly how: number }
  | { readonly do: 'configure'; readonly change: Partial<UdpConfig> }
  | {
      readonly do: 'apply'
      /** Added to the version sent last; not above it when it is not positive. */
      readonly version: number
      readonly backends: readonly Backend[]
    }
  | { readonly do: 'cut'; readonly backend: string }
  | { readonly do: 'drain' | 'close' | 'close-all' | 'abort-all' }
  | { readonly do: 'abort-flow'; readonly of: SocketPick }
  | { readonly do: 'pass'; readonly ms: number; readonly tick: boolean }
  /** Until the deadline, `late` ms more, and a tick. */
  | { readonly do: 'wait'; readonly late: number }
  /** Goes on with a table restored from a snapshot, the old one beside it. */
  | { readonly do: 'restore' }

/** The socket asked for so many opens ago: of those that live, or of all there ever were. */
export interface SocketPick {
  readonly back: number
  readonly live: boolean
}

export type HeaderKind = 'none' | 'proxy' | 'local' | 'unspec' | 'stream' | 'short' | 'version'

export interface Script {
  readonly config: Partial<UdpConfig>
  readonly failOpen: boolean
  readonly extractor: ExtractorKind
  readonly strategy: StrategyName
  readonly steps: readonly ScriptStep[]
}

/** A fresh one; Maglev with a small table, because each set builds one. */
export const strategyOf = (name: StrategyName): Strategy =>
  name === 'maglev' ? new Maglev({ slots: 31 }) : strategyNamed(name, 1)

export type ExtractorKind = 'none' | 'network' | 'full' | 'payload'

const packed = (text: string): PackedAddress => packAddress(parseSocketAddress(text)!)!

/** The second is the first as a dual-stack socket reports it; the last two may be trusted. */
export const CLIENTS: readonly PackedAddress[] = [
  '10.0.0.1:1000',
  '[::ffff:10.0.0.1]:1000',
  '10.0.0.1:2000',
  '10.0.0.2:1000',
  '10.0.1.7:53',
  '[2001:db8::1]:1000',
  '[2001:db8::1]:2000',
  '[fe80::1%2]:1000',
  '[fe80::1%3]:1000',
  '192.0.2.9:7',
  '[2001:db8:ff::9]:7',
].map(packed)

export const LOCALS: readonly PackedAddress[] = [
  '192.0.2.1:53',
  '192.0.2.2:53',
  '[2001:db8::53]:53',
].map(packed)

export const TRUSTED = ['192.0.2.0/28', '2001:db8:ff::/48'].map((text) =>
  packPrefix(parseCidr(text)!),
)

const PROXIES = [9, 10]

const network = (text: string): PackedPrefix => packPrefix(parseCidr(text)!)

/** Some clients are denied, some governed and not allowed, some both. */
const POLICIES: readonly AccessList[] = [
  [{ sources: [network('10.0.0.0/31')], verdict: 'deny' }],
  [
    { sources: [network('10.0.0.0/8'), network('2001:db8::/32')], verdict: 'none' },
    { sources: [network('10.0.0.0/24')], verdict: 'allow' },
  ],
  [
    { sources: [network('fe80::/10')], verdict: 'allow' },
    { sources: [network('fe80::1/128'), network('192.0.2.9/32')], verdict: 'deny' },
  ],
]

/** The payload of a client's datagram, all of it, the header included. */
export function wholePayload(
  { header, announced, local, bytes }: Extract<ScriptStep, { do: 'client' }>,
  number: number,
): Uint8Array {
  const payload = payloadOf(bytes, number)
  const source = CLIENTS[announced % CLIENTS.length]!
  const destination = LOCALS[(local + announced) % LOCALS.length]!
  const front = (change: (octets: Uint8Array) => Uint8Array): Uint8Array =>
    Uint8Array.from([...change(proxyHeader(source, destination, 'dgram')), ...payload])
  const changed = (at: number, octet: number) => (octets: Uint8Array) => octets.with(at, octet)
  switch (header) {
    case 'none':
      return payload
    case 'proxy':
      return front((octets) => octets)
    case 'local':
      return front(changed(12, 0x20))
    case 'unspec':
      return front(changed(13, 0))
    case 'stream':
      return front((octets) => octets.with(13, (octets[13]! & 0xf0) | 1))
    case 'version':
      return front(changed(12, 0x11))
    case 'short':
      return proxyHeader(source, destination, 'dgram').slice(0, 13 + (announced % 15))
  }
}

/** Every datagram of a script has bytes of its own. */
export function payloadOf(bytes: number, number: number): Uint8Array {
  const payload = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at++) payload[at] = number * 31 + at * 7
  return payload
}

// Arbitraries --------------------------------------------------------------------------------

const BYTES_MAX = 40

const bytes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 2, arbitrary: fc.integer({ min: BYTES_MAX - 1, max: BYTES_MAX + 1 }) },
)

/** Mostly new ones that live. */
const of: fc.Arbitrary<SocketPick> = fc.record({
  back: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 0, max: 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 20 }) },
  ),
  live: fc.constantFrom(true, true, true, true, true, false),
})

const milliseconds = fc.constantFrom(1, 16, 17, 100, 1_000, 5_000, 5_000)

const BACKENDS = ['b0', 'b1', 'b2', 'b3']

const backends = fc.array(
  fc.record(
    {
      id: fc.constantFrom(...BACKENDS),
      port: fc.constantFrom(5300, 5301),
      down: fc.boolean(),
      backup: fc.boolean(),
      weight: fc.constantFrom(1, 100),
    },
    { requiredKeys: ['id', 'port'] },
  ),
  { maxLength: 4 },
)

/** What a configuration may change to, at the start and in the middle. */
const change = fc.record(
  {
    affinity: fc.constantFrom('source-ip-port', 'source-ip', 'datagram'),
    requests: fc.constantFrom(0, 1, 2, 3),
    responses: fc.constantFrom(0, 1, 2),
    frontTimeoutMs: milliseconds,
    backTimeoutMs: milliseconds,
    halfOpenTimeoutMs: milliseconds,
    lifetimeMaxMs: fc.constantFrom(0, 0, 16, 50, 700, 3_000),
    flowsMax: fc.constantFrom(0, 1, 2, 4, 8, 8),
    flowsPerSourceMax: fc.constantFrom(0, 1, 2),
    datagramBytesMax: fc.constantFrom(1, BYTES_MAX, BYTES_MAX + 52, BYTES_MAX + 52),
    proxyProtocol: fc.constantFrom('off', 'first', 'every'),
    trustedProxies: fc.constantFrom([], TRUSTED, TRUSTED),
    heldDatagramsMax: fc.constantFrom(1, 2, 8),
    heldBytesMax: fc.constantFrom(0, 10, 60, 1_000, 1_000),
    lingerMs: fc.constantFrom(0, 1, 100, 2_000),
    access: fc.constantFrom([], [], ...POLICIES),
    idleAfterMs: fc.constantFrom(0, 20, 1_000, 5_000),
  },
  { requiredKeys: [] },
)

const clientStep = (client: fc.Arbitrary<number>, header: fc.Arbitrary<HeaderKind>) =>
  fc.record({
    do: fc.constant('client' as const),
    client,
    local: fc.constantFrom(0, 0, 0, 1, 2),
    header,
    announced: fc.constantFrom(0, 1, 2, 3, 5, 7, 9),
    bytes,
  })

const steps: fc.Arbitrary<ScriptStep> = fc.oneof(
  {
    weight: 24,
    arbitrary: clientStep(
      fc.nat({ max: CLIENTS.length - 1 }),
      fc.oneof(
        { weight: 9, arbitrary: fc.constant<HeaderKind>('none') },
        { weight: 1, arbitrary: fc.constant<HeaderKind>('proxy') },
      ),
    ),
  },
  {
    weight: 12,
    arbitrary: clientStep(
      fc.constantFrom(...PROXIES),
      fc.oneof(
        { weight: 2, arbitrary: fc.constantFrom<HeaderKind>('proxy', 'none') },
        {
          weight: 1,
          arbitrary: fc.constantFrom<HeaderKind>('local', 'unspec', 'stream', 'short', 'version'),
        },
      ),
    ),
  },
  { weight: 28, arbitrary: fc.record({ do: fc.constant('opened' as const), of }) },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('failed' as const),
      of,
      blame: fc.constantFrom('backend', 'backend', 'backend', 'backend', 'backend', 'host'),
    }),
  },
  {
    weight: 26,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      of,
      attemptOff: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
      bytes,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('stray' as const),
      slot: fc.nat({ max: 9 }),
      serial: fc.nat({ max: 12 }),
      how: fc.nat({ max: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('configure' as const), change }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('apply' as const),
      version: fc.constantFrom(1, 1, 1, 1, 1, 3, 0, -1),
      backends: backends.map((list): Backend[] =>
        list.map((each) => ({ ...each, host: `127.0.0.${BACKENDS.indexOf(each.id) + 1}` })),
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      backend: fc.constantFrom(...BACKENDS, 'nobody'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('drain', 'close', 'close', 'close-all', 'close-all', 'abort-all'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort-flow' as const), of }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom(0, 1, 15, 16, 17, 99, 100) },
        { weight: 5, arbitrary: fc.integer({ min: 0, max: 20_000 }) },
        { weight: 1, arbitrary: fc.constantFrom(100_000, 2 ** 31, 2 ** 33, 1e12) },
      ),
      tick: fc.boolean(),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      late: fc.constantFrom(0, 0, 0, 1, 15, 300),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restore' as const) }) },
)

const CALM: Partial<UdpConfig> = {
  datagramBytesMax: BYTES_MAX + 52,
  flowsMax: 8,
  trustedProxies: TRUSTED,
}

/** A set of backends first, most of the time: without any, little happens. */
export const scripts: fc.Arbitrary<Script> = fc.record({
  config: change.map((drawn) => ({ ...CALM, ...drawn })),
  failOpen: fc.boolean(),
  extractor: fc.constantFrom<ExtractorKind>('none', 'none', 'none', 'network', 'full', 'payload'),
  strategy: fc.constantFrom<StrategyName>(
    'round_robin',
    'round_robin',
    'hrw',
    'maglev',
    'least_connections',
    'power_of_two',
  ),
  steps: fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.array(steps, { maxLength: 80, size: 'max' }))
    .map(([count, list]) => [firstSet(count), ...list]),
})

const firstSet = (count: number): ScriptStep => ({
  do: 'apply',
  version: 1,
  backends: BACKENDS.slice(0, count).map((id, at) => ({
    id,
    host: `127.0.0.${at + 1}`,
    port: 5300,
  })),
})

export const configOf = (config: Partial<UdpConfig>): UdpConfig => ({
  ...defaultUdpConfig,
  ...config,
})

/** Lends its result: the next call writes over it. */
export function extractorOf(
  kind: ExtractorKind,
): ((from: PackedAddress, payload: Uint8Array) => Uint8Array | undefined) | undefined {
  const lent = new Uint8Array(18)
  const octets = ({ a, b, c, d, port }: PackedAddress): void => {
    new DataView(lent.buffer).setInt32(0, a, true)
    new DataView(lent.buffer).setInt32(4, b, true)
    new DataView(lent.buffer).setInt32(8, c, true)
    new DataView(lent.buffer).setInt32(12, d, true)
    new DataView(lent.buffer).setUint16(16, port)
  }
  switch (kind) {
    case 'none':
      return undefined
    case 'network': // a /24, or a /120
      return (from) => {
        octets(from)
        return lent.subarray(0, 15)
      }
    case 'full':
      return (from) => {
        octets(from)
        return lent
      }
    case 'payload': // as a protocol with connection ids would; up to 19 octets, one too many
      return (_from, payload) => {
        const first = payload[0]
        if (first === undefined || first % 5 === 0) return undefined
        if (first % 11 === 0) return new Uint8Array(19).fill(first)
        lent.fill(first % 3)
        return lent.subarray(0, first % 4)
      }
  }
}
