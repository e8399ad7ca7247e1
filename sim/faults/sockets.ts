/**
 * The simulated host ports of the node: sockets are bound, led elsewhere and closed as it orders, each
 * slowly if need be; what is answered comes late and twice, and a close can overtake a slow bind.
 */
import { type Attempt, unreachable } from '../../core/machine.ts'
import type { HttpRouteUse, SocketCommand, SocketUse } from '../../core/node/commands.ts'
import type { SocketEvent } from '../../core/node/events.ts'
import type { PortNamespace } from '../../core/publish/claim.ts'
import type { SocketId } from '../../core/publish/events.ts'
import type { ListenerId } from '../../core/services/identity.ts'
import type { Ratio } from '../prng.ts'
import type { World } from '../world.ts'
import { Arrivals } from './arrivals.ts'
import { addressOf, type Held, labelOf, type Place } from './host-ports.ts'
import type { ListenerFaults } from './listeners.ts'

/** A socket that is bound, in truth. */
export interface SimSocket {
  readonly id: SocketId
  readonly held: Held
  /** Port 0 was asked for. */
  readonly isEphemeral: boolean
  /** In force, which may be later than it was ordered. */
  use: SocketUse
  /** Since when `use` is. */
  routedAt: number
  /** The connections on their way in, of a TCP socket. */
  readonly arrivals: Arrivals | undefined
}

type BindSocket = Extract<SocketCommand, { type: 'bind-socket' }>

export class SimSockets {
  /** Those that are bound. */
  readonly bound = new Map<SocketId, SimSocket>()
  private readonly world: World
  private readonly faults: ListenerFaults
  /** Binds under way, or overtaken by nothing yet. */
  private readonly binding = new Map<SocketId, Attempt>()
  /** Commands for one socket take effect in their order, and so do answers. */
  private busyUntil = new Map<string, number>()

  constructor(world: World, faults: ListenerFaults) {
    this.world = world
    this.faults = faults
  }

  apply(command: SocketCommand): void {
    const { socket: id } = command
    const slow = (fault: Ratio): number => (this.happens(fault) ? this.slowly() : this.shortly())
    switch (command.type) {
      case 'bind-socket':
        this.binding.set(id, command.attempt)
        return this.effect(`${id}`, slow(this.faults.bindsSlowly), () => this.bind(command))
      case 'route-socket':
        return this.effect(`${id}`, slow(this.faults.routesLate), () => this.route(id, command.use))
      case 'unbind-socket': {
        const { attempt } = command
        if (this.binding.has(id) && this.happens(this.faults.unbindOvertakes)) {
          this.binding.delete(id)
          this.world.trace.mark('overtaken bind')
          return this.tell({ type: 'socket-unbound', socket: id, attempt })
        }
        return this.effect(`${id}`, slow(this.faults.unbindsSlowly), () => this.unbind(id, attempt))
      }
      default:
        return unreachable(command)
    }
  }

  /** Whoever listens for clients of this address, if it is one of ours. */
  at(namespace: PortNamespace, address: string, port: number): SimSocket | undefined {
    const holder = this.world.ports.at(namespace, address, port)?.holder
    return holder?.type === 'socket' ? this.bound.get(holder.socket) : undefined
  }

  leadingTo(listener: ListenerId): SimSocket[] {
    return [...this.bound.values()].filter(({ use }) => listenersOf(use).includes(listener))
  }

  /** The kernel closes every socket of a process that is gone. */
  nodeDown(): void {
    this.world.ports.releaseAll(({ type }) => type === 'socket')
    for (const { arrivals } of this.bound.values()) arrivals?.nodeDown()
    this.bound.clear()
    this.binding.clear()
    this.busyUntil = new Map()
  }

  clockLeapt(): void {
    for (const { arrivals } of this.bound.values()) arrivals?.clockLeapt()
  }

  // A socket's life, in order -----------------------------------------------------------------

  private bind(command: BindSocket): void {
    const { world } = this
    const { socket, attempt, use } = command
    if (this.binding.get(socket) !== attempt) return this.answerOvertaken(command)
    this.binding.delete(socket)
    const place = placeOf(command)
    world.ports.tempt(place, world.draws.faults)
    if (this.happens(this.faults.bindFails)) {
      return this.tell({ type: 'socket-failed', socket, attempt, reason: 'permission denied' })
    }
    const bound = world.ports.bind(place, { type: 'socket', socket })
    switch (bound.type) {
      case 'missing': {
        const reason = 'address not available'
        return this.tell({ type: 'socket-failed', socket, attempt, reason, isMissing: true })
      }
      case 'in-use': {
        for (const checker of world.checkers) checker.onInUse?.(command, bound.holder, world)
        const holder = labelOf(bound.holder)
        const reason = 'address in use'
        return this.tell({ type: 'socket-failed', socket, attempt, reason, holder })
      }
      case 'bound': {
        const { held } = bound
        const opened: SimSocket = {
          id: socket,
          held,
          isEphemeral: command.port === 0,
          use,
          routedAt: world.now,
          arrivals: use.kind === 'tcp' ? new Arrivals(world, this.faults, socket, use) : undefined,
        }
        this.bound.set(socket, opened)
        for (const checker of world.checkers) checker.onBound?.(opened, world)
        const address = addressOf(held.host, held.port)
        return this.tell({ type: 'socket-bound', socket, attempt, address })
      }
    }
  }

  /** What a shell says of a bind that was closed before it was done, if it says anything. */
  private answerOvertaken({ socket, attempt, host, port }: BindSocket): void {
    const { faults } = this.world.draws
    switch (faults.below(3)) {
      case 0:
        return this.tell({ type: 'socket-failed', socket, attempt, reason: 'closed' })
      case 1:
        // It was there for a moment.
        return this.tell({ type: 'socket-bound', socket, attempt, address: addressOf(host, port) })
    }
  }

  private route(id: SocketId, use: SocketUse): void {
    const socket = this.bound.get(id)
    if (socket === undefined) return
    socket.use = use
    socket.routedAt = this.world.now
    if (use.kind === 'tcp') socket.arrivals?.route(use)
    this.world.change({ type: 'socket-routed', socket: id, to: listenersOf(use) })
  }

  private unbind(id: SocketId, attempt: Attempt): void {
    this.binding.delete(id)
    const socket = this.bound.get(id)
    const closed = (): void => {
      if (socket !== undefined && this.bound.get(id) === socket) this.close(socket)
      this.tell({ type: 'socket-unbound', socket: id, attempt })
    }
    if (socket?.use.kind !== 'udp') return closed()
    // After what was ordered for its table before; and what its clients wait for comes first.
    const { listener } = socket.use
    const { listeners } = this.world
    listeners.inOrder(listener, () => listeners.datagrams.close(listener, closed))
  }

  private close(socket: SimSocket): void {
    this.bound.delete(socket.id)
    this.world.ports.free(socket.held)
    socket.arrivals?.close()
  }

  // Time and order ----------------------------------------------------------------------------

  private effect(key: string, delayMs: number, run: () => void): void {
    const { now } = this.world
    const at = Math.max((this.busyUntil.get(key) ?? 0) + 1, now + delayMs)
    this.busyUntil.set(key, at)
    this.world.inNode(at - now, run)
  }

  /** Tells the node, after what it is being told about this socket already. */
  private tell(event: SocketEvent): void {
    const { world, faults } = this
    const late = this.happens(faults.answersLate) ? this.slowly() : this.shortly()
    this.effect(`${event.socket} facts`, late, () => world.step(event))
    if (this.happens(faults.answersTwice)) {
      // Out of its order: by then it may be about an attempt of long ago.
      const againMs = world.draws.faults.between(1, 2 * faults.slowMsMax)
      world.inNode(againMs, () => world.step(event))
    }
  }

  private shortly(): number {
    return this.world.draws.schedule.below(4)
  }

  private slowly(): number {
    return this.world.draws.faults.between(1, this.faults.slowMsMax)
  }

  private happens(fault: Ratio): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

/** As every socket of Weir's: IPv6 without IPv4. */
export const placeOf = ({ host, port, use }: Pick<BindSocket, 'host' | 'port' | 'use'>): Place => ({
  namespace: use.kind === 'udp' ? 'udp' : 'tcp',
  host,
  port,
  isV6Only: true,
})

export const listenersOf = (use: SocketUse): readonly ListenerId[] =>
  use.kind === 'udp' ? [use.listener] : [...new Set(targetsOf(use).map((each) => each.listener))]

/** One of those that a TCP socket leads to, and how one asks for it. */
export interface Target {
  readonly listener: ListenerId
  readonly tls: 'off' | 'terminate' | 'passthrough'
  readonly serverName?: string
  /** Of HTTP: see {@link requestFor}. */
  readonly request?: string
}

export function targetsOf(use: SocketUse): readonly Target[] {
  if (use.kind !== 'tcp') return []
  return use.routes.flatMap((route): readonly Target[] =>
    'http' in route
      ? route.http.map((each) => ({
          listener: each.listener,
          tls: route.tls,
          request: requestFor(each),
        }))
      : [route],
  )
}

/** Here a connection of HTTP is one request, for exactly one host and path: `http a.test/api`. */
export const requestFor = ({ host = '*', path }: Pick<HttpRouteUse, 'host' | 'path'>): string =>
  `http ${host}${path}`
