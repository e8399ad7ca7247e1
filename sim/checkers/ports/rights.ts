/**
 * Who has which right to a port, and since when: taken from the files that were accepted and what
 * became of them. The checkers of ports and sockets share it.
 */
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { parseServiceKey, type ServiceKey } from '../../../core/services/identity.ts'
import { covers, type Place } from '../../faults/host-ports.ts'
import { listenersOf } from '../../faults/sockets.ts'
import type { Change } from '../../trace.ts'
import type { Via } from '../../workloads/clients.ts'
import type { World } from '../../world.ts'
import type { Checker } from '../checker.ts'
import { type SocketTold, serviceOfListener, type Told } from '../told.ts'
import { isFor, METRICS, type Want, wantsOfFile } from './wanted.ts'

export interface Right {
  readonly want: Want
  /** On the world's clock. */
  readonly from: number
  until: number | undefined
}

export class Rights implements Checker {
  readonly name = 'ports'
  readonly rights: Right[] = []
  /** Of a file that just arrived, and is not accepted yet. */
  private asked: readonly Want[] = []
  private readonly told: Told

  constructor(told: Told) {
    this.told = told
  }

  onChange(change: Change, world: World): void {
    if (change.type !== 'node-booted') return
    this.rights.length = 0
    this.asked = []
    const { metrics } = world.options.node
    if (metrics !== null) this.grant([metricsWant(metrics)], world)
  }

  onEvent(event: NodeEvent, world: World): void {
    this.asked = event.type === 'deploy' ? wantsOfFile(event.deployment, world.internal) : []
    if (event.type !== 'internal-addresses') return
    for (const wish of world.operator.wishes.values()) {
      this.end(wish.name, world)
      this.grant(wantsOfFile(wish.deployment, event.addresses), world)
    }
  }

  /** After the other checkers had their say. */
  learn(command: NodeCommand, world: World): void {
    if (command.type !== 'reply' || !command.result.ok) return
    const asked = world.operator.open.get(command.request)?.event
    if (asked?.type === 'remove') this.end(asked.deployment, world)
    if (asked?.type !== 'deploy') return
    this.end(asked.deployment.name, world)
    this.grant(wantsOfFile(asked.deployment, world.internal), world)
    this.asked = []
  }

  /** In force, or just asked for. */
  *wants(): Iterable<Want> {
    yield* this.asked
    for (const { want, until } of this.rights) if (until === undefined) yield want
  }

  /** In force, of everybody but this deployment. */
  othersOf(deployment: string): Want[] {
    return this.rights.flatMap(({ want, until }) =>
      until === undefined && !want.owner.startsWith(`${deployment}/`) ? want : [],
    )
  }

  /** Of files that were replaced, where the service is on its way out and not gone yet. */
  lingering(): Want[] {
    return this.rights.flatMap(({ want, until }) =>
      until !== undefined && this.lives(want.owner) ? want : [],
    )
  }

  /** Why a socket may be there. */
  wantsAt(socket: SocketTold): Want[] {
    return [...this.wants(), ...this.lingering()].filter((want) => isAt(want, socket.place))
  }

  /** What gave whoever came this way the right to reach a program of this service. */
  reachable(owner: ServiceKey, via: Via, now: number): Want[] {
    const socket = this.told.sockets.get(via.socket)
    const since = socket?.since ?? via.at
    const isEphemeral = socket?.place.port === 0
    const found: Want[] = []
    for (const { want, from, until } of this.rights) {
      if (want.owner !== owner || want.namespace !== via.namespace) continue
      if (want.port !== (isEphemeral ? 0 : via.port)) continue
      if (from > now || (until !== undefined && until < since)) continue
      if (covers(want, via.address) && isFor(want.route, via.serverName, via.request))
        found.push(want)
    }
    return found
  }

  private lives(owner: ServiceKey): boolean {
    for (const replica of this.told.replicasOf(owner)) if (!replica.removed) return true
    return this.told.listenersOf(owner).some(({ closed }) => !closed)
  }

  private grant(wants: readonly Want[], { now }: World): void {
    for (const want of wants) this.rights.push({ want, from: now, until: undefined })
  }

  private end(deployment: string, { now }: World): void {
    for (const right of this.rights) {
      if (right.want.owner.startsWith(`${deployment}/`)) right.until ??= now
    }
  }
}

export const metricsWant = ({ host, port }: { host: string; port: number }): Want => ({
  owner: METRICS,
  namespace: 'tcp',
  host,
  port,
  isV6Only: true,
  bind: 'always',
  isOptional: false,
  terms: '',
  target: 'metrics',
  label: 'metrics',
})

export const isAt = (want: Want, place: Place): boolean =>
  want.namespace === place.namespace &&
  want.port === place.port &&
  want.host === place.host &&
  want.bind !== 'never'

/** The services, or the node itself, that a socket is for by what was ordered last. */
export function ownersOf({ use }: Pick<SocketTold, 'use'>): ServiceKey[] {
  if (use.kind === 'metrics') return [METRICS]
  return [...new Set(listenersOf(use).map(serviceOfListener))]
}

export const deploymentOf = (owner: ServiceKey): string =>
  owner === METRICS ? METRICS : parseServiceKey(owner).deployment
