/** An end in order: old work is finished, or cut when the drain time of the node is over. */
import type { NodeCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import type { Change } from '../trace.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import type { Told } from './told.ts'

export class Shutdowns implements Checker {
  readonly name = 'shutdowns'
  private readonly told: Told
  private event: NodeEvent = { type: 'tick' }
  /** The drain time of the node was over, and what was left was looked at. */
  private isLookedAt = false
  /** It was asked for when all was healed. */
  private isWell = false

  constructor(told: Told) {
    this.told = told
  }

  onChange(change: Change): void {
    if (change.type !== 'node-booted') return
    this.isLookedAt = false
    this.isWell = false
  }

  onEvent(event: NodeEvent, world: World): void {
    this.event = event
    if (event.type !== 'shutdown') return
    this.isWell ||= world.healed && this.told.stoppingSince === world.nodeNow()
  }

  onCommand(command: NodeCommand, world: World): void {
    if (command.type === 'stopped' && !this.told.aborting) this.checkFinished(world)
  }

  afterStep(world: World): void {
    if (world.life === 'down') return // a step that a crash cut short
    if (this.told.aborting || this.isLookedAt || !isPatienceOver(this.told, world)) return
    // Ticks may be late, but not in a world that is healed: there one was due by now.
    const waitedMs = world.nodeNow() - (this.told.stoppingSince ?? 0)
    const wasDue = this.isWell && waitedMs > world.options.node.drainTimeoutMs + 1
    if (this.event.type !== 'tick' && !wasDue) return
    // Who comes later is cut in its service's turn, at once.
    this.isLookedAt = true
    for (const { id, holding, cut } of this.told.listeners.values()) {
      for (const replica of holding) {
        if (cut.has(replica) || this.told.replicas.get(replica)?.removed === true) continue
        world.fail(this.name, `${id} still has ${replica} after the drain time of the node`)
      }
    }
  }

  /** An orderly end is one of every connection. */
  private checkFinished(world: World): void {
    for (const { id, streams } of world.listeners.doors.values()) {
      for (const { client } of streams.live.values()) {
        world.fail(this.name, `the node has stopped under client ${client} of ${id}`)
      }
    }
  }
}

/** A shutdown waits for old work so long, and no longer. */
export function isPatienceOver({ stoppingSince }: Told, world: World): boolean {
  const { drainTimeoutMs } = world.options.node
  return stoppingSince !== undefined && world.nodeNow() - stoppingSince >= drainTimeoutMs
}
