/**
 * The UDP listeners of the simulated node: the real flow table over simulated sockets, with
 * programs that answer what they are sent. What can go wrong with datagrams has a world of its own
 * (`sim/udp`); here it is about sets of backends, drains and ends.
 */
import { strategyNamed } from '../../core/balance/strategies.ts'
import { type Attempt, unreachable } from '../../core/machine.ts'
import { formatPacked, type PackedAddress, packIpv4 } from '../../core/net/packed-address.ts'
import type { Backend, ListenerSettings, OpenListener } from '../../core/node/commands.ts'
import type { ListenerEvent } from '../../core/node/events.ts'
import { udpConfigOf } from '../../core/node/listener-config.ts'
import { type ListenerId, parseReplicaId, type ReplicaId } from '../../core/services/identity.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { UdpConfig } from '../../core/udp/config.ts'
import type { FlowEvent } from '../../core/udp/events.ts'
import type { SimulatedTable } from '../udp/world.ts'
import type { Via } from '../workloads/clients.ts'
import { packed } from '../workloads/greetings.ts'
import type { World } from '../world.ts'
import type { FrontDoor, ListenerFaults } from './listeners.ts'

/** The table behind a UDP socket; lives on after the socket until it is empty. */
export interface UdpDoor extends Pick<FrontDoor, 'id' | 'closed' | 'inForce'> {
  readonly table: SimulatedTable
  readonly sockets: Map<string, Upstream>
  /** How each client came last. */
  readonly vias: Map<number, Via>
  /** It said that it needs its listening socket no more. */
  stopped: boolean
  /** To be done then. */
  readonly onStopped: (() => void)[]
  tickGeneration: number
}

interface Upstream {
  readonly backend: ReplicaId
  readonly host: string
  readonly port: number
}

type Tell = (listener: ListenerId, event: ListenerEvent) => void

export class Datagrams {
  readonly doors = new Map<ListenerId, UdpDoor>()
  private readonly world: World
  private readonly faults: ListenerFaults
  private readonly tell: Tell

  constructor(world: World, faults: ListenerFaults, tell: Tell) {
    this.world = world
    this.faults = faults
    this.tell = tell
  }

  open(command: Extract<OpenListener, { protocol: 'udp' }>): void {
    const { world } = this
    const { listener, balance } = command
    const { strategy, failOpen } = balance
    this.doors.set(listener, {
      id: listener,
      table: world.breed.table({
        config: configOf(command),
        strategy: strategyNamed(strategy, world.options.node.seed),
        failOpen,
      }),
      sockets: new Map(),
      closed: false,
      inForce: new Set(),
      vias: new Map(),
      stopped: false,
      onStopped: [],
      tickGeneration: 0,
    })
  }

  configure(listener: ListenerId, settings: ListenerSettings): void {
    const door = this.doors.get(listener)
    if (door === undefined || settings.protocol !== 'udp') return
    this.step(door, { type: 'configure', config: configOf(settings) })
  }

  /** `done` when the last answers are there, or after a while without them. */
  close(listener: ListenerId, done: () => void = () => {}): void {
    const door = this.doors.get(listener)
    if (door === undefined || door.stopped) return done()
    door.onStopped.push(done)
    door.closed = true
    this.step(door, { type: 'close' })
  }

  applyBackends(listener: ListenerId, version: number, backends: readonly Backend[]): void {
    const door = this.doors.get(listener)
    if (door === undefined) {
      return this.tell(listener, { type: 'backends-applied', listener, version })
    }
    const up = backends.filter((each) => each.down !== true)
    const ids = (up.length > 0 ? up : backends).map((each) => each.id)
    door.inForce = new Set(ids)
    this.world.change({ type: 'backends-in-force', listener, version, backends: ids })
    this.step(door, { type: 'apply-backends', version, backends })
  }

  cutBackend(listener: ListenerId, backend: ReplicaId): void {
    const door = this.doors.get(listener)
    if (door !== undefined) this.step(door, { type: 'cut-backend', backend })
  }

  nodeDown(): void {
    for (const door of this.doors.values()) door.closed = true
    this.doors.clear()
  }

  clockLeapt(): void {
    for (const door of this.doors.values()) this.armTick(door)
  }

  /** A client asks so many things at once. */
  arrive(door: UdpDoor, client: number, requests: number, via: Via): void {
    door.vias.set(client, via)
    const to = packed(via.address, via.port)
    for (let each = 0; each < requests; each++) {
      const payload = bytesOf(client)
      this.step(door, { type: 'client-datagram', from: addressOf(client), to, payload })
    }
  }

  step(door: UdpDoor, event: FlowEvent): void {
    const { world } = this
    if (this.doors.get(door.id) !== door) return
    const commands: FlowCommand[] = []
    door.table.step(event, world.nodeNow(), commands)
    for (const checker of world.checkers) checker.onDatagram?.(door, event, commands, world)
    for (const command of commands) this.obey(door, command)
    this.armTick(door)
  }

  private obey(door: UdpDoor, command: FlowCommand): void {
    const { world } = this
    const { id: listener } = door
    switch (command.type) {
      case 'open-upstream':
        return this.openSocket(door, command)
      case 'send-upstream':
        return this.send(door, command)
      case 'send-client':
        if (formatPacked(command.to) === formatPacked(addressOf(clientOf(command.payload)))) {
          return world.clients.gone(clientOf(command.payload), 'answered')
        }
        return world.fail('listeners', `${formatPacked(command.to)} gets another client's answer`)
      case 'close-upstream':
      case 'close-flow':
        if (door.sockets.delete(nameOf(command))) return
        return world.fail('listeners', `${door.id} closes a socket that is not there`)
      case 'stop-listening':
        door.stopped = true
        for (const done of door.onStopped.splice(0)) done()
        return
      case 'backends-applied':
        return this.tell(listener, { ...command, listener })
      case 'backend-drained':
      case 'backend-failed': {
        const backend = command.backend as ReplicaId
        return this.tell(listener, { ...command, listener, backend })
      }
      case 'wanted':
      case 'idle':
      case 'busy':
        return this.tell(listener, { type: `listener-${command.type}`, listener })
      case 'emptied':
        this.doors.delete(listener)
        return
      default:
        return unreachable(command)
    }
  }

  private openSocket(
    door: UdpDoor,
    command: Extract<FlowCommand, { type: 'open-upstream' }>,
  ): void {
    const { world, faults } = this
    const { flow, attempt, host, port } = command
    const backend = command.backend as ReplicaId
    door.sockets.set(nameOf(command), { backend, host, port })
    if (this.happens(faults.connectHangs)) return
    const lacks = this.happens(faults.connectLacks)
    world.inNode(world.draws.clients.below(4), () => {
      if (!lacks) return this.step(door, { type: 'upstream-opened', flow, attempt })
      const reason = 'too many open files'
      this.step(door, { type: 'upstream-failed', flow, attempt, blame: 'host', reason })
    })
  }

  private send(door: UdpDoor, command: Extract<FlowCommand, { type: 'send-upstream' }>): void {
    const { world } = this
    const { flow, attempt } = command
    const socket = door.sockets.get(nameOf(command))
    if (socket === undefined) return world.fail('listeners', `${door.id} sends on no socket`)
    const holder = world.ports.at('udp', socket.host, socket.port)?.holder
    const group = holder?.type === 'group' ? world.runtime.groups.get(holder.pid) : undefined
    const payload = command.payload.slice()
    const delayMs = world.draws.clients.between(1, 40)
    // A port that programs choose by themselves goes from one of a service to the next.
    if (group?.listening === true && !isSibling(group.replica, socket.backend)) {
      return world.fail('listeners', `${group.replica} gets what was for ${socket.backend}`)
    }
    world.inNode(delayMs, () => {
      if (group?.listening === true) {
        const via = door.vias.get(clientOf(payload))
        for (const checker of world.checkers) {
          if (via !== undefined) checker.onReached?.(via, group, socket.port, world)
        }
        return this.step(door, { type: 'upstream-datagram', flow, attempt, payload })
      }
      const reason = 'connection refused'
      this.step(door, { type: 'upstream-failed', flow, attempt, blame: 'backend', reason })
    })
  }

  private armTick(door: UdpDoor): void {
    const deadline = door.table.deadline()
    const generation = ++door.tickGeneration
    if (deadline === undefined) return
    const waitMs = Math.max(0, deadline - this.world.nodeNow())
    this.world.inNode(waitMs, () => {
      if (generation === door.tickGeneration) this.step(door, { type: 'tick' })
    })
  }

  private happens(fault: ListenerFaults['connectHangs']): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

const configOf = (settings: Extract<ListenerSettings, { protocol: 'udp' }>): UdpConfig => {
  const { udp, drainTimeoutMs } = settings
  return udpConfigOf(udp, udp.flowsMax || FLOWS_SHARE, drainTimeoutMs, settings)
}

function isSibling(one: ReplicaId, other: ReplicaId): boolean {
  const [a, b] = [parseReplicaId(one), parseReplicaId(other)]
  return a.deployment === b.deployment && a.service === b.service && a.number === b.number
}

const nameOf = ({ flow, attempt }: { flow: number; attempt: Attempt }): string =>
  `${flow}.${attempt}`

const addressOf = (client: number): PackedAddress => packIpv4(0x0a00_0000 + client, 9_000)

const bytesOf = (client: number): Uint8Array =>
  Uint8Array.of(client >>> 24, client >>> 16, client >>> 8, client)

const clientOf = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer).getUint32(bytes.byteOffset)
/** What each listener is dealt of the host's descriptors. */
const FLOWS_SHARE = 50
