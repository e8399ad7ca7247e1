/**
 * One port, one owner: among our listeners, among our replicas, between deployments; a port that
 * was given back rests; a refusal for a conflict names a conflict that is there.
 */
import type { Instant } from '../../core/machine.ts'
import type { NodeCommand, Reply } from '../../core/node/commands.ts'
import type { NodeEvent, OperatorEvent } from '../../core/node/events.ts'
import { PORT_REST_MS } from '../../core/publish/replica-ports.ts'
import { parseServiceKey } from '../../core/services/identity.ts'
import type { Deployment } from '../../core/spec/deployment.ts'
import type { Change } from '../trace.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import type { Told } from './told.ts'

export class Ports implements Checker {
  readonly name = 'ports'
  private readonly told: Told
  /** When a replica's port was given back, on the node's clock. */
  private readonly restingSince = new Map<number, Instant>()
  /** `tcp:8000` to the deployments that had it at some time of this life and are not gone. */
  private readonly claimed = new Map<string, Set<string>>()

  constructor(told: Told) {
    this.told = told
  }

  onChange(change: Change): void {
    if (change.type !== 'node-booted') return
    this.restingSince.clear()
    this.claimed.clear()
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

  onCommand(command: NodeCommand, world: World): void {
    switch (command.type) {
      case 'create-replica':
        return this.checkReplicaPorts(command, world)
      case 'open-listener':
        for (const other of this.told.listeners.values()) {
          if (other.port !== command.port || other.id === command.listener) continue
          if (other.protocol !== command.protocol) continue
          if (other.state === 'shut') continue
          world.fail(this.name, `${command.listener} opens port ${other.port} of ${other.id}`)
        }
        return
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
    const own = Object.values(program.ports)
    if (new Set(own).size < own.length) world.fail(this.name, `${replica} has one port twice`)
    for (const port of own) {
      if (port < from || port > to) world.fail(this.name, `${replica} has ${port}, not ours`)
      const rested = now - (this.restingSince.get(port) ?? Number.NEGATIVE_INFINITY)
      if (rested < PORT_REST_MS) {
        world.fail(this.name, `${replica} gets port ${port}, given back ${rested} ms ago`)
      }
      this.restingSince.delete(port)
      for (const other of this.told.replicas.values()) {
        if (other.removed || !Object.values(other.program.ports).includes(port)) continue
        world.fail(this.name, `${replica} gets port ${port} of ${other.id}`)
      }
    }
  }

  private checkReply(asked: OperatorEvent, result: Reply, world: World): void {
    if (asked.type === 'remove') {
      if (!result.ok) return
      for (const owners of this.claimed.values()) owners.delete(asked.deployment)
      this.checkFree(asked.deployment, world)
    }
    if (asked.type !== 'deploy') return
    const { deployment } = asked
    if (!result.ok) {
      if (result.code === 'conflict') this.checkConflict(deployment, result.text, world)
      return
    }
    for (const claim of claimsOf(deployment)) {
      for (const wish of world.operator.wishes.values()) {
        if (wish.name === deployment.name || !claimsOf(wish.deployment).has(claim)) continue
        // One that is leaving lets go of its ports one by one; the next waits for each to close.
        if (wish.removing) continue
        world.fail(this.name, `${deployment.name} was given ${claim} of ${wish.name}`)
      }
      const owners = this.claimed.get(claim) ?? new Set()
      this.claimed.set(claim, owners.add(deployment.name))
    }
  }

  private checkConflict(deployment: Deployment, text: string, world: World): void {
    if (world.operator.wishes.get(deployment.name)?.removing === true) return
    for (const claim of claimsOf(deployment)) {
      if ((this.claimed.get(claim)?.size ?? 0) > 0) return
    }
    world.fail(this.name, `${deployment.name} was refused for nothing: ${text}`)
  }

  /** A deployment that is removed holds nothing. */
  private checkFree(deployment: string, world: World): void {
    for (const [port, holder] of world.ports.held()) {
      if (holder.type === 'stranger') continue
      const owner = holder.type === 'group' ? holder.replica : holder.listener
      if (holder.type === 'group' && this.isLeftover(holder.pid, world)) continue
      if (owner.startsWith(`${deployment}/`)) {
        world.fail(this.name, `${deployment} is removed, but ${owner} holds port ${port}`)
      }
    }
  }

  private isLeftover(pid: number, world: World): boolean {
    return world.runtime.groups.get(pid)?.life !== world.lifeNumber
  }

  /** Every open endpoint of a deployment at rest is held by its own listener, and by nobody else. */
  atRest(world: World): void {
    for (const listener of this.told.listeners.values()) {
      if (listener.state !== 'open' || listener.protocol === 'udp') continue
      const holder = world.ports.holder(listener.port)
      if (holder?.type === 'listener' && holder.listener === listener.id) continue
      const { service } = parseServiceKey(listener.service)
      world.fail(this.name, `${service} believes to hold port ${listener.port} and does not`)
    }
  }

  atEnd(world: World): void {
    for (const [port, holder] of world.ports.held()) {
      if (holder.type !== 'stranger') world.fail(this.name, `port ${port} is not free at the end`)
    }
  }
}

function claimsOf(deployment: Deployment): Set<string> {
  const claims = new Set<string>()
  for (const { endpoints } of Object.values(deployment.services)) {
    for (const { protocol, port } of endpoints) {
      claims.add(`${protocol === 'udp' ? 'udp' : 'tcp'}:${port}`)
    }
  }
  return claims
}
