/**
 * The node's sockets, by what is really bound and who really gets the bytes: one owner for each port at
 * all times, sharing only where tenants may, nothing where nobody asked for it, and no client of one
 * service at a program of another.
 */
import type { NodeCommand, SocketCommand, SocketUse } from '../../../core/node/commands.ts'
import type { NodeView } from '../../../core/node/view.ts'
import type { SocketId } from '../../../core/publish/events.ts'
import { parseListenerId, parseReplicaId, serviceKey } from '../../../core/services/identity.ts'
import {
  addressOf,
  type Holder,
  labelOf,
  nameOf,
  overlaps,
  type Place,
} from '../../faults/host-ports.ts'
import type { Group } from '../../faults/runtime.ts'
import { listenersOf, placeOf, targetsOf } from '../../faults/sockets.ts'
import type { Via } from '../../workloads/clients.ts'
import type { World } from '../../world.ts'
import type { Checker } from '../checker.ts'
import { type SocketTold, serviceOfListener, type Told } from '../told.ts'
import { deploymentOf, isAt, ownersOf, type Rights } from './rights.ts'
import { METRICS, type Want } from './wanted.ts'

export class Sockets implements Checker {
  readonly name = 'sockets'
  private readonly told: Told
  private readonly rights: Rights
  /** Of this step, to be judged when all of it is known. */
  private readonly bound: SocketTold[] = []
  private readonly givenUp: SocketTold[] = []
  /** What was wanted at a place whose port the kernel picked, when it was bound. */
  private readonly labels = new Map<SocketId, readonly string[]>()
  private steps = 0

  constructor(told: Told, rights: Rights) {
    this.told = told
    this.rights = rights
  }

  onEvent(): void {
    // A step that a crash cut short is not judged.
    this.bound.length = 0
    this.givenUp.length = 0
  }

  onCommand(command: NodeCommand, world: World): void {
    switch (command.type) {
      case 'bind-socket':
        return this.checkBind(command, world)
      case 'route-socket': {
        const socket = this.told.sockets.get(command.socket)
        if (socket !== undefined) this.checkUse(socket.place, command.use, world)
        return
      }
      case 'unbind-socket': {
        const socket = this.told.sockets.get(command.socket)
        if (socket?.place.port === 0 && socket.state === 'bound') this.givenUp.push(socket)
      }
    }
  }

  afterStep(world: World): void {
    if (world.life === 'down') return
    for (const socket of this.bound.splice(0)) this.checkNeeded(socket, world)
    for (const socket of this.givenUp.splice(0)) this.checkGivenUp(socket, world)
    this.steps += 1
    if (this.steps % VIEW_EVERY !== 0) return
    const view = world.view()
    if (view !== undefined) this.checkView(view, world)
  }

  // What is ordered ---------------------------------------------------------------------------

  private checkBind(command: Extract<SocketCommand, { type: 'bind-socket' }>, world: World): void {
    const place = placeOf(command)
    const name = nameOf(place.namespace, place.host, place.port)
    for (const other of this.told.openSockets()) {
      if (other.id === command.socket || other.place.namespace !== place.namespace) continue
      const port = other.place.port || other.port
      if (place.port === 0 || port !== place.port || !overlaps(other.place, place)) continue
      world.fail(this.name, `${name} is bound beside socket ${other.id}, which is ${other.state}`)
    }
    this.checkUse(place, command.use, world)
    const { socket: id, attempt, use } = command
    const socket: SocketTold = {
      id,
      place,
      attempt,
      state: 'binding',
      port: 0,
      use,
      since: world.now,
    }
    this.bound.push(socket)
    if (place.port === 0) this.labels.set(id, labelsAt([...this.rights.wants()], socket))
  }

  /** Everybody it leads to asked for this place, and they may share it. */
  private checkUse(place: Place, use: SocketUse, world: World): void {
    const name = nameOf(place.namespace, place.host, place.port)
    const owners = ownersOf({ use })
    const wants = [...this.rights.wants(), ...this.rights.lingering()].filter(
      (want) =>
        want.bind !== 'never' &&
        want.namespace === place.namespace &&
        want.port === place.port &&
        overlaps(want, place),
    )
    if (!wants.some((want) => isAt(want, place) && owners.includes(want.owner))) {
      world.fail(this.name, `${name} is for ${owners.join(', ')}, who did not ask for it`)
    }
    const routes = targetsOf(use)
    for (const owner of owners) {
      const own = wants.filter((want) => want.owner === owner)
      if (own.length === 0) {
        world.fail(this.name, `${name} leads to ${owner}, which did not ask for it`)
      }
      if (owners.length > 1 && own.every(({ route }) => route === undefined)) {
        world.fail(this.name, `${name} is shared by ${owners.join(', ')} without TLS`)
      }
      for (const { listener, serverName, request } of routes) {
        if (serviceOfListener(listener) !== owner) continue
        const asked = request ?? serverName ?? '*'
        const { endpoint } = parseListenerId(listener)
        const isIts = ({ label }: Want): boolean =>
          label === endpoint || endpoint.startsWith(`${label} `)
        const mayAsk = ({ route }: Want): boolean => route === undefined || route === asked
        if (own.some((want) => isIts(want) && mayAsk(want))) continue
        world.fail(this.name, `${name} leads ${asked} to ${listener}`)
      }
    }
  }

  /** What is there for the sake of backends has some. */
  private checkNeeded(socket: SocketTold, world: World): void {
    // Closed again by the same step, whose last word counts.
    if (this.told.sockets.get(socket.id)?.state !== 'binding') return
    const wants = this.rights.wantsAt(socket)
    if (socket.use.kind === 'metrics' || wants.some(({ bind }) => bind === 'always')) return
    if (listenersOf(socket.use).some((id) => (this.told.listeners.get(id)?.sent.size ?? 0) > 0))
      return
    const { namespace, host, port } = socket.place
    world.fail(this.name, `${nameOf(namespace, host, port)} is bound without a backend`)
  }

  /** A port that the kernel picked stays while it is published, but for who asks for that very port. */
  private checkGivenUp(socket: SocketTold, world: World): void {
    const { place, port, use } = socket
    if (world.operator.stopping !== undefined) return
    const isUsed = listenersOf(use).some((id) => {
      const listener = this.told.listeners.get(id)
      return listener !== undefined && !listener.closed && listener.sent.size > 0
    })
    const isLeaving = ownersOf({ use }).some(
      (each) => world.operator.wishes.get(deploymentOf(each))?.removing === true,
    )
    if (!isUsed || isLeaving) return
    const wants = [...this.rights.wants()]
    const known = this.labels.get(socket.id) ?? []
    if (labelsAt(wants, socket).join() !== known.join()) return // another mapping, in its place
    const { namespace } = place
    const isAskedFor = wants.some(
      (want) => want.namespace === namespace && want.port === port && overlaps(want, place),
    )
    if (isAskedFor) return
    world.fail(
      this.name,
      `${nameOf(namespace, place.host, port)} is given up while it is published`,
    )
  }

  // What is so --------------------------------------------------------------------------------

  onInUse(
    command: Extract<SocketCommand, { type: 'bind-socket' }>,
    holder: Holder,
    world: World,
  ): void {
    const { namespace, host, port } = placeOf(command)
    if (holder.type === 'stranger') return
    if (holder.type === 'socket') {
      const other = this.told.sockets.get(holder.socket)
      // The kernel picked that port a moment ago, and the node does not know yet.
      if (other?.place.port === 0 && (other.state !== 'bound' || other.port === port)) return
    }
    if (
      holder.type === 'group' &&
      world.runtime.groups.get(holder.pid)?.life !== world.lifeNumber
    ) {
      return // of an earlier life, and not to be ended in time
    }
    world.fail(this.name, `${nameOf(namespace, host, port)} is held by ${labelOf(holder)} of ours`)
  }

  /** No client of one service ever reaches a program of another, nor another port of its own. */
  onReached(via: Via, group: Group, port: number, world: World): void {
    const { deployment, service } = parseReplicaId(group.replica)
    const owner = serviceKey(deployment, service)
    const asked = via.serverName === undefined ? '' : ` (${via.serverName})`
    const place = `${nameOf(via.namespace, via.address, via.port)}${asked}`
    const wants = this.rights.reachable(owner, via, world.now)
    if (wants.length === 0) {
      world.fail(this.name, `a client of ${place} reaches ${group.replica}, which is not there`)
    }
    const { ports } = group.program
    const isOwn = wants.some(({ target }) =>
      typeof target === 'number' ? target === port : ports[target] === port,
    )
    if (!isOwn)
      world.fail(this.name, `a client of ${place} reaches port ${port} of ${group.replica}`)
  }

  /** What operators see is so. */
  private checkView({ listeners, node }: NodeView, world: World): void {
    for (const { state, address, endpoint, service, protocol } of listeners) {
      world.trace.mark(`socket ${state}`)
      if (state !== 'listening' && state !== 'serving') continue
      const namespace = protocol === 'udp' ? 'udp' : 'tcp'
      if (this.holds(namespace, address, world)) continue
      world.fail(this.name, `${service}/${endpoint} is said to be ${state} on ${address}`)
    }
    for (const { state, address } of node) {
      if (state !== 'listening' || this.holds('tcp', address, world)) continue
      world.fail(this.name, `metrics are said to be on ${address}`)
    }
  }

  private holds(namespace: Place['namespace'], address: string, world: World): boolean {
    for (const held of world.ports.all()) {
      const { host, port, holder } = held
      if (holder.type !== 'socket' || held.namespace !== namespace) continue
      if (addressOf(host, port) === address) return true
    }
    return false
  }

  /** What the node believes to hold it holds, and it holds nothing else. */
  atRest(world: World): void {
    const { bound } = world.listeners.sockets
    for (const { id, state, place, port } of this.told.sockets.values()) {
      const held = bound.get(id)?.held
      const name = nameOf(place.namespace, place.host, port)
      if (state === 'bound' && (held === undefined || held.port !== port)) {
        world.fail(this.name, `socket ${id} is believed to hold ${name} and does not`)
      }
      // What comes or goes just now is on its way to be known.
      if ((state === 'failed' || state === 'freed') && held !== undefined) {
        world.fail(this.name, `socket ${id} holds ${name} and is ${state}`)
      }
    }
    const view = world.view()
    if (view === undefined) return
    this.checkView(view, world)
    for (const { place, port, state, use } of this.told.sockets.values()) {
      if (state !== 'bound' || place.port !== 0) continue
      const [owner] = ownersOf({ use })
      if (owner === undefined || owner === METRICS) continue
      const seen = view.services.find((each) => `${each.deployment}/${each.service}` === owner)
      if (seen?.endpoints.some((url) => url.endsWith(`:${port}`))) continue
      world.fail(this.name, `${owner} does not say that it is on port ${port}`)
    }
  }
}

const labelsAt = (wants: readonly Want[], { place, use }: SocketTold): string[] => {
  const owners = ownersOf({ use })
  return wants
    .filter((want) => isAt(want, place) && owners.includes(want.owner))
    .map(({ label }) => label)
    .sort()
}

const VIEW_EVERY = 32
