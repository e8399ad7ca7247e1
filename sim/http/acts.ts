/** What happens to the ingress besides requests: people, programs, the host. */
import { unreachable } from '../../core/machine.ts'
import { BACKEND_IDS, LISTENERS, PORTS } from './network/places.ts'
import { roomyConfig, roomyListener } from './operator.ts'
import {
  drawConfig,
  drawLimits,
  drawListenerConfig,
  HTTP_ACT_KINDS,
  type HttpActKind,
} from './swarm.ts'
import type { HttpWorld } from './world.ts'

export function beginActs(world: HttpWorld): void {
  const draw = world.draws.acts
  world.at(draw.between(1, 2 * world.options.actEveryMs), () => {
    if (world.healed) return
    const weights = HTTP_ACT_KINDS.map((each) => world.options.weights[each])
    const kind = HTTP_ACT_KINDS[draw.weighted(weights)]
    if (kind !== undefined) performAct(world, kind)
    beginActs(world)
  })
}

export function performAct(world: HttpWorld, kind: HttpActKind): void {
  const { operator } = world
  const draw = world.draws.acts
  const place = draw.pick(LISTENERS)
  const listener = place.id
  world.trace.mark(`http act ${kind}`)
  switch (kind) {
    case 'configure':
      return operator.order({ type: 'configure', config: drawConfig(draw) })
    case 'configure-listener':
      return operator.open(listener, drawListenerConfig(place, draw))
    case 'set':
      return operator.set(listener, operator.drawSet(), draw.pick(['refuse', 'hold']))
    case 'empty':
      operator.set(listener, [], 'hold')
      return sendSetLater(world, listener, draw.pick([5, 300, 20_000]))
    case 'refuse':
      return operator.set(listener, [], 'refuse')
    case 'cut': {
      const places = [...world.backends.live.values()].map(({ place }) => place)
      // Where something is, if there is anything.
      const at =
        places.length > 0 ? draw.pick(places) : { listener, backend: draw.pick(BACKEND_IDS) }
      return operator.order({ type: 'cut-backend', listener: at.listener, backend: at.backend })
    }
    case 'routes': {
      const limits = draw.below(3) === 0 ? drawLimits(draw) : undefined
      return operator.routes(draw.pick(PORTS).id, operator.drawRoutes(), limits)
    }
    case 'close-port': {
      const { id } = draw.pick(PORTS)
      operator.closePort(id)
      return world.at(draw.between(1, 200), () => operator.routes(id))
    }
    case 'close-listener':
    case 'abort-listener':
      return closeAndReopen(world, place, kind)
    case 'challenge': {
      const token = draw.pick(['t1', 't2'])
      const answered = draw.below(3) > 0 ? { answer: `${token}.thumb` } : {}
      return operator.order({ type: 'challenge', token, ...answered })
    }
    case 'manner':
      return world.backends.become(draw.pick(BACKEND_IDS), draw.pick(['up', 'refuses', 'hangs']))
    case 'leap':
      return world.leap(draw.pick([1, 100, 5_000, 600_000]))
    case 'pause':
      return world.pause(draw.pick([5, 200, 8_000]))
    default:
      return unreachable(kind)
  }
}

/** Whoever holds gets a set, or a word that there will be none. */
function sendSetLater(world: HttpWorld, listener: string, withinMs: number): void {
  const draw = world.draws.acts
  world.at(draw.between(1, withinMs), () => {
    const { operator } = world
    if (world.healed) return
    if (draw.below(4) === 0) operator.set(listener, [], 'refuse')
    else operator.set(listener, operator.drawSet(), 'hold')
  })
}

/** Whoever closes a listener takes its backends away as well, before or after. */
function closeAndReopen(
  world: HttpWorld,
  place: (typeof LISTENERS)[number],
  how: 'close-listener' | 'abort-listener',
): void {
  const draw = world.draws.acts
  const { operator } = world
  const { id } = place
  if (draw.below(2) === 0) operator.set(id, [], draw.pick(['refuse', 'hold']))
  operator.closeListener(id, how)
  world.at(draw.between(1, 3_000), () => operator.mend(id))
  const reopen = (): void => {
    if (world.healed) return
    operator.open(id, drawListenerConfig(place, draw))
    // It was not empty yet: later.
    if (operator.listeners.get(id)?.phase !== 'open') world.at(5_000, reopen)
    else for (const port of PORTS) if (operator.isOpen(port.id)) operator.routes(port.id)
  }
  world.at(draw.between(3_001, 6_000), reopen)
}

/** Once they are empty, those that were closed are made anew. */
function reopenAll(world: HttpWorld): void {
  const { operator } = world
  world.at(1_000, () => {
    const missing = LISTENERS.filter(({ id }) => operator.listeners.get(id)?.phase !== 'open')
    if (missing.length === 0) return
    for (const { id, protocol } of missing) {
      operator.mend(id)
      operator.open(id, roomyListener(protocol))
    }
    reopenAll(world)
  })
}

export function heal(world: HttpWorld): void {
  world.healed = true
  world.resume()
  const { operator, backends, clients } = world
  for (const id of BACKEND_IDS) backends.become(id, 'up')
  operator.order({ type: 'configure', config: roomyConfig })
  for (const { id, protocol } of LISTENERS) {
    operator.open(id, roomyListener(protocol))
    operator.mend(id)
  }
  for (const { id } of PORTS) operator.routes(id)
  reopenAll(world)
  // Nobody else ends a tunnel that nobody uses.
  for (const client of clients.live.values()) {
    if (client.becameTunnel) client.leave()
    client.goOn()
  }
  for (const upstream of backends.live.values()) upstream.goOn()
}
