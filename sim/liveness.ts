/**
 * The second phase of a run: everything is healed, nobody wishes anything new, and what was asked
 * for must come to pass. A stall is excused only by damage that was done for good, and named.
 */
import type { NodeCommand } from '../core/node/commands.ts'
import { type ServiceKey, serviceKey } from '../core/services/identity.ts'
import type { ServiceSpec } from '../core/spec/deployment.ts'
import { sleeps, wantsOf } from './checkers/ports/wanted.ts'
import { livingOf } from './checkers/services.ts'
import { nameOf } from './faults/host-ports.ts'
import { isWell } from './faults/probes.ts'
import { BROKEN } from './faults/runtime.ts'
import { doorsAt, isDue, placeExcuse, placesToVisit, strayPlace, type Visit } from './places.ts'
import type { World } from './world.ts'

/** Faults stop, what is stuck comes loose, and operators say once more what they want. */
export function heal(world: World): void {
  world.healed = true
  world.resume()
  world.ports.heal()
  world.settleAddresses()
  world.runtime.heal()
  if (world.life === 'down') world.boot()
  else world.operator.sayAgain()
}

/** What the world still waits for; undefined when all is as it was asked for, or excused. */
export function pending(world: World): string | undefined {
  const { operator } = world
  if (world.life !== 'running') return 'the node to be up'
  if (operator.stopping !== undefined) return 'the node to shut down'
  if (operator.coming.size > 0) return 'its operators'
  for (const [request, { event }] of operator.open) return `an answer to ${event.type} ${request}`
  if (operator.memory.size > 0 && operator.wishes.size === 0) return 'its deployments'
  for (const wish of operator.wishes.values()) {
    if (wish.removing) return `${wish.name} to be gone`
    let excused = placeExcuse(wish.name, world) !== undefined
    for (const [service, spec] of Object.entries(wish.deployment.services)) {
      const key = serviceKey(wish.name, service)
      if (excuseOf(key, world) !== undefined) excused = true
      else {
        const what = pendingOf(key, spec, world)
        if (what !== undefined) return `${key} ${what}`
      }
    }
    if (!excused && wish.settled !== 'ready') return `${wish.name} to be called ready`
  }
  return pendingStrays(world)
}

/** The damage done for good that keeps things from running, one line each. */
export function explainStall(world: World): string[] {
  const { operator } = world
  return [
    ...operator.serviceKeys().flatMap((key) => {
      const why = excuseOf(key, world)
      return why === undefined ? [] : [`${key}: ${why}`]
    }),
    ...operator.deploymentNames().flatMap((name) => {
      const why = placeExcuse(name, world)
      return why === undefined ? [] : [`${name}: ${why}`]
    }),
  ]
}

/**
 * After the heal an operator answers what the node gave up for good by asking again. A node that
 * is merely stuck is not asked: that would hide that it is.
 */
export function watchGiveUps(command: NodeCommand, world: World): void {
  if (command.type !== 'notice' || command.level !== 'error') return
  const { code, service: key } = command
  const spec = key === undefined ? undefined : world.operator.specOf(key)
  if (key === undefined || spec === undefined) return
  const crashed = code === 'exited' || code === 'start-failed' || code === 'crash-loop'
  if (crashed && spec.errors.onPanic === 'isolate') world.operator.isolated.add(key)
  const gaveUp = code === 'dependency-timeout' || (crashed && spec.errors.onPanic !== 'restart')
  if (!gaveUp || !world.healed || excuseOf(key, world) !== undefined) return
  world.operator.askAgain(key, ASKS_AGAIN_AFTER_MS)
}

function pendingOf(key: ServiceKey, spec: ServiceSpec, world: World): string | undefined {
  const wanted = world.operator.wanted(key)
  const living = livingOf(key, world)
  // One that sleeps has none, and listens all the same.
  const awake = sleeps(spec) && living.length === 0 ? 0 : wanted
  if (living.length !== awake) return `to have ${awake} replicas, not ${living.length}`
  for (const group of living) {
    if (!isWell(group, world.now)) return `${group.replica} to be well`
    if (group.program.env.FLAVOUR !== spec.env.FLAVOUR) return `${group.replica} to be replaced`
  }
  for (const want of wantsOf(key, spec, world.internal)) {
    if (!isDue(want, wanted, world)) continue
    const { namespace, host, port } = want
    const where = nameOf(namespace, host, port)
    const doors = doorsAt(want, world)
    if (doors.length === 0) return `to listen on ${where}`
    for (const door of doors) {
      const { id, inForce } = door
      if (sleeps(spec) && awake === 0 && 'whenEmpty' in door && door.whenEmpty !== 'hold') {
        return `to hold who comes on ${where}`
      }
      if (inForce.size !== awake) return `to have ${awake} backends on ${where}, on ${id}`
      for (const group of living) {
        if (!inForce.has(group.replica)) return `${group.replica} to get traffic on ${where}`
      }
    }
  }
  return undefined
}

/** Where somebody should go and look whether it is served. */
export const visitsDue = (world: World): Visit[] =>
  placesToVisit(world, (owner) => excuseOf(owner, world) === undefined)

function pendingStrays(world: World): string | undefined {
  for (const group of world.runtime.groups.values()) {
    const [deployment = '', service = ''] = group.replica.split('/')
    const isOurs = group.life === world.lifeNumber
    if (isOurs && world.operator.specOf(serviceKey(deployment, service)) !== undefined) continue
    return `${group.replica} (pid ${group.pid}) to end`
  }
  return strayPlace(world)
}

function excuseOf(key: ServiceKey, world: World): string | undefined {
  const spec = world.operator.specOf(key)
  if (spec === undefined) return undefined
  if (spec.command.args[1] === BROKEN && world.operator.wanted(key) > 0) {
    return 'its program never works'
  }
  const [deployment = ''] = key.split('/')
  for (const { service, onTimeout, condition } of spec.depends) {
    if (onTimeout !== 'fail') continue
    const on = serviceKey(deployment, service)
    const place = condition === 'started' ? undefined : placeExcuse(on, world)
    if (place !== undefined) return `it needs ${service}: ${place}`
    if (world.operator.wanted(on) === 0) return `it needs ${service}, of which none is wanted`
    const why = excuseOf(on, world)
    if (why !== undefined) return `it needs ${service}: ${why}`
  }
  return undefined
}

const ASKS_AGAIN_AFTER_MS = 60_000
