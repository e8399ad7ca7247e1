/** An entrance beside a world of clients that do what they like, told by any legal shell. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EntranceCommand, EntranceRefusal } from '../../../../core/stream/entrance/commands.ts'
import type { EntranceConfig } from '../../../../core/stream/entrance/config.ts'
import { StreamEntrance } from '../../../../core/stream/entrance/entrance.ts'
import type { EntranceEvent, Peers } from '../../../../core/stream/entrance/events.ts'
import { checkInvariants } from '../../../../core/stream/entrance/invariants.ts'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { bytesOf, helloFor } from './hellos.ts'
import {
  behindProxy,
  CLIENT,
  HEADER,
  HELLO,
  LINE,
  LONE_TLS,
  NAMES,
  NAMES_AND_REST,
  PLAIN,
  PROXY,
  QUERY,
  STRANGER,
} from './rows.ts'

const CONFIGS = [NAMES, NAMES_AND_REST, PLAIN, LONE_TLS].flatMap((each) => [
  each,
  behindProxy(each),
])

/** What a client begins with, and who it says it is for. */
const HEADERS: readonly { readonly bytes: Uint8Array; readonly announced?: Peers }[] = [
  { bytes: bytesOf() },
  { bytes: LINE, announced: CLIENT },
  { bytes: HEADER, announced: CLIENT },
  { bytes: bytesOf('PROXY UNKNOWN\r\n') },
  { bytes: bytesOf('PROXY nonsense\r\n') },
]
const HELLOS = [HELLO, helloFor('b.example'), helloFor('else.where'), QUERY, bytesOf()]
const PEERS = [undefined, PROXY, STRANGER]

interface Client {
  readonly id: ConnectionId
  readonly peers: Peers | undefined
  readonly bytes: Uint8Array
  /** Where its header ends, if it is to have one. */
  readonly payloadAt: number
  /** Who it is, when it is let in. */
  readonly known: Peers | undefined
  readonly deadline: number
  /** Of the entrance when it came. */
  readonly config: EntranceConfig
  sent: number
  isRead: boolean
  isSecuring: boolean
  hasEnded: boolean
  hasFailed: boolean
  outcome: EntranceCommand | undefined
}

const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('accept' as const),
      peers: fc.constantFrom(...PEERS),
      header: fc.constantFrom(...HEADERS),
      hello: fc.constantFrom(...HELLOS),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      pick: fc.nat(50),
      bytes: fc.constantFrom(1, 7, 60, 400),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom(
        'ended' as const,
        'errored' as const,
        'secured' as const,
        'secured' as const,
        'secure-failed' as const,
      ),
      pick: fc.nat(50),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.nat(4_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('configure' as const), config: fc.nat(7) }),
  },
)

type Action = typeof action extends fc.Arbitrary<infer Each> ? Each : never

class World {
  readonly entrance: StreamEntrance
  readonly clients = new Map<ConnectionId, Client>()
  now = 0
  #config: EntranceConfig
  #isClosed = false

  constructor(config: number) {
    this.#config = { ...CONFIGS[config]!, greetingsMax: 4 }
    this.entrance = new StreamEntrance(this.#config)
  }

  run(step: Action): void {
    switch (step.type) {
      case 'accept':
        return this.#accept(step.peers, step.header, step.hello)
      case 'send': {
        const client = this.#nth(step.pick, ({ isRead, hasEnded }) => isRead && !hasEnded)
        if (client === undefined || client.sent === client.bytes.length) return
        const bytes = client.bytes.slice(client.sent, client.sent + step.bytes)
        client.sent += bytes.length
        return this.step({ type: 'data', connection: client.id, bytes })
      }
      case 'ended':
      case 'errored': {
        // Also of clients that are through: news that was on its way.
        const client = this.#nth(step.pick, ({ hasEnded }) => !hasEnded)
        if (client === undefined) return
        client.hasEnded = true
        return this.step({ type: step.type, connection: client.id })
      }
      case 'secured':
      case 'secure-failed': {
        const client = this.#nth(step.pick, ({ isSecuring }) => isSecuring)
        if (client === undefined) return
        client.isSecuring = false
        const { id: connection } = client
        if (step.type === 'secured') return this.step({ type: 'secured', connection })
        client.hasFailed = true
        return this.step({ type: 'secure-failed', connection, reason: 'no shared cipher' })
      }
      case 'wait':
        this.now += step.ms
        return this.step({ type: 'tick' })
      case 'configure':
        this.#config = { ...CONFIGS[step.config]!, greetingsMax: 4 }
        return this.step({ type: 'configure', config: this.#config })
    }
  }

  close(): void {
    this.#isClosed = true
    this.step({ type: 'close' })
  }

  step(event: EntranceEvent): void {
    const { entrance } = this
    const out: EntranceCommand[] = []
    entrance.step(event, this.now, out)
    checkInvariants(entrance)
    for (const command of out) this.#apply(command, this.clients.get(command.connection)!)
    const open = [...this.clients.values()].filter(({ outcome }) => outcome === undefined)
    expect(entrance.connections).toBe(open.length)
    expect(open.length).toBeLessThanOrEqual(4)
    if (event.type !== 'tick') return
    for (const { deadline } of open) expect(deadline).toBeGreaterThan(this.now)
    const next = entrance.deadline()
    if (next !== undefined) expect(next).toBeGreaterThan(this.now)
  }

  #accept(
    peers: Peers | undefined,
    { bytes: header, announced }: (typeof HEADERS)[number],
    hello: Uint8Array,
  ): void {
    const { trustedProxies, greetingTimeoutMs } = this.#config
    const isTrusted = trustedProxies.length > 0 && peers === PROXY
    const id = (this.clients.size + 1) as ConnectionId
    this.clients.set(id, {
      id,
      peers,
      bytes: bytesOf(header, hello, 'the rest'),
      payloadAt: isTrusted ? header.length : 0,
      known: isTrusted ? (announced ?? peers) : peers,
      deadline: this.now + greetingTimeoutMs,
      config: this.#config,
      sent: 0,
      isRead: false,
      isSecuring: false,
      hasEnded: false,
      hasFailed: false,
      outcome: undefined,
    })
    const event = { type: 'accepted', connection: id } as const
    this.step(peers === undefined ? event : { ...event, peers })
  }

  #apply(command: EntranceCommand, client: Client): void {
    expect(client.outcome, `${command.type} for a client that is through`).toBeUndefined()
    switch (command.type) {
      case 'read':
        expect(client.isRead || client.sent > 0, 'read once').toBe(false)
        client.isRead = true
        return
      case 'hold':
        expect(client.isRead, 'held while it is read').toBe(true)
        client.isRead = false
        return
      case 'secure':
        expect(client.isRead, 'nothing is read beside the handshake').toBe(false)
        expect(command.bytes).toEqual(client.bytes.slice(client.payloadAt, client.sent))
        client.isSecuring = true
        client.sent = client.payloadAt // what was read is part of the handshake
        return
      case 'admit':
        return this.#admitted(command, client)
      case 'refuse':
        client.outcome = command
        expect(POSSIBLE[command.reason](client, this.now, this.#isClosed), command.reason).toBe(
          true,
        )
        client.isRead = false
        if (command.bytes.length > 0) expect(command.reset, 'an alert is to arrive').toBe(false)
    }
  }

  #admitted(command: Extract<EntranceCommand, { type: 'admit' }>, client: Client): void {
    client.outcome = command
    expect(client.isRead || client.isSecuring, 'at rest').toBe(false)
    expect(this.#isClosed).toBe(false)
    const route = client.config.routes.find(({ id }) => id === command.route)!
    if (route.tls === 'terminate') expect(command.bytes.length).toBe(0)
    else expect(command.bytes).toEqual(client.bytes.slice(client.payloadAt, client.sent))
    expect(command.peers).toEqual(client.known)
  }

  #nth(pick: number, matches: (client: Client) => boolean): Client | undefined {
    const all = [...this.clients.values()].filter(matches)
    return all[pick % all.length]
  }
}

/** When a refusal may happen at all. */
const POSSIBLE: Record<
  EntranceRefusal,
  (client: Client, now: number, isClosed: boolean) => boolean
> = {
  'entrance-full': ({ sent }) => sent === 0,
  'greeting-timeout': ({ deadline }, now) => now >= deadline,
  'proxy-header': ({ peers, sent }) => peers === PROXY && sent > 0,
  'not-tls': ({ sent }) => sent > 0,
  'no-route': ({ sent }) => sent > HELLO.length / 2,
  handshake: ({ hasFailed }) => hasFailed,
  'client-gone': ({ hasEnded }) => hasEnded,
  closing: (_client, _now, isClosed) => isClosed,
}

test('invariants hold, every client is let in or refused once, with its bytes and its peers', () => {
  fc.assert(
    fc.property(
      fc.nat(7),
      fc.array(action, { maxLength: 80 }),
      fc.boolean(),
      (config, all, closes) => {
        const world = new World(config)
        for (const step of all) world.run(step)
        if (closes) world.close()
        // No more events, only time: everybody is through.
        for (let ticks = 0; world.entrance.deadline() !== undefined; ticks++) {
          expect(ticks).toBeLessThan(10)
          world.now = world.entrance.deadline()!
          world.step({ type: 'tick' })
        }
        expect(world.entrance.isEmpty).toBe(true)
        const { accepted, admitted, refused } = world.entrance.counters
        const outcomes = [...world.clients.values()].map(({ outcome }) => outcome)
        expect(accepted).toBe(outcomes.length)
        expect(admitted).toBe(outcomes.filter((each) => each?.type === 'admit').length)
        for (const [reason, count] of Object.entries(refused)) {
          const ones = outcomes.filter((each) => each?.type === 'refuse' && each.reason === reason)
          expect(count, reason).toBe(ones.length)
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('bytes of any kind never make it throw, nor keep more than it may', () => {
  const beginnings = fc.constantFrom(bytesOf(), LINE, HEADER.subarray(0, 13), HELLO.subarray(0, 50))
  const pieces = fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 12 })
  fc.assert(
    fc.property(
      fc.nat(7),
      fc.constantFrom(...PEERS),
      beginnings,
      pieces,
      (config, peers, begin, all) => {
        const entrance = new StreamEntrance(CONFIGS[config]!)
        const connection = 1 as ConnectionId
        const out: EntranceCommand[] = []
        const event = { type: 'accepted', connection } as const
        entrance.step(peers === undefined ? event : { ...event, peers }, 0, out)
        for (const bytes of [begin, ...all]) {
          const last = out.at(-1)
          if (last?.type !== 'read') break
          entrance.step({ type: 'data', connection, bytes }, 0, out)
          checkInvariants(entrance) // which knows what may be kept
        }
      },
    ),
    { numRuns: 1000 },
  )
})
