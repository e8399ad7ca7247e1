/**
 * What holds for every machine: its own invariants, deadlines that move on, bounded answers, no
 * orders to things that are gone, one answer to each request, one release of each acquisition,
 * and a restored machine that goes on like the one it was taken from.
 */
import type { NodeCommand, SocketCommand, SocketUse } from '../../core/node/commands.ts'
import type { NodeEvent, RequestId } from '../../core/node/events.ts'
import type { ListenerId } from '../../core/services/identity.ts'
import type { Deployment } from '../../core/spec/deployment.ts'
import { addressOf, labelOf } from '../faults/host-ports.ts'
import { listenersOf, targetsOf } from '../faults/sockets.ts'
import type { Change } from '../trace.ts'
import type { SimulatedNode, World } from '../world.ts'
import type { Checker } from './checker.ts'
import type { Told } from './told.ts'

export class Universal implements Checker {
  readonly name = 'universal'
  private readonly told: Told
  private readonly answered = new Set<RequestId>()
  private event: NodeEvent = { type: 'tick' }
  private stopped = false

  constructor(told: Told) {
    this.told = told
  }

  onChange(change: Change): void {
    if (change.type === 'node-booted') this.stopped = false
  }

  onStep(
    event: NodeEvent,
    commands: readonly NodeCommand[],
    machine: SimulatedNode,
    world: World,
  ): void {
    this.event = event
    machine.checkInvariants()
    const deadline = machine.deadline()
    const now = world.nodeNow()
    if (event.type === 'tick' && deadline !== undefined && deadline <= now) {
      world.fail(this.name, `after a tick at ${now} the deadline is ${deadline}: a busy loop`)
    }
    if (commands.length > COMMANDS_BASE) this.checkBound(event, commands.length, world)
    if (commands.some((command) => command.type === 'stopped') && deadline !== undefined) {
      world.fail(this.name, `stopped, but with a deadline at ${deadline}`)
    }
  }

  private checkBound(event: NodeEvent, count: number, world: World): void {
    const { operator } = world
    const { replicas, listeners, sockets } = this.told
    let known = replicas.size + listeners.size + sockets.size + operator.open.size
    for (const { deployment } of operator.wishes.values()) known += sizeOf(deployment)
    if (event.type === 'deploy') known += sizeOf(event.deployment)
    if (event.type === 'scale') known += event.replicas
    if (count > COMMANDS_BASE + COMMANDS_EACH * known) {
      world.fail(this.name, `${count} commands for one ${event.type}`)
    }
  }

  onTwin(
    event: NodeEvent,
    commands: readonly NodeCommand[],
    twins: readonly NodeCommand[],
    world: World,
  ): void {
    const restored = JSON.stringify(commands)
    const original = JSON.stringify(twins)
    if (restored === original) return
    world.fail(
      this.name,
      `after ${event.type} the restored machine orders ${restored}, the original ${original}`,
    )
  }

  onCommand(command: NodeCommand, world: World): void {
    if (this.stopped && command.type !== 'reply') {
      world.fail(this.name, `${command.type} after stopped`)
    }
    const why = this.whyWrong(command, world)
    if (why !== undefined) world.fail(this.name, `${command.type} ${why}`)
  }

  /** All that was acquired is released when the node says that it has stopped. */
  private whyLeaking(world: World): string | undefined {
    for (const replica of this.told.replicas.values()) {
      if (!replica.removed) return `while ${replica.id} was created and never removed`
    }
    for (const listener of this.told.listeners.values()) {
      if (!listener.closed) return `while ${listener.id} was opened and never closed`
    }
    for (const { id, state } of this.told.openSockets()) return `while socket ${id} is ${state}`
    for (const [request, { event }] of world.operator.open) {
      return `while request ${request} (${event.type}) is unanswered`
    }
    return undefined
  }

  private whyWrong(command: NodeCommand, world: World): string | undefined {
    switch (command.type) {
      case 'reply':
        return this.whyWrongReply(command.request, world)
      case 'stopped':
        this.stopped = true
        return this.whyLeaking(world)
      case 'create-replica':
        return this.told.replicas.has(command.replica) ? `${command.replica} twice` : undefined
      case 'start-replica':
      case 'verify-replica':
      case 'resolve-address':
      case 'signal-replica':
      case 'remove-replica':
      case 'probe':
      case 'cancel-probe':
        return this.whyWrongReplica(command)
      case 'open-listener':
        return this.told.listeners.has(command.listener) ? `${command.listener} twice` : undefined
      case 'close-listener':
        return this.whyWrongClose(command.listener)
      case 'configure-listener': {
        const listener = this.told.listeners.get(command.listener)
        if (listener === undefined) return `of unknown ${command.listener}`
        return listener.closed ? `${command.listener}, which is closed` : undefined
      }
      case 'bind-socket':
      case 'route-socket':
      case 'unbind-socket':
        return this.whyWrongSocket(command)
      case 'apply-backends': {
        const listener = this.told.listeners.get(command.listener)
        if (listener === undefined) return `for unknown ${command.listener}`
        if (command.version <= listener.version) return `${command.version} is not a new version`
        for (const { id } of command.backends) {
          if (this.told.replicas.get(id)?.removed !== false) return `names ${id}, which is gone`
          if (!listener.spent || listener.sent.has(id)) continue
          return `gives ${id} to ${listener.id}, which admits nobody any more`
        }
        return undefined
      }
      case 'cut-backend':
        return this.told.listeners.has(command.listener) ? undefined : 'of an unknown listener'
      case 'reap-leftovers':
      case 'notice':
      case 'settled':
        return undefined
    }
  }

  private whyWrongClose(id: ListenerId): string | undefined {
    const listener = this.told.listeners.get(id)
    if (listener === undefined) return `of unknown ${id}`
    if (listener.closed) return `${id} twice`
    for (const socket of this.told.openSockets()) {
      if (listenersOf(socket.use).includes(id)) {
        return `${id}, to which socket ${socket.id} leads, which is ${socket.state}`
      }
    }
    return undefined
  }

  private whyWrongSocket(command: SocketCommand): string | undefined {
    const { socket: id, type } = command
    const socket = this.told.sockets.get(id)
    if (type === 'bind-socket') {
      if (socket !== undefined && socket.state !== 'failed')
        return `${id} while it is ${socket.state}`
      if (socket !== undefined && command.attempt <= socket.attempt)
        return `${id} with an old attempt`
    } else {
      if (socket?.state !== 'binding' && socket?.state !== 'bound') {
        return `${id} while it is ${socket?.state ?? 'unknown'}`
      }
      if (type === 'unbind-socket') return undefined
      if (socket.use.kind !== command.use.kind) return `${id} to another kind of use`
    }
    return this.whyWrongUse(command.use)
  }

  private whyWrongUse(use: SocketUse): string | undefined {
    for (const id of listenersOf(use)) {
      const listener = this.told.listeners.get(id)
      if (listener === undefined || listener.closed) return `leads to ${id}, which is not open`
      if (listener.spent) return `leads to ${id}, which admits nobody any more`
      const isHttp = use.kind === 'tcp' && use.routes.some((route) => 'http' in route)
      const kind = isHttp ? 'http' : use.kind
      if (listener.protocol !== kind) return `leads to ${id}, which is for ${listener.protocol}`
    }
    if (use.kind !== 'tcp') return undefined
    const names = targetsOf(use).map(
      ({ request, serverName, tls }) => request ?? (tls === 'off' ? '' : (serverName ?? '*')),
    )
    if (names.length === 0) return 'leads nowhere'
    if (use.routes.length > 1 && use.routes.some((route) => 'http' in route)) {
      return 'leads to readers of requests and of bytes'
    }
    if (names.length > 1 && names.includes('')) return 'leads to several without TLS'
    return new Set(names).size < names.length ? `leads ${names.join(', ')} to two` : undefined
  }

  private whyWrongReply(request: RequestId, world: World): string | undefined {
    if (this.answered.has(request)) return `to ${request}, which was answered before`
    if (!world.operator.open.has(request)) return `to ${request}, which nobody asked`
    this.answered.add(request)
    return undefined
  }

  private whyWrongReplica(
    command: Extract<NodeCommand, { readonly replica: unknown; readonly type: string }> & {
      readonly type:
        | 'start-replica'
        | 'verify-replica'
        | 'resolve-address'
        | 'signal-replica'
        | 'remove-replica'
        | 'probe'
        | 'cancel-probe'
    },
  ): string | undefined {
    const { event } = this
    const replica = this.told.replicas.get(command.replica)
    // A late success of a start nobody waits for any more owns a process: it is given back.
    const givesBack = event.type === 'replica-started' && event.replica === command.replica
    if (command.type === 'remove-replica' && givesBack) return undefined
    if (replica === undefined) return `names ${command.replica}, which was never created`
    if (replica.removed) return `names ${command.replica}, which is gone`
    switch (command.type) {
      case 'remove-replica':
        return undefined // again, when the answer is long in coming
      case 'start-replica':
        if (!replica.created) return `${command.replica} before it was created`
        return replica.startOrdered ? `${command.replica} twice` : undefined
      case 'probe':
        if (command.check !== 'main') break
        if (replica.probe !== 0) return `${command.replica} while probe ${replica.probe} is out`
        break
      case 'cancel-probe':
        if (command.check !== 'main' || replica.probe === command.attempt) return undefined
        return `${command.attempt} of ${command.replica}, which is not out`
    }
    if (replica.removeOrdered) return `names ${command.replica}, whose removal was ordered`
    return replica.startOrdered ? undefined : `names ${command.replica}, which was never started`
  }

  atEnd(world: World): void {
    for (const { host, port, holder } of world.ports.all()) {
      if (holder.type === 'socket') {
        world.fail(this.name, `at the end ${addressOf(host, port)} is held by ${labelOf(holder)}`)
      }
    }
    for (const group of world.runtime.groups.values()) {
      world.fail(this.name, `at the end ${group.replica} (pid ${group.pid}) still runs`)
    }
  }
}

/** Replicas and endpoints that a deployment asks for. */
function sizeOf({ services }: Deployment): number {
  let size = 0
  for (const { endpoints, portMappings, scale } of Object.values(services)) {
    size +=
      1 + 2 * endpoints.length + portMappings.length + (scale.mode === 'fixed' ? scale.replicas : 0)
  }
  return size
}

/** What one event may cause: a few commands, and a few more for each thing there is. */
const COMMANDS_BASE = 32
const COMMANDS_EACH = 6
