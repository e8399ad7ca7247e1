/** Bugs planted in the real machines, to show that each checker notices what it is there for. */
import type { NodeCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import type { Deployment, ServiceSpec } from '../../core/spec/deployment.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import { realBreed } from '../../sim/simulate.ts'
import type { Breed, SimulatedListener, SimulatedNode } from '../../sim/world.ts'

/** Stands between the machine and the world. */
export interface Saboteur {
  /** What the machine is told instead of an event. */
  tell?(event: NodeEvent): readonly NodeEvent[]
  /** What the world is ordered instead of the machine's commands; `tell` feeds the machine more. */
  order?(
    commands: readonly NodeCommand[],
    event: NodeEvent,
    tell: (event: NodeEvent) => NodeCommand[],
  ): readonly NodeCommand[]
  deadline?(real: number | undefined, now: number): number | undefined
  snapshot?(real: unknown): unknown
}

/** Every life of the node gets a saboteur of its own. */
export const plant = (saboteur: () => Saboteur): Breed => ({
  ...realBreed,
  boot: (options) => sabotaged(realBreed.boot(options), saboteur()),
  restore: (snapshot, now) => sabotaged(realBreed.restore(snapshot, now), saboteur()),
})

function sabotaged(node: SimulatedNode, saboteur: Saboteur): SimulatedNode {
  let lastNow = 0
  return {
    step(event, now, out) {
      lastNow = now
      const feed = (each: NodeEvent): NodeCommand[] => {
        const commands: NodeCommand[] = []
        node.step(each, now, commands)
        return commands
      }
      const commands = (saboteur.tell?.(event) ?? [event]).flatMap(feed)
      out.push(...(saboteur.order?.(commands, event, feed) ?? commands))
    },
    deadline: () =>
      saboteur.deadline === undefined
        ? node.deadline()
        : saboteur.deadline(node.deadline(), lastNow),
    snapshot: (now) => saboteur.snapshot?.(node.snapshot(now)) ?? node.snapshot(now),
    checkInvariants: () => node.checkInvariants(),
  }
}

/** Every listener's machine gets one that rewrites its commands. */
export const plantInListeners = (
  rewrite: () => (commands: readonly StreamListenerCommand[]) => StreamListenerCommand[],
): Breed => ({
  ...realBreed,
  listen(config): SimulatedListener {
    const real = realBreed.listen(config)
    const change = rewrite()
    return {
      step(event, now, out) {
        const commands: StreamListenerCommand[] = []
        real.step(event, now, commands)
        out.push(...change(commands))
      },
      deadline: () => real.deadline(),
      checkInvariants: () => real.checkInvariants(),
    }
  },
})

/** The same deployment with each service changed. */
export const withServices = (
  deployment: Deployment,
  change: (spec: ServiceSpec) => ServiceSpec,
): Deployment => ({
  ...deployment,
  services: Object.fromEntries(
    Object.entries(deployment.services).map(([name, spec]) => [name, change(spec)]),
  ),
})
