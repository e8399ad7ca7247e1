/**
 * What can be done to a world from outside, as data: a seed draws acts, a script lists them, and
 * fast-check shrinks the list. Picks are numbers taken modulo what there is, so that an act keeps
 * its meaning when others are taken away.
 */
import { unreachable } from '../../core/machine.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import type { PortNamespace } from '../../core/publish/claim.ts'
import type { Manner } from '../faults/runtime.ts'
import type { World } from '../world.ts'
import type { DeploymentSketch } from './deployments.ts'

export type Act =
  // what operators ask for
  // `rival`: another one, at the same instant
  | {
      readonly type: 'deploy'
      readonly sketch: DeploymentSketch
      readonly rival?: DeploymentSketch
    }
  | { readonly type: 'remove'; readonly pick: number }
  | { readonly type: 'scale'; readonly pick: number; readonly replicas: number }
  | { readonly type: 'restart'; readonly pick: number; readonly replica?: number }
  | { readonly type: 'mistake'; readonly pick: number }
  | { readonly type: 'shutdown'; readonly mode: 'drain' | 'abort' }
  // what befalls programs
  | { readonly type: 'kill'; readonly pick: number }
  | { readonly type: 'sicken'; readonly pick: number; readonly forMs: number }
  | { readonly type: 'manner'; readonly manner: Partial<Manner> } // of the next program started
  // what befalls the host
  | {
      readonly type: 'stranger'
      readonly namespace?: PortNamespace
      readonly host?: string
      readonly port: number
      readonly forMs: number
    }
  | { readonly type: 'ipv6'; readonly has: boolean }
  // the internal network gives it these addresses; it has them so much later
  | { readonly type: 'internal'; readonly addresses: readonly string[]; readonly lateMs: number }
  // what befalls the node
  | { readonly type: 'crash'; readonly downMs: number }
  | { readonly type: 'pause'; readonly forMs: number }
  | { readonly type: 'leap'; readonly byMs: number }
  | { readonly type: 'restore'; readonly keepTwin: boolean }
  // the next event of this kind is delivered a second time, so much later
  | { readonly type: 'repeat'; readonly event: NodeEvent['type']; readonly afterMs: number }
  | { readonly type: 'client'; readonly thinkMs?: number }

/** What a seed draws from. */
export type ActKind =
  | 'deploy-new'
  | 'deploy-same'
  | 'deploy-changed'
  | 'remove'
  | 'scale'
  | 'restart'
  | 'restart-one'
  | 'mistake'
  | 'drain'
  | 'abort'
  | 'kill'
  | 'sicken'
  | 'stranger'
  | 'internal'
  | 'crash'
  | 'pause'
  | 'leap'
  | 'restore'

export const ACT_KINDS: readonly ActKind[] = [
  'deploy-new',
  'deploy-same',
  'deploy-changed',
  'remove',
  'scale',
  'restart',
  'restart-one',
  'mistake',
  'drain',
  'abort',
  'kill',
  'sicken',
  'stranger',
  'internal',
  'crash',
  'pause',
  'leap',
  'restore',
]

export function perform(world: World, act: Act): void {
  const { operator, runtime } = world
  world.change({ type: 'acted', act: JSON.stringify(act) })
  switch (act.type) {
    case 'deploy':
      operator.deploy(act.sketch)
      if (act.rival !== undefined) operator.deploy(act.rival)
      return
    case 'remove':
      return operator.remove(nth(operator.deploymentNames(), act.pick))
    case 'scale':
      return operator.scale(nth(operator.serviceKeys(), act.pick), act.replicas)
    case 'restart':
      return operator.restart(nth(operator.serviceKeys(), act.pick), act.replica)
    case 'mistake':
      return operator.mistake(act.pick)
    case 'shutdown':
      return operator.shutdown(act.mode)
    case 'kill': {
      const group = nth(runtime.living(), act.pick)
      if (group !== undefined) runtime.kill(group)
      return
    }
    case 'sicken': {
      const group = nth(runtime.living(), act.pick)
      if (group !== undefined) group.sickUntil = world.now + act.forMs
      return
    }
    case 'manner':
      runtime.scripted.push(act.manner)
      return
    case 'stranger':
      return world.ports.settleStranger(
        {
          namespace: act.namespace ?? 'tcp',
          host: act.host ?? '0.0.0.0',
          port: act.port,
          isV6Only: true,
        },
        act.forMs,
      )
    case 'ipv6':
      return world.ports.setIpv6(act.has)
    case 'internal':
      return world.renumber(act.addresses, act.lateMs)
    case 'crash':
      world.crash()
      return world.at(act.downMs, () => world.boot())
    case 'pause':
      return world.pause(act.forMs)
    case 'leap':
      return world.leap(act.byMs)
    case 'restore':
      return world.restore(act.keepTwin)
    case 'repeat':
      world.repeats.push(act)
      return
    case 'client':
      return world.clients.arrive(act.thinkMs)
    default:
      return unreachable(act)
  }
}

const nth = <T>(items: readonly T[], pick: number): T | undefined =>
  items.length === 0 ? undefined : items[pick % items.length]
