/**
 * The way in of one connection: arrived -> header -> hello -> handshake -> over, without the stages
 * it does not need. A client is read no further than a route is known: what comes after is the
 * kernel's until the route's listener has an upstream for it.
 */
import { assert, type Instant } from '../../machine.ts'
import { inPrefix } from '../../net/packed-address.ts'
import { readProxyLine } from '../../net/proxy-v1.ts'
import { type ProxyHeader, proxyHeaderLength, readProxyHeader } from '../../net/proxy-v2.ts'
import { ClientHelloReader } from './client-hello.ts'
import type { EntranceCommand, EntranceRefusal } from './commands.ts'
import type { EntranceConfig, EntranceRoute } from './config.ts'
import type { EntranceEvent, Peers } from './events.ts'
import { routeFor } from './routes.ts'
import { type EntranceState, enterStage, type Greeting, isRead } from './state.ts'

type Out = EntranceCommand[]
type Event<T extends EntranceEvent['type']> = Extract<EntranceEvent, { type: T }>

export function onAccepted(
  state: EntranceState,
  { connection, peers }: Event<'accepted'>,
  now: Instant,
  out: Out,
): void {
  const { door, greetings, counters } = state
  assert(!greetings.has(connection), 'a connection number is used once')
  counters.accepted += 1
  const greeting: Greeting = {
    id: connection,
    door,
    peers,
    stage: ARRIVED,
    bytes: NOTHING,
    length: 0,
  }
  if (state.phase === 'closed') return refuse(state, greeting, 'closing', out)
  const isTrusted = peers !== undefined && isTrustedProxy(door.config, peers)
  if (!isTrusted && door.only?.tls === 'off') {
    return takeRoute(state, greeting, door.only, 0, undefined, out)
  }
  const isFull = greetings.size >= door.config.greetingsMax
  if (isFull) return refuse(state, greeting, 'entrance-full', out)
  greetings.set(connection, greeting)
  state.timers.set(connection, now + door.config.greetingTimeoutMs)
  if (!isTrusted) return afterHeader(state, greeting, 0, out)
  enterStage(greeting, { type: 'header' })
  out.push({ type: 'read', connection })
}

export function onData(state: EntranceState, { connection, bytes }: Event<'data'>, out: Out): void {
  const greeting = state.greetings.get(connection)
  if (greeting === undefined) return
  assert(isRead(greeting), `no data comes from a client at its ${greeting.stage.type}`)
  if (state.phase === 'closed') return refuse(state, greeting, 'closing', out)
  append(greeting, bytes)
  if (greeting.stage.type === 'header') readHeader(state, greeting, out)
  else readHello(state, greeting, out)
}

/** The client ended or broke: there is nobody to let in. */
export function onGone(
  state: EntranceState,
  { connection }: Event<'ended' | 'errored'>,
  out: Out,
): void {
  const greeting = state.greetings.get(connection)
  if (greeting !== undefined) refuse(state, greeting, 'client-gone', out)
}

export function onSecured(state: EntranceState, { connection }: Event<'secured'>, out: Out): void {
  const greeting = state.greetings.get(connection)
  if (greeting === undefined) return // refused meanwhile
  const { stage } = greeting
  assert(stage.type === 'handshake', `nothing was to be secured at the ${stage.type}`)
  if (state.phase === 'closed') return refuse(state, greeting, 'closing', out)
  state.counters.secured += 1
  admit(state, greeting, stage.route, NOTHING, out)
}

export function onSecureFailed(
  state: EntranceState,
  { connection }: Event<'secure-failed'>,
  out: Out,
): void {
  const greeting = state.greetings.get(connection)
  if (greeting === undefined) return
  const { type } = greeting.stage
  assert(type === 'handshake', `nothing was to be secured at the ${type}`)
  refuse(state, greeting, 'handshake', out)
}

export function refuse(
  state: EntranceState,
  greeting: Greeting,
  reason: EntranceRefusal,
  out: Out,
): void {
  leave(state, greeting)
  state.counters.refused[reason] += 1
  const bytes = reason === 'no-route' ? UNRECOGNIZED_NAME : NOTHING
  out.push({ type: 'refuse', connection: greeting.id, reason, reset: IS_RESET[reason], bytes })
}

const isTrustedProxy = ({ trustedProxies }: EntranceConfig, { source }: Peers): boolean =>
  trustedProxies.some((prefix) => inPrefix(prefix, source))

/** Into room that doubles: what comes byte by byte costs no more than the bytes. */
function append(greeting: Greeting, more: Uint8Array): void {
  const { bytes, length } = greeting
  greeting.length = length + more.length
  if (length === 0) {
    greeting.bytes = more // nearly always all there will be
    return
  }
  if (greeting.length > bytes.length) {
    greeting.bytes = new Uint8Array(Math.max(greeting.length, 2 * length, ROOM_BYTES_MIN))
    greeting.bytes.set(bytes.subarray(0, length))
  }
  greeting.bytes.set(more, length)
}

function readHeader(state: EntranceState, greeting: Greeting, out: Out): void {
  const header = headerIn(greeting.bytes.subarray(0, greeting.length))
  if (header === 'partial') return
  if (header === 'malformed') return refuse(state, greeting, 'proxy-header', out)
  state.counters.proxyHeaders += 1
  greeting.peers = header.announced ?? greeting.peers
  afterHeader(state, greeting, header.length, out)
}

/** Of either version: their first bytes differ. A trusted proxy that sends none is misconfigured. */
function headerIn(bytes: Uint8Array): 'partial' | 'malformed' | ProxyHeader {
  const length = proxyHeaderLength(bytes)
  if (length === 'partial') return 'partial'
  if (length === 'none') {
    const line = readProxyLine(bytes)
    return line === 'none' ? 'malformed' : line
  }
  if (length > PROXY_HEADER_BYTES_MAX) return 'malformed'
  if (length > bytes.length) return 'partial'
  const header = readProxyHeader(bytes)
  return typeof header === 'string' || header.transport === 'dgram' ? 'malformed' : header
}

function afterHeader(state: EntranceState, greeting: Greeting, from: number, out: Out): void {
  const { only } = greeting.door
  if (only !== undefined) return takeRoute(state, greeting, only, from, undefined, out)
  if (!isRead(greeting)) out.push({ type: 'read', connection: greeting.id })
  enterStage(greeting, { type: 'hello', from, reader: new ClientHelloReader(from) })
  readHello(state, greeting, out)
}

function readHello(state: EntranceState, greeting: Greeting, out: Out): void {
  const { stage, bytes, length, door } = greeting
  assert(stage.type === 'hello', 'only a hello is looked for')
  const hello = stage.reader.read(bytes.subarray(0, length))
  if (hello === 'partial') return
  if (hello === 'invalid') return refuse(state, greeting, 'not-tls', out)
  const route = routeFor(door, hello.serverName)
  if (route === undefined) return refuse(state, greeting, 'no-route', out)
  takeRoute(state, greeting, route, stage.from, hello.serverName, out)
}

/** `from`: where the bytes begin that are the route's. */
function takeRoute(
  state: EntranceState,
  greeting: Greeting,
  route: EntranceRoute,
  from: number,
  serverName: string | undefined,
  out: Out,
): void {
  const { id: connection, length } = greeting
  const bytes = greeting.bytes.subarray(from, length)
  if (isRead(greeting)) out.push({ type: 'hold', connection })
  if (route.tls !== 'terminate') return admit(state, greeting, route.id, bytes, out)
  enterStage(greeting, { type: 'handshake', route: route.id })
  greeting.bytes = NOTHING // they are the shell's now
  greeting.length = 0
  if (serverName === undefined) out.push({ type: 'secure', connection, bytes })
  else out.push({ type: 'secure', connection, bytes, serverName })
}

function admit(
  state: EntranceState,
  greeting: Greeting,
  route: EntranceRoute['id'],
  bytes: Uint8Array,
  out: Out,
): void {
  const { id: connection, peers } = greeting
  leave(state, greeting)
  state.counters.admitted += 1
  if (peers === undefined) out.push({ type: 'admit', connection, route, bytes })
  else out.push({ type: 'admit', connection, route, bytes, peers })
}

function leave(state: EntranceState, greeting: Greeting): void {
  enterStage(greeting, OVER)
  state.greetings.delete(greeting.id)
  state.timers.cancel(greeting.id)
}

const ARRIVED = { type: 'arrived' } as const
const OVER = { type: 'over' } as const
const NOTHING = new Uint8Array(0)
const ROOM_BYTES_MIN = 1_024

/** Addresses take 52 bytes at most; the rest is for extensions, of which a few hundred bytes are usual. */
export const PROXY_HEADER_BYTES_MAX = 16 + 4_096

/** A fatal alert: unrecognized_name (RFC 6066, 3; RFC 8446, 6), in a record of its own. */
const UNRECOGNIZED_NAME = Uint8Array.of(21, 3, 3, 0, 2, 2, 112)

/** In order where the client is to get a last word, by us or by TLS, or has left by itself. */
const IS_RESET: Readonly<Record<EntranceRefusal, boolean>> = {
  'entrance-full': true,
  'greeting-timeout': true,
  'proxy-header': true,
  'not-tls': true,
  'no-route': false,
  handshake: false,
  'client-gone': false,
  closing: true,
}
