/**
 * Connections, judged by what clients and programs saw: each goes to a backend in force, none is
 * lost that could have finished, none refused that could have been served.
 */

import { parseReplicaId, type ReplicaId, serviceKey } from '../../core/services/identity.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { StreamListenerEvent } from '../../core/stream/events.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { FlowEvent } from '../../core/udp/events.ts'
import type { UdpDoor } from '../faults/datagrams.ts'
import type { FrontDoor } from '../faults/listeners.ts'
import { headerOf, type Stream } from '../faults/streams.ts'
import type { ClientFate } from '../trace.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import { ListenerUse } from './listener-use.ts'
import { serviceOfListener } from './told.ts'

export class Listeners implements Checker {
  readonly name = 'listeners'
  private readonly use = new ListenerUse()

  onStream(
    door: FrontDoor,
    event: StreamListenerEvent,
    commands: readonly StreamListenerCommand[],
    world: World,
  ): void {
    door.machine.checkInvariants()
    this.use.onStream(door, event, commands, world)
    const deadline = door.machine.deadline()
    if (event.type === 'tick' && deadline !== undefined && deadline <= world.nodeNow()) {
      world.fail(this.name, `${door.id} wants another tick at once`)
    }
    for (const command of commands) {
      switch (command.type) {
        case 'connect-upstream':
          if (!door.inForce.has(command.backend as ReplicaId)) {
            world.fail(this.name, `${door.id} connects to ${command.backend}, not in force`)
          }
          continue
        case 'backend-drained': {
          const live = door.streams.connectionsOn(command.backend as ReplicaId)
          if (live > 0) {
            world.fail(this.name, `${command.backend} is said to be drained, has ${live}`)
          }
          if (door.inForce.has(command.backend as ReplicaId)) {
            world.fail(this.name, `${command.backend} is said to be drained and is in force`)
          }
          continue
        }
        case 'emptied':
          if (door.streams.live.size > 0) {
            world.fail(this.name, `${door.id} is empty with ${door.streams.live.size} clients`)
          }
      }
    }
  }

  onConnect(
    door: FrontDoor,
    stream: Stream,
    { backend, tls, preface }: Parameters<NonNullable<Checker['onConnect']>>[2],
    world: World,
  ): void {
    this.use.onConnect(door, stream, world)
    const { proxyProtocol, upstreamTls } = stream.config
    const { service, deployment } = parseReplicaId(backend as ReplicaId)
    if (serviceOfListener(door.id) !== serviceKey(deployment, service)) {
      world.fail(this.name, `${door.id} connects to ${backend}, which is not its own`)
    }
    const { connectionsPerBackendMax: most } = door.config
    const live = door.streams.attachedTo(backend as ReplicaId)
    if (most > 0 && live > most) world.fail(this.name, `${backend} has ${live} of ${most} clients`)
    if (tls !== upstreamTls) world.fail(this.name, `${door.id} connects to ${backend} in clear`)
    const header = tls && proxyProtocol ? headerOf(stream.peers) : undefined
    if (String(preface) === String(header)) return
    world.fail(this.name, `${backend} is told of another client than ${stream.client}`)
  }

  onDatagram(
    door: UdpDoor,
    event: FlowEvent,
    commands: readonly FlowCommand[],
    world: World,
  ): void {
    door.table.checkInvariants()
    const deadline = door.table.deadline()
    if (event.type === 'tick' && deadline !== undefined && deadline <= world.nodeNow()) {
      world.fail(this.name, `${door.id} wants another tick at once`)
    }
    for (const command of commands) {
      switch (command.type) {
        case 'open-upstream':
          if (!door.inForce.has(command.backend as ReplicaId)) {
            world.fail(this.name, `${door.id} sends to ${command.backend}, not in force`)
          }
          continue
        case 'backend-drained':
          if (door.inForce.has(command.backend as ReplicaId)) {
            world.fail(this.name, `${command.backend} is said to be drained and is in force`)
          }
          continue
        case 'emptied':
          if (door.table.flowCount > 0) {
            world.fail(this.name, `${door.id} is empty with ${door.table.flowCount} flows`)
          }
      }
    }
  }

  onClientGone(
    door: FrontDoor,
    stream: Stream,
    how: ClientFate,
    reason: string,
    world: World,
  ): void {
    const isTrue = this.use.isTrue(door, stream, reason, world)
    if (isTrue === false) {
      world.fail(this.name, `client ${stream.client} was refused (${reason}), which is not true`)
    }
    if (stream.excuse !== undefined || how === 'answered' || how === 'gave-up') return
    if (how === 'cut') {
      world.fail(this.name, `client ${stream.client} lost its connection (${reason})`)
    }
    if (isTrue === true) return
    if (reason === 'connections-max' || reason === 'backends-full') return
    if (reason === 'not-accepting' && door.closed) return
    // Every backend it tried refused it, and it tried all, or as many as it may.
    const isFull =
      stream.config.connectionsPerBackendMax > 0 || door.config.connectionsPerBackendMax > 0
    const allTried = isFull || [...door.inForce].every((id) => stream.tried.includes(id))
    if (reason === 'connect-failed' && (allTried || stream.tried.length >= ATTEMPTS_MAX)) return
    world.fail(this.name, `client ${stream.client} was refused (${reason}) without need`)
  }

  atEnd(world: World): void {
    for (const door of world.listeners.doors.values()) {
      world.fail(this.name, `${door.id} is left over`)
    }
    for (const door of world.listeners.datagrams.doors.values()) {
      world.fail(this.name, `${door.id} is left over`)
    }
  }
}

const ATTEMPTS_MAX = 4
