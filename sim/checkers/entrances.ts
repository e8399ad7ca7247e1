/**
 * The way in, judged by what each client really said: it goes to the route its name is for, with every
 * byte it sent, under the name its proxy gave it; who is refused is refused for what was so.
 */

import { addressKey } from '../../core/net/address.ts'
import { unpackAddress } from '../../core/net/packed-address.ts'
import type { SocketRoute } from '../../core/node/commands.ts'
import { HTTP_DOORWAY } from '../../core/node/listener-config.ts'
import type { EntranceCommand, EntranceRefusal } from '../../core/stream/entrance/commands.ts'
import type { EntranceRoute } from '../../core/stream/entrance/config.ts'
import type { EntranceEvent, Peers } from '../../core/stream/entrance/events.ts'
import { type Arrival, type Arrivals, announces } from '../faults/arrivals.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import { isFor } from './ports/wanted.ts'

export class Entrances implements Checker {
  readonly name = 'entrances'

  onEntrance(
    arrivals: Arrivals,
    event: EntranceEvent,
    commands: readonly EntranceCommand[],
    world: World,
  ): void {
    arrivals.entrance.checkInvariants()
    const deadline = arrivals.entrance.deadline()
    if (event.type === 'tick' && deadline !== undefined && deadline <= world.nodeNow()) {
      world.fail(this.name, `socket ${arrivals.socket} wants another tick at once`)
    }
    const over = new Set<number>()
    for (const command of commands) {
      const arrival = arrivals.live.get(command.connection)
      if (arrival === undefined || over.has(command.connection)) {
        const { type, connection } = command
        return world.fail(this.name, `${type} for connection ${connection}, which is over`)
      }
      const why = this.whyWrong(arrivals, arrival, command, world)
      if (why !== undefined) world.fail(this.name, `client ${arrival.client} ${why}`)
      if (command.type === 'admit' || command.type === 'refuse') over.add(command.connection)
    }
    if (arrivals.closed && arrivals.live.size > over.size) {
      world.fail(this.name, `socket ${arrivals.socket} is closed and keeps clients waiting`)
    }
    if (event.type !== 'accepted' || over.has(event.connection)) return
    const most = arrivals.live.get(event.connection)?.config.greetingsMax ?? 0
    if (arrivals.live.size - over.size > most) {
      world.fail(this.name, `${arrivals.live.size} are on their way in, of ${most}`)
    }
  }

  /** Nobody keeps a place on the way in for ever. */
  atRest(world: World): void {
    const { greetingTimeoutMs } = world.options.entrance
    for (const { arrivals } of world.listeners.sockets.bound.values()) {
      for (const { client, acceptedAt } of arrivals?.live.values() ?? []) {
        const waitedMs = world.nodeNow() - acceptedAt
        if (waitedMs <= greetingTimeoutMs) continue
        world.fail(this.name, `client ${client} is on its way in for ${waitedMs} ms`)
      }
    }
  }

  private whyWrong(
    arrivals: Arrivals,
    arrival: Arrival,
    command: EntranceCommand,
    world: World,
  ): string | undefined {
    switch (command.type) {
      case 'read':
        return arrival.isReading ? 'is read twice' : undefined
      case 'hold':
        return arrival.isReading ? undefined : 'is held and was not read'
      case 'secure': {
        if (arrival.secure !== 'no') return 'is secured twice'
        const expected = arrival.wire.subarray(trustedEnd(arrival), arrival.read)
        return sameBytes(command.bytes, expected) ? undefined : 'loses bytes of its handshake'
      }
      case 'admit':
        return whyNotAdmitted(arrivals, arrival, command)
      case 'refuse':
        return whyNotRefused(arrivals, arrival, command.reason, world)
    }
  }
}

function whyNotAdmitted(
  { closed }: Arrivals,
  arrival: Arrival,
  { route, bytes, peers }: Extract<EntranceCommand, { type: 'admit' }>,
): string | undefined {
  if (closed) return 'is let in though the socket is closed'
  const refusal = refusalFor(arrival)
  if (refusal !== undefined) return `is let in, not refused as ${refusal}`
  const chosen = routeFor(arrival)
  if (chosen?.id !== route) return `is led to ${route}, not to ${chosen?.id}`
  if (chosen.tls === 'terminate' && arrival.secure !== 'done') return 'is let in without TLS'
  if (looksAtNames(arrival) && arrival.read < arrival.helloEnd) return 'is led before it asked'
  const from = chosen.tls === 'terminate' ? arrival.helloEnd : trustedEnd(arrival)
  if (arrival.read < from) return 'is let in before its header was there'
  if (!sameBytes(bytes, arrival.wire.subarray(from, arrival.read)))
    return 'loses bytes on the way in'
  return whyOtherPeers(arrival, peers)
}

function whyOtherPeers(arrival: Arrival, peers: Peers | undefined): string | undefined {
  const { header } = arrival.plan.greeting
  const isAnnounced = isTrusted(arrival) && announces(header)
  const expected = isAnnounced ? arrival.announced : arrival.isTold ? arrival.peers : undefined
  if (expected === undefined)
    return peers === undefined ? undefined : 'gets an address from nowhere'
  if (peers === undefined) return 'loses its address'
  const isSame =
    keyOf(peers.source) === keyOf(expected.source) &&
    keyOf(peers.destination) === keyOf(expected.destination)
  return isSame ? undefined : `is taken for ${keyOf(peers.source)}, not ${keyOf(expected.source)}`
}

function whyNotRefused(
  arrivals: Arrivals,
  arrival: Arrival,
  reason: EntranceRefusal,
  world: World,
): string | undefined {
  const { greetingsMax, greetingTimeoutMs } = arrival.config
  const waitedMs = world.nodeNow() - arrival.acceptedAt
  const isSo: Record<EntranceRefusal, boolean> = {
    'entrance-full': arrivals.live.size > greetingsMax,
    'greeting-timeout': waitedMs >= greetingTimeoutMs,
    'proxy-header': refusalFor(arrival) === 'proxy-header',
    'not-tls': refusalFor(arrival) === 'not-tls',
    'no-route': refusalFor(arrival) === 'no-route',
    handshake: arrival.secure === 'failed',
    'client-gone': arrival.isOver,
    closing: arrivals.closed,
  }
  return isSo[reason] ? undefined : `is refused as ${reason} without reason`
}

// What is right --------------------------------------------------------------------------------

/** What becomes of it when it says all that it has to say. */
function refusalFor(arrival: Arrival): EntranceRefusal | undefined {
  const { greeting } = arrival.plan
  if (isTrusted(arrival) && BAD_HEADERS.has(greeting.header)) return 'proxy-header'
  if (!looksAtNames(arrival)) return undefined
  // What nobody we trust says in front is data, and no ClientHello.
  const isHello = greeting.tls === 'hello' && (isTrusted(arrival) || greeting.header === 'none')
  if (!isHello) return 'not-tls'
  return routeFor(arrival) === undefined ? 'no-route' : undefined
}

function routeFor({ use, plan }: Arrival): EntranceRoute | undefined {
  const routes = use.routes.map(entranceRoute)
  const [first, ...others] = routes
  const isLone = others.length === 0 && first !== undefined
  if (isLone && !looksAt(first)) return first
  const { serverName } = plan.greeting
  const named = routes.filter((route) => route.serverName !== undefined)
  const exact = named.find(
    ({ serverName: name }) => !name?.startsWith('*') && isFor(name, serverName),
  )
  const wild = named.find(
    ({ serverName: name }) => name?.startsWith('*') && isFor(name, serverName),
  )
  return exact ?? wild ?? routes.find((route) => route.serverName === undefined)
}

const entranceRoute = (route: SocketRoute): EntranceRoute =>
  'http' in route ? { id: HTTP_DOORWAY, tls: route.tls } : { id: route.listener, ...route }

const looksAtNames = ({ use: { routes } }: Arrival): boolean =>
  routes.length > 1 || (routes[0] !== undefined && looksAt(entranceRoute(routes[0])))

/** A lone route that is plain, or terminates and has no name, takes everybody. */
const looksAt = ({ tls, serverName }: EntranceRoute): boolean =>
  tls === 'passthrough' || (tls === 'terminate' && serverName !== undefined)

const isTrusted = ({ config, plan }: Arrival): boolean =>
  config.trustedProxies.length > 0 && plan.throughProxy

/** Where its own bytes begin. */
const trustedEnd = (arrival: Arrival): number => (isTrusted(arrival) ? arrival.headerEnd : 0)

const BAD_HEADERS: ReadonlySet<string> = new Set(['none', 'broken-v1', 'broken-v2'])

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at])

const keyOf = (address: Peers['source']): string => {
  const { ip, port } = unpackAddress(address)
  return `${addressKey(ip)} ${port}`
}
