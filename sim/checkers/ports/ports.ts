/**
 * One port, one owner: among our sockets, among our replicas, between deployments; a port that was
 * given back rests; a refusal for a conflict names a conflict that is there.
 */
import type { Instant } from '../../../core/machine.ts'
import type { NodeCommand, Reply } from '../../../core/node/commands.ts'
import type { NodeEvent, OperatorEvent } from '../../../core/node/events.ts'
import { PORT_REST_MS } from '../../../core/publish/host/replica-ports.ts'
import type { Deployment } from '../../../core/spec/deployment.ts'
import { addressOf, overlaps, placesOf } from '../../faults/host-ports.ts'
import type { Change } from '../../trace.ts'
import type { World } from '../../world.ts'
import type { Checker } from '../checker.ts'
import type { SocketTold, Told } from '../told.ts'
import { deploymentOf, ownersOf, type Rights } from './rights.ts'
import { collide, type Want, wantsOfFile } from './wanted.ts'

export class Ports implements Checker {
  readonly name = 'ports'
  private readonly told: Told
  private readonly rights: Rights
  /** When a replica's port was given back, on the node's clock. */
  private readonly restingSince = new Map<number, Instant>()

  constructor(told: Told, rights: Rights) {
    this.told = told
    this.rights = rights
  }

  onChange(change: Change): void {
    if (change.type === 'node-booted') this.restingSince.clear()
  }

  onEvent(event: NodeEvent, world: World): void {
    if (event.type !== 'replica-removed') return
    const replica = this.told.replicas.get(event.replica)
    if (replica === undefined) return
    for (const port of Object.values(replica.program.ports)) {
      // A repeated answer says nothing new.
      if (!this.restingSince.has(port)) this.restingSince.set(port, world.nodeNow())
    }
  }

  /** A deploy that is refused changes nothing. */
  onStep(
    event: NodeEvent,
    commands: readonly NodeCommand[],
    _machine: unknown,
    world: World,
  ): void {
    if (event.type !== 'deploy') return
    const isRefused = commands.some(
      (each) => each.type === 'reply' && each.request === event.request && !each.result.ok,
    )
    const other = commands.find(({ type }) => type !== 'reply' && type !== 'notice')
    if (!isRefused || other === undefined) return
    world.fail(this.name, `${event.deployment.name} is refused, and there is ${other.type}`)
  }

  onCommand(command: NodeCommand, world: World): void {
    switch (command.type) {
      case 'create-replica':
        return this.checkReplicaPorts(command, world)
      case 'reply': {
        const asked = world.operator.open.get(command.request)?.event
        if (asked !== undefined) this.checkReply(asked, command.result, world)
      }
    }
  }

  private checkReplicaPorts(
    { replica, program }: Extract<NodeCommand, { type: 'create-replica' }>,
    world: World,
  ): void {
    const { from, to } = world.options.node.replicaPorts
    const now = world.nodeNow()
    const wants = [...this.rights.wants()]
    const places = placesOf({ ...program, argv: [] }, '::')
    for (const { namespace, port } of places) {
      const isOwn = wants.some(
        (want) =>
          want.bind === 'never' &&
          want.namespace === namespace &&
          want.port === port &&
          replica.startsWith(`${want.owner}/`),
      )
      if (isOwn) continue // its file says that it listens there
      if (port < from || port > to) world.fail(this.name, `${replica} has ${port}, not ours`)
      const rested = now - (this.restingSince.get(port) ?? Number.NEGATIVE_INFINITY)
      if (rested < PORT_REST_MS) {
        world.fail(this.name, `${replica} gets port ${port}, given back ${rested} ms ago`)
      }
      this.restingSince.delete(port)
      const claimed = wants.find((want) => want.namespace === namespace && want.port === port)
      if (claimed === undefined) continue
      world.fail(this.name, `${replica} gets port ${port}, which ${claimed.owner} has`)
    }
    for (const other of this.told.replicas.values()) {
      if (other.removed) continue
      const taken = placesOf({ ...other.program, argv: [] }, '::').find((theirs) =>
        places.some(
          ({ namespace, port }) => namespace === theirs.namespace && port === theirs.port,
        ),
      )
      if (taken !== undefined) {
        world.fail(this.name, `${replica} gets port ${taken.port} of ${other.id}`)
      }
    }
  }

  private checkReply(asked: OperatorEvent, result: Reply, world: World): void {
    if (asked.type === 'remove') {
      if (result.ok) this.checkFree(asked.deployment, world)
      return
    }
    if (asked.type !== 'deploy') return
    if (result.ok) this.checkGranted(asked.deployment, world)
    else if (result.code === 'conflict') this.checkConflict(asked.deployment, result.text, world)
  }

  private checkGranted(file: Deployment, world: World): void {
    const others = this.rights.othersOf(file.name)
    for (const want of wantsOfFile(file, world.internal)) {
      const { host, port } = want
      const other = others.find((each) => collide(want, each))
      // One that is leaving lets go of its ports one by one.
      const isLeaving = other !== undefined && isRemoving(deploymentOf(other.owner), world)
      if (other !== undefined && !isLeaving) {
        world.fail(this.name, `${want.owner} was given ${addressOf(host, port)} of ${other.owner}`)
      }
      const socket = this.foreignSocket(want, file.name)
      if (socket !== undefined) {
        world.fail(
          this.name,
          `${want.owner} was given ${addressOf(host, port)} of socket ${socket}`,
        )
      }
    }
  }

  /** One of another deployment that cannot be there beside it. */
  private foreignSocket(
    want: Want,
    deployment: string,
    leaving: readonly SocketTold['state'][] = [],
  ): number | undefined {
    for (const { id, place, use, state } of this.told.openSockets()) {
      if (place.namespace !== want.namespace || place.port !== want.port || want.port === 0)
        continue
      if (!overlaps(place, want)) continue
      if (ownersOf({ use }).some((each) => deploymentOf(each) === deployment)) continue
      const isTenant = use.kind === 'tcp' && use.routes.every(({ tls }) => tls !== 'off')
      if (want.route === undefined || !isTenant || leaving.includes(state)) return id
    }
    return undefined
  }

  private checkConflict(file: Deployment, text: string, world: World): void {
    if (isRemoving(file.name, world)) return
    const wants = wantsOfFile(file, world.internal)
    const isForeign = ({ owner }: Want): boolean => deploymentOf(owner) !== file.name
    const others = [
      ...this.rights.othersOf(file.name),
      ...this.rights.lingering().filter(isForeign),
    ]
    if (wants.some((want) => others.some((each) => collide(want, each)))) return
    // One that is being closed is nobody's any more: it cannot be shared.
    if (wants.some((want) => this.foreignSocket(want, file.name, ['unbinding']) !== undefined))
      return
    for (const replica of this.told.replicas.values()) {
      if (replica.removed) continue
      const places = placesOf(replica.program, '::')
      if (wants.some(({ port }) => places.some((place) => place.port === port))) return
    }
    world.fail(this.name, `${file.name} was refused for nothing: ${text}`)
  }

  /** A deployment that is removed holds nothing. */
  private checkFree(deployment: string, world: World): void {
    for (const { host, port, holder } of world.ports.all()) {
      if (holder.type === 'stranger') continue
      const at = addressOf(host, port)
      if (holder.type === 'group') {
        const isOurs = world.runtime.groups.get(holder.pid)?.life === world.lifeNumber
        if (!isOurs || !holder.replica.startsWith(`${deployment}/`)) continue
        world.fail(this.name, `${deployment} is removed, but ${holder.replica} holds ${at}`)
      }
      const socket = this.told.sockets.get(holder.socket)
      const owners = socket === undefined ? [] : ownersOf(socket)
      if (!owners.some((each) => deploymentOf(each) === deployment)) continue
      world.fail(this.name, `${deployment} is removed, but socket ${holder.socket} holds ${at}`)
    }
  }

  atEnd(world: World): void {
    for (const { host, port, holder } of world.ports.all()) {
      if (holder.type === 'stranger') continue
      world.fail(this.name, `${addressOf(host, port)} is not free at the end`)
    }
  }
}

const isRemoving = (deployment: string, world: World): boolean =>
  world.operator.wishes.get(deployment)?.removing === true
