/** What happens to the listener besides datagrams: people, programs, the host. */
import type { Backend } from '../../core/balance/group.ts'
import { unreachable } from '../../core/machine.ts'
import { defaultUdpConfig } from '../../core/udp/config.ts'
import { BACKEND_IDS } from './network/places.ts'
import { drawConfig, UDP_ACT_KINDS, type UdpActKind } from './swarm.ts'
import type { UdpWorld } from './world.ts'

export function beginActs(world: UdpWorld): void {
  const draw = world.draws.acts
  world.at(draw.between(1, 2 * world.options.actEveryMs), () => {
    if (world.healed) return
    const kind =
      UDP_ACT_KINDS[draw.weighted(UDP_ACT_KINDS.map((each) => world.options.weights[each]))]
    if (kind !== undefined) performAct(world, kind)
    beginActs(world)
  })
}

export function performAct(world: UdpWorld, kind: UdpActKind): void {
  const draw = world.draws.acts
  world.trace.mark(`udp act ${kind}`)
  switch (kind) {
    case 'configure':
      return configure(world, drawConfig(draw))
    case 'shrink': {
      const live = world.table?.flowCount ?? 0
      const flowsMax = draw.pick([0, 1, draw.below(live + 1)])
      const heldBytesMax = draw.pick([0, 10, world.config.heldBytesMax])
      return configure(world, { ...world.config, flowsMax, heldBytesMax })
    }
    case 'set':
      world.servers.set = drawSet(world)
      return world.servers.tellSet()
    case 'cut':
      return world.tell({ type: 'cut-backend', backend: draw.pick(BACKEND_IDS) })
    case 'manner': {
      const manner = world.servers.manners.get(draw.pick(BACKEND_IDS))!
      manner.answers = draw.pick([0, 1, 1, 2, 3])
      manner.delayMsMax = draw.pick([0, 20, 6_000])
      manner.chatty = draw.below(3) === 0
      manner.dead = draw.below(4) === 0
      return
    }
    case 'flood':
      return world.clients.flood(draw.between(5, 60))
    case 'rebind':
      return world.clients.rebind()
    case 'abort-flow': {
      const flows = world.table?.flows(world.tableNow(), 64) ?? []
      const any = [...world.sockets.all.values()].map(({ flow }) => flow)
      const all = [...flows.map(({ flow }) => flow), ...any]
      if (all.length > 0) world.tell({ type: 'abort-flow', flow: draw.pick(all) })
      return
    }
    case 'close-all':
    case 'drain':
      return world.tell({ type: kind })
    case 'close':
    case 'abort-all':
      return closeDown(world, kind)
    case 'leap':
      return world.leap(draw.pick([1, 100, 5_000, 600_000, 40 * 86_400_000]))
    case 'pause':
      return world.pause(draw.pick([5, 200, 8_000]))
    case 'restore':
      return world.restore(draw.below(2) === 0)
    case 'crash':
      return world.crash()
    default:
      return unreachable(kind)
  }
}

/** Whoever closes a listener takes its backends away as well, before or after. */
export function closeDown(world: UdpWorld, how: 'close' | 'abort-all'): void {
  const draw = world.draws.acts
  if (draw.below(3) > 0) world.servers.set = []
  if (draw.below(2) === 0) world.servers.tellSet()
  world.tell({ type: how })
  const { lifeNumber } = world
  world.inProcess(draw.between(1, 4_000), () => {
    if (world.lifeNumber !== lifeNumber) return
    world.servers.set = []
    world.servers.tellSet()
  })
}

export function heal(world: UdpWorld): void {
  world.healed = true
  world.resume()
  if (world.life === 'down') world.boot()
  // One that admits nobody any more makes room for one that does.
  if (!world.admits) world.tell({ type: 'abort-all' })
  configure(world, { ...defaultUdpConfig })
  world.servers.heal()
}

function configure(world: UdpWorld, config: UdpWorld['config']): void {
  world.config = config
  world.tell({ type: 'configure', config })
}

function drawSet(world: UdpWorld): readonly Backend[] {
  const draw = world.draws.acts
  return BACKEND_IDS.filter(() => draw.below(4) > 0).map(
    (id): Backend => ({
      id,
      host: `10.9.0.${1 + BACKEND_IDS.indexOf(id)}`,
      port: draw.pick([5_300, 5_300, 5_301]),
      ...(draw.below(4) === 0 ? { down: true } : {}),
      ...(draw.below(4) === 0 ? { backup: true } : {}),
      ...(draw.below(3) === 0 ? { weight: draw.between(1, 100) } : {}),
    }),
  )
}
