/**
 * The simulated prober: looks at what really runs. Targets refuse, hang, flap; answers come late
 * or never.
 */

import { unreachable } from '../../core/machine.ts'
import type { ProbeCommand, ProbeTarget } from '../../core/node/commands.ts'
import type { ReplicaId } from '../../core/services/identity.ts'
import type { Ratio } from '../prng.ts'
import type { World } from '../world.ts'
import type { Group } from './runtime.ts'

export interface ProbeFaults {
  /** The target takes the question and never answers it. */
  readonly hangs: Ratio
  /** One probe fails though the program is well. */
  readonly flaps: Ratio
  /** The program fails its checks for a while, from this probe on. */
  readonly sickens: Ratio
  readonly sickMsMax: number
  /** The answer comes after its own timeout. */
  readonly late: Ratio
  /** The shell never answers. */
  readonly lost: Ratio
}

export class SimProbes {
  private readonly world: World
  private readonly faults: ProbeFaults
  private readonly open = new Set<string>()

  constructor(world: World, faults: ProbeFaults) {
    this.world = world
    this.faults = faults
  }

  apply(command: ProbeCommand): void {
    switch (command.type) {
      case 'probe':
        return this.probe(command)
      case 'cancel-probe':
        this.open.delete(keyOf(command))
        return
      default:
        return unreachable(command)
    }
  }

  nodeDown(): void {
    this.open.clear()
  }

  private probe(command: Extract<ProbeCommand, { type: 'probe' }>): void {
    const { world, faults } = this
    const draw = world.draws.faults
    const { replica, check, attempt, target, timeoutMs } = command
    const key = keyOf(command)
    this.open.add(key)
    const group = world.runtime.groupOf(replica)
    if (group !== undefined && this.happens(faults.sickens)) {
      group.sickUntil = world.now + draw.between(1, faults.sickMsMax)
    }
    if (this.happens(faults.lost)) return
    const hangs = this.happens(faults.hangs)
    const late = this.happens(faults.late)
    const flaps = this.happens(faults.flaps)
    const latencyMs = hangs
      ? timeoutMs
      : late
        ? timeoutMs + draw.below(3_000)
        : Math.min(timeoutMs, world.draws.schedule.below(8))
    world.inNode(latencyMs, () => {
      if (!this.open.delete(key)) return
      const reason = hangs ? 'timed out' : flaps ? 'connection reset' : this.whyNot(replica, target)
      world.step({ type: 'probe-result', replica, check, attempt, ok: reason === '', reason })
    })
  }

  private whyNot(replica: ReplicaId, target: ProbeTarget): string {
    const { world } = this
    const own = world.runtime.groupOf(replica)
    if (target.type === 'command') return isWell(own, world.now) ? '' : 'exit status 1'
    const namespace = target.type === 'udp' ? 'udp' : 'tcp'
    const holder = world.ports.at(namespace, target.host, target.port)?.holder
    switch (holder?.type) {
      case undefined:
        return 'connection refused'
      case 'socket':
        return '' // our own front door, if ever it is asked
      case 'stranger':
        return target.type === 'tcp' ? '' : 'status 404'
      case 'group': {
        const group = world.runtime.groups.get(holder.pid)
        if (group === undefined || !group.leaderAlive) return 'timed out'
        return isWell(group, world.now) ? '' : 'status 503'
      }
      default:
        return unreachable(holder)
    }
  }

  private happens(fault: Ratio): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

export const isWell = (group: Group | undefined, now: number): boolean =>
  group?.listening === true && group.leaderAlive && now >= group.sickUntil

const keyOf = ({ replica, check, attempt }: Omit<ProbeCommand, 'type'>): string =>
  `${replica} ${check} ${attempt}`
