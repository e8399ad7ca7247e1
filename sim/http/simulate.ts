/** The HTTP part of a run: anything goes, then everybody is answered, then nothing is left. */

import { HttpIngress } from '../../core/http/ingress/ingress.ts'
import { checkInvariants } from '../../core/http/ingress/invariants.ts'
import { LivenessFailure } from '../checkers/checker.ts'
import type { Trace } from '../trace.ts'
import { beginActs, heal } from './acts.ts'
import { Exchanges } from './checkers/exchanges.ts'
import { Members } from './checkers/members.ts'
import { Timeouts } from './checkers/timeouts.ts'
import { Tunnels } from './checkers/tunnels.ts'
import { HttpUniversal } from './checkers/universal.ts'
import { BACKEND_IDS, LISTENERS, PORTS } from './network/places.ts'
import type { HttpOptions } from './swarm.ts'
import { type HttpBreed, HttpWorld } from './world.ts'

/** The real ingress. */
export const realHttpBreed: HttpBreed = {
  ingress(options) {
    const ingress = new HttpIngress(options)
    return {
      step: (event, now, out) => ingress.step(event, now, out),
      deadline: () => ingress.deadline(),
      checkInvariants: () => checkInvariants(ingress),
      get sizes() {
        const { clients, upstreams, listeners } = ingress.state
        return { clients: clients.size, upstreams: upstreams.size, listeners: listeners.size }
      },
    }
  },
}

export function newHttpWorld(options: HttpOptions, breed: HttpBreed, trace: Trace): HttpWorld {
  const world = new HttpWorld(options, breed, trace)
  world.checkers = [
    new HttpUniversal(),
    new Exchanges(),
    new Members(),
    new Timeouts(),
    new Tunnels(),
    world.ways,
  ]
  return world
}

/** Throws what goes wrong. */
export function runHttp(world: HttpWorld): void {
  world.operator.boot()
  world.clients.begin()
  beginActs(world)
  while (world.steps < world.options.steps && world.advance()) {}
  heal(world)
  advanceFor(world, TOLD_WITHIN_MS)
  waitFor(world, QUIET_WITHIN_MS, () => {
    const [client] = world.clients.live.keys()
    const [closing] = [...world.operator.listeners.values()].filter(({ phase }) => phase !== 'open')
    if (client !== undefined) return `client ${client} to be done`
    return world.operator.listeners.size < LISTENERS.length || closing !== undefined
      ? 'every listener to be open'
      : undefined
  })
  askEverybody(world)
  sayGoodbye(world)
  for (const checker of world.checkers) checker.atEnd?.(world)
}

/** Every listener is there to be asked, and answers by one of its backends. */
function askEverybody(world: HttpWorld): void {
  for (const { id } of PORTS) world.operator.routes(id)
  advanceFor(world, TOLD_WITHIN_MS)
  const asked = LISTENERS.flatMap(({ id }) =>
    PORTS.map((port) => world.clients.ask(port.id, `/${id}`)),
  )
  waitFor(world, ANSWERED_WITHIN_MS, () => {
    const missing = asked.find((number) => world.requests.get(number)?.answer?.isWhole !== true)
    return missing === undefined ? undefined : `an answer to request ${missing}`
  })
  for (const number of asked) {
    const { answer, plan } = world.requests.get(number)!
    if (answer?.attempt !== undefined) continue
    throw new LivenessFailure(`${plan.target} is answered ${answer?.status} by the ingress itself`)
  }
}

function sayGoodbye(world: HttpWorld): void {
  const { operator, options } = world
  for (const { id } of PORTS) operator.closePort(id)
  for (const { id } of LISTENERS) {
    operator.closeListener(id, options.goodbye === 'abort' ? 'abort-listener' : 'close-listener')
    operator.set(id, [], 'refuse')
    for (const backend of BACKEND_IDS) {
      operator.order({ type: 'cut-backend', listener: id, backend })
    }
  }
  for (const token of ['t1', 't2']) operator.order({ type: 'challenge', token })
  waitFor(world, ENDS_WITHIN_MS, () => {
    if (operator.listeners.size > 0) return 'its listeners to be empty'
    return world.clients.live.size > 0 ? 'its clients to leave' : undefined
  })
}

/** What was ordered is known by then. */
function advanceFor(world: HttpWorld, ms: number): void {
  const until = world.now + ms
  for (let at = world.nextAt(); at !== undefined && at <= until; at = world.nextAt()) {
    world.advance()
  }
  world.now = Math.max(world.now, until)
}

function waitFor(world: HttpWorld, withinMs: number, what: () => string | undefined): void {
  const until = world.now + withinMs
  const stepsMax = world.steps + WAIT_STEPS_MAX
  for (let left = what(); left !== undefined; left = what()) {
    const next = world.nextAt()
    if (next === undefined) throw new LivenessFailure(`nothing will happen; it waits for ${left}`)
    if (next > until || world.steps > stepsMax) {
      throw new LivenessFailure(`at ${world.now} it still waits for ${left}`)
    }
    world.advance()
  }
}

/** Longer than any timeout that can be drawn, so that what is stuck has come loose. */
const QUIET_WITHIN_MS = 400_000
const TOLD_WITHIN_MS = 1
const ANSWERED_WITHIN_MS = 60_000
const ENDS_WITHIN_MS = 100_000
const WAIT_STEPS_MAX = 200_000
