import type { BackendGroup, BackendId, Member } from '../../balance/group.ts'
import { assert, type Instant } from '../../machine.ts'
import type { PackedAddress } from '../../net/packed-address.ts'
import type { Peers } from '../../stream/entrance/events.ts'
import type { DeadlineQueue } from '../../time/deadline-queue.ts'
import type { ExchangeOutcome, IngressCommand } from '../commands.ts'
import type { HttpListenerConfig, HttpRoute, IngressConfig, PortLimits } from '../config.ts'
import type { ClientId, HttpListenerId, PortId, UpstreamId, WhenEmpty } from '../events.ts'
import { addressText, trusts } from '../forward/client.ts'
import { Passage } from '../forward/passage.ts'
import { ChunkedReader } from '../framing/chunked.ts'
import type { HeadFault } from '../head/fault.ts'
import type { Fields } from '../head/fields.ts'
import type { Latin1 } from '../head/latin1.ts'
import type { HeadLimits } from '../head/lines.ts'
import { type RequestHead, RequestReader } from '../head/request.ts'
import { ResponseReader } from '../head/response.ts'
import type { RouteTable } from '../routes/table.ts'
import type { IngressCounters, ListenerCounters } from './counters.ts'

export type Out = IngressCommand[]
export interface IngressState {
  config: IngressConfig
  readonly latin1: Latin1
  readonly seed: number
  readonly ports: Map<PortId, Port>
  readonly clients: Map<ClientId, Client>
  readonly upstreams: Map<UpstreamId, Upstream>
  readonly listeners: Map<HttpListenerId, Listener>
  /** Answers for ACME, by token. */
  readonly challenges: Map<string, string>
  /** At most one for each client, idle upstream (by the negative of its number) and listener. */
  readonly timers: DeadlineQueue<number | string>
  /** Work too big for one step: each call does a bounded part, and says whether there was any. */
  readonly chores: ((now: Instant, out: Out) => boolean)[]
  /** When to go on with it. */
  goOnAt: Instant | undefined
  upstreamLast: number
  /** In front of the numbers of requests. */
  readonly idPrefix: string
  /** Of requests, for their ids. */
  requestLast: number
  heldCount: number
  /** What held requests and what follows them take. */
  heldBytes: number
  readonly counters: IngressCounters
}

export interface Port {
  number: number
  routes: RouteTable
  /** As it was told; undefined: those of the configuration. */
  told: PortLimits | undefined
  limits: PortLimits & HeadLimits
  /** Its connections end with their exchanges. */
  isClosing: boolean
  /** Its connections of HTTP/1.1. */
  readonly clients: Set<Client>
}

export interface Listener {
  readonly id: HttpListenerId
  config: HttpListenerConfig
  /** Of heads of answers. */
  limits: HeadLimits
  /** Its strategy asks who the client is. */
  usesKeys: boolean
  phase: 'open' | 'closed' | 'aborting'
  readonly group: BackendGroup
  /** By the index of their members. */
  readonly targets: (Target | undefined)[]
  whenEmpty: WhenEmpty
  /** Waiting for a backend, the first come first. */
  readonly held: Set<Client>
  wantedSaid: boolean
  idleSaid: boolean
  /** When it was used last. */
  usedAt: Instant
  timerAt: Instant
  /** Exchanges and tunnels, held ones included. */
  live: number
  tunnels: number
  /** Idle connections to all its backends. */
  idle: number
  readonly counters: ListenerCounters
}

/** What goes to one backend. */
export interface Target {
  readonly member: Member
  /** Idle connections, a list. */
  newest: Upstream | undefined
  idle: number
  /** Exchanges that were given it, a list: as many as it has lives. */
  first: Client | undefined
  /** Connections and answers that failed. */
  failures: number
}

/** What must happen next to a client: one of these, each for itself, so that they are numbers. */
export const READY = 0 // for a request
export const IN_HEAD = 1 // a part of one came
export const HELD = 2 // there is no backend for it
export const CONNECTING = 3
export const ASKING = 4 // it is sent, or being sent; the head of the answer is awaited
export const ANSWERING = 5 // the head of the answer is written
export const DELIVERING = 6 // all of it is written, and waits in memory
export const TUNNEL = 7
export const CLOSING = 8 // no more is written
export const GONE = 9

/** By name. */
export const STAGE = {
  ready: READY,
  head: IN_HEAD,
  held: HELD,
  connecting: CONNECTING,
  asking: ASKING,
  answering: ANSWERING,
  delivering: DELIVERING,
  tunnel: TUNNEL,
  closing: CLOSING,
  gone: GONE,
} as const
export type Stage = (typeof STAGE)[keyof typeof STAGE]

/** By stage: the bits of those that may follow. */
export const LEGAL_STAGES: readonly number[] = [
  0b11_0101_1111, // ready: most heads come whole
  0b11_0101_1111, // head
  0b11_0101_1001, // held
  0b11_0101_1101, // connecting: to another backend, perhaps
  0b11_1111_1101, // asking: likewise
  0b11_0100_0001, // answering
  0b11_0000_0001, // delivering
  0b10_0000_0000, // tunnel
  0b10_0000_0000, // closing
  0, // gone
]

export function enter(client: Client, stage: Stage): void {
  assert((LEGAL_STAGES[client.stage]! & (1 << stage)) !== 0, 'an illegal stage follows')
  client.stage = stage
}

/** A client connection of HTTP/1.1 with the exchange that is on it, or a stream of HTTP/2. */
export class Client {
  readonly id: ClientId
  readonly port: Port
  readonly peers: Peers
  readonly config: IngressConfig
  readonly isSecure: boolean
  /** Of HTTP/1.1; a stream has none. */
  readonly reader: RequestReader | undefined
  readonly isStream: boolean
  /** Of the peer, which is no trusted proxy; or whom that one speaks for. */
  address: PackedAddress
  readonly trustsPeer: boolean
  readonly passage = new Passage()
  stage: Stage = READY
  /** Requests that began. */
  requests = 0
  /** Bytes that were read and wait: `queue` from `queueFrom` to `queueTo`. */
  queue: Uint8Array | undefined = undefined
  queueFrom = 0
  queueTo = 0
  isPaused = false
  isBlocked = false
  hasEnded = false
  /** The connection ends with the exchange. */
  mustClose = false
  /** The kernel took all, and the end. */
  isFinished = false
  /** Of a tunnel: its end went on. */
  endsUpstream = false
  /** After its end, it may send what nobody reads. */
  lingers = false
  /** When its time is over, and when its timer fires, which is never later. */
  dueAt: Instant = NEVER
  timerAt: Instant = NEVER

  // of the exchange
  head: RequestHead | undefined = undefined
  /** It stays from one exchange to the next, which is often for the same. */
  route: HttpRoute | undefined = undefined
  routeName = ''
  hasRoute = false
  /** Of the exchange that is written, and not taken yet. */
  outcome: ExchangeOutcome = 'done'
  listener: Listener | undefined = undefined
  /** Of the listener, as it was when the exchange began; it stays until the next one. */
  settings: HttpListenerConfig | undefined = undefined
  target: Target | undefined = undefined
  before: Client | undefined = undefined
  after: Client | undefined = undefined
  upstream: Upstream | undefined = undefined
  tried: readonly BackendId[] = NONE_TRIED
  retries = 0
  /** It went to the same backend again, as the HTTP/2 session with it was going away. */
  wasRepeated = false
  /** Of the body of the request, to come: a length, `CHUNKED` or `END_DUE`. */
  left = 0
  chunks: ChunkedReader | undefined = undefined
  /** Of the body of the request: bytes that went on. */
  moved = 0
  /** Those of a stream that wait for the end of its body. */
  trailers: Fields | undefined = undefined
  /** The body of the answer is written in chunks. */
  writesChunks = false
  /** Of the final answer. */
  status = 0
  /** Why the request cannot be read. */
  fault: HeadFault | undefined = undefined
  backend: BackendId | undefined = undefined
  /** Of the body of the answer: bytes that went on. */
  bytesOut = 0
  beganAt: Instant = 0
  headAt: Instant = -1
  chosenAt: Instant = -1
  sentAt: Instant = -1
  answeredAt: Instant = -1
  /** When it has taken too long. */
  totalAt: Instant = NEVER
  /** What it counts for among those that are held. */
  heldBytes = 0

  constructor(
    state: IngressState,
    id: ClientId,
    port: Port,
    peers: Peers,
    isSecure: boolean,
    isStream: boolean,
  ) {
    this.id = id
    this.port = port
    this.peers = peers
    this.config = state.config
    this.isSecure = isSecure
    this.isStream = isStream
    this.reader = isStream ? undefined : new RequestReader(state.latin1)
    this.address = peers.source
    this.trustsPeer = trusts(state.config.trustedProxies, peers.source)
    const { passage } = this
    passage.scheme = isSecure ? 'https' : 'http'
    passage.pseudonym = state.config.pseudonym
    passage.peerAddress = addressText(peers.source)
    passage.clientAddress = passage.peerAddress
    passage.isTrusted = this.trustsPeer
  }
}

/** A connection to a backend, or a stream of HTTP/2 to it. */
export class Upstream {
  readonly id: UpstreamId
  readonly listener: Listener
  readonly target: Target
  /** Of HTTP/1.1; a stream has none. */
  readonly reader: ResponseReader | undefined
  /** Whose exchange it is for; without one it is idle. */
  client: Client | undefined
  isConnected = false
  /** It has carried an exchange before this one. */
  isReused = false
  /** Something of an answer came. */
  hasAnswered = false
  isBlocked = false
  isPaused = false
  hasEnded = false
  isFinished = false
  /** Of the body of the answer, to come: a length, `CHUNKED`, `UNTIL_CLOSE` or `END_DUE`. */
  left = 0
  chunks: ChunkedReader | undefined = undefined
  /** Of the body of the answer: bytes that went on. */
  moved = 0
  /** The body of the request is written in chunks. */
  writesChunks = false
  /** It may carry another exchange, for so long. */
  keepMs = 0
  idleAt: Instant = 0
  dueAt: Instant = NEVER
  timerAt: Instant = NEVER
  newer: Upstream | undefined = undefined
  older: Upstream | undefined = undefined

  constructor(state: IngressState, client: Client, listener: Listener, target: Target) {
    this.id = ++state.upstreamLast as UpstreamId
    this.listener = listener
    this.target = target
    this.client = client
    this.reader = client.settings!.backend === 'h2c' ? undefined : new ResponseReader(state.latin1)
  }
}

/** Made when it is needed first. */
export function freshChunks(state: IngressState, owner: Client | Upstream): void {
  if (owner.chunks === undefined) owner.chunks = new ChunkedReader(state.latin1)
  else owner.chunks.reset()
}

/** Of a stream's body: all of it came, of the length it told; trailers may follow. */
export const END_DUE = -4

/** All of the body of its request is there. */
export const isAsked = ({ left }: Client): boolean => left === 0 || left === END_DUE

/** An instant that does not come, and a limit that is none. */
export const NEVER = Number.POSITIVE_INFINITY
export const NONE_TRIED: readonly BackendId[] = []
