/** People who use what the node serves: they connect to addresses, and come in where somebody listens. */

import type { Instant } from '../../core/machine.ts'
import type { PackedAddress } from '../../core/net/packed-address.ts'
import type { PortNamespace } from '../../core/publish/claim.ts'
import type { SocketId } from '../../core/publish/events.ts'
import type { Newcomer } from '../faults/arrivals.ts'
import { covers } from '../faults/host-ports.ts'
import { listenersOf, type SimSocket, type Target, targetsOf } from '../faults/sockets.ts'
import type { ClientPlan } from '../faults/streams.ts'
import type { World } from '../world.ts'
import { type Greeting, PLAIN, packed } from './greetings.ts'

export interface ClientOptions {
  /** Mean time between two arrivals; 0: nobody comes. */
  readonly everyMs: number
  /** A program thinks at most so long. */
  readonly thinkMsMax: number
  /** Of a hundred clients, so many ask for something that takes a hundred times as long. */
  readonly patientPercent: number
  readonly bytesMax: number
  /** Of a hundred clients, so many leave before they have their answer. */
  readonly hastyPercent: number
  /** Of a hundred clients, so many stop in the middle of what they say first. */
  readonly stallsPercent: number
  /** Of a hundred clients, so many say first what nobody understands. */
  readonly rudePercent: number
  /** Live connections at one time; nobody comes beyond. */
  readonly liveMax: number
}

/** The way a client came. */
export interface Via extends Asked {
  readonly namespace: PortNamespace
  readonly address: string
  readonly port: number
  readonly socket: SocketId
  /** When it was accepted, on the world's clock. */
  readonly at: Instant
}

/** Whom a client says it comes for. */
export interface Asked {
  /** By TLS. */
  readonly serverName: string | undefined
  /** By HTTP: host and path, as `requestFor` has them. */
  readonly request: string | undefined
}

/** How a visit ended. */
export type Outcome = string

export class Clients {
  private readonly world: World
  private readonly options: ClientOptions
  private readonly visits = new Map<number, (outcome: Outcome) => void>()
  private count = 0

  constructor(world: World, options: ClientOptions) {
    this.world = world
    this.options = options
  }

  begin(): void {
    if (this.options.everyMs > 0) this.expectNext()
  }

  private expectNext(): void {
    const { everyMs } = this.options
    this.world.at(this.world.draws.clients.between(1, 2 * everyMs), () => {
      if (this.world.healed) return
      if (this.world.draws.clients.below(4) > 0) this.arrive()
      else this.send()
      this.expectNext()
    })
  }

  /** One client at a socket, if there is any; a program is to think so long, where that is said. */
  arrive(thinkMs?: number): void {
    const { world, options } = this
    const { clients: draw } = world.draws
    if (world.life === 'down') return
    const open = this.socketsOf('tcp')
    const served = open.filter(({ use }) => listenersOf(use).some((id) => this.isServed(id)))
    // Most go where they are served; the others find out that they are not.
    const sockets = draw.below(8) > 0 ? served : open
    if (sockets.length === 0) return
    const socket = draw.pick(sockets)
    if (socket.use.kind !== 'tcp') return
    const route = draw.pick(targetsOf(socket.use))
    const live = world.listeners.doors.get(route.listener)?.streams.live.size ?? 0
    if (live + (socket.arrivals?.live.size ?? 0) >= options.liveMax) return
    const drawn = this.drawPlan(socket, route)
    const plan = thinkMs === undefined ? drawn : stayingFor(thinkMs, drawn, route)
    const address = draw.pick(this.addressesOf(socket))
    this.connect(socket, address, plan, route.request)
  }

  /**
   * Somebody looks whether a place is served, and knows how to ask. `done` hears `answered`, or what
   * else became of it.
   */
  visit(
    namespace: PortNamespace,
    address: string,
    port: number,
    { serverName, request }: Asked,
    done: (outcome: Outcome) => void,
  ): void {
    const socket = this.world.listeners.sockets.at(namespace, address, port)
    if (socket === undefined) return done('nobody listens')
    const { use } = socket
    if (use.kind === 'udp') {
      this.count += 1
      this.visits.set(this.count, done)
      return this.ask(socket, address, this.count, 1)
    }
    if (use.kind !== 'tcp') return done(`it is for ${use.kind}`)
    const isTls = use.routes.some(({ tls }) => tls !== 'off')
    const greeting: Greeting = isTls ? { ...PLAIN, tls: 'hello', serverName } : PLAIN
    const plan: ClientPlan = { ...QUICK, greeting }
    this.connect(socket, address, plan, request, done)
  }

  /** One client at a UDP socket, if there is any; some come back. */
  private send(): void {
    const { world } = this
    if (world.life === 'down') return
    const open = this.socketsOf('udp')
    if (open.length === 0) return
    const { clients: draw } = world.draws
    const socket = draw.pick(open)
    const client = draw.below(3) === 0 ? draw.below(this.count + 1) : ++this.count
    this.ask(socket, draw.pick(this.addressesOf(socket)), client, draw.between(1, 3))
  }

  private ask(socket: SimSocket, address: string, client: number, requests: number): void {
    const { world } = this
    const { port } = socket.held
    const via: Via = {
      namespace: 'udp',
      address,
      port,
      serverName: undefined,
      request: undefined,
      socket: socket.id,
      at: world.now,
    }
    world.inNode(world.draws.clients.below(2), () => {
      const { datagrams, sockets } = world.listeners
      const { use } = sockets.bound.get(socket.id) ?? socket
      const door = use.kind === 'udp' ? datagrams.doors.get(use.listener) : undefined
      if (door === undefined) return this.gone(client, 'no table')
      datagrams.arrive(door, client, requests, via)
    })
  }

  // What becomes of them ----------------------------------------------------------------------

  /** Not let in. */
  turnedAway(client: number, why: string): void {
    this.world.trace.mark('client refused')
    this.world.change({ type: 'client-turned-away', client, why })
    this.gone(client, why)
  }

  gone(client: number, outcome: Outcome): void {
    const done = this.visits.get(client)
    this.visits.delete(client)
    done?.(outcome)
  }

  nodeDown(): void {
    this.visits.clear()
  }

  // Drawing them ------------------------------------------------------------------------------

  private connect(
    socket: SimSocket,
    address: string,
    plan: ClientPlan,
    request: string | undefined,
    done?: (outcome: Outcome) => void,
  ): void {
    const { world } = this
    const { clients: draw } = world.draws
    this.count += 1
    const client = this.count
    if (done !== undefined) this.visits.set(client, done)
    const { port } = socket.held
    const isIpv6 = address.includes(':')
    const from = sourceOf(client, isIpv6, networksOf(plan, done !== undefined))
    const peers = { source: from, destination: packed(address, port) }
    const isTold = done === undefined && draw.below(4) === 0 && !plan.throughProxy
    const via: Via = {
      namespace: 'tcp',
      address,
      port,
      serverName: plan.greeting.tls === 'hello' ? plan.greeting.serverName : undefined,
      request,
      socket: socket.id,
      at: world.now,
    }
    const newcomer: Newcomer = {
      client,
      plan,
      via,
      peers,
      isTold: !isTold,
      announced: announcedFor(client, draw.below(2) === 0),
    }
    // Through the node's own queue: a paused node accepts nobody until it wakes. By then the socket
    // may be closed, and the client is one that the kernel had taken in before.
    world.inNode(draw.below(2), () => socket.arrivals?.accept(newcomer))
  }

  private drawPlan(socket: SimSocket, route: Target): ClientPlan {
    const { options } = this
    const draw = this.world.draws.clients
    const patient = draw.below(100) < options.patientPercent
    const thinkMs = draw.below(options.thinkMsMax + 1) * (patient ? 100 : 1)
    const trusted = socket.use.kind === 'tcp' && socket.use.acceptProxyProtocol.length > 0
    const throughProxy = trusted && draw.below(2) === 0
    return {
      requestBytes: draw.between(1, options.bytesMax),
      responseBytes: draw.between(1, options.bytesMax),
      thinkMs,
      halfCloses: draw.below(2) === 0,
      leavesAfterMs:
        draw.below(100) < options.hastyPercent ? draw.between(1, thinkMs + 10) : undefined,
      throughProxy,
      greeting: this.drawGreeting(route, throughProxy),
    }
  }

  private drawGreeting(route: Target, throughProxy: boolean): Greeting {
    const { options } = this
    const draw = this.world.draws.clients
    const isRude = (): boolean => draw.below(100) < options.rudePercent
    const isTls = route.tls !== 'off'
    const header = throughProxy
      ? isRude()
        ? draw.pick(['none', 'broken-v1', 'broken-v2'] as const)
        : draw.pick(['v1', 'v2', 'v2', 'local', 'unknown'] as const)
      : isRude()
        ? draw.pick(['v1', 'v2'] as const) // from nobody we trust: it is data
        : 'none'
    return {
      header,
      tls: isTls ? (isRude() ? draw.pick(['rubbish', 'none'] as const) : 'hello') : 'none',
      serverName: isRude() ? rudeName(draw.below(2)) : nameFor(route, draw.below(4)),
      pieceBytes: draw.pick([1, 9, 64, 200]),
      stallsAfter: draw.below(100) < options.stallsPercent ? draw.below(120) : undefined,
    }
  }

  private socketsOf(namespace: PortNamespace): SimSocket[] {
    return [...this.world.listeners.sockets.bound.values()].filter(
      ({ held, use }) => held.namespace === namespace && use.kind !== 'metrics',
    )
  }

  private isServed(listener: Target['listener']): boolean {
    const door = this.world.listeners.doors.get(listener)
    return door !== undefined && (door.inForce.size > 0 || door.whenEmpty === 'hold')
  }

  /** Of this machine, where one comes to that socket. */
  private addressesOf({ held }: SimSocket): readonly string[] {
    const own = [...this.world.ports.addresses].filter(
      (each) => this.world.ports.has(each) && covers(held, each),
    )
    return own.length > 0 ? own : [held.host]
  }
}

const rudeName = (how: number): string | undefined => (how === 0 ? undefined : 'nobody.test')

/** Somebody who knows how to ask, and waits for the answer. */
const stayingFor = (thinkMs: number, plan: ClientPlan, route: Target): ClientPlan => ({
  ...plan,
  thinkMs,
  leavesAfterMs: undefined,
  throughProxy: false,
  greeting: route.tls === 'off' ? PLAIN : { ...PLAIN, tls: 'hello', serverName: nameFor(route, 1) },
})

/** As a client writes the name it asks for. */
function nameFor({ serverName }: Target, how: number): string {
  const name = serverName?.replace('*', 'www') ?? 'else.test'
  return how === 0 ? name.toUpperCase() : name
}

const sourceOf = (client: number, isIpv6: boolean, network: Networks): PackedAddress => {
  const last = 1 + (client % 200)
  return packed(isIpv6 ? `${network.ipv6}${last.toString(16)}` : `${network.ipv4}${last}`, 9_000)
}

const networksOf = ({ throughProxy }: ClientPlan, isVisitor: boolean): Networks =>
  isVisitor ? VISITOR_NETWORKS : throughProxy ? TRUSTED_NETWORKS : CLIENT_NETWORKS

const announcedFor = (client: number, isIpv6: boolean): Newcomer['announced'] => ({
  source: packed(isIpv6 ? `2001:db8:5::${1 + (client % 99)}` : `203.0.113.${1 + (client % 99)}`, 7),
  destination: packed(isIpv6 ? '2001:db8:6::1' : '198.51.100.1', 443),
})

type Networks = Readonly<Record<'ipv4' | 'ipv6', string>>
const CLIENT_NETWORKS: Networks = { ipv4: '10.1.0.', ipv6: 'fd01::' }
/** No policy governs those who look whether a place is served. */
const VISITOR_NETWORKS: Networks = { ipv4: '10.2.0.', ipv6: 'fd02::' }
const TRUSTED_NETWORKS: Networks = { ipv4: '10.9.0.', ipv6: 'fd09::' }
/** Whom files trust to say who a client is. */
export const TRUSTED_PROXIES: readonly string[] = ['10.9.0.0/16', 'fd09::/64']

const QUICK: Omit<ClientPlan, 'greeting'> = {
  requestBytes: 4,
  responseBytes: 4,
  thinkMs: 1,
  halfCloses: false,
  leavesAfterMs: undefined,
  throughProxy: false,
}
