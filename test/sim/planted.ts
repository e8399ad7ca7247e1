/** Bugs planted in the real machines, to show that each checker notices what it is there for. */
import type { NodeCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import type { NodeView } from '../../core/node/view.ts'
import type { Deployment, ServiceSpec } from '../../core/spec/deployment.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { EntranceCommand } from '../../core/stream/entrance/commands.ts'
import type { EntranceConfig } from '../../core/stream/entrance/config.ts'
import type { StreamConfig } from '../../core/stream/state.ts'
import { realBreed } from '../../sim/simulate.ts'
import type { RunOptions } from '../../sim/swarm.ts'
import type { Breed, SimulatedEntrance, SimulatedListener, SimulatedNode } from '../../sim/world.ts'

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
  /** What people see instead. */
  view?(real: NodeView): NodeView
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
    view: (now) => saboteur.view?.(node.view(now)) ?? node.view(now),
    checkInvariants: () => node.checkInvariants(),
  }
}

/** The node machine as it is, run with other settings than it was given. */
export const plantSettings = (change: (node: RunOptions['node']) => RunOptions['node']): Breed => ({
  ...realBreed,
  boot: (options) => realBreed.boot({ ...options, node: change(options.node) }),
})

/** Every listener's machine gets one that rewrites its commands, and is configured otherwise. */
export const plantInListeners = (
  rewrite: () => (commands: readonly StreamListenerCommand[]) => StreamListenerCommand[],
  configure: (config: StreamConfig) => StreamConfig = (config) => config,
): Breed => ({
  ...realBreed,
  listen(config, balance): SimulatedListener {
    const real = realBreed.listen(configure(config), balance)
    const change = rewrite()
    return {
      step(event, now, out) {
        const commands: StreamListenerCommand[] = []
        const told =
          event.type === 'configure' ? { ...event, config: configure(event.config) } : event
        real.step(told, now, commands)
        out.push(...change(commands))
      },
      deadline: () => real.deadline(),
      checkInvariants: () => real.checkInvariants(),
    }
  },
})

interface EntranceSaboteur {
  order?(command: EntranceCommand, config: EntranceConfig): EntranceCommand
  configure?(config: EntranceConfig): EntranceConfig
  deadline?(real: number | undefined): number | undefined
}

/** Likewise for the way in. */
export const plantInEntrances = ({ order, configure, deadline }: EntranceSaboteur): Breed => ({
  ...realBreed,
  enter(first): SimulatedEntrance {
    let config = configure?.(first) ?? first
    const real = realBreed.enter(config)
    return {
      step(event, now, out) {
        const commands: EntranceCommand[] = []
        if (event.type === 'configure') config = configure?.(event.config) ?? event.config
        real.step(event.type === 'configure' ? { ...event, config } : event, now, commands)
        out.push(...commands.map((each) => order?.(each, config) ?? each))
      },
      deadline: () => (deadline === undefined ? real.deadline() : deadline(real.deadline())),
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
