/** The UDP part of a run: anything goes, then everybody gets an answer, then nothing is left. */
import type { Instant } from '../../core/machine.ts'
import { checkInvariants } from '../../core/udp/invariants.ts'
import type { FlowTableSnapshot } from '../../core/udp/snapshot.ts'
import { FlowTable } from '../../core/udp/table.ts'
import { LivenessFailure } from '../checkers/checker.ts'
import type { Trace } from '../trace.ts'
import { beginActs, closeDown, heal } from './acts.ts'
import { Lives } from './checkers/lives.ts'
import { Members } from './checkers/members.ts'
import { Routes } from './checkers/routes.ts'
import { UdpUniversal } from './checkers/universal.ts'
import { Visitors } from './checkers/visitors.ts'
import type { UdpOptions } from './swarm.ts'
import { type SimulatedTable, type UdpBreed, UdpWorld } from './world.ts'

/** The real table. */
export const realUdpBreed: UdpBreed = {
  table: (options) => simulated(new FlowTable(options)),
  restoreTable: (snapshot, now, options) =>
    simulated(FlowTable.restore(snapshot as FlowTableSnapshot, now, options)),
}

const simulated = (table: FlowTable): SimulatedTable => ({
  step: (event, now, out) => table.step(event, now, out),
  deadline: () => table.deadline(),
  snapshot: (now) => table.snapshot(now),
  flows: (now, limit) => table.flows(now, limit),
  get flowCount() {
    return table.flowCount
  },
  get isEmpty() {
    return table.isEmpty
  },
  get counters() {
    return table.counters
  },
  checkInvariants: () => checkInvariants(table),
})

export function newUdpWorld(options: UdpOptions, breed: UdpBreed, trace: Trace): UdpWorld {
  const world = new UdpWorld(options, breed, trace)
  const lives = new Lives()
  world.checkers = [
    lives,
    new Routes(),
    new Visitors(lives),
    new Members(lives),
    new UdpUniversal(),
  ]
  return world
}

/** Throws what goes wrong. */
export function runUdp(world: UdpWorld): void {
  world.boot()
  world.clients.begin()
  beginActs(world)
  while (world.steps < world.options.steps && world.advance()) {}
  heal(world)
  world.clients.askUntilAnswered()
  waitFor(world, ANSWERED_WITHIN_MS, () => {
    const [client] = world.clients.unanswered
    return client === undefined ? undefined : `an answer to ${client}`
  })
  sayGoodbye(world)
}

function sayGoodbye(world: UdpWorld): void {
  const { goodbye } = world.options
  world.beginsAgain = false
  if (world.life === 'down') return
  if (goodbye === 'remove-then-close') {
    world.servers.set = []
    world.servers.tellSet()
  }
  closeDown(world, goodbye === 'abort' ? 'abort-all' : 'close')
  waitFor(world, ENDS_WITHIN_MS, () =>
    world.life === 'down' ? undefined : 'the table to be empty',
  )
}

function waitFor(world: UdpWorld, withinMs: number, what: () => string | undefined): void {
  const until: Instant = world.now + withinMs
  for (let left = what(); left !== undefined; left = what()) {
    const next = world.nextAt()
    if (next === undefined) throw new LivenessFailure(`nothing will happen; it waits for ${left}`)
    if (next > until) throw new LivenessFailure(`at ${world.now} it still waits for ${left}`)
    world.advance()
  }
}

/** Longer than any timeout that can be drawn, so that what is stuck has come loose. */
const ANSWERED_WITHIN_MS = 120_000
const ENDS_WITHIN_MS = 30_000
