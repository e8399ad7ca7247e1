/** What a node says about a deployment is so, as far as it was told. */
import type { NodeCommand } from '../../core/node/commands.ts'
import { type ListenerId, serviceKey } from '../../core/services/identity.ts'
import type { ServiceSpec } from '../../core/spec/deployment.ts'
import { covers, nameOf } from '../faults/host-ports.ts'
import { listenersOf } from '../faults/sockets.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import { sleeps, wantsOf } from './ports/wanted.ts'
import { isChecked, serviceOfListener, type Told } from './told.ts'

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
    const { sockets } = this.told
    const leading = (id: ListenerId): boolean =>
      [...sockets.values()].some(
        ({ state, use }) => state === 'bound' && listenersOf(use).includes(id),
      )
    const open = listeners.filter(({ id, closed }) => !closed && leading(id))
    const rest = listeners.filter((each) => !open.includes(each))
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
    const mayWait = sleeps(spec) // it is there for who comes, and may be on its way
    if (ready.length < wanted && !mayWait) return `has ${ready.length} of ${wanted} replicas`
    const old = ready.find((each) => each.program.env.FLAVOUR !== spec.env.FLAVOUR)
    if (old !== undefined) return `still runs ${old.id} of an older file`
    for (const want of wantsOf(key, spec, world.internal)) {
      if (want.bind === 'never' || want.isOptional) continue
      const { namespace, host, port } = want
      const socket = [...sockets.values()].find(
        ({ state, place, use }) =>
          state === 'bound' &&
          place.namespace === namespace &&
          place.port === port &&
          covers(place, host) &&
          listenersOf(use).some((id) => serviceOfListener(id) === key),
      )
      const where = nameOf(namespace, host, port)
      if (socket === undefined) return `does not listen on ${where}`
      for (const id of listenersOf(socket.use)) {
        const listener = this.told.listeners.get(id)
        if (listener?.service !== key) continue
        if (listener.sent.size === 0 && !mayWait) return `has no backend on ${where}`
        if (listener.applied < listener.version) return `has no confirmed set on ${where}`
      }
    }
    return undefined
  }
}

const DEFAULT_RETRIES = 3
