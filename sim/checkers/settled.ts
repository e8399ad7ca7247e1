/** What a node says about a deployment is so, as far as it was told. */
import type { NodeCommand } from '../../core/node/commands.ts'
import { serviceKey } from '../../core/services/identity.ts'
import type { ServiceSpec } from '../../core/spec/deployment.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import { isChecked, type Told } from './told.ts'

export class Settled implements Checker {
  readonly name = 'settled'
  private readonly told: Told

  constructor(told: Told) {
    this.told = told
  }

  onCommand(command: NodeCommand, world: World): void {
    if (command.type !== 'settled') return
    const wish = world.operator.wishes.get(command.deployment)
    if (wish === undefined || wish.removing) {
      world.fail(this.name, `${command.deployment} is settled, though nobody wants it`)
    }
    if (command.outcome === 'failed') {
      if (command.problems.length > 0) return
      world.fail(this.name, `${wish.name} failed without a problem`)
    }
    for (const [service, spec] of Object.entries(wish.deployment.services)) {
      const why = this.whyNotReady(wish.name, service, spec, world)
      if (why !== undefined) world.fail(this.name, `${wish.name} is ready, but ${service} ${why}`)
    }
  }

  private whyNotReady(
    deployment: string,
    service: string,
    spec: ServiceSpec,
    world: World,
  ): string | undefined {
    const key = serviceKey(deployment, service)
    const wanted = world.operator.wanted(key)
    if (wanted === 0) return undefined
    const probed = isChecked(spec)
    const retries = spec.health?.retries ?? DEFAULT_RETRIES
    const listeners = this.told.listenersOf(key)
    const open = listeners.filter((each) => each.state === 'open')
    const rest = listeners.filter((each) => each.state !== 'open')
    const ready = this.told
      .replicasOf(key)
      .filter((each) => each.started && !each.exited && !each.signalled && !each.removeOrdered)
      .filter((each) => !probed || (each.passed && each.failures < retries))
      // Without a listener: what one that goes away still holds may be on its way out.
      .filter(({ id }) =>
        open.length > 0
          ? open.every(({ sent }) => sent.has(id))
          : !rest.some(({ holding }) => holding.has(id)),
      )
    if (ready.length < wanted) return `has ${ready.length} of ${wanted} replicas`
    const old = ready.find((each) => each.program.env.FLAVOUR !== spec.env.FLAVOUR)
    if (old !== undefined) return `still runs ${old.id} of an older file`
    for (const endpoint of spec.endpoints) {
      const protocol = endpoint.protocol === 'udp' ? 'udp' : 'tcp'
      const listener = open.find(
        (each) => each.port === endpoint.port && each.protocol === protocol,
      )
      if (listener === undefined) return `does not listen on ${endpoint.port}`
      if (listener.sent.size === 0) return `has no backend on ${endpoint.port}`
      if (listener.applied < listener.version) return `has no confirmed set on ${endpoint.port}`
    }
    return undefined
  }
}

const DEFAULT_RETRIES = 3
